import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { fsck, lateDefaultMs } from '../audit/fsck/fsck.ts';
import { countFindings } from '../audit/fsck/fsck-findings.ts';
import type { FsckState } from '../audit/fsck/fsck-state.ts';
import { certificateCheck, statusCheck } from '../certificates/check-certificates.ts';
import { readConfig } from '../config.ts';
import { permissionChecks } from '../grants/check-permissions.ts';
import { loadKeys } from '../signing/key-store.ts';
import { type LogPolicy, parseLogPolicy } from '../verification/log-policy.ts';
import type { CommandIo } from './command-io.ts';
import { fsckProgress } from './fsck-progress.ts';
import { readRegistryNow } from './fsck-registry.ts';
import { openDatabase } from './open.ts';
import { printable } from './printable.ts';
import { UsageError } from './usage-error.ts';

export const help = `certhub fsck: proves the audit log of a live hub against itself, and names whatever was changed

  certhub fsck [--state FILE] [--json] [--from YYYY-MM] [--until YYYY-MM] [--late SECONDS] [--policy FILE] [--witness-lag MINUTES]

  Bodies against commitments and leaves, search columns against bodies, leaves against tiles, roots and signed checkpoints, cosignatures,
  the queue, month seals, erasures, what certificates, catalogue, permissions, fault reports and demands for paper say against what was
  recorded, and tickets and one-time codes against the hub's keys. It reads under the service's role and changes nothing; what is appended while it runs is no finding.

  --state FILE      keeps how far it came; started again with the same file after Ctrl-C or a crash, it goes on there
  --json            the report as JSON
  --from, --until   opens only the records from the first month to before the second (UTC); leaves and tree are checked in whole
  --late            seconds a record may wait for its leaf (default 60)
  --policy          witness policy to check cosignatures with (default CERTHUB_WITNESS_POLICY)
  --witness-lag     minutes that may pass without a quorum of witnesses (default 60)

  Exit code 0: nothing found; 1: findings; 2: wrong usage; 3: could not finish.
`;

/** What to do with findings; the order matters: whoever repairs destroys evidence. */
const advice = [
  'Keep this report, a copy of the database and the last checkpoint; do not repair anything; compare with a replica or a backup.',
  '请保留本报告、数据库副本和最近的检查点；不要修复任何数据；与副本或备份核对。',
];

const exitCodes = { clean: 0, findings: 1, usage: 2, unfinished: 3 } as const;

/** Runs the self-check over the database of the settings. */
export async function run(argv: readonly string[], io: CommandIo): Promise<number> {
  let options: Options;
  try {
    const parsed = readOptions(argv);
    if (parsed === undefined) {
      io.stdout.write(help);
      return exitCodes.clean;
    }
    options = parsed;
  } catch (error) {
    io.stderr.write(`certhub fsck: ${error instanceof Error ? error.message : 'wrong usage'}\n\n${help}`);
    return exitCodes.usage;
  }
  const stopping = new AbortController();
  const stop = (): void => stopping.abort();
  process.once('SIGINT', stop).once('SIGTERM', stop);
  try {
    return await check(options, io, stopping.signal);
  } catch (error) {
    if (error instanceof UsageError) {
      io.stderr.write(`certhub fsck: ${error.message}\n`);
      return exitCodes.usage;
    }
    io.stderr.write(
      `certhub fsck: could not finish: ${printable(error instanceof Error ? error.message : 'failed')}\n`,
    );
    return exitCodes.unfinished;
  } finally {
    process.off('SIGINT', stop).off('SIGTERM', stop);
  }
}

interface Options {
  readonly state: string | undefined;
  readonly json: boolean;
  readonly from: string | undefined;
  readonly until: string | undefined;
  readonly lateMs: number;
  readonly policy: string | undefined;
  readonly witnessMs: number;
}

