import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import type { ApiClient } from '../api-client.ts';
import { run as verifyCommand } from '../verify.ts';
import { demoTypes } from './certificates.ts';
import { expectAnswer } from './load.ts';
import { type ApplyFor, assert, officer } from './matter-answer.ts';
import { type GrantWish, giveBackGrants, obtainGrant } from './obtain-grant.ts';
import { companyOf, personOf } from './people.ts';
import type { Teller } from './teller.ts';

export interface StoryDeps {
  readonly clientOf: (clientId: string) => ApiClient;
  readonly anyone: ApiClient;
  readonly tell: Teller;
  /** Where the story leaves the files it talks about. */
  readonly folder: string;
  readonly now: () => Date;
  /** Differs from run to run, so that the story can be told again on the same data. */
  readonly runId: string;
}

interface Certificate {
  readonly certificateIdentifier: string;
  readonly state: string;
}
interface Found {
  readonly certificateIdentifier: string;
  readonly certificateTypeCode: string;
  readonly status: string;
  readonly fields?: Record<string, unknown>;
  readonly compared?: Record<string, boolean>;
  readonly sdJwt: string;
}
interface LookupAnswer {
  readonly recordId: string;
  readonly answer: string;
  readonly certificates: readonly Found[];
}

/** What the closing lines and the tests need to know of a story that was told. */
export interface Told {
  readonly idNumber: string;
  readonly purpose: object;
  /** The record of the lookup whose answer lies in `answer.json`. */
  readonly recordId: string;
  /** The certificate that was looked up and then revoked. */
  readonly revoked: string;
}

/** Tells the main job step by step, over HTTP, and fails loudly where anything is not as told. */
export async function tellStory(deps: StoryDeps): Promise<Told> {
  const { clientOf, tell, runId } = deps;
  const person = personOf(0);
  const school = clientOf('school-enrolment');
  const purpose = {
    matterCode: 'school-enrolment',
    caseNumber: `RX-2026-${runId}`,
    officer,
    legalBasis: 'own_application',
  };
  const byPerson = { purpose, level: 'fields', holder: { type: '111', number: person.idNumber } };

  await giveBackGrants(clientOf);
  const permit = await issueStep(deps);
  await applyStep(deps, await refusalStep(deps, byPerson));
  const found = await lookupStep(deps, byPerson, permit);
  await companyStep(deps);
  await compareStep(deps, person.idNumber, person.name);
  await verifyStep(deps, found);

  tell.step('The issuer revokes; the next lookup sees it', '发证部门撤销,下一次调用即可见');
  await expectAnswer(
    tell.call(clientOf('psb-issuer'), 'POST', `/v1/certificates/${permit}/status-changes`, {
      action: 'revoke',
      revocationReason: 'issued_in_error',
      reason: '登记信息有误,重新核发',
    }),
    200,
  );
  const after = await expectAnswer<LookupAnswer>(tell.call(school, 'POST', '/v1/lookups', byPerson), 200);
  const revoked = after.certificates.find(({ certificateIdentifier }) => certificateIdentifier === permit);
  assert(revoked?.status === 'revoked' && revoked.fields === undefined, 'revoked, and no field leaves any more');

  return { idNumber: person.idNumber, purpose, recordId: found.recordId, revoked: permit };
}

async function issueStep({ clientOf, tell, runId }: StoryDeps): Promise<string> {
  const person = personOf(0);
  const issuer = clientOf('psb-issuer');
  tell.step('An issuing department pushes a certificate', '发证部门推送证照元数据');
  const pushed = await expectAnswer<Certificate>(
    tell.call(issuer, 'POST', '/v1/certificates', {
      certificateTypeCode: demoTypes.residencePermit,
      certificateNumber: `JZ-${runId}`,
      certificateIssuedDate: '2026-11-20',
      certificateEffectiveDate: '2026-11-20',
      certificateExpiringDate: '2031-11-19',
      holders: [{ type: '111', number: person.idNumber, name: person.name }],
      fields: {
        name: person.name,
        sex: person.sex,
        birthDate: person.birthDate,
        registeredResidence: '外省示例县示例镇8号',
        currentAddress: person.address,
        residenceReason: '合法稳定就业',
      },
      officer: { id: 'clerk-03', name: '周录入' },
    }),
    201,
  );
  assert(pushed.state === 'pending_review', 'it waits for the review');
  const path = `/v1/certificates/${pushed.certificateIdentifier}`;

  tell.step('Another officer reviews and approves it', '另一名经办人审核通过');
  const review = { decision: 'approve', officer: { id: 'reviewer-11', name: '郑复核' } };
  await expectAnswer(tell.call(issuer, 'POST', `${path}/reviews`, review), 200);

  tell.step('The department seals it', '部门签章,生成电子证照');
  const sealed = await expectAnswer<Certificate>(tell.call(issuer, 'POST', `${path}/seals`, {}), 200);
  assert(sealed.state === 'valid', 'sealed and valid');
  return pushed.certificateIdentifier;
}

