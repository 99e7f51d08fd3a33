import { constants, createHash, createPublicKey, createVerify, type KeyObject, verify } from 'node:crypto';

/** The signature suites of the hub. The suite's name is also the `alg` of a JWS header; `SM2-SM3` is a private name. */
export const signatureSuites = ['ES256', 'EdDSA', 'RS256', 'PS256', 'SM2-SM3'] as const;
export type SignatureSuite = (typeof signatureSuites)[number];

/** True for the name of a suite. */
export const isSignatureSuite = (name: unknown): name is SignatureSuite =>
  typeof name === 'string' && (signatureSuites as readonly string[]).includes(name);

const minimumRsaBits = 2048;
const maximumRsaBits = 8192;

/** Keys are long-lived objects, so what a key can do is worked out once. */
const suitesByKey = new WeakMap<KeyObject, readonly SignatureSuite[]>();
const sm2Prefixes = new WeakMap<KeyObject, Buffer>();

/** The suites that a public key may be used with: by type, curve and size. Empty for a key the hub never accepts. */
export function suitesOfKey(publicKey: KeyObject): readonly SignatureSuite[] {
  let suites = suitesByKey.get(publicKey);
  if (suites === undefined) {
    suites = judgeKey(publicKey);
    suitesByKey.set(publicKey, suites);
  }
  return suites;
}

function judgeKey(publicKey: KeyObject): readonly SignatureSuite[] {
  if (publicKey.type !== 'public') return [];
  const details = publicKey.asymmetricKeyDetails ?? {};
  switch (publicKey.asymmetricKeyType) {
    case 'ec':
      return details.namedCurve === 'prime256v1' ? ['ES256'] : [];
    case 'ed25519':
      return ['EdDSA'];
    case 'rsa':
      return isStrongRsa(details) ? ['RS256', 'PS256'] : [];
    default:
      // node has no name for an SM2 key read from DER; one of type 'ec' would verify as plain ECDSA
      return sm2Point(publicKey) === undefined ? [] : ['SM2-SM3'];
  }
}

const isStrongRsa = ({ modulusLength = 0, publicExponent = 0n }): boolean =>
  modulusLength >= minimumRsaBits && modulusLength <= maximumRsaBits && publicExponent >= 65537n;

/**
 * True when the signature over the data is the key's, under the suite. ECDSA and SM2 signatures are raw r‖s
 * (64 bytes, RFC 7518, 3.4). A key of another type, curve or size than the suite's is false, never an exception.
 */
export function verifySignature(
  suite: SignatureSuite,
  publicKey: KeyObject,
  data: Uint8Array,
  signature: Uint8Array,
): boolean {
  if (!suitesOfKey(publicKey).includes(suite)) return false;
  try {
    switch (suite) {
      case 'ES256':
        return (
          signature.length === 64 && verify('sha256', data, { key: publicKey, dsaEncoding: 'ieee-p1363' }, signature)
        );
      case 'EdDSA':
        return signature.length === 64 && verify(null, data, publicKey, signature);
      case 'RS256':
        return verify('sha256', data, { key: publicKey, padding: constants.RSA_PKCS1_PADDING }, signature);
      case 'PS256':
        return verify(
          'sha256',
          data,
          { key: publicKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 },
          signature,
        );
      case 'SM2-SM3': {
        const der = rawToDer(signature);
        return der !== undefined && verifySm2Der(publicKey, data, der);
      }
    }
  } catch {
    return false;
  }
}

// SM2 (GB/T 32918) with the default user ID. Node has no documented call for it: see `sm2SelfTest`.

const sm2SpkiPrefix = Buffer.from('3059301306072a8648ce3d020106082a811ccf5501822d03420004', 'hex');
const sm2ZPrefix = Buffer.from(
  '0080' +
    Buffer.from('1234567812345678').toString('hex') +
    'fffffffeffffffffffffffffffffffffffffffff00000000fffffffffffffffc' +
    '28e9fa9e9d9f5e344d5a9e4bcf6509a7f39789f515ab8f92ddbcbd414d940e93' +
    '32c4ae2c1f1981195f9904466a39c9948fe30bbff2660be1715a4589334c74c7' +
    'bc3736a2f4f6779c59bdcee36b692153d0a9877cc62a474002df32e52139f0a0',
  'hex',
);

