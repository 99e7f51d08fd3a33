import {
  constants,
  createPrivateKey,
  createPublicKey,
  createSign,
  type KeyObject,
  sign as signNatively,
} from 'node:crypto';
import {
  derToRaw,
  type SignatureSuite,
  sm2SelfTest,
  sm2Z,
  suitesOfKey,
  verifySignature,
} from '../verification/suites.ts';

/** Whatever can sign: a key in memory, an HSM, a seal server. Signatures are raw (ECDSA and SM2: r‖s). */
export interface Signer {
  readonly suite: SignatureSuite;
  readonly kid: string;
  readonly publicKey: KeyObject;
  /** X.509 chain as base64 DER, leaf first, without the root (RFC 7515, 4.1.6). */
  readonly x5c?: readonly string[];
  sign(data: Uint8Array): Uint8Array | Promise<Uint8Array>;
}

/** A signer whose key is in this process. */
export interface KeySigner extends Signer {
  sign(data: Uint8Array): Uint8Array;
}

/** The suite a key signs with when nothing else is said; undefined for a key the hub does not use. */
export const defaultSuite = (publicKey: KeyObject): SignatureSuite | undefined => suitesOfKey(publicKey)[0];

/**
 * A signer over a private key. The key serves this one suite: a second suite over the same key would let a
 * signature be taken for another. Signs and verifies once before it is returned. Throws RangeError when key and
 * suite do not fit, Error when this Node does not do SM2 as GB/T 32918 says.
 */
export function keySigner(input: {
  readonly privateKey: KeyObject;
  readonly suite: SignatureSuite;
  readonly kid: string;
  readonly x5c?: readonly string[];
}): KeySigner {
  const { suite, kid, x5c } = input;
  const { privateKey, publicKey } = keyPair(input.privateKey);
  if (!suitesOfKey(publicKey).includes(suite)) throw new RangeError(`key ${kid} cannot sign with ${suite}`);
  if (suite === 'SM2-SM3' && !sm2SelfTest())
    throw new Error('this Node does not verify the SM2 example of GB/T 32918.5');
  const sign = signatureOf(suite, privateKey, publicKey);
  const probe = Buffer.from('certhub key self-test', 'utf8');
  const wrong = Buffer.from('certhub key self-tesT', 'utf8');
  const signature = sign(probe);
  if (!verifySignature(suite, publicKey, probe, signature) || verifySignature(suite, publicKey, wrong, signature)) {
    throw new Error(`key ${kid} failed its self-test with ${suite}`);
  }
  return Object.freeze({ suite, kid, publicKey, ...(x5c === undefined ? {} : { x5c: Object.freeze([...x5c]) }), sign });
}

/**
 * Private and public key as objects read from DER. A freshly generated SM2 KeyObject says 'ec' and silently
 * signs plain ECDSA; only the re-imported one signs SM2.
 */
function keyPair(given: KeyObject): { privateKey: KeyObject; publicKey: KeyObject } {
  if (given.type !== 'private') throw new RangeError('not a private key');
  const privateKey = createPrivateKey({
    key: given.export({ type: 'pkcs8', format: 'der' }),
    type: 'pkcs8',
    format: 'der',
  });
  const spki = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
  return { privateKey, publicKey: createPublicKey({ key: spki, type: 'spki', format: 'der' }) };
}

function signatureOf(
  suite: SignatureSuite,
  privateKey: KeyObject,
  publicKey: KeyObject,
): (data: Uint8Array) => Uint8Array {
  switch (suite) {
    case 'ES256': {
      const key = { key: privateKey, dsaEncoding: 'ieee-p1363' } as const;
      return (data) => signNatively('sha256', data, key);
    }
    case 'EdDSA':
      return (data) => signNatively(null, data, privateKey);
    case 'RS256': {
      const key = { key: privateKey, padding: constants.RSA_PKCS1_PADDING };
      return (data) => signNatively('sha256', data, key);
    }
    case 'PS256': {
      const key = { key: privateKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 };
      return (data) => signNatively('sha256', data, key);
    }
    case 'SM2-SM3': {
      const z = sm2Z(publicKey);
      if (z === undefined) throw new RangeError('not an SM2 key');
      return (data) => {
        // feeding Z before the message is the e = SM3(Z ‖ M) of GB/T 32918.2; crypto.sign() leaves Z out
        const raw = derToRaw(createSign('sm3').update(z).update(data).sign(privateKey));
        if (raw === undefined) throw new Error('SM2 signature is not minimal DER');
        return raw;
      };
    }
  }
}
