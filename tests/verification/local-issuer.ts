import 'reflect-metadata';
import { createPrivateKey, createPublicKey, hash, type KeyObject, randomBytes, sign, webcrypto } from 'node:crypto';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { disclosureDigest, encodeDisclosure, filterSdJwt, sdHash } from '../../src/verification/sd-jwt.ts';
import { encodeStatusList, newStatusBytes, setStatus } from '../../src/verification/status-list.ts';
import { readTrustBundle, type TrustBundle, type TrustBundleDocument } from '../../src/verification/trust-bundle.ts';
import { extendedKeyUsages } from '../../src/verification/x509-path.ts';

/** A tiny issuer of its own, so that these tests do not depend on the code that signs in production. */

export const department = '11999900100000016A';
export const otherDepartment = '91999900MA0000015N';
export const typeCode = '11999900100000016A001';
export const identifier = '1.2.156.3005.2.11999900100000016A001.11999900100000016A.00000000000000000001.001.U';
export const hubIssuer = 'https://hub.example.gov';
export const statusUri = `${hubIssuer}/status-lists/1`;

/** 2026-11-22T00:00:00Z, epoch seconds; the tests' present. */
export const now = 1_795_305_600;
export const day = 86_400;
const rfc3339 = (at: number): string => new Date(at * 1000).toISOString();

export type Party = {
  readonly x509: X509Certificate;
  readonly der: Buffer;
  readonly key: KeyObject;
  readonly pair: webcrypto.CryptoKeyPair;
};

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

export type X509Wish = {
  readonly subject: string;
  readonly issuer?: Party;
  readonly notBefore?: number;
  readonly notAfter?: number;
  readonly extensions: readonly Extension[];
  readonly issuerName?: string;
  readonly pair?: webcrypto.CryptoKeyPair;
};

/** An X.509 certificate as wished, with a new P-256 key; self-signed without `issuer`. */
export async function makeX509(wish: X509Wish): Promise<Party> {
  const pair = wish.pair ?? (await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']));
  const x509 = await X509CertificateGenerator.create(
    {
      serialNumber: `40${randomBytes(8).toString('hex')}`,
      subject: wish.subject,
      issuer: wish.issuerName ?? wish.issuer?.x509.subject ?? wish.subject,
      notBefore: new Date((wish.notBefore ?? now - 1000 * day) * 1000),
      notAfter: new Date((wish.notAfter ?? now + 1000 * day) * 1000),
      signingAlgorithm: algorithm,
      publicKey: pair.publicKey,
      signingKey: (wish.issuer?.pair ?? pair).privateKey,
      extensions: [...wish.extensions],
    },
    webcrypto as unknown as Parameters<typeof X509CertificateGenerator.create>[1],
  );
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', pair.privateKey));
  const key = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });
  return { x509, der: Buffer.from(x509.rawData), key, pair };
}

export const authority = (pathLength?: number): Extension[] => [
  new BasicConstraintsExtension(true, pathLength, true),
  new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
];
export const sealProfile = (): Extension[] => [
  new KeyUsagesExtension(KeyUsageFlags.digitalSignature | KeyUsageFlags.nonRepudiation, true),
];
const hubProfile = (use: string): Extension[] => [
  new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
  new ExtendedKeyUsageExtension([use]),
];

/** A compact JWS by node:crypto, ES256. */
export function signJws(header: object, payload: unknown, key: KeyObject): string {
  const text = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const input = `${text(header)}.${typeof payload === 'string' ? payload : text(payload)}`;
  const signature = sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' });
  return `${input}.${signature.toString('base64url')}`;
}

export type Realm = Awaited<ReturnType<typeof makeRealm>>;

/** A root, an authority, a department's seal, a status key and an answer key. */
export async function makeRealm(name = 'Test') {
  const root = await makeX509({ subject: `CN=${name} 根`, extensions: authority() });
  const intermediate = await makeX509({ subject: `CN=${name} 签发机构`, issuer: root, extensions: authority(0) });
  const seal = await makeX509({
    subject: `CN=${name} 户籍专用章, 2.5.4.97=${department}`,
    issuer: intermediate,
    extensions: sealProfile(),
  });
  const status = await makeX509({
    subject: `CN=${name} status`,
    issuer: intermediate,
    extensions: hubProfile(extendedKeyUsages.status),
  });
  const answer = await makeX509({
    subject: `CN=${name} answer`,
    issuer: intermediate,
    extensions: hubProfile(extendedKeyUsages.answer),
  });
  return { root, intermediate, seal, status, answer };
}

export const x5cHeader = (typ: string, leaf: Party, intermediate: Party): Record<string, unknown> => ({
  alg: 'ES256',
  typ,
  x5c: [leaf.der.toString('base64'), intermediate.der.toString('base64')],
  'x5t#S256': hash('sha256', leaf.der, 'base64url'),
});

export const sealHeader = (realm: Realm): Record<string, unknown> =>
  x5cHeader('dc+sd-jwt', realm.seal, realm.intermediate);

