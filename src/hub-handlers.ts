import { setTimeout as sleep } from 'node:timers/promises';
import { erasureHandlers } from './audit/erasure/erasure-routes.ts';
import { logHandlers } from './audit/log/log-routes.ts';
import { reportHandlers } from './audit/report/report-routes.ts';
import { receiptHandlers } from './audit/search/receipt-routes.ts';
import { auditHandlers } from './audit/search/search-routes.ts';
import { catalogueFileHandlers } from './catalogue/catalogue-file-routes.ts';
import { demandHandlers } from './catalogue/demand-routes.ts';
import { draftHandlers } from './catalogue/draft-routes.ts';
import { matterHandlers } from './catalogue/matter-routes.ts';
import { isDemandFor } from './catalogue/read-demands.ts';
import { catalogueHandlers } from './catalogue/routes.ts';
import { addDays, isCalendarDay } from './certificates/city-day.ts';
import { certificatesHandlers } from './certificates/routes.ts';
import { statusLists } from './certificates/status-list.ts';
import { holdersOf } from './certificates/store.ts';
import { trustBundles } from './certificates/trust-bundle.ts';
import { verificationHandlers } from './certificates/verification-routes.ts';
import { limitGuesses } from './certificates/verify-online-guesses.ts';
import type { Write } from './db/write.ts';
import { currentClient } from './departments/issue-token.ts';
import { departmentsHandlers } from './departments/routes.ts';
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
import { hubFacts } from './hub-facts.ts';
import { couldSupply } from './lookup/could-supply.ts';
import type { LookupDeps } from './lookup/lookup.ts';
import { matterCheckHandlers } from './lookup/matter-check-routes.ts';
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
  const facts = hubFacts(core);
  const { day, isDepartment, rolesOf, findType, names, dueAfter } = facts;
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
    isDepartment,
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
  const demandList = { demands: core.demands, matters: core.matters, catalogue };
  const lookup: LookupDeps = {
    isUnwitnessed: () => isUnwitnessed(core),
    db,
    keys,
    record,
    grantsOf: (clientId) => grantsOf(grants, clientId),
    findType,
    reserve: quotas({ db, day }),
    nextDay: facts.nextDay,
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
    ...matterHandlers({ ...change, catalogue, matters: core.matters, basis: core.matterBasis }),
    ...demandHandlers({
      ...change,
      ...demandList,
      isDepartment,
      dueAfter,
      day,
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
    ...grantHandlers({ ...change, current: grants, owners: facts.owners }),
    ...applicationHandlers({
      ...change,
      db,
      current: grants,
      rolesOf,
      findType,
      deciders: facts.deciders,
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
      isField: facts.isField,
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
      isDepartment,
      consumersOf: facts.consumersOf,
      typeName: async (code) => (await findType(code))?.name,
      couldSupply: (question) =>
        couldSupply({ db, keys, tampered, findType, grantsOf: lookup.grantsOf, cityTimeZone }, question),
      names: async () => {
        const [{ departments }, matters] = await Promise.all([registry.read(), core.matters.read()]);
        return {
          department: (code) => departments.get(code)?.name,
          matter: (code) => matters.newest(code),
          day,
        };
      },
      day,
      startOfDay: facts.startOfDay,
      dueAfter,
    }),
    ...reportHandlers({
      ...change,
      db,
      record,
      names,
      holdersOf: (identifiers) => holdersOf(db.kysely, identifiers),
      day,
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
      day,
      startOfDay: facts.startOfDay,
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
      registeredAt: facts.registeredAt,
    }),
    ...auditHandlers({
      db,
      keys,
      record,
      tampered,
      calendar: { timeZone: cityTimeZone, startOfDay: facts.startOfDay },
      elapsed: () => performance.now(),
    }),
  };
}
