import { createHmac, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import t from 'tap';
import { Refusal } from '../../src/errors.ts';
import { encryptionKeys, indexKeys, type NumberedSecret } from '../../src/signing/data-keys.ts';
import { partsMac } from '../../src/signing/parts-mac.ts';

const secret = (number: number, active = true): NumberedSecret => ({ number, secret: randomBytes(32), active });
const isTampered = (error: unknown): boolean => error instanceof Refusal && error.code === 'stored_data_tampered';
const bytes = (text: string): Uint8Array => Buffer.from(text, 'utf8');

/** Throws unless the call is refused as tampering. */
function refused(call: () => unknown): boolean {
  try {
    call();
    return false;
  } catch (error) {
    return isTampered(error);
  }
}

void t.test('invariant 4: a box opens only as it was sealed', async (t) => {
  const keys = encryptionKeys([secret(1)]);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.uint8Array({ maxLength: 60 }), (plaintext, aad) => {
      const box = keys.box.seal(aad, plaintext);
      return (
        box.length === plaintext.length + 30 &&
        box[0] === 1 &&
        box[1] === 1 &&
        keys.box.open(aad, box).equals(plaintext) &&
        refused(() => keys.box.open(Buffer.concat([aad, Buffer.from([0])]), box))
      );
    }),
    { seed: 20261122, numRuns: 200 },
  );
  const box = keys.box.seal(bytes('row 1'), bytes('示例甲'));
  for (let at = 0; at < box.length; at++) {
    const changed = Buffer.from(box);
    changed[at] = (changed[at] ?? 0) ^ 1;
    t.ok(
      refused(() => keys.box.open(bytes('row 1'), changed)),
      `byte ${at}`,
    );
  }
  for (const length of [0, 1, 2, 29, box.length - 1]) {
    t.ok(
      refused(() => keys.box.open(bytes('row 1'), box.subarray(0, length))),
      `cut to ${length}`,
    );
  }
  const other = keys.box.seal(bytes('row 2'), bytes('示例乙'));
  t.ok(
    refused(() => keys.box.open(bytes('row 1'), other)),
    'a box of another row',
  );
  t.ok(
    refused(() => encryptionKeys([secret(1)]).box.open(bytes('row 1'), box)),
    'another secret',
  );
  t.notSame(keys.box.seal(bytes('row 1'), bytes('示例甲')), box, 'a nonce of its own each time');
  t.notOk(box.includes('示例甲'));
});

void t.test('boxes of records are bound to their month', async (t) => {
  const keys = encryptionKeys([secret(1)]);
  const box = keys.recordBox('2026-11').seal(bytes('id'), bytes('body'));
  t.same(keys.recordBox('2026-11').open(bytes('id'), box), bytes('body'));
  t.equal(keys.recordBox('2026-11'), keys.recordBox('2026-11'), 'derived once');
  t.ok(refused(() => keys.recordBox('2026-12').open(bytes('id'), box)));
  t.ok(refused(() => keys.box.open(bytes('id'), box)));
  for (const month of ['2026-13', '2026-1', '2026-11-01', '']) t.throws(() => keys.recordBox(month), RangeError);
  for (let year = 2000; year < 2100; year++) keys.recordBox(`${year}-01`);
  t.same(keys.recordBox('2026-11').open(bytes('id'), box), bytes('body'), 'also after many other months');
});

void t.test('rotation: old ciphertexts open, new ones use the new key', async (t) => {
  const first = secret(1);
  const before = encryptionKeys([first]);
  const old = before.box.seal(bytes('a'), bytes('old'));
  const oldRecord = before.recordBox('2026-11').seal(bytes('a'), bytes('old'));
  const oldMac = before.rowMac('grant', bytes('row'));
  const after = encryptionKeys([{ ...first, active: false }, secret(2)]);
  t.same(after.box.open(bytes('a'), old), bytes('old'));
  t.same(after.recordBox('2026-11').open(bytes('a'), oldRecord), bytes('old'));
  t.equal(after.verifyRowMac('grant', bytes('row'), oldMac), true);
  const fresh = after.box.seal(bytes('a'), bytes('new'));
  t.equal(fresh[1], 2);
  t.ok(
    refused(() => before.box.open(bytes('a'), fresh)),
    'an unknown key id',
  );
  const relabelled = Buffer.from(old);
  relabelled[1] = 2;
  t.ok(refused(() => after.box.open(bytes('a'), relabelled)));
});

