import { parseArgs } from 'node:util';
import type { OlderCheckpoint } from '../verification/log-report.ts';
import { readPolicy } from './audit-policy.ts';
import { printedReport, type Report } from './audit-report.ts';
import { checkExport } from './audit-verify-export.ts';
import { checkWholeLog, type LogCircumstances } from './audit-verify-log.ts';
import { checkProof, type ProofCircumstances } from './audit-verify-proof.ts';
import type { CommandIo } from './command-io.ts';
import { readText } from './offline-inputs.ts';
import { runOffline } from './run-offline.ts';
import { UsageError } from './usage-error.ts';

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

/** Runs `certhub audit verify …`; `clock` in epoch milliseconds. */
export const run = (argv: readonly string[], io: CommandIo, clock: () => number = Date.now): Promise<number> =>
  runOffline(
    { name: 'certhub audit verify', help, io },
    () => readOptions(argv),
    async (options) => {
      const policy = await readPolicy(options.policy, options.logKeys);
      const older: OlderCheckpoint[] = [];
      for (const file of options.checkpoints) older.push({ file, note: await readText(file, 'the checkpoint') });
      const progress = (line: string): void => void io.stderr.write(`certhub audit verify: ${line}\n`);
      const report = await check(options, { policy, older, progress, now: clock() });
      return printedReport(report, options.json);
    },
  );

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
  if (file === undefined && (answer ?? kind ?? commitment) !== undefined) {
    throw new UsageError('--answer, --kind and --commitment go with a PROOF, which is missing');
  }
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

type Circumstances = ProofCircumstances & LogCircumstances;

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
