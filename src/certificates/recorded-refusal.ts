import { RecordedRefusal, type Recorder } from '../audit/record.ts';
import { Refusal } from '../errors.ts';
import type { Call, Officer } from '../ids.ts';
import { isCertificateIdentifier } from '../verification/identifiers.ts';

/** What is known of a request before its use case looks at it. */
export interface RefusedRequest {
  readonly call: Call;
  /** operationId of the contract. */
  readonly action: string;
  /** As given in the path or the body. */
  readonly certificateIdentifier?: string | undefined;
  readonly officer?: Officer | undefined;
}

/**
 * Runs a use case and records its refusal before passing it on: the record names the certificate and the officer, which the
 * server, that would record it otherwise, does not know. Refusals for want of the database are passed on as they are.
 */
export async function recordingRefusal<T>(
  record: Recorder,
  request: RefusedRequest,
  run: () => Promise<T>,
): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (!(error instanceof Refusal) || error instanceof RecordedRefusal) throw error;
    if (error.code.endsWith('_unavailable') || error.code === 'shutting_down') throw error;
    const { call, action, certificateIdentifier: given, officer } = request;
    const { clientId, department, keyId } = call.caller;
    const receipt = await record({
      kind: 'access',
      action,
      outcome: error.code === 'stored_data_tampered' ? 'failed' : 'refused',
      code: error.code,
      caller: { clientId, department, keyId },
      ...(officer === undefined ? {} : { officer }),
      ...(given === undefined || !isCertificateIdentifier(given) ? {} : { certificates: [given] }),
      requestId: call.requestId,
      at: call.at,
    });
    throw new RecordedRefusal(error.code, receipt, error.detail);
  }
}
