import type { RecordIn } from '../audit/record.ts';
import type { Write, WriteAnswer } from '../db/write.ts';
import { Refusal } from '../errors.ts';
import type { Call } from '../ids.ts';
import { closedBy, contested, type PaperDemand, partiesPlayedBy } from './paper-demand.ts';
import { checkedHolder, type GivenHolder } from './paper-demand-parties.ts';
import { paperDemandEntry } from './paper-demand-record.ts';
import type { PaperDemandStoreDeps } from './paper-demand-row.ts';
import { findPaperDemand, updatePaperDemand } from './paper-demand-store.ts';

export interface ContestPaperDemandDeps extends PaperDemandStoreDeps {
  readonly write: Write;
  readonly recordIn: RecordIn;
  /** When an answer that somebody begins to wait for at that moment is late. */
  readonly dueAfter: (at: Date) => Date;
}

export interface PaperDemandContest {
  readonly paperDemandId: string;
  /** Whom the portal authenticated. */
  readonly holder: GivenHolder;
  readonly statement: string;
}

/**
 * Contests a demand for one of its parties; the office has to answer, and the hub when the office maintained it or let its deadline pass.
 * Refuses what is wrong with the holder, `paper_demand_unknown` (also for who is no party) and `paper_demand_closed` (context.state,
 * context.dueAt; context.forgottenAt where nobody knows the parties any more).
 */
export async function contestPaperDemand(
  deps: ContestPaperDemandDeps,
  input: PaperDemandContest,
  call: Call & { readonly idempotencyKey: string },
  present: (demand: PaperDemand) => WriteAnswer,
): Promise<WriteAnswer> {
  const { caller, idempotencyKey, at } = call;
  const { paperDemandId, statement } = input;
  return deps.write(
    { caller, operation: 'contestPaperDemand', idempotencyKey, content: { ...input, holder: { ...input.holder } } },
    {
      prepare: () => Promise.resolve(checkedHolder(input.holder, '/holder')),
      apply: async (trx, holder) => {
        const found = await findPaperDemand(trx, deps, paperDemandId, { lock: true });
        // Nobody is a party of it any more: whoever asks is told the same.
        if (found !== undefined && 'forgottenAt' in found) throw new Refusal('paper_demand_closed', closedBy(found));
        const party = found && partiesPlayedBy(found, holder)[0];
        if (found === undefined || party === undefined) throw new Refusal('paper_demand_unknown');
        const { department: departmentCode, clientId } = caller;
        const objection = { at, departmentCode, clientId, party, text: statement };
        const demand = contested(found, objection, deps.dueAfter(at));
        await updatePaperDemand(trx, deps, demand);
        const detail = { party, statement };
        await deps.recordIn(
          trx,
          paperDemandEntry(deps.keys, demand, { action: 'contestPaperDemand', outcome: 'done', call, detail }),
        );
        return present(demand);
      },
    },
  );
}
