import type { Entry } from '../audit/entry.ts';
import { type Receipt, RecordedRefusal } from '../audit/record.ts';
import { isRetired } from '../catalogue/certificate-type.ts';
import type { Matter, MatterRequirement } from '../catalogue/matter.ts';
import type { MattersView } from '../catalogue/matters.ts';
import { dayOf, isCalendarDay, startOfDay } from '../certificates/city-day.ts';
import { Refusal } from '../errors.ts';
import { takeUses } from '../grants/use-ticket.ts';
import type { Call, Officer } from '../ids.ts';
import { findOut } from './find-out.ts';
import type { Answer, LookupDeps } from './lookup.ts';
import {
  type AskedMaterial,
  askedMaterial,
  type EvidenceInput,
  gatherer,
  type Looked,
  permitAgain,
  quoting,
  ticketsUsed,
} from './matter-evidence.ts';
import { type Finding, isComplete } from './matter-finding.ts';
import { type Notice, noticeOf } from './matter-notice.ts';
import { checkParties } from './matter-parties.ts';
import { ticketsOfCheck } from './matter-tickets.ts';
import type { MatterNames } from './matter-words.ts';
import type { Purpose } from './question.ts';

/** What checking a matter needs: the lookup itself, the matters, and names for what it says. */
export interface CheckMatterDeps extends LookupDeps {
  readonly matters: MattersView;
  readonly names: () => Promise<MatterNames>;
  /** IANA name; its calendar decides what today is. */
  readonly cityTimeZone: string;
  readonly now: () => Date;
}

/** A question as it arrived: shape checked by the contract, nothing else. */
export interface MatterCheckInput {
  readonly matterCode: string;
  readonly caseNumber: string;
  readonly officer: Officer;
  readonly legalBasis: string;
  readonly note?: string;
  /** Secrets, by party: they are resolved, and never recorded or repeated. */
  readonly tickets?: Readonly<Record<string, string>>;
  /** yyyy-mm-dd; today when absent. */
  readonly date?: string;
  readonly parties: Readonly<Record<string, { readonly type: string; readonly number: string }>>;
}

export interface MatterCheck {
  readonly receipt: Receipt;
  readonly matter: Matter;
  readonly date: string;
  readonly complete: boolean;
  readonly findings: readonly Finding[];
  readonly names: MatterNames;
  readonly evidence: readonly Answer[];
  readonly notice?: Notice;
}

/** What the record says beside the outcome; filled as far as the check got. */
interface Trace {
  matter?: Matter;
  date?: string;
  subjects?: readonly Buffer[];
  /** Party → the ticket that was quoted for it, if it is the caller's. */
  readonly ticketIds: Map<string, string>;
  looked?: readonly Looked[];
}

interface Decided {
  readonly matter: Matter;
  readonly date: string;
  readonly findings: readonly Finding[];
  readonly names: MatterNames;
  readonly evidence: readonly Answer[];
}

type Decision =
  | { readonly ok: true; readonly decided: Decided; readonly trace: Trace }
  | { readonly ok: false; readonly refusal: Refusal; readonly trace: Trace };

/**
 * What is still missing? Looks up what a matter requires of its parties and says of every requirement whether it is satisfied, and what
 * would satisfy it. Every lookup is recorded as one; the check has a record beside them, written before anything is answered or refused.
 * All its lookups under one ticket together take one use of it, when everything is gathered: of every ticket that something was looked up
 * under, or of none, so that a check that is refused uses none up and of two at once exactly one is answered.
 * @throws RecordedRefusal `matter_unknown`, `matter_invalid`, `party_missing`, `parties_equal` and what is wrong with a holder; whatever refuses
 * a lookup but its quota, above all a ticket. `record_unavailable` or `database_unavailable` when nothing could be recorded or read.
 */
export async function checkMatter(deps: CheckMatterDeps, input: MatterCheckInput, call: Call): Promise<MatterCheck> {
  const decision = await decide(deps, input, call);
  const receipt = await deps.record(entryOf(input, decision, call));
  // Only now: a refusal thrown before its commit is one that no auditor will ever find.
  if (!decision.ok) throw new RecordedRefusal(decision.refusal.code, receipt, decision.refusal.detail);
  const { decided } = decision;
  const notice = noticeOf({
    ...decided,
    issuedBy: call.caller.department,
    caseNumber: input.caseNumber,
    recordId: receipt.recordId,
    today: dayOf(call.at, deps.cityTimeZone),
  });
  return { ...decided, receipt, complete: isComplete(decided.findings), ...(notice !== undefined && { notice }) };
}

async function decide(deps: CheckMatterDeps, input: MatterCheckInput, call: Call): Promise<Decision> {
  const trace: Trace = { ticketIds: new Map() };
  try {
    const decided = await check(deps, { input, call, trace });
    return { ok: true, decided, trace };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    // Without a database or a record of a lookup, nothing can be recorded either: fail closed at once.
    if (error.code === 'database_unavailable' || error.code === 'record_unavailable') throw error;
    return { ok: false, refusal: error, trace };
  }
}

