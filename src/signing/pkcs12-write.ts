import { createCipheriv, createHash, type KeyObject, pbkdf2Sync, randomBytes } from 'node:crypto';
import forge from 'node-forge';
import { pkcs12Mac } from './pkcs12-mac.ts';

const { asn1 } = forge;
type Asn1 = forge.asn1.Asn1;

const oid = {
  data: '1.2.840.113549.1.7.1',
  encryptedData: '1.2.840.113549.1.7.6',
  shroudedKeyBag: '1.2.840.113549.1.12.10.1.2',
  certBag: '1.2.840.113549.1.12.10.1.3',
  x509Certificate: '1.2.840.113549.1.9.22.1',
  localKeyId: '1.2.840.113549.1.9.21',
  pbes2: '1.2.840.113549.1.5.13',
  pbkdf2: '1.2.840.113549.1.5.12',
  hmacSha256: '1.2.840.113549.2.9',
  aes256Cbc: '2.16.840.1.101.3.4.1.42',
  sha256: '2.16.840.1.101.3.4.2.1',
} as const;

const universal = asn1.Class.UNIVERSAL;
const binary = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
const sequence = (...value: Asn1[]): Asn1 => asn1.create(universal, asn1.Type.SEQUENCE, true, value);
const set = (...value: Asn1[]): Asn1 => asn1.create(universal, asn1.Type.SET, true, value);
const octets = (bytes: Uint8Array): Asn1 => asn1.create(universal, asn1.Type.OCTETSTRING, false, binary(bytes));
const objectId = (id: string): Asn1 => asn1.create(universal, asn1.Type.OID, false, asn1.oidToDer(id).getBytes());
const integer = (value: number): Asn1 =>
  asn1.create(universal, asn1.Type.INTEGER, false, asn1.integerToDer(value).getBytes());
const nothing = (): Asn1 => asn1.create(universal, asn1.Type.NULL, false, '');
const explicit = (...value: Asn1[]): Asn1 => asn1.create(asn1.Class.CONTEXT_SPECIFIC, 0, true, value);
const implicitOctets = (bytes: Uint8Array): Asn1 => asn1.create(asn1.Class.CONTEXT_SPECIFIC, 0, false, binary(bytes));
const der = (value: Asn1): Buffer => Buffer.from(asn1.toDer(value).getBytes(), 'latin1');

/** PBES2 (RFC 8018, 6.2): PBKDF2 with HMAC-SHA-256 and AES-256-CBC. */
function encrypt(plaintext: Uint8Array, password: string, iterations: number): { algorithm: Asn1; data: Buffer } {
  const salt = randomBytes(16);
  const iv = randomBytes(16);
  const cipher = createCipheriv('aes-256-cbc', pbkdf2Sync(password, salt, iterations, 32, 'sha256'), iv);
  const data = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  const derivation = sequence(
    objectId(oid.pbkdf2),
    sequence(octets(salt), integer(iterations), sequence(objectId(oid.hmacSha256), nothing())),
  );
  const scheme = sequence(objectId(oid.aes256Cbc), octets(iv));
  return { algorithm: sequence(objectId(oid.pbes2), sequence(derivation, scheme)), data };
}

/**
 * Writes a PKCS#12 file (RFC 7292) with one private key of any kind and its chain, leaf first: PBES2 with
 * AES-256-CBC, HMAC-SHA-256 as MAC. forge's own writer knows only RSA keys and a SHA-1 MAC.
 */
export function writePkcs12(input: {
  readonly privateKey: KeyObject;
  readonly chain: readonly Uint8Array[];
  readonly password: string;
  readonly iterations?: number;
}): Buffer {
  const { privateKey, chain, password, iterations = 10_000 } = input;
  const [leaf] = chain;
  if (leaf === undefined) throw new RangeError('a PKCS#12 file needs the x509 of its key');
  const localKeyId = createHash('sha256').update(leaf).digest().subarray(0, 20);
  const keyAttributes = (): Asn1 => set(sequence(objectId(oid.localKeyId), set(octets(localKeyId))));

  const x509Bags = chain.map((x509, index) =>
    sequence(
      objectId(oid.certBag),
      explicit(sequence(objectId(oid.x509Certificate), explicit(octets(x509)))),
      ...(index === 0 ? [keyAttributes()] : []),
    ),
  );
  const x509s = encrypt(der(sequence(...x509Bags)), password, iterations);
  const key = encrypt(privateKey.export({ type: 'pkcs8', format: 'der' }), password, iterations);
  const keyBag = sequence(
    objectId(oid.shroudedKeyBag),
    explicit(sequence(key.algorithm, octets(key.data))),
    keyAttributes(),
  );
  const authenticatedSafe = der(
    sequence(
      sequence(
        objectId(oid.encryptedData),
        explicit(sequence(integer(0), sequence(objectId(oid.data), x509s.algorithm, implicitOctets(x509s.data)))),
      ),
      sequence(objectId(oid.data), explicit(octets(der(sequence(keyBag))))),
    ),
  );
  const macSalt = randomBytes(16);
  const mac = pkcs12Mac({ hash: 'sha256', password, salt: macSalt, iterations, data: authenticatedSafe });
  return der(
    sequence(
      integer(3),
      sequence(objectId(oid.data), explicit(octets(authenticatedSafe))),
      sequence(sequence(sequence(objectId(oid.sha256), nothing()), octets(mac)), octets(macSalt), integer(iterations)),
    ),
  );
}
