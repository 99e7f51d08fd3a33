import { createCipheriv, createDecipheriv, hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto';
import { Refusal } from '../errors.ts';
import { partsMac } from './parts-mac.ts';

/** One 32-byte secret of the keys directory. `number` is the index generation or the encryption key id, 1 to 255. */
export interface NumberedSecret {
  readonly number: number;
  readonly secret: Uint8Array;
  readonly active: boolean;
}

/** Authenticated encryption of stored bytes. `aad` names what the bytes belong to and is not stored. */
export interface Box {
  /** Returns version byte ‖ key id byte ‖ 12-byte nonce ‖ ciphertext ‖ 16-byte tag. */
  seal(aad: Uint8Array, plaintext: Uint8Array): Buffer;
  /** Throws Refusal('stored_data_tampered') when the box, its key or its `aad` is not what was sealed. */
  open(aad: Uint8Array, box: Uint8Array): Buffer;
}

/** The box of one month's records, of one kind when it seals. It opens whatever kind was sealed for that month. */
export interface RecordBox extends Box {
  /** Whether this body was sealed under a month key that has been destroyed: nobody can open it any more, and that is no tampering. */
  isDestroyed(box: Uint8Array): boolean;
}

/** The own key of the records of one month and kind. Without a secret it has been destroyed. */
export interface MonthSecret {
  /** 'YYYY-MM', UTC. */
  readonly month: string;
  readonly kind: RecordKeyKind;
  readonly secret: Uint8Array | undefined;
}

/**
 * Kinds of records whose bodies may be erased one day, and so have keys of their own, month by month; with the byte that names the
 * kind in the head of a box. The other kinds are the evidence of what was erased and never lose their key.
 */
export const recordKeyKinds = { access: 1, certificate: 2, registry: 3, audit_read: 4 } as const;
export type RecordKeyKind = keyof typeof recordKeyKinds;

/** What is found again by a value that may be personal: a person's case or an officer in the audit log, the fault of a certificate. */
export type SearchAxis = 'case' | 'officer' | 'fault';

/** Keyed HMACs that stand for identifiers in the database: 1 byte generation ‖ 16 bytes. */
export interface IndexKeys {
  /** The key under the newest generation: the one to write. */
  holderKey(type: string, number: string): Buffer;
  /** All generations a certificate row may bear now, newest first: the ones to look up while `certhub rekey` runs. */
  holderKeys(type: string, number: string): readonly Buffer[];
  /** All generations on file, retired ones included, newest first: for records, which are never rewritten. */
  everyHolderKey(type: string, number: string): readonly Buffer[];
  /** The key of a case number, an officer or a fault under the newest generation. */
  searchKey(axis: SearchAxis, value: string): Buffer;
  /** The same under all generations on file, newest first. */
  searchKeys(axis: SearchAxis, value: string): readonly Buffer[];
}

/** What the encryption secrets give: boxes for rows and records, and MACs for registry rows. */
export interface EncryptionKeys {
  readonly box: Box;
  /**
   * The box of the records of one month ('YYYY-MM', UTC). It seals under the own key of that month and kind where the keys directory
   * has one, otherwise under a key derived for that month, and opens both.
   */
  recordBox(month: string, kind?: string): RecordBox;
  /** MAC of a registry row: version byte ‖ key id byte ‖ 32-byte HMAC over its kind and its canonical bytes. */
  rowMac(kind: string, canonical: Uint8Array): Buffer;
  /** Whether `mac` was made by `rowMac` for this kind and these bytes, under any key on file. Constant time. */
  verifyRowMac(kind: string, canonical: Uint8Array, mac: Uint8Array): boolean;
}

const layoutVersion = 1;
/** Layout of a record's body under the own key of its month: the second byte is the kind of record in place of a key id. */
const monthLayout = 2;
const headLength = 2;
const nonceLength = 12;
const tagLength = 16;
const macLength = 32;
const hmacTruncation = 16;
const monthPattern = /^\d{4}-(?:0[1-9]|1[0-2])$/;
const rememberedMonths = 64;

/** Subkeys by HKDF (RFC 5869): no secret serves two algorithms or two purposes. */
const derive = (secret: Uint8Array, purpose: string): Buffer =>
  Buffer.from(hkdfSync('sha256', secret, new Uint8Array(0), `certhub/1/${purpose}`, 32));

const newestFirst = (secrets: readonly NumberedSecret[]): NumberedSecret[] => {
  const sorted = secrets.toSorted((a, b) => b.number - a.number);
  for (const { number, secret } of sorted) {
    if (!Number.isInteger(number) || number < 1 || number > 255) throw new RangeError('key number must be 1 to 255');
    if (secret.length !== 32) throw new RangeError('a data key must have 32 bytes');
  }
  if (new Set(sorted.map(({ number }) => number)).size !== sorted.length) throw new RangeError('key number used twice');
  if (!sorted.some(({ active }) => active)) throw new RangeError('no active key');
  return sorted;
};

/** The key of an identifier under one generation, from its parts. */
const keyedIndex = (generation: number, key: Uint8Array): ((parts: readonly string[]) => Buffer) => {
  const mac = partsMac(key);
  return (parts) => {
    const result = Buffer.allocUnsafe(1 + hmacTruncation);
    result[0] = generation;
    result.write(mac(parts), 1, hmacTruncation, 'latin1');
    return result;
  };
};

/**
 * Blind indices over the index secrets. Callers pass identifiers in their checked canonical form
 * (18 characters, upper case): another spelling is another key.
 */
export function indexKeys(secrets: readonly NumberedSecret[]): IndexKeys {
  const onFile = newestFirst(secrets).map(({ number, secret, active }) => ({
    active,
    holder: keyedIndex(number, derive(secret, 'index/holder')),
    case: keyedIndex(number, derive(secret, 'index/case')),
    officer: keyedIndex(number, derive(secret, 'index/officer')),
    fault: keyedIndex(number, derive(secret, 'index/fault')),
  }));
  const active = onFile.filter((key) => key.active);
  const [newest] = active;
  if (newest === undefined) throw new RangeError('no active key');
  return Object.freeze({
    holderKey: (type: string, number: string) => newest.holder([type, number]),
    holderKeys: (type: string, number: string) => active.map((key) => key.holder([type, number])),
    everyHolderKey: (type: string, number: string) => onFile.map((key) => key.holder([type, number])),
    searchKey: (axis: SearchAxis, value: string) => newest[axis]([value]),
    searchKeys: (axis: SearchAxis, value: string) => onFile.map((key) => key[axis]([value])),
  });
}

const tampered = (cause?: unknown): Refusal => new Refusal('stored_data_tampered', {}, { cause });

/** AES-256-GCM (NIST SP 800-38D) under the newest active key; opens what any key on file sealed. */
const boxUnder = (
  activeId: number,
  activeKey: Uint8Array,
  keyOf: (id: number) => Uint8Array | undefined,
  layout = layoutVersion,
): Box =>
  Object.freeze({
    seal(aad: Uint8Array, plaintext: Uint8Array): Buffer {
      const head = Buffer.from([layout, activeId]);
      const nonce = randomBytes(nonceLength);
      const cipher = createCipheriv('aes-256-gcm', activeKey, nonce, { authTagLength: tagLength });
      cipher.setAAD(Buffer.concat([head, aad]));
      return Buffer.concat([head, nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
    },
    open(aad: Uint8Array, box: Uint8Array): Buffer {
      const id = box[1];
      if (box.length < headLength + nonceLength + tagLength || box[0] !== layout || id === undefined) {
        throw tampered();
      }
      const key = keyOf(id);
      if (key === undefined) throw tampered();
      const nonceEnd = headLength + nonceLength;
      const tagStart = box.length - tagLength;
      const decipher = createDecipheriv('aes-256-gcm', key, box.subarray(headLength, nonceEnd), {
        authTagLength: tagLength,
      });
      decipher.setAAD(Buffer.concat([box.subarray(0, headLength), aad]));
      decipher.setAuthTag(box.subarray(tagStart));
      try {
        const plaintext = decipher.update(box.subarray(nonceEnd, tagStart));
        // A stream mode has nothing left to give: this compares the tag.
        decipher.final();
        return plaintext;
      } catch (error) {
        throw tampered(error);
      }
    },
  });

/** Puts the own keys of a month beside its derived one: each box says in its head which of them it is under. */
function monthBox(derived: Box, month: string, own: readonly MonthSecret[], kind: string | undefined): RecordBox {
  const boxes = new Map(
    own.flatMap(({ kind: name, secret }) => {
      const id = recordKeyKinds[name];
      if (secret === undefined) return [];
      const key = derive(secret, `records/${month}/${name}`);
      return [[id as number, boxUnder(id, key, (wanted) => (wanted === id ? key : undefined), monthLayout)] as const];
    }),
  );
  const ofKind = own.find(({ kind: name }) => name === kind);
  return Object.freeze({
    seal(aad: Uint8Array, plaintext: Uint8Array): Buffer {
      if (ofKind === undefined) return derived.seal(aad, plaintext);
      const box = boxes.get(recordKeyKinds[ofKind.kind]);
      // Only a clock that stands in a month long over leads here.
      if (box === undefined) throw new RangeError('the key of this month has been destroyed');
      return box.seal(aad, plaintext);
    },
    open(aad: Uint8Array, box: Uint8Array): Buffer {
      if (box[0] !== monthLayout) return derived.open(aad, box);
      const found = box[1] === undefined ? undefined : boxes.get(box[1]);
      if (found === undefined) throw tampered();
      return found.open(aad, box);
    },
    isDestroyed: (box: Uint8Array) =>
      box[0] === monthLayout &&
      own.some(({ kind: name, secret }) => secret === undefined && recordKeyKinds[name] === box[1]),
  });
}

/**
 * Boxes and row MACs over the encryption secrets, and the boxes of records over the own keys of their months. At most 2^32 seals under
 * one key (SP 800-38D, 8.3): rotate before.
 */
export function encryptionKeys(
  secrets: readonly NumberedSecret[],
  monthSecrets: readonly MonthSecret[] = [],
): EncryptionKeys {
  const sorted = newestFirst(secrets);
  const active = sorted.find((key) => key.active);
  if (active === undefined) throw new RangeError('no active key');

  const boxFor = (purpose: string): Box => {
    const subkeys = new Map(sorted.map(({ number, secret }) => [number, derive(secret, purpose)]));
    return boxUnder(active.number, derive(active.secret, purpose), (id) => subkeys.get(id));
  };
  const months = new Map<string, RecordBox>();
  const ownOf = new Map<string, MonthSecret[]>();
  for (const own of monthSecrets) {
    if (own.secret !== undefined && own.secret.length !== 32) throw new RangeError('a data key must have 32 bytes');
    ownOf.set(own.month, [...(ownOf.get(own.month) ?? []), own]);
  }
  const macs = new Map(sorted.map(({ number, secret }) => [number, partsMac(derive(secret, 'row-mac'))]));
  const activeMac = partsMac(derive(active.secret, 'row-mac'));
  const macUnder = (id: number, mac: typeof activeMac, kind: string, canonical: Uint8Array): Buffer => {
    const result = Buffer.allocUnsafe(headLength + macLength);
    result[0] = layoutVersion;
    result[1] = id;
    result.write(mac([result.subarray(0, headLength), kind, canonical]), headLength, 'latin1');
    return result;
  };

  return Object.freeze({
    box: boxFor('box'),
    recordBox(month: string, kind?: string): RecordBox {
      const name = kind === undefined ? month : `${month}/${kind}`;
      const known = months.get(name);
      if (known !== undefined) return known;
      if (!monthPattern.test(month)) throw new RangeError('month must be YYYY-MM');
      if (months.size >= rememberedMonths) months.clear();
      const box = monthBox(boxFor(`records/${month}`), month, ownOf.get(month) ?? [], kind);
      months.set(name, box);
      return box;
    },
    rowMac: (kind: string, canonical: Uint8Array) => macUnder(active.number, activeMac, kind, canonical),
    verifyRowMac(kind: string, canonical: Uint8Array, mac: Uint8Array): boolean {
      const id = mac[1];
      const known = id === undefined ? undefined : macs.get(id);
      if (id === undefined || known === undefined) return false;
      const expected = macUnder(id, known, kind, canonical);
      return expected.length === mac.length && timingSafeEqual(expected, mac);
    },
  });
}
