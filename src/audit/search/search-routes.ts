import type { components } from '../../http/contract.gen.ts';
import type { Handlers } from '../../http/handlers.ts';
import { exportRecords } from './export-records.ts';
import type { FoundRecord } from './found-record.ts';
import { type Overview, type OverviewDeps, overviewRecords } from './overview.ts';
import { readRecord } from './read-record.ts';
import type { RecordQuestion } from './record-filter.ts';
import { type SearchDeps, searchRecords } from './search-records.ts';
import type { Finding } from './unusual.ts';

type Schemas = components['schemas'];

/** Contract ↔ domain for auditors. */
export const auditHandlers = (
  deps: SearchDeps & OverviewDeps,
): Pick<Handlers, 'searchRecords' | 'readRecord' | 'createOverview' | 'exportRecords'> => ({
  searchRecords: async ({ body, caller, requestId, receivedAt }) => {
    const { reason, after, limit, ...filter } = body;
    const query = { reason, ...(after && { after }), ...(limit && { limit }), ...questionOf(filter) };
    const { items, next, receipt } = await searchRecords(deps, query, { caller, requestId, at: receivedAt });
    return {
      status: 200,
      body: { items: items.map(recordOf), recordId: receipt.recordId, ...(next !== undefined && { next }) },
    };
  },
  readRecord: async ({ params, body, caller, requestId, receivedAt }) => {
    const asked = { recordId: params.recordId, reason: body.reason };
    const { record, log, receipt } = await readRecord(deps, asked, { caller, requestId, at: receivedAt });
    const place = log.state === 'in_log' ? { ...log, proof: `/log/proof/${record.recordId}` } : log;
    return { status: 200, body: { record: recordOf(record), log: place, recordId: receipt.recordId } };
  },
  createOverview: async ({ body, caller, requestId, receivedAt }) => ({
    status: 200,
    body: overviewOf(await overviewRecords(deps, body, { caller, requestId, at: receivedAt })),
  }),
  exportRecords: async ({ body, caller, requestId, receivedAt }) => {
    const { filter, ...rest } = body;
    const query = { ...rest, ...(filter && { filter: questionOf(filter) }) };
    const { receipt, pieces } = await exportRecords(deps, query, { caller, requestId, at: receivedAt });
    return {
      status: 200,
      body: pieces,
      contentType: body.format === 'csv' ? 'text/csv' : 'application/x-ndjson',
      headers: {
        'content-disposition': `attachment; filename="certhub-audit-${receipt.recordId}.${body.format}"`,
      },
    };
  },
});

function questionOf({ from, until, ...same }: Schemas['RecordFilter']): RecordQuestion {
  return {
    ...same,
    ...(from !== undefined && { from: new Date(from) }),
    ...(until !== undefined && { until: new Date(until) }),
  };
}

function recordOf(record: FoundRecord): Schemas['Record'] {
  const { recordedAt, releaseAt, commitment, certificates, certificateTypes, holderKeys, fields, ...same } = record;
  const { fault, officer, purpose, body, ...rest } = same;
  return {
    ...rest,
    recordedAt: recordedAt.toISOString(),
    ...(releaseAt && { releaseAt: releaseAt.toISOString() }),
    commitment: commitment.toString('base64url'),
    ...(certificates && { certificates: [...certificates] }),
    ...(certificateTypes && { certificateTypes: [...certificateTypes] }),
    ...(holderKeys && { holderKeys: [...holderKeys] }),
    ...(fields && { fields: fields.map((each) => ({ ...each, fields: [...each.fields] })) }),
    ...(fault && { fault: { code: fault.code, ...('columns' in fault && { columns: [...fault.columns] }) } }),
    ...(officer && { officer: { ...officer } }),
    ...(purpose && { purpose: { ...purpose } }),
    ...(body && { body: { ...body } }),
  };
}

function overviewOf({ days, rankings, unusual, moreUnusual, receipt }: Overview): Schemas['Overview'] {
  const ranking = (dimension: keyof typeof rankings): Schemas['Ranking'] => {
    const { items, others } = rankings[dimension];
    return { items: [...items], others };
  };
  return {
    days: [...days],
    departments: ranking('department'),
    clients: ranking('client'),
    certificateTypes: ranking('type'),
    matters: ranking('matter'),
    outcomes: ranking('outcome'),
    codes: ranking('code'),
    unusual: unusual.map(findingOf),
    moreUnusual,
    recordId: receipt.recordId,
  };
}

function findingOf({ rule, count, usual, words, search }: Finding): Schemas['Overview']['unusual'][number] {
  const { from, until, kinds, ...same } = search;
  return {
    rule,
    count,
    usual,
    reason: words,
    search: { ...same, kinds: [...kinds], from: from.toISOString(), until: until.toISOString() },
  };
}