void t.test('a row MAC is bound to kind and bytes', async (t) => {
  const keys = encryptionKeys([secret(7)]);
  const mac = keys.rowMac('grant', bytes('row'));
  t.equal(mac.length, 34);
  t.equal(keys.verifyRowMac('grant', bytes('row'), mac), true);
  t.equal(keys.verifyRowMac('grant', bytes('roW'), mac), false);
  t.equal(keys.verifyRowMac('client', bytes('row'), mac), false);
  t.equal(keys.verifyRowMac('gran', bytes('trow'), mac), false, 'the border between kind and bytes counts');
  t.equal(keys.verifyRowMac('grant', bytes('row'), mac.subarray(0, 33)), false);
  t.equal(keys.verifyRowMac('grant', bytes('row'), new Uint8Array(0)), false);
  for (let at = 0; at < mac.length; at++) {
    const changed = Buffer.from(mac);
    changed[at] = (changed[at] ?? 0) ^ 1;
    t.equal(keys.verifyRowMac('grant', bytes('row'), changed), false, `byte ${at}`);
  }
});

void t.test('the MAC of parts is the HMAC of node:crypto over parts with their lengths, whatever came before', (t) => {
  const part = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 40 }),
    fc.uint8Array({ maxLength: 40 }),
    fc.uint8Array({ minLength: 4_000, maxLength: 4_100 }),
    fc.constant('长'.repeat(1_400)),
  );
  const key = randomBytes(32);
  const mac = partsMac(key);
  partsMac(randomBytes(32))(['another key between']);
  fc.assert(
    fc.property(fc.array(part, { maxLength: 4 }), (parts) => {
      const expected = createHmac('sha256', key);
      for (const each of parts) {
        const length = Buffer.alloc(4);
        length.writeUInt32BE(Buffer.from(each).length);
        expected.update(length).update(Buffer.from(each));
      }
      return mac(parts) === expected.digest('binary');
    }),
    { seed: 20261122, numRuns: 300 },
  );
  t.throws(() => partsMac(new Uint8Array(31)), RangeError);
  t.end();
});

void t.test('invariant 5: a holder key is stable and never contains the number', async (t) => {
  const number = '990000199001010015';
  const fixed = { number: 3, secret: Buffer.alloc(32, 7), active: true };
  const keys = indexKeys([fixed]);
  const key = keys.holderKey('111', number);
  t.equal(key.toString('hex'), '030ceeb8ea2534c2cb6049e095fcd8c4c5', 'changing the derivation would lose every row');
  t.same(indexKeys([fixed]).holderKey('111', number), key);
  t.equal(key.length, 17);
  t.equal(key[0], 3);
  for (const text of ['latin1', 'hex', 'base64url'] as const) t.notOk(key.toString(text).includes(number.slice(0, 6)));
  fc.assert(
    fc.property(fc.string(), fc.string(), fc.string(), fc.string(), (typeA, numberA, typeB, numberB) => {
      const same = typeA === typeB && numberA === numberB;
      return keys.holderKey(typeA, numberA).equals(keys.holderKey(typeB, numberB)) === same;
    }),
    { seed: 20261122, numRuns: 300 },
  );
  t.notSame(keys.holderKey('11', `1${number}`), key, 'the border between type and number counts');
  t.notSame(keys.searchKey('case', 'A1'), keys.searchKey('officer', 'A1'), 'axes are apart');
  t.notSame(indexKeys([secret(3)]).holderKey('111', number), key, 'another secret');
});

void t.test('during a re-key all active generations are looked up, newest first', async (t) => {
  const first = secret(1);
  const second = secret(2);
  const before = indexKeys([first]);
  const during = indexKeys([first, second]);
  const after = indexKeys([{ ...first, active: false }, second]);
  const old = before.holderKey('001', '91999900MA0000015N');
  t.same(
    during.holderKeys('001', '91999900MA0000015N').map(([generation]) => generation),
    [2, 1],
  );
  t.same(during.holderKeys('001', '91999900MA0000015N')[1], old);
  t.equal(during.holderKey('001', '91999900MA0000015N')[0], 2, 'the newest is written');
  t.equal(after.holderKeys('001', '91999900MA0000015N').length, 1);
  t.same(after.everyHolderKey('001', '91999900MA0000015N')[1], old, 'records are found under retired generations');
  t.same(
    after.searchKeys('case', 'A1').map(([generation]) => generation),
    [2, 1],
  );
  t.same(after.searchKeys('case', 'A1')[1], before.searchKey('case', 'A1'));
});

void t.test('key sets that cannot work are refused', async (t) => {
  for (const make of [indexKeys, encryptionKeys]) {
    t.throws(() => make([]), RangeError);
    t.throws(() => make([secret(1, false)]), RangeError);
    t.throws(() => make([secret(1), secret(1)]), RangeError);
    t.throws(() => make([secret(0)]), RangeError);
    t.throws(() => make([secret(256)]), RangeError);
    t.throws(() => make([{ number: 1, secret: randomBytes(31), active: true }]), RangeError);
  }
});
