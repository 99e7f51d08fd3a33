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
  type Left,
  type Verdict,
  verdictOf,
} from '../support/permission-oracle.ts';

const settings = { seed: 20261122, numRuns: 20_000 };
const words = (text: string) => ({ zh: text, en: text });
const fieldNames = ['certificateNumber', 'name', 'address', 'income'];

/** One material of a matter: of the applicant or of the other party. */
interface Material {
  readonly party: 'applicant' | 'child';
  /** Place among the types. */
  readonly type: number;
  /** None: that there is a certificate is enough. */
  readonly fields: readonly string[];
}
const anyMaterials: fc.Arbitrary<readonly Material[]> = fc.array(
  fc.record({
    party: fc.constantFrom('applicant' as const, 'child' as const),
    type: fc.nat({ max: 2 }),
    fields: fc.oneof(
      { weight: 1, arbitrary: fc.constant([]) },
      { weight: 3, arbitrary: fc.subarray(fieldNames, { minLength: 1, maxLength: 2 }) },
    ),
  }),
  { minLength: 1, maxLength: 4 },
);

interface Case {
  readonly known: Known;
  readonly question: AskedQuestion;
  readonly materials: readonly Material[];
}
const typeOf = ({ known }: Pick<Case, 'known'>, { type }: Material): string => [...known.types.keys()][type] ?? '';
const holdersOf = ({ certificates }: Known): readonly string[] => [
  ...new Set(certificates.map(({ holder }) => holder)),
];
const holderOf = ({ known }: Pick<Case, 'known'>, { party }: Material): string =>
  holdersOf(known)[party === 'applicant' ? 0 : 1] ?? '';

const matterFrom = ({ known, question, materials }: Case): Matter =>
  ({
    matterCode: question.matterCode,
    name: words('Matter'),
    departmentCode: '11999900100000075D',
    parties: (['applicant', 'child'] as const).map((code) => ({ code, name: words(code), kind: 'person' })),
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

/** One lookup of a check as the oracle is asked about it; under the ticket only where that is for it. */
function lookupOf(given: Case, material: Material): AskedQuestion {
  const { known, question } = given;
  const { fields } = material;
  const { secretUntil: _, ticket, ...rest } = question;
  const asked: AskedQuestion = {
    ...rest,
    level: fields.length > 0 ? 'fields' : 'compare',
    about: { holder: holderOf({ known }, material) },
    types: [{ typeCode: typeOf({ known }, material), ...(fields.length > 0 && { fields }) }],
  };
  if (ticket === undefined) return asked;
  const under = verdictOf(known, { ...asked, ticket });
  return 'refused' in under && under.refused === 'ticket_mismatch' ? asked : { ...asked, ticket };
}

/** Why the ticket refuses the check as a whole: asked for nothing of its own holder. */
function refusalOf({ known, question }: Case): string | undefined {
  const { secretUntil: _, ...rest } = question;
  const ticket = known.tickets.find(({ secret }) => secret === question.ticket);
  if (question.ticket === undefined) return undefined;
  const about = { holder: ticket?.holder ?? '' };
  const verdict = verdictOf(known, { ...rest, level: 'compare', about, types: [] });
  return 'refused' in verdict && verdict.refused.startsWith('ticket_') ? verdict.refused : undefined;
}

async function check(given: Case) {
  const { known, question } = given;
  const { deps, entries, used } = memoryLookup(known, question.at);
  const usesBefore = known.tickets.reduce((sum, ticket) => sum + ticket.used, 0);
  const matter = matterFrom(given);
  const checkDeps: CheckMatterDeps = {
    ...deps,
    matters: { read: async () => ({ all: [matter], newest: () => matter }) } as unknown as CheckMatterDeps['matters'],
    names: async () => ({ department: () => undefined, type: () => undefined, field: () => undefined }),
    cityTimeZone: 'Asia/Shanghai',
    now: () => new Date(question.at),
  };
  const { purpose } = requestFrom(question);
  const [applicant = '', child = ''] = holdersOf(known);
  const call: Call = callFrom(question);
  const input = {
    matterCode: question.matterCode,
    caseNumber: purpose.caseNumber,
    officer: purpose.officer,
    legalBasis: purpose.legalBasis,
    parties: { applicant: { type: '111', number: applicant }, child: { type: '111', number: child } },
    ...(question.ticket !== undefined && { ticket: question.ticket }),
  };
  const told: MatterCheck | string = await checkMatter(checkDeps, input, call).catch((error: unknown) => {
    if (error instanceof RecordedRefusal) return error.code;
    throw error;
  });
  return {
    told,
    records: entries.map(({ action, outcome }) => `${action} ${outcome}`),
    uses: [...used.values()].reduce((sum, count) => sum + count, 0) - usesBefore,
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
  { told, records, uses }: { readonly told: MatterCheck; readonly records: readonly string[]; readonly uses: number },
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
  const isUnder = wanted.some(({ asked }) => asked.ticket !== undefined);
  mustEqual('uses taken', uses, isUnder ? 1 : 0);
  mustEqual('records', records.toSorted(), ['checkMatter answered', ...wanted.map(() => 'lookUp answered')]);
  if (isUnder) note('under a ticket');
  if (isUnder && wanted.some(({ asked }) => asked.ticket === undefined)) note('under a ticket and without');
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

await t.test('invariant 2: a matter check gives out what its lookups would, with and without a ticket', async (t) => {
  const seen = new Map<string, number>();
  const note = (kind: string) => seen.set(kind, (seen.get(kind) ?? 0) + 1);
  await fc.assert(
    fc.asyncProperty(anyCase, anyMaterials, async ({ known, question }, materials) => {
      const given = { known, question, materials };
      const { told, records, uses } = await check(given);
      const refusal = refusalOf(given);
      if (refusal !== undefined || typeof told === 'string') {
        mustEqual('the refusal', told, refusal);
        mustEqual('uses taken by a refusal', uses, 0);
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
    'ticket_unknown',
    'ticket_expired',
    'ticket_used_up',
    'ticket_mismatch',
    'under a ticket',
    'under a ticket and without',
  ]) {
    t.ok((seen.get(kind) ?? 0) >= 100, `${kind} came up at least 100 times`);
  }
});
