import { parseArgs } from 'node:util';
import { checkLog } from '../verification/log-check.ts';
import type { JudgedCheckpoint, LogPolicy } from '../verification/log-policy.ts';
import type { LogReport, OlderCheckpoint } from '../verification/log-report.ts';
import { verifyProof } from '../verification/tlog-proof.ts';
import type { TrustBundle } from '../verification/trust-bundle.ts';
import { checkAnswer, readTrust } from './audit-answer-check.ts';
import { isUsageError, readPolicy, readText, UsageError } from './audit-inputs.ts';
import { isAddress, logSource } from './audit-log-source.ts';
import { wordsOf } from './audit-log-words.ts';
import { readEntry } from './audit-proof-entry.ts';
import { asJson, asText, exitCodeOf, printable, type Report, type Words } from './audit-report.ts';
import { checkExport } from './audit-verify-export.ts';
import {
  checkpointFacts,
  compareOlder,
  label,
  notEverything,
  signedBy,
  withoutWitnesses,
} from './audit-verify-parts.ts';
import type { CommandIo } from './keys.ts';

/** The usage. */
export const help = `certhub audit verify: check audit evidence offline, without server and database

  certhub audit verify EXPORT       an export of the audit log (.ndjson); - for standard input
  certhub audit verify PROOF        a .tlog-proof, with the record it is about:
      --answer FILE                 the answer (JWS) or the lookup's JSON that came with the record; or
      --trust BUNDLE                with it the signature of the answer is checked too (see certhub trust export)
      --kind KIND --commitment TEXT its kind (access, certificate, … or number) and commitment (base64url)
  certhub audit verify --log PLACE  a whole log: a folder with its files, or its address (https://hub/log)

  Whom to believe, needed always:
      --policy FILE       keys of the log and its witnesses, and how many of them must have signed (C2SP tlog-policy)
      --log-key KEY       the key of the log alone, as text or in a file; may be repeated
      Get them from somewhere else than the file that you check.
  More:
      --checkpoint FILE   a checkpoint you kept: is it part of the same history? May be repeated
      --json              print the result as JSON

  Exit code: 0 correct as far as listed under Proved · 14 nothing wrong, but something could not be told (see there)
  17 wrong · 2 wrong usage or something that cannot be read
`;

const maxBundleBytes = 128 * 2 ** 20;

/** Runs `certhub audit verify …`; `clock` in epoch milliseconds. */
export async function run(argv: readonly string[], io: CommandIo, clock: () => number = Date.now): Promise<number> {
  try {
    const options = readOptions(argv);
    if (options === undefined) {
      io.stdout.write(help);
      return 0;
    }
    const policy = await readPolicy(options.policy, options.logKeys);
    const older: OlderCheckpoint[] = [];
    for (const file of options.checkpoints) older.push({ file, note: await readText(file, 'the checkpoint') });
    const report = await check(options, { policy, older, io, now: clock() });
    io.stdout.write(options.json ? asJson(report) : asText(report));
    return exitCodeOf(report);
  } catch (error) {
    if (!isUsageError(error)) throw error;
    io.stderr.write(`certhub audit verify: ${printable(error.message)}\nSee certhub audit verify --help.\n`);
    return 2;
  }
}

type Options = NonNullable<ReturnType<typeof readOptions>>;

