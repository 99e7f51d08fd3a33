import type { ApiClient } from '../../src/cli/api-client.ts';
import { type DemoPush, demoPushes, demoTypes } from '../../src/cli/demo/certificates.ts';
import { expectAnswer, issue } from '../../src/cli/demo/load.ts';
import { type Person, personOf } from '../../src/cli/demo/people.ts';
import { putGrant } from '../support/demo-samples.ts';

export interface MattersBench {
  readonly clientOf: (clientId: string) => ApiClient;
  readonly rounds: number;
  readonly say: (text: string) => void;
}

const matterCode = 'bench-matter';
const perRound = 150;
/** Types of which a person has one each; with two parties they make eight requirements. */
const types = [
  { certificateTypeCode: demoTypes.residentIdCard, fields: ['name', 'birthDate'] },
  { certificateTypeCode: demoTypes.residencePermit, fields: ['name', 'residenceReason'] },
  { certificateTypeCode: demoTypes.socialInsurance, fields: ['name', 'pensionMonths'] },
  { certificateTypeCode: demoTypes.employment, fields: ['name', 'registrationKind'] },
] as const;
const parties = { applicant: personOf(8_001), spouse: personOf(8_002) };
const why = {
  caseNumber: 'CASE-1',
  officer: { id: 'officer-1', name: '经办人' },
  legalBasis: 'own_application',
} as const;
const words = (text: string) => ({ zh: text, en: text });
const holderOf = ({ idNumber }: Person) => ({ type: '111', number: idNumber });

/** How long a matter check with eight requirements takes beside one lookup: one caller, in turn, in one run. */
export async function benchMatters({ clientOf, rounds, say }: MattersBench): Promise<void> {
  await prepare(clientOf);
  const school = clientOf('school-enrolment');
  const check = () =>
    expectAnswer<{ complete: boolean; evidence: unknown[] }>(
      school.post(`/v1/matters/${matterCode}/checks`, {
        ...why,
        parties: { applicant: holderOf(parties.applicant), spouse: holderOf(parties.spouse) },
      }),
      200,
    );
  const lookUp = () =>
    expectAnswer(
      school.post('/v1/lookups', {
        purpose: { ...why, matterCode },
        level: 'fields',
        holder: holderOf(parties.applicant),
        types: [types[0]],
      }),
      200,
    );
  const first = await check();
  if (!first.complete || first.evidence.length !== 8) throw new Error('the check is not what it should be');
  await measure(lookUp, check, 50);
  const ratios: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const { one, other } = await measure(lookUp, check, perRound);
    ratios.push(other / one);
    say(
      `round ${round + 1}: lookup ${one.toFixed(2)} ms, matter check with 8 requirements and 8 lookups ${other.toFixed(2)} ms (medians of ${perRound}), ratio ${(other / one).toFixed(2)}`,
    );
  }
  say(`matter check with 8 requirements: ${median(ratios).toFixed(2)} × the time of one lookup (at most 3 promised)`);
}

/** Medians of two actions that take turns. */
async function measure(
  one: () => Promise<unknown>,
  other: () => Promise<unknown>,
  times: number,
): Promise<{ readonly one: number; readonly other: number }> {
  const took: [number[], number[]] = [[], []];
  for (let i = 0; i < times; i += 1) {
    took[0].push(await timed(one));
    took[1].push(await timed(other));
  }
  return { one: median(took[0]), other: median(took[1]) };
}

async function timed(action: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await action();
  return performance.now() - begun;
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

async function prepare(clientOf: MattersBench['clientOf']): Promise<void> {
  const admin = clientOf('hub-admin');
  await expectAnswer(
    admin.post('/v1/matters', {
      matterCode,
      name: words('Bench'),
      departmentCode: '11999900100000075D',
      parties: Object.keys(parties).map((code) => ({ code, name: words(code), kind: 'person' })),
      requirements: Object.keys(parties).flatMap((of) =>
        types.map((type, i) => ({
          code: `${of}-${i}`,
          name: words(`${of} ${i}`),
          legalGround: words('bench'),
          alternatives: [[{ ...type, of }]],
        })),
      ),
    }),
    201,
  );
  for (const { certificateTypeCode, fields } of types) {
    await putGrant(clientOf, { certificateTypeCode, fields, matters: [matterCode], dailyQuota: 100_000_000 });
    for (const [who, person] of Object.entries(parties)) {
      const push = pushFor(certificateTypeCode, person, who);
      await issue(clientOf(push.clientId), push, `bench-matter-${certificateTypeCode}-${who}`);
    }
  }
  // Longer than any process may not know of a change.
  await new Promise((resolve) => setTimeout(resolve, 1_500));
}

function pushFor(typeCode: string, person: Person, who: string): DemoPush {
  const push = demoPushes(48).find(({ body }) => body.certificateTypeCode === typeCode);
  if (push === undefined) throw new Error(`no push of ${typeCode}`);
  const holders = [{ ...holderOf(person), name: person.name }];
  return { ...push, body: { ...push.body, certificateNumber: `BENCH-${who}-${typeCode.slice(-3)}`, holders } };
}
