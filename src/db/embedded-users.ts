import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** One process's stake in a running embedded server. */
export interface Use {
  /** Gives the stake up; the last one to leave runs `shutDown`. Answers whether it did. */
  leave(shutDown: () => Promise<void>): Promise<boolean>;
}

const finished = (state: string | undefined): boolean => state === 'Z' || state === 'X';

/**
 * When a process began, as an opaque word, or undefined when it is gone. Pid and beginning together name a process:
 * pids are handed out again, soon so in containers.
 */
export async function processBeginning(pid: number): Promise<string | undefined> {
  if (process.platform === 'linux') {
    const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => undefined);
    if (stat === undefined) return undefined;
    // The command's name is in brackets and may hold spaces and brackets itself.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return finished(fields[0]) ? undefined : fields[19];
  }
  try {
    const line = execFileSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], { encoding: 'utf8', stdio: 'pipe' });
    if (line.trim() === '' || finished(line.trim()[0])) return undefined;
    return createHash('sha256').update(line.replace(/^\S+/, '').trim()).digest('hex').slice(0, 12);
  } catch {
    return undefined;
  }
}

/** Names of living processes in the folder; what dead ones left behind is removed. */
async function living(folder: string, kind: 'use' | 'stop'): Promise<string[]> {
  const names = (await readdir(folder)).filter((name) => name.startsWith(`${kind}-`));
  const alive: string[] = [];
  for (const name of names) {
    const [, pid, beginning] = name.split('-');
    if (pid !== undefined && (await processBeginning(Number(pid))) === beginning) alive.push(name);
    else await rm(join(folder, name), { force: true });
  }
  return alive;
}

/**
 * Registers process `pid` as a user of the server whose user folder this is, waiting for a shutdown under way.
 *
 * No lock file that a SIGKILL could leave locked: each process writes only files of its own name. Whoever leaves says so first
 * and then looks for users; whoever enters registers first and then looks for leavers; so one of the two always sees the other.
 * A stake held for another process (`pid` given) has a fixed name, so that any process can give it up.
 */
export async function enter(folder: string, pid?: number): Promise<Use> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const beginning = await processBeginning(pid ?? process.pid);
  if (beginning === undefined) throw new Error(`no process ${pid ?? process.pid} to hold the database for`);
  const own = `${pid ?? process.pid}-${beginning}-${pid === undefined ? randomBytes(6).toString('hex') : 'held'}`;
  await writeFile(join(folder, `use-${own}`), '', { mode: 0o600 });
  while ((await living(folder, 'stop')).length > 0) await sleep(20);
  return {
    leave: async (shutDown) => {
      const mark = join(
        folder,
        `stop-${process.pid}-${await processBeginning(process.pid)}-${randomBytes(6).toString('hex')}`,
      );
      await writeFile(mark, '', { mode: 0o600 });
      try {
        await rm(join(folder, `use-${own}`), { force: true });
        if ((await living(folder, 'use')).length > 0) return false;
        await shutDown();
        return true;
      } finally {
        await rm(mark, { force: true });
      }
    },
  };
}
