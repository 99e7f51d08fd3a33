import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse as parseYaml } from 'yaml';
import { authenticator } from './departments/authenticate.ts';
import type { Contract } from './http/contract.ts';
import type { RefusedEvent } from './http/refuse.ts';
import { buildServer, type Server, type ServerOptions } from './http/server.ts';
import { bearerToken, openTokens, type Tokens } from './http/tokens.ts';
import type { Core } from './hub-core.ts';
import { hubHandlers } from './hub-handlers.ts';
import { parseJsonStrictly } from './verification/encoding.ts';

/** A hub that answers HTTP. */
export type Hub = Server;

const contractFile = fileURLToPath(new URL('../openapi/certhub.yaml', import.meta.url));
/** A retired token key still verifies for the longest life of a token. */
const tokenGraceMs = 900_000;

/** Wires the contract to the capabilities. Does not listen yet. */
export async function assembleHub(core: Core, options: ServerOptions = {}): Promise<Hub> {
  const { config, db, keys, log, now, recorder, registry } = core;
  const tokens = await hubTokens(core);
  const authenticate = authenticator({
    db,
    keys,
    tampered: core.tampered,
    registry,
    verifyAuthorization: (authorization) => tokens.verify(bearerToken(authorization)),
  });
  return buildServer({
    contract: parseYaml(readFileSync(contractFile, 'utf8')) as Contract,
    issuer: config.issuer,
    handlers: hubHandlers(core, tokens),
    authenticate,
    parseBody: parseJsonStrictly,
    refused: (event) => recorder.record(entryOfRefused(event)),
    log,
    now,
    options: {
      bodyLimit: config.bodyLimitBytes,
      trustProxy: config.trustedProxies,
      tokenRateLimit: { max: config.rateLimitPerMinute, windowMilliseconds: 60_000 },
      publicRateLimit: { max: config.rateLimitPerMinute, windowMilliseconds: 60_000 },
      mirrorRateLimit: { max: 50 * config.rateLimitPerMinute, windowMilliseconds: 60_000 },
      ...options,
    },
  });
}

async function hubTokens({ config, keys, now }: Core): Promise<Tokens> {
  const { kid, privatePem } = keys.tokenSecretPem();
  const accepted = new Map(
    keys.hubKeys
      .filter(({ use }) => use === 'token')
      .map((key) => [
        key.kid,
        {
          pem: key.publicKey.export({ type: 'spki', format: 'pem' }).toString(),
          until: key.until === null ? Number.POSITIVE_INFINITY : Date.parse(key.until) + tokenGraceMs,
        },
      ]),
  );
  return openTokens({
    privatePem,
    kid,
    publicPem: (wanted) => {
      const key = accepted.get(wanted);
      return key === undefined || now().getTime() > key.until ? undefined : key.pem;
    },
    issuer: config.issuer,
    audience: config.issuer,
    ttlSeconds: config.tokenTtlSeconds,
    now,
  });
}

/** A refusal or crash before a use case could record it itself: who and what, as far as it got. */
const entryOfRefused = (event: RefusedEvent) => ({
  kind: 'access' as const,
  action: event.operationId,
  outcome: event.outcome,
  code: event.code,
  ...(event.caller !== undefined && {
    caller: { clientId: event.caller.clientId, department: event.caller.department, keyId: event.caller.keyId },
  }),
  requestId: event.requestId,
  at: event.receivedAt,
});
