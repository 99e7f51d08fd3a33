import { generateKeyPairSync, sign } from 'node:crypto';
import fc from 'fast-check';
import t from 'tap';
import { formatAddCheckpoint, parseAddCheckpoint } from '../../src/verification/add-checkpoint.ts';
import { formatCheckpoint } from '../../src/verification/checkpoint.ts';
import { cosignatureBytes, cosignatureMessage } from '../../src/verification/cosignature.ts';
import {
  judgeCheckpoint,
  type LogPolicy,
  parseLogPolicy,
  policyOfKeys,
  quorumMet,
  quorumNeeds,
} from '../../src/verification/log-policy.ts';
import { leafHash, nodeHash } from '../../src/verification/merkle.ts';
import {
  formatVerifierKey,
  keyIdOf,
  parseVerifierKey,
  signatureLine,
  type VerifierKey,
} from '../../src/verification/signed-note.ts';
import { formatProof, parseProof, verifyProof } from '../../src/verification/tlog-proof.ts';

/** A log (type 1) or witness (type 4) of this test. */
function signer(name: string, type: 1 | 4) {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const raw = publicKey.export({ format: 'der', type: 'spki' }).subarray(-32);
  const as = (otherName: string, otherType: 1 | 4 = type) =>
    formatVerifierKey({ name: otherName, type: otherType, publicKey: raw });
  const line = (text: string, time = 1_790_000_000): string => {
    const signature =
      type === 1
        ? sign(null, Buffer.from(text), privateKey)
        : cosignatureBytes(time, sign(null, cosignatureMessage(time, text), privateKey));
    return `${signatureLine({ name, keyId: keyIdOf({ name, type, publicKey: raw }), signature })}\n`;
  };
  return { vkey: as(name), as, line };
}

const origin = 'hub.example/log';
const log = signer(origin, 1);
const witnesses = ['w1', 'w2', 'w3', 'w4'].map((name) => signer(`${name}.example`, 4));
const lines = (...names: readonly string[]): string => names.join('\n');
const witnessLines = witnesses.map(({ vkey }, at) => `witness w${at + 1} ${vkey} https://w${at + 1}.example/`);

function policyOf(...text: readonly string[]): LogPolicy {
  const parsed = parseLogPolicy(lines(...text));
  if (!parsed.ok) throw new Error(`${parsed.reason} in line ${parsed.line}`);
  return parsed.value;
}

await t.test('a policy with groups of groups: who makes up the quorum', (t) => {
  const policy = policyOf(
    '# the city and its neighbours',
    `log ${log.vkey} https://${origin}`,
    '',
    ...witnessLines,
    'group\tpeers  2   w1 w2\tw3',
    '  group everybody all peers w4',
    'quorum everybody',
  );
  t.strictSame(policy.witnesses.map(({ name, url }) => [name, url])[0], ['w1', 'https://w1.example/']);
  t.equal(quorumNeeds(policy), 3);
  const met = (...names: string[]) => quorumMet(policy, names);
  t.strictSame([met('w1', 'w2', 'w4'), met('w3', 'w1', 'w4'), met('w1', 'w2', 'w3')], [true, true, false]);
  t.strictSame(
    [met('w4', 'w1'), met(), met('w1', 'w1', 'w4'), met('peers', 'w4'), met('everybody')],
    [false, false, false, false, false],
  );
  t.equal(quorumNeeds(policyOf(...witnessLines, 'group g any w1 w2', 'quorum g')), 1);
  t.equal(quorumNeeds(policyOf(...witnessLines, 'quorum w2')), 1);
  const none = policyOf('quorum none');
  t.strictSame([quorumNeeds(none), quorumMet(none, [])], [0, true]);
  t.end();
});

