import { mkdir, realpath } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { resolve } from 'node:path';
import { type Account, type Binaries, findBinaries } from './embedded-binaries.ts';
import {
  type Access,
  type ClusterPaths,
  clusterMajor,
  clusterPaths,
  configureCluster,
  createCluster,
  readAccess,
  serverAccount,
  socketFolder,
  urlOf,
} from './embedded-cluster.ts';
import {
  launch,
  type Ready,
  recover,
  runningPostmaster,
  type Started,
  shutDown,
  whenReady,
} from './embedded-postmaster.ts';
import { enter, type Use } from './embedded-users.ts';

/** A running private PostgreSQL. */
export interface EmbeddedServer {
  /** They hold passwords: never log them. They stay the same when the server is started again. */
  readonly urls: { readonly owner: string; readonly service: string; readonly sequencer: string };
  readonly superuserUrl: string;
  /** Process id of the postmaster. */
  readonly pid: number;
  /** e.g. `18.4` */
  readonly version: string;
  /** Whether the server was running already when we came. */
  readonly adopted: boolean;
  /** Leaves the server; the last process to leave shuts it down and waits until it is down. Harmless when called twice. */
  stop(): Promise<void>;
  /** Sends the postmaster a signal without any order, as a crash would. For tests. */
  kill(signal: NodeJS.Signals): void;
}

export interface EmbeddedOptions {
  /** Folder of all that is kept; made when missing, with mode 0700. */
  readonly dataDir: string;
  /** Told in one line each what takes time or was repaired; never a password. */
  readonly log?: (line: string) => void;
  /** A folder with `bin/postgres` and `bin/initdb`, in place of the search. */
  readonly binaries?: string;
  /** Starts the server again when it goes down while we use it, as after the kernel killed it for memory. Default false. */
  readonly keepUp?: boolean;
  /** Further lines of postgresql.conf. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Holds the server for another process, which must be alive, in place of our own. */
  readonly heldFor?: number;
}

/** Starting includes replaying the log after a crash, which can take its time. */
const startLimitMs = 120_000;
const lookAfterMs = 500;

/**
 * Starts the private PostgreSQL of a data folder, or joins it when it is running already: several processes may use one data
 * folder at once (a hub and a command beside it), and a server that outlived a killed hub is taken over by the next.
 * The first start makes the cluster. Throws an Error with the reason when no server can be had.
 *
 * Order: register as a user → look for a running server → start one, whose own lock file decides between two starters.
 */
export async function startEmbedded(options: EmbeddedOptions): Promise<EmbeddedServer> {
  await mkdir(resolve(options.dataDir), { recursive: true, mode: 0o700 });
  const dataDir = await realpath(options.dataDir);
  const log = options.log ?? (() => undefined);
  const paths = clusterPaths(dataDir);
  const account = await serverAccount(paths);
  let binaries: Binaries | undefined;
  const programs = async (): Promise<Binaries> => {
    binaries ??= await findBinaries({
      account,
      places: account === undefined ? [dataDir] : ['/var/cache', tmpdir(), '/var/tmp', dataDir],
      major: await clusterMajor(paths),
      given: options.binaries,
    });
    return binaries;
  };

  if ((await clusterMajor(paths)) === undefined) {
    const { version } = await programs();
    log(
      `creating a PostgreSQL ${version} cluster in ${paths.home}${account === undefined ? '' : ` as account ${account.name}`}`,
    );
    await createCluster(paths, account, await programs());
    if ((await clusterMajor(paths)) === undefined) throw new Error(`${paths.home} is in the way: it holds no cluster`);
  }

  const use = await enter(paths.users, options.heldFor);
  let cluster: Cluster | undefined;
  try {
    const access = await readAccess(paths);
    const socket = await socketFolder(paths, access, account);
    cluster = { paths, access, socket, account, programs, log, settings: options.settings ?? {} };
    return opened(cluster, use, await bringUp(cluster), options.keepUp ?? false);
  } catch (error) {
    const { socket } = cluster ?? {};
    await use.leave(async () => (socket === undefined ? undefined : shutDown(paths, socket)));
    throw error;
  }
}

interface Cluster {
  readonly paths: ClusterPaths;
  readonly access: Access;
  readonly socket: string;
  readonly account: Account | undefined;
  readonly programs: () => Promise<Binaries>;
  readonly settings: Readonly<Record<string, string>>;
  readonly log: (line: string) => void;
}

type Up = Ready & { readonly adopted: boolean };

/** Joins the running server of the cluster or starts one, until it answers. */
async function bringUp({ paths, access, socket, account, programs, settings, log }: Cluster): Promise<Up> {
  const deadline = Date.now() + startLimitMs;
  const url = urlOf(access, socket, 'superuser', 'postgres');
  let pid = await runningPostmaster(paths);
  const adopted = pid !== undefined;
  for (;;) {
    let started: Started | undefined;
    if (pid === undefined) {
      await configureCluster(paths, socket, account, settings);
      started = await launch(paths, account, await programs());
    }
    const ready = await whenReady(paths, url, access, started, deadline);
    if (ready !== undefined) return { ...ready, adopted };
    // Down again, or going down: who holds the folder now?
    pid = await runningPostmaster(paths);
    if (pid === undefined) await recover(paths, socket, started, log);
    if (Date.now() > deadline) throw new Error(`PostgreSQL did not start in time, see ${paths.log}`);
  }
}

function opened(cluster: Cluster, use: Use, first: Up, keepUp: boolean): EmbeddedServer {
  const { paths, access, socket, log } = cluster;
  let up = first;
  let stopping: Promise<boolean> | undefined;
  let lookingAfter: Promise<void> | undefined;

  const lookAfter = async (): Promise<void> => {
    if ((await runningPostmaster(paths)) !== undefined || stopping !== undefined) return;
    log('PostgreSQL has gone down, starting it again');
    up = await bringUp(cluster);
  };
  const timer = setInterval(() => {
    lookingAfter ??= lookAfter()
      .catch((error: unknown) => log(`PostgreSQL stays down: ${error instanceof Error ? error.message : 'unknown'}`))
      .finally(() => {
        lookingAfter = undefined;
      });
  }, lookAfterMs).unref();
  if (!keepUp) clearInterval(timer);

  return {
    urls: {
      owner: urlOf(access, socket, 'owner'),
      service: urlOf(access, socket, 'service'),
      sequencer: urlOf(access, socket, 'sequencer'),
    },
    superuserUrl: urlOf(access, socket, 'superuser', 'postgres'),
    get pid() {
      return up.pid;
    },
    version: first.version,
    adopted: first.adopted,
    stop: async () => {
      clearInterval(timer);
      // A start under way ends first: what it starts must not be left behind.
      stopping ??= Promise.resolve(lookingAfter).then(() => use.leave(() => shutDown(paths, socket)));
      await stopping;
    },
    kill: (signal) => {
      process.kill(up.pid, signal);
    },
  };
}
