import type { RecordIn } from '../audit/record.ts';
import type { Write, WriteAnswer } from '../db/write.ts';
import { Refusal } from '../errors.ts';
import type { Call, Officer } from '../ids.ts';
import { answered, closedBy, judgeAnswerer, maySeePaperDemand, type PaperDemand } from './paper-demand.ts';
import { paperDemandEntry } from './paper-demand-record.ts';
import type { PaperDemandStoreDeps } from './paper-demand-row.ts';
import { findPaperDemand, updatePaperDemand } from './paper-demand-store.ts';

export interface AnswerPaperDemandDeps extends PaperDemandStoreDeps {
  readonly write: Write;
  readonly recordIn: RecordIn;
}

export interface PaperDemandAnswer {
  readonly paperDemandId: string;
  readonly outcome: 'withdrawn' | 'maintained';
  readonly reason: string;
  readonly officer: Officer;
}

/**
 * Answers a demand that a person objected to: the office, the second time the hub. Of two at once one waits for the other's row and finds
 * that nobody waits for its answer any more. Refuses `paper_demand_unknown`, `paper_demand_closed` (context.state), `decider_must_differ`.
 */
export async function answerPaperDemand(
  deps: AnswerPaperDemandDeps,
  input: PaperDemandAnswer,
  call: Call & { readonly idempotencyKey: string },
  present: (demand: PaperDemand) => WriteAnswer,
): Promise<WriteAnswer> {
  const { caller, idempotencyKey, at } = call;
  const { paperDemandId, outcome, reason, officer } = input;
  return deps.write(
    { caller, operation: 'answerPaperDemand', idempotencyKey, content: { ...input, officer: { ...officer } } },
    {
      apply: async (trx) => {
        const found = await findPaperDemand(trx, deps, paperDemandId, { lock: true });
        if (found === undefined || !maySeePaperDemand(caller, found)) throw new Refusal('paper_demand_unknown');
        if ('forgottenAt' in found) throw new Refusal('paper_demand_closed', closedBy(found));
        const refusal = judgeAnswerer(found, caller);
        if (refusal !== undefined) throw refusal;
        const { department: departmentCode, clientId } = caller;
        const demand = answered(found, { step: outcome, at, departmentCode, clientId, text: reason, officer });
        await updatePaperDemand(trx, deps, demand);
        const detail = { reason, answered: found.state };
        await deps.recordIn(
          trx,
          paperDemandEntry(deps.keys, demand, { action: 'answerPaperDemand', outcome: 'done', call, detail, officer }),
        );
        return present(demand);
      },
    },
  );
}
