import { createHash } from 'node:crypto';
import { cosign, type NoteKey, newNoteKey, signNote } from '../../src/signing/note-sign.ts';
import {
  type ExportLeaf,
  erasedLeaf,
  openedLeaf,
  redactedLeaf,
  startExport,
} from '../../src/verification/audit-export.ts';
import { formatCheckpoint } from '../../src/verification/checkpoint.ts';
import { commitRecord, logEntry, type RecordField } from '../../src/verification/commitment.ts';
import { encodeBase64 } from '../../src/verification/encoding.ts';
import {
  appendLeaf,
  emptyEdge,
  inclusionProof,
  leafHash,
  type NodeId,
  type ReadNodes,
  rootOfEdge,
} from '../../src/verification/merkle.ts';
import { rangeProof } from '../../src/verification/merkle-range.ts';
import { encodeBundle, fullWidth, tilePath, tileRoot } from '../../src/verification/tiles.ts';

/** A log made by hand: records, leaves, keys, without a hub or a database. */

export interface LocalRecord {
  readonly recordId: string;
  readonly salt: Buffer;
  readonly kind: number;
  readonly canonical: readonly string[];
  readonly fieldCommitments: readonly Buffer[];
  readonly commitment: Buffer;
  readonly entry: Buffer;
}

const kindNames = [
  '',
  'access',
  'certificate',
  'registry',
  'audit_read',
  'erasure',
  'month_seal',
  'key_event',
  'release',
];
const bytesFor = (text: string): Buffer => createHash('sha256').update(text).digest();

/** The id of the record with this number: the same in every run. */
export const recordIdOf = (at: number): string => `01890000-0000-7000-8000-${String(at).padStart(12, '0')}`;

/** A record of synthetic content; `values` replace its fields. */
export function localRecord(
  at: number,
  kind = 1,
  values: { readonly [name in RecordField]?: unknown } = {},
): LocalRecord {
  const recordId = recordIdOf(at);
  const salt = bytesFor(`salt ${at}`);
  const { commitment, canonical, fieldCommitments } = commitRecord(
    Buffer.from(recordId.replaceAll('-', ''), 'hex'),
    salt,
    {
      recordedAt: new Date(1_795_000_000_000 + at * 1000).toISOString(),
      kind: kindNames[kind],
      action: kind === 1 ? 'lookUp' : 'somethingElse',
      outcome: { result: 'answered' },
      client: { clientId: 'school-enrolment', department: '11999900100000099X', keyId: 'k1' },
      officer: { id: 'officer-9', name: '经办人乙' },
      purpose: { matterCode: 'school-enrolment', caseNumber: `CASE-${at}`, legalBasis: 'own_application' },
      subjects: [
        bytesFor(`subject ${at % 7}`)
          .toString('hex')
          .slice(0, 34),
      ],
      scope: { level: 'fields', types: [{ code: '11999900100000016A001', fields: ['name', 'address'] }] },
      certificates: [`1.2.156.3005.2.11999900100000016A001.11999900100000016A.${at}.001.X`],
      answerDigest: bytesFor(`answer ${at}`).toString('base64url'),
      requestId: `req-${at}`,
      ...values,
    },
  );
  return { recordId, salt, kind, canonical, fieldCommitments, commitment, entry: logEntry(kind, commitment) };
}

/** Names, keys and records of a log; everything else is computed from them. */
export interface LocalLog {
  readonly origin: string;
  readonly key: NoteKey;
  readonly witnesses: readonly NoteKey[];
  readonly records: LocalRecord[];
}

export function localLog(records: LocalRecord[], { witnesses = 0, origin = 'hub.example/log' } = {}): LocalLog {
  const witnessKeys = Array.from({ length: witnesses }, (_, at) => newNoteKey(`witness.example/${at}`, 4).key);
  return { origin, key: newNoteKey(origin, 1).key, witnesses: witnessKeys, records };
}

/** The policy file of who trusts this log and asks for `needed` of its witnesses. */
export function policyText({ key, witnesses }: LocalLog, needed = witnesses.length): string {
  const names = witnesses.map((_, at) => `w${at}`);
  return [
    `log ${key.vkey}`,
    ...witnesses.map(({ vkey }, at) => `witness w${at} ${vkey}`),
    ...(needed > 0 ? [`group all-of-them ${needed} ${names.join(' ')}`, 'quorum all-of-them'] : ['quorum none']),
    '',
  ].join('\n');
}

