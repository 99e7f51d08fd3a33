import t from 'tap';
import { personOf } from '../../src/cli/demo/people.ts';
import { logsAreClean, refusing } from './refuses.ts';
import { newDepartmentCode, samples } from './samples.ts';
import { startWorld } from './world.ts';

const world = await startWorld(t);
for (const clientId of ['hub-admin', 'school-enrolment']) await world.client(clientId).token();

await t.test('checkMatter refuses whom the matter does not know, and days that are none', async (t) => {
  const sound = await samples.checkMatter(world);
  const refuses = await refusing(world);
  const { parties: _, ...rest } = { parties: {}, ...sound.body };
  const applicant = { type: '111', number: personOf(77).idNumber };
  const employer = { type: '001', number: newDepartmentCode() };
  const last = applicant.number.at(-1) === '1' ? '2' : '1';
  const miscounted = { ...applicant, number: `${applicant.number.slice(0, 17)}${last}` };
  const cases: [what: string, parties: object, status: number, code: string, pointer: string][] = [
    ['a party is missing', { applicant }, 422, 'party_missing', '/parties/employer'],
    ['one too many', { applicant, employer, neighbour: applicant }, 422, 'party_missing', '/parties/*'],
    ['a person for a company', { applicant, employer: applicant }, 422, 'party_missing', '/parties/employer/type'],
    ['a company for a person', { applicant: employer, employer }, 422, 'party_missing', '/parties/applicant/type'],
    ['a check digit', { applicant: miscounted, employer }, 422, 'invalid_id_number', '/parties/applicant/number'],
    [
      'a check character',
      { applicant, employer: { type: '001', number: '11999900100000016B' } },
      422,
      'invalid_uscc',
      '/parties/employer/number',
    ],
    [
      'no such kind of number',
      { applicant: { ...applicant, type: '777' }, employer },
      422,
      'invalid_holder_type',
      '/parties/applicant/type',
    ],
    ['nobody', {}, 400, 'contract_violation', '/parties'],
  ];
  for (const [what, parties, status, code, pointer] of cases) {
    await refuses(t, what, { operationId: 'checkMatter', ...sound, body: { ...rest, parties } }, [
      status,
      code,
      pointer,
    ]);
  }
  for (const date of ['2026-02-30', '0999-12-31', '9999-01-01', '2026-11-22T00:00:00Z']) {
    await refuses(t, date, { operationId: 'checkMatter', ...sound, body: { ...sound.body, date } }, [
      400,
      'contract_violation',
      '/date',
    ]);
  }
  await refuses(t, 'no such matter', { operationId: 'checkMatter', ...sound, params: { matterCode: 'no-such' } }, [
    404,
    'matter_unknown',
    '/matterCode',
  ]);
});

await t.test('nothing of it is in the logs', (t) => {
  logsAreClean(t, world);
  t.end();
});
