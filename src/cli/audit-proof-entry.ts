import { exportKinds } from '../verification/audit-export-check.ts';
import { logEntry } from '../verification/commitment.ts';
import { decodeBase64url, isJsonObject, parseJsonStrictly } from '../verification/encoding.ts';
import { parseCompactJws } from '../verification/jws.ts';
import { readText, UsageError } from './audit-inputs.ts';
import type { Report } from './audit-report.ts';

/** Which log entry a proof is about, from what its holder has. */

/** The 34 bytes, and what to say of them. */
export type ProofEntry = {
  readonly entry: Buffer;
  readonly about: Report['facts'];
  /** The answer, nothing of which is checked yet, and the record id that stands beside it in a lookup's JSON. */
  readonly answer?: { readonly jws: string; readonly recordId?: string };
};

/** From `--answer`, or from `--kind` and `--commitment`. */
export async function readEntry(options: {
  readonly answer: string | undefined;
  readonly kind: string | undefined;
  readonly commitment: string | undefined;
}): Promise<ProofEntry> {
  const { answer, kind, commitment } = options;
  if (answer !== undefined) {
    if (kind !== undefined || commitment !== undefined)
      throw new UsageError('--answer says kind and commitment itself');
    return entryOfAnswer(answer, await readText(answer, 'the answer'));
  }
  if (kind === undefined || commitment === undefined) {
    throw new UsageError('a proof needs its record: --answer FILE, or --kind and --commitment');
  }
  const number = kindNumber(kind);
  const bytes = decodeBase64url(commitment);
  if (bytes?.length !== 32) throw new UsageError('--commitment is 32 bytes as base64url (43 characters)');
  return { entry: logEntry(number, bytes), about: [[{ en: 'commitment', zh: '承诺值' }, commitment]] };
}

function kindNumber(text: string): number {
  const named = Object.entries(exportKinds).find(([, name]) => name === text)?.[0];
  const number = Number(named ?? (/^[1-9]\d{0,2}$/.test(text) ? text : Number.NaN));
  if (!(number >= 1 && number <= 255)) {
    throw new UsageError(`--kind is one of ${Object.values(exportKinds).join(', ')}, or a number to 255`);
  }
  return number;
}

function entryOfAnswer(file: string, text: string): ProofEntry {
  const { jws = '', recordId } = jwsOf(text.replace(/^\ufeff/, '').trim());
  const parsed = parseCompactJws(jws);
  const { jti, commitment } = parsed.ok ? parsed.value.payload : {};
  const bytes = typeof commitment === 'string' ? decodeBase64url(commitment) : undefined;
  if (bytes?.length !== 32 || typeof commitment !== 'string') {
    throw new UsageError(`${file} is neither an answer of a hub nor the JSON of a lookup`);
  }
  const about: Report['facts'] = [
    [{ en: 'record', zh: '记录' }, typeof jti === 'string' ? jti : '–'],
    [{ en: 'commitment', zh: '承诺值' }, commitment],
  ];
  // an answer is always about an access
  return { entry: logEntry(1, bytes), about, answer: { jws, ...(recordId !== undefined && { recordId }) } };
}

/** The answer in a lookup's JSON, or the text itself. */
function jwsOf(text: string): { jws?: string; recordId?: string } {
  if (!text.startsWith('{')) return { jws: text };
  const parsed = parseJsonStrictly(text);
  const { answer, recordId } = parsed.ok && isJsonObject(parsed.value) ? parsed.value : {};
  if (typeof answer !== 'string') return {};
  return { jws: answer, ...(typeof recordId === 'string' && { recordId }) };
}
