import type { WriteAnswer } from '../db/write.ts';
import { Refusal } from '../errors.ts';
import type { DepartmentCode } from '../ids.ts';
import { decodeBase64 } from '../verification/encoding.ts';
import { suitesOfKey } from '../verification/suites.ts';
import { validateX509Path } from '../verification/x509-path.ts';
import { subjectOids } from '../verification/x509-read.ts';
import { checkDepartmentCode } from './department.ts';
import { trustTopic } from './registry.ts';
import { type ChangeDeps, type ChangeRequest, changeRegistry } from './registry-change.ts';
import { findDepartment } from './store.ts';
import { instant, isRootInForce, type SealX509, sealX509Body, type TrustRoot } from './trust.ts';
import { insertSeal, listRootRows } from './trust-store.ts';

export interface SealX509Registration extends ChangeRequest {
  readonly departmentCode: string;
  /** DER in base64, leaf first, then intermediates, without the root. */
  readonly chain: readonly string[];
  /** When seals under it begin to count; the time of the call by default. */
  readonly validFrom?: Date | undefined;
  /** When they cease to; open by default, within the x509's own notAfter. */
  readonly validUntil?: Date | undefined;
}

/**
 * Registers a seal certificate (X.509): from `validFrom` on, what is sealed under it counts as the department's. The path must lead
 * to a pinned root at `validFrom`, and the leaf must name the department in organizationIdentifier. Answers 201 with it.
 * @throws Refusal `invalid_uscc`, `department_unknown`, `seal_x509_invalid` with reasons, `seal_x509_exists`
 */
export async function registerSealX509(deps: ChangeDeps, input: SealX509Registration): Promise<WriteAnswer> {
  const department = checkDepartmentCode(input.departmentCode);
  const chain = input.chain.map((base64) => {
    const der = decodeBase64(base64);
    if (der === undefined) throw invalid(['x509_malformed']);
    return der;
  });
  const validity = { validFrom: input.validFrom ?? input.call.at, validUntil: input.validUntil ?? null };
  const content = {
    departmentCode: department,
    chain: [...input.chain],
    // as given: a retry comes at another time and must still be the same request
    validFrom: input.validFrom?.toISOString() ?? null,
    validUntil: input.validUntil?.toISOString() ?? null,
  };
  return changeRegistry(deps, input, {
    action: 'registerSealX509',
    topic: trustTopic,
    content,
    detail: { ...content, validFrom: validity.validFrom.toISOString() },
    apply: async (trx) => {
      if ((await findDepartment(trx, deps, department)) === undefined) throw new Refusal('department_unknown');
      const seal = judgeSeal({ department, chain, ...validity }, await listRootRows(trx, deps));
      await insertSeal(trx, deps.keys, seal);
      return { status: 201, body: sealX509Body(seal) };
    },
  });
}

const invalid = (reasons: readonly string[]): Refusal => new Refusal('seal_x509_invalid', { reasons });

interface ProposedSeal {
  readonly department: DepartmentCode;
  readonly chain: readonly Buffer[];
  readonly validFrom: Date;
  readonly validUntil: Date | null;
}

/** The rules of a seal certificate, all broken ones listed. */
function judgeSeal(proposed: ProposedSeal, roots: readonly TrustRoot[]): SealX509 {
  const { department, chain, validFrom, validUntil } = proposed;
  const path = validateX509Path({
    chain,
    roots: roots.filter((root) => isRootInForce(root, validFrom)).map((root) => root.der),
    at: Math.floor(validFrom.getTime() / 1000),
    use: 'seal',
  });
  if (!path.ok) throw invalid(path.reasons);
  const { leaf } = path;
  const reasons: string[] = [];
  if (leaf.subjectAttributes.get(subjectOids.organizationIdentifier) !== department) reasons.push('other_department');
  if (suitesOfKey(leaf.publicKey).length === 0) reasons.push('x509_key');
  if (validUntil !== null && (validUntil <= validFrom || validUntil > instant(leaf.notAfter + 1))) {
    reasons.push('validity');
  }
  if (reasons.length > 0) throw invalid(reasons);
  return { sha256: leaf.sha256, department, chain, validFrom, validUntil, revokedAt: null };
}
