import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** False, or the reason why tests with the openssl command cannot run here. */
export const noOpenssl: false | string = (() => {
  try {
    return execFileSync('openssl', ['version'], { encoding: 'utf8' }).startsWith('OpenSSL 3') ? false : 'no OpenSSL 3';
  } catch {
    return 'the openssl command is missing';
  }
})();

/** A fresh folder for files that openssl reads and writes. */
export const workFolder = (): string => mkdtempSync(join(tmpdir(), 'certhub-signing-'));

/** Runs openssl and returns what it wrote to stdout; throws with its stderr when it fails. */
export const openssl = (folder: string, ...args: string[]): string =>
  execFileSync('openssl', args, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

/** Whether openssl says yes. */
export function opensslAccepts(folder: string, ...args: string[]): boolean {
  try {
    openssl(folder, ...args);
    return true;
  } catch {
    return false;
  }
}

export const put = (folder: string, file: string, content: string | Uint8Array): void =>
  writeFileSync(join(folder, file), content);
export const get = (folder: string, file: string): Buffer => readFileSync(join(folder, file));
