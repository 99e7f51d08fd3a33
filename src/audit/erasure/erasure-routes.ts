import { Refusal } from '../../errors.ts';
import type { components } from '../../http/contract.gen.ts';
import type { Handlers } from '../../http/handlers.ts';
import type { Call } from '../../ids.ts';
import type { Recorder } from '../record.ts';
import { approveErasure } from './approve-erasure.ts';
import { type ErasureCase, type ErasureTarget, erasureState } from './erasure.ts';
import { listErasureCases } from './erasure-store.ts';
import { type ErasureDeps, type ErasureProposal, proposeErasure } from './propose-erasure.ts';

export interface ErasureRoutesDeps extends ErasureDeps {
  readonly record: Recorder;
  /** Told of every row that was written past the hub. */
  readonly tampered: (table: string, id: string) => void;
}

const targetOf = (target: ErasureTarget) =>
  'recordId' in target ? { recordId: target.recordId } : { month: target.month, kinds: [...target.kinds] };

const toContract = (found: ErasureCase) => {
  const { erasureId, target, legalBasis, reason, officer, clientId, recordId, createdAt } = found.erasure;
  return {
    erasureId,
    target: targetOf(target),
    legalBasis,
    reason,
    officer: { id: officer.id, name: officer.name },
    clientId,
    recordId,
    createdAt: createdAt.toISOString(),
    state: erasureState(found),
    decisions: found.decisions.map((made) => ({
      decision: made.decision,
      reason: made.reason,
      officer: { id: made.officer.id, name: made.officer.name },
      clientId: made.clientId,
      recordId: made.recordId,
      at: made.at.toISOString(),
    })),
    ...(found.execution !== undefined && {
      execution: { ...found.execution, at: found.execution.at.toISOString() },
    }),
  };
};
type Body = ReturnType<typeof toContract>;

/** One of the two, as the contract has it; said once more for the types. */
function targetFrom({ recordId, month, kinds }: components['schemas']['ErasureTarget']): ErasureProposal['target'] {
  if (recordId !== undefined && month === undefined && kinds === undefined) return { recordId };
  if (month === undefined || recordId !== undefined) throw new Refusal('contract_violation', { pointer: '/target' });
  return { month, ...(kinds !== undefined && { kinds }) };
}

const uuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Contract ↔ domain for erasures. */
export function erasureHandlers(
  deps: ErasureRoutesDeps,
): Pick<Handlers, 'listErasures' | 'proposeErasure' | 'approveErasure'> {
  const readBy = async (action: string, call: Call, detail: unknown): Promise<void> => {
    const { clientId, department, keyId } = call.caller;
    await deps.record({
      kind: 'audit_read',
      action,
      outcome: 'answered',
      caller: { clientId, department, keyId },
      requestId: call.requestId,
      at: call.at,
      detail,
    });
  };
  /** A change was recorded with it; its answer told again, with the officers' names in it, is a reading of its own (invariant 1). */
  const bodyOf = async (
    action: string,
    call: Call,
    { body, replayed }: { readonly body: unknown; readonly replayed?: boolean },
  ): Promise<Body> => {
    const answer = body as Body;
    if (replayed === true) await readBy(action, call, { replayed: true, erasureId: answer.erasureId });
    return answer;
  };
  return {
    listErasures: async ({ query, caller, requestId, receivedAt }) => {
      if (query.after !== undefined && !uuid.test(query.after)) {
        throw new Refusal('contract_violation', { pointer: '/after' });
      }
      const page = { after: query.after, limit: query.limit ?? 50 };
      const { items, next } = await listErasureCases(deps.db.kysely, deps.keys, page, deps.tampered);
      const call = { caller, requestId, at: receivedAt };
      await readBy('listErasures', call, { erasures: items.map(({ erasure }) => erasure.erasureId) });
      return { status: 200, body: { items: items.map(toContract), ...(next !== undefined && { next }) } };
    },
    proposeErasure: async ({ body, headers, caller, requestId, receivedAt }) => {
      const call = { caller, requestId, at: receivedAt, idempotencyKey: headers['idempotency-key'] };
      const answer = await proposeErasure(deps, { ...body, target: targetFrom(body.target) }, call, (made) => ({
        status: 201,
        body: toContract(made),
      }));
      return { status: 201, body: await bodyOf('proposeErasure', call, answer) };
    },
    approveErasure: async ({ params, body, headers, caller, requestId, receivedAt }) => {
      const call = { caller, requestId, at: receivedAt, idempotencyKey: headers['idempotency-key'] };
      const verdict = { ...body, erasureId: params.erasureId.toLowerCase() };
      const answer = await approveErasure(deps, verdict, call, (made) => ({ status: 200, body: toContract(made) }));
      return { status: 200, body: await bodyOf('approveErasure', call, answer) };
    },
  };
}
