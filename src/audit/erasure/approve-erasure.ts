import type { WriteAnswer } from '../../db/write.ts';
import { Refusal } from '../../errors.ts';
import { type Call, newId, type Officer, type RecordId } from '../../ids.ts';
import { type ClientStanding, type ErasureCase, type ErasureDecision, erasureState, judgeDecider } from './erasure.ts';
import { holdErasure, insertDecision, readErasure } from './erasure-store.ts';
import type { ErasureDeps } from './propose-erasure.ts';

/** What an officer decides about a proposal of others. */
export interface ErasureVerdict {
  readonly erasureId: string;
  readonly officer: Officer;
  readonly decision: 'approve' | 'reject';
  readonly reason: string;
}

/**
 * Approves or rejects a proposed erasure. It takes two approvals of two officers who did not propose it, through two clients of two
 * departments, neither of them the proposer's client, both registered before the proposal, one an auditor's; one rejection ends it.
 * Refuses `erasure_unknown`, `erasure_closed` (decided already) and `approver_must_differ` (context.rule: same_officer, same_client,
 * same_department, too_new, no_auditor).
 */
export async function approveErasure(
  { write, recordIn, keys, registeredAt }: Pick<ErasureDeps, 'write' | 'recordIn' | 'keys' | 'registeredAt'>,
  { erasureId, officer, decision, reason }: ErasureVerdict,
  call: Call & { readonly idempotencyKey: string },
  present: (changed: ErasureCase) => WriteAnswer,
): Promise<WriteAnswer> {
  const { caller, idempotencyKey, requestId, at } = call;
  const request = {
    caller,
    operation: 'approveErasure',
    idempotencyKey,
    content: { erasureId, officer, decision, reason },
  };
  return write(request, {
    prepare: async (): Promise<ClientStanding> => ({
      department: caller.department,
      roles: caller.roles,
      registeredAt: (await registeredAt(caller.clientId))?.toISOString() ?? null,
    }),
    apply: async (trx, standing) => {
      await holdErasure(trx, erasureId);
      const found = await readErasure(trx, keys, erasureId);
      if (found === undefined) throw new Refusal('erasure_unknown');
      const state = erasureState(found);
      if (state !== 'proposed') throw new Refusal('erasure_closed', { state });
      const rule = judgeDecider(found, { officer, clientId: caller.clientId, standing, decision });
      if (rule !== undefined) throw new Refusal('approver_must_differ', { rule });
      const made: ErasureDecision = {
        decision,
        reason,
        officer,
        clientId: caller.clientId,
        standing,
        recordId: newId<RecordId>(),
        at,
      };
      await insertDecision(trx, keys, { ...made, erasureId });
      const { target, legalBasis, recordId: proposal } = found.erasure;
      await recordIn(trx, {
        recordId: made.recordId as RecordId,
        kind: 'erasure',
        action: 'approveErasure',
        outcome: 'done',
        caller: { clientId: caller.clientId, department: caller.department, keyId: caller.keyId },
        officer,
        requestId,
        at,
        detail: {
          erasureId,
          step: decision === 'approve' ? 'approved' : 'rejected',
          target,
          legalBasis,
          reason,
          proposal,
          approver: { roles: standing.roles, registeredAt: standing.registeredAt },
        },
      });
      return present({ ...found, decisions: [...found.decisions, made] });
    },
  });
}
