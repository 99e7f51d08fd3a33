import type { Handlers } from '../../http/handlers.ts';
import { type AccessReportDeps, accessReport, type ReportItem } from './access-report.ts';
import { type ChangedRelease, type ReleaseSecrecyDeps, releaseSecrecy } from './release-secrecy.ts';

export interface ReportRoutesDeps extends AccessReportDeps, Pick<ReleaseSecrecyDeps, 'write' | 'recordIn'> {
  /** Public address of the hub without trailing slash. */
  readonly issuer: string;
}

type Item = Awaited<ReturnType<Handlers['getAccessReport']>>['body']['items'][number];
type Release = Awaited<ReturnType<Handlers['changeRelease']>>['body'];

/** Contract ↔ domain for citizens, and for who decides what they see when. */
export const reportHandlers = (deps: ReportRoutesDeps): Pick<Handlers, 'getAccessReport' | 'changeRelease'> => ({
  getAccessReport: async ({ body, caller, requestId, receivedAt }) => {
    const { from, until, ...query } = body;
    const report = await accessReport(
      deps,
      {
        ...query,
        ...(from !== undefined && { from: new Date(from) }),
        ...(until !== undefined && { until: new Date(until) }),
      },
      { caller, requestId, at: receivedAt },
    );
    return {
      status: 200,
      body: {
        items: report.items.map((item) => toContract(item, deps.issuer)),
        recordId: report.receipt.recordId,
        ...(report.next !== undefined && { next: report.next }),
      },
    };
  },
  changeRelease: async ({ params, body, headers, caller, requestId, receivedAt }) => {
    const answer = await releaseSecrecy(
      deps,
      { ...body, releaseAt: new Date(body.releaseAt), recordId: params.recordId },
      { caller, requestId, at: receivedAt, idempotencyKey: headers['idempotency-key'] },
      (changed) => ({ status: 201, body: releaseBody(changed) }),
    );
    return { status: 201, body: answer.body as Release };
  },
});

const releaseBody = ({ recordId, releaseAt, changedAt, releaseRecordId }: ChangedRelease): Release => ({
  recordId,
  releaseAt: releaseAt.toISOString(),
  changedAt: changedAt.toISOString(),
  releaseRecordId,
});

/** Times as text, and where the proof is. */
const toContract = (item: ReportItem, issuer: string): Item =>
  JSON.parse(JSON.stringify({ ...item, proof: `${issuer}/log/proof/${item.recordId}` })) as Item;
