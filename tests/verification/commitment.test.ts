import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import t from 'tap';
import { canonicalJson } from '../../src/verification/canonical-json.ts';
import {
  commitField,
  commitmentOfFields,
  commitRecord,
  fieldSalts,
  isDisclosureOf,
  logEntry,
  type RecordValues,
  recordFields,
} from '../../src/verification/commitment.ts';

type Vector = {
  readonly recordId: string;
  readonly salt: string;
  readonly values: RecordValues;
  readonly fieldSalts: Record<string, string>;
  readonly fieldCommitments: readonly string[];
  readonly commitment: string;
  readonly kind: number;
  readonly logEntry: string;
};
const vectors = JSON.parse(
  readFileSync(new URL('../vectors/valid/commitment.json', import.meta.url), 'utf8'),
) as Vector[];

/** The formulas of transparency-log.md, 6.1, written as they are read. */
function byTheBook(recordId: Buffer, salt: Buffer, values: RecordValues) {
  const salts = createHash('shake256', { outputLength: 32 * recordFields.length })
    .update(Buffer.concat([salt, Buffer.from('certhub/salts/v1'), recordId]))
    .digest();
  const fields = recordFields.map((name, index) => {
    const bytes = Buffer.from(canonicalJson(values[name] ?? null));
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    const saltOfField = salts.subarray(32 * index, 32 * (index + 1));
    const parts = ['certhub/field/v1', recordId, Buffer.from([index + 1]), saltOfField, length, bytes];
    return parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest();
  });
  const head = [Buffer.from('certhub/record/v1'), recordId, Buffer.from([recordFields.length])];
  return {
    fields,
    commitment: createHash('sha256')
      .update(Buffer.concat([...head, ...fields]))
      .digest(),
  };
}

await t.test('the format is frozen: field order, vectors, log entries', (t) => {
  t.equal(
    recordFields.join(),
    'recordedAt,kind,action,outcome,client,officer,purpose,subjects,scope,certificates,answerDigest,requestId,detail',
  );
  for (const vector of vectors) {
    const salt = Buffer.from(vector.salt, 'hex');
    const id = Buffer.from(vector.recordId, 'hex');
    const record = commitRecord(id, salt, vector.values);
    t.equal(record.commitment.toString('hex'), vector.commitment);
    t.strictSame(
      record.fieldCommitments.map((each) => each.toString('hex')),
      vector.fieldCommitments,
    );
    const salts = fieldSalts(id, salt).map((each) => each.toString('hex'));
    t.strictSame(Object.fromEntries(recordFields.map((name, index) => [name, salts[index]])), vector.fieldSalts);
    t.equal(logEntry(vector.kind, record.commitment).toString('hex'), vector.logEntry);
    t.equal(logEntry(vector.kind, record.commitment).length, 34);
  }
  t.end();
});

await t.test('the fast code equals the formulas, whatever was committed before', (t) => {
  const values = fc.record(Object.fromEntries(recordFields.map((name) => [name, fc.jsonValue()])), {
    requiredKeys: [],
  });
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      values,
      (id, salt, each) => {
        const fast = commitRecord(id, salt, each);
        const slow = byTheBook(Buffer.from(id), Buffer.from(salt), each);
        t.ok(fast.commitment.equals(slow.commitment));
        t.strictSame(fast.fieldCommitments, slow.fields);
      },
    ),
    { seed: 20261122, numRuns: 100 },
  );
  for (const length of [2_000, 2_700, 2_708, 2_710, 9_000]) {
    const detail = '证'.repeat(length);
    const id = randomBytes(16);
    const salt = randomBytes(32);
    t.ok(
      commitRecord(id, salt, { detail }).commitment.equals(byTheBook(id, salt, { detail }).commitment),
      `${length} characters`,
    );
  }
  t.end();
});

await t.test('fields can be disclosed one by one; nothing about the others is needed or shown', (t) => {
  const id = randomBytes(16);
  const salt = randomBytes(32);
  const { commitment, fieldCommitments, canonical } = commitRecord(id, salt, {
    action: 'lookup',
    client: { id: 'school' },
  });
  t.strictSame(canonical.slice(2, 5), ['"lookup"', 'null', '{"id":"school"}']);
  t.ok(commitmentOfFields(id, fieldCommitments).equals(commitment));
  const saltOfClient = fieldSalts(id, salt)[recordFields.indexOf('client')] ?? Buffer.alloc(0);
  const client = { name: 'client', salt: saltOfClient, canonical: '{"id":"school"}' } as const;
  t.ok(commitField(id, 'client', client.salt, client.canonical).equals(fieldCommitments[4] ?? Buffer.alloc(0)));
  t.ok(isDisclosureOf(commitment, id, fieldCommitments, [client]));
  t.ok(isDisclosureOf(commitment, id, fieldCommitments, []));
  const wrong: readonly Parameters<typeof isDisclosureOf>[] = [
    [commitment, id, fieldCommitments, [{ ...client, canonical: '{"id":"other"}' }]],
    [commitment, id, fieldCommitments, [{ ...client, name: 'officer' }]],
    [commitment, id, fieldCommitments, [{ ...client, salt: randomBytes(32) }]],
    [commitment, id, fieldCommitments, [{ ...client, salt: Buffer.alloc(31) }]],
    [commitment, randomBytes(16), fieldCommitments, [client]],
    [commitment, id.subarray(1), fieldCommitments, [client]],
    [randomBytes(32), id, fieldCommitments, [client]],
    [commitment, id, fieldCommitments.slice(1), [client]],
    [commitment, id, [Buffer.alloc(31), ...fieldCommitments.slice(1)], []],
  ];
  for (const [index, input] of wrong.entries()) t.notOk(isDisclosureOf(...input), String(index));
  t.end();
});

await t.test('the same value in two records or two fields gives unrelated salts and commitments', (t) => {
  const salt = randomBytes(32);
  const salts = [randomBytes(16), randomBytes(16)].flatMap((id) => fieldSalts(id, salt));
  t.equal(new Set(salts.map((each) => each.toString('hex'))).size, 2 * recordFields.length);
  const one = commitRecord(randomBytes(16), salt, { client: 'x', officer: 'x' });
  const two = commitRecord(randomBytes(16), salt, { client: 'x', officer: 'x' });
  const all = [...one.fieldCommitments, ...two.fieldCommitments].map((each) => each.toString('hex'));
  t.equal(new Set(all).size, all.length);
  t.end();
});

await t.test('wrong lengths are faults of the caller', (t) => {
  t.throws(() => commitRecord(Buffer.alloc(15), Buffer.alloc(32), {}), RangeError);
  t.throws(() => commitRecord(Buffer.alloc(16), Buffer.alloc(31), {}), RangeError);
  t.throws(() => fieldSalts(Buffer.alloc(16), Buffer.alloc(33)), RangeError);
  t.throws(() => commitField(Buffer.alloc(16), 'kind', Buffer.alloc(31), 'null'), RangeError);
  t.throws(() => commitmentOfFields(Buffer.alloc(16), []), RangeError);
  t.throws(() => logEntry(1, Buffer.alloc(31)), RangeError);
  for (const kind of [0, 256, 1.5]) t.throws(() => logEntry(kind, Buffer.alloc(32)), RangeError);
  t.throws(() => commitRecord(Buffer.alloc(16), Buffer.alloc(32), { detail: '\ud800' }), TypeError);
  t.end();
});
