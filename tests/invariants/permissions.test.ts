import fc from 'fast-check';
import t from 'tap';
import { RecordedRefusal } from '../../src/audit/record.ts';
import {
  type ApplicationState,
  type GrantApplication,
  judgeDecider,
  maySeeApplication,
} from '../../src/grants/application.ts';
import type { Grant } from '../../src/grants/grant.ts';
import { listGrants, readGrant } from '../../src/grants/read-grants.ts';
import type { Caller, Role } from '../../src/ids.ts';
import { lookUp } from '../../src/lookup/lookup.ts';
import { callFrom, grantFrom, memoryLookup, requestFrom } from '../support/memory-lookup.ts';
import { anyCase, narrowings } from '../support/permission-arbitrary.ts';
import { canonical, disclosed, inOrder, mustEqual } from '../support/permission-check.ts';
import {
  type AskedQuestion,
  type AskedType,
  excess,
  type Known,
  type Left,
  type Verdict,
  verdictOf,
} from '../support/permission-oracle.ts';

const settings = { seed: 20261122, numRuns: 20_000 };

interface Asked {
  readonly verdict: Verdict;
  /** What the record says beside the verdict. */
  readonly recorded: readonly unknown[];
  /** Fields that the SD-JWTs and the signed answer give away, where they are others than those beside them. */
  readonly hidden: readonly string[];
  /** Uses taken of all tickets. */
  readonly uses: number;
}

/** Asks the lookup itself. */
async function ask(known: Known, question: AskedQuestion): Promise<Asked> {
  const { deps, entries, used } = memoryLookup(known, question.at);
  const usesBefore = known.tickets.reduce((sum, ticket) => sum + ticket.used, 0);
  const verdict: { readonly verdict: Verdict; readonly hidden: readonly string[] } = await lookUp(
    deps,
    requestFrom(question),
    callFrom(question),
  ).then(
    ({ answer, certificates }) => {
      const claims = JSON.parse(answer) as { certificates: { certificateIdentifier: string; compare?: object }[] };
      const told = new Map(claims.certificates.map((each) => [each.certificateIdentifier, each]));
      return {
        verdict: {
          left: certificates.map(({ certificateIdentifier: identifier, grantId, status, fields, compared }) => ({
            identifier,
            grantId,
            status,
            ...(fields !== undefined && { fields }),
            ...(compared !== undefined && { compared }),
          })),
        },
        hidden: certificates.flatMap(({ certificateIdentifier, fields = {}, compared, sdJwt }) => [
          ...(String(disclosed(sdJwt)) === String(Object.keys(fields).sort())
            ? []
            : [`sdJwt: ${String(disclosed(sdJwt))}`]),
          ...(JSON.stringify(told.get(certificateIdentifier)?.compare) === JSON.stringify(compared) ? [] : ['compare']),
        ]),
      };
    },
    (error: unknown) => {
      if (error instanceof RecordedRefusal) return { verdict: { refused: error.code }, hidden: [] };
      throw error;
    },
  );
  return {
    ...verdict,
    recorded: entries.map(({ outcome, code, certificates }) => [outcome, code, certificates]),
    uses: [...used.values()].reduce((sum, count) => sum + count, 0) - usesBefore,
  };
}

