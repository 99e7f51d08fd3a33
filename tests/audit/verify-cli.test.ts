import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import t from 'tap';
import { run as runAudit } from '../../src/cli/audit.ts';
import { run } from '../../src/cli/audit-verify.ts';
import { cosign } from '../../src/signing/note-sign.ts';
import { inclusionProof } from '../../src/verification/merkle.ts';
import { formatProof } from '../../src/verification/tlog-proof.ts';
import { loadedModules } from '../support/loaded-modules.ts';
import { issueAnswer, makeRealm, trustDocument } from '../verification/local-issuer.ts';
import {
  exportOf,
  localLog,
  localRecord,
  noteOf,
  policyText,
  readNodesOf,
  recordIdOf,
  tilesOf,
} from '../verification/local-log.ts';

const dir = t.testdir({});
const erased = { erasureId: recordIdOf(500), target: { recordId: recordIdOf(12) } };
const approvedBy = (at: number, officer: string, clientId: string) =>
  localRecord(at, 5, {
    action: 'approveErasure',
    officer: { id: officer, name: '经办人' },
    client: { clientId },
    detail: { ...erased, step: 'approved' },
  });
const records = Array.from({ length: 300 }, (_, at) => {
  if (at === 18) return approvedBy(at, 'b', 'audit-office');
  if (at === 19) return approvedBy(at, 'c', 'hub-admin');
  if (at !== 20) return localRecord(at);
  const detail = { ...erased, step: 'executed', approvals: [recordIdOf(18), recordIdOf(19)] };
  return localRecord(at, 5, { action: 'executeErasure', detail });
});
const log = localLog(records, { witnesses: 3 });

let saved = 0;
function save(text: string | Buffer, name = `file-${saved++}`): string {
  const file = join(dir, name);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  return file;
}
async function verify(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  let [out, err] = ['', ''];
  const code = await run(argv, {
    stdout: { write: (text) => (out += text) },
    stderr: { write: (text) => (err += text) },
    env: {},
  });
  return { code, out, err };
}
const policy = save(policyText(log, 2), 'policy');
const range = await exportOf(log, { kind: 'range', begin: 9, end: 24 }, (index) =>
  index === 12 ? { erased: recordIdOf(20) } : index % 5 === 0 && index !== 20 ? 'redacted' : 'opened',
);
const good = save(range, 'export.ndjson');
for (const [path, bytes] of tilesOf(log)) save(bytes, `log/${path}`);
save(noteOf(log), 'log/checkpoint');

