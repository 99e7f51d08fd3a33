import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import type { ApiClient } from '../api-client.ts';
import { run as verifyCommand } from '../verify.ts';
import { demoTypes } from './certificates.ts';
import { expectAnswer } from './load.ts';
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

const officer = { id: 'officer-27', name: '陈受理' } as const;
const assert: (condition: boolean, claim: string) => asserts condition = (condition, claim) => {
  if (!condition) throw new Error(`the story went wrong: ${claim}`);
};

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

  const permit = await issueStep(deps);
  await refusalStep(deps, byPerson);
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

async function refusalStep({ clientOf, tell }: StoryDeps, byPerson: object): Promise<void> {
  tell.step(
    'Without a grant a lookup is refused, and says what to apply for',
    '未获授权的调用被拒绝,并告知应申请的授权',
  );
  const refused = await expectAnswer<{ code: string; context: { apply: unknown[] } }>(
    tell.call(clientOf('approval-hall'), 'POST', '/v1/lookups', {
      ...byPerson,
      types: [{ certificateTypeCode: demoTypes.residencePermit, fields: ['currentAddress'] }],
    }),
    403,
  );
  assert(refused.code === 'grant_required' && refused.context.apply.length === 1, 'the refusal names the grant');
}

async function lookupStep(deps: StoryDeps, byPerson: object, permit: string): Promise<LookupAnswer> {
  const { clientOf, tell, folder } = deps;
  tell.step('The owner department has decided: a grant is put on file', '主管部门同意授权');
  await grant(deps, 'school-enrolment', demoTypes.residencePermit, 'fields', {
    fields: ['name', 'currentAddress', 'certificateNumber'],
    matters: ['school-enrolment'],
    legalBases: ['own_application'],
  });

  tell.step('The approval system looks up by ID number and gets the proof', '审批系统凭公民身份号码调用证照');
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
  await grant(deps, 'approval-hall', demoTypes.businessLicence, 'fields', {
    fields: ['companyName', 'legalRepresentative', 'businessScope'],
    matters: ['food-business-licence'],
    legalBases: ['statutory_duty'],
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
  await grant(deps, 'housing-allocation', demoTypes.residencePermit, 'compare', {
    fields: ['name', 'sex'],
    matters: ['affordable-housing'],
    legalBases: ['statutory_duty'],
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

async function grant(
  { clientOf, tell, now }: StoryDeps,
  clientId: string,
  certificateTypeCode: string,
  level: 'compare' | 'fields',
  scope: {
    readonly fields: readonly string[];
    readonly matters: readonly string[];
    readonly legalBases: readonly string[];
  },
): Promise<void> {
  const from = now();
  const until = new Date(from.getTime() + 365 * 86_400_000);
  await expectAnswer(
    tell.call(clientOf('hub-admin'), 'POST', '/v1/grants', {
      clientId,
      certificateTypeCode,
      level,
      ...scope,
      validFrom: new Date(from.getTime() - 60_000).toISOString(),
      validUntil: until.toISOString(),
      dailyQuota: 5_000,
      decisionReference: '示数授〔2026〕17号',
    }),
    201,
  );
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