async function refusalStep({ clientOf, tell }: StoryDeps, byPerson: object): Promise<ApplyFor> {
  tell.step(
    'Without a grant a lookup is refused, and says what to apply for',
    '未获授权的调用被拒绝,并告知应申请的授权',
  );
  const fields = ['name', 'currentAddress', 'certificateNumber'];
  const refused = await expectAnswer<{ code: string; context: { apply: readonly ApplyFor[] } }>(
    tell.call(clientOf('school-enrolment'), 'POST', '/v1/lookups', {
      ...byPerson,
      types: [{ certificateTypeCode: demoTypes.residencePermit, fields }],
    }),
    403,
  );
  const [apply] = refused.context.apply;
  // Told again on the same data, the grant of the first time has been revoked.
  assert(/^grant_(required|revoked)$/.test(refused.code) && apply !== undefined, 'the refusal names the grant');
  return apply;
}

async function applyStep({ clientOf, tell }: StoryDeps, apply: ApplyFor): Promise<void> {
  const { certificateTypeCode, wanted } = apply;
  tell.step(
    'It applies for exactly that. The department that owns the type decides, and the hub as well, because an address is sensitive',
    '据此申请授权:由主管部门决定,住址属敏感字段,另由平台管理部门决定',
  );
  const { approvedBy } = await obtainGrant(
    // One decision shows how it goes.
    {
      clientOf,
      send: (client, path, body) =>
        client.clientId === 'hub-admin' ? client.post(path, body) : tell.call(client, 'POST', path, body),
    },
    {
      clientId: 'school-enrolment',
      certificateTypeCode,
      wanted: { ...wanted, dailyQuota: 5_000, officerDailyHolders: 100 },
      legalGround: '《义务教育法》第十二条;学校受理入学申请需核验居住地',
    },
  );
  assert(approvedBy.join() === 'psb-grants,hub-admin', 'two had to decide');
  tell.line('   hub-admin approves it likewise, and that makes the grant');
}

async function lookupStep(
  { clientOf, tell, folder }: StoryDeps,
  byPerson: object,
  permit: string,
): Promise<LookupAnswer> {
  tell.step('The same lookup by ID number gets the proof', '再次凭公民身份号码调用,获得证照');
  const answer = await expectAnswer<LookupAnswer>(
    tell.call(clientOf('school-enrolment'), 'POST', '/v1/lookups', byPerson),
    200,
  );
  const found = answer.certificates.find(({ certificateIdentifier }) => certificateIdentifier === permit);
  assert(found !== undefined && found.status === 'valid', 'the permit is found and valid');
  const names = Object.keys(found.fields ?? {})
    .toSorted()
    .join();
  assert(names === 'certificateNumber,currentAddress,name', 'exactly the granted fields left');
  writeFileSync(join(folder, 'answer.json'), JSON.stringify({ ...answer, certificates: [found] }, undefined, 2));
  return { ...answer, certificates: [found] };
}