async function check(
  deps: CheckMatterDeps,
  { input, call, trace }: { readonly input: MatterCheckInput; readonly call: Call; readonly trace: Trace },
): Promise<Decided> {
  const matter = (await deps.matters.read()).newest(input.matterCode);
  if (matter === undefined) throw new Refusal('matter_unknown', { pointer: '/matterCode' });
  trace.matter = matter;
  if (isRetired(matter)) throw new Refusal('matter_retired', { pointer: '/matterCode' });
  const date = input.date ?? dayOf(call.at, deps.cityTimeZone);
  // Late enough for anybody, and early enough to count days from it.
  if (!isCalendarDay(date) || date >= '9999') {
    throw new Refusal('contract_violation', { pointer: '/date', rule: 'no_such_day' });
  }
  trace.date = date;
  const parties = checkParties(matter, input.parties);
  trace.subjects = distinctKeys([...parties.values()].map(({ type, number }) => deps.keys.holderKey(type, number)));
  if (deps.isUnwitnessed()) throw new Refusal('log_unwitnessed');
  const asked = { day: date, parties, dayStart: startOfDay(date, deps.cityTimeZone).getTime() / 1_000 };
  const purpose = purposeOf(input);
  const tickets = await ticketsOfCheck(deps, {
    secrets: input.tickets ?? {},
    purpose,
    parties,
    call,
    found: (party, ticketId) => {
      trace.ticketIds.set(party, ticketId);
    },
  });
  const evidenceInput: EvidenceInput = { matter, parties, purpose, asked, tickets, call };
  const [lists, grants, names] = await Promise.all([
    Promise.all(matter.requirements.map((requirement, i) => listsOf(deps, evidenceInput, { requirement, i }))),
    deps.grantsOf(call.caller.clientId),
    deps.names(),
  ]);
  const gather = gatherer(deps, evidenceInput, grants);
  const settled = await Promise.allSettled(
    matter.requirements.map((requirement, i) => findOut(gather, { requirement, lists: lists[i] ?? [], date })),
  );
  const looked = await gather.looked();
  trace.looked = looked;
  const findings = settled.map((each) => {
    if (each.status === 'rejected') throw each.reason;
    return each.value;
  });
  const at = deps.now();
  await permitAgain(deps, looked, { clientId: call.caller.clientId, at });
  // Last, and in one statement with the question whether they still stand: what was looked up leaves only if every use was there.
  await takeUses(deps, ticketsUsed(looked), at);
  return { matter, date, findings, names, evidence: looked.flatMap((each) => (each.ok ? [each.answer] : [])) };
}

const listsOf = (
  deps: CheckMatterDeps,
  input: EvidenceInput,
  { requirement, i }: { readonly requirement: MatterRequirement; readonly i: number },
): Promise<readonly (readonly AskedMaterial[])[]> =>
  Promise.all(
    (requirement.alternatives ?? []).map((list, j) =>
      Promise.all(
        list.map(async (material, k) => {
          const pointer = `/requirements/${i}/alternatives/${j}/${k}`;
          return quoting(await askedMaterial(deps, input, { material, pointer }), input);
        }),
      ),
    ),
  );

const purposeOf = ({ matterCode, caseNumber, officer, legalBasis, note }: MatterCheckInput): Purpose => ({
  matterCode,
  caseNumber,
  officer,
  legalBasis,
  ...(note !== undefined && { note }),
});

const distinctKeys = (keys: readonly Buffer[]): readonly Buffer[] => [
  ...new Map(keys.map((key) => [key.toString('hex'), key])).values(),
];

function entryOf(input: MatterCheckInput, decision: Decision, { caller, requestId, at }: Call): Entry {
  const { officer, ...purpose } = purposeOf(input);
  const { matter, date, subjects, ticketIds, looked = [] } = decision.trace;
  return {
    kind: 'access',
    action: 'checkMatter',
    ...outcomeOf(decision),
    caller: { clientId: caller.clientId, department: caller.department, keyId: caller.keyId },
    officer,
    purpose,
    ...(subjects !== undefined && { subjects }),
    scope: {
      matterCode: input.matterCode,
      version: matter?.version ?? null,
      matterDepartmentCode: matter?.departmentCode ?? null,
      date: date ?? null,
      requirements: decision.ok ? decision.decided.findings.map(toldOf) : null,
      lookups: looked.map((each) => (each.ok ? each.answer.receipt.recordId : each.recordId)),
    },
    requestId,
    at,
    ...(ticketIds.size > 0 && { detail: { ticketIds: inOrder(ticketIds) } }),
  };
}

const inOrder = (byName: ReadonlyMap<string, string>): Record<string, string> =>
  Object.fromEntries([...byName].sort(([a], [b]) => (a < b ? -1 : 1)));

function outcomeOf(decision: Decision): Pick<Entry, 'outcome' | 'code'> {
  if (decision.ok) return { outcome: 'answered' };
  const { code } = decision.refusal;
  return { outcome: code === 'stored_data_tampered' ? 'failed' : 'refused', code };
}

/** What was told about a requirement, for the record: outcomes and codes, nothing of a person. */
const toldOf = ({ requirement, outcome, alternative, reasons }: Finding) => ({
  code: requirement.code,
  outcome,
  ...(alternative !== undefined && { alternative }),
  reasons: reasons.map(({ code, certificateTypeCode }) => ({
    code,
    ...(certificateTypeCode !== undefined && { certificateTypeCode }),
  })),
});
