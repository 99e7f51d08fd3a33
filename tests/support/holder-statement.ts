import { createPrivateKey, type KeyObject, randomUUID, sign } from 'node:crypto';
import { demoClientKey } from '../../src/cli/demo/registry.ts';

type Members = Readonly<Record<string, unknown>>;

const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const now = (): number => Math.floor(Date.now() / 1000);

/** Signs a statement for the hub under test as the demo's portal; `claims` and `header` make it another one. */
export function holderStatement(
  claims: Members,
  { header = {}, signer, key = demoClientKey('citizen-portal') }: StatementSigner = {},
): string {
  const signed = [
    { alg: 'ES256', typ: 'certhub-holder-statement+jwt', kid: key['kid'], ...header },
    {
      iss: 'citizen-portal',
      aud: 'http://hub.test',
      azp: 'school-enrolment',
      jti: randomUUID(),
      iat: now(),
      exp: now() + 300,
      ...claims,
    },
  ]
    .map(part)
    .join('.');
  const privateKey = signer ?? createPrivateKey({ key, format: 'jwk' } as never);
  const signature = sign('sha256', Buffer.from(signed), { key: privateKey, dsaEncoding: 'ieee-p1363' });
  return `${signed}.${signature.toString('base64url')}`;
}

export interface StatementSigner {
  readonly header?: Members;
  readonly signer?: KeyObject;
  /** Private JWK of the portal. */
  readonly key?: Readonly<Record<string, string>>;
}