function readOptions(argv: readonly string[]): Options | undefined {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      state: { type: 'string' },
      json: { type: 'boolean', default: false },
      from: { type: 'string' },
      until: { type: 'string' },
      late: { type: 'string', default: String(lateDefaultMs / 1000) },
      policy: { type: 'string' },
      'witness-lag': { type: 'string', default: '60' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return undefined;
  const { state, json, policy } = values;
  const [from, until] = [month(values.from, 'from'), month(values.until, 'until')];
  if (from !== undefined && until !== undefined && from >= until) throw new UsageError('--from is not before --until');
  const lateMs = 1000 * amount(values.late, 'late');
  return { state, json, from, until, lateMs, policy, witnessMs: 60_000 * amount(values['witness-lag'], 'witness-lag') };
}

function month(text: string | undefined, option: string): string | undefined {
  if (text === undefined || /^\d{4}-(?:0[1-9]|1[0-2])$/.test(text)) return text;
  throw new UsageError(`--${option} is a month, YYYY-MM`);
}

function amount(text: string, option: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new UsageError(`--${option} is a number`);
  return Number(text);
}

async function check(options: Options, io: CommandIo, signal: AbortSignal): Promise<number> {
  const config = readConfig(io.env, { nodeVersion: process.versions.node });
  const policy = readPolicy(options.policy ?? config.witnessPolicy);
  const resumed = options.state === undefined ? undefined : readState(options.state, options);
  if (!existsSync(config.keysDir)) {
    throw new UsageError(`there is no keys folder at ${config.keysDir}: set CERTHUB_KEYS_DIR to the keys of this hub`);
  }
  const keys = loadKeys(config.keysDir, { mode: config.mode });
  const { db, close } = await openDatabase(config, (line) => void io.stderr.write(`${line}\n`), false);
  const progress = fsckProgress(io.stderr);
  const keep = keeper(options.state);
  try {
    const { lateMs, witnessMs, from, until } = options;
    const state = await fsck(
      {
        db,
        keys,
        now: () => new Date(),
        registry: () => readRegistryNow(db, keys),
        further: [certificateCheck({ db, box: keys.box }), statusCheck(db), ...permissionChecks({ db, keys })],
      },
      {
        origin: config.logOrigin,
        policy,
        lateMs,
        witnessMs,
        from,
        until,
        state: resumed,
        signal,
        progress: (now) => {
          keep.note(now);
          progress.show(now);
        },
      },
    );
    progress.end();
    keep.end(state);
    io.stdout.write(
      options.json
        ? `${JSON.stringify(reportOf(state, policy), null, 2)}\n`
        : textOf(state, policy, from !== undefined || until !== undefined),
    );
    if (state.step !== 'done') return exitCodes.unfinished;
    return countFindings(state.findings) === 0 ? exitCodes.clean : exitCodes.findings;
  } finally {
    progress.end();
    keep.flush();
    await close();
  }
}

function readPolicy(file: string | undefined): LogPolicy | undefined {
  if (file === undefined) return undefined;
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    throw new UsageError('the policy file cannot be read');
  }
  const policy = parseLogPolicy(text);
  if (!policy.ok) throw new UsageError(`policy, line ${policy.line}: ${policy.reason}`);
  return policy.value;
}

/** A state to go on from, made by the same question. */
function readState(file: string, { lateMs, from, until }: Options): FsckState | undefined {
  if (!existsSync(file)) return undefined;
  let state: Partial<FsckState>;
  try {
    state = JSON.parse(readFileSync(file, 'utf8')) as Partial<FsckState>;
  } catch {
    throw new UsageError('the state file cannot be read: remove it to begin anew');
  }
  if (state.format !== 'certhub-fsck/1')
    throw new UsageError('the state file is none of this version: remove it to begin anew');
  const { span } = state;
  const isSame =
    state.lateMs === lateMs &&
    span?.from.slice(0, 7) === (from ?? '-infinity').slice(0, 7) &&
    span.until.slice(0, 7) === (until ?? 'infinity').slice(0, 7);
  if (!isSame) throw new UsageError('the state file belongs to other options: remove it to begin anew');
  return state as FsckState;
}

const keptEveryMs = 2_000;

