import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Logger } from 'pino';
import { parse as parseYaml } from 'yaml';
import { erasureHandlers } from './audit/erasure/erasure-routes.ts';
import { auditUpkeep } from './audit/erasure/upkeep.ts';
import { type LogLag, watchLogLag } from './audit/log/log-lag.ts';
import { logHandlers } from './audit/log/log-routes.ts';
import { type AuditRecorder, startRecorder } from './audit/record.ts';
import type { ReportNames } from './audit/report/access-item.ts';
import { reportHandlers } from './audit/report/report-routes.ts';
import { receiptHandlers } from './audit/search/receipt-routes.ts';
import { auditHandlers } from './audit/search/search-routes.ts';
import { ensurePartitions, insertRecords, type NewRecord } from './audit/store.ts';
import { type Catalogue, watchCatalogue } from './catalogue/catalogue.ts';
import { grantableFields } from './catalogue/certificate-type.ts';
import { catalogueHandlers } from './catalogue/routes.ts';
import { dayOf, endOfDay, startOfDay } from './certificates/city-day.ts';
import { certificatesHandlers } from './certificates/routes.ts';
import { statusLists } from './certificates/status-list.ts';
import { holdersOf } from './certificates/store.ts';
import { trustBundles } from './certificates/trust-bundle.ts';
import { verificationHandlers } from './certificates/verification-routes.ts';
import { limitGuesses } from './certificates/verify-online-guesses.ts';
import type { Config } from './config.ts';
import type { Database } from './db/database.ts';
import { type Freshness, type FreshView, startFreshness } from './db/fresh.ts';
import { idempotencyDays, purgeIdempotencyKeys } from './db/idempotent.ts';
import { type Write, writer } from './db/write.ts';
import { authenticator } from './departments/authenticate.ts';
import { type Registry, type Trust, watchRegistry, watchTrust } from './departments/registry.ts';
import { departmentsHandlers } from './departments/routes.ts';
import { type CurrentGrants, grantsOf, watchGrants } from './grants/current-grants.ts';
import { quotaCounter } from './grants/quota.ts';
import { grantHandlers } from './grants/routes.ts';
import type { Contract } from './http/contract.ts';
import type { Handlers } from './http/handlers.ts';
import { healthHandlers } from './http/health.ts';
import type { RefusedEvent } from './http/refuse.ts';
import { buildServer, type Server, type ServerOptions } from './http/server.ts';
import { bearerToken, openTokens, type Tokens } from './http/tokens.ts';
import type { LookupType } from './lookup/permitted-types.ts';
import { lookupHandlers } from './lookup/routes.ts';
import { isExampleKey } from './signing/example-keys.ts';
import type { Keys } from './signing/key-store.ts';
import { signCompactJws } from './signing/sd-jwt-issue.ts';
import { canonicalJson } from './verification/canonical-json.ts';
import { parseJsonStrictly } from './verification/encoding.ts';
import { sm2SelfTest } from './verification/suites.ts';

/** What a hub stands on. Everything else is made from it, here, for production and tests alike. */
export interface Basis {
  readonly config: Config;
  /** Under the service role. */
  readonly db: Database;
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
  readonly grants: CurrentGrants;
  /** Told of every registry row that was written past the hub. */
  readonly tampered: (table: string, id: string) => void;
  /** How far the published log is behind the records. */
  readonly logLag: LogLag;
  /** What a hub does before it serves: its keys are put on record, and months that are over are sealed. */
  readonly beginServing: () => Promise<void>;
  /** Waits for records under way. The database stays open: who opened it closes it. */
  readonly close: () => Promise<void>;
}

const upkeepMs = 3_600_000;