await t.test('what a policy file must not say, with the line', (t) => {
  const [w1 = '', w2 = ''] = witnessLines;
  const cases: readonly (readonly [string, string, number])[] = [
    ['', 'quorum_missing', 0],
    [lines(w1, 'quorum w1', 'quorum w1'), 'quorum_twice', 3],
    [lines('quorum w1', w1), 'unknown_name', 1],
    [lines(w1, 'group g any w1 w2', w2, 'quorum g'), 'unknown_name', 2],
    [lines(w1, 'group g any w1 none', 'quorum g'), 'unknown_name', 2],
    [lines(w1, 'group g any g', 'quorum g'), 'unknown_name', 2],
    [lines(w1, w2, 'group g 1 w1 w1', 'quorum g'), 'member_twice', 3],
    [lines(w1, w2, 'group g 1 w1', 'group h 1 w1 w2', 'quorum h'), 'member_twice', 4],
    [lines(w1, 'group g 0 w1', 'quorum g'), 'threshold_out_of_range', 2],
    [lines(w1, 'group g 2 w1', 'quorum g'), 'threshold_out_of_range', 2],
    [lines(w1, 'group g 01 w1', 'quorum g'), 'threshold_out_of_range', 2],
    [lines(w1, 'group g some w1', 'quorum g'), 'threshold_out_of_range', 2],
    [lines(w1, 'group g all', 'quorum g'), 'malformed_line', 2],
    [lines(w1, 'group w1 any w1', 'quorum w1'), 'duplicate_name', 2],
    [lines(w1, w1, 'quorum w1'), 'duplicate_name', 2],
    [lines(w1, `witness other ${witnesses[0]?.as('another.example')}`, 'quorum w1'), 'duplicate_key', 2],
    [lines(`log ${log.vkey}`, `log ${log.as('other')}`, 'quorum none'), 'duplicate_key', 2],
    [lines(`log ${log.vkey}`, `witness itself ${log.as('itself', 4)}`, 'quorum itself'), 'duplicate_key', 2],
    [lines(`log ${witnesses[0]?.vkey}`, 'quorum none'), 'key_type_wrong', 1],
    [lines(`witness w ${log.vkey}`, 'quorum w'), 'key_type_wrong', 1],
    [lines('witness w a+b+c', 'quorum w'), 'malformed_key', 1],
    [lines(`witness none ${witnesses[0]?.vkey}`, 'quorum none'), 'malformed_line', 1],
    [lines(`log ${log.vkey} url more`, 'quorum none'), 'malformed_line', 1],
    ['log', 'malformed_line', 1],
    ['witness w', 'malformed_line', 1],
    ['quorum', 'malformed_line', 1],
    ['quorum a b', 'malformed_line', 1],
    ['quorums none', 'unknown_keyword', 1],
    ['quorum none\r', 'forbidden_character', 1],
    ['# \0', 'forbidden_character', 1],
    ['\n'.repeat(10_001), 'policy_too_long', 0],
    ['#'.repeat(1_000_001), 'policy_too_long', 0],
  ];
  for (const [text, reason, line] of cases)
    t.strictSame(parseLogPolicy(text), { ok: false, reason, line }, `${reason}: ${text.slice(0, 30)}`);
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary' }),
      fc.array(fc.constantFrom('log', 'witness', 'group', 'quorum', 'w', 'all', '1', '\n', ' ')),
      (text, words) => {
        parseLogPolicy(text);
        const parsed = parseLogPolicy(words.join(' '));
        return !parsed.ok || (quorumNeeds(parsed.value) >= 0 && quorumMet(parsed.value, ['w']));
      },
    ),
    { seed: 20261122, numRuns: 500 },
  );
  t.end();
});

const policy = policyOf(`log ${log.vkey}`, ...witnessLines, 'group g 3 w1 w2 w3 w4', 'quorum g');
const entries = [Buffer.from('first'), Buffer.from('second'), Buffer.from('third')];
const [first, second, third] = entries.map((entry) => leafHash(entry)) as [Buffer, Buffer, Buffer];
const text = formatCheckpoint({ origin, size: 3, root: nodeHash(nodeHash(first, second), third) });
const cosigned = (...which: readonly number[]): string => which.map((at) => witnesses[at]?.line(text) ?? '').join('');
const note = `${text}\n${log.line(text)}${cosigned(0, 1, 3)}`;

