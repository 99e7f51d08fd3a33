import t from 'tap';
import { expectAnswer } from '../../src/cli/demo/load.ts';
import {
  applicationIn,
  approval,
  catalogueFile,
  feedbackBy,
  newMatter,
  newType,
  paperAnswer,
  paperContest,
  paperDemandIn,
  publishLog,
  refusal,
} from '../api/samples.ts';
import { startWorld } from '../api/world.ts';
import { checkAll, lines } from '../support/evidence.ts';
import { exampleKeys } from '../support/start-hub.ts';

const world = await startWorld(t);
const { hub, sql, client } = world;
const post = <T>(clientId: string, path: string, body: object, status = 200): Promise<T> =>
  expectAnswer<T>(client(clientId).post(path, body), status);
const codeOf = (definition: Record<string, unknown>, name: string): string => String(definition[name]);

/** Something that went forward: its row from before is kept, and what took it further. */
interface Thing {
  readonly table: string;
  readonly key: string;
  readonly id: string;
  readonly forward: () => Promise<unknown>;
}

const type = newType();
const matter = newMatter();
const importedMatter = newMatter();
await post('hub-admin', '/v1/certificate-types', type, 201);
await post('hub-admin', '/v1/matters', matter, 201);
await post('hub-admin', '/v1/matters', importedMatter, 201);
const applicationId = await applicationIn(world, 'awaiting_owner');
const withdrawn = await applicationIn(world, 'awaiting_owner');
const feedbackId = await feedbackBy(world);
const [recorded, contested, maintained] = [
  await paperDemandIn(world, 'recorded'),
  await paperDemandIn(world, 'contested'),
  await paperDemandIn(world, 'maintained'),
];
const contest = (id: string) => () => post('citizen-portal', `/v1/paper-demands/${id}/contests`, paperContest);

const renamed = { zh: '改名', en: 'Renamed' };
const things: readonly Thing[] = [
  {
    table: 'certificate_types',
    key: 'code',
    id: codeOf(type, 'certificateTypeCode'),
    forward: () => post('hub-admin', '/v1/certificate-types', { ...type, name: renamed }, 201),
  },
  {
    table: 'matters',
    key: 'code',
    id: codeOf(matter, 'matterCode'),
    forward: () => post('hub-admin', `/v1/matters/${codeOf(matter, 'matterCode')}/retirements`, { reason: 'over' }),
  },
  {
    table: 'matters',
    key: 'code',
    id: codeOf(importedMatter, 'matterCode'),
    forward: () =>
      post('hub-admin', '/v1/catalogue/imports', catalogueFile({ matters: [{ ...importedMatter, name: renamed }] })),
  },
  {
    table: 'grant_applications',
    key: 'application_id',
    id: applicationId,
    forward: () => post('psb-grants', `/v1/grant-applications/${applicationId}/decisions`, approval),
  },
  {
    table: 'grant_applications',
    key: 'application_id',
    id: withdrawn,
    forward: () =>
      post('school-enrolment', `/v1/grant-applications/${withdrawn}/withdrawals`, { reason: 'not needed' }),
  },
  {
    table: 'feedback',
    key: 'feedback_id',
    id: feedbackId,
    forward: () => post('psb-issuer', `/v1/feedback/${feedbackId}/answers`, refusal),
  },
  { table: 'paper_demands', key: 'paper_demand_id', id: recorded, forward: contest(recorded) },
  {
    table: 'paper_demands',
    key: 'paper_demand_id',
    id: contested,
    forward: () => post('school-enrolment', `/v1/paper-demands/${contested}/answers`, paperAnswer),
  },
  { table: 'paper_demands', key: 'paper_demand_id', id: maintained, forward: contest(maintained) },
];

/** Of the records of the last hour the check sees those too that are in no leaf yet; two hours later it sees leaves alone. */
let laterMs = 0;
const now = (): Date => new Date(Date.now() + laterMs);
const found = async (): Promise<string[]> => lines(await checkAll(hub.db, {}, exampleKeys, now));
/** Runs it past the hub, tells what the self-check says, and takes it back. */
async function foundAfter(table: string, ...changes: string[]): Promise<string[]> {
  await sql(`create table was as table ${table}`);
  // Rows that point to it stay: whoever changes it by SQL can see to that.
  for (const each of changes) await sql(`set session_replication_role = replica; ${each}`);
  const told = await found();
  await sql(`set session_replication_role = replica; delete from ${table}; insert into ${table} select * from was`);
  await sql('drop table was');
  return told;
}

await t.test(
  'invariant 6: a row of earlier that was put back, or is gone, is named, though genuine in itself',
  async (t) => {
    const older: string[] = [];
    for (const [i, { table, key, id, forward }] of things.entries()) {
      await sql(`create table older_${i} as select * from ${table} where ${key} = '${id}'`);
      await forward();
      older.push(`delete from ${table} where ${key} = '${id}'; insert into ${table} select * from older_${i}`);
    }
    t.strictSame(await found(), [], 'as the hub left it');
    for (const when of ['waiting for their leaves', 'in the log'] as const) {
      await t.test(`records ${when}`, async (t) => {
        if (when === 'in the log') {
          await publishLog(world);
          laterMs = 7_200_000;
        }
        for (const [i, { table, key, id }] of things.entries()) {
          const [putBack, gone] = [
            await foundAfter(table, older[i] ?? ''),
            await foundAfter(table, `delete from ${table} where ${key} = '${id}'`),
          ];
          const [finding, ...others] = putBack;
          t.ok(
            finding?.startsWith(`registry_behind {"table":"${table}","row":"${id}","record":"`),
            `${table}: ${finding}`,
          );
          t.strictSame(others, [], 'and nothing else');
          t.strictSame(gone, putBack, `${table}: deleted`);
        }
        t.strictSame(await found(), []);
      });
    }
  },
);

await t.test('a grant whose row is gone, and a row that the hub did not write: one finding each', async (t) => {
  const [{ grant_id: grantId } = {}] = await sql('select grant_id from grants where revoked_at is null limit 1');
  const gone = await foundAfter('grants', `delete from grants where grant_id = '${String(grantId)}'`);
  t.match(gone, [/^registry_behind \{"table":"grants"/]);
  t.equal(gone.length, 1);
  const { id } = things[0] ?? { id: '' };
  const forged = `update certificate_types set definition = definition || ' ' where code = '${id}' and version = 2`;
  t.strictSame(await foundAfter('certificate_types', forged), [
    `registry_wrong {"table":"certificate_type","row":"${id}:2"}`,
  ]);
});
