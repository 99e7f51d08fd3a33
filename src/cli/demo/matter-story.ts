import { demoTypes } from './certificates.ts';
import { type Family, familyCertificates, storyFamily } from './family.ts';
import { expectAnswer, issue } from './load.ts';
import {
  type Apply,
  assert,
  type Check,
  holderOf,
  legalBasis,
  mustBe,
  officer,
  tellOutcomes,
  wishesOf,
} from './matter-answer.ts';
import { obtainGrant } from './obtain-grant.ts';
import { otherMattersStep } from './other-matters.ts';
import type { Person } from './people.ts';
import { portalStatement } from './portal-statement.ts';
import type { StoryDeps } from './story.ts';

export interface MatterStoryDeps extends StoryDeps {
  /** The only audience of a holder's statement. */
  readonly issuer: string;
}

/** Tells what people come for: matters, the permissions they need, what is missing, and tickets. Returns a check that is complete, to try again. */
export async function tellMatterStory(deps: MatterStoryDeps): Promise<object> {
  const family = storyFamily();
  await prepare(deps, family);
  const wishes = await firstCheckStep(deps, family);
  await applyStep(deps, wishes);
  await secondCheckStep(deps, family);
  await noticeStep(deps, family);
  await otherMattersStep(deps, family);
  await ticketStep(deps, family);
  return enrolment(`BM-${deps.runId}`, family, family.child);
}

/** What the issuers have on file. */
async function prepare({ clientOf, now }: StoryDeps, family: Family): Promise<void> {
  for (const { key, push } of familyCertificates(family, now().toISOString().slice(0, 10))) {
    await issue(clientOf(push.clientId), push, `family-${key}`);
  }
}

const enrolment = (caseNumber: string, { head }: Family, child: Person) => ({
  caseNumber,
  officer,
  legalBasis,
  parties: { guardian: holderOf(head), child: holderOf(child) },
});

/** The school asks what the enrolment of the child still lacks, and tells what it hears. */
async function checkEnrolment(deps: StoryDeps, family: Family): Promise<Check> {
  const { clientOf, tell, runId } = deps;
  const school = clientOf('school-enrolment');
  const body = enrolment(`BM-${runId}`, family, family.child);
  const answered = tell.call(school, 'POST', '/v1/matters/school-enrolment/checks', body);
  const check = await expectAnswer<Check>(answered, 200);
  tellOutcomes(deps, check);
  return check;
}

async function firstCheckStep(deps: StoryDeps, family: Family): Promise<readonly Apply[]> {
  const { tell } = deps;
  tell.step(
    'A parent enrols a child with nothing on paper: "what is still missing?" names the permissions the school lacks',
    '家长不带纸质材料为孩子报名:"还缺什么"先指出学校尚缺的用证授权',
  );
  tell.line('   on file: pages of the household register of the father and the child, and the ID card of the father');
  const check = await checkEnrolment(deps, family);
  mustBe(check, {
    identity: 'permission_needed',
    guardianship: 'permission_needed',
    age: 'permission_needed',
    residence: 'permission_needed',
    vaccination: 'declaration',
  });
  assert(!check.complete && check.evidence.length === 0, 'without a grant nobody was asked about');
  return wishesOf(check, [demoTypes.householdRegister, demoTypes.residentIdCard]);
}

async function applyStep({ clientOf, tell }: StoryDeps, wishes: readonly Apply[]): Promise<void> {
  tell.step('The school applies for exactly that, as it did before', '学校照样据此申请授权');
  assert(wishes.length === 2, 'two certificate types are enough');
  for (const { certificateTypeCode, level, fields } of wishes) {
    const { approvedBy } = await obtainGrant(
      { clientOf },
      {
        clientId: 'school-enrolment',
        certificateTypeCode,
        wanted: {
          level,
          fields,
          matters: ['school-enrolment'],
          legalBases: [legalBasis],
          dailyQuota: 2_000,
          officerDailyHolders: 100,
        },
        legalGround: '《义务教育法》第十一条、第十二条;学校受理入学申请需核验监护关系、年龄和居住地',
      },
    );
    assert(approvedBy.join() === 'psb-grants,hub-admin', 'two had to decide');
    tell.line(`   ${certificateTypeCode} (${fields.join(', ')}): approved by ${approvedBy.join(' and ')}`);
  }
}

