import t from 'tap';
import type { CertificateBody } from '../../src/certificates/certificate-body.ts';
import type { CertificateDeps } from '../../src/certificates/certificate-deps.ts';
import { certificateHistory } from '../../src/certificates/certificate-history.ts';
import { openRow } from '../../src/certificates/certificate-row.ts';
import { changeCertificateStatus } from '../../src/certificates/change-certificate-status.ts';
import { correctCertificate } from '../../src/certificates/correct-certificate.ts';
import { getCertificate } from '../../src/certificates/get-certificate.ts';
import { listCertificates } from '../../src/certificates/list-certificates.ts';
import { pushCertificate } from '../../src/certificates/push-certificate.ts';
import { readByHolder, readByIdentifier, sealHeader } from '../../src/certificates/read-certificates.ts';
import { reviewCertificate } from '../../src/certificates/review-certificate.ts';
import { reviseCertificate } from '../../src/certificates/revise-certificate.ts';
import { sealCertificate } from '../../src/certificates/seal-certificate.ts';
import { allocateStatusIndex } from '../../src/certificates/status-index.ts';
import { transaction } from '../../src/db/transaction.ts';
import { composeCertificateIdentifier, parseCertificateIdentifier } from '../../src/verification/identifiers.ts';
import {
  approveAndSeal,
  callBy,
  change,
  citizen,
  createWorld,
  departments,
  idCardPush,
  issue,
  keys,
  marriagePush,
  officerA,
  officerB,
  push,
  refusalOf,
  typeNamed,
} from './world.ts';

t.setTimeout(240_000);
const { publicSecurity, civilAffairs } = departments;
const world = await createWorld(t);
const { deps, db } = world;
const typeCode = typeNamed('居民身份证').certificateTypeCode;

const partsOf = (identifier: string) => {
  const parsed = parseCertificateIdentifier(identifier);
  if (!parsed.ok) throw new Error(parsed.reason);
  return parsed.value;
};

const tables = [
  'certificates',
  'certificate_versions',
  'certificate_events',
  'seal_headers',
  'status_lists',
  'status_entries',
  'idempotency_keys',
  'records',
];

/** Everything the database holds, as text. */
async function dump(): Promise<string> {
  const parts: string[] = [];
  for (const table of [...tables, 'certificate_types', 'registry_versions']) {
    const { rows } = await world.sql(`select t::text as line from ${table} t order by 1`);
    parts.push(`${table}\n${(rows as { line: string }[]).map(({ line }) => line).join('\n')}`);
  }
  return parts.join('\n');
}

await t.test('invariant 8: a replayed push has one effect and the same answer', async (t) => {
  const request = { ...change(publicSecurity), pushed: idCardPush(citizen(100)) };
  const first = await pushCertificate(deps, request);
  const again = await pushCertificate(deps, { ...request, call: callBy(publicSecurity) });
  t.strictSame(again.body, first.body);
  t.equal(again.status, 201);
  const [one, two] = await Promise.all(
    [1, 2].map(() => pushCertificate(deps, { ...request, idempotencyKey: 'same-key-101' })),
  );
  t.strictSame(one?.body, two?.body, 'also at once');
  const changed = { ...request, pushed: idCardPush(citizen(100), { certificateNumber: 'other' }) };
  t.match(await refusalOf(pushCertificate(deps, changed)), { code: 'idempotency_conflict' }, 'another body');
  const { certificateIdentifier } = first.body as CertificateBody;
  const conflict = { ...request, certificateIdentifier, sealing: {} };
  t.match(await refusalOf(sealCertificate(deps, conflict)), { code: 'idempotency_conflict' }, 'another operation');
  const found = await readByHolder(db, keys.holderKeys('111', citizen(100)), [typeCode]);
  t.equal(found.length, 0);
  t.equal((await listCertificates(deps, { department: publicSecurity, limit: 50 })).items.length, 2);
});

await t.test('invariant 8: a replayed seal signs nothing and answers the same', async (t) => {
  const { certificateIdentifier } = await push(world, idCardPush(citizen(110)));
  const review = { decision: 'approve', officer: officerB } as const;
  await reviewCertificate(deps, { ...change(publicSecurity), certificateIdentifier, review });
  const request = { ...change(publicSecurity), certificateIdentifier, sealing: {} };
  const first = await sealCertificate(deps, request);
  const noKey: CertificateDeps = { ...deps, keys: { ...keys, sealSigner: () => undefined } };
  t.strictSame((await sealCertificate(noKey, request)).body, first.body);
});

