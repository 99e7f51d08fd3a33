import { setTimeout as sleep } from 'node:timers/promises';
import type { Transaction } from 'kysely';
import { erasureHandlers } from './audit/erasure/erasure-routes.ts';
import { logHandlers } from './audit/log/log-routes.ts';
import type { ReportNames } from './audit/report/access-item.ts';
import { reportHandlers } from './audit/report/report-routes.ts';
import { receiptHandlers } from './audit/search/receipt-routes.ts';
import { auditHandlers } from './audit/search/search-routes.ts';
import { catalogueFileHandlers } from './catalogue/catalogue-file-routes.ts';
import { grantableFields, isRetired } from './catalogue/certificate-type.ts';
import { demandHandlers } from './catalogue/demand-routes.ts';
import { draftHandlers } from './catalogue/draft-routes.ts';
import { matterHandlers } from './catalogue/matter-routes.ts';
import { isDemandFor } from './catalogue/read-demands.ts';
import { catalogueHandlers } from './catalogue/routes.ts';
import { readNewestType } from './catalogue/store.ts';
import { addDays, dayOf, endOfDay, isCalendarDay, startOfDay } from './certificates/city-day.ts';
import { certificatesHandlers } from './certificates/routes.ts';
import { statusLists } from './certificates/status-list.ts';
import { holdersOf } from './certificates/store.ts';
import { trustBundles } from './certificates/trust-bundle.ts';
import { verificationHandlers } from './certificates/verification-routes.ts';
import { limitGuesses } from './certificates/verify-online-guesses.ts';
import type { Tables } from './db/tables.ts';
import type { Write } from './db/write.ts';
import { currentClient } from './departments/issue-token.ts';
import { departmentsHandlers } from './departments/routes.ts';
import type { ApplicableType } from './grants/application.ts';
import { applicationHandlers } from './grants/application-routes.ts';
import { openApplicationsOf } from './grants/application-store.ts';
import { grantsOf } from './grants/current-grants.ts';
import { demandPermission } from './grants/demand-permission.ts';
import { holderCodeHandlers } from './grants/holder-code-routes.ts';
import { quotas } from './grants/quota.ts';
import { grantHandlers } from './grants/routes.ts';
import { ticketHandlers } from './grants/ticket-routes.ts';
import type { Handlers } from './http/handlers.ts';
import { healthHandlers } from './http/health.ts';
import type { Tokens } from './http/tokens.ts';
import type { Core } from './hub-core.ts';
import { couldSupply } from './lookup/could-supply.ts';
import type { LookupDeps } from './lookup/lookup.ts';
import { matterCheckHandlers } from './lookup/matter-check-routes.ts';
import type { LookupType } from './lookup/permitted-types.ts';
import { lookupHandlers } from './lookup/routes.ts';
import { isExampleKey } from './signing/example-keys.ts';
import { signCompactJws } from './signing/sd-jwt-issue.ts';
import { drawNumber } from './supervision/feedback.ts';
import { feedbackHandlers } from './supervision/feedback-routes.ts';
import { paperDemandHandlers } from './supervision/paper-demand-routes.ts';
import { pastUserHandlers } from './supervision/past-user-routes.ts';

/** A record in no published checkpoint for so long: something is wrong with the sequencer or the witnesses. */
const logBehindSeconds = 60;

/** Whether lookups have to stop because nobody else has confirmed the log for too long. */
const isUnwitnessed = ({ config, logLag }: Core): boolean =>
  config.witnessStopHours > 0 && logLag.unpublishedSeconds() > config.witnessStopHours * 3_600;