await t.test('an export', async (t) => {
  const { code, out, err } = await verify(good, '--policy', policy);
  t.match({ code, err }, { code: 0, err: '' });
  for (const said of [
    /range is complete: every leaf from 9 to 23/,
    /12 opened/,
    /at least 2 of its witnesses/,
    /w0 \(2026-/,
    /NOT proved/,
    /Result 结论 \(0\)/,
  ]) {
    t.match(out, said);
  }
  const json = JSON.parse((await verify(good, '--policy', policy, '--json')).out) as Record<string, unknown>;
  t.match(json, { result: 0, valid: true, faults: [] });
  const byKey = await verify(good, '--log-key', log.key.vkey);
  t.match(byKey, { code: 0, out: /no witness was asked for/ });
  t.match(await verify(good, '--log-key', save(`${log.key.vkey}\n`)), { code: 0 });

  const changed = save(range.replace('经办人乙', '经办人甲'));
  t.match(await verify(changed, '--policy', policy), {
    code: 17,
    out: /line 行 2, leaf 叶序号（自 0 起） 9: What is shown.*\[commitment_differs\]/,
  });
  t.notMatch((await verify(changed, '--policy', policy)).out, /^Proved/m, 'nothing is proved by a file that is wrong');
  const cut = await verify(save(range.slice(0, -400)), '--policy', policy, '--json');
  t.match(JSON.parse(cut.out), {
    result: 17,
    valid: false,
    proved: [],
    faults: [{ code: 'line_unfinished' }, { code: 'trailer_missing' }],
  });
  const bare = await exportOf(log, { kind: 'records', of: [12] }, () => ({ erased: recordIdOf(20) }));
  t.match(await verify(save(bare), '--policy', policy), { code: 14, out: /Erasure not shown.*: 12 \(01890000/ });
  const act = await exportOf(log, { kind: 'records', of: [12, 20] }, (at) =>
    at === 12 ? { erased: recordIdOf(20) } : 'opened',
  );
  t.match(await verify(save(act), '--policy', policy), { code: 14, out: /approvals must be exported as well/ });
  const hidden = await exportOf(log, { kind: 'records', of: [3] }, () => ({ only: ['kind'] }));
  t.match(await verify(save(hidden), '--policy', policy), { code: 0, out: /12 fields of 1 opened records are hidden/ });
});

await t.test('nothing in a file steers the terminal, nor brings the check down', async (t) => {
  const hostile = range.replace('"question":{', '"question":{"\u009b31m":"\u202e",');
  for (const argv of [[], ['--json']]) {
    const { code, out } = await verify(save(hostile), '--policy', policy, ...argv);
    t.equal(code, 17, 'the hash of the file does not fit');
    t.notMatch(out, /[\u0080-\u009f\u202e]/);
  }
  const { out } = await verify(save(hostile), '--policy', policy, '--json');
  t.match(JSON.parse(out), { facts: { length: Number } }, 'and it is JSON still');
  const text = noteOf(log, 300, 0);
  const late = text + log.witnesses.map((witness) => cosign(witness, text.split('\n\n')[0] + '\n', 2 ** 52)).join('');
  const proof = formatProof({
    index: 3,
    path: await inclusionProof({ index: 3, size: 300 }, readNodesOf(log)),
    note: late,
  });
  const commitment = records[3]?.commitment.toString('base64url') ?? '';
  const far = await verify(
    save(proof, 'far.tlog-proof'),
    '--policy',
    policy,
    '--kind',
    'access',
    '--commitment',
    commitment,
  );
  t.match(far, { code: 0, out: /time 4503599627370496/ });
});

await t.test('whose signature is false is said wherever a checkpoint is read', async (t) => {
  const note = noteOf(log);
  const path = await inclusionProof({ index: 3, size: 300 }, readNodesOf(log));
  const commitment = records[3]?.commitment.toString('base64url') ?? '';
  for (const [line, name] of [
    [0, log.origin],
    [2, 'w1'],
  ] as const) {
    const [text = '', ...signatures] = note.split(/(?=^— )/m);
    const other = signatures[line]?.replace(/.(?=.{9}\n$)/, (each) => (each === 'A' ? 'B' : 'A')) ?? '';
    const broken = [text, ...signatures.with(line, other)].join('');
    const proof = save(formatProof({ index: 3, path, note: broken }));
    const falsified = JSON.stringify({ ...(JSON.parse(range.split('\n', 1)[0] ?? '') as object), checkpoint: broken });
    const exported = save([falsified, ...range.split('\n').slice(1)].join('\n'));
    for (const argv of [
      [proof, '--kind', 'access', '--commitment', commitment],
      [exported],
      [good, '--checkpoint', save(broken)],
      ['--log', dirname(save(broken, `log-of-${line}/checkpoint`))],
      ['--log', join(dir, 'log'), '--checkpoint', save(broken)],
    ]) {
      const { code, out } = await verify(...argv, '--policy', policy);
      t.equal(code, 17);
      t.match(out, new RegExp(`signature that is false.? \\(${name}\\)[^\n]*\\[signature_invalid\\]`), argv.join(' '));
    }
  }
});

await t.test('older checkpoints', async (t) => {
  const same = save(noteOf(log, 300, 0), 'same');
  const older = save(noteOf(log, 100), 'older');
  t.match(await verify(good, '--policy', policy, '--checkpoint', same), { code: 0, out: /tree of checkpoint/ });
  t.match(await verify(good, '--policy', policy, '--checkpoint', older), {
    code: 14,
    out: /not comparable without tiles/,
  });
  const forked = { ...log, records: [localRecord(9999), ...records.slice(1)] };
  t.match(await verify(good, '--policy', policy, '--checkpoint', save(noteOf(forked))), {
    code: 17,
    out: /history was rewritten/,
  });
  t.match(await verify(good, '--policy', policy, '--checkpoint', save(noteOf(localLog(records)))), {
    code: 17,
    out: /^Proved[^]*unknown_log/m,
  });
});

await t.test('a whole log, from a folder and from an address', async (t) => {
  const older = save(noteOf(log, 100), 'older');
  const fromFolder = await verify('--log', join(dir, 'log'), '--policy', policy, '--checkpoint', older);
  t.match(fromFolder, {
    code: 0,
    out: /All 300 entries.*\n.*begins with the 100 leaves of checkpoint/,
    err: /300 of 300 leaves/,
  });
  let busy = 0;
  const server = createServer((request, response) => {
    // busy at first, as a hub that limits the rate is
    if (busy++ === 0) return void response.writeHead(429, { 'retry-after': '0' }).end();
    const path = (request.url ?? '').replace(/^\/hub\//, '');
    const bytes = path === 'log/checkpoint' ? Buffer.from(noteOf(log)) : tilesOf(log).get(path.replace(/^log\//, ''));
    if (bytes === undefined) response.writeHead(404).end();
    else response.end(bytes);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  t.teardown(() => server.close());
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hub/log/`;
  t.match(await verify('--log', address, '--policy', policy), { code: 0, out: /All 300 entries/ });
  t.match(await verify('--log', `${address}elsewhere`, '--policy', policy), {
    code: 2,
    err: /does the address end in .log/,
  });
  // together: the export's checkpoint is one of the log's past
  const small = await exportOf(log, { kind: 'range', begin: 0, end: 5 }, () => 'opened', 120);
  t.match(await verify(save(small), '--log', join(dir, 'log'), '--policy', policy), {
    code: 0,
    out: /begins with the 120 leaves/,
  });

  const tile = readFileSync(join(dir, 'log/tile/0/000'));
  tile[40] = (tile[40] ?? 0) ^ 1;
  save(tile, 'log/tile/0/000');
  const wrong = await verify('--log', join(dir, 'log'), '--policy', policy);
  t.match(wrong, {
    code: 17,
    out: /file 文件 tile\/0\/000, leaf 叶序号（自 0 起） 1: .*\[leaf_differs\]\n.*\[tiles_differ_from_root\]/,
  });
});

await t.test('a proof, with the answer or the commitment it is about', async (t) => {
  const [, , , , , record] = records;
  if (record === undefined) return;
  const path = await inclusionProof({ index: 5, size: 300 }, readNodesOf(log));
  const proof = save(formatProof({ index: 5, path, note: noteOf(log) }), 'record.tlog-proof');
  const commitment = record.commitment.toString('base64url');
  t.match(await verify(proof, '--policy', policy, '--kind', 'access', '--commitment', commitment), {
    code: 0,
    out: /leaf 5 of the log/,
  });
  t.match(await verify(proof, '--policy', policy, '--kind', '1', '--commitment', commitment), { code: 0 });
  t.match(await verify(proof, '--policy', policy, '--kind', '2', '--commitment', commitment), {
    code: 17,
    out: /not_included/,
  });
  const realm = await makeRealm();
  const answer = issueAnswer(realm, [], { jti: record.recordId, commitment });
  const lookup = save(JSON.stringify({ recordId: record.recordId, answer, certificates: [] }));
  for (const file of [lookup, save(answer)]) {
    t.match(await verify(proof, '--policy', policy, '--answer', file), { code: 0, out: new RegExp(record.recordId) });
  }
  const trust = save(JSON.stringify(trustDocument(realm)));
  const [head = '', body = '', seal = ''] = answer.split('.');
  const claims = JSON.parse(Buffer.from(body, 'base64url').toString()) as Record<string, unknown>;
  const forgedBody = Buffer.from(JSON.stringify({ ...claims, purpose: { officer: { id: 'x' } } })).toString(
    'base64url',
  );
  const forged = save(`${head}.${forgedBody}.${seal}`);
  const signed = await verify(proof, '--policy', policy, '--answer', lookup, '--trust', trust);
  t.match(signed, { code: 0, out: /Proved[^]*signed the answer as it stands[^]*NOT proved/ });
  const changed = await verify(proof, '--policy', policy, '--answer', forged, '--trust', trust);
  t.match(changed, { code: 17, out: /answer_false/ }, 'a changed officer is found');
  t.notMatch(changed.out, /^Proved/m);
  t.match(await verify(proof, '--policy', policy, '--answer', forged), {
    code: 0,
    out: /NOT proved[^\n]*\n {2}- That the hub signed the answer[^]*\(0\): Correct as far as listed/,
  });
  const misfiled = save(JSON.stringify({ recordId: recordIdOf(1), answer }));
  t.match(await verify(proof, '--policy', policy, '--answer', misfiled, '--trust', trust), { code: 17 });
  const other = save(issueAnswer(realm, []));
  t.match(await verify(proof, '--policy', policy, '--answer', other), { code: 17, out: /not_included/ });
  t.match(await verify(save('nonsense'), '--policy', policy, '--answer', lookup), { code: 17, out: /malformed_proof/ });
  const badNote = save(formatProof({ index: 5, path, note: noteOf(localLog(records)) }));
  t.match(await verify(badNote, '--policy', policy, '--answer', lookup), { code: 17, out: /unknown_log/ });
});

await t.test('wrong usage is told from wrong evidence', async (t) => {
  const cases: readonly (readonly [string[], RegExp])[] = [
    [[], /an export, a proof or --log is missing/],
    [[good], /without a key that you got on another way nothing is proved/],
    [[good, '--policy', join(dir, 'none')], /no such file/],
    [[good, '--policy', good], /not a log policy, line 1: a line begins with/],
    [[good, '--policy', policy, '--log-key', log.key.vkey], /exclude each other/],
    [[good, '--log-key', log.witnesses[0]?.vkey ?? ''], /key of a log/],
    [[good, '--log-key', `${log.key.vkey}x`], /log key was not copied whole/],
    [[good, '--log-key', save(log.key.vkey.replace('hub', 'hvb'))], /eight hex digits do not fit/],
    [[good, '--log-key', save('')], /the log key file .* is empty/],
    [[save(''), '--policy', policy], /is empty/],
    [[save(noteOf(log)), '--policy', policy], /seems to be a checkpoint/],
    [[save('aa.bb.cc'), '--policy', policy], /seems to be an answer/],
    [[save('序号,记录,状态,时间\n1,2,3,4\n'), '--policy', policy], /CSV, which proves nothing/],
    [[save('\u001b[31m{}'), '--policy', policy], /is no export/],
    [[good, '--policy', policy, '--trust', policy], /--trust is for/],
    [['--log', dir, '--policy', policy, '--answer', policy], /go with a PROOF/],
    [[join(dir, 'none'), '--policy', policy], /no such file/],
    [[dir, '--policy', policy], /it is a directory/],
    [[good, good, '--policy', policy], /unexpected/],
    [[good, '--nonsense'], /nonsense/],
    [['x.tlog-proof', '--policy', policy], /cannot read/],
    [[save('', 'y.tlog-proof'), '--policy', policy], /a proof needs its record/],
    [[good, '--policy', policy, '--kind', 'nonsense', '--commitment', 'x'], /--kind is one of/],
    [[good, '--policy', policy, '--kind', '1', '--commitment', 'x'], /32 bytes/],
    [[good, '--policy', policy, '--answer', policy], /neither an answer/],
    [['--log', 'http://127.0.0.1:9/log', '--policy', policy], /cannot be read/],
  ];
  for (const [argv, message] of cases) {
    const { code, out, err } = await verify(...argv);
    t.match({ code, out }, { code: 2, out: '' }, argv.join(' ').slice(-40));
    t.match(err, message);
  }
  t.match(await verify('--help'), { code: 0, out: /Exit code/ });
  let out = '';
  const io = {
    stdout: { write: (text: string) => (out += text) },
    stderr: { write: (text: string) => (out += text) },
    env: {},
  };
  t.equal(await runAudit([], io), 2);
  t.equal(await runAudit(['constructor'], io), 2);
  t.equal(await runAudit(['--help'], io), 0);
  t.equal(await runAudit(['verify', '--help'], io), 0);
});

await t.test('certhub audit verify loads nothing that needs a server, a database or a private key', async (t) => {
  const { files, packages } = loadedModules(['cli/audit.ts', 'cli/audit-verify.ts'], { withDynamic: false });
  const shared = ['fetch-failure', 'offline-inputs', 'printable', 'run-offline', 'usage-error'].map(
    (name) => `cli/${name}.ts`,
  );
  t.strictSame(
    files.filter((file) => !file.startsWith('verification/') && !/^cli\/audit[^/]*\.ts$/.test(file)),
    shared,
  );
  t.strictSame(
    packages.filter((each) => !each.startsWith('node:')),
    [],
  );
  t.ok(files.length > 15, 'the walk has seen the modules');
});

await t.test('certhub audit reconcile loads no server and no database', async (t) => {
  const { files, packages } = loadedModules(['cli/audit-reconcile.ts'], { withDynamic: true });
  const folders = new Set(files.map((file) => dirname(file)));
  t.strictSame([...folders].sort(), ['.', 'cli', 'departments', 'signing', 'verification']);
  t.notOk(packages.includes('pg') || packages.includes('fastify'));
});
