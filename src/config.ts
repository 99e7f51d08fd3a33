/* oxlint-disable max-lines -- every setting with its consequence in one table, and what is checked of them beside it */
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';

/**
 * Every setting of the hub, in one table. The README's settings table is checked against it, and a variable that starts with
 * `CERTHUB_` and is not here stops the start: a misspelt setting must not silently mean its default.
 */

interface Setting<T> {
  readonly name: string;
  /** What may be written, for people. */
  readonly type: string;
  /** The text that stands for an absent variable; an empty one means absent, or computed as `defaultShown` says. */
  readonly default: string;
  readonly defaultShown?: string;
  /** What follows from it. */
  readonly meaning: string;
  /** May be given as a path in `<name>_FILE`; its value never appears in a message. */
  readonly secret?: true;
  /** Turns the text into the value, or throws a sentence that completes "<name> …". */
  readonly parse: (text: string) => T;
}

class Fault extends Error {}

const setting = <T>(row: Setting<T>): Setting<T> => row;

const oneOf =
  <const T extends string>(...allowed: readonly T[]) =>
  (text: string): T => {
    const found = allowed.find((each) => each === text);
    if (found === undefined) throw new Fault(`must be one of ${allowed.join(', ')}`);
    return found;
  };

const onOff = (text: string): boolean => oneOf('on', 'off')(text) === 'on';

const whole =
  (least: number, most: number) =>
  (text: string): number => {
    const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= least && value <= most)) throw new Fault(`must be a whole number from ${least} to ${most}`);
    return value;
  };

const required = (text: string): string => {
  if (text.includes('\0')) throw new Fault('contains a NUL');
  return text;
};

const databaseUrl = (text: string): string | undefined => {
  if (text === '') return undefined;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^postgres(ql)?:$/.test(url.protocol)) {
    throw new Fault('must look like postgresql://role:password@host:5432/database');
  }
  return text;
};

const origin = (text: string): string | undefined => {
  if (text === '') return undefined;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) throw new Fault('must be an http:// or https:// address');
  // RFC 8414, section 2: an issuer has no query and no fragment. A path would move its well-known addresses.
  if (`${url.origin}/` !== url.href)
    throw new Fault('must be scheme, host and port only, without path, query or password');
  return url.origin;
};

const timeZone = (text: string): string => {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: text }).resolvedOptions().timeZone;
  } catch {
    throw new Fault('must be an IANA time zone, e.g. Asia/Shanghai');
  }
};

const networks = (text: string): readonly string[] =>
  text
    .split(/[\s,]+/)
    .filter((each) => each !== '')
    .map((each) => {
      const [address = '', bits, ...rest] = each.split('/');
      const most = { 0: 0, 4: 32, 6: 128 }[isIP(address)] ?? 0;
      const length = bits === undefined ? most : /^\d{1,3}$/.test(bits) ? Number(bits) : 0;
      // A prefix of length 0 would let every caller choose the address it is counted and logged under.
      if (rest.length > 0 || length < 1 || length > most) {
        throw new Fault('must be addresses or networks in CIDR notation, separated by commas, e.g. 10.1.0.0/16');
      }
      return each;
    });

/** Record kinds whose bodies may be erased after a time; the kinds that are evidence of the log itself never. */
const erasableKinds = ['access', 'certificate', 'registry', 'audit_read'] as const;
/** What has a time to be kept: those kinds, and what supervision was told. */
const keptKinds = [...erasableKinds, 'supervision'] as const;

const retention = (text: string): Readonly<Partial<Record<(typeof keptKinds)[number], number>>> =>
  Object.fromEntries(
    text
      .split(/[\s,]+/)
      .filter((each) => each !== '')
      .map((each) => {
        const [kind, months = ''] = each.split('=');
        const known = keptKinds.find((name) => name === kind);
        if (known === undefined || !/^[1-9]\d{0,3}$/.test(months)) {
          throw new Fault(`must be like access=120, with ${keptKinds.join(', ')} and months from 1 to 9999`);
        }
        return [known, Number(months)];
      }),
  );

