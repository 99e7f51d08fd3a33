import { bump } from '../db/fresh.ts';
import type { WriteAnswer } from '../db/write.ts';
import { Refusal } from '../errors.ts';
import type { Call, Officer } from '../ids.ts';
import { mustBeDepartment, type WriteDemandDeps } from './declare-demand.ts';
import {
  type AnswerGiven,
  answered,
  assigned,
  type Demand,
  isOwnDemand,
  type JudgedDemand,
  judgeDemand,
  maySeeGap,
  type StepTaken,
  withdrawn,
} from './demand.ts';
import { demandsTopic, lockDemand, updateDemand } from './demand-store.ts';
import { indexTypes } from './match-demand.ts';
import { type ShownDemand, showDemand } from './shown-demand.ts';

type ChangeCall = Call & { readonly idempotencyKey: string };
type Present = (shown: ShownDemand) => WriteAnswer;
interface Input {
  readonly demandId: string;
  readonly reason: string;
}

/** What is done to a demand: by whom, what it comes to, and what is said of it in the record. */
interface Change {
  readonly operation: 'withdrawDemand' | 'assignDemand' | 'answerSupplyGap';
  readonly content: Input & Readonly<Record<string, unknown>>;
  readonly officer?: Officer;
  /** Before the transaction. */
  readonly check?: () => Promise<void>;
  /** Whose it is to do; to everybody else there is no such demand. */
  readonly isFor: (judged: JudgedDemand) => boolean;
  readonly step: (judged: JudgedDemand, taken: StepTaken) => Demand;
}

/** Takes back a demand of the caller's department. Refuses `demand_unknown` and `demand_closed`. */
export const withdrawDemand = (
  deps: WriteDemandDeps,
  input: Input,
  call: ChangeCall,
  present: Present,
): Promise<WriteAnswer> =>
  changeDemand(deps, call, present, {
    operation: 'withdrawDemand',
    content: { ...input },
    isFor: ({ demand }) => isOwnDemand(call.caller, demand),
    step: withdrawn,
  });

/** Says which department should issue what is missing. Refuses `demand_unknown`, `demand_closed`, `invalid_uscc` and `department_unknown`. */
export const assignDemand = (
  deps: WriteDemandDeps,
  input: Input & { readonly issuerDepartmentCode: string },
  call: ChangeCall,
  present: Present,
): Promise<WriteAnswer> => {
  const { issuerDepartmentCode } = input;
  return changeDemand(deps, call, present, {
    operation: 'assignDemand',
    content: { ...input },
    check: () => mustBeDepartment(deps, issuerDepartmentCode),
    isFor: () => true,
    step: (judged, taken) => assigned(judged, taken, { issuerDepartmentCode, dueAt: deps.dueAfter(call.at) }),
  });
};

/**
 * Answers for the department that should issue what is missing. Of two answers at once one waits for the other and then finds the
 * demand answered. Refuses `demand_unknown` (also where another department should issue it), `demand_closed` and `demand_invalid` (a
 * promise without a day to come or for more than two years, or a day without a promise).
 */
export const answerSupplyGap = (
  deps: WriteDemandDeps,
  { officer, ...input }: Input & AnswerGiven & { readonly officer: Officer },
  call: ChangeCall,
  present: Present,
): Promise<WriteAnswer> => {
  const { answer, by } = input;
  const today = deps.day(call.at);
  return changeDemand(deps, call, present, {
    operation: 'answerSupplyGap',
    content: { ...input },
    officer,
    check: async () => {
      const rule = judgeDay({ answer, ...(by !== undefined && { by }) }, today);
      if (rule !== undefined) throw new Refusal('demand_invalid', { pointer: '/by', rule });
    },
    isFor: ({ responsible }) => responsible === call.caller.department && maySeeGap(call.caller, responsible),
    step: (judged, taken) =>
      answered(judged, taken, { answer, ...(by !== undefined && { by }), today, dueAt: deps.dueAfter(call.at) }),
  });
};

function judgeDay({ answer, by }: AnswerGiven, today: string): string | undefined {
  if (answer !== 'will_supply') return by === undefined ? undefined : 'no_promise';
  if (by === undefined) return 'missing';
  if (by < today) return 'past';
  return by > inTwoYears(today) ? 'beyond_two_years' : undefined;
}

/** What is promised for later is no promise. Days are compared as text, so that a leap day needs no other one in its place. */
const inTwoYears = (day: string): string => `${Number(day.slice(0, 4)) + 2}${day.slice(4)}`;

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

async function changeDemand(
  deps: WriteDemandDeps,
  { caller, idempotencyKey, requestId, at }: ChangeCall,
  present: Present,
  { operation, content, officer, check, isFor, step }: Change,
): Promise<WriteAnswer> {
  const { demandId, reason, ...said } = content;
  return deps.write(
    { caller, operation, idempotencyKey, content: { ...content, ...(officer !== undefined && { officer }) } },
    {
      prepare: async () => {
        await check?.();
        return indexTypes((await deps.catalogue.read()).types);
      },
      apply: async (trx, index) => {
        // A matter's demand is kept nowhere: nothing can be done to it.
        const found = uuid.test(demandId) ? await lockDemand(trx, deps, demandId) : undefined;
        const judged = found === undefined ? undefined : judgeDemand(found, index);
        if (found === undefined || judged === undefined || !isFor(judged)) throw new Refusal('demand_unknown');
        const taken = { at, departmentCode: caller.department, clientId: caller.clientId, reason };
        const changed = step(judged, taken);
        const { clientId, createdAt, dueAt } = found;
        // Not the rest of what was found: a step may take something away.
        await updateDemand(trx, deps, { dueAt, ...changed, clientId, createdAt });
        await bump(trx, demandsTopic);
        await deps.recordIn(trx, {
          kind: 'registry',
          action: operation,
          outcome: 'done',
          caller: { clientId: caller.clientId, department: caller.department, keyId: caller.keyId },
          ...(officer !== undefined && { officer }),
          requestId,
          at,
          detail: { demandId, demandedBy: found.departmentCode, reason, ...said },
        });
        return present(showDemand(judgeDemand(changed, index), index, { at, today: deps.day(at) }));
      },
    },
  );
}