/** Stores the state now and then: whole or not at all. Removed at the end. */
function keeper(file: string | undefined) {
  let last = 0;
  let waiting: string | undefined;
  const store = (): void => {
    if (file === undefined || waiting === undefined) return;
    writeFileSync(`${file}.new`, waiting, { mode: 0o600 });
    renameSync(`${file}.new`, file);
    waiting = undefined;
    last = performance.now();
  };
  return {
    note: (state: FsckState): void => {
      if (file === undefined) return;
      // As text, because the state changes on.
      waiting = JSON.stringify(state);
      if (performance.now() - last >= keptEveryMs) store();
    },
    flush: store,
    end: (state: FsckState): void => {
      if (file === undefined) return;
      waiting = state.step === 'done' ? undefined : JSON.stringify(state);
      if (waiting === undefined) rmSync(file, { force: true });
      else store();
    },
  };
}

/** What `--json` prints. */
function reportOf(state: FsckState, policy: LogPolicy | undefined): object {
  const { trail, figures, findings } = state;
  return {
    format: 'certhub-fsck-report/1',
    finished: state.step === 'done',
    startedAt: state.startedAt,
    origin: state.origin,
    size: state.leaves,
    root: state.head?.root ?? null,
    opened: state.span,
    figures,
    checkpoints: trail.checkpoints,
    witnesses: {
      checked: policy !== undefined,
      quorumSize: policy === undefined ? null : (trail.witnessed?.size ?? 0),
      leavesBehind:
        trail.newest === null || policy === undefined ? null : trail.newest.size - (trail.witnessed?.size ?? 0),
      cosignaturesUnchecked: trail.unchecked,
    },
    count: countFindings(findings),
    counts: findings.counts,
    findings: findings.listed,
  };
}

function textOf(state: FsckState, policy: LogPolicy | undefined, isRange: boolean): string {
  const { figures, trail, findings } = state;
  const count = countFindings(findings);
  const lines = [
    `log ${state.origin ?? '(none yet)'}: ${figures.leaves} leaves, ${trail.checkpoints} checkpoints`,
    `records: ${figures.records} looked at, ${figures.opened} whole, ${figures.erased} erased by right`,
    ...permissionLines(state),
    ...(isRange && figures.records === 0 && state.step === 'done'
      ? ['no record of these months: --from and --until leave nothing to open']
      : []),
    ...(trail.newest === null ? [] : [`witnesses: ${witnessText(trail, policy)}`]),
    ...(state.step === 'done' ? [] : ['STOPPED before the end: start it again with the same --state to go on']),
    count === 0
      ? `nothing found${state.step === 'done' ? '' : ' so far'}`
      : `${count} ${count === 1 ? 'FINDING' : 'FINDINGS'}`,
    ...findings.listed.map(({ code, place, says }) => `${code} ${placeText(place)}: ${says}`),
    ...(count > findings.listed.length
      ? [`… and ${count - findings.listed.length} more, by code: ${JSON.stringify(findings.counts)}`]
      : []),
    ...(count === 0 ? [] : advice),
  ];
  // Names of places come from the database, which is what is in doubt.
  return lines.map((line) => `${printable(line)}\n`).join('');
}

const permissionLines = ({ step, figures: { rows } }: FsckState): string[] =>
  step === 'done' ? [`${rows['tickets']} tickets, ${rows['holder_codes']} one-time codes looked at`] : [];

function witnessText({ newest, witnessed, unchecked }: FsckState['trail'], policy: LogPolicy | undefined): string {
  if (policy === undefined) return 'cosignatures not checked: no policy';
  if (policy.quorum === undefined) return 'the policy asks for no quorum';
  const others = unchecked === 0 ? '' : `; ${unchecked} cosignatures of witnesses that the policy does not name`;
  return `quorum up to ${witnessed?.size ?? 0} of ${newest?.size ?? 0}${others}`;
}

const placeText = (place: object): string =>
  Object.entries(place)
    .map(([name, value]) => `${name}=${Array.isArray(value) ? value.join(',') : String(value)}`)
    .join(' ');
