import type { Logger } from 'pino';
import { auditUpkeep } from './audit/erasure/upkeep.ts';
import { type LogLag, watchLogLag } from './audit/log/log-lag.ts';
import { type AuditRecorder, startRecorder } from './audit/record.ts';
import { ensurePartitions, insertRecords, type NewRecord } from './audit/store.ts';
import { type Catalogue, watchCatalogue } from './catalogue/catalogue.ts';
import type { ChangeCatalogueDeps } from './catalogue/change-type.ts';
import type { MatterBasis } from './catalogue/check-matter-definition.ts';
import { type DemandsView, watchDemands } from './catalogue/demand-store.ts';
import { typesNamedIn } from './catalogue/material-name.ts';
import { type MattersView, watchMatters } from './catalogue/matters.ts';
import { addDays, dayOf } from './certificates/city-day.ts';
import type { Config } from './config.ts';
import { type Freshness, type FreshView, startFreshness } from './db/fresh.ts';
import { idempotencyDays, purgeIdempotencyKeys } from './db/idempotent.ts';
import type { Pools } from './db/pools.ts';
import { type Write, writer } from './db/write.ts';
import { type Registry, type Trust, watchRegistry, watchTrust } from './departments/registry.ts';
import { type CurrentGrants, watchGrants } from './grants/current-grants.ts';
import { remindHourly, remindOfOverdue } from './grants/remind-overdue.ts';
import { standingGrantsOf } from './grants/store.ts';
import { forgetEnded, keptDays } from './grants/ticket-store.ts';
import { purgeUsage, usageDays } from './grants/usage-store.ts';
import type { Keys } from './signing/key-store.ts';
import { forgetHourly } from './supervision/forget-settled.ts';
import { remindOfFeedback } from './supervision/remind-feedback.ts';
import { remindOfPaperDemands } from './supervision/remind-paper-demands.ts';
import { canonicalJson } from './verification/canonical-json.ts';
import { sm2SelfTest } from './verification/suites.ts';

/** What a hub stands on. Everything else is made from it, here, for production and tests alike. */
export interface Basis extends Pick<Pools, 'db' | 'reservedDb'> {
  readonly config: Config;
  readonly keys: Keys;
  readonly log: Logger;
  readonly now: () => Date;
  /** Inserts the rows of one flush; a fault test wraps the real one. */
  readonly insertAll?: (rows: readonly NewRecord[]) => Promise<void>;
}

/** The hub without HTTP: what routes and commands work with. */
export interface Core extends Basis {
  readonly freshness: Freshness;
  readonly recorder: AuditRecorder;
  readonly write: Write;
  readonly registry: FreshView<Registry>;
  readonly trust: FreshView<Trust>;
  readonly catalogue: FreshView<Catalogue>;
  readonly matters: MattersView;
  readonly demands: DemandsView;
  /** On what a matter is judged at that moment. */
  readonly matterBasis: (at: Date) => Promise<MatterBasis>;
  readonly grants: CurrentGrants;
  /** Grants of a type that still count or will, as a transaction sees them: what a change of the type may break. */
  readonly grantsNaming: ChangeCatalogueDeps['grantsNaming'];
  /** The day of the city, yyyy-mm-dd. */
  readonly today: (at: Date) => string;
  /** Told of every registry row that was written past the hub. */
  readonly tampered: (table: string, id: string) => void;
  /** How far the published log is behind the records. */
  readonly logLag: LogLag;
  /** What a hub does before it serves: its keys are put on record, months that are over are sealed, and what is settled is forgotten. */
  readonly beginServing: () => Promise<void>;
  /** Waits for records under way. The database stays open: who opened it closes it. */
  readonly close: () => Promise<void>;
}

const upkeepMs = 3_600_000;

/**
 * Puts the capabilities together. Opens the months to come for records and forgets old Idempotency-Keys, usage, tickets and one-time
 * codes, now and every hour; reports and demands that are settled every hour, and when it begins to serve.
 */
