import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import t from 'tap';
import { demoTypes } from '../../src/cli/demo/certificates.ts';
import { expectAnswer, issue } from '../../src/cli/demo/load.ts';
import { pushOf, putGrant } from '../support/demo-samples.ts';
import { requestFrom } from '../support/memory-lookup.ts';
import { canonical, disclosed, inOrder, mustEqual } from '../support/permission-check.ts';
import {
  type AskedLevel,
  type AskedQuestion,
  type AskedType,
  type Basis,
  bases,
  excess,
  type Known,
  type KnownCertificate,
  type KnownGrant,
  type KnownTicket,
  type Shape,
  type Status,
  type Verdict,
  verdictOf,
} from '../support/permission-oracle.ts';
import { startHub } from '../support/start-hub.ts';
import { clientsOf } from '../support/workload.ts';

const seed = 20261122;
const day = 86_400_000;
const clients = ['school-enrolment', 'housing-allocation', 'approval-hall'];
const matters = ['school-enrolment', 'affordable-housing', 'household-registration'];
const officers = ['officer-1', 'officer-2'].map((id) => ({ id, name: `经办人${id}` }));
const cases = ['CASE-1', 'CASE-2'];
const typeCodes = [demoTypes.residentIdCard, demoTypes.residencePermit, demoTypes.socialInsurance];
const standardShapes: Readonly<Record<string, Shape>> = {
  certificateNumber: { type: 'string' },
  certificateIssuedDate: { type: 'string', format: 'date' },
  certificateHolders: { type: 'array' },
};
const standard = Object.keys(standardShapes);

const hub = await startHub(t);
const clientsByName = clientsOf(hub);
const admin = clientsByName('hub-admin');
const clientNamed = clientsByName;

/** Issues the certificates and answers what there is. */
async function issueAll() {
  const types = new Map<string, string[]>();
  const shapes = new Map<string, Record<string, Shape>>();
  const certificates: KnownCertificate[] = [];
  for (const typeCode of typeCodes) {
    const { fields } = await expectAnswer<{ fields: { name: string; schema: Shape }[] }>(
      admin.get(`/v1/certificate-types/${typeCode}`),
      200,
    );
    types.set(typeCode, [...standard, ...fields.map(({ name }) => name)]);
    shapes.set(typeCode, {
      ...standardShapes,
      ...Object.fromEntries(fields.map(({ name, schema }) => [name, schema])),
    });
    for (const [which, status] of (['valid', 'valid', 'suspended', 'revoked'] as const).entries()) {
      const push = pushOf(typeCode, which);
      const issuer = hub.client(push.clientId);
      const identifier = await issue(issuer, push, randomUUID());
      const change = status === 'revoked' ? { action: 'revoke', revocationReason: 'cancelled' } : { action: 'suspend' };
      if (status !== 'valid') {
        const path = `/v1/certificates/${identifier}/status-changes`;
        await expectAnswer(issuer.post(path, { ...change, reason: 'test' }), 200);
      }
      const { certificateNumber, certificateIssuedDate, holders, fields: own } = push.body;
      certificates.push({
        identifier,
        typeCode,
        holder: holders[0]?.number ?? '',
        status,
        values: { ...own, certificateNumber, certificateIssuedDate, certificateHolders: holders },
      });
    }
  }
  return { types, shapes, certificates };
}

const { types, shapes, certificates } = await issueAll();
const holders = [...new Set(certificates.map(({ holder }) => holder))];
const fieldsOf = (typeCode: string): readonly string[] => types.get(typeCode) ?? [];
const now = Date.now();
const anyBasis = fc.constantFrom<Basis>('statutory_duty', ...bases);
const anyLevel = fc.constantFrom<AskedLevel>('fields', 'fields', 'compare');
const rarely = fc.integer({ min: 0, max: 7 }).map((n) => n === 0);
const anyTypeWithFields = fc
  .constantFrom(...typeCodes)
  .chain((typeCode) =>
    fc.record({ typeCode: fc.constant(typeCode), fields: fc.subarray([...fieldsOf(typeCode)], { minLength: 1 }) }),
  );

