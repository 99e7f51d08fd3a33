import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmod,
  chown,
  lstat,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type pg from 'pg';
import { type Account, type Binaries, runAs, serverEnvironment } from './embedded-binaries.ts';
import { processBeginning } from './embedded-users.ts';
import { createRoleOnce, groups } from './migrate.ts';

/** Roles of the embedded cluster that may log in. */
export type LoginRole = 'superuser' | 'owner' | 'service' | 'sequencer';

/** What is needed to get in; kept with mode 0600 beside the cluster. */
export interface Access {
  readonly passwords: Readonly<Record<LoginRole, string>>;
  /** Folder of the server's socket when the cluster's own path is too long for one. */
  readonly socketFolder?: string;
}

const roleNames: Readonly<Record<LoginRole, string>> = {
  superuser: 'postgres',
  owner: 'certhub_owner',
  service: 'certhub_service_login',
  sequencer: 'certhub_sequencer_login',
};

const port = 5432;
/** sun_path holds 104 bytes on macOS and 108 on Linux, a closing NUL included. */
const longestSocketPath = 103;

/** The folders and files of an embedded cluster below `dataDir/postgres`. */
export const clusterPaths = (dataDir: string) => {
  const home = join(dataDir, 'postgres');
  return {
    home,
    data: join(home, 'data'),
    access: join(home, 'access.json'),
    users: join(home, 'users'),
    log: join(home, 'server.log'),
  };
};
export type ClusterPaths = ReturnType<typeof clusterPaths>;

/** A libpq-style URL over the Unix socket. It holds a password: never log it. */
export const urlOf = (access: Access, socketFolder: string, role: LoginRole, database = 'certhub'): string =>
  `postgresql://${roleNames[role]}:${access.passwords[role]}@localhost/${database}?host=${encodeURIComponent(socketFolder)}`;

/** On Linux a folder can be named through the working directory, whatever the rights on the folders above it. */
export const insideWorkingDirectory = process.platform === 'linux';

/** How the server names the cluster's folder, its working directory. */
export const dataArgument = (paths: ClusterPaths, account: Account | undefined): string =>
  account !== undefined && insideWorkingDirectory ? '/proc/self/cwd' : paths.data;

/**
 * The account for a server started by root, which PostgreSQL refuses to run as: the owner of an existing cluster, else the first
 * of these that the machine has. undefined: our own account will do. Never creates an account.
 */
export async function serverAccount(paths: ClusterPaths): Promise<Account | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const accounts = (await readFile('/etc/passwd', 'utf8')).split('\n').flatMap((line): Account[] => {
    const [name, , uid, gid] = line.split(':');
    return name === undefined || uid === undefined || Number(uid) === 0
      ? []
      : [{ name, uid: Number(uid), gid: Number(gid) }];
  });
  const owner = await stat(paths.data).then(
    (found) => found.uid,
    () => undefined,
  );
  const fitting =
    owner === undefined
      ? ['certhub', 'postgres', '_postgres', 'nobody'].map((name) => accounts.find((account) => account.name === name))
      : accounts.filter((account) => account.uid === owner);
  const account = fitting.find((candidate) => candidate !== undefined);
  if (account === undefined) {
    throw new Error(
      owner === undefined
        ? 'PostgreSQL refuses to run as root, and this machine has no account certhub, postgres or nobody to run it as'
        : `the cluster in ${paths.data} belongs to account ${owner}, which this machine does not know`,
    );
  }
  return account;
}

