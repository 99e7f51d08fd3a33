import { createPrivateKey, type JsonWebKey, randomUUID } from 'node:crypto';
import { readPublicJwk } from '../../departments/client-key.ts';
import { holderStatementType } from '../../grants/holder-statement.ts';
import { signCompactJws } from '../../signing/sd-jwt-issue.ts';
import { keySigner } from '../../signing/signer.ts';
import { demoClientKey } from './registry.ts';

/** What a citizen who logged in to the portal agreed to. */
export interface CitizensWord {
  /** The hub's issuer. */
  readonly issuer: string;
  /** The client that may use it. */
  readonly forClient: string;
  readonly matterCode: string;
  readonly caseNumber: string;
  readonly holder: { readonly type: string; readonly number: string };
  readonly types: readonly string[];
  readonly at: Date;
}

/** Signs a holder's statement as the demo's citizen portal does once it has authenticated the holder. Good for one ticket, within five minutes. */
export function portalStatement({ issuer, forClient, at, ...said }: CitizensWord): Promise<string> {
  const portal = 'citizen-portal';
  const { d, ...jwk } = demoClientKey(portal);
  const { suite, kid } = readPublicJwk(jwk as never);
  const privateKey = createPrivateKey({ key: { ...jwk, d } as JsonWebKey, format: 'jwk' });
  const iat = Math.floor(at.getTime() / 1_000);
  return signCompactJws({
    signer: keySigner({ privateKey, suite, kid }),
    typ: holderStatementType,
    payload: { iss: portal, aud: issuer, azp: forClient, jti: randomUUID(), iat, exp: iat + 300, ...said },
  });
}
