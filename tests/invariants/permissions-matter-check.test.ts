import fc from 'fast-check';
import t from 'tap';
import { RecordedRefusal } from '../../src/audit/record.ts';
import type { Matter } from '../../src/catalogue/matter.ts';
import type { Call } from '../../src/ids.ts';
import { type CheckMatterDeps, checkMatter, type MatterCheck } from '../../src/lookup/check-matter.ts';
import { callFrom, memoryLookup, requestFrom } from '../support/memory-lookup.ts';
import { anyCase } from '../support/permission-arbitrary.ts';
import { disclosed, mustEqual } from '../support/permission-check.ts';
import {
  type AskedQuestion,
  excess,
  type Known,
  type KnownGrant,
  type Left,
  type Verdict,
  verdictOf,
} from '../support/permission-oracle.ts';

const settings = { seed: 20261122, numRuns: 20_000 };
const words = (text: string) => ({ zh: text, en: text });
const fieldNames = ['certificateNumber', 'name', 'address', 'income'];

const partyCodes = ['applicant', 'child'] as const;
type PartyCode = (typeof partyCodes)[number];

/** One material of a matter: of the applicant or of the other party. */
interface Material {
  readonly party: PartyCode;
  /** Place among the types. */
  readonly type: number;
  /** None: that there is a certificate is enough. */
  readonly fields: readonly string[];
}
const anyMaterials: fc.Arbitrary<readonly Material[]> = fc.array(
  fc.record({
    party: fc.constantFrom(...partyCodes),
    type: fc.nat({ max: 2 }),
    fields: fc.oneof(
      { weight: 1, arbitrary: fc.constant([]) },
      { weight: 3, arbitrary: fc.subarray(fieldNames, { minLength: 1, maxLength: 2 }) },
    ),
  }),
  { minLength: 1, maxLength: 4 },
);

/** The tickets of a check and who its parties are; mostly the first ticket for the applicant, the second for the child. */
const anyQuoting = fc.record({
  // Which of the tickets there are; 2 is none of them.
  applicant: fc.option(fc.constantFrom(0, 0, 0, 0, 0, 0, 0, 0, 1, 2), { nil: undefined, freq: 6 }),
  child: fc.option(fc.constantFrom(1, 1, 1, 1, 1, 1, 1, 1, 0, 2), { nil: undefined, freq: 6 }),
  strays: fc.integer({ min: 1, max: 12 }).map((n) => n === 12),
  areOnePerson: fc.boolean(),
  isGranted: fc.integer({ min: 1, max: 3 }).map((n) => n > 1),
  // Of which types, by place.
  ticketRequired: fc.subarray([0, 1, 2]),
});
type Quoting = typeof anyQuoting extends fc.Arbitrary<infer T> ? T : never;

interface Case {
  readonly known: Known;
  readonly question: AskedQuestion;
  readonly materials: readonly Material[];
  /** Party → number. */
  readonly holders: Readonly<Record<PartyCode, string>>;
  /** Party → secret, in the order in which the request names them. */
  readonly tickets: Readonly<Partial<Record<PartyCode, string>>>;
}
function caseFrom(
  { known, question }: Pick<Case, 'known' | 'question'>,
  materials: readonly Material[],
  { strays, areOnePerson, isGranted, ticketRequired, ...quoted }: Quoting,
): Case {
  const [first = '', second = ''] = new Set(known.certificates.map(({ holder }) => holder));
  const holders = { applicant: first, child: areOnePerson ? first : second };
  const tickets = known.tickets.map((ticket, i) => ({ ...ticket, holder: holders[i === 0 ? 'applicant' : 'child'] }));
  const grants = [...known.types].map(([typeCode, fields], i): KnownGrant => {
    const { clientId, matterCode, legalBasis, at } = question;
    const open = {
      level: 'fields',
      isSuspended: false,
      isRevoked: false,
      secrecyDays: 0,
      from: at - 1,
      until: at + 1,
    } as const;
    const grantId = `0199b000-0000-7000-8000-00000000000${i}`;
    const matters = [matterCode];
    return {
      ...open,
      grantId,
      clientId,
      typeCode,
      fields,
      matters,
      legalBases: [legalBasis],
      ticketRequired: ticketRequired.includes(i),
    };
  });
  return {
    known: {
      ...known,
      ...(!strays && { tickets }),
      // Beside those that are there, so that more is looked up.
      ...(isGranted && { grants: [...known.grants, ...grants] }),
    },
    question,
    materials,
    holders,
    tickets: Object.fromEntries(
      partyCodes.toReversed().flatMap((party) => {
        const place = quoted[party];
        return place === undefined ? [] : [[party, `ticket-${place}`]];
      }),
    ),
  };
}
const typeOf = ({ known }: Pick<Case, 'known'>, { type }: Material): string => [...known.types.keys()][type] ?? '';