await t.test('invariant 2: what leaves is what an independent oracle allows, and refusals say the same', async (t) => {
  const seen = new Map<string, number>();
  await fc.assert(
    fc.asyncProperty(anyCase, async ({ known, question }) => {
      const { verdict, recorded, hidden, uses } = await ask(known, question);
      const wanted = verdictOf(known, question);
      mustEqual('the answer', inOrder(verdict), inOrder(wanted));
      mustEqual('what leaves beside the fields', hidden, []);
      mustEqual('what exceeds its grant', 'left' in verdict ? excess(known, question, verdict.left) : [], []);
      mustEqual('uses taken', uses, 'left' in verdict && question.ticket !== undefined ? 1 : 0);
      mustEqual(
        'the record',
        recorded,
        'left' in verdict
          ? [['answered', undefined, verdict.left.map(({ identifier }) => identifier)]]
          : [['refused', verdict.refused, undefined]],
      );
      const kind = 'refused' in verdict ? verdict.refused : verdict.left.length > 0 ? 'answered' : 'nothing found';
      seen.set(kind, (seen.get(kind) ?? 0) + 1);
    }),
    settings,
  );
  t.comment([...seen].map(([kind, count]) => `${kind} ${count}`).join(', '));
  for (const kind of [
    'answered',
    'nothing found',
    'grant_required',
    'grant_expired',
    'grant_suspended',
    'grant_revoked',
    'ticket_required',
    'secrecy_not_granted',
    'release_invalid',
    'ticket_unknown',
    'ticket_expired',
    'ticket_used_up',
    'ticket_mismatch',
    'certificate_type_unknown',
    'field_unknown',
  ]) {
    t.ok((seen.get(kind) ?? 0) >= 100, `${kind} came up at least 100 times`);
  }
});

/** Whatever leaves now left before to who asked for just that. */
async function mustHaveLeft(
  known: Known,
  question: AskedQuestion,
  { now, before }: { readonly now: Verdict; readonly before: Verdict },
): Promise<void> {
  if ('refused' in now) return;
  if (question.types !== undefined && 'refused' in before) throw new Error('a refusal became an answer');
  for (const { grantId: _, ...left } of now.left) {
    const { verdict } = await ask(known, { ...question, types: [justThat(known, question, left)] });
    const found = 'left' in verdict ? verdict.left.find(({ identifier }) => identifier === left.identifier) : undefined;
    mustEqual('before', found && { ...found, grantId: undefined }, left);
  }
}

/** What one certificate of an answer gave away, as a question names it. */
function justThat(
  known: Known,
  { level, types }: AskedQuestion,
  { identifier, fields }: Omit<Left, 'grantId'>,
): AskedType {
  const { typeCode } = known.certificates.find((each) => each.identifier === identifier) ?? { typeCode: '' };
  if (level === 'fields') return { typeCode, fields: Object.keys(fields ?? {}) };
  return types?.find((type) => type.typeCode === typeCode) ?? { typeCode };
}

await t.test('invariant 2: narrowing a grant, in whatever member, never widens an answer', async (t) => {
  const ways = Object.keys(narrowings);
  const narrower = new Map<string, number>();
  await fc.assert(
    fc.asyncProperty(anyCase, fc.nat(), fc.constantFrom(...ways), async ({ known, question }, which, way) => {
      const index = which % Math.max(1, known.grants.length);
      const narrow = narrowings[way] ?? ((grant) => grant);
      const grants = known.grants.map((grant, i) => (i === index ? narrow(grant) : grant));
      const [before, { verdict }] = [await ask(known, question), await ask({ ...known, grants }, question)];
      if (canonical(verdict) === canonical(before.verdict)) return;
      narrower.set(way, (narrower.get(way) ?? 0) + 1);
      await mustHaveLeft(known, question, { now: verdict, before: before.verdict });
    }),
    settings,
  );
  t.comment([...narrower].map(([way, count]) => `${way} ${count}`).join(', '));
  for (const way of ways) t.ok((narrower.get(way) ?? 0) >= 10, `${way} changed at least 10 answers`);
});

const departments = ['education', 'public security', 'hub'];
const anyCaller: fc.Arbitrary<Caller> = fc
  .record({
    clientId: fc.constantFrom('school', 'desk', 'other'),
    department: fc.constantFrom(...departments),
    roles: fc.subarray<Role>(['issuer', 'consumer', 'auditor', 'admin', 'portal', 'grantor']),
  })
  .map((caller) => ({ ...caller, keyId: 'key-1' }) as unknown as Caller);

