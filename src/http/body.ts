import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Refusal, type RefusalCode } from '../errors.ts';
import type { Operation } from './contract.ts';

/** The strict JSON reader of `verification/encoding.ts`, handed in because `http` knows no other folder. */
export type ParseBody = (
  text: string,
) => { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly reason: string };

// The exact forms only (RFC 9110 section 8.3): a media type that another parser could read differently is refused.
const accepted = {
  'application/json': /^application\/json(?:; ?charset="?utf-8"?)?$/i,
  'application/x-www-form-urlencoded': /^application\/x-www-form-urlencoded(?:; ?charset="?utf-8"?)?$/i,
} as const;
const single = new Set(['authorization', 'content-type', 'content-encoding', 'idempotency-key', 'x-request-id']);
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Judges the headers that say what the body is, before any of it is read.
 * @throws Refusal `contract_violation` (a header given twice, a body where none belongs),
 * `unsupported_content_encoding`, `unsupported_media_type`
 */
export function checkBodyHeaders({ body }: Operation, request: FastifyRequest): void {
  const { headers, rawHeaders } = request.raw;
  refuseRepeated(rawHeaders);
  // Nothing is ever decompressed: no zip bombs, and no decoder between a stranger and the process.
  if ((headers['content-encoding'] ?? 'identity').toLowerCase() !== 'identity') {
    throw new Refusal('unsupported_content_encoding', { allowed: ['identity'] });
  }
  const filled = headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0';
  if (body === undefined) {
    if (filled) throw new Refusal('contract_violation', { in: 'body', pointer: '', rule: 'absent' });
  } else if ((filled || body.required) && !accepted[body.mediaType].test(headers['content-type'] ?? '')) {
    throw new Refusal('unsupported_media_type', { allowed: [body.mediaType] });
  }
}

/** Node keeps the first of two headers; a proxy in front may have judged the other one. */
function refuseRepeated(rawHeaders: readonly string[]): void {
  const seen = new Set<string>();
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = (rawHeaders[at] ?? '').toLowerCase();
    if (single.has(name) && seen.has(name)) {
      throw new Refusal('contract_violation', { in: 'header', pointer: `/${name}`, rule: 'single' });
    }
    seen.add(name);
  }
}

/** Replaces Fastify's parsers by one that hands over the raw bytes; `readBody` is the only reader. */
export function takeRawBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
}

/**
 * The value in a raw body, not yet validated; undefined for an optional body that was not sent.
 * @throws Refusal `malformed_json`, `duplicate_key`, `forbidden_character`; `invalid_request` for a form
 */
export function readBody(parseBody: ParseBody, operation: Operation, raw: unknown): unknown {
  if (operation.body === undefined) return undefined;
  const bytes = Buffer.isBuffer(raw) ? raw : Buffer.alloc(0);
  if (bytes.length === 0 && !operation.body.required) return undefined;
  const text = decode(bytes);
  if (operation.body.mediaType === 'application/x-www-form-urlencoded') return readForm(text);
  const parsed = parseBody(text);
  if (parsed.ok) {
    if (hasDirectionMark(text, parsed.value)) throw new Refusal('forbidden_character', { rule: 'direction_mark' });
    return parsed.value;
  }
  throw new Refusal(faults[parsed.reason] ?? 'malformed_json', { rule: parsed.reason });
}

/**
 * Marks that change the direction of what follows (Unicode UAX #9, section 2): what a person reads in a sentence that quotes them would
 * not be what was signed and recorded.
 */
const directionMark = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/;
const escapedMark = /\\u(?:061c|200[ef]|202[a-e]|206[6-9])/i;

/** As it stands, or escaped; what only looks like an escape (after an escaped backslash) is judged by the value. */
const hasDirectionMark = (text: string, value: unknown): boolean =>
  directionMark.test(text) || (escapedMark.test(text) && directionMark.test(JSON.stringify(value)));

const faults: Readonly<Record<string, RefusalCode>> = {
  duplicate_key: 'duplicate_key',
  forbidden_character: 'forbidden_character',
};

function decode(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw new Refusal('forbidden_character', { rule: 'utf-8' });
  }
}

/** A form of RFC 6749: a parameter must not be given twice (section 3.2). */
function readForm(text: string): Record<string, string> {
  const form: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const [name, value] of new URLSearchParams(text)) {
    if (name in form) throw new Refusal('invalid_request', { rule: 'single' });
    if (value.includes('\0')) throw new Refusal('forbidden_character', { rule: 'nul' });
    if (directionMark.test(value)) throw new Refusal('forbidden_character', { rule: 'direction_mark' });
    form[name] = value;
  }
  return form;
}
