import type { WriteAnswer } from '../db/write.ts';
import type { Call } from '../ids.ts';
import type { CertificateBody } from './certificate-body.ts';
import type { CertificateDeps } from './certificate-deps.ts';

/**
 * The certificate in a write's answer. A change was recorded when it was made; its answer told again, to a retry, is an access of
 * its own and recorded before it is returned (invariant 1).
 * @throws Refusal `record_unavailable`
 */
export async function recordingReplay(
  { record, keys }: Pick<CertificateDeps, 'record' | 'keys'>,
  { call, action }: { readonly call: Call; readonly action: string },
  { body, replayed }: WriteAnswer,
): Promise<CertificateBody> {
  // Stored and replayed as JSON: its shape is what the use case gave the first time.
  const answer = body as CertificateBody;
  if (replayed !== true) return answer;
  const { clientId, department, keyId } = call.caller;
  await record({
    kind: 'access',
    action,
    outcome: 'answered',
    caller: { clientId, department, keyId },
    subjects: answer.metadata.holders.map(({ type, number }) => keys.holderKey(type, number)),
    certificates: [answer.certificateIdentifier],
    requestId: call.requestId,
    at: call.at,
    detail: { replayed: true },
  });
  return answer;
}