/** Hashes of nodes of the tree of `size` leaves, computed when asked for. */
export function readNodesOf({ records }: LocalLog): ReadNodes {
  const hashOf = ({ level, index }: NodeId): Buffer => {
    const edge = emptyEdge();
    for (const { entry } of records.slice(index * 2 ** level, (index + 1) * 2 ** level))
      appendLeaf(edge, leafHash(entry));
    return rootOfEdge(edge);
  };
  return async (ids) => ids.map(hashOf);
}

export function rootOf({ records }: LocalLog, size = records.length): Buffer {
  const edge = emptyEdge();
  for (const { entry } of records.slice(0, size)) appendLeaf(edge, leafHash(entry));
  return rootOfEdge(edge);
}

/** The signed checkpoint at a size, cosigned by the first `cosigners` witnesses. */
export function noteOf(log: LocalLog, size = log.records.length, cosigners = log.witnesses.length): string {
  const text = formatCheckpoint({ origin: log.origin, size, root: rootOf(log, size) });
  const lines = log.witnesses.slice(0, cosigners).map((witness) => cosign(witness, text, 1_795_000_000));
  return signNote(log.key, text) + lines.join('');
}

export type Show =
  | 'opened'
  | 'redacted'
  | { readonly erased: string | null }
  | { readonly only: readonly RecordField[] };

/** An export as text. `show` says what of each leaf. */
export async function exportOf(
  log: LocalLog,
  which:
    | { readonly kind: 'range'; readonly begin: number; readonly end: number }
    | { readonly kind: 'records'; readonly of: readonly number[] },
  show: (index: number) => Show = () => 'opened',
  size = log.records.length,
): Promise<string> {
  const writer = startExport();
  const nodes = readNodesOf(log);
  const common = {
    origin: log.origin,
    size,
    checkpoint: noteOf(log, size),
    recordId: recordIdOf(999_999),
    createdAt: '2026-11-22T08:00:00.000Z',
    question: { from: '2026-11-01T00:00:00Z', reason: '例行检查' },
  };
  const leafOf = async (index: number, withPath: boolean): Promise<ExportLeaf> => {
    const record = log.records[index];
    if (record === undefined) throw new Error('no such record');
    const path = withPath ? await inclusionProof({ index, size }, nodes) : undefined;
    const how = show(index);
    if (how === 'redacted') return redactedLeaf(index, record.entry, path);
    if (typeof how === 'object' && 'erased' in how) return erasedLeaf({ index, ...record, erasure: how.erased }, path);
    const shows = (name: RecordField): boolean => how === 'opened' || how.only.includes(name);
    return openedLeaf({ index, ...record, ...(path && { path }) }, shows);
  };
  if (which.kind === 'records') {
    let text = writer.header({ kind: 'records', ...common });
    for (const index of which.of) text += writer.leaf(await leafOf(index, true));
    return text + writer.trailer();
  }
  const { begin, end } = which;
  const { left, right } = await rangeProof({ begin, end, size }, nodes);
  let text = writer.header({
    kind: 'range',
    ...common,
    begin,
    end,
    left: left.map(encodeBase64),
    right: right.map(encodeBase64),
  });
  for (let index = begin; index < end; index++) text += writer.leaf(await leafOf(index, false));
  return text + writer.trailer();
}

/** Every tile and bundle of the log at its full size, by path. */
export function tilesOf({ records }: LocalLog, size = records.length): Map<string, Buffer> {
  const files = new Map<string, Buffer>();
  const entries = records.slice(0, size).map(({ entry }) => entry);
  let hashes = entries.map(leafHash);
  for (let index = 0; index * fullWidth < entries.length; index++) {
    const bundle = entries.slice(index * fullWidth, (index + 1) * fullWidth);
    files.set(tilePath({ level: 'entries', index, width: bundle.length }), encodeBundle(bundle));
  }
  for (let level = 0; hashes.length > 0; level++) {
    const above: Buffer[] = [];
    for (let index = 0; index * fullWidth < hashes.length; index++) {
      const tile = Buffer.concat(hashes.slice(index * fullWidth, (index + 1) * fullWidth));
      files.set(tilePath({ level, index, width: tile.length / 32 }), tile);
      if (tile.length === 32 * fullWidth) above.push(tileRoot(tile));
    }
    hashes = above;
  }
  return files;
}
