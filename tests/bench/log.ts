import { setTimeout as sleep } from 'node:timers/promises';
import type { Entry } from '../../src/audit/entry.ts';
import { type AuditRecorder, startRecorder } from '../../src/audit/record.ts';
import { insertRecords } from '../../src/audit/store.ts';
import { connect } from '../../src/db/database.ts';
import type { EmbeddedServer } from '../../src/db/embedded.ts';
import { runSql } from '../support/database.ts';
import { exampleKeys } from '../support/start-hub.ts';
import type { LoadResult } from './load.ts';

export interface LogBench {
  readonly server: EmbeddedServer;
  /** Begins and ends the writing of the log inside the serving hub. */
  readonly sequence: (wanted: 'on' | 'off') => Promise<void>;
  /** Lookups against that hub for some seconds. */
  readonly measure: () => Promise<LoadResult>;
  readonly rounds: number;
  readonly seconds: number;
  readonly say: (text: string) => void;
}

const backlog = 40_000;
const pacePerSecond = 1_000;

/** What the log costs the request path, how fast it is written while serving, and how soon a record can be proved. */
export async function benchLog({ server, sequence, measure, rounds, seconds, say }: LogBench): Promise<void> {
  const state = async (): Promise<{ size: number; published: number; waiting: number }> => {
    const { rows } = await runSql(
      server.urls.owner,
      `select (select coalesce(max(size), 0)::int from log_state) as size,
         (select coalesce(max(published_size), 0)::int from log_state) as published, (select count(*)::int from log_queue) as waiting`,
    );
    return rows[0] as { size: number; published: number; waiting: number };
  };
  const drained = async (): Promise<void> => {
    while ((await state()).waiting > 0) await sleep(100);
  };
  const recorder = otherRecorder(server.urls.service);
  try {
    const on: number[] = [];
    const off: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      await sequence('off');
      off.push((await measure()).perSecond);
      await sequence('on');
      await drained();
      on.push((await measure()).perSecond);
      say(`log, round ${round + 1}: lookups/s with the sequencer in the hub ${last(on)}, without ${last(off)}`);
    }
    say(
      `lookups/s with the sequencer on / off: ${(median(on) / median(off)).toFixed(2)} (${figures(on)} / ${figures(off)})`,
    );

    await sequence('off');
    await Promise.all(Array.from({ length: backlog }, (_, i) => recorder.record(entry(i))));
    await sequence('on');
    while ((await state()).size === 0) await sleep(10);
    const before = await state();
    const begun = performance.now();
    const serving = measure();
    let reached = before;
    while (reached.waiting > 1_000 && performance.now() - begun < seconds * 1_000) {
      await sleep(50);
      reached = await state();
    }
    const took = (performance.now() - begun) / 1_000;
    const meanwhile = await serving;
    say(
      `sequenced while serving ${meanwhile.perSecond.toFixed(0)} lookups/s: ${((reached.size - before.size) / took).toFixed(0)} records/s (a backlog of ${before.waiting}, ${took.toFixed(1)} s)`,
    );

    await drained();
    await publication({ server, recorder, seconds, say });
  } finally {
    await sequence('off');
    await recorder.close();
  }
}

/** From the moment a record is handed in to the first look at which a published checkpoint covers it, at a steady pace. */
async function publication({
  server,
  recorder,
  seconds,
  say,
}: Pick<LogBench, 'server' | 'seconds' | 'say'> & { readonly recorder: AuditRecorder }): Promise<void> {
  const watcher = connect({
    url: server.urls.service,
    max: 2,
    statementTimeoutMs: 5_000,
    applicationName: 'bench watcher',
  });
  const published: { readonly size: number; readonly at: number }[] = [];
  let watching = true;
  const watch = (async () => {
    while (watching) {
      const [row] = await watcher.query<{ published_size: number }>(
        { name: 'bench_published', text: 'select published_size from log_state' },
        [],
      );
      if (row !== undefined && row.published_size !== published.at(-1)?.size) {
        published.push({ size: row.published_size, at: performance.now() });
      }
      await sleep(5);
    }
  })();
  const handedIn = new Map<string, number>();
  const all: Promise<unknown>[] = [];
  const begun = performance.now();
  for (let made = 0; performance.now() - begun < seconds * 1_000; ) {
    const due = ((performance.now() - begun) / 1_000) * pacePerSecond;
    for (; made < due; made += 1) {
      const at = performance.now();
      all.push(recorder.record(entry(made)).then(({ recordId }) => handedIn.set(recordId, at)));
    }
    await sleep(2);
  }
  await Promise.all(all);
  await sleep(5_000);
  watching = false;
  await watch;
  await watcher.close();
  const { rows } = await runSql(
    server.urls.owner,
    `select leaf_index::int as index, record_id as id from log_leaf order by leaf_index desc limit ${handedIn.size + 1_000}`,
  );
  const waits = (rows as { index: number; id: string }[]).flatMap(({ index, id }) => {
    const from = handedIn.get(id);
    const seen = published.find(({ size }) => size > index);
    return from === undefined || seen === undefined ? [] : [seen.at - from];
  });
  waits.sort((a, b) => a - b);
  const at = (share: number): string => ((waits[Math.floor(waits.length * share)] ?? Number.NaN) / 1_000).toFixed(2);
  say(
    `record to published checkpoint at ${pacePerSecond}/s: p50 ${at(0.5)} s, p99 ${at(0.99)} s, longest ${at(0.9999)} s (${waits.length} of ${handedIn.size} records)`,
  );
}

/** A writer of records beside the hub's own, which waits as long as it takes. */
export function otherRecorder(url: string): AuditRecorder & { close(): Promise<void> } {
  const db = connect({ url, max: 4, statementTimeoutMs: 10_000, applicationName: 'bench records' });
  const recorder = startRecorder({
    insertAll: (rows) => insertRecords(db, rows),
    keys: exampleKeys,
    now: () => new Date(),
    maxBatch: 300,
    waitingBatches: 1_000,
    deadlineMs: 60_000,
  });
  return { ...recorder, close: () => db.close() };
}

/** A record of common size. */
export const entry = (i: number): Entry => ({
  kind: 'access',
  action: 'lookUp',
  outcome: 'answered',
  caller: { clientId: 'school-enrolment', department: '11999900100000016A', keyId: 'k1' },
  officer: { id: `officer-${i % 40}`, name: '经办人' },
  purpose: { matterCode: 'school-enrolment', caseNumber: `CASE-${i}`, legalBasis: 'own_application' },
  subjects: [exampleKeys.holderKey('111', `99000019${String(i % 20_000).padStart(10, '0')}`)],
  scope: {
    level: 'fields',
    by: 'holder',
    types: [
      {
        certificateTypeCode: '11999900100000016A001',
        fields: ['name', 'birthDate'],
        grantId: '019aabcd-0000-7000-8000-000000000001',
      },
    ],
  },
  certificates: [],
  answerDigest: 'A'.repeat(43),
  requestId: `request-${i}`,
  at: new Date(),
});

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
const last = (values: readonly number[]): string => values.at(-1)?.toFixed(0) ?? '';
const figures = (values: readonly number[]): string => values.map((each) => each.toFixed(0)).join(', ');
