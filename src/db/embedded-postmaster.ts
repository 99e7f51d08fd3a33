import { type ChildProcess, spawn } from 'node:child_process';
import { open, readFile, readlink, realpath, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { type Account, type Binaries, runAs, serverEnvironment } from './embedded-binaries.ts';
import { type Access, type ClusterPaths, dataArgument, furnishCluster } from './embedded-cluster.ts';
import { processBeginning } from './embedded-users.ts';
import { faultCode, isUnavailable } from './fault.ts';

/** The line of the log that tells why the server went down, and what to make of it. */
type Failure = 'taken' | 'memory in use' | 'other';

const stopLimitMs = 30_000;
const logLimitBytes = 10 * 1024 * 1024;

/** The postmaster of this cluster, if it lives: its lock file alone proves nothing, pids are handed out again. */
export async function runningPostmaster(paths: ClusterPaths): Promise<number | undefined> {
  const text = await readFile(join(paths.data, 'postmaster.pid'), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  const pid = Number.parseInt(text, 10);
  if (!Number.isInteger(pid) || pid <= 1 || (await processBeginning(pid)) === undefined) return undefined;
  if (process.platform !== 'linux') return pid;
  // A postmaster works in its cluster's folder.
  const folder = await readlink(`/proc/${pid}/cwd`).catch(() => undefined);
  return folder === (await realpath(paths.data)) ? pid : undefined;
}

export interface Started {
  readonly child: ChildProcess;
  /** Size of the log before this start. */
  readonly logOffset: number;
  exited: boolean;
}

/** Starts a postmaster that outlives us: its own session, so that Ctrl-C reaches the hub alone and the hub stops it in order. */
export async function launch(paths: ClusterPaths, account: Account | undefined, binaries: Binaries): Promise<Started> {
  const size = await stat(paths.log).then(
    (found) => found.size,
    () => 0,
  );
  if (size > logLimitBytes) await rename(paths.log, `${paths.log}.1`);
  const file = await open(paths.log, 'a', 0o600);
  try {
    const { size: logOffset } = await file.stat();
    const child = spawn(join(binaries.bin, 'postgres'), ['-D', dataArgument(paths, account)], {
      cwd: paths.data,
      env: serverEnvironment,
      detached: true,
      stdio: ['ignore', file.fd, file.fd],
      ...runAs(account),
    });
    const started: Started = { child, logOffset, exited: false };
    child.once('exit', () => {
      started.exited = true;
    });
    await new Promise((done, failed) => child.once('spawn', done).once('error', failed));
    child.unref();
    return started;
  } finally {
    await file.close();
  }
}

export interface Ready {
  readonly pid: number;
  readonly version: string;
}

/** One attempt to get in; undefined when the server cannot be reached (yet, or any more). */
async function tryToEnter(paths: ClusterPaths, url: string, access: Access): Promise<Ready | undefined> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: 5_000,
    application_name: 'certhub start',
  });
  client.on('error', () => undefined); // a query under way reports the same loss
  try {
    await client.connect();
    await furnishCluster(client, access);
    const { rows } = await client.query<{ version: string }>(`select current_setting('server_version') as version`);
    const pid = await runningPostmaster(paths);
    return pid === undefined ? undefined : { pid, version: rows[0]?.version ?? '' };
  } catch (error) {
    if (faultCode(error) === '28P01') {
      throw new Error(`the passwords in ${paths.access} do not open its cluster`, { cause: error });
    }
    if (!isUnavailable(error)) throw error;
    return undefined;
  } finally {
    await client.end().catch(() => undefined);
  }
}

/**
 * Waits until the server answers and has its roles; undefined when it went down (or is going down) instead.
 * `deadline` by the clock of `Date.now`.
 */
export async function whenReady(
  paths: ClusterPaths,
  url: string,
  access: Access,
  started: Started | undefined,
  deadline: number,
): Promise<Ready | undefined> {
  for (let wait = 10; ; wait = Math.min(wait * 1.5, 250)) {
    const ready = await tryToEnter(paths, url, access);
    if (ready !== undefined) return ready;
    const gone = started === undefined ? (await runningPostmaster(paths)) === undefined : started.exited;
    if (gone) return undefined;
    if (Date.now() > deadline) {
      const [line] = await lastComplaints(paths, started?.logOffset ?? 0);
      throw new Error(`PostgreSQL in ${paths.home} does not answer${line === undefined ? '' : `: ${line}`}`);
    }
    await sleep(wait);
  }
}

async function lastComplaints(paths: ClusterPaths, offset: number): Promise<string[]> {
  const text = (await readFile(paths.log)).subarray(offset).toString('utf8');
  return text
    .split('\n')
    .filter((line) => /FATAL|PANIC|error while loading/.test(line))
    .reverse();
}

function failureOf(complaints: readonly string[]): Failure {
  if (complaints.some((line) => line.includes('postmaster.pid') || line.includes('.s.PGSQL'))) return 'taken';
  // Back ends of a killed postmaster end within moments, one inside a long statement later.
  if (complaints.some((line) => line.includes('shared memory'))) return 'memory in use';
  return 'other';
}

/** After a start that failed: what passes by itself is waited for, a stale lock is removed, anything else is thrown. */
export async function recover(
  paths: ClusterPaths,
  socket: string,
  started: Started | undefined,
  log: (line: string) => void,
): Promise<void> {
  if (started === undefined) return; // the server we had joined went down: start one
  const complaints = await lastComplaints(paths, started.logOffset);
  const failure = failureOf(complaints);
  if (failure === 'other') throw new Error(`PostgreSQL did not start: ${complaints[0] ?? `see ${paths.log}`}`);
  await sleep(100);
  if (failure === 'taken' && (await runningPostmaster(paths)) === undefined) {
    // PostgreSQL believes a lock file whose pid now belongs to some other process, as happens when a container starts again.
    log('removing the lock file a killed PostgreSQL left behind');
    await rm(join(paths.data, 'postmaster.pid'), { force: true });
    await rm(join(socket, '.s.PGSQL.5432.lock'), { force: true });
  }
}

/** A fast shutdown: open transactions are rolled back, everything committed is kept. */
export async function shutDown(paths: ClusterPaths, socket: string): Promise<void> {
  const pid = await runningPostmaster(paths);
  if (pid !== undefined) {
    const deadline = Date.now() + stopLimitMs;
    signal(pid, 'SIGINT');
    while ((await processBeginning(pid)) !== undefined) {
      // Immediate shutdown: safe as a crash is, the log is replayed at the next start.
      if (Date.now() > deadline) signal(pid, 'SIGQUIT');
      await sleep(10);
    }
  }
  if (socket !== paths.data) await rm(socket, { recursive: true, force: true });
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
