import type { Database } from '../../db/database.ts';
import { Refusal } from '../../errors.ts';
import type { Call } from '../../ids.ts';
import { type ExportLeaf, erasedLeaf, openedLeaf, redactedLeaf, startExport } from '../../verification/audit-export.ts';
import { inclusionProof, type ReadNodes } from '../../verification/merkle.ts';
import { rangeProof } from '../../verification/merkle-range.ts';
import { readLogState, readPublished, readTile, type StoredCheckpoint } from '../log/log-store.ts';
import { proofNodes } from '../log/proof-nodes.ts';
import type { Receipt } from '../record.ts';
import { auditRead } from './audit-read.ts';
import { csvStart } from './csv.ts';
import { csvEnd, csvHeading, csvOfLeaf } from './export-csv.ts';
import { type Extent, rangeExtent, recordsExtent } from './export-extent.ts';
import { type JudgedLeaf, leafJudge } from './export-leaves.ts';
import { type PreparedQuestion, prepareQuestion, type RecordQuestion } from './record-filter.ts';
import type { SearchDeps } from './search-records.ts';

export interface ExportQuery {
  readonly reason: string;
  readonly kind: 'records' | 'range';
  readonly format: 'ndjson' | 'csv';
  /** Of records: which. Of a range: which are opened, the others redacted; all of them without one. */
  readonly filter?: RecordQuestion;
  /** Leaf indexes of a range, half-open. */
  readonly begin?: number;
  readonly end?: number;
}

export interface RecordExport {
  readonly receipt: Receipt;
  /** The file in pieces of whole lines. When it throws the file has no last line, and is none. */
  readonly pieces: AsyncGenerator<string>;
}

/** What an export stands on, fixed before its first byte. */
interface Ground {
  readonly query: ExportQuery;
  readonly prepared: PreparedQuestion;
  readonly extent: Extent;
  readonly published: StoredCheckpoint;
  readonly origin: string;
  readonly nodes: ReadNodes;
}

/**
 * A file of records that proves itself (certhub-audit-export/1), or the same as CSV for reading. Question, reason and exact extent are
 * recorded before the first byte (invariant 1). It stands on the published checkpoint alone.
 * @throws Refusal `log_empty`, `range_not_covered`, `range_invalid`, `range_too_long`, `export_too_large`, and as `prepareQuestion`
 */
export async function exportRecords(deps: SearchDeps, query: ExportQuery, call: Call): Promise<RecordExport> {
  const ground = await layGround(deps, query);
  const { prepared, extent, published } = ground;
  const receipt = await deps.record(
    auditRead('exportRecords', call, {
      reason: query.reason,
      ...(prepared.subject !== undefined && { subject: prepared.subject }),
      scope: {
        kind: query.kind,
        format: query.format,
        filters: prepared.asked,
        checkpointSize: published.size,
        ...extent.told,
      },
    }),
  );
  const pieces = query.format === 'csv' ? csvPieces(deps, ground) : ndjsonPieces(deps, ground, receipt);
  return { receipt, pieces };
}

async function layGround({ db, keys }: SearchDeps, query: ExportQuery): Promise<Ground> {
  const prepared = prepareQuestion(keys, query.filter ?? {}, '/filter');
  const [published, state] = [await readPublished(db), await readLogState(db)];
  if (published === undefined || state === undefined || published.size === 0) throw new Refusal('log_empty');
  return {
    query,
    prepared,
    extent: await extentOf(db, query, prepared, published.size),
    published,
    origin: state.origin,
    nodes: proofNodes((level, index) => readTile(db, level, index)),
  };
}

async function extentOf(db: Database, query: ExportQuery, { filter }: PreparedQuestion, size: number): Promise<Extent> {
  const { kind, begin, end } = query;
  if (kind === 'records') {
    if (begin !== undefined || end !== undefined)
      throw new Refusal('question_invalid', { pointer: '/begin', rule: 'for_ranges_only' });
    return recordsExtent(db, filter, size);
  }
  if (begin === undefined || end === undefined)
    throw new Refusal('question_invalid', { pointer: begin === undefined ? '/begin' : '/end', rule: 'missing' });
  return rangeExtent(db, { begin, end }, size);
}

/** Of a range without filter everything is opened. */
const openedOf = ({ query, prepared }: Ground) =>
  query.kind === 'range' && query.filter !== undefined ? prepared.filter : undefined;

async function* ndjsonPieces(deps: SearchDeps, ground: Ground, receipt: Receipt): AsyncGenerator<string> {
  const { query, prepared, extent, published, origin, nodes } = ground;
  const { size } = published;
  const { kind, begin = 0, end = 0 } = query;
  const writer = startExport();
  const proof = kind === 'range' ? await rangeProof({ begin, end, size }, nodes) : undefined;
  yield writer.header({
    kind,
    origin,
    size,
    checkpoint: published.note,
    ...(proof && { begin, end, left: proof.left.map(base64), right: proof.right.map(base64) }),
    recordId: receipt.recordId,
    createdAt: receipt.recordedAt.toISOString(),
    question: { reason: query.reason, filters: prepared.asked, ...extent.told },
  });
  const judge = leafJudge(deps, openedOf(ground));
  for await (const leaves of extent.leaves()) {
    let piece = '';
    for (const judged of await judge(leaves)) {
      const index = judged.leaf.leaf_index;
      const path = kind === 'records' ? await inclusionProof({ index, size }, nodes) : undefined;
      piece += writer.leaf(leafOf(judged, path));
    }
    yield piece;
  }
  yield writer.trailer();
}

const base64 = (hash: Buffer): string => hash.toString('base64');

function leafOf(judged: JudgedLeaf, path: Buffer[] | undefined): ExportLeaf {
  const { leaf_index: index, record_id: recordId, entry } = judged.leaf;
  if (judged.state === 'redacted') return redactedLeaf(index, entry, path);
  if (judged.state === 'erased') return erasedLeaf({ index, recordId, entry, erasure: judged.erasure }, path);
  const { salt, canonical, fieldCommitments } = judged.opened;
  return openedLeaf({ index, recordId, entry, salt, canonical, fieldCommitments, ...(path && { path }) }, () => true);
}

async function* csvPieces(deps: SearchDeps, ground: Ground): AsyncGenerator<string> {
  yield csvStart + csvHeading;
  const judge = leafJudge(deps, openedOf(ground));
  let lines = 0;
  for await (const leaves of ground.extent.leaves()) {
    const judged = await judge(leaves);
    lines += judged.length;
    yield judged.map(csvOfLeaf).join('');
  }
  yield csvEnd(lines);
}
