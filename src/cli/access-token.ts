import { createPrivateKey, type JsonWebKey, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { assertionLimits, clientAssertionKind, clientAssertionType } from '../departments/client-assertion.ts';
import { readPublicJwk, type UnverifiedJwk } from '../departments/client-key.ts';
import { signCompactJws } from '../signing/sd-jwt-issue.ts';
import { keySigner } from '../signing/signer.ts';
import { isJsonObject, type JsonObject, parseJsonStrictly } from '../verification/encoding.ts';
import { CommandFailed } from './command-failed.ts';
import { fetchFailure } from './fetch-failure.ts';
import { UsageError } from './usage-error.ts';

/** A JWK in a file; nothing of it is judged yet. @throws UsageError */
export function readJwk(file: string): UnverifiedJwk & JsonObject {
  const parsed = parseJsonStrictly(readFileSync(file, 'utf8'));
  if (!parsed.ok || !isJsonObject(parsed.value)) throw new UsageError(`${file} is not a JWK`);
  return parsed.value;
}

/** Asks a hub for an access token, as any client does: assertion signed here, metadata and answer checked. */
export async function fetchToken(clientId: string, keyFile: string, url: string): Promise<string> {
  const base = url.replace(/\/+$/, '');
  const metadata = await fetchJson(`${base}/.well-known/oauth-authorization-server`, {});
  const issuer = metadata['issuer'];
  if (typeof issuer !== 'string') throw new CommandFailed(`${base} is not a certhub`);
  // RFC 8414, 3.3: else whoever answers here gets an assertion made out to another hub, and a token there (CVE-2025-27370).
  if (issuer !== base)
    throw new CommandFailed(`${base} calls itself ${JSON.stringify(issuer)}: give the hub's own address`);
  const form = new URLSearchParams({
    grant_type: 'client_credentials',
    client_id: clientId,
    client_assertion_type: clientAssertionKind,
    client_assertion: await makeAssertion(clientId, readJwk(keyFile), issuer),
  });
  const answer = await fetchJson(`${base}/oauth/token`, { method: 'POST', body: form });
  const token = answer['access_token'];
  if (typeof token !== 'string') throw new CommandFailed(`no token: ${JSON.stringify(answer)}`);
  return token;
}

async function makeAssertion(clientId: string, jwk: UnverifiedJwk & JsonObject, audience: string): Promise<string> {
  const { d, kty, crv, x, y, kid } = jwk;
  if (d === undefined) throw new UsageError('--key needs the private JWK');
  const publicKey = readPublicJwk({ kty, crv, x, ...(y !== undefined && { y }), ...(kid !== undefined && { kid }) });
  const privateKey = createPrivateKey({ key: jwk as JsonWebKey, format: 'jwk' });
  const signer = keySigner({ privateKey, suite: publicKey.suite, kid: publicKey.kid });
  const now = Math.floor(Date.now() / 1000);
  return signCompactJws({
    signer,
    typ: clientAssertionType,
    payload: {
      iss: clientId,
      sub: clientId,
      aud: audience,
      jti: randomUUID(),
      iat: now,
      exp: now + assertionLimits.lifetime,
    },
  });
}

async function fetchJson(address: string, init: RequestInit): Promise<JsonObject> {
  const response = await fetch(address, { ...init, redirect: 'error' }).catch((cause: unknown) => {
    throw new CommandFailed(`${address} cannot be reached: ${fetchFailure(cause)}`, { cause });
  });
  const parsed = parseJsonStrictly(await response.text());
  if (!parsed.ok || !isJsonObject(parsed.value)) throw new CommandFailed(`${address} did not answer JSON`);
  return parsed.value;
}
