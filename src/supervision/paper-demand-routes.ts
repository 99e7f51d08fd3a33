import type { Handlers } from '../http/handlers.ts';
import { type AnswerPaperDemandDeps, answerPaperDemand } from './answer-paper-demand.ts';
import { type ContestPaperDemandDeps, contestPaperDemand } from './contest-paper-demand.ts';
import { type CountPaperDemandsDeps, countPaperDemands } from './count-paper-demands.ts';
import { seesEveryDemand } from './paper-demand.ts';
import { forgottenOf, personViewOf, receiptOf, summaryOf, type ViewNames, wholeOf } from './paper-demand-view.ts';
import {
  listPaperDemands,
  type ReadPaperDemandsDeps,
  readPaperDemand,
  searchPaperDemands,
} from './read-paper-demands.ts';
import { type RecordPaperDemandDeps, recordPaperDemand } from './record-paper-demand.ts';

export interface PaperDemandRoutesDeps
  extends RecordPaperDemandDeps,
    ContestPaperDemandDeps,
    AnswerPaperDemandDeps,
    ReadPaperDemandsDeps,
    CountPaperDemandsDeps {
  readonly names: () => Promise<ViewNames>;
  /** Calendar day of the city, yyyy-mm-dd. */
  readonly day: ViewNames['day'];
}

type Told = ReturnType<typeof receiptOf>;

/** As it stands in the database: a UUID may be written in capitals. */
const idOf = ({ paperDemandId }: { readonly paperDemandId: string }) => ({
  paperDemandId: paperDemandId.toLowerCase(),
});

type PaperDemandOperation =
  | 'listPaperDemands'
  | 'recordPaperDemand'
  | 'searchPaperDemands'
  | 'getPaperDemand'
  | 'contestPaperDemand'
  | 'answerPaperDemand'
  | 'countPaperDemands';

/** Contract ↔ domain for demands for paper. */
export function paperDemandHandlers(deps: PaperDemandRoutesDeps): Pick<Handlers, PaperDemandOperation> {
  const { day } = deps;
  return {
    listPaperDemands: async ({ query, caller, receivedAt: at }) => {
      const { items, next } = await listPaperDemands(deps, query, { caller, at });
      const facts = { day, at, withJudgement: seesEveryDemand(caller) };
      const body = items.map((demand) =>
        'forgottenAt' in demand ? forgottenOf(demand, day) : summaryOf(demand, facts),
      );
      return { status: 200, body: { items: body, ...(next !== undefined && { next }) } };
    },
    recordPaperDemand: async ({ body, headers, caller, requestId, receivedAt }) => {
      const call = { caller, requestId, at: receivedAt, idempotencyKey: headers['idempotency-key'] };
      const answer = await recordPaperDemand(deps, body, call, (demand) => ({
        status: 201,
        body: receiptOf(demand, day),
      }));
      return { status: 201, body: answer.body as Told };
    },
    searchPaperDemands: async ({ body, caller, requestId, receivedAt: at }) => {
      const call = { caller, requestId, at };
      const [{ items, holder, recordId, next }, names] = await Promise.all([
        searchPaperDemands(deps, body, call),
        deps.names(),
      ]);
      const shown = items.map((demand) => personViewOf(demand, holder, { ...names, at }));
      return { status: 200, body: { items: shown, recordId, ...(next !== undefined && { next }) } };
    },
    getPaperDemand: async ({ params, caller, requestId, receivedAt: at }) => {
      const demand = await readPaperDemand(deps, idOf(params).paperDemandId, { caller, requestId, at });
      if ('forgottenAt' in demand) return { status: 200, body: forgottenOf(demand, day) };
      return { status: 200, body: wholeOf(demand, { day, at, withJudgement: seesEveryDemand(caller) }) };
    },
    contestPaperDemand: async ({ params, body, headers, caller, requestId, receivedAt }) => {
      const call = { caller, requestId, at: receivedAt, idempotencyKey: headers['idempotency-key'] };
      const answer = await contestPaperDemand(deps, { ...body, ...idOf(params) }, call, (demand) => ({
        status: 200,
        body: receiptOf(demand, day),
      }));
      return { status: 200, body: answer.body as Told };
    },
    answerPaperDemand: async ({ params, body, headers, caller, requestId, receivedAt }) => {
      const call = { caller, requestId, at: receivedAt, idempotencyKey: headers['idempotency-key'] };
      const answer = await answerPaperDemand(deps, { ...body, ...idOf(params) }, call, (demand) => ({
        status: 200,
        body: receiptOf(demand, day),
      }));
      return { status: 200, body: answer.body as Told };
    },
    countPaperDemands: async ({ query, caller, receivedAt: at }) => {
      const { items, ...range } = await countPaperDemands(deps, query, { caller, at });
      return { status: 200, body: { ...range, items: [...items] } };
    },
  };
}
