import fc from 'fast-check';
import t from 'tap';
import type { Level } from '../../src/grants/grant.ts';
import { misfitOf, type QuestionUnderTicket, type TicketScope, typesUnder } from '../../src/grants/ticket.ts';
import type { Holder } from '../../src/verification/identifiers.ts';

const some = { seed: 20_261_122, numRuns: 3_000 };
const few = (...values: readonly string[]) => fc.constantFrom(...values);
const anyFields = fc.uniqueArray(few('a', 'b', 'c'), { minLength: 1 });
const anyLevel = fc.constantFrom<Level>('compare', 'fields');
const anyHolder: fc.Arbitrary<Holder> = fc.record({ type: fc.constantFrom('111', '414'), number: few('N1', 'N2') });
const anyPurpose = fc.record({
  matterCode: few('m', 'n'),
  caseNumber: few('1', '2'),
  officer: fc.record({ id: few('o', 'p'), name: few('O', 'P') }),
  legalBasis: few('own_application', 'delegated'),
});
const anyTicket: fc.Arbitrary<TicketScope> = fc.record({
  purpose: anyPurpose,
  level: anyLevel,
  holder: anyHolder,
  types: fc
    .uniqueArray(fc.record({ certificateTypeCode: few('T', 'U', 'V'), fields: anyFields }), {
      minLength: 1,
      selector: ({ certificateTypeCode }) => certificateTypeCode,
    })
    .map((types) => types as unknown as TicketScope['types']),
});
const anyQuestion: fc.Arbitrary<QuestionUnderTicket> = fc
  .record({
    purpose: anyPurpose,
    level: anyLevel,
    holder: fc.option(anyHolder, { nil: undefined }),
    types: fc.option(
      fc.uniqueArray(
        fc.record({ certificateTypeCode: few('T', 'U', 'V'), names: fc.option(anyFields, { nil: undefined }) }),
        { minLength: 1, selector: ({ certificateTypeCode }) => certificateTypeCode },
      ),
      { nil: undefined },
    ),
  })
  .map(({ purpose, level, holder, types }) => ({
    purpose,
    level,
    ...(holder !== undefined && { holder }),
    ...(types !== undefined && {
      types: types.map(({ certificateTypeCode, names }) => ({
        certificateTypeCode,
        ...(names !== undefined &&
          (level === 'fields' ? { fields: names } : { compare: Object.fromEntries(names.map((name) => [name, 1])) })),
      })),
    }),
  }));
/** Mostly about the ticket's own case: two independent draws would hardly ever fit. */
const anyPair = fc
  .tuple(anyTicket, anyQuestion, fc.boolean(), fc.boolean())
  .map(([ticket, question, samePurpose, sameHolder]) => ({
    ticket,
    question: {
      ...question,
      ...(samePurpose && { purpose: structuredClone(ticket.purpose) }),
      ...(sameHolder && { holder: { ...ticket.holder } }),
    },
  }));

const keysOf = (compare: Readonly<Record<string, unknown>> = {}): string[] => Object.keys(compare);
const json = (value: unknown): string => JSON.stringify(value);

await t.test('a question fits its ticket exactly when nothing in it goes beyond', async (t) => {
  let fitting = 0;
  fc.assert(
    fc.property(anyPair, ({ ticket, question }) => {
      const allowed = new Set(
        ticket.types.flatMap((type) => type.fields.map((f) => `${type.certificateTypeCode} ${f}`)),
      );
      const named = new Set(ticket.types.map((type) => type.certificateTypeCode));
      const types = question.types ?? [];
      const naive =
        json(ticket.purpose) === json(question.purpose) &&
        json(ticket.holder) === json(question.holder) &&
        (question.level === 'compare' || ticket.level === 'fields') &&
        types.every((type) => named.has(type.certificateTypeCode)) &&
        types.every((type) =>
          [...(type.fields ?? []), ...keysOf(type.compare)].every((f) =>
            allowed.has(`${type.certificateTypeCode} ${f}`),
          ),
        );
      const fits = misfitOf(ticket, question) === undefined;
      if (fits) fitting += 1;
      return fits === naive;
    }),
    some,
  );
  t.ok(fitting > 300, `${fitting} of them fitted`);
});

await t.test('invariant 2: nothing that a question under a ticket leaves open is wider than the ticket', async (t) => {
  fc.assert(
    fc.property(anyPair, ({ ticket, question: { types, ...question } }) => {
      const asked = {
        ...question,
        purpose: ticket.purpose,
        holder: ticket.holder,
        ...(types !== undefined && { types }),
      };
      fc.pre(misfitOf(ticket, asked) === undefined);
      const decided = typesUnder(ticket, asked);
      // At level fields every type says its fields, or a grant would add all of its own.
      return (
        decided.length > 0 &&
        decided.every(({ fields }) => (asked.level === 'fields') === (fields !== undefined)) &&
        misfitOf(ticket, { ...asked, types: decided }) === undefined
      );
    }),
    some,
  );
  t.pass();
});