function readOptions(argv: readonly string[]) {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    strict: true,
    options: {
      log: { type: 'string' },
      policy: { type: 'string' },
      'log-key': { type: 'string', multiple: true, default: [] },
      checkpoint: { type: 'string', multiple: true, default: [] },
      answer: { type: 'string' },
      trust: { type: 'string' },
      kind: { type: 'string' },
      commitment: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return undefined;
  const [file, ...surplus] = positionals;
  if (surplus.length > 0) throw new UsageError(`unexpected: ${surplus.join(' ')}`);
  if (file === undefined && values.log === undefined) throw new UsageError('an export, a proof or --log is missing');
  const { log, policy, answer, trust, kind, commitment, json } = values;
  if (trust !== undefined && answer === undefined) throw new UsageError('--trust is for the signature of --answer');
  return {
    file,
    log,
    policy,
    answer,
    trust,
    kind,
    commitment,
    json,
    logKeys: values['log-key'],
    checkpoints: values.checkpoint,
  };
}

type Circumstances = {
  readonly policy: LogPolicy;
  readonly older: readonly OlderCheckpoint[];
  readonly io: CommandIo;
  readonly now: number;
};

async function check(options: Options, circumstances: Circumstances): Promise<Report> {
  const { file, log } = options;
  if (file === undefined) return checkWholeLog(log ?? '', circumstances);
  const asked = options.answer !== undefined || options.kind !== undefined || options.commitment !== undefined;
  const isProof = asked || file.endsWith('.tlog-proof');
  // with the log at hand its own past decides about every checkpoint, also the one of FILE
  const alone = log === undefined ? circumstances : { ...circumstances, older: [] };
  const { report, note } = isProof ? await checkProof(file, options, alone) : await checkExport(file, alone);
  if (log === undefined) return report;
  const older = [...circumstances.older, ...(note === undefined ? [] : [{ file, note }])];
  const whole = await checkWholeLog(log, { ...circumstances, older });
  return {
    ...report,
    facts: [...report.facts, ...whole.facts],
    proved: [...report.proved, ...whole.proved],
    undecided: [...report.undecided, ...whole.undecided],
    faults: [...report.faults, ...whole.faults],
    moreFaults: report.moreFaults + whole.moreFaults,
  };
}

async function checkProof(
  file: string,
  options: Options,
  { policy, older, now }: Circumstances,
): Promise<{ report: Report; note?: string }> {
  const proof = await readText(file, 'the proof');
  const { entry, about, answer } = await readEntry(options);
  const trust = await trustOf(options);
  const signed = answer === undefined ? nothingSigned : checkAnswer(options.answer ?? '', answer, trust, now);
  const verified = verifyProof({ proof, entry, policy });
  const title = label('Proof that a record is in the log', '记录存在于日志的证明');
  const facts: Report['facts'] = [[label('file', '文件'), file], ...about];
  const notProved = [
    ...signed.notProved,
    label(
      'What the record says: its commitment is proved, its content is not in a proof.',
      '记录内容：证明的是其承诺值。',
    ),
    ...withoutWitnesses(policy),
  ];
  if (!verified.ok) {
    const { reason: code, signer } = verified;
    const faults = [{ where: { file }, code, ...wordsOf(code, signer) }, ...signed.faults];
    return { report: { title, facts, proved: [], notProved, undecided: [], faults, moreFaults: 0 } };
  }
  const compared = compareOlder(policy, older, verified.value.checkpoint);
  const { index } = verified.value;
  const included = label(
    `A record with this commitment is leaf ${index} of the log.`,
    `具有该承诺值的记录是日志中的叶，序号 ${index}（自 0 起）。`,
  );
  const report: Report = {
    title,
    facts: [...facts, ...checkpointFacts(policy, verified.value), [label('leaf', '叶序号（自 0 起）'), String(index)]],
    proved: [signedBy(policy, verified.value), included, ...signed.proved, ...compared.proved],
    notProved,
    undecided: compared.undecided,
    faults: [...signed.faults, ...compared.faults],
    moreFaults: 0,
  };
  return { report, note: proof.slice(proof.indexOf('\n\n') + 2) };
}

const nothingSigned = { proved: [], notProved: [], faults: [] };

async function trustOf({ trust }: Options): Promise<TrustBundle | undefined> {
  return trust === undefined ? undefined : readTrust(await readText(trust, 'the trust bundle', maxBundleBytes), trust);
}

async function checkWholeLog(place: string, { policy, older, io }: Circumstances): Promise<Report> {
  let shown = 0;
  const progress = (done: number, size: number): void => {
    const percent = Math.floor((done / size) * 100);
    if (percent >= shown + 5 || done === size) {
      io.stderr.write(`certhub audit verify: ${done} of ${size} leaves, ${percent} %\n`);
      shown = percent;
    }
  };
  const found = await checkLog({ ...logSource(place), progress }, policy, older);
  if (found.findings.some(({ code }) => code === 'checkpoint_missing')) {
    const at = `${place.replace(/\/+$/, '')}/checkpoint`;
    const hint = isAddress(place) ? 'does the address end in /log?' : 'is it the folder of a log?';
    throw new UsageError(`no checkpoint at ${at}: ${hint} 该处没有检查点。`);
  }
  const faults = found.findings.map(({ file, index, code, signer, aside }) => {
    const where = { file, ...(index !== undefined && { [code === 'tile_differs' ? 'place' : 'index']: index }) };
    return { where, code, ...wordsOf(code, signer), ...(aside === true && { aside }) };
  });
  const { judged } = found;
  return {
    title: label('The whole log', '完整日志'),
    facts: [
      [label('read from', '读取自'), place],
      ...(judged === undefined ? [] : checkpointFacts(policy, judged)),
      [label('leaves read', '已读叶'), `${found.leaves} (${found.files} files 文件)`],
    ],
    proved: judged === undefined ? [] : logProved(policy, judged, found),
    notProved: [
      label(
        'What the records say: a log holds commitments only. An export shows records.',
        '记录内容：日志仅含承诺值，内容见导出。',
      ),
      ...withoutWitnesses(policy),
      notEverything,
    ],
    undecided: [],
    faults,
    moreFaults: found.moreFindings,
  };
}

const logProved = (policy: LogPolicy, judged: JudgedCheckpoint, { leaves, consistentWith }: LogReport): Words[] => [
  signedBy(policy, judged),
  label(
    `All ${leaves} entries and every tile of hashes are those the checkpoint was signed over.`,
    `全部 ${leaves} 片叶及散列文件均与所签检查点一致。`,
  ),
  ...consistentWith.map(({ file, size }) =>
    label(
      `The log begins with the ${size} leaves of checkpoint ${file}: nothing of them was changed.`,
      `日志以检查点 ${file} 的 ${size} 片叶开头，未被改动。`,
    ),
  ),
];