await t.test('judging a checkpoint: the log, its name, the witnesses', (t) => {
  const judged = judgeCheckpoint(policy, note);
  t.match(judged, {
    ok: true,
    value: { cosignedBy: ['w1', 'w2', 'w4'], quorum: true, checkpoint: { origin, size: 3 } },
  });
  t.strictSame(judged.ok && judged.value.cosignedAt, [1_790_000_000, 1_790_000_000, 1_790_000_000]);
  t.match(judgeCheckpoint(policy, `${text}\n${log.line(text)}${cosigned(2)}`), { ok: true, value: { quorum: false } });
  t.match(
    judgeCheckpoint(policy, `${text}\n${log.line(text)}${cosigned(2, 2, 2)}`),
    { ok: true, value: { quorum: false } },
    'one witness three times',
  );
  const refused = (other: string, reason: string, more = {}) =>
    t.strictSame(judgeCheckpoint(policy, other), { ok: false, reason, ...more }, reason);
  refused(`${text}\n${cosigned(0, 1, 2, 3)}`, 'unknown_log');
  refused(`${text}\n${signer(origin, 1).line(text)}${cosigned(0, 1, 2)}`, 'unknown_log');
  refused(`${text}\n${log.line(text)}${witnesses[0]?.line('other\n')}`, 'signature_invalid', {
    signer: policy.witnesses[0]?.name,
  });
  refused(`${text}\n${log.line('other\n')}${cosigned(0)}`, 'signature_invalid', { signer: origin });
  const otherText = text.replace(origin, 'other.example/log');
  refused(`${otherText}\n${log.line(otherText)}`, 'origin_wrong');
  refused(`no checkpoint\n\n${log.line('no checkpoint\n')}`, 'malformed_checkpoint');
  refused('no note', 'malformed_note');
  t.end();
});

await t.test('a proof file: what it proves and what it does not', (t) => {
  const [entry = Buffer.alloc(0)] = entries;
  const proof = formatProof({ index: 0, path: [second, third], note });
  const lines = proof.split('\n');
  t.strictSame(lines.slice(0, 2), ['c2sp.org/tlog-proof@v1', 'index 0']);
  t.match(verifyProof({ proof, entry, policy }), { ok: true, value: { index: 0, cosignedBy: ['w1', 'w2', 'w4'] } });
  const keys = policy.logs.map(({ key }) => key);
  t.ok(verifyProof({ proof, entry, policy: keys }).ok, 'the keys of the log alone');
  t.ok(verifyProof({ proof, entry, policy: policyOfKeys(keys) }).ok);
  const refused = (claim: Partial<Parameters<typeof verifyProof>[0]>, reason: string) =>
    t.strictSame(verifyProof({ proof, entry, policy, ...claim }), { ok: false, reason }, reason);
  refused({ entry: entries[1] ?? entry }, 'not_included');
  refused({ proof: proof.replace('index 0', 'index 1') }, 'not_included');
  refused({ proof: proof.replace('index 0', 'index 3') }, 'not_included');
  refused({ proof: formatProof({ index: 0, path: [third, second], note }) }, 'not_included');
  refused(
    { proof: formatProof({ index: 0, path: [second, third], note: `${text}\n${log.line(text)}` }) },
    'quorum_not_met',
  );
  refused({ policy: [] }, 'unknown_log');
  const extra = Buffer.from('anything');
  const carrying = formatProof({ index: 0, path: [second, third], note, extra });
  const parsed = parseProof(carrying);
  t.ok(parsed.ok && parsed.value.extra?.equals(extra) && parsed.value.note === note);
  t.ok(verifyProof({ proof: carrying, entry, policy }).ok);
  t.match(parseProof(carrying.replace(/extra .*/, 'extra ')), { ok: true, value: { extra: Buffer.alloc(0) } });
  const malformed = [
    '',
    '\n\n',
    'c2sp.org/tlog-proof@v1\n\n',
    proof.replace('@v1', '@v2'),
    proof.replace('index 0', 'index 00'),
    proof.replace('index 0', 'index -1'),
    proof.replace('index 0', 'index 9007199254740992'),
    proof.replace('index 0\n', ''),
    proof.replace('index 0', 'extra AAA\nindex 0'),
    proof.replace('index 0', 'index 0\nindex 0'),
    proof.replace('\n', '\r\n'),
    ` ${proof}`,
    proof.replace(second.toString('base64'), 'AAAA'),
    formatProof({ index: 0, path: Array.from({ length: 64 }, () => second), note }),
    proof.slice(0, 60),
  ];
  for (const bad of malformed)
    t.strictSame(parseProof(bad), { ok: false, reason: 'malformed_proof' }, JSON.stringify(bad.slice(0, 50)));
  t.strictSame(parseProof('x'.repeat(2_000_001)), { ok: false, reason: 'proof_too_long' });
  fc.assert(
    fc.property(fc.nat(proof.length - 1), fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }), (at, put) => {
      const changed = proof.slice(0, at) + put + proof.slice(at + 1);
      const verdict = verifyProof({ proof: changed, entry, policy });
      if (!verdict.ok || changed === proof) return true;
      // Only a line of a key that nobody knows may differ: then that witness no longer counts.
      return verdict.value.cosignedBy.length < 3;
    }),
    { seed: 20261122, numRuns: 600 },
  );
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (any) => {
      verifyProof({ proof: any, entry, policy });
      return !verifyProof({ proof: `c2sp.org/tlog-proof@v1\nindex 0\n${any}\n\n${note}`, entry, policy }).ok;
    }),
    { seed: 20261122, numRuns: 300 },
  );
  t.end();
});