await t.test('two at once: one wins', async (t) => {
  const { certificateIdentifier } = await push(world, idCardPush(citizen(120)));
  const review = { decision: 'approve', officer: officerB } as const;
  await reviewCertificate(deps, { ...change(publicSecurity), certificateIdentifier, review });
  const codes = async (runs: Promise<unknown>[]) =>
    (await Promise.all(runs.map(refusalOf))).map(({ code }) => String(code)).toSorted();
  const seal = () => sealCertificate(deps, { ...change(publicSecurity), certificateIdentifier, sealing: {} });
  t.strictSame(await codes([seal(), seal(), seal()]), ['not refused', 'wrong_state', 'wrong_state']);
  const history = await certificateHistory(deps, { call: callBy(publicSecurity), certificateIdentifier });
  t.equal(history.events.filter(({ action }) => action === 'sealed').length, 1);

  const serial = 'TWOATONCE';
  const own = composeCertificateIdentifier({ typeCode, issuerCode: publicSecurity, serial, version: 1 });
  const give = () => push(world, idCardPush(citizen(121), { certificateIdentifier: own }));
  t.strictSame(await codes([give(), give(), give()]), ['certificate_exists', 'certificate_exists', 'not refused']);

  const pushed = idCardPush(citizen(120));
  const revise = () => reviseCertificate(deps, { ...change(publicSecurity), certificateIdentifier, pushed });
  t.strictSame(await codes([revise(), revise()]), ['not refused', 'version_outdated']);

  const revoke = { action: 'revoke', reason: '注销', revocationReason: 'cancelled' } as const;
  const end = () => changeCertificateStatus(deps, { ...change(publicSecurity), certificateIdentifier, change: revoke });
  t.strictSame(await codes([end(), end()]), ['not refused', 'wrong_state']);
});

await t.test('parallel pushes get distinct status indices', async (t) => {
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, index) => push(world, idCardPush(citizen(200 + index)))),
  );
  t.equal(new Set(answers.map(({ statusReference }) => `${statusReference.uri} ${statusReference.idx}`)).size, 20);
  t.equal(new Set(answers.map(({ certificateIdentifier }) => certificateIdentifier)).size, 20);
});

await t.test('a full status list is closed and the next one opened', async (t) => {
  const always = (index: number) => () => index;
  const at = new Date();
  const allocate = (randomInt: (max: number) => number) =>
    transaction(db, (trx) => allocateStatusIndex(trx, { at, randomInt }));
  const free = 131_071;
  await world.sql(`delete from status_entries where idx = ${free}`);
  t.strictSame(await allocate(always(free)), { list: 1, index: free });
  t.strictSame(await allocate(always(free)), { list: 2, index: free }, 'four picks taken: the next list');
  let pick = 0;
  t.strictSame(await allocate(() => (pick++ === 0 ? free : 5)), { list: 2, index: 5 });
  const { rows } = await world.sql('select list_id, open from status_lists order by list_id');
  t.strictSame(rows, [
    { list_id: 1, open: false },
    { list_id: 2, open: true },
  ]);
  t.strictSame(
    new Set((await Promise.all([1, 2, 3].map(() => allocate(always(free))))).map(({ list }) => list)).size,
    3,
    'opened at once by three, each gets its own index',
  );
});

