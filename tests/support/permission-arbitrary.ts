import fc from 'fast-check';
import { personOf } from '../../src/cli/demo/people.ts';
import { composeCertificateIdentifier } from '../../src/verification/identifiers.ts';
import {
  type AskedLevel,
  type AskedQuestion,
  type AskedType,
  type Basis,
  bases,
  type Known,
  type KnownCertificate,
  type KnownGrant,
  type KnownTicket,
  type Status,
} from './permission-oracle.ts';

/**
 * A small city: two departments with three certificate types, three clients, two holders. Grants and tickets are made to fit the question
 * in most of their members, so that what decides is now this member and now that one.
 */

const day = 86_400_000;
const at = Date.UTC(2026, 5, 15);
const publicSecurity = '11999900100000016A';
const humanResources = '119999001000000320';
const clients = ['school', 'housing', 'hall'];
const matters = ['enrolment', 'allocation', 'residence'];
const holders = [personOf(0).idNumber, personOf(1).idNumber];
const typeCodes = [`${publicSecurity}001`, `${publicSecurity}002`, `${humanResources}001`];
const unknownType = `${humanResources}999`;
const fieldNames = ['certificateNumber', 'name', 'address', 'income'];
const types: Known['types'] = new Map(typeCodes.map((code) => [code, fieldNames]));
const officers = [
  { id: 'officer-1', name: '甲' },
  { id: 'officer-1', name: '乙' },
  { id: 'officer-2', name: '甲' },
];
const statuses: readonly Status[] = ['valid', 'not_yet_valid', 'expired', 'suspended', 'revoked', 'superseded'];

/** Undefined, which stands for "as the question has it", in all but one of so many cases. */
const otherwise = <T>(other: fc.Arbitrary<T>, weight = 8): fc.Arbitrary<T | undefined> =>
  fc.oneof({ weight, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: other });
const oneIn = (cases: number): fc.Arbitrary<boolean> => fc.integer({ min: 1, max: cases }).map((n) => n === cases);
const someFields = fc.subarray(fieldNames, { minLength: 1 });
const anyLevel = fc.constantFrom<AskedLevel>('fields', 'compare');
/** Fewer delegations, which are all told to bring a ticket. */
const anyBasis = fc.constantFrom<Basis>('statutory_duty', 'own_application', ...bases);

const anyCertificates: fc.Arbitrary<readonly KnownCertificate[]> = fc
  .array(otherwise(fc.constantFrom(...statuses), 3), {
    minLength: holders.length * typeCodes.length,
    maxLength: holders.length * typeCodes.length,
  })
  .map((drawn) =>
    drawn.map((status = 'valid', i) => {
      const typeCode = typeCodes[i % typeCodes.length] ?? '';
      const serial = String(i).padStart(20, '0');
      const values = { certificateNumber: `N${i}`, name: `name ${i}`, ...(i % 2 === 0 && { address: `road ${i}` }) };
      return {
        identifier: composeCertificateIdentifier({ typeCode, issuerCode: typeCode.slice(0, 18), serial, version: 1 }),
        typeCode,
        holder: holders[Math.floor(i / typeCodes.length)] ?? '',
        status,
        // Nobody has an income: an optional field that is absent.
        values,
      };
    }),
  );

const typeSketch = fc.record({
  typeCode: fc.oneof(
    { weight: 60, arbitrary: fc.constantFrom(...typeCodes) },
    { weight: 1, arbitrary: fc.constant(unknownType) },
  ),
  names: fc.option(fc.subarray(fieldNames, { minLength: 1, maxLength: 2 }), { nil: undefined }),
  unknownField: fc.integer({ min: 0, max: 60 }).map((n) => n === 60),
  isTrue: fc.boolean(),
});
type TypeSketch = typeof typeSketch extends fc.Arbitrary<infer T> ? T : never;

const questionSketch = fc.record({
  clientId: fc.constantFrom(...clients),
  matterCode: fc.constantFrom(...matters),
  caseNumber: fc.constantFrom('CASE-1', 'CASE-2'),
  officer: fc.constantFrom(...officers),
  legalBasis: anyBasis,
  level: fc.oneof({ weight: 2, arbitrary: fc.constant<AskedLevel>('fields') }, { weight: 1, arbitrary: anyLevel }),
  secretDays: otherwise(fc.constantFrom(-1, 0, 1, 5, 5, 30), 2),
  holder: fc.constantFrom(...holders),
  certificate: otherwise(fc.nat({ max: 5 }), 5),
  types: fc.option(fc.uniqueArray(typeSketch, { minLength: 1, maxLength: 2, selector: (type) => type.typeCode }), {
    nil: undefined,
    freq: 4,
  }),
  // Which of the tickets there are; 2 is none of them.
  ticket: fc.option(fc.constantFrom(0, 0, 0, 0, 1, 1, 1, 1, 2), { nil: undefined, freq: 2 }),
});
type QuestionSketch = typeof questionSketch extends fc.Arbitrary<infer T> ? T : never;

