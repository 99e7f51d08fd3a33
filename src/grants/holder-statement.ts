import type { Client } from '../departments/client.ts';
import { looksLikeClientId } from '../departments/client.ts';
import type { JsonObject, JsonValue } from '../verification/encoding.ts';
import { isJsonObject } from '../verification/encoding.ts';
import { checkHolder, type Holder } from '../verification/identifiers.ts';
import { judgeJws, parseCompactJws, type UnverifiedJws } from '../verification/jws.ts';

/** `typ` of a holder's statement: nothing else that a portal signs can pass for one. */
export const holderStatementType = 'certhub-holder-statement+jwt';

/** Longest life of a statement, and how far clocks may be apart. Seconds. */
export const statementLimits = { lifetime: 600, skew: 60 } as const;
const maxJtiCharacters = 128;
const maxScopeCharacters = 500;

/** Why a statement was refused: what the developer of the client is told. Everything about portal, key and signature is one reason. */
export type StatementFault =
  | 'malformed'
  | 'type'
  | 'algorithm'
  | 'signature'
  | 'audience'
  | 'authorized_party'
  | 'times_missing'
  | 'expired'
  | 'not_yet_valid'
  | 'lifetime'
  | 'jti'
  | 'matter'
  | 'case'
  | 'holder'
  | 'types'
  | 'delegate'
  | 'scope'
  | 'delegation_expired';

type Faulty = { readonly ok: false; readonly fault: StatementFault };
const fail = (fault: StatementFault): Faulty => ({ ok: false, fault });

/** A statement taken apart, with the portal it claims to be from; nothing is verified. */
export interface UnverifiedStatement {
  readonly jws: UnverifiedJws;
  /** `iss`, when it could be a client's name. */
  readonly claimedPortal: string | undefined;
}

/** Takes a statement apart. What does not depend on any portal is judged here. */
export function readStatement(text: string): { readonly ok: true; readonly value: UnverifiedStatement } | Faulty {
  const jws = parseCompactJws(text);
  if (!jws.ok) return fail('malformed');
  const { header, payload } = jws.value;
  if (header['typ'] !== holderStatementType) return fail('type');
  // An allow-list: no `none`, and nothing that would take a public key for a shared secret (RFC 8725, 3.1 and 3.2).
  if (header['alg'] !== 'ES256' && header['alg'] !== 'EdDSA') return fail('algorithm');
  const issuer = payload['iss'];
  return { ok: true, value: { jws: jws.value, claimedPortal: looksLikeClientId(issuer) ? issuer : undefined } };
}

/** What a statement has to say for the ticket that is asked for. */
export interface StatementDemands {
  /** The hub's issuer, the only audience. */
  readonly issuer: string;
  /** The client that asks for the ticket. */
  readonly clientId: string;
  readonly matterCode: string;
  readonly caseNumber: string;
  readonly holder: Holder;
  /** Codes; the statement may name more. */
  readonly types: readonly string[];
  /** On delegation the statement names who acts, for what and until when; otherwise it must not. */
  readonly delegated: boolean;
  readonly at: Date;
}

/** On whose word a ticket is issued. */
export interface HolderStatement {
  readonly portal: string;
  readonly keyId: string;
  readonly jti: string;
  /** From then on the statement is refused for its age. */
  readonly refusedFrom: Date;
  readonly delegation?: Delegation;
}

export interface Delegation {
  readonly delegate: Holder;
  /** What the holder delegated, in the portal's words. */
  readonly scope: string;
  readonly expiresAt: Date;
}

/**
 * Judges a statement: signature first, then what it says, the first broken rule is the reason. Pure. `portal` is the client named by
 * `claimedPortal` as the registry has it now, if any.
 */
export function judgeStatement(
  { jws }: UnverifiedStatement,
  portal: Client | undefined,
  demands: StatementDemands,
): { readonly ok: true; readonly statement: HolderStatement } | Faulty {
  const key = signingKey(jws, portal);
  if (portal === undefined || key === undefined) return fail('signature');
  const { payload } = jws;
  // A list of audiences would let a statement that was made for another hub be used here.
  if (payload['aud'] !== demands.issuer) return fail('audience');
  // Nobody vouches for itself, whatever roles it has.
  if (payload['azp'] !== demands.clientId || portal.id === demands.clientId) return fail('authorized_party');
  const times = judgeTimes(payload, demands.at);
  if (typeof times === 'string') return fail(times);
  const { jti } = payload;
  if (!isJti(jti)) return fail('jti');
  const content = judgeContent(payload, demands);
  if (content !== undefined) return fail(content);
  const delegation = judgeDelegation(payload, demands);
  if (typeof delegation === 'string') return fail(delegation);
  const statement = { portal: portal.id, keyId: key.kid, jti, refusedFrom: times.refusedFrom };
  return { ok: true, statement: { ...statement, ...(delegation !== undefined && { delegation }) } };
}

