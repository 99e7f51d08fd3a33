import { demoTypes } from './certificates.ts';
import type { Family } from './family.ts';
import { expectAnswer } from './load.ts';
import { assert, type Check, holderOf, legalBasis, mustBe, officer, wishesOf } from './matter-answer.ts';
import { obtainGrant } from './obtain-grant.ts';
import type { Person } from './people.ts';
import type { StoryDeps } from './story.ts';

interface OtherMatter {
  readonly matterCode: string;
  readonly clientId: string;
  readonly parties: Readonly<Record<string, Person>>;
  /** Of the types it names, those that are enough. */
  readonly types: readonly string[];
  readonly outcomes: Readonly<Record<string, string>>;
  readonly complete: boolean;
}

const otherMatters = ({ head, spouse, tenant }: Family): readonly OtherMatter[] => [
  {
    matterCode: 'affordable-housing',
    clientId: 'housing-allocation',
    parties: { applicant: tenant },
    types: [demoTypes.residentIdCard, demoTypes.residencePermit, demoTypes.socialInsurance],
    outcomes: { identity: 'satisfied', residence: 'satisfied', work: 'satisfied', income: 'satisfied', home: 'later' },
    complete: true,
  },
  {
    matterCode: 'household-registration',
    clientId: 'approval-hall',
    parties: { applicant: spouse, host: head },
    types: [demoTypes.residentIdCard, demoTypes.marriage, demoTypes.realEstate],
    outcomes: {
      identity: 'satisfied',
      'host-identity': 'satisfied',
      marriage: 'satisfied',
      home: 'satisfied',
      migration: 'later',
    },
    complete: true,
  },
  {
    matterCode: 'exit-entry',
    clientId: 'approval-hall',
    parties: { applicant: head },
    types: [demoTypes.residentIdCard, demoTypes.householdRegister],
    outcomes: { identity: 'satisfied', place: 'satisfied', photo: 'to_supply', consent: 'declaration' },
    complete: false,
  },
];

const legalGround = '受理该事项所需,见事项目录所列依据';

/** Checks each of the other starter matters twice: for the grants it takes, and under them. */
export async function otherMattersStep(deps: StoryDeps, family: Family): Promise<void> {
  const { clientOf, tell, runId } = deps;
  tell.step(
    'The other matters of the catalogue, from the grants that a first check names to the last requirement',
    '其余三个事项,从首次核对指出的授权到每一项要求',
  );
  for (const { matterCode, clientId, parties, types, outcomes, complete } of otherMatters(family)) {
    const ask = (): Promise<Check> =>
      expectAnswer<Check>(
        clientOf(clientId).post(`/v1/matters/${matterCode}/checks`, {
          caseNumber: `${matterCode}-${runId}`,
          officer,
          legalBasis,
          parties: Object.fromEntries(Object.entries(parties).map(([code, person]) => [code, holderOf(person)])),
        }),
        200,
      );
    const wishes = wishesOf(await ask(), types);
    for (const { certificateTypeCode, level, fields } of wishes) {
      const wanted = { level, fields, matters: [matterCode], legalBases: [legalBasis], dailyQuota: 2_000 };
      await obtainGrant({ clientOf }, { clientId, certificateTypeCode, wanted, legalGround });
    }
    const check = await ask();
    mustBe(check, outcomes);
    assert(check.complete === complete, `${matterCode} is ${complete ? '' : 'not '}complete`);
    const told = check.requirements.map(({ name, outcome }) => `${name.zh} ${outcome}`).join(' · ');
    tell.line(`   ${clientId} → ${matterCode}: ${complete ? 'complete' : 'not complete yet'}: ${told}`);
  }
}