const table = {
  mode: setting({
    name: 'CERTHUB_MODE',
    type: 'demo / production',
    default: 'production',
    meaning:
      '`demo` accepts the published demo keys and an end-of-life Node. `certhub demo` sets it; never set it for real data.',
    parse: oneOf('demo', 'production'),
  }),
  host: setting({
    name: 'CERTHUB_HOST',
    type: 'address',
    default: '127.0.0.1',
    meaning:
      'Where the hub listens, in plain HTTP. Anything but loopback needs `CERTHUB_BEHIND_TLS=on` in production: tokens and personal data would cross the network in clear.',
    parse: required,
  }),
  port: setting({
    name: 'CERTHUB_PORT',
    type: '1–65535',
    default: '8470',
    meaning: 'The port it listens on.',
    parse: whole(1, 65_535),
  }),
  issuer: setting({
    name: 'CERTHUB_ISSUER',
    type: 'URL',
    default: '',
    defaultShown: 'http://127.0.0.1 with that port',
    meaning:
      'Public base address, as callers write it. It is `iss` of tokens and answers, the one audience a client assertion may name, and stands in every sealed certificate as the address of its status list: choose it once.',
    parse: origin,
  }),
  behindTls: setting({
    name: 'CERTHUB_BEHIND_TLS',
    type: 'on / off',
    default: 'off',
    meaning:
      'Says that a proxy in front of the hub speaks TLS and that nobody else reaches its port. The hub cannot check it.',
    parse: onOff,
  }),
  trustedProxies: setting({
    name: 'CERTHUB_TRUSTED_PROXIES',
    type: 'addresses, CIDR',
    default: '',
    defaultShown: 'none',
    meaning:
      'Whose `X-Forwarded-For` is believed. Without it every caller behind a proxy counts as the proxy in rate limits and logs; too wide, and callers choose their own address.',
    parse: networks,
  }),
  databaseUrl: setting({
    name: 'DATABASE_URL',
    type: 'postgresql:// URL',
    default: '',
    defaultShown: 'embedded',
    secret: true,
    meaning:
      'The database, as a member of `certhub_service`. Without it the hub runs a private PostgreSQL in the data folder: one process, no replica.',
    parse: databaseUrl,
  }),
  migrationDatabaseUrl: setting({
    name: 'CERTHUB_MIGRATION_DATABASE_URL',
    type: 'postgresql:// URL',
    default: '',
    defaultShown: 'none',
    secret: true,
    meaning:
      'The same database as its owner, for `certhub migrate` and `certhub audit erase` alone. Do not give it to the running hub: the owner can rewrite records.',
    parse: databaseUrl,
  }),
  sequencer: setting({
    name: 'CERTHUB_SEQUENCER',
    type: 'on / off',
    default: 'on',
    meaning:
      '`off` leaves the transparency log to `certhub sequencer` processes. Several may run: one works, the others wait to take over. Without any, records stay out of the log and nothing proves them.',
    parse: onOff,
  }),
  sequencerDatabaseUrl: setting({
    name: 'CERTHUB_SEQUENCER_DATABASE_URL',
    type: 'postgresql:// URL',
    default: '',
    defaultShown: 'none',
    secret: true,
    meaning:
      'The same database as a member of `certhub_sequencer`, the only role that writes the log. Needed with `DATABASE_URL`; the embedded database has its own.',
    parse: databaseUrl,
  }),
  logOrigin: setting({
    name: 'CERTHUB_LOG_ORIGIN',
    type: 'name',
    default: '',
    defaultShown: 'host of the issuer + `/log`',
    meaning:
      'Name of the transparency log, in every checkpoint and known to every witness: choose it once. A hub does not sequence a log that bears another name.',
    parse: (text) => {
      if (text === '') return undefined;
      if (!/^[A-Za-z0-9._~:/[\]-]{1,200}$/.test(text)) throw new Fault('must be a host and path, without scheme');
      return text;
    },
  }),
  checkpointMs: setting({
    name: 'CERTHUB_CHECKPOINT_MS',
    type: '100–60000',
    default: '1000',
    meaning: 'How often the log is signed when it has grown. A record can be proved once that is published.',
    parse: whole(100, 60_000),
  }),
  witnessPolicy: setting({
    name: 'CERTHUB_WITNESS_POLICY',
    type: 'file',
    default: '',
    defaultShown: 'none',
    meaning:
      'Policy in the C2SP tlog-policy format: who witnesses the log, where, and how many must have cosigned a checkpoint before it is published. Without it the log has no witness: the operator could show different histories to different people.',
    parse: (text) => (text === '' ? undefined : required(text)),
  }),
  witnessDown: setting({
    name: 'CERTHUB_WITNESS_DOWN',
    type: 'hold / publish',
    default: 'hold',
    meaning:
      'When too few witnesses answer: `hold` keeps the published checkpoint where it is until they do, `publish` shows checkpoints without their cosignatures. Lookups and sequencing go on either way.',
    parse: oneOf('hold', 'publish'),
  }),
  witnessStopHours: setting({
    name: 'CERTHUB_WITNESS_STOP_HOURS',
    type: '0–720',
    default: '0',
    meaning: 'After so many hours without a quorum of witnesses the hub answers no more lookups (503). 0: never.',
    parse: whole(0, 720),
  }),
  retentionMonths: setting({
    name: 'CERTHUB_RETENTION_MONTHS',
    type: 'kind=months, …',
    default: 'access=120 certificate=360 registry=360 audit_read=120 supervision=120',
    meaning:
      'For how long the bodies of records are kept, by kind. Erasing a month before is refused; `certhub audit retention` lists what is due. `supervision`: after so many months a settled report of a fault or demand for paper is forgotten, by the hub itself; what it counts as stays. What is not named, and the evidence of erasures itself, is kept for good.',
    parse: retention,
  }),
  databaseConnections: setting({
    name: 'CERTHUB_DATABASE_CONNECTIONS',
    type: '2–200',
    default: '8',
    meaning:
      'Connections of one hub process for its work. It opens up to 3 more for records and for what is in force, and 2 for its sequencer: processes × (this + 5) must stay under the server’s `max_connections`.',
    parse: whole(2, 200),
  }),
  preparedStatements: setting({
    name: 'CERTHUB_PREPARED_STATEMENTS',
    type: 'on / off',
    default: 'on',
    meaning: '`off` behind a PgBouncer older than 1.21 in transaction mode; costs throughput.',
    parse: onOff,
  }),
  recordBatch: setting({
    name: 'CERTHUB_RECORD_BATCH',
    type: '1–1000',
    default: '300',
    meaning: 'Most audit records that share one insert. Answers wait for the commit of theirs, whatever its size.',
    parse: whole(1, 1_000),
  }),
  dataDir: setting({
    name: 'CERTHUB_DATA_DIR',
    type: 'folder',
    default: '.certhub',
    meaning: 'Embedded database and everything the hub keeps on disk. Must survive restarts.',
    parse: required,
  }),
  keysDir: setting({
    name: 'CERTHUB_KEYS_DIR',
    type: 'folder',
    default: '',
    defaultShown: '`keys` in the data folder',
    meaning:
      "The hub's private keys, encryption and index keys and deposited seals, as made by `certhub keys init`. Without them stored data cannot be read again: back them up apart from the database.",
    parse: (text) => (text === '' ? undefined : required(text)),
  }),
  logLevel: setting({
    name: 'CERTHUB_LOG_LEVEL',
    type: 'level',
    default: 'info',
    meaning: '`fatal`, `error`, `warn`, `info`, `debug`, `trace` or `silent`. No level prints personal data.',
    parse: oneOf('fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'),
  }),
  tokenTtlSeconds: setting({
    name: 'CERTHUB_TOKEN_TTL_SECONDS',
    type: '30–900',
    default: '600',
    meaning: 'Life of an access token. A disabled client or key is refused within a second all the same.',
    parse: whole(30, 900),
  }),
  rateLimitPerMinute: setting({
    name: 'CERTHUB_RATE_LIMIT_PER_MINUTE',
    type: '1–1000000',
    default: '120',
    meaning:
      'Calls of public operations (tokens, verification) per address and minute; more get 429 with `Retry-After`.',
    parse: whole(1, 1_000_000),
  }),
  bodyLimitBytes: setting({
    name: 'CERTHUB_BODY_LIMIT_BYTES',
    type: '4096–4194304',
    default: '262144',
    meaning: 'Largest request body; a larger one is refused before it is read to its end.',
    parse: whole(4_096, 4_194_304),
  }),
  cityTimeZone: setting({
    name: 'CERTHUB_CITY_TIME_ZONE',
    type: 'IANA time zone',
    default: 'Asia/Shanghai',
    meaning:
      'In which calendar certificates become valid and expire and quotas begin anew. Do not change it once certificates are sealed.',
    parse: timeZone,
  }),
  decisionDays: setting({
    name: 'CERTHUB_DECISION_DAYS',
    type: '1–365',
    default: '10',
    meaning:
      'Calendar days of the city for each decision on an application, and for each answer to a supply gap, a report of a fault or a contested demand for paper; the day it became pending is not counted. A late one is listed as overdue and counted in the log every hour; nothing is decided by the lapse of time.',
    parse: whole(1, 365),
  }),
  shutdownSeconds: setting({
    name: 'CERTHUB_SHUTDOWN_SECONDS',
    type: '1–300',
    default: '20',
    meaning: 'How long SIGTERM waits for calls under way before it cuts them off.',
    parse: whole(1, 300),
  }),
  allowOldNode: setting({
    name: 'CERTHUB_ALLOW_OLD_NODE',
    type: 'on / off',
    default: 'off',
    meaning:
      'Lets a production hub start on a Node that is past its end of life and gets no security fixes (CVE-2026-111497).',
    parse: onOff,
  }),
};