const matterFrom = ({ known, question, materials }: Case): Matter =>
  ({
    matterCode: question.matterCode,
    name: words('Matter'),
    departmentCode: '11999900100000075D',
    parties: partyCodes.map((code) => ({ code, name: words(code), kind: 'person' })),
    requirements: materials.map((material, i) => ({
      code: `r${i}`,
      name: words(`requirement ${i}`),
      legalGround: words('Article 12'),
      alternatives: [
        [
          {
            certificateTypeCode: typeOf({ known }, material),
            of: material.party,
            ...(material.fields.length > 0 && { fields: material.fields }),
          },
        ],
      ],
    })),
    version: 1,
    createdAt: new Date(0),
  }) as unknown as Matter;

/** One lookup of a check as the oracle is asked about it; under a ticket only where one of its person is for it, the first of them. */
function lookupOf({ known, question, holders, tickets }: Case, material: Material): AskedQuestion {
  const { fields } = material;
  const { secretUntil: _, ticket: __, ...rest } = question;
  const holder = holders[material.party];
  const asked: AskedQuestion = {
    ...rest,
    level: fields.length > 0 ? 'fields' : 'compare',
    about: { holder },
    types: [{ typeCode: typeOf({ known }, material), ...(fields.length > 0 && { fields }) }],
  };
  const ofPerson = partyCodes.filter((party) => holders[party] === holder).map((party) => tickets[party]);
  const ticket = ofPerson.find((secret) => secret !== undefined && !isRefused(known, { ...asked, ticket: secret }));
  return ticket === undefined ? asked : { ...asked, ticket };
}

const isRefused = (known: Known, asked: AskedQuestion): boolean => {
  const verdict = verdictOf(known, asked);
  return 'refused' in verdict && verdict.refused === 'ticket_mismatch';
};

/** Why a ticket refuses the check as a whole, and whose: the first that is not good when asked for nothing of its party. */
function refusalOf({ known, question, holders, tickets }: Case): string | undefined {
  const { secretUntil: _, ticket: __, ...rest } = question;
  for (const party of partyCodes) {
    const ticket = tickets[party];
    if (ticket === undefined) continue;
    const about = { holder: holders[party] };
    const verdict = verdictOf(known, { ...rest, level: 'compare', about, types: [], ticket });
    if ('refused' in verdict && verdict.refused.startsWith('ticket_')) return `${verdict.refused} ${party}`;
  }
  return undefined;
}

async function check(given: Case) {
  const { known, question, holders, tickets } = given;
  const { deps, entries, used } = memoryLookup(known, question.at);
  const matter = matterFrom(given);
  const checkDeps: CheckMatterDeps = {
    ...deps,
    matters: { read: async () => ({ all: [matter], newest: () => matter }) } as unknown as CheckMatterDeps['matters'],
    names: async () => ({ department: () => undefined, type: () => undefined, field: () => undefined }),
    cityTimeZone: 'Asia/Shanghai',
    now: () => new Date(question.at),
  };
  const { purpose } = requestFrom(question);
  const call: Call = callFrom(question);
  const input = {
    matterCode: question.matterCode,
    caseNumber: purpose.caseNumber,
    officer: purpose.officer,
    legalBasis: purpose.legalBasis,
    parties: Object.fromEntries(partyCodes.map((party) => [party, { type: '111', number: holders[party] }])),
    ...(Object.keys(tickets).length > 0 && { tickets }),
  };
  const told: MatterCheck | string = await checkMatter(checkDeps, input, call).catch((error: unknown) => {
    if (error instanceof RecordedRefusal) {
      const { pointer, party = pointer } = error.detail as { readonly pointer: string; readonly party?: string };
      return `${error.code} ${party.replace('/tickets/', '')}`;
    }
    throw error;
  });
  return {
    told,
    records: entries.map(({ action, outcome }) => `${action} ${outcome}`),
    uses: known.tickets
      .flatMap(({ secret, used: before }) => Array<string>((used.get(secret) ?? 0) - before).fill(secret))
      .sort(),
    ticketIds: (entries.at(-1)?.detail as { readonly ticketIds?: object } | undefined)?.ticketIds,
  };
}

const leftOf = ({ evidence }: MatterCheck): Left[] =>
  evidence.flatMap(({ certificates }) =>
    certificates.map(({ certificateIdentifier: identifier, grantId, status, fields, sdJwt }) => {
      mustEqual('what leaves beside the fields', disclosed(sdJwt), Object.keys(fields ?? {}).sort());
      return { identifier, grantId, status, ...(fields !== undefined && { fields }) };
    }),
  );