await t.test('add-checkpoint bodies', (t) => {
  const body = formatAddCheckpoint({ old: 2, path: [third], note });
  t.equal(body, `old 2\n${third.toString('base64')}\n\n${note}`);
  const parsed = parseAddCheckpoint(body);
  t.ok(parsed.ok && parsed.value.old === 2 && parsed.value.path[0]?.equals(third) && parsed.value.note === note);
  t.match(parseAddCheckpoint(formatAddCheckpoint({ old: 0, path: [], note })), {
    ok: true,
    value: { old: 0, path: [], note },
  });
  const malformed = [
    '',
    '\n\n',
    'old 1',
    'old 1\n',
    `old\n\n${note}`,
    `old x\n\n${note}`,
    `old 01\n\n${note}`,
    `old 9007199254740992\n\n${note}`,
    `Old 1\n\n${note}`,
    `old 1 \n\n${note}`,
    `old 1\nAAAA\n\n${note}`,
    `old 1\r\n\r\n${note}`,
    formatAddCheckpoint({ old: 1, path: Array.from({ length: 64 }, () => third), note }),
  ];
  for (const bad of malformed)
    t.strictSame(parseAddCheckpoint(bad), { ok: false, reason: 'malformed_request' }, JSON.stringify(bad.slice(0, 30)));
  t.ok(parseAddCheckpoint(formatAddCheckpoint({ old: 1, path: Array.from({ length: 63 }, () => third), note })).ok);
  t.strictSame(parseAddCheckpoint('x'.repeat(1_100_001)), { ok: false, reason: 'request_too_long' });
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (any) => {
      parseAddCheckpoint(any);
      parseAddCheckpoint(`old ${any}`);
      return true;
    }),
    { seed: 20261122, numRuns: 300 },
  );
  t.end();
});

await t.test('the same 32 bytes as log and as witness have two ids', (t) => {
  const parsed = [log.as('name', 1), log.as('name', 4)].map((vkey) => parseVerifierKey(vkey));
  const keys = parsed.flatMap((each): VerifierKey[] => (each.ok ? [each.value] : []));
  t.equal(new Set(keys.map(({ keyId }) => keyId.toString('hex'))).size, 2);
  t.end();
});