type Parsed = { readonly [Key in keyof typeof table]: ReturnType<(typeof table)[Key]['parse']> };

/**
 * The hub's settings, checked. `databaseUrl` undefined means the embedded PostgreSQL; `issuer` has no trailing slash;
 * folders are as written, relative to the working directory.
 */
export interface Config extends Omit<Parsed, 'issuer' | 'keysDir' | 'logOrigin'> {
  readonly issuer: string;
  readonly logOrigin: string;
  readonly keysDir: string;
  /** Sentences to print loudly at start-up: allowed, but somebody should know. */
  readonly warnings: readonly string[];
}

/** The settings as the README lists them. */
export const settings: readonly Omit<Setting<unknown>, 'parse'>[] = Object.values(table);

/** All that is wrong with the settings, at once. No fault repeats the value of a secret. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly faults: readonly string[];
  constructor(faults: readonly string[]) {
    super(
      `the settings have ${faults.length === 1 ? 'a fault' : `${faults.length} faults`}:\n- ${faults.join('\n- ')}`,
    );
    this.faults = faults;
  }
}

interface Surroundings {
  /** `process.versions.node`. */
  readonly nodeVersion: string;
  /** Content of a secret's file. */
  readonly readSecret?: (path: string) => string;
}

/**
 * Settings from environment variables; an empty variable counts as absent. Pure but for reading the files that `…_FILE` variables name.
 * Throws ConfigError with every fault.
 */