/** The clear claims of a good certificate, sealed 100 days ago. */
export const clearClaims = (): Record<string, unknown> => ({
  vct: `urn:certhub:certificate-type:${typeCode}:1`,
  iss: `urn:certhub:department:${department}`,
  iat: now - 100 * day,
  nbf: now - 90 * day,
  exp: now + 100 * day,
  certificateIdentifier: identifier,
  certificateVersion: '001',
  certificateTypeCode: typeCode,
  issuingAuthorityCode: department,
  status: { status_list: { idx: 4321, uri: statusUri } },
});

export const fields: Readonly<Record<string, unknown>> = {
  certificateNumber: 'T-0001',
  certificateIssuedDate: '2026-08-14',
  certificateHolders: [{ type: '111', number: '990000190001010016', name: '测试一' }],
  householdAddress: '测试路 1 号',
};

export type Issued = {
  readonly jwt: string;
  readonly disclosures: ReadonlyMap<string, string>;
  readonly sdJwt: string;
};

/** Seals a certificate. `change` edits the payload just before it is signed, digests included. */
export function issue(
  realm: Realm,
  options: {
    readonly clear?: Record<string, unknown>;
    readonly fields?: Readonly<Record<string, unknown>>;
    readonly header?: Record<string, unknown>;
    readonly key?: KeyObject;
    readonly change?: (payload: Record<string, unknown>) => void;
  } = {},
): Issued {
  const disclosures = new Map<string, string>();
  for (const [name, value] of Object.entries(options.fields ?? fields)) {
    disclosures.set(name, encodeDisclosure(randomBytes(16).toString('base64url'), name, value));
  }
  const decoy = randomBytes(32).toString('base64url');
  const digests = [...[...disclosures.values()].map(disclosureDigest), decoy].sort();
  const payload: Record<string, unknown> = { ...(options.clear ?? clearClaims()), _sd_alg: 'sha-256', _sd: digests };
  options.change?.(payload);
  const jwt = signJws(options.header ?? sealHeader(realm), payload, options.key ?? realm.seal.key);
  return { jwt, disclosures, sdJwt: filterSdJwt(jwt, [...disclosures.values()]) };
}

/** A signed status list in which the entries of `values` are set. */
export function statusToken(
  realm: Realm,
  values: Readonly<Record<number, number>> = {},
  change: Record<string, unknown> = {},
  header: Record<string, unknown> = x5cHeader('statuslist+jwt', realm.status, realm.intermediate),
): string {
  const bytes = newStatusBytes();
  for (const [index, value] of Object.entries(values)) setStatus(bytes, Number(index), value);
  const claims = {
    sub: statusUri,
    iat: now - 60,
    exp: now + day,
    ttl: 300,
    status_list: { bits: 2, lst: encodeStatusList(bytes) },
  };
  return signJws(header, { ...claims, ...change }, realm.status.key);
}

export function trustDocument(
  realm: Realm,
  statusLists: readonly string[] = [statusToken(realm)],
): TrustBundleDocument {
  const from = rfc3339(now - 1000 * day);
  const open = { from, until: null };
  const jwk = (party: Party): JsonWebKeyLike => createPublicKey(party.key).export({ format: 'jwk' });
  return {
    format: 'certhub-trust-bundle/1',
    issuer: hubIssuer,
    createdAt: rfc3339(now),
    roots: [realm.root.der.toString('base64')],
    issuers: [
      {
        department,
        name: { zh: '测试市公安局', en: 'Test Public Security Bureau' },
        sealX509: [
          {
            sha256: hash('sha256', realm.seal.der, 'hex'),
            x509: realm.seal.der.toString('base64'),
            ...open,
            revokedAt: null,
          },
        ],
      },
    ],
    types: [
      {
        code: typeCode,
        version: 1,
        name: { zh: '户口簿', en: 'Household register' },
        allowedIssuers: [{ department, ...open }],
      },
    ],
    hubKeys: [
      { kid: 'answer-1', use: 'answer', jwk: jwk(realm.answer), ...open },
      { kid: 'status-1', use: 'status', jwk: jwk(realm.status), ...open },
    ],
    statusLists,
  };
}
type JsonWebKeyLike = TrustBundleDocument['hubKeys'][number]['jwk'];

/** A trust bundle that must be readable. */
export function trustOf(document: TrustBundleDocument): TrustBundle {
  const read = readTrustBundle(document);
  if (!read.ok) throw new Error(`trust bundle: ${read.pointer}`);
  return read.value;
}

/** An answer of the hub over some presentations. */
export function issueAnswer(
  realm: Realm,
  sdJwts: readonly string[],
  change: Record<string, unknown> = {},
  header = {},
): string {
  const payload = {
    iss: hubIssuer,
    aud: 'school-enrolment',
    jti: '019aa000-0000-7000-8000-000000000001',
    iat: now - 10,
    purpose: { matterCode: 'M-1', caseNumber: 'C-1', legalBasis: 'statutory_duty' },
    certificates: sdJwts.map((each) => ({
      certificateIdentifier: identifier,
      status: 'valid',
      level: 'fields',
      sd_hash: sdHash(each),
    })),
    commitment: Buffer.alloc(32, 7).toString('base64url'),
  };
  return signJws(
    { alg: 'ES256', typ: 'certhub-answer+jwt', kid: 'answer-1', ...header },
    { ...payload, ...change },
    realm.answer.key,
  );
}