const grantSketch = fc.record({
  clientId: otherwise(fc.constantFrom(...clients)),
  typeCode: fc.constantFrom(...typeCodes),
  // Also the type that the question names first.
  asNamed: fc.boolean(),
  level: otherwise(anyLevel),
  fields: someFields,
  // Those the question names are among them.
  asMuch: fc.integer({ min: 0, max: 4 }).map((n) => n > 0),
  matters: otherwise(fc.subarray(matters, { minLength: 1 })),
  legalBases: otherwise(fc.subarray([...bases], { minLength: 1 })),
  from: otherwise(fc.constantFrom(-10, 0, 1)),
  until: otherwise(fc.constantFrom(-1, 0, 1)),
  isSuspended: oneIn(9),
  isRevoked: oneIn(9),
  ticketRequired: oneIn(4),
  secrecyDays: fc.constantFrom(0, 1, 5, 30),
});
type GrantSketch = typeof grantSketch extends fc.Arbitrary<infer T> ? T : never;

const ticketSketch = fc.record({
  clientId: otherwise(fc.constantFrom(...clients), 20),
  matterCode: otherwise(fc.constantFrom(...matters), 20),
  caseNumber: otherwise(fc.constantFrom('CASE-1', 'CASE-2'), 20),
  officer: otherwise(fc.constantFrom(...officers), 20),
  legalBasis: otherwise(anyBasis, 20),
  level: otherwise(anyLevel, 20),
  holder: otherwise(fc.constantFrom(...holders), 20),
  types: fc.uniqueArray(fc.record({ typeCode: fc.constantFrom(...typeCodes), fields: someFields }), {
    minLength: 1,
    maxLength: 3,
    selector: (type) => type.typeCode,
  }),
  asMuch: fc.integer({ min: 0, max: 6 }).map((n) => n > 0),
  uses: fc.integer({ min: 1, max: 3 }),
  usedUp: oneIn(16),
  expires: otherwise(fc.constantFrom(-1, 0), 15),
  isRevoked: oneIn(16),
});
type TicketSketch = typeof ticketSketch extends fc.Arbitrary<infer T> ? T : never;

const namedFields = (question: AskedQuestion, typeCode: string): readonly string[] => {
  const type = question.types?.find((each) => each.typeCode === typeCode);
  return (type?.fields ?? Object.keys(type?.compare ?? {})).filter((name) => fieldNames.includes(name));
};
const inOrder = (names: readonly string[]): string[] => fieldNames.filter((name) => names.includes(name));

function typeFrom({ typeCode, names, unknownField, isTrue }: TypeSketch, level: AskedLevel): AskedType {
  if (names === undefined) return { typeCode };
  const asked = unknownField ? [...names, 'shoeSize'] : names;
  if (level === 'fields') return { typeCode, fields: asked };
  const index = typeCodes.indexOf(typeCode);
  return { typeCode, compare: Object.fromEntries(asked.map((name) => [name, isTrue ? `name ${index}` : 'nobody'])) };
}

function questionFrom(sketch: QuestionSketch, certificates: readonly KnownCertificate[]): AskedQuestion {
  const { secretDays, holder, certificate, types: drawn, ticket, ...rest } = sketch;
  const about = certificate === undefined ? undefined : certificates[certificate];
  const named = drawn?.map((type) => typeFrom(type, rest.level));
  const [first] = named ?? [];
  // With an identifier, its own type is the only one that can be named.
  const ofIdentifier = about === undefined || first === undefined ? named : [{ ...first, typeCode: about.typeCode }];
  return {
    ...rest,
    at,
    about: about === undefined ? { holder } : { identifier: about.identifier, typeCode: about.typeCode },
    ...(ofIdentifier !== undefined && { types: ofIdentifier }),
    ...(ticket !== undefined && { ticket: `ticket-${ticket}` }),
    ...(secretDays !== undefined && { secretUntil: at + secretDays * day }),
  };
}

/** The type that the question names first, if there is such a type. */
function firstType({ types: named, about }: AskedQuestion): string | undefined {
  const code = named?.[0]?.typeCode ?? ('typeCode' in about ? about.typeCode : '');
  return types.has(code) ? code : undefined;
}

