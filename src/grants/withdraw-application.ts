import type { RecordIn } from '../audit/record.ts';
import type { Write, WriteAnswer } from '../db/write.ts';
import { Refusal } from '../errors.ts';
import type { Call } from '../ids.ts';
import { ended, type GrantApplication, isOpen } from './application.ts';
import { type ApplicationStoreDeps, lockApplication, updateApplication } from './application-store.ts';

export interface WithdrawDeps extends ApplicationStoreDeps {
  readonly write: Write;
  readonly recordIn: RecordIn;
}

/** Takes back an open application of the caller's own. Refuses `application_unknown` and `application_closed` (context.state). */
export async function withdrawApplication(
  deps: WithdrawDeps,
  input: { readonly applicationId: string; readonly reason: string },
  call: Call & { readonly idempotencyKey: string },
  present: (application: GrantApplication) => WriteAnswer,
): Promise<WriteAnswer> {
  const { caller, idempotencyKey, requestId, at } = call;
  const { applicationId, reason } = input;
  const request = { caller, operation: 'withdrawGrantApplication', idempotencyKey, content: input };
  return deps.write(request, {
    apply: async (trx) => {
      const found = await lockApplication(trx, deps, applicationId);
      if (found === undefined || found.clientId !== caller.clientId) throw new Refusal('application_unknown');
      if (!isOpen(found)) throw new Refusal('application_closed', { state: found.state });
      const step = { at, departmentCode: caller.department, clientId: caller.clientId, reason };
      const withdrawn = ended(found, 'withdrawn', { ...step, step: 'withdrawn' });
      await updateApplication(trx, deps, withdrawn);
      await deps.recordIn(trx, {
        kind: 'registry',
        action: 'withdrawGrantApplication',
        outcome: 'done',
        caller: { clientId: caller.clientId, department: caller.department, keyId: caller.keyId },
        requestId,
        at,
        detail: {
          applicationId,
          steps: withdrawn.history.length,
          certificateTypeCode: found.certificateTypeCode,
          reason,
        },
      });
      return present(withdrawn);
    },
  });
}