/** The key of an enabled portal that the header names, if it is in force and made the signature. The key alone decides the algorithm. */
function signingKey(jws: UnverifiedJws, portal: Client | undefined) {
  if (portal === undefined || portal.disabledAt !== null || !portal.roles.includes('portal')) return undefined;
  if (jws.payload['iss'] !== portal.id) return undefined;
  const key = portal.keys.find(({ kid, revokedAt }) => kid === jws.header['kid'] && revokedAt === null);
  if (key === undefined) return undefined;
  const faults = judgeJws(jws, { typ: holderStatementType, suites: [key.suite], key: () => key.publicKey });
  return faults.length === 0 ? key : undefined;
}

const isJti = (value: unknown): value is string =>
  typeof value === 'string' && value.length > 0 && value.length <= maxJtiCharacters;

/** A NumericDate (RFC 7519, 2) that JSON.parse did not turn into Infinity. */
const isInstant = (value: unknown): value is number =>
  typeof value === 'number' && Number.isFinite(value) && value >= 0 && value < 1e11;

function judgeTimes({ iat, exp, nbf }: JsonObject, at: Date): StatementFault | { readonly refusedFrom: Date } {
  if (!isInstant(iat) || !isInstant(exp) || (nbf !== undefined && !isInstant(nbf))) return 'times_missing';
  const { lifetime, skew } = statementLimits;
  const now = at.getTime() / 1000;
  if (exp <= iat || exp - iat > lifetime) return 'lifetime';
  if (exp + skew <= now) return 'expired';
  if (Math.max(iat, nbf ?? 0) > now + skew) return 'not_yet_valid';
  return { refusedFrom: new Date((exp + skew) * 1000) };
}

function judgeContent(payload: JsonObject, demands: StatementDemands): StatementFault | undefined {
  if (payload['matterCode'] !== demands.matterCode) return 'matter';
  if (payload['caseNumber'] !== demands.caseNumber) return 'case';
  const holder = personOf(payload['holder']);
  if (holder === undefined || !isSame(holder, demands.holder)) return 'holder';
  const types = payload['types'];
  return Array.isArray(types) && demands.types.every((code) => types.includes(code)) ? undefined : 'types';
}

/** A statement that names a delegate is no application of the holder's own, and the other way round: neither may pass for the other. */
function judgeDelegation(
  payload: JsonObject,
  { delegated, holder, at }: StatementDemands,
): StatementFault | Delegation | undefined {
  if (!delegated) return Object.hasOwn(payload, 'delegate') ? 'delegate' : undefined;
  const delegate = personOf(payload['delegate']);
  if (delegate === undefined || isSame(delegate, holder)) return 'delegate';
  const { scope, delegationExpiresAt } = payload;
  if (typeof scope !== 'string' || scope.trim() === '' || scope.length > maxScopeCharacters) return 'scope';
  const expiresAt = timeOf(delegationExpiresAt);
  return expiresAt === undefined || expiresAt <= at ? 'delegation_expired' : { delegate, scope, expiresAt };
}

const isSame = (a: Holder, b: Holder): boolean => a.type === b.type && a.number === b.number;

/** A holder in normal form, or undefined for what is none. */
function personOf(value: JsonValue | undefined): Holder | undefined {
  if (!isJsonObject(value)) return undefined;
  const { type, number } = value;
  if (typeof type !== 'string' || typeof number !== 'string') return undefined;
  const checked = checkHolder({ type, number });
  return checked.ok ? checked.holder : undefined;
}

const utcTime = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,3})?Z$/;

/** RFC 3339, UTC, as everywhere in the contract. */
function timeOf(value: unknown): Date | undefined {
  if (typeof value !== 'string' || !utcTime.test(value)) return undefined;
  const time = new Date(value);
  return Number.isNaN(time.getTime()) ? undefined : time;
}