function grantFrom(sketch: GrantSketch, i: number, question: AskedQuestion): KnownGrant {
  const typeCode = sketch.asNamed ? (firstType(question) ?? sketch.typeCode) : sketch.typeCode;
  const fields = sketch.asMuch ? [...sketch.fields, ...namedFields(question, typeCode)] : sketch.fields;
  return {
    grantId: `0199a000-0000-7000-8000-${String(i).padStart(12, '0')}`,
    clientId: sketch.clientId ?? question.clientId,
    typeCode,
    level: sketch.level ?? question.level,
    fields: inOrder(fields),
    matters: sketch.matters ?? [question.matterCode],
    legalBases: sketch.legalBases ?? [question.legalBasis],
    from: at + (sketch.from ?? -20) * day,
    until: at + (sketch.until ?? 20) * day,
    isSuspended: sketch.isSuspended,
    isRevoked: sketch.isRevoked,
    ticketRequired: sketch.ticketRequired,
    secrecyDays: sketch.secrecyDays,
  };
}

const purposeFrom = (sketch: TicketSketch, question: AskedQuestion) => ({
  matterCode: sketch.matterCode ?? question.matterCode,
  caseNumber: sketch.caseNumber ?? question.caseNumber,
  officer: sketch.officer ?? question.officer,
  legalBasis: sketch.legalBasis ?? question.legalBasis,
});

function ticketFrom(sketch: TicketSketch, i: number, question: AskedQuestion): KnownTicket {
  const { asMuch, expires, usedUp, types: drawn, ...rest } = sketch;
  const own = asMuch ? (question.types ?? []).filter(({ typeCode }) => types.has(typeCode)) : [];
  const others = drawn.filter(({ typeCode }) => own.every((type) => type.typeCode !== typeCode));
  return {
    secret: `ticket-${i}`,
    clientId: rest.clientId ?? question.clientId,
    ...purposeFrom(sketch, question),
    level: rest.level ?? question.level,
    holder: rest.holder ?? ('holder' in question.about ? question.about.holder : (holders[0] ?? '')),
    types: [
      ...own.map(({ typeCode }) => ({
        typeCode,
        fields: inOrder(['name', ...namedFields(question, typeCode)]),
      })),
      ...others,
    ],
    uses: rest.uses,
    used: usedUp ? rest.uses : rest.uses - 1,
    expiresAt: at + (expires ?? 1) * day,
    isRevoked: rest.isRevoked,
  };
}

/** A city and a question to its hub. */
export const anyCase: fc.Arbitrary<{ readonly known: Known; readonly question: AskedQuestion }> = fc
  .record({
    certificates: anyCertificates,
    sketch: questionSketch,
    grants: fc.array(grantSketch, { maxLength: 5 }),
    tickets: fc.array(ticketSketch, { minLength: 2, maxLength: 2 }),
  })
  .map(({ certificates, sketch, grants, tickets }) => {
    const question = questionFrom(sketch, certificates);
    return {
      question,
      known: {
        types,
        certificates,
        grants: grants.map((grant, i) => grantFrom(grant, i, question)),
        tickets: tickets.map((ticket, i) => ticketFrom(ticket, i, question)),
      },
    };
  });

/** Every way to make a grant narrower; each takes away from one member. */
export const narrowings: Readonly<Record<string, (grant: KnownGrant) => KnownGrant>> = {
  'a field less': (grant) => ({ ...grant, fields: grant.fields.slice(1) }),
  'the last field less': (grant) => ({ ...grant, fields: grant.fields.slice(0, -1) }),
  'a matter less': (grant) => ({ ...grant, matters: grant.matters.slice(1) }),
  'a legal basis less': (grant) => ({ ...grant, legalBases: grant.legalBases.slice(1) }),
  'comparison only': (grant) => ({ ...grant, level: 'compare' }),
  'begins tomorrow': (grant) => ({ ...grant, from: Math.max(grant.from, at + day) }),
  'ends now': (grant) => ({ ...grant, until: Math.min(grant.until, at) }),
  suspended: (grant) => ({ ...grant, isSuspended: true }),
  revoked: (grant) => ({ ...grant, isRevoked: true }),
  'with a ticket only': (grant) => ({ ...grant, ticketRequired: true }),
  'no secrecy': (grant) => ({ ...grant, secrecyDays: 0 }),
  'shorter secrecy': (grant) => ({ ...grant, secrecyDays: Math.min(grant.secrecyDays, 4) }),
};
