import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { ApiClient } from '../../src/cli/api-client.ts';
import { run as runCatalogue } from '../../src/cli/catalogue.ts';
import { demoTypes } from '../../src/cli/demo/certificates.ts';
import { expectAnswer } from '../../src/cli/demo/load.ts';
import { logsAreClean, refusing } from '../api/refuses.ts';
import { catalogueFile, education, newDepartmentCode, newMatter, newType, publicSecurity } from '../api/samples.ts';
import { startWorld, type World } from '../api/world.ts';
import { putGrant } from '../support/demo-samples.ts';

t.setTimeout(240_000);
const world = await startWorld(t);
const clients = (of: World) =>
  ['hub-admin', 'school-enrolment', 'psb-grants', 'psb-issuer'].map(of.client) as [
    ApiClient,
    ApiClient,
    ApiClient,
    ApiClient,
  ];
const [admin, school, grantor, issuer] = clients(world);
for (const client of [admin, school, grantor, issuer]) await client.token();
const note = { zh: '请改用新字段', en: 'Read the new field' };
const reason = 'replaced';
const path = '/v1/catalogue/imports';

interface Entry {
  readonly definition: Record<string, unknown>;
  readonly version: number;
  readonly state: string;
  readonly migrationNote?: unknown;
  readonly reason?: string;
}
interface File {
  readonly format: string;
  readonly exportedAt: string;
  readonly types: readonly Entry[];
  readonly matters: readonly Entry[];
}
interface Imported {
  readonly dryRun: boolean;
  readonly types: readonly { readonly outcome: string; readonly version: number }[];
  readonly matters: readonly { readonly outcome: string; readonly version: number }[];
}
const exported = (client: ApiClient): Promise<File> => expectAnswer<File>(client.get('/v1/catalogue'), 200);
const imported = (client: ApiClient, file: object) => expectAnswer<Imported>(client.post(path, file), 200);
const outcomes = ({ types, matters }: Imported) => [types, matters].map((list) => list.map(({ outcome }) => outcome));
/** The outcomes that there were. */
const outcomesAll = ({ types, matters }: Imported) => ({
  types: [...new Set(types.map(({ outcome }) => outcome))],
  matters: [...new Set(matters.map(({ outcome }) => outcome))],
});
/** A file without what differs between hubs: when, and which versions. */
const comparable = ({ types, matters, format }: File) => ({
  format,
  types: types.map((entry) => ({ ...entry, version: 0 })),
  matters: matters.map((entry) => ({ ...entry, version: 0 })),
});
const codeOf = (type: Record<string, unknown>) => String(type['certificateTypeCode']);
const requires = (type: Record<string, unknown>, material: object = {}) => [
  {
    code: 'proof',
    name: note,
    legalGround: note,
    alternatives: [[{ certificateTypeCode: codeOf(type), fields: ['note'], ...material }]],
  },
];
const fieldsOf = (type: Record<string, unknown>) => type['fields'] as Record<string, unknown>[];

/** Published and changed under a note, with a grant; retired; a matter retired. */
async function liveWith(): Promise<void> {
  const type = newType({ category: 'approval', standard: 'C 0199' });
  await expectAnswer(admin.post('/v1/certificate-types', type), 201);
  await putGrant(world.client, { certificateTypeCode: codeOf(type), fields: ['note'] });
  const drafted = { ...type, fields: [{ ...fieldsOf(type)[0], schema: { type: 'string', maxLength: 7 } }] };
  const { draftId } = await expectAnswer<{ draftId: string }>(issuer.post('/v1/certificate-type-drafts', drafted), 201);
  const publication = { migrationNote: note, reason };
  await expectAnswer(grantor.post(`/v1/certificate-type-drafts/${draftId}/publications`, publication), 201);
  const old = newType();
  await expectAnswer(admin.post('/v1/certificate-types', old), 201);
  await expectAnswer(grantor.post(`/v1/certificate-types/${codeOf(old)}/retirements`, { reason }), 200);
  const matter = newMatter();
  await expectAnswer(school.post('/v1/matters', matter), 201);
  await expectAnswer(school.post(`/v1/matters/${String(matter['matterCode'])}/retirements`, { reason }), 200);
}