async function secondCheckStep(deps: StoryDeps, family: Family): Promise<void> {
  const { tell } = deps;
  tell.step(
    'The same check again: all of it is proved by certificates, and the evidence comes along',
    '再次核对:全部由电子证照证明,证据随答复送达,家长无须提交纸质材料',
  );
  const check = await checkEnrolment(deps, family);
  mustBe(check, {
    identity: 'satisfied',
    guardianship: 'satisfied',
    age: 'satisfied',
    residence: 'satisfied',
    vaccination: 'declaration',
  });
  assert(check.complete, 'the school can accept the application');
  const seals = check.evidence.flatMap(({ certificates }) => certificates.map(({ sdJwt }) => sdJwt));
  assert(seals.length >= 3 && seals.every((sdJwt) => sdJwt.includes('~')), 'sealed evidence of parent and child');
}

async function noticeStep(deps: StoryDeps, family: Family): Promise<void> {
  const { clientOf, tell, runId } = deps;
  tell.step(
    'He enrols a nephew as well. One proof is missing, and one notice names all there is to do',
    '他又为侄子报名,缺一项证明:补正材料通知书一次性告知',
  );
  const check = await expectAnswer<Check>(
    clientOf('school-enrolment').post(
      '/v1/matters/school-enrolment/checks',
      enrolment(`BM-${runId}-2`, family, family.nephew),
    ),
    200,
  );
  tellOutcomes(deps, check);
  mustBe(check, {
    identity: 'satisfied',
    guardianship: 'to_supply',
    age: 'satisfied',
    residence: 'satisfied',
    vaccination: 'declaration',
  });
  const { notice } = check;
  assert(!check.complete && notice !== undefined, 'it cannot be accepted yet, and a notice says why');
  assert(
    notice.items[0]?.requirement === 'guardianship' && notice.items.length === 2,
    'the notice names what is missing',
  );
  for (const line of notice.text.zh.split('\n')) tell.line(`   │ ${line}`);
}

async function ticketStep({ clientOf, tell, runId, now, issuer }: MatterStoryDeps, { head }: Family): Promise<void> {
  const hall = clientOf('approval-hall');
  tell.step(
    'A ticket for one case: on the word of the citizen, whom the portal has authenticated, for one lookup',
    '用证码:凭门户签名的本人授权,为一个办件签发,只能用一次',
  );
  const purpose = { matterCode: 'exit-entry', caseNumber: `exit-entry-${runId}`, officer, legalBasis };
  const holder = holderOf(head);
  const types = [{ certificateTypeCode: demoTypes.residentIdCard, fields: ['name', 'sex'] }];
  const statement = await portalStatement({
    issuer,
    forClient: 'approval-hall',
    matterCode: purpose.matterCode,
    caseNumber: purpose.caseNumber,
    holder,
    types: types.map(({ certificateTypeCode }) => certificateTypeCode),
    at: now(),
  });
  const issued = await expectAnswer<{ ticket: string; uses: number }>(
    tell.call(hall, 'POST', '/v1/tickets', { purpose, level: 'fields', holder, types, statement }),
    201,
  );
  const question = { purpose, level: 'fields', holder, ticket: issued.ticket };
  const answer = await expectAnswer<{ certificates: { fields?: Record<string, unknown> }[] }>(
    tell.call(hall, 'POST', '/v1/lookups', question),
    200,
  );
  const fields = answer.certificates[0]?.fields ?? {};
  assert(Object.keys(fields).toSorted().join() === 'name,sex', 'the grant says more, the ticket says two fields');
  const again = await tell.call(hall, 'POST', '/v1/lookups', question);
  assert(
    again.status === 403 && (again.body as { code?: string }).code === 'ticket_used_up',
    'the second use is refused',
  );
}