/** Every operation of the contract, from the capabilities. */
export function hubHandlers(core: Core, tokens: Tokens): Handlers {
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
  const changeCatalogue = {
    ...change,
    db,
    grantsNaming: core.grantsNaming,
    today: core.today,
    basis: core.matterBasis,
    isDepartment: async (code: string) => (await registry.read()).departments.has(code),
  };
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
  const findType = async (
    code: string,
    trx?: Transaction<Tables>,
  ): Promise<(LookupType & ApplicableType) | undefined> => {
    const type =
      trx === undefined
        ? (await catalogue.read()).newest(code)?.type
        : await readNewestType(trx, { keys, tampered }, code);
    if (type === undefined) return undefined;
    const { name, ownerDepartmentCode, decidedBy } = type;
    const fields = grantableFields(type);
    const sensitive = fields.filter((field) => field.class === 'sensitive');
    return {
      name,
      ownerDepartmentCode,
      fieldNames: fields.map((field) => field.name),
      sensitiveFieldNames: sensitive.map((field) => field.name),
      ...(decidedBy !== undefined && { decidedBy }),
      isRetired: isRetired(type),
    };
  };
  const rolesOf = async (clientId: string): Promise<readonly string[] | undefined> => {
    const client = (await registry.read()).clients.get(clientId);
    return client === undefined || client.disabledAt !== null ? undefined : client.roles;
  };
  const isDepartment = async (code: string): Promise<boolean> => (await registry.read()).departments.has(code);
  const dueAfter = (at: Date): Date => endOfDay(addDays(dayOf(at, cityTimeZone), config.decisionDays), cityTimeZone);
  const demandList = { demands: core.demands, matters: core.matters, catalogue };
  const names = async (): Promise<ReportNames> => {
    const [{ departments, clients }, types, matters] = await Promise.all([
      registry.read(),
      catalogue.read(),
      core.matters.read(),
    ]);
    return {
      department: (code) => departments.get(code)?.name,
      system: (clientId) => clients.get(clientId)?.name,
      type: (code) => types.newest(code)?.type.name,
      matter: (code) => matters.newest(code)?.name,
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
  const lookup: LookupDeps = {
    isUnwitnessed: () => isUnwitnessed(core),
    db,
    keys,
    record,
    grantsOf: (clientId) => grantsOf(grants, clientId),
    findType,
    reserve: quotas({ db, day: (at) => dayOf(at, cityTimeZone) }),
    nextDay: (at) => endOfDay(dayOf(at, cityTimeZone), cityTimeZone),
    signAnswer: (payload) => signCompactJws({ signer: keys.answer, typ: 'certhub-answer+jwt', payload }),
    issuer,
  };
  return {
    ...healthHandlers({
      checks: {
        database: () => db.query({ name: 'ready', text: 'select 1' }, []),
        keys: async () => keys.answer.sign(new Uint8Array(32)),
        recorder: () => recorder.probe(core.reservedDb),
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
    ...catalogueHandlers({ ...changeCatalogue, catalogue, matters: core.matters }),
    ...draftHandlers(changeCatalogue),
    ...catalogueFileHandlers(changeCatalogue),
    ...matterHandlers({ ...change, matters: core.matters, basis: core.matterBasis }),
    ...demandHandlers({
      ...change,
      ...demandList,
      isDepartment,
      dueAfter,
      day: (at) => dayOf(at, cityTimeZone),
      permissionsOf: async (clientId, at) => {
        const own = await Promise.all([
          grantsOf(grants, clientId),
          openApplicationsOf(db.kysely, { keys, tampered }, clientId),
        ]);
        return (need) => demandPermission({ grants: own[0], applications: own[1] }, need, at);
      },
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
      rolesOf,
      findType,
      owners: async () => {
        const types = await catalogue.read();
        return (code) => types.newest(code)?.type.ownerDepartmentCode;
      },
    }),
    ...applicationHandlers({
      ...change,
      db,
      current: grants,
      rolesOf,
      findType,
      isDemandFor: (input) => isDemandFor(demandList, input),
      dueAfter,
      names,
      signForm: (payload) => signCompactJws({ signer: keys.answer, typ: 'certhub-grant-application+jwt', payload }),
      issuer,
    }),
    ...holderCodeHandlers({
      ...change,
      findType,
      isDepartment,
    }),
    ...ticketHandlers({
      ...change,
      db,
      // A busy office mistypes more often than somebody tries values on one certificate, and 128 bits need little.
      codeGuesses: limitGuesses(undefined, 100),
      findType,
      findClient: (clientId) => currentClient({ db, keys, tampered }, clientId),
      issuer,
    }),
    ...lookupHandlers(lookup),
    ...matterCheckHandlers({ ...lookup, matters: core.matters, names, cityTimeZone, now }),
    ...paperDemandHandlers({
      ...change,
      write,
      db,
      record,
      matters: core.matters,
      isDepartment: async (code) => (await registry.read()).departments.has(code),
      consumersOf: async (department) =>
        [...(await registry.read()).clients.values()].flatMap(({ id, roles, department: of, disabledAt }) =>
          of === department && disabledAt === null && roles.includes('consumer') ? [id] : [],
        ),
      couldSupply: (question) =>
        couldSupply({ db, keys, tampered, findType, grantsOf: lookup.grantsOf, cityTimeZone }, question),
      names: async () => {
        const [{ departments }, matters] = await Promise.all([registry.read(), core.matters.read()]);
        return {
          department: (code) => departments.get(code)?.name,
          matter: (code) => matters.newest(code),
          day: (at) => dayOf(at, cityTimeZone),
        };
      },
      day: (at) => dayOf(at, cityTimeZone),
      startOfDay: (day) => startOfDay(day, cityTimeZone),
      dueAfter,
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
    ...feedbackHandlers({
      ...change,
      db,
      record,
      catalogue,
      current: grants,
      dueAfter,
      day: (at) => dayOf(at, cityTimeZone),
      startOfDay: (day) => startOfDay(day, cityTimeZone),
      addDays,
      isDay: isCalendarDay,
      drawNumber,
    }),
    ...pastUserHandlers({ db, keys, tampered, record, names }),
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