const is = ({ roles }: Caller, ...wanted: readonly Role[]): boolean => wanted.some((role) => roles.includes(role));
const ownsType = (caller: Caller, owner: string): boolean => is(caller, 'grantor') && caller.department === owner;

/** An official reads all grants, those of its own client, or those for types of its department. */
async function mustRead(known: Known, caller: Caller, owner: string): Promise<void> {
  const all = known.grants.map(grantFrom);
  const deps = {
    current: { read: async () => ({ all, byClient: new Map<string, readonly Grant[]>() }) },
    owners: async () => () => owner,
  };
  const wanted = known.grants
    .filter(({ clientId }) => is(caller, 'admin', 'auditor') || ownsType(caller, owner) || clientId === caller.clientId)
    .map(({ grantId }) => grantId);
  const { items } = await listGrants(deps, { caller });
  mustEqual(
    'the grants listed',
    items.map(({ grantId }) => grantId),
    wanted,
  );
  const readable: string[] = [];
  for (const { grantId } of all) {
    const read = await readGrant(deps, { caller, grantId }).catch(() => undefined);
    if (read !== undefined) readable.push(grantId);
  }
  mustEqual('the grants read', readable, wanted);
}

interface Pending {
  readonly owner: string;
  readonly applicant: string;
  readonly state: ApplicationState;
  /** Client that approved it already. */
  readonly approver: string | undefined;
}

/** Who sees an application of the client `school`, and who may decide on it. Answers what the caller is told. */
function mustDecide(caller: Caller, { owner, applicant, state, approver }: Pending): string {
  const step = { at: new Date(0), departmentCode: applicant, clientId: 'school' };
  const application = {
    clientId: 'school',
    departmentCode: applicant,
    ownerDepartmentCode: owner,
    state,
    history: [
      { ...step, step: 'applied' },
      ...(approver === undefined ? [] : [{ ...step, step: 'approved', clientId: approver }]),
    ],
  } as unknown as GrantApplication;
  const isApplicant = caller.clientId === 'school';
  const mayKnow = is(caller, 'admin', 'auditor') || ownsType(caller, owner) || isApplicant;
  mustEqual('the application seen', maySeeApplication(caller, application), mayKnow);
  const turns: Partial<Record<ApplicationState, boolean>> = {
    awaiting_owner: ownsType(caller, owner),
    awaiting_hub: is(caller, 'admin'),
  };
  const isTurn = turns[state];
  const isOwn = caller.department === applicant || isApplicant;
  const isTwice = isTurn === true && approver === caller.clientId;
  const told = judgeDecider(application, caller)?.code ?? 'may decide';
  const mayNot = isOwn || isTwice ? 'decider_must_differ' : isTurn === true ? 'may decide' : 'application_closed';
  mustEqual('the decision', told, isTurn === undefined ? 'application_closed' : mayNot);
  return told;
}

await t.test('invariant 2: whose role and department answer for a grant, and for nothing else', async (t) => {
  const seen = new Map<string, number>();
  await fc.assert(
    fc.asyncProperty(
      anyCase,
      anyCaller,
      fc.constantFrom(...departments),
      fc.constantFrom(...departments),
      fc.constantFrom<ApplicationState>(
        'awaiting_owner',
        'awaiting_hub',
        'prepared',
        'granted',
        'refused',
        'withdrawn',
      ),
      fc.option(fc.constantFrom('school', 'desk', 'other'), { nil: undefined }),
      async ({ known }, caller, owner, applicant, state, approver) => {
        await mustRead(known, caller, owner);
        const code = mustDecide(caller, { owner, applicant, state, approver });
        seen.set(code, (seen.get(code) ?? 0) + 1);
      },
    ),
    settings,
  );
  t.comment([...seen].map(([kind, count]) => `${kind} ${count}`).join(', '));
  for (const kind of ['may decide', 'application_closed', 'decider_must_differ']) {
    t.ok((seen.get(kind) ?? 0) >= 100, `${kind} came up at least 100 times`);
  }
});