await t.test('round trip: what one hub exports, an empty one takes and exports again', async (t) => {
  await liveWith();
  const file = await exported(school);
  t.match(file, { format: 'certhub-catalogue/1', exportedAt: /Z$/ });
  t.equal(file.types.length, 9 + 2);
  t.equal(file.matters.length, 4 + 1);
  t.ok(file.types.some(({ migrationNote, reason: why }) => migrationNote !== undefined && why === reason));
  const there = await startWorld(t);
  const [adminThere, schoolThere] = clients(there);
  // The demo's own catalogue goes: what is left are its departments and clients.
  await there.sql('delete from matters');
  await there.sql('delete from certificate_types');
  await there.sql(`update registry_versions set version = version + 1 where topic in ('catalogue', 'matters')`);
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  t.strictSame(comparable(await exported(adminThere)), { format: file.format, types: [], matters: [] });
  const foretold = await imported(adminThere, { ...file, dryRun: true });
  t.strictSame(comparable(await exported(adminThere)), { format: file.format, types: [], matters: [] }, 'a dry run');
  const done = await imported(adminThere, file);
  t.strictSame({ ...done, dryRun: true }, foretold, 'foretold exactly');
  t.ok(
    outcomes(done)
      .flat()
      .every((outcome) => outcome === 'added'),
  );
  t.strictSame(comparable(await exported(schoolThere)), comparable(file));
  t.strictSame(new Set(outcomes(await imported(adminThere, file)).flat()), new Set(['unchanged']), 'and again');
  t.strictSame(new Set(outcomes(await imported(admin, file)).flat()), new Set(['unchanged']), 'nor at home');
  const [record] = await there.sql(`select count(*)::int as records from records where action = 'importCatalogue'`);
  t.equal(record?.['records'], 3, 'one record per call, the dry run included');
});

await t.test(
  'what differs gets its next version, what is retired is retired, what is not in the file stays',
  async (t) => {
    const [one, two, three] = [newType(), newType(), newType()];
    await imported(admin, catalogueFile({ types: [one, two, three], matters: [] }));
    const before = await exported(admin);
    const file = catalogueFile({ types: [{ ...one, reviewRequired: false }, two] });
    const dropped = { definition: three, version: 9, state: 'retired', reason };
    const changing = { ...file, types: [...file.types, dropped] };
    t.strictSame(await imported(admin, { ...changing, dryRun: true }), {
      dryRun: true,
      types: [
        { certificateTypeCode: codeOf(one), outcome: 'changed', version: 2 },
        { certificateTypeCode: codeOf(two), outcome: 'unchanged', version: 1 },
        { certificateTypeCode: codeOf(three), outcome: 'retired', version: 2 },
      ],
      matters: [],
    });
    t.strictSame(comparable(await exported(admin)), comparable(before));
    t.strictSame(outcomes(await imported(admin, changing)), [['changed', 'unchanged', 'retired'], []]);
    const after = await exported(admin);
    t.equal(after.types.length, before.types.length);
    t.match(
      after.types.find(({ definition }) => codeOf(definition) === codeOf(three)),
      { state: 'retired', reason, version: 2 },
    );
    t.strictSame(
      outcomes(await imported(admin, catalogueFile({ types: [three] }))),
      [['changed'], []],
      'and comes back',
    );
  },
);

await t.test('judged as the whole that it leads to', async (t) => {
  const allowedIssuers = [{ departmentCode: education }];
  const [one, other] = [newType({ allowedIssuers }), newType({ allowedIssuers })];
  const renamed = { ...one, fields: [{ ...fieldsOf(one)[0], name: 'remark' }] };
  const matter = newMatter({ requirements: requires(one) });
  await imported(admin, catalogueFile({ types: [one, other], matters: [matter] }));
  const follows = newMatter({
    ...matter,
    requirements: requires(one, { fields: ['remark'] }),
  });
  const alone = await admin.post(path, catalogueFile({ types: [renamed] }));
  const { matterCode } = matter;
  t.match(alone, { status: 409, body: { code: 'change_breaks', context: { matters: [{ matterCode }] } } });
  t.strictSame(
    outcomes(await imported(admin, catalogueFile({ types: [renamed], matters: [follows] }))),
    [['changed'], ['changed']],
    'the matter follows in the same file',
  );
  const circle = [
    newMatter({ requirements: requires(other), produces: [codeOf(one)] }),
    newMatter({ requirements: requires(one, { fields: ['remark'] }), produces: [codeOf(other)] }),
  ];
  t.match(await admin.post(path, catalogueFile({ matters: circle })), {
    status: 422,
    body: { code: 'matter_circular', context: { pointer: '/matters/0/definition/requirements/0' } },
  });
  await putGrant(world.client, { certificateTypeCode: codeOf(other), fields: ['note', 'score'] });
  const less = { ...other, fields: [fieldsOf(other)[0]] };
  const refused = await admin.post(path, catalogueFile({ types: [less] }));
  t.match(refused, {
    status: 409,
    body: {
      code: 'change_breaks',
      context: { grants: [{ certificateTypeCode: codeOf(other), clientId: 'school-enrolment', fields: ['score'] }] },
    },
  });
  const noted = { definition: less, version: 1, state: 'published', migrationNote: note };
  t.strictSame(outcomes(await imported(admin, { ...catalogueFile({}), types: [noted] })), [['changed'], []]);
  const half = await exported(admin);
  const bad = newMatter({ requirements: requires(newType()) });
  t.match(await admin.post(path, catalogueFile({ types: [newType()], matters: [newMatter(), bad] })), {
    status: 422,
    body: {
      code: 'matter_invalid',
      context: {
        pointer: '/matters/1/definition/requirements/0/alternatives/0/0/certificateTypeCode',
        rule: 'type_unknown',
      },
    },
  });
  t.strictSame(comparable(await exported(admin)), comparable(half), 'invariant 10: all of it or nothing');
});

