import { SDJwtInstance } from '@sd-jwt/core';
import t from 'tap';
import type { CertificateBody } from '../../src/certificates/certificate-body.ts';
import { certificateHistory } from '../../src/certificates/certificate-history.ts';
import { openRow } from '../../src/certificates/certificate-row.ts';
import { changeCertificateStatus } from '../../src/certificates/change-certificate-status.ts';
import { correctCertificate } from '../../src/certificates/correct-certificate.ts';
import { getCertificate } from '../../src/certificates/get-certificate.ts';
import { listCertificates } from '../../src/certificates/list-certificates.ts';
import {
  newestVersion,
  presentSdJwt,
  readByHolder,
  readByIdentifier,
  sealHeader,
  statusAt,
} from '../../src/certificates/read-certificates.ts';
import { reviewCertificate } from '../../src/certificates/review-certificate.ts';
import { reviseCertificate } from '../../src/certificates/revise-certificate.ts';
import { unverifiedLeafKey } from '../../src/verification/certificate-status.ts';
import { parseCertificateIdentifier } from '../../src/verification/identifiers.ts';
import { verifySdJwt } from '../../src/verification/sd-jwt.ts';
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

const { publicSecurity, civilAffairs } = departments;
t.setTimeout(240_000);
const world = await createWorld(t);
const { deps, db } = world;
const codeOfIdCard = typeNamed('居民身份证').certificateTypeCode;

const seriesOf = (identifier: string): { series: string; version: number } => {
  const parsed = parseCertificateIdentifier(identifier);
  if (!parsed.ok) throw new Error(parsed.reason);
  return parsed.value;
};

const hashed = async (data: string | ArrayBuffer): Promise<Uint8Array> =>
  new Uint8Array(
    await crypto.subtle.digest('SHA-256', typeof data === 'string' ? new TextEncoder().encode(data) : data),
  );