async function companyStep(deps: StoryDeps): Promise<void> {
  const { clientOf, tell, runId } = deps;
  tell.step('The same by unified social credit code', '凭统一社会信用代码调用');
  await permitted(deps, {
    clientId: 'approval-hall',
    certificateTypeCode: demoTypes.businessLicence,
    wanted: {
      level: 'fields',
      fields: ['companyName', 'legalRepresentative', 'businessScope'],
      matters: ['food-business-licence'],
      legalBases: ['statutory_duty'],
      dailyQuota: 5_000,
    },
    legalGround: '《食品经营许可和备案管理办法》第十四条',
  });
  // The city's first business licence belongs to the company of the third certificate.
  const company = companyOf(2);
  const answer = await expectAnswer<LookupAnswer>(
    tell.call(clientOf('approval-hall'), 'POST', '/v1/lookups', {
      purpose: {
        matterCode: 'food-business-licence',
        caseNumber: `SP-${runId}`,
        officer,
        legalBasis: 'statutory_duty',
      },
      level: 'fields',
      holder: { type: '001', number: company.uscc },
    }),
    200,
  );
  assert(answer.certificates[0]?.fields?.['companyName'] === company.name, 'the licence of that company');
}

async function compareStep(deps: StoryDeps, idNumber: string, name: string): Promise<void> {
  const { clientOf, tell, runId } = deps;
  tell.step('Often yes or no is enough: a compare discloses nothing', '能比对就不出示:比对核验只回答是否一致');
  await permitted(deps, {
    clientId: 'housing-allocation',
    certificateTypeCode: demoTypes.residencePermit,
    wanted: {
      level: 'compare',
      fields: ['name', 'sex'],
      matters: ['affordable-housing'],
      legalBases: ['statutory_duty'],
      dailyQuota: 5_000,
    },
    legalGround: '《公共租赁住房管理办法》第八条',
  });
  const answer = await expectAnswer<LookupAnswer>(
    tell.call(clientOf('housing-allocation'), 'POST', '/v1/lookups', {
      purpose: { matterCode: 'affordable-housing', caseNumber: `BZ-${runId}`, officer, legalBasis: 'statutory_duty' },
      level: 'compare',
      holder: { type: '111', number: idNumber },
      types: [{ certificateTypeCode: demoTypes.residencePermit, compare: { name, sex: '不详' } }],
    }),
    200,
  );
  const valid = answer.certificates.find(({ status }) => status === 'valid');
  assert(valid?.compared?.['name'] === true && valid.compared['sex'] === false, 'one agrees, one does not');
  assert(valid.fields === undefined, 'and nothing else is told');
}

/** Obtains a grant and says so in a line: how that goes has been told. */
async function permitted({ clientOf, tell }: StoryDeps, wish: GrantWish): Promise<void> {
  const { approvedBy } = await obtainGrant({ clientOf }, wish);
  tell.line(`   ${wish.clientId} has applied for the grant; ${approvedBy.join(' and ')} approved it`);
}

async function verifyStep({ anyone, tell, folder }: StoryDeps, { answer, certificates }: LookupAnswer): Promise<void> {
  const [found] = certificates;
  tell.step('Anyone can verify it, online', '任何人都可在线核验');
  const sdJwt = found?.sdJwt ?? '';
  const online = await expectAnswer<{ verdict: number }>(
    tell.call(anyone, 'POST', '/v1/verifications', { answer, sdJwts: [sdJwt] }),
    200,
  );
  assert(online.verdict === 0, 'verdict 0: correct and valid');

  tell.step('... and offline, with no server and no database', '也可离线核验,不依赖服务器与数据库');
  const bundle = await expectAnswer(anyone.get('/v1/trust-bundle'), 200);
  const [bundleFile, answerFile] = [join(folder, 'trust.json'), join(folder, 'answer.json')];
  writeFileSync(bundleFile, JSON.stringify(bundle));
  tell.command(`certhub verify ${answerFile} --trust ${bundleFile}`);
  const verdict = await verifyCommand([answerFile, '--trust', bundleFile], {
    stdout: tell.output,
    stderr: tell.output,
    env: {},
  });
  assert(verdict === 0, 'the offline verifier agrees');
  const forged = join(folder, 'forged.json');
  const cut = sdJwt.replace(/~.+$/s, '~');
  writeFileSync(forged, JSON.stringify({ answer, certificates: [{ ...found, sdJwt: cut }] }));
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const refused = await verifyCommand([forged, '--trust', bundleFile], { stdout: silent, stderr: silent, env: {} });
  assert(refused !== 0, 'a changed answer is not accepted');
}