export function readConfig(
  env: Readonly<Record<string, string | undefined>>,
  { nodeVersion, readSecret = (path) => readFileSync(path, 'utf8') }: Surroundings,
): Config {
  const faults: string[] = unknownNames(Object.keys(env));
  const failed = new Set<string>();
  const read = ([key, row]: [string, Setting<unknown>]): [string, unknown] => {
    try {
      return [key, row.parse(textOf(row, env, readSecret) || row.default)];
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      faults.push(`${row.name} ${error.message}`);
      failed.add(key);
      return [key, row.parse(row.default)];
    }
  };
  // What failed has its default from here on, to look for contradictions among the rest; it never leaves this function.
  const parsed = Object.fromEntries(Object.entries<Setting<unknown>>(table).map(read)) as Parsed;
  const config = {
    ...parsed,
    issuer: parsed.issuer ?? `http://127.0.0.1:${parsed.port}`,
    // C2SP tlog-checkpoint: the origin should be the log's URL prefix without scheme and trailing slash.
    logOrigin: parsed.logOrigin ?? `${new URL(parsed.issuer ?? `http://127.0.0.1:${parsed.port}`).host}/log`,
    keysDir: parsed.keysDir ?? join(parsed.dataDir, 'keys'),
  };
  const node = judgeNode(nodeVersion);
  for (const { between, fault } of contradictions) {
    const found = fault(config, node);
    if (found !== undefined && !between.some((key) => failed.has(key))) faults.push(found);
  }
  if (faults.length > 0) throw new ConfigError(faults);
  return { ...config, warnings: warnings.map((warn) => warn(config, node)).filter((each) => each !== false) };
}