await t.test('invariant 4: a row changed by a database superuser is refused and reported', async (t) => {
  const [first, second] = [citizen(300), citizen(301)];
  const a = await issue(world, idCardPush(first));
  const b = await issue(world, idCardPush(second));
  const marriage = await issue(world, marriagePush(citizen(302), citizen(303)), civilAffairs);
  const where = (certificate: CertificateBody) => `identifier = '${certificate.certificateIdentifier}'`;
  const keyOf = (number: string) => keys.holderKey('111', number).toString('hex');
  const openHolder = async (number: string, types = [typeCode]) => {
    const rows = await readByHolder(db, keys.holderKeys('111', number), types);
    return rows.map((row) => openRow(keys.box, row));
  };
  const backup = async () => {
    await world.sql(
      'create table backup as table certificates',
      'create table backup_versions as table certificate_versions',
    );
  };
  const restore = () =>
    world.sql(
      'delete from certificates',
      'insert into certificates table backup',
      'delete from certificate_versions',
      'insert into certificate_versions table backup_versions',
    );
  await backup();
  const revoke = { action: 'revoke', reason: '注销', revocationReason: 'cancelled' } as const;
  const touch = () =>
    changeCertificateStatus(deps, {
      ...change(publicSecurity),
      certificateIdentifier: a.certificateIdentifier,
      change: revoke,
    });
  const attacks: [what: string, ...sql: string[]][] = [
    ['state', `update certificates set state = 'suspended' where ${where(a)}`],
    ['revocation reason', `update certificates set revocation_reason = 'cancelled' where ${where(a)}`],
    ['identifier', `update certificates set identifier = '${b.certificateIdentifier}' where ${where(a)}`],
    [
      'box of another certificate',
      `update certificates set box = (select box from certificates where ${where(b)}) where ${where(a)}`,
    ],
    [
      'last byte of the box',
      `update certificates set box = set_byte(box, length(box) - 1, get_byte(box, length(box) - 1) # 1) where ${where(a)}`,
    ],
    ['type version', `update certificates set type_version = 2 where ${where(a)}`],
    ['issuer', `update certificates set issuing_authority_code = '${civilAffairs}' where ${where(a)}`],
    ['end of validity', `update certificates set expires_at = expires_at + interval '10 years' where ${where(a)}`],
    ['status index', `update certificates set status_index = status_index + 1 where ${where(a)}`],
    ['revision', `update certificates set revision = 1 where ${where(a)}`],
  ];
  for (const [what, ...sql] of attacks) {
    await world.sql(...sql);
    t.match(await refusalOf(openHolder(first)), { code: 'stored_data_tampered' }, `${what}: lookup`);
    const read = getCertificate(deps, { call: callBy(publicSecurity), certificateIdentifier: a.certificateIdentifier });
    t.match(await refusalOf(read), { code: 'stored_data_tampered' }, `${what}: read`);
    t.match(await refusalOf(touch()), { code: 'stored_data_tampered' }, `${what}: change`);
    await restore();
  }
  await world.sql(
    `delete from certificates where ${where(b)}`,
    `update certificates set holder_key = '\\x${keyOf(second)}' where ${where(a)}`,
  );
  t.match(await refusalOf(openHolder(second)), { code: 'stored_data_tampered' }, 'handed to another holder');
  await restore();
  const { series, version } = partsOf(a.certificateIdentifier);
  const other = partsOf(b.certificateIdentifier).series;
  await world.sql(
    `update certificate_versions set (version_id, holder_keys) = (select version_id, holder_keys from certificate_versions where series = '${other}') where series = '${series}'`,
  );
  t.match(
    await refusalOf(readByIdentifier(db, series, version)),
    { code: 'stored_data_tampered' },
    'directory points elsewhere',
  );
  await restore();
  await world.sql(`delete from certificates where ${where(a)}`);
  t.match(await refusalOf(readByIdentifier(db, series, version)), { code: 'stored_data_tampered' }, 'row taken away');
  await restore();
  await world.sql(`delete from certificates where ${where(marriage)} and not is_first_holder`);
  const couple = { call: callBy(civilAffairs), certificateIdentifier: marriage.certificateIdentifier };
  t.match(await refusalOf(getCertificate(deps, couple)), { code: 'stored_data_tampered' }, 'one holder taken away');
  await restore();
  t.equal((await openHolder(first)).length, 1, 'restored rows open');

  const pending = await push(world, idCardPush(citizen(304)));
  await world.sql(`update certificates set state = 'approved' where ${where(pending)}`);
  const queue = await listCertificates(deps, { department: publicSecurity, state: 'approved', limit: 100 });
  t.notOk(
    queue.items.some((item) => item.certificateIdentifier === pending.certificateIdentifier),
    'not in the queue',
  );
  t.ok(world.tampered.includes(`certificates:${pending.certificateIdentifier}`), 'reported');
  const seal = { ...change(publicSecurity), certificateIdentifier: pending.certificateIdentifier, sealing: {} };
  t.match(
    await refusalOf(sealCertificate(deps, seal)),
    { code: 'stored_data_tampered' },
    'a review cannot be skipped by SQL',
  );
  await world.sql(`update certificate_events set action = 'approved' where series = '${series}'`);
  const history = certificateHistory(deps, {
    call: callBy(publicSecurity),
    certificateIdentifier: a.certificateIdentifier,
  });
  t.match(await refusalOf(history), { code: 'stored_data_tampered' }, 'history');
});

await t.test('invariant 4: a seal header that is not the signed one is refused', async (t) => {
  const { rows } = await world.sql(`select encode(sha256, 'hex') as sha256 from seal_headers`);
  const [{ sha256 = '' } = {}] = rows as { sha256?: string }[];
  const forged = { query: async <T extends object>() => [{ header: 'eyJhbGciOiJub25lIn0' }] as unknown as T[] };
  t.match(await refusalOf(sealHeader(forged, `${sha256.slice(0, -1)}0`)), { code: 'stored_data_tampered' });
  t.match(await refusalOf(sealHeader({ query: async () => [] }, '00'.repeat(32))), { code: 'stored_data_tampered' });
});

