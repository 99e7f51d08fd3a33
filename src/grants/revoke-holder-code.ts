import type { RecordIn } from '../audit/record.ts';
import type { Write, WriteAnswer } from '../db/write.ts';
import { Refusal } from '../errors.ts';
import type { Call } from '../ids.ts';
import { revokeHolderCodeRow } from './holder-code-store.ts';

export interface RevokeHolderCodeDeps {
  readonly write: Write;
  readonly recordIn: RecordIn;
}

/**
 * Ends a code of the portal's own, at once on every process. One that was used before stays used, and the answer says so: its ticket
 * stands. Revoking it again changes nothing and is recorded all the same. Refuses `holder_code_unknown`.
 */
export async function revokeHolderCode(
  { write, recordIn }: RevokeHolderCodeDeps,
  content: { readonly codeId: string; readonly reason: string },
  { caller, requestId, at, idempotencyKey }: Call & { readonly idempotencyKey: string },
): Promise<WriteAnswer> {
  const { codeId } = content;
  return write(
    { caller, operation: 'revokeHolderCode', idempotencyKey, content },
    {
      apply: async (trx) => {
        const before = await revokeHolderCodeRow(trx, { codeId, portal: caller.clientId, at });
        if (before === undefined) throw new Refusal('holder_code_unknown');
        const state = before === 'used' ? 'used' : 'revoked';
        await recordIn(trx, {
          kind: 'registry',
          action: 'revokeHolderCode',
          outcome: 'done',
          caller: { clientId: caller.clientId, department: caller.department, keyId: caller.keyId },
          requestId,
          at,
          detail: { ...content, state, ...(before !== 'open' && { unchanged: true }) },
        });
        return { status: 200, body: { codeId, state } };
      },
    },
  );
}
