import type { KeyObject } from 'node:crypto';
import { decodeBase64, type JsonObject } from './encoding.ts';
import { parseCompactJws, verifyCompactJws } from './jws.ts';
import { readStatus, readStatusListClaims, type StatusListClaims, statusValues } from './status-list.ts';
import { signatureSuites } from './suites.ts';
import { isWithin, type TrustBundle } from './trust-bundle.ts';
import type { ReasonCode } from './verdict-reasons.ts';
import { validateX509Path } from './x509-path.ts';
import { readX509 } from './x509-read.ts';

/** What a status history says about a certificate at a time. */
export type KnownStatus = 'valid' | 'suspended' | 'revoked' | 'superseded';

/** Where a certificate's status is found. */
export type StatusReference = { readonly idx: number; readonly uri: string };

/** The status of a certificate at a time; `unknown` when nothing trustworthy says it. */
export type StatusFinding = {
  readonly status: KnownStatus | 'invalid' | 'unknown';
  /** Epoch seconds of what the finding rests on; null when it rests on nothing. */
  readonly asOf: number | null;
  readonly reasons: readonly ReasonCode[];
};

/** A clock that is this much behind the list's does not make the question one about the past. */
const toleranceSeconds = 60;

/** The signed lists of a bundle by `sub`. A bundle is read once and asked often, so this is worked out once. */
const tokensOfBundle = new WeakMap<TrustBundle, ReadonlyMap<string, string>>();

function tokenFor(trust: TrustBundle, uri: string): string | undefined {
  let tokens = tokensOfBundle.get(trust);
  if (tokens === undefined) {
    const found = new Map<string, string>();
    for (const token of trust.statusLists) {
      const parsed = parseCompactJws(token);
      const sub = parsed.ok ? parsed.value.payload['sub'] : undefined;
      if (typeof sub === 'string') found.set(sub, token);
    }
    tokens = found;
    tokensOfBundle.set(trust, tokens);
  }
  return tokens.get(uri);
}

/**
 * The status by the signed list in the bundle. The list must be signed under the certificate's own root, or by a hub
 * key for status; its `sub` is the certificate's `uri`; it is unexpired at `now` (the list's own time when the
 * question is about the past and no `now` is given).
 */
export function statusByList(
  trust: TrustBundle,
  reference: StatusReference,
  asked: { readonly at: number; readonly now: number | undefined; readonly rootSha256: string },
): StatusFinding {
  const token = tokenFor(trust, reference.uri);
  if (token === undefined) return { status: 'unknown', asOf: null, reasons: ['status_list_missing'] };
  const read = readToken(trust, token, reference.uri, asked);
  if (!read.ok) return { status: 'unknown', asOf: null, reasons: read.reasons };
  const { list, issuedAt } = read.value;
  const value = readStatus(list, reference.idx);
  if (value === undefined) return { status: 'unknown', asOf: issuedAt, reasons: ['status_index_out_of_range'] };
  const isPast = asked.at + toleranceSeconds < issuedAt;
  switch (value) {
    case statusValues.valid:
      return { status: 'valid', asOf: issuedAt, reasons: isPast ? ['status_history_unavailable'] : [] };
    case statusValues.invalid:
      return { status: 'invalid', asOf: issuedAt, reasons: withTime('status_invalid', isPast) };
    case statusValues.suspended:
      return { status: 'suspended', asOf: issuedAt, reasons: withTime('suspended', isPast) };
    default:
      return { status: 'unknown', asOf: issuedAt, reasons: ['status_value_unknown'] };
  }
}

const withTime = (code: ReasonCode, isPast: boolean): ReasonCode[] =>
  isPast ? [code, 'status_change_time_unknown'] : [code];

function readToken(
  trust: TrustBundle,
  token: string,
  uri: string,
  asked: { readonly at: number; readonly now: number | undefined; readonly rootSha256: string },
): { ok: true; value: StatusListClaims } | { ok: false; reasons: ReasonCode[] } {
  const opened = openToken(trust, token);
  if (opened === undefined) return { ok: false, reasons: ['status_list_untrusted'] };
  const { payload, rootSha256 } = opened;
  if (rootSha256 !== undefined && rootSha256 !== asked.rootSha256) {
    return { ok: false, reasons: ['status_list_other_root'] };
  }
  const { iat } = payload;
  const now = asked.now ?? Math.max(asked.at, typeof iat === 'number' ? iat : asked.at);
  return readStatusListClaims(payload, { uri, now });
}

/** `rootSha256` is absent when a hub key signed. */
type OpenedToken = { readonly payload: JsonObject; readonly rootSha256: string | undefined };

/** Who signed a list depends on the bundle and the list alone, so it is worked out once for both. */
const openedOfBundle = new WeakMap<TrustBundle, Map<string, OpenedToken | undefined>>();

function openToken(trust: TrustBundle, token: string): OpenedToken | undefined {
  let opened = openedOfBundle.get(trust);
  if (opened === undefined) {
    opened = new Map();
    openedOfBundle.set(trust, opened);
  }
  if (!opened.has(token)) opened.set(token, verifyToken(trust, token));
  return opened.get(token);
}

function verifyToken(trust: TrustBundle, token: string): OpenedToken | undefined {
  let rootSha256: string | undefined;
  const verified = verifyCompactJws(token, {
    typ: 'statuslist+jwt',
    suites: signatureSuites,
    key: (header, { iat }) => {
      const found = typeof iat === 'number' ? statusKey(trust, header, iat) : undefined;
      rootSha256 = found?.rootSha256;
      return found?.key;
    },
  });
  return verified.ok ? { payload: verified.payload, rootSha256 } : undefined;
}

/** By x5c under a pinned root when the header has one, else by kid among the hub's status keys in force. */
function statusKey(
  trust: TrustBundle,
  header: JsonObject,
  at: number,
): { key: KeyObject; rootSha256: string | undefined } | undefined {
  if (Object.hasOwn(header, 'x5c')) {
    const chain = readX5c(header);
    if (chain === undefined) return undefined;
    const path = validateX509Path({ chain, roots: trust.roots, at, use: 'status' });
    return path.ok ? { key: path.leaf.publicKey, rootSha256: path.root.sha256 } : undefined;
  }
  const known = trust.hubKeys.find((each) => each.use === 'status' && each.kid === header['kid'] && isWithin(each, at));
  return known === undefined ? undefined : { key: known.key, rootSha256: undefined };
}

/** The DER certificates of an `x5c` header (RFC 7515, 4.1.6), or undefined when absent or malformed. */
export function readX5c(header: JsonObject): Buffer[] | undefined {
  const { x5c } = header;
  if (!Array.isArray(x5c) || x5c.length === 0 || x5c.length > 10) return undefined;
  const chain: Buffer[] = [];
  for (const member of x5c) {
    const der = typeof member === 'string' ? decodeBase64(member) : undefined;
    if (der === undefined) return undefined;
    chain.push(der);
  }
  return chain;
}

/** The public key of an `x5c` leaf. Untrusted until the path to a pinned root is validated. */
export function unverifiedLeafKey(header: JsonObject): KeyObject | undefined {
  const [leaf] = readX5c(header) ?? [];
  return leaf === undefined ? undefined : readX509(leaf)?.publicKey;
}