await t.test('one life: pushed, returned, corrected, approved, sealed, suspended, resumed, revoked', async (t) => {
  const number = citizen(1);
  const pushed = await push(world, idCardPush(number));
  const { certificateIdentifier } = pushed;
  const { series } = seriesOf(certificateIdentifier);
  t.equal(pushed.state, 'pending_review');
  t.match(certificateIdentifier, /\.[0-9A-Z]{20}\.001\.[0-9A-Z]$/, 'the hub assigns an identifier');
  t.strictSame(
    await readByHolder(db, [keys.holderKey('111', number)], [codeOfIdCard]),
    [],
    'not found before its seal',
  );
  t.strictSame(await readByIdentifier(db, series, 1), []);

  const queue = await listCertificates(deps, { department: publicSecurity, limit: 10 });
  t.strictSame(
    queue.items.map((item) => item.certificateIdentifier),
    [certificateIdentifier],
  );
  t.notMatch(JSON.stringify(queue), number, 'the queue is without personal data');
  t.strictSame((await listCertificates(deps, { department: civilAffairs, limit: 10 })).items, []);

  const statusOf = () => world.sql(`select value from status_entries where idx = ${pushed.statusReference.idx}`);
  const review = { decision: 'return', officer: officerB, reason: '照片不清' } as const;
  const returned = await reviewCertificate(deps, { ...change(publicSecurity), certificateIdentifier, review });
  t.match(returned.body, { state: 'returned', returnReason: '照片不清' });

  const other = citizen(2);
  const corrected = await correctCertificate(deps, {
    ...change(publicSecurity),
    certificateIdentifier,
    pushed: idCardPush(other, { certificateIdentifier }),
  });
  t.match(corrected.body, { state: 'pending_review', metadata: { holders: [{ number: other }] } });
  t.notOk((corrected.body as CertificateBody).returnReason);

  const sealed = await approveAndSeal(world, certificateIdentifier);
  t.equal(sealed.state, 'valid');
  t.strictSame(
    await readByHolder(db, [keys.holderKey('111', number)], [codeOfIdCard]),
    [],
    'the wrong holder finds nothing',
  );

  const [row] = await readByHolder(db, keys.holderKeys('111', other), [codeOfIdCard]);
  if (row === undefined) throw new Error('not found by its holder');
  t.strictSame((await readByIdentifier(db, series, 1))[0], row);
  const contents = openRow(keys.box, row);
  if (contents.sealed === undefined) throw new Error('not sealed');
  const header = await sealHeader(db, contents.sealed.headerSha256);
  const part = presentSdJwt(header, contents.sealed, ['name', 'certificateIssuedDate', 'noSuchField']);
  const verified = verifySdJwt(part, { resolveKey: unverifiedLeafKey });
  if (!verified.ok) throw new Error(verified.reasons.join());
  t.strictSame(verified.value.disclosed, { name: '张测试', certificateIssuedDate: '2024-05-20' });
  t.match(verified.value.clear, {
    vct: `urn:certhub:certificate-type:${codeOfIdCard}:1`,
    nbf: Date.parse('2024-05-20T00:00:00+08:00') / 1000,
    exp: Date.parse('2044-05-21T00:00:00+08:00') / 1000,
    certificateIdentifier,
    certificateVersion: '001',
    status: { status_list: { idx: sealed.statusReference.idx, uri: 'https://hub.example.test/status-lists/1' } },
  });
  t.equal(statusAt(row, new Date('2030-01-01')), 'valid');
  t.equal(statusAt(row, new Date('2024-05-19T15:59:59Z')), 'not_yet_valid');
  t.equal(statusAt(row, new Date('2044-05-20T15:59:59Z')), 'valid');
  t.equal(statusAt(row, new Date('2044-05-20T16:00:00Z')), 'expired');

  const outside = new SDJwtInstance({
    hasher: async (data: string | ArrayBuffer) => hashed(data),
    verifier: async () => true,
  });
  const claims = (await outside.getClaims(sealed.sdJwt ?? '')) as Record<string, unknown>;
  t.equal(claims['address'], '示范市虚构路1号', '@sd-jwt/core reads what we sealed');

  const change1 = { action: 'suspend', reason: '挂失', officer: officerA } as const;
  const suspended = await changeCertificateStatus(deps, {
    ...change(publicSecurity),
    certificateIdentifier,
    change: change1,
  });
  t.match(suspended.body, { state: 'suspended' });
  t.match(await statusOf(), { rows: [{ value: 2 }] });
  const resume = { action: 'resume', reason: '撤销挂失' } as const;
  await changeCertificateStatus(deps, { ...change(publicSecurity), certificateIdentifier, change: resume });
  t.match(await statusOf(), { rows: [{ value: 0 }] });
  const revoke = { action: 'revoke', reason: '信息有误', revocationReason: 'issued_in_error' } as const;
  const revoked = await changeCertificateStatus(deps, {
    ...change(publicSecurity),
    certificateIdentifier,
    change: revoke,
  });
  t.match(revoked.body, { state: 'revoked', revocationReason: 'issued_in_error' });
  t.match(await statusOf(), { rows: [{ value: 1 }] });
  for (const action of ['resume', 'suspend', 'revoke'] as const) {
    const again = {
      action,
      reason: '再次',
      ...(action === 'revoke' ? { revocationReason: 'cancelled' as const } : {}),
    };
    const input = { ...change(publicSecurity), certificateIdentifier, change: again };
    t.match(
      await refusalOf(changeCertificateStatus(deps, input)),
      { code: 'wrong_state' },
      `${action} after revocation`,
    );
  }

  const seen = await getCertificate(deps, { call: callBy(publicSecurity), certificateIdentifier });
  t.equal(seen.sdJwt, sealed.sdJwt);
  const history = await certificateHistory(deps, { call: callBy(publicSecurity), certificateIdentifier });
  t.strictSame(
    history.events.map(({ action }) => action),
    ['pushed', 'returned', 'corrected', 'approved', 'sealed', 'suspended', 'resumed', 'revoked'],
  );
  t.match(history.events[1], { officer: officerB, reason: '照片不清' });
  const auditor = callBy('11999900100000104Q', new Date(), ['auditor']);
  t.equal((await certificateHistory(deps, { call: auditor, certificateIdentifier })).events.length, 8);
  const { rows } = await world.sql(
    `select action, outcome from records where action <> 'registerCertificateType' order by record_id`,
  );
  t.equal(rows.length, 8 + 3, 'every step and every read is recorded');
});