const sorted = (left: readonly Left[]): string[] => left.map((each) => JSON.stringify(each)).toSorted();

/** What an answered check told, gave out, took and recorded is what the oracle says of each of its lookups. */
function mustAnswer(
  given: Case,
  {
    told,
    records,
    uses,
  }: { readonly told: MatterCheck; readonly records: readonly string[]; readonly uses: readonly string[] },
  note: (kind: string) => void,
): void {
  const { known, materials } = given;
  const lookups = new Map<string, AskedQuestion>();
  for (const [i, material] of materials.entries()) {
    const code = told.findings[i]?.reasons[0]?.code ?? '';
    const asked = lookupOf(given, material);
    if (mustGiveReason(verdictOf(known, asked), code)) lookups.set(JSON.stringify([asked.about, asked.types]), asked);
    note(code);
  }
  const wanted = [...lookups.values()].map((asked) => ({ asked, left: leftBy(verdictOf(known, asked)) }));
  mustEqual('the evidence', sorted(leftOf(told)), sorted(wanted.flatMap(({ left }) => left)));
  for (const { asked, left } of wanted) mustEqual('what exceeds its grant or ticket', excess(known, asked, left), []);
  const under = new Set(wanted.flatMap(({ asked: { ticket } }) => (ticket === undefined ? [] : [ticket])));
  mustEqual('uses taken', uses, [...under].sort());
  mustEqual('records', records.toSorted(), ['checkMatter answered', ...wanted.map(() => 'lookUp answered')]);
  if (under.size > 0)
    noteUnder(given, { under: under.size, without: wanted.some(({ asked }) => asked.ticket === undefined) }, note);
}

function noteUnder(
  { holders, tickets }: Case,
  { under, without }: { readonly under: number; readonly without: boolean },
  note: (kind: string) => void,
): void {
  note('under a ticket');
  if (under > 1) note(holders.applicant === holders.child ? 'one person, two tickets' : 'under two tickets');
  if (tickets.applicant === tickets.child) note('one ticket under both parties');
  if (without) note('under a ticket and without');
}

const leftBy = (verdict: Verdict): readonly Left[] => ('left' in verdict ? verdict.left : []);

/** Whether the lookup is made; the reason of the finding says so. */
function mustGiveReason(verdict: Verdict, code: string): boolean {
  if ('left' in verdict) {
    mustEqual('a reason', ['in_force', 'not_found', 'not_in_force'].includes(code), true);
    return true;
  }
  mustEqual('a reason', code, verdict.refused === 'ticket_required' ? 'ticket_needed' : 'permission_missing');
  return false;
}

/** Those that the record names: all that were quoted and are the caller's own, also where one of them refuses the check. */
const ownTickets = ({ known, question, tickets }: Case) =>
  Object.fromEntries(
    Object.entries(tickets).filter(([, quoted]) =>
      known.tickets.some(({ secret, clientId }) => secret === quoted && clientId === question.clientId),
    ),
  );

await t.test(
  'invariant 2: a matter check gives out what its lookups would, under the tickets of its parties and without',
  async (t) => {
    const seen = new Map<string, number>();
    const note = (kind: string) => seen.set(kind, (seen.get(kind) ?? 0) + 1);
    await fc.assert(
      fc.asyncProperty(anyCase, anyMaterials, anyQuoting, async (city, materials, quoting) => {
        const given = caseFrom(city, materials, quoting);
        const { told, records, uses, ticketIds } = await check(given);
        mustEqual('tickets on record', ticketIds ?? {}, ownTickets(given));
        const refusal = refusalOf(given);
        if (refusal !== undefined || typeof told === 'string') {
          mustEqual('the refusal', told, refusal);
          mustEqual('uses taken by a refusal', uses, []);
          mustEqual('records of a refusal', records, ['checkMatter refused']);
          note(String(refusal));
          return;
        }
        mustAnswer(given, { told, records, uses }, note);
      }),
      settings,
    );
    t.comment([...seen].map(([kind, count]) => `${kind} ${count}`).join(', '));
    for (const kind of [
      'in_force',
      'not_found',
      'not_in_force',
      'permission_missing',
      'ticket_needed',
      ...['ticket_unknown', 'ticket_expired', 'ticket_used_up', 'ticket_mismatch'].flatMap((code) =>
        partyCodes.map((party) => `${code} ${party}`),
      ),
      'under a ticket',
      'under two tickets',
      'one person, two tickets',
      'one ticket under both parties',
      'under a ticket and without',
    ]) {
      t.ok((seen.get(kind) ?? 0) >= 100, `${kind} came up at least 100 times`);
    }
  },
);
