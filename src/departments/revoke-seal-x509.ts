import type { WriteAnswer } from '../db/write.ts';
import { Refusal } from '../errors.ts';
import { checkDepartmentCode } from './department.ts';
import { trustTopic } from './registry.ts';
import { type ChangeDeps, type ChangeRequest, changeRegistry } from './registry-change.ts';
import { sealX509Body } from './trust.ts';
import { findSealForUpdate, updateSeal } from './trust-store.ts';

export interface SealX509Revocation extends ChangeRequest {
  readonly departmentCode: string;
  /** SHA-256 over the DER of the leaf, lower-case hex. */
  readonly sha256: string;
  readonly reason: string;
}

/**
 * Withdraws a seal certificate: what is sealed under it from the time of the call on does not count; earlier seals stay valid.
 * Answers 200 with it. One withdrawn before keeps its first `revokedAt`.
 * @throws Refusal `invalid_uscc`, `seal_x509_unknown`
 */
export async function revokeSealX509(deps: ChangeDeps, input: SealX509Revocation): Promise<WriteAnswer> {
  const department = checkDepartmentCode(input.departmentCode);
  const { sha256, reason } = input;
  return changeRegistry(deps, input, {
    action: 'revokeSealX509',
    topic: trustTopic,
    content: { departmentCode: department, sha256, reason },
    detail: { departmentCode: department, sha256, reason },
    apply: async (trx) => {
      const seal = await findSealForUpdate(trx, deps, { department, sha256 });
      if (seal === undefined) throw new Refusal('seal_x509_unknown');
      const revoked = { ...seal, revokedAt: seal.revokedAt ?? input.call.at };
      await updateSeal(trx, deps.keys, revoked);
      return { status: 200, body: sealX509Body(revoked) };
    },
  });
}