const names = Object.values(table).flatMap((row) => ('secret' in row ? [row.name, `${row.name}_FILE`] : [row.name]));

function unknownNames(given: readonly string[]): string[] {
  return given
    .filter((name) => name.startsWith('CERTHUB_') && !names.includes(name))
    .map((name) => `${name} is not a setting; the nearest is ${nearest(name)}`);
}

function nearest(name: string): string {
  // A name cut short or grown too long is nearer than one that merely shares letters.
  const far = (known: string): number => (known.startsWith(name) || name.startsWith(known) ? 0 : distance(known, name));
  const [first = ''] = [...names].sort((a, b) => far(a) - far(b));
  return first;
}

/** Levenshtein distance. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (const [i, letter] of a.split('').entries()) {
    const next = [i + 1];
    for (const [j, other] of b.split('').entries()) {
      next.push(Math.min((next[j] ?? 0) + 1, (row[j + 1] ?? 0) + 1, (row[j] ?? 0) + (letter === other ? 0 : 1)));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}

function textOf(
  row: Setting<unknown>,
  env: Readonly<Record<string, string | undefined>>,
  readSecret: (path: string) => string,
): string {
  const text = env[row.name] ?? '';
  const path = row.secret ? (env[`${row.name}_FILE`] ?? '') : '';
  if (path === '') return text;
  if (text !== '') throw new Fault(`is given twice, also as ${row.name}_FILE`);
  try {
    const content = readSecret(path).trim();
    if (content === '') throw new Fault(`is empty in the file of ${row.name}_FILE`);
    return content;
  } catch (error) {
    if (error instanceof Fault) throw error;
    throw new Fault(`cannot be read from the file that ${row.name}_FILE names`);
  }
}

/** First versions with the fix of CVE-2026-111497 (remote code execution in the Brotli decoder), by release line. */
const fixedNode: Readonly<Record<number, readonly [number, number]>> = { 22: [23, 4], 24: [22, 1], 26: [12, 1] };
const recommendedNode = '22.23.4, 24.22.1 or 26.12.1';
const oldestNode = [20, 19] as const;

type NodeState = 'good' | 'unfixed' | 'end-of-life' | 'too-old';

function judgeNode(version: string): NodeState {
  const [major = 0, minor = 0, patch = 0] = version.replace(/^v/, '').split('.').map(Number);
  if (major < oldestNode[0] || (major === oldestNode[0] && minor < oldestNode[1])) return 'too-old';
  const fixed = fixedNode[major];
  if (fixed === undefined) return major < 26 ? 'end-of-life' : 'good';
  return minor > fixed[0] || (minor === fixed[0] && patch >= fixed[1]) ? 'good' : 'unfixed';
}

const isLoopback = (host: string): boolean => /^(localhost|127(\.\d{1,3}){3}|\[?::1\]?)$/i.test(host);

const accountOf = (url: string): string => {
  const { username, host, pathname } = new URL(url);
  return `${username}@${host}${pathname}`;
};

type Settings = Omit<Config, 'warnings'>;

interface Contradiction {
  readonly between: readonly (keyof Parsed)[];
  readonly fault: (config: Settings, node: NodeState) => string | undefined;
}

const isOpenProduction = ({ mode, behindTls }: Settings): boolean => mode === 'production' && !behindTls;