/** The 64 bytes of an SM2 public key's point, or undefined for any other key. */
function sm2Point(publicKey: KeyObject): Buffer | undefined {
  const der = publicKey.export({ type: 'spki', format: 'der' });
  const matches =
    der.length === sm2SpkiPrefix.length + 64 && der.subarray(0, sm2SpkiPrefix.length).equals(sm2SpkiPrefix);
  return matches ? der.subarray(-64) : undefined;
}

/** An SM2 public key from its point (64 bytes), in the form that node verifies as SM2. */
export const sm2PublicKey = (point: Uint8Array): KeyObject =>
  createPublicKey({ key: Buffer.concat([sm2SpkiPrefix, point]), format: 'der', type: 'spki' });

/**
 * The 32 bytes Z of GB/T 32918.2, 5.5, for the default user ID: SM3 over ID, curve and public key. What is
 * signed is Z followed by the message. Undefined when the key is not an SM2 key.
 */
export function sm2Z(publicKey: KeyObject): Buffer | undefined {
  let z = sm2Prefixes.get(publicKey);
  if (z === undefined) {
    const point = sm2Point(publicKey);
    if (point === undefined) return undefined;
    z = createHash('sm3').update(sm2ZPrefix).update(point).digest();
    sm2Prefixes.set(publicKey, z);
  }
  return z;
}

/** True when a DER signature (SEQUENCE of r and s) is the SM2 key's over the data, with the default user ID. */
export function verifySm2Der(publicKey: KeyObject, data: Uint8Array, signature: Uint8Array): boolean {
  const z = suitesOfKey(publicKey).includes('SM2-SM3') ? sm2Z(publicKey) : undefined;
  if (z === undefined) return false;
  return createVerify('sm3').update(z).update(data).verify(publicKey, signature);
}

/** A raw signature r‖s of 64 bytes as DER, or undefined for another length. */
export function rawToDer(signature: Uint8Array): Buffer | undefined {
  if (signature.length !== 64) return undefined;
  const body = Buffer.concat([derInteger(signature.subarray(0, 32)), derInteger(signature.subarray(32))]);
  return Buffer.concat([Buffer.from([0x30, body.length]), body]);
}

function derInteger(magnitude: Uint8Array): Buffer {
  let start = 0;
  while (start < magnitude.length - 1 && magnitude[start] === 0) start++;
  const bytes = magnitude.subarray(start);
  const padding = (bytes[0] ?? 0) >= 0x80 ? [0] : [];
  return Buffer.concat([Buffer.from([0x02, bytes.length + padding.length, ...padding]), bytes]);
}

/** A DER signature (SEQUENCE of r and s) as raw r‖s of 64 bytes, or undefined when it is not minimal DER of that size. */
export function derToRaw(signature: Uint8Array): Buffer | undefined {
  const raw = Buffer.alloc(64);
  let at = 2;
  for (const end of [32, 64]) {
    const length = signature[at + 1] ?? 0;
    let value = signature.subarray(at + 2, at + 2 + length);
    if (value[0] === 0) value = value.subarray(1);
    if (value.length > 32) return undefined;
    raw.set(value, end - value.length);
    at += 2 + length;
  }
  // written back and compared: every other encoding of the same numbers is refused
  return rawToDer(raw)?.equals(signature) === true ? raw : undefined;
}

/**
 * The known answers of GB/T 32918.5 and SM3("abc"), and two forgeries. True when this node verifies SM2 as the
 * standard says; run at start-up before an SM2 seal is trusted.
 */
export function sm2SelfTest(): boolean {
  try {
    const abc = createHash('sm3').update('abc').digest('hex');
    const key = sm2PublicKey(
      Buffer.from(
        '09f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020' +
          'ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13',
        'hex',
      ),
    );
    const message = Buffer.from('message digest');
    const signature = Buffer.from(
      'f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3' +
        'b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa',
      'hex',
    );
    const forged = Buffer.from(signature);
    forged[63] = 0xab;
    return (
      abc === '66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0' &&
      sm2Z(key)?.toString('hex') === 'b2e14c5c79c6df5b85f4fe7ed8db7a262b9da7e07ccb0ea9f4747b8ccda8a4f3' &&
      verifySignature('SM2-SM3', key, message, signature) &&
      !verifySignature('SM2-SM3', key, message, forged) &&
      !verifySignature('SM2-SM3', key, Buffer.from('message digesT'), signature)
    );
  } catch {
    return false;
  }
}