const anyGrant = fc
  .tuple(
    anyTypeWithFields,
    fc.record({
      clientId: fc.constantFrom(...clients),
      level: anyLevel,
      matters: fc.subarray(matters, { minLength: 1 }),
      legalBases: fc.subarray([...bases], { minLength: 1 }),
      isEarly: rarely,
      isLate: rarely,
      isSuspended: rarely,
      isRevoked: rarely,
      ticketRequired: fc.constantFrom(true, false, false),
      secrecyDays: fc.constantFrom(0, 5, 30),
    }),
  )
  .map(([type, rest]) => ({ ...type, ...rest }));
type GrantSketch = typeof anyGrant extends fc.Arbitrary<infer T> ? T : never;

/** Until when a grant lasts that is to be over before it is asked about. */
const soon = (): number => Date.now() + 3_000;

/** Has a grant made; one that has not begun renews another one, which is revoked then. Answers all that it left. */
async function putOnFile(sketch: GrantSketch): Promise<KnownGrant[]> {
  const { typeCode, isEarly, isLate, ticketRequired, secrecyDays, isSuspended, isRevoked, ...rest } = sketch;
  const change = (grantId: string, what: string) =>
    expectAnswer(admin.post(`/v1/grants/${grantId}/${what}`, { reason: 'test' }), 200);
  const make = async (until: number, renews?: string): Promise<KnownGrant> => {
    const { grantId, validFrom } = await putGrant(clientsByName, {
      ...rest,
      certificateTypeCode: typeCode,
      validUntil: new Date(until).toISOString(),
      ...(ticketRequired && { ticketRequired }),
      ...(secrecyDays > 0 && { secrecyDays }),
      ...(renews !== undefined && { renews }),
    });
    const from = Date.parse(validFrom);
    return { ...rest, typeCode, ticketRequired, secrecyDays, isSuspended, isRevoked, grantId, from, until };
  };
  const early = isEarly ? await make(now + 20 * day) : undefined;
  const made = await make(early ? now + 40 * day : isLate ? soon() : now + 20 * day, early?.grantId);
  if (early !== undefined) await change(early.grantId, 'revocations');
  if (isSuspended) await change(made.grantId, 'suspensions');
  if (isRevoked) await change(made.grantId, 'revocations');
  return [...(early === undefined ? [] : [{ ...early, isSuspended: false, isRevoked: true }]), made];
}

const anyTicket = fc
  .tuple(
    fc.uniqueArray(anyTypeWithFields, { minLength: 1, maxLength: 2, selector: ({ typeCode }) => typeCode }),
    fc.record({
      clientId: fc.constantFrom(...clients),
      matterCode: fc.constantFrom(...matters),
      caseNumber: fc.constantFrom(...cases),
      officer: fc.constantFrom(...officers),
      level: anyLevel,
      holder: fc.constantFrom(...holders),
      uses: fc.constantFrom(1, 100, 100),
      isRevoked: rarely,
    }),
  )
  .map(([ofTypes, rest]) => ({ ...rest, types: ofTypes, legalBasis: 'statutory_duty' as const }));

async function issueTicket(ticket: ReturnType<(typeof anyTicket)['generate']>['value']): Promise<KnownTicket> {
  const { clientId, matterCode, caseNumber, officer, legalBasis, level, holder, uses, isRevoked } = ticket;
  const client = clientNamed(clientId);
  const issued = await expectAnswer<{ ticketId: string; ticket: string; expiresAt: string }>(
    client.post('/v1/tickets', {
      purpose: { matterCode, caseNumber, officer, legalBasis },
      level,
      holder: { type: '111', number: holder },
      types: ticket.types.map(({ typeCode, fields }) => ({ certificateTypeCode: typeCode, fields })),
      uses,
    }),
    201,
  );
  if (isRevoked) {
    await expectAnswer(client.post(`/v1/tickets/${issued.ticketId}/revocations`, { reason: 'test' }), 200);
  }
  return { ...ticket, secret: issued.ticket, used: 0, expiresAt: Date.parse(issued.expiresAt) };
}

