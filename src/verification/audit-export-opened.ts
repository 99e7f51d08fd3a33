import { exportKinds, type OpenedLeaf } from './audit-export.ts';
import { commitField, commitmentOfFields, recordFields } from './commitment.ts';

/** What the line of an opened record says, and what follows from it. */
export type OpenedLine = {
  readonly index: number;
  readonly recordId: string;
  readonly kind: number;
  /** The 34 bytes that the line says are in the log. */
  readonly entry: Buffer;
  /** The commitment over what the line shows and hides: 32 bytes. */
  readonly commitment: Buffer;
  /** The canonical text of the field `kind`, where shown. */
  readonly saidKind: string | undefined;
  /** How many fields the line hides. */
  readonly hidden: number;
  /** 32 bytes each; undefined where the line has none. */
  readonly path: readonly Buffer[] | undefined;
};

/** What `scanOpened` would say of a line that it left to `readLeaf`. */
export function openedLine(leaf: OpenedLeaf): OpenedLine {
  const { index, recordId, kind, entry, fields, hidden, path } = leaf;
  const id = Buffer.from(recordId.replaceAll('-', ''), 'hex');
  const commitments = recordFields.map((name) => {
    const shown = fields[name];
    if (shown === undefined) return Buffer.from(hidden[name] ?? '', 'base64url');
    return commitField(id, name, Buffer.from(shown.salt, 'base64url'), shown.canonical);
  });
  return {
    index,
    recordId,
    kind,
    entry: Buffer.from(entry, 'base64'),
    commitment: commitmentOfFields(id, commitments),
    saidKind: fields.kind?.canonical,
    hidden: Object.keys(hidden).length,
    path: path?.map((hashed) => Buffer.from(hashed, 'base64')),
  };
}

const kindTexts: (string | undefined)[] = Array.from({ length: 256 }, (_, kind) =>
  exportKinds[kind] === undefined ? undefined : JSON.stringify(exportKinds[kind]),
);

/** True when the line, the log entry and the record itself, where it shows it, name the same kind. */
export const isOneKind = ({ kind, entry, saidKind }: OpenedLine): boolean =>
  entry[1] === kind && (saidKind === undefined || saidKind === kindTexts[kind]);

/** True when what is shown and hidden is what the log entry was made over. */
export const isCommitted = ({ entry, commitment }: OpenedLine): boolean => entry.compare(commitment, 0, 32, 2) === 0;
