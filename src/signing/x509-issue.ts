import type { KeyObject } from 'node:crypto';
import { createHash, createPublicKey, randomBytes } from 'node:crypto';
import { AsnConvert, OctetString } from '@peculiar/asn1-schema';
import {
  AlgorithmIdentifier,
  AttributeTypeAndValue,
  AttributeValue,
  AuthorityKeyIdentifier,
  BasicConstraints,
  Certificate,
  ExtendedKeyUsage,
  Extension,
  Extensions,
  KeyIdentifier,
  KeyUsage,
  KeyUsageFlags,
  Name,
  RelativeDistinguishedName,
  SubjectKeyIdentifier,
  SubjectPublicKeyInfo,
  TBSCertificate,
  Validity,
  Version,
} from '@peculiar/asn1-x509';
import { rawToDer } from '../verification/suites.ts';
import type { Signer } from './signer.ts';

/** A distinguished name, most significant attribute first. Values are written as UTF8String. */
export interface X509Name {
  readonly organization: string;
  readonly commonName: string;
  /** organizationIdentifier (X.520, 2.5.4.97): the USCC of the department. */
  readonly organizationIdentifier?: string;
}

/** Half-open in spirit, inclusive in X.509: notBefore and notAfter, to the second. */
export interface X509Validity {
  readonly notBefore: Date;
  readonly notAfter: Date;
}

/** What a certificate authority needs to issue: its signer, and its own X.509 certificate as DER. */
export interface X509Issuer {
  readonly signer: Signer;
  readonly x509: Uint8Array;
}

/** What the key in an X.509 certificate may do. */
export type X509Profile =
  | { readonly kind: 'authority'; readonly pathLength: number }
  /** A department's seal: digitalSignature and nonRepudiation. */
  | { readonly kind: 'seal' }
  /** A hub key: digitalSignature and one extended key usage. */
  | { readonly kind: 'hub'; readonly extendedKeyUsage: string };

const oid = {
  commonName: '2.5.4.3',
  country: '2.5.4.6',
  organization: '2.5.4.10',
  organizationIdentifier: '2.5.4.97',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
} as const;

const derNull = new Uint8Array([5, 0]).buffer;

/** The DER bytes on their own, free of a shared pool. */
const ownBytes = (bytes: Uint8Array): ArrayBuffer => Uint8Array.from(bytes).buffer;

function signatureAlgorithm(signer: Signer): AlgorithmIdentifier {
  switch (signer.suite) {
    case 'ES256':
      return new AlgorithmIdentifier({ algorithm: '1.2.840.10045.4.3.2' });
    case 'EdDSA':
      return new AlgorithmIdentifier({ algorithm: '1.3.101.112' });
    case 'RS256':
      return new AlgorithmIdentifier({ algorithm: '1.2.840.113549.1.1.11', parameters: derNull });
    case 'SM2-SM3':
      return new AlgorithmIdentifier({ algorithm: '1.2.156.10197.1.501' });
    case 'PS256':
      throw new RangeError('an x509 authority signs with ES256, EdDSA, RS256 or SM2-SM3');
  }
}

/** X.509 carries ECDSA and SM2 signatures as DER, everything else as it is. */
function x509Signature(signer: Signer, raw: Uint8Array): Uint8Array {
  if (signer.suite !== 'ES256' && signer.suite !== 'SM2-SM3') return raw;
  const der = rawToDer(raw);
  if (der === undefined) throw new Error(`signer ${signer.kid} gave a signature of ${raw.length} bytes`);
  return der;
}

function nameOf({ organization, commonName, organizationIdentifier }: X509Name): Name {
  const attribute = (type: string, value: AttributeValue): RelativeDistinguishedName =>
    new RelativeDistinguishedName([new AttributeTypeAndValue({ type, value })]);
  const utf8 = (text: string): AttributeValue => new AttributeValue({ utf8String: text });
  return new Name([
    attribute(oid.country, new AttributeValue({ printableString: 'CN' })),
    attribute(oid.organization, utf8(organization)),
    ...(organizationIdentifier === undefined
      ? []
      : [attribute(oid.organizationIdentifier, utf8(organizationIdentifier))]),
    attribute(oid.commonName, utf8(commonName)),
  ]);
}

const subjectPublicKeyInfo = (key: KeyObject): SubjectPublicKeyInfo =>
  AsnConvert.parse(key.export({ type: 'spki', format: 'der' }), SubjectPublicKeyInfo);

/** Key identifier by RFC 7093, 2 (1): the leftmost 160 bits of SHA-256 over the public key bits. */
const keyIdentifier = (info: SubjectPublicKeyInfo): ArrayBuffer =>
  ownBytes(createHash('sha256').update(new Uint8Array(info.subjectPublicKey)).digest().subarray(0, 20));