const grants: KnownGrant[] = [];
for (const sketch of fc.sample(anyGrant, { seed, numRuns: 90 })) grants.push(...(await putOnFile(sketch)));
await sleep(soon() - Date.now());
const tickets: KnownTicket[] = [];
for (const ticket of fc.sample(anyTicket, { seed, numRuns: 24 })) tickets.push(await issueTicket(ticket));

const questionSketch = fc.record({
  clientId: fc.constantFrom(...clients),
  matterCode: fc.constantFrom(...matters),
  caseNumber: fc.constantFrom(...cases),
  officer: fc.constantFrom(...officers),
  legalBasis: anyBasis,
  level: anyLevel,
  secretDays: fc.constantFrom(undefined, undefined, undefined, undefined, undefined, -1, 3, 20),
  certificate: fc.constantFrom(...certificates),
  byIdentifier: rarely,
  // What the question names of the certificate's type; nothing, and it asks for what there is.
  names: fc.option(fc.array(fc.nat(), { minLength: 1, maxLength: 2 }), { nil: undefined, freq: 3 }),
  isTrue: fc.boolean(),
  ticket: fc.nat({ max: tickets.length * 3 }).map((n) => (n < tickets.length ? n : undefined)),
  strays: rarely,
  grant: fc.nat({ max: grants.length - 1 }),
  which: fc.nat({ max: 100 }),
});
type Sketch = typeof questionSketch extends fc.Arbitrary<infer T> ? T : never;

const pick = <T>(list: readonly T[], which: number): T => {
  const found = list[which % list.length];
  if (found === undefined) throw new Error('nothing to pick from');
  return found;
};

/** What a grant was made for, in one of its matters, about a certificate of its type. */
function underGrant(sketch: Sketch) {
  const { which, caseNumber, officer } = sketch;
  const grant = pick(grants, sketch.grant);
  const ofType = certificates.filter(({ typeCode }) => typeCode === grant.typeCode);
  return {
    ...grant,
    caseNumber,
    officer,
    matterCode: pick(grant.matters, which),
    legalBasis: pick(grant.legalBases, which),
    about: pick(ofType, which),
  };
}

/** What a ticket was issued for. */
function underTicket(ticket: KnownTicket) {
  const { typeCode, fields } = pick(ticket.types, 0);
  const ofHolder = certificates.filter(({ holder }) => holder === ticket.holder);
  return { ...ticket, fields, about: { ...pick(ofHolder, 0), typeCode } };
}

/** Most questions are those that their grant or their ticket is for; a stray one asks for something else. */
function purposeFrom(sketch: Sketch, ticket: KnownTicket | undefined) {
  const { strays, which, certificate: about } = sketch;
  if (!strays) return ticket === undefined ? underGrant(sketch) : underTicket(ticket);
  // Somebody else's ticket, or one's own for another case.
  const clientId = which % 3 === 0 ? sketch.clientId : (ticket?.clientId ?? sketch.clientId);
  return { ...sketch, clientId, about, fields: fieldsOf(about.typeCode) };
}

function typeFrom({ names, isTrue }: Sketch, purpose: ReturnType<typeof purposeFrom>): AskedType | undefined {
  if (names === undefined) return undefined;
  const { typeCode, values } = purpose.about;
  const fields = [...new Set(names.map((n) => pick(purpose.fields, n)))];
  if (purpose.level === 'fields') return { typeCode, fields };
  const compare = fields.map((name) => [name, (isTrue ? values[name] : undefined) ?? 'other']);
  return { typeCode, compare: Object.fromEntries(compare) as Record<string, unknown> };
}