await t.test('paper for what the catalogue has: refused, but what was exported comes in again', async (t) => {
  const matterWith = (zh: string): Record<string, unknown> => {
    const [, photo] = newMatter()['requirements'] as Record<string, unknown>[];
    return newMatter({ requirements: [{ ...photo, name: { zh, en: 'x' } }] });
  };
  const refused = (name: string) => ({
    status: 422,
    body: { context: { pointer: `/matters/${name}/definition/requirements/0/paper`, rule: 'certificate_exists' } },
  });
  const file = (matter: object) => catalogueFile({ matters: [newMatter(), matter] });
  t.match(await admin.post(path, file(matterWith('居民身份证复印件'))), refused('1'));
  const [matter, type] = [matterWith('游艇驾驶证原件'), newType({ name: { zh: '游艇驾驶证', en: 'Yacht licence' } })];
  const both = catalogueFile({ types: [type], matters: [matter] });
  t.strictSame(outcomes(await imported(admin, both)), [['added'], ['added']], 'a hub that had neither');
  t.match(await expectAnswer(school.get(`/v1/matters/${String(matter['matterCode'])}`), 200), {
    candidates: [{ requirement: 'photo', certificateTypeCode: codeOf(type) }],
  });
  const { types, matters } = outcomesAll(await imported(admin, await exported(admin)));
  t.strictSame([types, matters], [['unchanged'], ['unchanged']], 'nothing of the hub’s own file is judged anew');
  const changed = catalogueFile({ types: [type], matters: [{ ...matter, conditions: note }] });
  t.match(await admin.post(path, changed), refused('0'), 'what changes is');
});

await t.test('refusals point into the file', async (t) => {
  const operationId = 'importCatalogue';
  const refuses = await refusing(world);
  const type = newType();
  const matter = newMatter();
  const [wrongUscc, nobody] = ['11999900100000016B', newDepartmentCode()];
  const cases: [what: string, body: Record<string, unknown>, status: number, code: string, pointer: string][] = [
    ['a form nobody knows', { ...catalogueFile({}), format: 'canary/1' }, 400, 'contract_violation', '/format'],
    ['no form', { types: [], matters: [] }, 400, 'contract_violation', ''],
    ['more than there is', { ...catalogueFile({}), canary: 1 }, 400, 'contract_violation', ''],
    [
      'a state that is none',
      { ...catalogueFile({}), types: [{ definition: type, version: 1, state: 'canary' }] },
      400,
      'contract_violation',
      '/types/0/state',
    ],
    [
      'a type twice',
      catalogueFile({ types: [type, newType(), type] }),
      422,
      'catalogue_invalid',
      '/types/2/definition/certificateTypeCode',
    ],
    [
      'a matter twice',
      catalogueFile({ matters: [matter, matter] }),
      422,
      'catalogue_invalid',
      '/matters/1/definition/matterCode',
    ],
    [
      'an owner nobody registered',
      catalogueFile({ types: [{ ...type, ownerDepartmentCode: nobody }] }),
      404,
      'department_unknown',
      '/types/0/definition/ownerDepartmentCode',
    ],
    [
      'an issuer nobody registered',
      catalogueFile({
        types: [
          newType(),
          { ...type, allowedIssuers: [{ departmentCode: publicSecurity }, { departmentCode: nobody }] },
        ],
      }),
      404,
      'department_unknown',
      '/types/1/definition/allowedIssuers/1/departmentCode',
    ],
    [
      'a department nobody registered',
      catalogueFile({ matters: [{ ...matter, departmentCode: nobody }] }),
      404,
      'department_unknown',
      '/matters/0/definition/departmentCode',
    ],
    [
      'also of what is retired',
      {
        ...catalogueFile({}),
        matters: [{ definition: { ...matter, departmentCode: nobody }, version: 1, state: 'retired' }],
      },
      404,
      'department_unknown',
      '/matters/0/definition/departmentCode',
    ],
    [
      'a wrong check digit',
      catalogueFile({ types: [{ ...type, ownerDepartmentCode: wrongUscc }] }),
      422,
      'invalid_uscc',
      '/types/0/definition/ownerDepartmentCode',
    ],
    [
      'a field of any length',
      catalogueFile({ types: [{ ...type, fields: [{ ...fieldsOf(type)[0], schema: { type: 'string' } }] }] }),
      422,
      'certificate_type_invalid',
      '/types/0/definition/fields/0/schema',
    ],
    [
      'a type that its matter needs, retired',
      {
        ...catalogueFile({ matters: [newMatter({ requirements: requires(type) })] }),
        types: [{ definition: type, version: 1, state: 'retired' }],
      },
      422,
      'matter_invalid',
      '/matters/0/definition/requirements/0/alternatives/0/0/certificateTypeCode',
    ],
  ];
  for (const [what, body, ...expected] of cases) {
    await refuses(t, what, { operationId, body }, expected as unknown as [number, string, string]);
  }
  await refuses(t, 'by a department', { operationId, as: 'psb-grants', body: catalogueFile({}) }, [
    403,
    'role_required',
  ]);
  logsAreClean(t, world);
  const large = catalogueFile({ types: Array.from({ length: 40 }, () => newType({ standard: 'x'.repeat(100) })) });
  const long = {
    ...large,
    types: large.types.map((entry) => ({ ...entry, migrationNote: { zh: 'y'.repeat(1_000), en: 'z'.repeat(1_000) } })),
  };
  const more = { ...long, types: [...long.types, ...long.types, ...long.types] };
  t.match(await admin.post(path, more), { status: 413, body: { code: 'body_too_large' } });
});