/** Puts the capabilities together. Opens the months to come for records and forgets old Idempotency-Keys, now and every hour. */
export async function assembleCore(basis: Basis): Promise<Core> {
  const { config, db, keys, log, now } = basis;
  const upkeep = async (): Promise<void> => {
    await ensurePartitions(db);
    await purgeIdempotencyKeys(db, new Date(now().getTime() - idempotencyDays * 86_400_000));
  };
  await upkeep();
  const timer = setInterval(() => {
    upkeep().catch((error: unknown) => log.error({ err: error }, 'upkeep failed, records of next month need it'));
  }, upkeepMs).unref();
  if (!sm2SelfTest()) log.warn('this Node cannot do SM2: certificates sealed with SM2 will not verify');
  const tampered = (table: string, id: string): void =>
    log.error({ table, row: id }, 'a row was written past the hub and is not used');
  const freshness = startFreshness(db, { intervalMs: 250, maxAgeMs: 900, now: () => performance.now() });
  const recorder = startRecorder({
    insertAll: basis.insertAll ?? ((rows) => insertRecords(db, rows)),
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
  const sealTimer = setInterval(() => void records.seal(), upkeepMs).unref();
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
  return {
    ...basis,
    logLag,
    freshness,
    recorder,
    write,
    registry: watchRegistry({ freshness, keys, tampered }),
    trust: watchTrust({ freshness, keys, tampered }),
    catalogue: watchCatalogue(freshness, { keys, tampered }),
    grants: watchGrants({ freshness, keys, tampered }),
    tampered,
    beginServing: () => records.begin(),
    close: async () => {
      clearInterval(timer);
      clearInterval(sealTimer);
      await records.settled();
      await logLag.stop();
      await freshness.stop();
      await recorder.drain();
    },
  };
}

/** A hub that answers HTTP. */
export type Hub = Server;

const contractFile = fileURLToPath(new URL('../openapi/certhub.yaml', import.meta.url));
/** A retired token key still verifies for the longest life of a token. */
const tokenGraceMs = 900_000;

/** Wires the contract to the capabilities. Does not listen yet. */
export async function assembleHub(core: Core, options: ServerOptions = {}): Promise<Hub> {
  const { config, db, keys, log, now, recorder, registry } = core;
  const tokens = await hubTokens(core);
  const authenticate = authenticator({
    db,
    keys,
    tampered: core.tampered,
    registry,
    verifyAuthorization: (authorization) => tokens.verify(bearerToken(authorization)),
  });
  return buildServer({
    contract: parseYaml(readFileSync(contractFile, 'utf8')) as Contract,
    issuer: config.issuer,
    handlers: hubHandlers(core, tokens),
    authenticate,
    parseBody: parseJsonStrictly,
    refused: (event) => recorder.record(entryOfRefused(event)),
    log,
    now,
    options: {
      bodyLimit: config.bodyLimitBytes,
      trustProxy: config.trustedProxies,
      tokenRateLimit: { max: config.rateLimitPerMinute, windowMilliseconds: 60_000 },
      publicRateLimit: { max: config.rateLimitPerMinute, windowMilliseconds: 60_000 },
      mirrorRateLimit: { max: 50 * config.rateLimitPerMinute, windowMilliseconds: 60_000 },
      ...options,
    },
  });
}

async function hubTokens({ config, keys, now }: Core): Promise<Tokens> {
  const { kid, privatePem } = keys.tokenSecretPem();
  const accepted = new Map(
    keys.hubKeys
      .filter(({ use }) => use === 'token')
      .map((key) => [
        key.kid,
        {
          pem: key.publicKey.export({ type: 'spki', format: 'pem' }).toString(),
          until: key.until === null ? Number.POSITIVE_INFINITY : Date.parse(key.until) + tokenGraceMs,
        },
      ]),
  );
  return openTokens({
    privatePem,
    kid,
    publicPem: (wanted) => {
      const key = accepted.get(wanted);
      return key === undefined || now().getTime() > key.until ? undefined : key.pem;
    },
    issuer: config.issuer,
    audience: config.issuer,
    ttlSeconds: config.tokenTtlSeconds,
    now,
  });
}

/** A record in no published checkpoint for so long: something is wrong with the sequencer or the witnesses. */
const logBehindSeconds = 60;

/** Whether lookups have to stop because nobody else has confirmed the log for too long. */
const isUnwitnessed = ({ config, logLag }: Core): boolean =>
  config.witnessStopHours > 0 && logLag.unpublishedSeconds() > config.witnessStopHours * 3_600;

function hubHandlers(core: Core, tokens: Tokens): Handlers {
  const { config, db, keys, now, recorder, write, registry, trust, catalogue, grants, tampered } = core;
  const { record, recordIn } = recorder;
  const { issuer, cityTimeZone } = config;
  /** For what is kept in memory: this process sees its own change at once, the others within a second. */
  const changeAndSee: Write = async (request, steps) => {
    const answer = await write(request, steps);
    core.freshness.outdate();
    return answer;
  };
  const change = { write: changeAndSee, recordIn, keys, tampered };
  const lists = statusLists({ db, signer: keys.status, issuer, now });
  const bundles = trustBundles({
    registry,
    trust,
    catalogue,
    hubKeys: keys.hubKeys,
    statusLists: lists,
    issuer,
    now,
  });
  const findType = async (code: string): Promise<LookupType | undefined> => {
    const found = (await catalogue.read()).newest(code);
    if (found === undefined) return undefined;
    const { name, ownerDepartmentCode } = found.type;
    return { name, ownerDepartmentCode, fieldNames: grantableFields(found.type).map((field) => field.name) };
  };
  const names = async (): Promise<ReportNames> => {
    const [{ departments, clients }, types] = await Promise.all([registry.read(), catalogue.read()]);
    return {
      department: (code) => departments.get(code)?.name,
      system: (clientId) => clients.get(clientId)?.name,
      type: (code) => types.newest(code)?.type.name,
      // A field that the newest version has no more is still named by the version that had it.
      field: (code, name) => {
        for (let version = types.newest(code)?.type.version ?? 0; version > 0; version -= 1) {
          const type = types.version(code, version)?.type;
          const field = type && grantableFields(type).find((each) => each.name === name);
          if (field !== undefined) return field.label;
        }
        return undefined;
      },
    };
  };
  return {
    ...healthHandlers({
      checks: {
        database: () => db.query({ name: 'ready', text: 'select 1' }, []),
        keys: async () => keys.answer.sign(new Uint8Array(32)),
        recorder: () => recorder.probe(db),
      },
      log: () => (core.logLag.unpublishedSeconds() > logBehindSeconds ? 'behind' : 'ok'),
      now,
    }),
    ...departmentsHandlers({
      ...change,
      db,
      record,
      issuer,
      tokenSeconds: config.tokenTtlSeconds,
      signToken: tokens.sign,
      isExampleKey: (spkiSha256) => config.mode !== 'demo' && isExampleKey(spkiSha256),
      hubJwks: () => keys.publicJwks().keys,
    }),
    ...catalogueHandlers({
      ...change,
      catalogue,
      isDepartment: async (code) => (await registry.read()).departments.has(code),
    }),
    ...certificatesHandlers({ write, recordIn, tampered, db, keys, record, catalogue, trust, issuer, cityTimeZone }),
    ...verificationHandlers({
      db,
      keys,
      record,
      trust: () => bundles.live(),
      guesses: limitGuesses(),
      statusLists: lists,
      trustBundles: bundles,
    }),
    ...grantHandlers({
      ...change,
      current: grants,
      rolesOf: async (clientId) => {
        const client = (await registry.read()).clients.get(clientId);
        return client === undefined || client.disabledAt !== null ? undefined : client.roles;
      },
      findType,
    }),
    ...lookupHandlers({
      isUnwitnessed: () => isUnwitnessed(core),
      db,
      keys,
      record,
      grantsOf: (clientId) => grantsOf(grants, clientId),
      findType,
      reserve: quotaCounter({ db, day: (at) => dayOf(at, cityTimeZone) }),
      nextDay: (at) => endOfDay(dayOf(at, cityTimeZone), cityTimeZone),
      signAnswer: (payload) => signCompactJws({ signer: keys.answer, typ: 'certhub-answer+jwt', payload }),
      issuer,
    }),
    ...reportHandlers({
      ...change,
      db,
      record,
      names,
      holdersOf: (identifiers) => holdersOf(db.kysely, identifiers),
      day: (at) => dayOf(at, cityTimeZone),
      clock: () => performance.now(),
      pause: (ms) => sleep(ms),
      issuer,
    }),
    ...logHandlers({ db, logOrigin: config.logOrigin, hubKeys: keys.hubKeys }),
    ...receiptHandlers({ db, keys, record }),
    ...erasureHandlers({
      write,
      recordIn,
      keys,
      tampered,
      db,
      record,
      retention: config.retentionMonths,
      registeredAt: async (clientId) => (await registry.read()).clients.get(clientId)?.createdAt,
    }),
    ...auditHandlers({
      db,
      keys,
      record,
      tampered,
      calendar: { timeZone: cityTimeZone, startOfDay: (day) => startOfDay(day, cityTimeZone) },
      elapsed: () => performance.now(),
    }),
  };
}

/** A refusal or crash before a use case could record it itself: who and what, as far as it got. */
const entryOfRefused = (event: RefusedEvent) => ({
  kind: 'access' as const,
  action: event.operationId,
  outcome: event.outcome,
  code: event.code,
  ...(event.caller !== undefined && {
    caller: { clientId: event.caller.clientId, department: event.caller.department, keyId: event.caller.keyId },
  }),
  requestId: event.requestId,
  at: event.receivedAt,
});