function questionFrom(sketch: Sketch): AskedQuestion {
  const ticket = sketch.ticket === undefined ? undefined : tickets[sketch.ticket];
  const purpose = purposeFrom(sketch, ticket);
  const { clientId, matterCode, caseNumber, officer, legalBasis, level, about } = purpose;
  const { identifier, typeCode, holder } = about;
  const named = typeFrom(sketch, purpose);
  const { secretDays } = sketch;
  return {
    clientId,
    matterCode,
    caseNumber,
    officer,
    legalBasis,
    level,
    at: Date.now(),
    about: sketch.byIdentifier && ticket === undefined ? { identifier, typeCode } : { holder },
    ...(named !== undefined && { types: [named] }),
    ...(ticket !== undefined && { ticket: ticket.secret }),
    ...(secretDays !== undefined && { secretUntil: Date.now() + secretDays * day }),
  };
}

interface Answer {
  readonly code?: string;
  readonly certificates?: readonly {
    readonly certificateIdentifier: string;
    readonly grantId: string;
    readonly status: Status;
    readonly fields?: Record<string, unknown>;
    readonly compared?: Record<string, boolean>;
    readonly sdJwt: string;
  }[];
}
const verdictFrom = ({ code = '', certificates: found }: Answer): Verdict =>
  found === undefined
    ? { refused: code }
    : {
        left: found.map(({ certificateIdentifier: identifier, grantId, status, fields, compared }) => ({
          identifier,
          grantId,
          status,
          ...(fields !== undefined && { fields }),
          ...(compared !== undefined && { compared }),
        })),
      };

/** Asks, compares with the oracle, and answers what was told. */
async function mustBeAsTheOracleSays(question: AskedQuestion): Promise<string> {
  const known: Known = { types, shapes, certificates, grants, tickets };
  const { body } = await clientNamed(question.clientId).post('/v1/lookups', requestFrom(question));
  const answer = body as Answer;
  const verdict = verdictFrom(answer);
  mustEqual(canonical(question), inOrder(verdict), inOrder(verdictOf(known, question)));
  if ('refused' in verdict) return verdict.refused;
  mustEqual(canonical(question), excess(known, question, verdict.left), []);
  for (const { fields = {}, sdJwt } of answer.certificates ?? []) {
    mustEqual(canonical(question), disclosed(sdJwt), Object.keys(fields).sort());
  }
  const index = tickets.findIndex(({ secret }) => secret === question.ticket);
  const ticket = tickets[index];
  if (ticket !== undefined) tickets[index] = { ...ticket, used: ticket.used + 1 };
  return verdict.left.length > 0 ? 'answered' : 'nothing found';
}

await t.test('invariant 2: through HTTP, what left is what the oracle allows', async (t) => {
  const seen = new Map<string, number>();
  for (const sketch of fc.sample(questionSketch, { seed, numRuns: 800 })) {
    const told = await mustBeAsTheOracleSays(questionFrom(sketch));
    seen.set(told, (seen.get(told) ?? 0) + 1);
  }
  t.comment([...seen].map(([told, count]) => `${told} ${count}`).join(', '));
  for (const told of [
    'answered',
    'grant_required',
    'ticket_required',
    'ticket_mismatch',
    'secrecy_not_granted',
    'field_invalid',
  ]) {
    t.ok((seen.get(told) ?? 0) >= 10, `${told} came up at least 10 times`);
  }
});

await t.test('invariant 2: no grant and no ticket helps a client whose role asks no questions', async (t) => {
  for (const clientId of ['psb-issuer', 'audit-office', 'hub-admin']) {
    for (const sketch of fc.sample(questionSketch, { seed, numRuns: 5 })) {
      const { status, body } = await clientNamed(clientId).post('/v1/lookups', requestFrom(questionFrom(sketch)));
      t.match([status, body], [403, { code: 'role_required' }], clientId);
    }
  }
});