/** Major version of the cluster in the folder; undefined when there is none yet. */
export async function clusterMajor(paths: ClusterPaths): Promise<number | undefined> {
  const text = await readFile(join(paths.data, 'PG_VERSION'), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  return text === undefined ? undefined : Number.parseInt(text, 10);
}

export async function readAccess(paths: ClusterPaths): Promise<Access> {
  return JSON.parse(await readFile(paths.access, 'utf8')) as Access;
}

/** The owner is set on the open file: in the account's own folder a path may by then be a link to somebody else's file. */
async function writePrivately(path: string, text: string, account?: Account): Promise<void> {
  const draft = `${path}.${randomBytes(6).toString('hex')}`;
  const file = await open(draft, 'wx', 0o600);
  try {
    await file.writeFile(text);
    if (account !== undefined) await file.chown(account.uid, account.gid);
  } finally {
    await file.close();
  }
  await rename(draft, path);
}

/**
 * The folder of the socket: the cluster's own, which only the account can enter; when its path is too long for a socket, a
 * private one below the system's temporary folder, remembered so that addresses outlive a restart.
 */
export async function socketFolder(paths: ClusterPaths, access: Access, account: Account | undefined): Promise<string> {
  if (Buffer.byteLength(join(paths.data, `.s.PGSQL.${port}`)) <= longestSocketPath) return paths.data;
  const uid = account?.uid ?? process.getuid?.();
  if (access.socketFolder !== undefined) {
    const found = await lstat(access.socketFolder).catch(() => undefined);
    if (found?.isDirectory() === true && found.uid === uid && (found.mode & 0o077) === 0) return access.socketFolder;
  }
  const parent = Buffer.byteLength(tmpdir()) <= 60 ? tmpdir() : '/tmp';
  const folder = await mkdtemp(join(parent, 'certhub-'));
  await chmod(folder, 0o700);
  if (account !== undefined) await chown(folder, account.uid, account.gid);
  await writePrivately(paths.access, JSON.stringify({ ...access, socketFolder: folder }));
  return folder;
}

/**
 * Every start writes these anew. No statement, parameter or error text of a statement reaches the server's log:
 * `log_min_messages=log` leaves out errors, whose text can quote a value; LOG, FATAL and PANIC are about the server itself.
 */
export async function configureCluster(
  paths: ClusterPaths,
  socket: string,
  account: Account | undefined,
  extra: Readonly<Record<string, string>>,
): Promise<void> {
  const settings: Record<string, string> = {
    listen_addresses: '',
    port: String(port),
    // Relative to the cluster's folder, the server's working directory, which need not be reachable by its path.
    unix_socket_directories: socket === paths.data ? '.' : socket,
    unix_socket_permissions: '0700',
    fsync: 'on',
    full_page_writes: 'on',
    synchronous_commit: 'on',
    password_encryption: 'scram-sha-256',
    max_connections: '100',
    jit: 'off',
    TimeZone: 'UTC',
    log_timezone: 'UTC',
    log_destination: 'stderr',
    logging_collector: 'off',
    log_min_messages: 'log',
    log_min_error_statement: 'panic',
    log_error_verbosity: 'terse',
    log_statement: 'none',
    log_duration: 'off',
    log_min_duration_statement: '-1',
    log_parameter_max_length: '0',
    log_parameter_max_length_on_error: '0',
    log_connections: 'off',
    log_checkpoints: 'off',
    log_lock_waits: 'off',
    log_autovacuum_min_duration: '-1',
    ...extra,
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} = '${value.replaceAll("'", "''")}'\n`);
  await writePrivately(join(paths.data, 'certhub.conf'), lines.join(''), account);
}

/**
 * Makes the cluster: in a folder of another name that takes its place by one rename, so that a crash leaves nothing half-made
 * and of two processes one wins. Its superuser, passwords and rules of access are in place before the server first listens.
 */
export async function createCluster(
  paths: ClusterPaths,
  account: Account | undefined,
  binaries: Binaries,
): Promise<void> {
  const parent = dirname(paths.home);
  const prefix = 'postgres.new-';
  for (const name of (await readdir(parent)).filter((entry) => entry.startsWith(prefix))) {
    const [pid, beginning] = name.slice(prefix.length).split('-');
    if ((await processBeginning(Number(pid))) !== beginning)
      await rm(join(parent, name), { recursive: true, force: true });
  }
  const mark = `${process.pid}-${await processBeginning(process.pid)}-${randomBytes(4).toString('hex')}`;
  const draft = { ...clusterPaths(parent), home: join(parent, `${prefix}${mark}`) };
  const data = join(draft.home, 'data');
  try {
    await mkdir(data, { recursive: true, mode: 0o700 });
    await mkdir(join(draft.home, 'users'), { mode: 0o700 });
    if (account !== undefined) await chown(data, account.uid, account.gid);
    const password = () => randomBytes(24).toString('base64url');
    const access: Access = {
      passwords: { superuser: password(), owner: password(), service: password(), sequencer: password() },
    };
    await writePrivately(join(draft.home, 'access.json'), JSON.stringify(access));
    await initialise({ ...draft, data }, access.passwords.superuser, account, binaries);
    await rename(draft.home, paths.home).catch((error: NodeJS.ErrnoException) => {
      // Another process was faster; its cluster is as good.
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
  } finally {
    await rm(draft.home, { recursive: true, force: true });
  }
}

async function initialise(
  paths: ClusterPaths,
  password: string,
  account: Account | undefined,
  binaries: Binaries,
): Promise<void> {
  const passwordFile = join(paths.home, 'password');
  await writeFile(passwordFile, password, { mode: 0o600 });
  if (account !== undefined) await chown(passwordFile, account.uid, account.gid);
  // Handed over open: the account may not be able to walk to it.
  const handle = await open(passwordFile, 'r');
  try {
    const locale =
      binaries.major >= 17
        ? ['--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8']
        : [process.platform === 'linux' ? '--locale=C.UTF-8' : '--locale=C'];
    const options = ['--auth=scram-sha-256', '--pwfile=/dev/fd/3', '--encoding=UTF8', '--data-checksums', ...locale];
    const child = spawn(
      join(binaries.bin, 'initdb'),
      ['-D', dataArgument(paths, account), '-U', roleNames.superuser, ...options],
      { cwd: paths.data, env: serverEnvironment, stdio: ['ignore', 'ignore', 'pipe', handle.fd], ...runAs(account) },
    );
    let complaint = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      complaint = (complaint + text).slice(-2000);
    });
    const status = await new Promise((resolve, reject) => child.once('error', reject).once('close', resolve));
    if (status !== 0) throw new Error(`initdb failed in ${paths.data}: ${complaint.trim()}`);
  } finally {
    await handle.close();
    await rm(passwordFile, { force: true });
  }
  const owned = (name: string, text: string) => writePrivately(join(paths.data, name), text, account);
  await owned('pg_hba.conf', 'local all all scram-sha-256\n');
  await owned(
    'postgresql.conf',
    `# Written by certhub at every start:\ninclude 'certhub.conf'\n# Your own settings below win.\n`,
  );
}

/** Milliseconds; 0 waits for ever. Connections may choose shorter ones. */
const limits: Readonly<Record<'owner' | 'service' | 'sequencer', Readonly<Record<string, string>>>> = {
  owner: { statement_timeout: '0', lock_timeout: '15s', idle_in_transaction_session_timeout: '10min' },
  service: { statement_timeout: '10s', lock_timeout: '5s', idle_in_transaction_session_timeout: '15s' },
  sequencer: { statement_timeout: '30s', lock_timeout: '5s', idle_in_transaction_session_timeout: '15s' },
};

const furnished = `select
  (select count(*) = cardinality($1::text[]) from pg_roles where rolname = any($1)) and
  exists (select from pg_database where datname = 'certhub' and datacl is not null) as done`;

/**
 * Makes roles and database as the superuser; only looks when they are there. Safe to run at once in many processes and after a
 * crash in the middle. The client must be closed afterwards: it holds a lock until then.
 */
export async function furnishCluster(client: pg.Client, access: Access): Promise<void> {
  const logins = ['owner', 'service', 'sequencer'] as const;
  const wanted = [...groups, ...logins.map((login) => roleNames[login])];
  const isDone = async () => (await client.query<{ done: boolean }>(furnished, [wanted])).rows[0]?.done === true;
  if (await isDone()) return;
  await client.query(`select pg_advisory_lock(hashtext('certhub.furnish'))`);
  if (await isDone()) return;

  for (const group of groups) await client.query(createRoleOnce(group, 'nologin'));
  for (const login of logins) {
    const name = roleNames[login];
    await client.query(createRoleOnce(name, 'login'));
    await client.query(
      `alter role ${name} login nosuperuser nocreatedb nocreaterole noreplication password '${access.passwords[login]}'`,
    );
    for (const [limit, value] of Object.entries(limits[login])) {
      await client.query(`alter role ${name} set ${limit} = '${value}'`);
    }
  }
  await client.query(`grant certhub_service to ${roleNames.service}`);
  await client.query(`grant certhub_sequencer to ${roleNames.sequencer}`);
  const { rowCount } = await client.query(`select from pg_database where datname = 'certhub'`);
  if (rowCount === 0) await client.query(`create database certhub owner ${roleNames.owner}`);
  await client.query('revoke all on database certhub from public');
  await client.query(`grant connect on database certhub to ${groups.join(', ')}`);
}