await t.test('invariant 10: a step that fails half-way leaves nothing', async (t) => {
  const number = citizen(400);
  const sealed = await issue(world, idCardPush(number));
  const { certificateIdentifier } = sealed;
  const pushed = idCardPush(number, { certificateNumber: 'second' });
  const revised = await reviseCertificate(deps, { ...change(publicSecurity), certificateIdentifier, pushed });
  const second = (revised.body as CertificateBody).certificateIdentifier;
  const review = { decision: 'approve', officer: officerB } as const;
  const waiting = await push(world, idCardPush(citizen(401)));
  const own = () => change(publicSecurity);
  const broken: CertificateDeps = { ...deps, recordIn: () => Promise.reject(new Error('record')) };
  // Fails at the record of the superseded version: everything before it has been written by then.
  let records = 0;
  const late: CertificateDeps = {
    ...deps,
    recordIn: (trx, entry) => (++records === 2 ? Promise.reject(new Error('late')) : deps.recordIn(trx, entry)),
  };
  const suspend = { action: 'suspend', reason: '核查' } as const;
  const steps: [string, (failing: CertificateDeps) => Promise<unknown>][] = [
    ['push', (failing) => pushCertificate(failing, { ...own(), pushed: idCardPush(citizen(402)) })],
    ['review', (failing) => reviewCertificate(failing, { ...own(), certificateIdentifier: second, review })],
    ['status', (failing) => changeCertificateStatus(failing, { ...own(), certificateIdentifier, change: suspend })],
    [
      'correction of the holder',
      (failing) =>
        correctCertificate(failing, {
          ...own(),
          certificateIdentifier: waiting.certificateIdentifier,
          pushed: idCardPush(citizen(403)),
        }),
    ],
  ];
  for (const [what, run] of steps) {
    const before = await dump();
    t.match(await refusalOf(run(broken)), { code: 'Error: record' }, what);
    t.equal(await dump(), before, `${what} left nothing`);
    await run(deps);
    t.not(await dump(), before, `${what} is done without the fault`);
  }
  const before = await dump();
  const seal = { ...own(), certificateIdentifier: second, sealing: {} };
  t.match(await refusalOf(sealCertificate(late, seal)), { code: 'Error: late' });
  t.equal(await dump(), before, 'a seal that could not supersede its predecessor left nothing');
  t.match(await sealCertificate(deps, seal), { status: 200 }, 'the same key works afterwards');
});

await t.test('invariant 5: no number, name, value, officer or reason is readable in any row', async (t) => {
  const number = '990000198806150414';
  const idNumber = /^\d{17}/.exec(number)?.[0] ?? '';
  const canary = {
    name: '金丝雀·甲',
    address: '金丝雀路九十九号',
    officer: { id: 'canary.officer', name: '金丝雀经办' },
  };
  const { citizenCheckCharacter } = await import('../../src/verification/identifiers.ts');
  const real = `${idNumber}${citizenCheckCharacter(idNumber)}`;
  const pushed = idCardPush(real, {
    holders: [{ type: '111', number: real, name: canary.name }],
    certificateNumber: 'CANARY-NUMBER-1',
    officer: canary.officer,
  });
  const filled = { ...pushed, fields: { ...pushed.fields, name: canary.name, address: canary.address } };
  const { certificateIdentifier } = await push(world, filled);
  const reason = '金丝雀理由';
  const review = { decision: 'return', officer: { id: 'canary.reviewer', name: '金丝雀审核' }, reason } as const;
  await reviewCertificate(deps, { ...change(publicSecurity), certificateIdentifier, review });
  await correctCertificate(deps, { ...change(publicSecurity), certificateIdentifier, pushed: filled });
  await approveAndSeal(world, certificateIdentifier);
  await getCertificate(deps, { call: callBy(publicSecurity), certificateIdentifier });
  await refusalOf(push(world, { ...filled, fields: { ...filled.fields, [`x${real}`]: 1, sex: real } }));
  const text = await dump();
  const needles = [
    real,
    real.slice(0, 17),
    canary.name,
    canary.address,
    'CANARY-NUMBER-1',
    '金丝雀',
    'canary.',
    reason,
    officerA.name,
  ];
  for (const needle of needles) {
    const bytes = Buffer.from(needle);
    for (const spelled of [needle, bytes.toString('hex'), bytes.toString('base64url').slice(0, -2)]) {
      t.notOk(text.includes(spelled), `${needle} is not in the database`);
    }
  }
  t.ok(text.includes(certificateIdentifier), 'the dump is of this database');
});
