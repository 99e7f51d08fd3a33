import type { DepartmentCode } from '../ids.ts';
import { readX509, subjectOids, type X509 } from '../verification/x509-read.ts';

/** An X.509 root under which departments may hold seal certificates. Pinned by an administrator, never read from a message. */
export interface TrustRoot {
  /** SHA-256 over the DER, lower-case hex. */
  readonly sha256: string;
  readonly der: Buffer;
  readonly validFrom: Date;
  readonly validUntil: Date | null;
}

/** A seal certificate (X.509) of a department: what is signed under it inside [validFrom, validUntil) and before `revokedAt` counts. */
export interface SealX509 {
  /** SHA-256 over the DER of the leaf, lower-case hex. */
  readonly sha256: string;
  readonly department: DepartmentCode;
  /** DER, leaf first, then intermediates, without the root. */
  readonly chain: readonly Buffer[];
  readonly validFrom: Date;
  readonly validUntil: Date | null;
  readonly revokedAt: Date | null;
}

/** True when the root is pinned at this instant. */
export const isRootInForce = (root: TrustRoot, at: Date): boolean =>
  root.validFrom <= at && (root.validUntil === null || at < root.validUntil);

/** True when a seal made at this instant under this certificate counts for its department. */
export const isSealInForce = (seal: SealX509, at: Date): boolean =>
  seal.validFrom <= at &&
  (seal.validUntil === null || at < seal.validUntil) &&
  (seal.revokedAt === null || at < seal.revokedAt);

/** A trust root as the contract words it. */
export interface TrustRootBody {
  sha256: string;
  subject: string;
  validFrom: string;
  validUntil: string | null;
}

/** The body of an answer about a trust root. */
export const trustRootBody = (root: TrustRoot): TrustRootBody => ({
  sha256: root.sha256,
  subject: subjectText(readX509(root.der)),
  validFrom: root.validFrom.toISOString(),
  validUntil: root.validUntil?.toISOString() ?? null,
});

/** A seal certificate as the contract words it. */
export interface SealX509Body {
  sha256: string;
  departmentCode: string;
  subject: string;
  notBefore: string;
  notAfter: string;
  validFrom: string;
  validUntil: string | null;
  revokedAt: string | null;
}

/** The body of an answer about a seal certificate. */
export function sealX509Body(seal: SealX509): SealX509Body {
  const [leafDer] = seal.chain;
  const leaf = leafDer === undefined ? undefined : readX509(leafDer);
  return {
    sha256: seal.sha256,
    departmentCode: seal.department,
    subject: subjectText(leaf),
    notBefore: instant(leaf?.notBefore ?? 0).toISOString(),
    notAfter: instant(leaf?.notAfter ?? 0).toISOString(),
    validFrom: seal.validFrom.toISOString(),
    validUntil: seal.validUntil?.toISOString() ?? null,
    revokedAt: seal.revokedAt?.toISOString() ?? null,
  };
}

/** The subject's readable attributes, e.g. `O=…, organizationIdentifier=…, CN=…`. For display only. */
export function subjectText(x509: X509 | undefined): string {
  const attribute = (label: string, oid: string): string[] => {
    const value = x509?.subjectAttributes.get(oid);
    return value === undefined ? [] : [`${label}=${value}`];
  };
  return [
    ...attribute('O', subjectOids.organization),
    ...attribute('organizationIdentifier', subjectOids.organizationIdentifier),
    ...attribute('CN', subjectOids.commonName),
  ].join(', ');
}

/** Epoch seconds as a Date. */
export const instant = (epochSeconds: number): Date => new Date(epochSeconds * 1000);
