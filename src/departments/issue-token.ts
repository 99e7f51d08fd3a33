import { createHash, generateKeyPairSync } from 'node:crypto';
import type { Entry } from '../audit/entry.ts';
import { RecordedRefusal, type Recorder } from '../audit/record.ts';
import type { RefusalCode } from '../errors.ts';
import type { Role } from '../ids.ts';
import type { JsonObject } from '../verification/encoding.ts';
import type { Client } from './client.ts';
import {
  type AssertionFault,
  clientAssertionKind,
  judgeClaims,
  readAssertion,
  signingKeyOf,
} from './client-assertion.ts';
import type { ClientKey } from './client-key.ts';
import { findClient, takeAssertion } from './client-store.ts';
import type { ReadRegistryDeps } from './row.ts';
import { findDepartment } from './store.ts';

export interface IssueTokenDeps extends ReadRegistryDeps {
  readonly record: Recorder;
  /** The hub's issuer, the only audience of assertions. */
  readonly issuer: string;
  /** Life of a token in seconds. */
  readonly tokenSeconds: number;
  /** Signs a token for a client and the key it proved itself with. */
  readonly signToken: (subject: { readonly clientId: string; readonly keyId: string }) => string | Promise<string>;
}

/** The form posted to the token endpoint (RFC 6749, 4.4; RFC 7523, 2.2). */
export interface TokenRequest {
  readonly grantType: string;
  readonly clientAssertionType: string;
  readonly clientAssertion: string;
  readonly clientId?: string | undefined;
  readonly requestId: string;
  readonly at: Date;
}

export interface IssuedToken {
  readonly accessToken: string;
  /** Seconds. */
  readonly expiresIn: number;
  readonly roles: readonly Role[];
}

/** A key nobody has: what is verified for clients that do not exist. */
const decoy = { publicKey: generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey, suite: 'ES256' } as const;

/**
 * Issues an access token for a client assertion that is signed by a key of the client, meant for this hub, short-lived and used for the
 * first time, on any process. Issued and refused requests are recorded before they are answered (invariant 1).
 * @throws RecordedRefusal `invalid_client` with a reason, `unsupported_grant_type`
 */
export async function issueToken(deps: IssueTokenDeps, input: TokenRequest): Promise<IssuedToken> {
  const refuse = async (refusal: TokenRefusal): Promise<never> => {
    const { code, reason, client, key, claimedClient } = refusal;
    const receipt = await deps.record({
      ...entryFor(input, { client, key }),
      outcome: 'refused',
      code,
      detail: { reason, ...(claimedClient === undefined ? {} : { claimedClient }) },
    });
    throw new RecordedRefusal(code, receipt, { reason });
  };

  if (input.grantType !== 'client_credentials') {
    return refuse({ code: 'unsupported_grant_type', reason: 'grant_type' });
  }
  const proof = await judgeProof(deps, input);
  if (!proof.ok) return refuse({ code: 'invalid_client', ...proof });
  const { client, key } = proof;
  const accessToken = await deps.signToken({ clientId: client.id, keyId: key.kid });
  await deps.record({
    ...entryFor(input, { client, key }),
    outcome: 'answered',
    scope: { roles: [...client.roles] },
    // tells which record a token found somewhere belongs to, and is of no use to get in
    answerDigest: createHash('sha256').update(accessToken).digest('base64url'),
  });
  return { accessToken, expiresIn: deps.tokenSeconds, roles: client.roles };
}

interface TokenRefusal extends Partial<Proven> {
  readonly code: RefusalCode;
  readonly reason: string;
  /** Who it claimed to be; nobody proved it. */
  readonly claimedClient?: string;
}

/** A client that proved itself, even if it is refused for another reason. */
interface Proven {
  readonly client: Client | undefined;
  readonly key: ClientKey | undefined;
}

type Proof =
  | { readonly ok: true; readonly client: Client; readonly key: ClientKey }
  | ({ readonly ok: false; readonly reason: AssertionFault; readonly claimedClient?: string } & Partial<Proven>);

/** The caller stands in the record only when a signature proved it. */
function entryFor({ requestId, at }: TokenRequest, { client, key }: Partial<Proven>): Omit<Entry, 'outcome'> {
  const caller =
    client === undefined || key === undefined
      ? {}
      : { caller: { clientId: client.id, department: client.department, keyId: key.kid } };
  return { kind: 'access', action: 'issueToken', requestId, at, ...caller };
}

/** Signature first: what the assertion says is looked at only when a key of the client stands behind it. */
async function judgeProof(deps: IssueTokenDeps, input: TokenRequest): Promise<Proof> {
  if (input.clientAssertionType !== clientAssertionKind) return { ok: false, reason: 'assertion_kind' };
  const assertion = readAssertion(input.clientAssertion);
  if (!assertion.ok) return { ok: false, reason: assertion.reason };
  const { claimedClient, jws } = assertion.value;
  const client = await currentClient(deps, claimedClient ?? '');
  const key = signingKeyOf(assertion.value, client, decoy);
  if (client === undefined || key === undefined) {
    return { ok: false, reason: 'key_unknown', ...(claimedClient === undefined ? {} : { claimedClient }) };
  }
  const reason = await judgeUse(deps, input, { client, key, payload: jws.payload });
  return reason === undefined ? { ok: true, client, key } : { ok: false, reason, client, key };
}

/**
 * The client as the database holds it now, not as a view remembers it: tokens are rare, and what was registered, disabled or revoked a
 * moment ago counts at once. A client without a genuine department is nobody's.
 */
export async function currentClient({ db, ...deps }: ReadRegistryDeps, clientId: string): Promise<Client | undefined> {
  const client = await findClient(db.kysely, deps, clientId);
  const department = await findDepartment(db.kysely, deps, client?.department ?? '');
  return department === undefined ? undefined : client;
}

/** Why a correctly signed assertion gets no token; undefined when it does, and is then used up. */
async function judgeUse(
  { db, issuer }: IssueTokenDeps,
  { at, clientId }: TokenRequest,
  { client, key, payload }: { readonly client: Client; readonly key: ClientKey; readonly payload: JsonObject },
): Promise<AssertionFault | undefined> {
  if (key.revokedAt !== null) return 'key_revoked';
  if (client.disabledAt !== null) return 'client_disabled';
  const demands = { clientId: client.id, clientIdParameter: clientId, issuer, at: at.getTime() / 1000 };
  const claims = judgeClaims(payload, demands);
  if (!claims.ok) return claims.reason;
  const { jti } = claims.use;
  const expiresAt = new Date(claims.use.expiresAt * 1000);
  return (await takeAssertion(db.kysely, { clientId: client.id, jti, expiresAt, at }))
    ? undefined
    : 'assertion_replayed';
}
