import type { Handlers } from '../http/handlers.ts';
import type { Call, Caller, Officer } from '../ids.ts';
import type { CertificateBody } from './certificate-body.ts';
import type { CertificateDeps } from './certificate-deps.ts';
import { certificateHistory } from './certificate-history.ts';
import { changeCertificateStatus } from './change-certificate-status.ts';
import { correctCertificate } from './correct-certificate.ts';
import { getCertificate } from './get-certificate.ts';
import { listCertificates } from './list-certificates.ts';
import { pushCertificate } from './push-certificate.ts';
import { recordingRefusal } from './recorded-refusal.ts';
import { recordingReplay } from './recorded-replay.ts';
import { reviewCertificate } from './review-certificate.ts';
import { reviseCertificate } from './revise-certificate.ts';
import { sealCertificate } from './seal-certificate.ts';

type Operation =
  | 'listCertificates'
  | 'pushCertificate'
  | 'getCertificate'
  | 'correctCertificate'
  | 'getCertificateHistory'
  | 'reviewCertificate'
  | 'sealCertificate'
  | 'reviseCertificate'
  | 'changeCertificateStatus';

const defaultLimit = 50;

interface Request {
  readonly caller: Caller;
  readonly requestId: string;
  readonly receivedAt: Date;
}

const callOf = ({ caller, requestId, receivedAt }: Request): Call => ({ caller, requestId, at: receivedAt });

const created = (body: CertificateBody) => ({ status: 201 as const, body });
const changed = (body: CertificateBody) => ({ status: 200 as const, body });

/** Contract ↔ domain for the life of a certificate. */
export function certificatesHandlers(deps: CertificateDeps): Pick<Handlers, Operation> {
  const recorded = <T>(
    request: Request & { readonly params?: unknown; readonly body?: unknown },
    action: Operation,
    run: (call: Call) => Promise<T>,
  ): Promise<T> => {
    const call = callOf(request);
    const { certificateIdentifier } = { ...(request.body as Named), ...(request.params as Named) };
    const { officer } = { ...(request.body as { officer?: Officer }) };
    return recordingRefusal(deps.record, { call, action, certificateIdentifier, officer }, () => run(call));
  };
  const told = async (call: Call, action: Operation, answer: Parameters<typeof recordingReplay>[2]) =>
    recordingReplay(deps, { call, action }, answer);
  return {
    listCertificates: async ({ caller, query }) => {
      const { state, after, limit = defaultLimit } = query;
      const page = await listCertificates(deps, { department: caller.department, state, after, limit });
      return { status: 200, body: page };
    },
    pushCertificate: (request) =>
      recorded(request, 'pushCertificate', async (call) => {
        const change = { call, idempotencyKey: request.headers['idempotency-key'], pushed: request.body };
        return created(await told(call, 'pushCertificate', await pushCertificate(deps, change)));
      }),
    getCertificate: (request) =>
      recorded(request, 'getCertificate', async (call) => {
        const { certificateIdentifier } = request.params;
        return { status: 200 as const, body: await getCertificate(deps, { call, certificateIdentifier }) };
      }),
    getCertificateHistory: (request) =>
      recorded(request, 'getCertificateHistory', async (call) => {
        const { certificateIdentifier } = request.params;
        return { status: 200 as const, body: await certificateHistory(deps, { call, certificateIdentifier }) };
      }),
    correctCertificate: (request) =>
      recorded(request, 'correctCertificate', async (call) => {
        const change = { call, ...changeOf(request), pushed: request.body };
        return changed(await told(call, 'correctCertificate', await correctCertificate(deps, change)));
      }),
    reviewCertificate: (request) =>
      recorded(request, 'reviewCertificate', async (call) => {
        const change = { call, ...changeOf(request), review: request.body };
        return changed(await told(call, 'reviewCertificate', await reviewCertificate(deps, change)));
      }),
    sealCertificate: (request) =>
      recorded(request, 'sealCertificate', async (call) => {
        const change = { call, ...changeOf(request), sealing: request.body };
        return changed(await told(call, 'sealCertificate', await sealCertificate(deps, change)));
      }),
    reviseCertificate: (request) =>
      recorded(request, 'reviseCertificate', async (call) => {
        const change = { call, ...changeOf(request), pushed: request.body };
        return created(await told(call, 'reviseCertificate', await reviseCertificate(deps, change)));
      }),
    changeCertificateStatus: (request) =>
      recorded(request, 'changeCertificateStatus', async (call) => {
        const change = { call, ...changeOf(request), change: request.body };
        return changed(await told(call, 'changeCertificateStatus', await changeCertificateStatus(deps, change)));
      }),
  };
}

interface Named {
  readonly certificateIdentifier?: string;
}

const changeOf = (request: {
  readonly params: { readonly certificateIdentifier: string };
  readonly headers: { readonly 'idempotency-key': string };
}) => ({
  certificateIdentifier: request.params.certificateIdentifier,
  idempotencyKey: request.headers['idempotency-key'],
});
