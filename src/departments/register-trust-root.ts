import type { WriteAnswer } from '../db/write.ts';
import { Refusal } from '../errors.ts';
import { decodeBase64 } from '../verification/encoding.ts';
import { judgeX509Signature, readX509, type X509 } from '../verification/x509-read.ts';
import { trustTopic } from './registry.ts';
import { type ChangeDeps, type ChangeRequest, changeRegistry } from './registry-change.ts';
import { instant, subjectText, type TrustRoot, trustRootBody } from './trust.ts';
import { insertRoot } from './trust-store.ts';

export interface TrustRootRegistration extends ChangeRequest {
  /** DER in base64. */
  readonly x509: string;
}

/**
 * Pins a root under which departments may hold seal certificates, from its own notBefore on, so that seals of earlier years
 * can be registered too. Answers 201 with the root.
 * @throws Refusal `trust_root_invalid` with a reason, `trust_root_exists`
 */
export async function registerTrustRoot(deps: ChangeDeps, input: TrustRootRegistration): Promise<WriteAnswer> {
  const x509 = readRoot(input.x509, input.call.at);
  const root: TrustRoot = {
    sha256: x509.sha256,
    der: x509.der,
    validFrom: instant(x509.notBefore),
    validUntil: null,
  };
  return changeRegistry(deps, input, {
    action: 'registerTrustRoot',
    topic: trustTopic,
    content: { x509: input.x509 },
    detail: { sha256: x509.sha256, subject: subjectText(x509) },
    apply: async (trx) => {
      await insertRoot(trx, deps.keys, root);
      return { status: 201, body: trustRootBody(root) };
    },
  });
}

/** A self-signed authority that may sign certificates and is not expired (RFC 5280, 4.2.1.3 and 4.2.1.9). */
function readRoot(base64: string, at: Date): X509 {
  const der = decodeBase64(base64);
  const x509 = der === undefined ? undefined : readX509(der);
  if (x509 === undefined) throw new Refusal('trust_root_invalid', { reason: 'malformed' });
  const reason = judgeRoot(x509, at);
  if (reason !== undefined) throw new Refusal('trust_root_invalid', { reason });
  return x509;
}

function judgeRoot(x509: X509, at: Date): string | undefined {
  if (!x509.issuer.equals(x509.subject)) return 'not_self_signed';
  if (!x509.isAuthority || x509.keyUsage?.keyCertSign !== true) return 'not_authority';
  if (x509.unknownCritical.length > 0 || x509.hasNameConstraints) return 'critical_extension';
  if (at > instant(x509.notAfter)) return 'expired';
  return judgeX509Signature(x509, x509.publicKey)?.replace(/^x509_/, '');
}