/** 16 random bytes as a positive integer in minimal DER form. */
function serialNumber(): ArrayBuffer {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return ownBytes(bytes);
}

function extension(extnID: string, value: unknown, critical = false): Extension {
  return new Extension({ extnID, critical, extnValue: new OctetString(AsnConvert.serialize(value)) });
}

function profileExtensions(profile: X509Profile): Extension[] {
  const usage = (flags: number): Extension => extension(oid.keyUsage, new KeyUsage(flags), true);
  switch (profile.kind) {
    case 'authority':
      return [
        extension(
          oid.basicConstraints,
          new BasicConstraints({ cA: true, pathLenConstraint: profile.pathLength }),
          true,
        ),
        usage(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign),
      ];
    case 'seal':
      return [
        extension(oid.basicConstraints, new BasicConstraints({ cA: false }), true),
        usage(KeyUsageFlags.digitalSignature | KeyUsageFlags.nonRepudiation),
      ];
    case 'hub':
      return [
        extension(oid.basicConstraints, new BasicConstraints({ cA: false }), true),
        usage(KeyUsageFlags.digitalSignature),
        extension(oid.extendedKeyUsage, new ExtendedKeyUsage([profile.extendedKeyUsage])),
      ];
  }
}

/** The issuer's side of a certificate: its name, and its key identifier as its own X.509 states it. */
interface Parent {
  readonly subject: Name;
  readonly keyIdentifier: ArrayBuffer;
}

function parentOf({ signer, x509 }: X509Issuer): Parent {
  const { subject, subjectPublicKeyInfo: info, extensions } = AsnConvert.parse(x509, Certificate).tbsCertificate;
  const publicKey = createPublicKey({ key: Buffer.from(AsnConvert.serialize(info)), type: 'spki', format: 'der' });
  if (!publicKey.equals(signer.publicKey)) throw new RangeError('the signer is not the key of the issuing x509');
  const stated = extensions?.find(({ extnID }) => extnID === oid.subjectKeyIdentifier)?.extnValue;
  const identifier = stated === undefined ? keyIdentifier(info) : AsnConvert.parse(stated.buffer, KeyIdentifier).buffer;
  return { subject, keyIdentifier: identifier };
}

function keyIdentifierExtensions(publicInfo: SubjectPublicKeyInfo, parent: Parent | undefined): Extension[] {
  const own = extension(oid.subjectKeyIdentifier, new SubjectKeyIdentifier(keyIdentifier(publicInfo)));
  if (parent === undefined) return [own];
  const authority = new AuthorityKeyIdentifier({ keyIdentifier: new KeyIdentifier(parent.keyIdentifier) });
  return [own, extension(oid.authorityKeyIdentifier, authority)];
}

/**
 * Issues an X.509 v3 certificate (RFC 5280) as DER; with `selfSigner`, a self-signed root. The signature is made by
 * the `Signer`, so an HSM or an SM2 authority works the same way. Throws RangeError when the signer is not the key
 * of the issuing certificate, or of the certified key for a root.
 */
export async function issueX509(input: {
  readonly issuer: X509Issuer | { readonly selfSigner: Signer };
  readonly subject: X509Name;
  readonly publicKey: KeyObject;
  readonly profile: X509Profile;
  readonly validity: X509Validity;
}): Promise<Buffer> {
  const { issuer, profile, validity, publicKey } = input;
  const parent = 'selfSigner' in issuer ? undefined : parentOf(issuer);
  const signer = 'selfSigner' in issuer ? issuer.selfSigner : issuer.signer;
  if (parent === undefined && !publicKey.equals(signer.publicKey)) {
    throw new RangeError('a root is signed by its own key');
  }
  const subject = nameOf(input.subject);
  const publicInfo = subjectPublicKeyInfo(publicKey);
  const algorithm = signatureAlgorithm(signer);
  const tbsCertificate = new TBSCertificate({
    version: Version.v3,
    serialNumber: serialNumber(),
    signature: algorithm,
    issuer: parent?.subject ?? subject,
    validity: new Validity({ notBefore: validity.notBefore, notAfter: validity.notAfter }),
    subject,
    subjectPublicKeyInfo: publicInfo,
    extensions: new Extensions([...profileExtensions(profile), ...keyIdentifierExtensions(publicInfo, parent)]),
  });
  const signature = await signer.sign(new Uint8Array(AsnConvert.serialize(tbsCertificate)));
  const signatureValue = ownBytes(x509Signature(signer, signature));
  return Buffer.from(
    AsnConvert.serialize(new Certificate({ tbsCertificate, signatureAlgorithm: algorithm, signatureValue })),
  );
}
