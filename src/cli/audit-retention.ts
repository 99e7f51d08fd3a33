import { parseArgs } from 'node:util';
import { type MonthOfKind, surveyRetention } from '../audit/erasure/retention.ts';
import { sealMonths } from '../audit/erasure/seal-month.ts';
import { startRecorder } from '../audit/record.ts';
import { insertRecords } from '../audit/store.ts';
import { readConfig } from '../config.ts';
import { loadKeys } from '../signing/key-store.ts';
import type { CommandIo } from './command-io.ts';
import { openDatabase } from './open.ts';
import { exitCodes, runCommand } from './run-command.ts';

export const help = `certhub audit retention: what is kept of the audit log, how long, and what is due

  certhub audit retention [--json]
      lists months and kinds of records: how many, how many bodies, when they may go, whether the month is sealed, what comes next
  certhub audit retention --seal
      first seals the months that are over for an hour and wholly in the log; a running hub does so every hour

  Periods come from CERTHUB_RETENTION_MONTHS; what it calls supervision is no record: the hub itself forgets it.
  Erasing takes a proposal and two approvals over the API, then certhub audit erase.

  ${exitCodes}
`;

/** Runs `certhub audit retention`. Exit code 0: listed; 1: refused, with the reason; 2: wrong usage. */
export const run = (argv: readonly string[], io: CommandIo): Promise<number> =>
  runCommand({ name: 'certhub audit retention', help, io }, async () => {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        json: { type: 'boolean', default: false },
        seal: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
    if (values.help) return help;
    const config = readConfig(io.env, { nodeVersion: process.versions.node });
    const keys = values.seal ? loadKeys(config.keysDir, { mode: config.mode }) : undefined;
    const say = (line: string): void => void io.stderr.write(`${line}\n`);
    const { db, close } = await openDatabase(config, say, false);
    try {
      const now = (): Date => new Date();
      if (keys !== undefined) {
        const { recordIn } = startRecorder({ insertAll: (rows) => insertRecords(db, rows), keys, now, maxBatch: 1 });
        const outcomes = await sealMonths({ db, recordIn, now });
        for (const [month, outcome] of outcomes) say(`${month}: ${outcome.replaceAll('_', ' ')}`);
      }
      const months: MonthOfKind[] = [];
      for await (const each of surveyRetention({ db, retention: config.retentionMonths, now: now() }))
        months.push(each);
      return values.json ? `${JSON.stringify(months.map(toJson), null, 2)}\n` : table(months);
    } finally {
      await close();
    }
  });

const toJson = ({ due, ...rest }: MonthOfKind) => ({ ...rest, due: due?.toISOString() ?? null });

const words: Readonly<Record<MonthOfKind['next'], string>> = {
  under_way: 'the month is under way',
  wait_for_seal: 'waits for its seal',
  kept_for_good: 'kept for good',
  kept_until_due: 'kept until due',
  propose_erasure: 'due: propose an erasure',
  erased: 'erased',
};

function table(months: readonly MonthOfKind[]): string {
  if (months.length === 0) return 'no records yet\n';
  const rows = [
    ['month', 'kind', 'records', 'bodies', 'due', 'sealed', 'next'],
    ...months.map(({ month, kind, records, bodies, due, sealed, next }) => [
      month,
      kind,
      String(records),
      String(bodies),
      due?.toISOString().slice(0, 10) ?? '–',
      sealed ? 'yes' : 'no',
      words[next],
    ]),
  ];
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  return rows
    .map(
      (row) =>
        `${row
          .map((cell, at) => cell.padEnd(widths[at] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}
