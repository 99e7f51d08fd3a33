import { auditExportFormat } from '../verification/audit-export.ts';
import { parseNote } from '../verification/signed-note.ts';

/** What somebody gave in place of an export. */

const compactJws = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+~?/;
/** Longer than the first member of any header. */
const headLength = 64;

/** What to say of a file by how it begins; undefined where it is an export, also a damaged one. */
export function insteadOfExport(beginning: string): string | undefined {
  const text = beginning.replace(/^\ufeff/, '');
  if (text.slice(0, headLength).includes(auditExportFormat)) return undefined;
  // what changed in the beginning of a header is damage, not another file
  if (text.startsWith('{"format":') || text.includes('"checkpoint":"', headLength)) return undefined;
  const found = kinds.find(([is]) => is(text));
  return found?.[1] ?? 'is no export: its first line is no certhub-audit-export/1. 不是审计导出文件。';
}

const kinds: readonly (readonly [is: (text: string) => boolean, words: string])[] = [
  [(text) => text === '', 'is empty: download the export again. 文件为空。'],
  [
    (text) => text.startsWith('c2sp.org/tlog-proof'),
    'is a proof: give the record it is about, with --answer FILE or --kind and --commitment. 这是记录的证明文件。',
  ],
  [
    (text) => /^\{"(?:index|end)":/.test(text),
    'seems to be an export without its first line: export it again. 似为缺少首行的导出文件。',
  ],
  [
    (text) => text.startsWith('{') && text.includes('"answer"'),
    'seems to be the JSON of a lookup: check it with certhub verify, or give it with --answer to the proof of its record. 似为答复。',
  ],
  [
    (text) => compactJws.test(text),
    'seems to be an answer of a hub: check it with certhub verify, or give it with --answer to the proof of its record. 似为答复。',
  ],
  [
    (text) => parseNote(text).ok,
    'seems to be a checkpoint: give it with --checkpoint, beside an export or --log. 似为检查点。',
  ],
  [
    (text) => /^[^{\n]*(?:,[^\n]*){3}/.test(text),
    'seems to be a CSV, which proves nothing: export the same as ndjson. 似为 CSV，不作证明；请以 ndjson 格式导出。',
  ],
];
