import { parseArgs } from 'node:util';
import { readPolicy } from './audit-policy.ts';
import { compareWithHub } from './audit-reconcile-compare.ts';
import { askedHub } from './audit-reconcile-hub.ts';
import { reconcileReport } from './audit-reconcile-report.ts';
import { printedReport } from './audit-report.ts';
import { readAnswers } from './audit-stored-answers.ts';
import type { CommandIo } from './command-io.ts';
import { readTrust } from './offline-inputs.ts';
import { readTime } from './read-time.ts';
import { runOffline } from './run-offline.ts';
import { UsageError } from './usage-error.ts';

/** The usage. */
export const help = `certhub audit reconcile: compare a client's own stored answers with the log of the hub

  certhub audit reconcile --answers PLACE… --url HUB --id CLIENT --key FILE [--trust BUNDLE]
                          (--policy FILE | --log-key KEY) [--from TIME] [--until TIME] [--json]
      --answers  the answers this client kept: a file or folder of the JSON of lookups and matter checks, or of answers (JWS),
                 one a file or one a line; may be repeated
      --url      the hub
      --id       the client; its records are asked for
      --key      its private JWK
      --trust    the trust bundle written by certhub trust export; else trust-bundle.json in the working directory
      --policy   keys of the log and its witnesses (C2SP tlog-policy); or the log's alone:
      --log-key  as text or in a file
      --from     only what was answered at or after this time (RFC 3339)
      --until    … and before this time

  Lists what one side lacks: answers whose record is not in the log or is another, and records of answered lookups for which no answer
  is at hand, which may mean that somebody else used this client's key.

  Exit code: 0 both sides agree · 14 some records are too young to be told · 17 they differ · 2 wrong usage or no connection
`;

/** Runs `certhub audit reconcile …`; `clock` in epoch milliseconds. */
export const run = (argv: readonly string[], io: CommandIo, clock: () => number = Date.now): Promise<number> =>
  runOffline(
    { name: 'certhub audit reconcile', help, io },
    () => readOptions(argv),
    async (options) => {
      const policy = await readPolicy(options.policy, options.logKeys);
      const trust = await readTrust(options.trust);
      const stored = await readAnswers(options.answers, { trust, clientId: options.id, now: clock() });
      const progress = (line: string): void => void io.stderr.write(`certhub audit reconcile: ${line}\n`);
      const compared = await compareWithHub({ stored, hub: askedHub(options), policy, clock, progress }, options);
      return printedReport(reconcileReport(options, stored, compared), options.json);
    },
  );

function readOptions(argv: readonly string[]) {
  const { values } = parseArgs({
    args: [...argv],
    strict: true,
    options: {
      answers: { type: 'string', multiple: true, default: [] },
      url: { type: 'string' },
      id: { type: 'string' },
      key: { type: 'string' },
      trust: { type: 'string', default: 'trust-bundle.json' },
      policy: { type: 'string' },
      'log-key': { type: 'string', multiple: true, default: [] },
      from: { type: 'string' },
      until: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return undefined;
  const { answers, url, id, key, trust, policy, json } = values;
  if (answers.length === 0) throw new UsageError('--answers is missing');
  if (url === undefined || id === undefined || key === undefined)
    throw new UsageError('--url, --id and --key are needed');
  const from = optionalTime('--from', values.from);
  const until = optionalTime('--until', values.until);
  if (from !== undefined && until !== undefined && from >= until) throw new UsageError('--from is not before --until');
  return {
    answers,
    url: url.replace(/\/+$/, ''),
    id,
    key,
    trust,
    policy,
    json,
    from,
    until,
    logKeys: values['log-key'],
  };
}

const optionalTime = (option: string, text: string | undefined): number | undefined =>
  text === undefined ? undefined : readTime(option, text);
