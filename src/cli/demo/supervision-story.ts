import { demoTypes } from './certificates.ts';
import { storyFamily } from './family.ts';
import { expectAnswer } from './load.ts';
import { assert, holderOf, officer } from './matter-answer.ts';
import type { StoryDeps } from './story.ts';

export interface SupervisionStory extends StoryDeps {
  /** The certificate that the story revoked after the school had used it. */
  readonly revoked: string;
}

/** Tells what happens when something goes wrong: needless paper, a wrong certificate, and those who relied on it. */
export async function tellSupervisionStory(deps: SupervisionStory): Promise<void> {
  await paperStep(deps);
  await faultStep(deps);
  await pastUsersStep(deps);
}

async function paperStep({ clientOf, tell, runId }: StoryDeps): Promise<void> {
  const [school, portal] = [clientOf('school-enrolment'), clientOf('citizen-portal')];
  const holder = holderOf(storyFamily().head);
  tell.step(
    'The office wants a photocopy all the same. That is put on file, the father contests it, and the office withdraws it',
    '窗口仍索要复印件:登记在案,家长提出异议,窗口撤回',
  );
  const demand = {
    matterCode: 'school-enrolment',
    requirement: 'identity',
    caseNumber: `BM-${runId}`,
    officer,
    parties: { guardian: holder },
    reason: 'other',
    explanation: '归档要求复印件',
  };
  const { paperDemandId, ...receipt } = await expectAnswer<{ paperDemandId: string; judgement?: unknown }>(
    tell.call(school, 'POST', '/v1/paper-demands', demand),
    201,
  );
  assert(receipt.judgement === undefined, 'the office is not told what certificates the father has');
  const { items } = await expectAnswer<{ items: { paperDemandId: string; judgement: { code: string } }[] }>(
    portal.post('/v1/paper-demands/searches', {
      holder,
      statement: { authenticatedBy: '人脸识别登录', sessionReference: `portal-${runId}` },
    }),
    200,
  );
  const seen = items.find((each) => each.paperDemandId === paperDemandId);
  assert(seen?.judgement.code === 'could_supply', 'the hub had the proof, and the father is told so');
  const path = `/v1/paper-demands/${paperDemandId}`;
  const contest = { holder, statement: '身份证就在平台上' };
  await expectAnswer(tell.call(portal, 'POST', `${path}/contests`, contest), 200);
  const answer = { outcome: 'withdrawn', reason: '不再收取复印件', officer: { id: 'officer-01', name: '王主任' } };
  await expectAnswer(tell.call(school, 'POST', `${path}/answers`, answer), 200);
}

async function faultStep({ clientOf, tell, revoked }: SupervisionStory): Promise<void> {
  const [school, issuer] = [clientOf('school-enrolment'), clientOf('psb-issuer')];
  tell.step(
    'A certificate looks wrong: the report gets a number, an owner and a deadline; the answer is checked against the certificate',
    '证照有误:反馈即得回执号、责任部门和期限,答复与所存证照核对',
  );
  const report = {
    kind: 'wrong',
    certificateTypeCode: demoTypes.residencePermit,
    certificateIdentifier: revoked,
    fields: ['currentAddress'],
    explanation: '居住地址与实际不符',
    officer,
  };
  const { feedbackId } = await expectAnswer<{ feedbackId: string }>(
    tell.call(school, 'POST', '/v1/feedback', report),
    201,
  );
  const { state } = await expectAnswer<{ state: string }>(
    tell.call(issuer, 'POST', `/v1/feedback/${feedbackId}/answers`, {
      outcome: 'revoked',
      reason: '登记信息确有错误,已撤销并重新核发',
      officer: { id: 'reviewer-11', name: '郑复核' },
    }),
    200,
  );
  assert(state === 'revoked', 'answered, because it is so');
}

async function pastUsersStep({ clientOf, tell, revoked, now }: SupervisionStory): Promise<void> {
  tell.step(
    'Who relied on the revoked certificate: the issuer sees which systems, each system sees which certificates',
    '谁曾依据已撤销的证照办事:发证部门看到系统,各系统看到证照',
  );
  const users = await expectAnswer<{ items: { system: { clientId: string } }[] }>(
    tell.call(clientOf('psb-issuer'), 'POST', `/v1/certificates/${revoked}/past-users`, {}),
    200,
  );
  const systems = users.items.map(({ system }) => system.clientId).toSorted();
  assert(systems.join() === 'housing-allocation,school-enrolment', 'who looked it up, and who compared with it');
  const from = new Date(now().getTime() - 86_400_000).toISOString();
  const changes = await expectAnswer<{ items: { certificateIdentifier: string }[] }>(
    clientOf('school-enrolment').post('/v1/receipts/changes', { from }),
    200,
  );
  assert(
    changes.items.some(({ certificateIdentifier }) => certificateIdentifier === revoked),
    'and the school learns it by one question',
  );
  tell.line(`   the school, asked what changed since yesterday, is told of ${changes.items.length}`);
}