await t.test('a revision supersedes the old version when it is sealed, not before', async (t) => {
  const number = citizen(3);
  const first = await issue(world, idCardPush(number));
  const { certificateIdentifier } = first;
  const pushed = idCardPush(number, { fields: { ...idCardPush(number).fields, address: '示范市新路2号' } });
  const answer = await reviseCertificate(deps, { ...change(publicSecurity), certificateIdentifier, pushed });
  const second = answer.body as CertificateBody;
  t.match(second, { version: 2, state: 'pending_review' });
  t.not(second.statusReference.idx, first.statusReference.idx, 'a new status index');
  t.equal((await getCertificate(deps, { call: callBy(publicSecurity), certificateIdentifier })).state, 'valid');
  t.equal(await newestVersion(db, keys.box, seriesOf(certificateIdentifier).series), certificateIdentifier);

  const again = { ...change(publicSecurity), certificateIdentifier, pushed };
  t.match(
    await refusalOf(reviseCertificate(deps, again)),
    { code: 'version_outdated' },
    'from the latest version only',
  );
  const fromUnsealed = { ...change(publicSecurity), certificateIdentifier: second.certificateIdentifier, pushed };
  t.match(await refusalOf(reviseCertificate(deps, fromUnsealed)), { code: 'wrong_state' });

  const sealed = await approveAndSeal(world, second.certificateIdentifier);
  t.equal(sealed.state, 'valid');
  t.equal((await getCertificate(deps, { call: callBy(publicSecurity), certificateIdentifier })).state, 'superseded');
  t.equal(await newestVersion(db, keys.box, seriesOf(certificateIdentifier).series), second.certificateIdentifier);
  const { rows } = await world.sql(
    `select idx, value from status_entries where value <> 0 and idx = ${first.statusReference.idx}`,
  );
  t.strictSame(rows, [{ idx: first.statusReference.idx, value: 1 }]);
  const [old] = await readByIdentifier(db, seriesOf(certificateIdentifier).series, 1);
  t.equal(old && statusAt(old, new Date()), 'superseded');
  const history = await certificateHistory(deps, { call: callBy(publicSecurity), certificateIdentifier });
  t.strictSame(
    history.events.map(({ action, version }) => `${version} ${action}`),
    ['1 pushed', '1 approved', '1 sealed', '2 pushed', '2 approved', '2 sealed', '1 superseded'],
  );
  const push3 = idCardPush(number, { certificateIdentifier: second.certificateIdentifier });
  t.match(await refusalOf(push(world, push3)), { code: 'version_outdated' }, 'the current version pushed again');
  const push1 = idCardPush(number, { certificateIdentifier });
  t.match(await refusalOf(push(world, push1)), { code: 'version_outdated' }, 'a version older than the current');
});

await t.test('a marriage certificate is found by each of its two holders, and changes for both at once', async (t) => {
  const [first, second] = [citizen(4), citizen(5)];
  const { certificateIdentifier } = await issue(world, marriagePush(first, second), civilAffairs);
  const code = typeNamed('结婚证').certificateTypeCode;
  for (const number of [first, second]) {
    const [row] = await readByHolder(db, keys.holderKeys('111', number), [code]);
    t.equal(row?.identifier, certificateIdentifier);
    t.equal(row && openRow(keys.box, row).metadata.holders.length, 2);
  }
  const revoke = { action: 'revoke', reason: '离婚', revocationReason: 'cancelled' } as const;
  await changeCertificateStatus(deps, { ...change(civilAffairs), certificateIdentifier, change: revoke });
  for (const number of [first, second]) {
    const [row] = await readByHolder(db, keys.holderKeys('111', number), [code]);
    t.equal(row && statusAt(row, new Date()), 'revoked');
  }
  t.equal((await listCertificates(deps, { department: civilAffairs, limit: 10 })).items.length, 0);
});

await t.test('the queue is read page by page', async (t) => {
  const pushed: string[] = [];
  for (let index = 10; index < 15; index++)
    pushed.push((await push(world, idCardPush(citizen(index)))).certificateIdentifier);
  const seen: string[] = [];
  let after: string | undefined;
  do {
    const page = await listCertificates(world.deps, { department: publicSecurity, limit: 2, after });
    seen.push(...page.items.map((item) => item.certificateIdentifier));
    after = page.next;
  } while (after !== undefined);
  t.strictSame(seen, pushed, 'oldest first, none twice, none lost');
  const bad = listCertificates(world.deps, { department: publicSecurity, limit: 2, after: 'x' });
  t.match(await refusalOf(bad), { code: 'contract_violation' });
});