const contradictions: readonly Contradiction[] = [
  {
    between: ['mode', 'behindTls', 'host'],
    fault: (config) =>
      isOpenProduction(config) && !isLoopback(config.host)
        ? `CERTHUB_HOST ${config.host} would carry tokens and personal data in plain HTTP; put TLS in front and say CERTHUB_BEHIND_TLS=on`
        : undefined,
  },
  {
    between: ['mode', 'behindTls', 'issuer'],
    fault: (config) =>
      isOpenProduction(config) && config.issuer.startsWith('http:') && !isLoopback(new URL(config.issuer).hostname)
        ? 'CERTHUB_ISSUER is http:// and not on loopback; write the https:// address, or say CERTHUB_BEHIND_TLS=on'
        : undefined,
  },
  {
    between: ['databaseUrl', 'migrationDatabaseUrl'],
    fault: ({ databaseUrl, migrationDatabaseUrl }) =>
      migrationDatabaseUrl !== undefined && databaseUrl === undefined
        ? 'CERTHUB_MIGRATION_DATABASE_URL is given without DATABASE_URL; the embedded database needs neither'
        : undefined,
  },
  {
    between: ['databaseUrl', 'migrationDatabaseUrl'],
    fault: ({ databaseUrl: service, migrationDatabaseUrl: owner }) =>
      owner !== undefined && service !== undefined && accountOf(owner) === accountOf(service)
        ? 'DATABASE_URL and CERTHUB_MIGRATION_DATABASE_URL are the same account; the hub must not own its records'
        : undefined,
  },
  {
    between: ['databaseUrl', 'sequencerDatabaseUrl'],
    fault: ({ databaseUrl: service, sequencerDatabaseUrl: sequencer }) =>
      service !== undefined && sequencer !== undefined && accountOf(service) === accountOf(sequencer)
        ? 'DATABASE_URL and CERTHUB_SEQUENCER_DATABASE_URL are the same account; who answers must not write the log'
        : undefined,
  },
  {
    between: [],
    fault: (_, node) =>
      node === 'too-old' ? `Node is older than ${oldestNode.join('.')}; run ${recommendedNode} or newer` : undefined,
  },
  {
    between: ['mode', 'allowOldNode'],
    fault: ({ mode, allowOldNode }, node) =>
      node === 'end-of-life' && mode === 'production' && !allowOldNode
        ? `this Node is past its end of life and CVE-2026-111497 stays open in it; run ${recommendedNode} or newer, or say CERTHUB_ALLOW_OLD_NODE=on`
        : undefined,
  },
];

const isPlainRemote = (url: string): boolean => {
  const { hostname, searchParams } = new URL(url);
  const encrypted = /^(require|verify-ca|verify-full)$/.test(searchParams.get('sslmode') ?? '');
  return hostname !== '' && !isLoopback(hostname) && !encrypted;
};

const warnings: readonly ((config: Settings, node: NodeState) => string | false)[] = [
  (_, node) =>
    (node === 'unfixed' || node === 'end-of-life') &&
    `this Node ${node === 'unfixed' ? 'lacks a security fix' : 'is past its end of life'}: CVE-2026-111497, remote code execution, known to be exploited; run ${recommendedNode} or newer`,
  ({ mode, databaseUrl }) =>
    mode === 'production' &&
    databaseUrl === undefined &&
    'production on the embedded database: one process, one disk, no replica; set DATABASE_URL',
  ({ mode, databaseUrl }) =>
    mode === 'production' &&
    databaseUrl !== undefined &&
    isPlainRemote(databaseUrl) &&
    'the way to the database is not encrypted; add ?sslmode=verify-full to DATABASE_URL',
  ({ sequencer, databaseUrl, sequencerDatabaseUrl }) =>
    sequencer &&
    databaseUrl !== undefined &&
    sequencerDatabaseUrl === undefined &&
    'CERTHUB_SEQUENCER_DATABASE_URL is not set: this process does not write the transparency log; `certhub sequencer` must run elsewhere',
  ({ migrationDatabaseUrl }) =>
    migrationDatabaseUrl !== undefined &&
    'CERTHUB_MIGRATION_DATABASE_URL is for `certhub migrate` and `certhub audit erase` alone: whoever takes over a hub that has it can rewrite records',
  ({ behindTls, trustedProxies }) =>
    behindTls &&
    trustedProxies.length === 0 &&
    "CERTHUB_TRUSTED_PROXIES is empty: all callers share the proxy's address in rate limits and logs",
  ({ mode, databaseUrl }) =>
    mode === 'demo' &&
    databaseUrl !== undefined &&
    'demo mode on the database of DATABASE_URL: synthetic people and published keys go into it',
  ({ mode, host }) =>
    mode === 'demo' &&
    !isLoopback(host) &&
    `demo mode listens on ${host}: its keys are published, so anybody who reaches it may call it`,
];