await t.test('certhub catalogue export and import', async (t) => {
  const folder = t.testdir({});
  const run = async (...argv: string[]) => {
    let [out, err] = ['', ''];
    const io = {
      stdout: { write: (text: string) => (out += text) },
      stderr: { write: (text: string) => (err += text) },
      env: {},
    };
    const code = await runCatalogue(argv, io, async () => ({ core: world.hub.core, close: async () => undefined }));
    return { code, out, err };
  };
  const file = join(folder, 'catalogue.json');
  t.match(await run('export', '--out', file), { code: 0, err: '', out: / certificate types and \d+ matters in / });
  const there = JSON.parse(readFileSync(file, 'utf8')) as File;
  t.strictSame(comparable(JSON.parse((await run('export')).out) as File), comparable(there));
  t.match(await run('import', file), {
    code: 0,
    out: `0 added, 0 changed, 0 retired, ${there.types.length + there.matters.length} unchanged\n`,
  });
  const type = newType();
  const many = Array.from({ length: 300 }, (_, i) =>
    newMatter({
      matterCode: `large-${i}`,
      conditions: { zh: '长'.repeat(200), en: 'x'.repeat(900) },
      requirements: requires(type),
    }),
  );
  const file2 = join(folder, 'large.json');
  writeFileSync(file2, JSON.stringify(catalogueFile({ types: [type], matters: many })));
  t.ok(readFileSync(file2).length > world.hub.core.config.bodyLimitBytes, 'more than a request may carry');
  t.match(await run('import', file2, '--dry-run'), {
    code: 0,
    out: /nothing was changed; an import would be: 301 added/,
  });
  const done = await run('import', file2);
  t.match(done, {
    code: 0,
    out: new RegExp(`^added certificate type ${codeOf(type)}, version 1\\nadded matter large-0, version 1`),
  });
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  t.match(await expectAnswer(school.get('/v1/matters/large-299'), 200), { version: 1, departmentCode: education });
  const odd = (content: string, name = 'odd.json') => {
    writeFileSync(join(folder, name), content);
    return run('import', join(folder, name));
  };
  t.match(await odd('{'), { code: 1, err: /not JSON/ });
  t.match(await odd('{"format":"certhub-catalogue/1","format":"certhub-catalogue/1"}'), {
    code: 1,
    err: /names a member twice/,
  });
  t.match(await odd('{"format":"certhub-catalogue/2","exportedAt":"2026-01-01T00:00:00Z","types":[],"matters":[]}'), {
    code: 1,
    err: /contract_violation.*\/format/,
  });
  t.match(await run('import'), { code: 2, err: /which file/ });
  t.match(await run('import', file, file), { code: 2, err: /unexpected/ });
  t.match(await run('import', join(folder, 'nothing.json')), { code: 1, err: /ENOENT/ });
  const [record] = await world.sql(
    `select client_id from records where action = 'importCatalogue' order by record_id desc limit 1`,
  );
  t.match(record, { client_id: /operator/ });
  t.ok(there.types.some(({ definition }) => codeOf(definition) === demoTypes.residentIdCard));
});