export async function assembleCore(basis: Basis): Promise<Core> {
  const { config, db, reservedDb, keys, log, now } = basis;
  const upkeep = async (): Promise<void> => {
    await ensurePartitions(db);
    await purgeIdempotencyKeys(db, new Date(now().getTime() - idempotencyDays * 86_400_000));
    await forgetEnded(db, new Date(now().getTime() - keptDays * 86_400_000));
    await purgeUsage(db, addDays(dayOf(now(), config.cityTimeZone), -usageDays));
  };
  await upkeep();
  const timer = setInterval(() => {
    upkeep().catch((error: unknown) => log.error({ err: error }, 'upkeep failed, records of next month need it'));
  }, upkeepMs).unref();
  if (!sm2SelfTest()) log.warn('this Node cannot do SM2: certificates sealed with SM2 will not verify');
  const tampered = (table: string, id: string): void =>
    log.error({ table, row: id }, 'a row was written past the hub and is not used');
  const freshness = startFreshness(reservedDb, { intervalMs: 250, maxAgeMs: 900, now: () => performance.now() });
  const recorder = startRecorder({
    insertAll: basis.insertAll ?? ((rows) => insertRecords(reservedDb, rows)),
    keys,
    now,
    maxBatch: config.recordBatch,
    failed: (error) => log.error({ err: error }, 'records could not be written'),
  });
  const records = auditUpkeep({
    db,
    keys,
    recordIn: recorder.recordIn,
    now,
    isDemo: config.mode === 'demo',
    log,
  });
  const forgetting = forgetHourly({
    db,
    keys,
    tampered,
    recordIn: recorder.recordIn,
    months: config.retentionMonths.supervision,
    now,
    log,
  });
  const sealTimer = setInterval(() => void records.seal(), upkeepMs).unref();
  const registry = watchRegistry({ freshness, keys, tampered });
  const departmentName = async (code: string): Promise<string | undefined> =>
    (await registry.read()).departments.get(code)?.name.en;
  const reminding = { db, keys, tampered, departmentName, log };
  const overdue = remindHourly({
    reminders: [remindOfOverdue, remindOfFeedback, remindOfPaperDemands].map((remind) => (at) => remind(reminding, at)),
    log,
    now,
  });
  const write = writer({
    db,
    box: {
      seal: (plain, boundTo) => keys.box.seal(boundTo, plain),
      open: (sealed, boundTo) => keys.box.open(boundTo, sealed),
    },
    // Keyed: a plain hash of a body that holds an ID number could be guessed back.
    fingerprint: (value) => keys.rowMac('idempotency', Buffer.from(canonicalJson(value))),
    isFingerprint: (value, stored) => keys.verifyRowMac('idempotency', Buffer.from(canonicalJson(value)), stored),
  });
  const logLag = await watchLogLag({ db });
  const today = (at: Date): string => dayOf(at, config.cityTimeZone);
  const catalogue = watchCatalogue(freshness, { keys, tampered });
  return {
    ...basis,
    logLag,
    freshness,
    recorder,
    write,
    registry,
    trust: watchTrust({ freshness, keys, tampered }),
    catalogue,
    matters: watchMatters(freshness, { keys, tampered }),
    demands: watchDemands(freshness, { keys, tampered }),
    matterBasis: async (at) => {
      const [{ departments }, types] = await Promise.all([registry.read(), catalogue.read()]);
      return {
        findType: (code) => types.newest(code)?.type,
        typesNamed: typesNamedIn(types.types),
        isDepartment: (code) => departments.has(code),
        today: today(at),
        at,
      };
    },
    grants: watchGrants({ freshness, keys, tampered }),
    grantsNaming: (trx, certificateTypeCode, at) => standingGrantsOf(trx, keys, { certificateTypeCode, at }),
    today,
    tampered,
    beginServing: async () => {
      await records.begin();
      await overdue.remind();
      void forgetting.forget();
    },
    close: async () => {
      clearInterval(timer);
      clearInterval(sealTimer);
      overdue.stop();
      await forgetting.stop();
      await records.settled();
      await logLag.stop();
      await freshness.stop();
      await recorder.drain();
    },
  };
}
