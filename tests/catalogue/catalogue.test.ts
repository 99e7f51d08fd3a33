import fc from 'fast-check';
import t from 'tap';
import { startRecorder } from '../../src/audit/record.ts';
import { ensurePartitions, insertRecords } from '../../src/audit/store.ts';
import { watchCatalogue } from '../../src/catalogue/catalogue.ts';
import {
  type CertificateTypeDefinition,
  checkDefinition,
  isAllowedIssuer,
} from '../../src/catalogue/certificate-type.ts';
import { compileFieldSchema, judgeFieldSchema } from '../../src/catalogue/field-schema.ts';
import { watchMatters } from '../../src/catalogue/matters.ts';
import { maxPatternWays, patternWays } from '../../src/catalogue/pattern-cost.ts';
import { registerCertificateType } from '../../src/catalogue/register-certificate-type.ts';
import { catalogueHandlers } from '../../src/catalogue/routes.ts';
import { seedStarterTypes } from '../../src/catalogue/seed-starter-types.ts';
import { exampleMatterDepartments } from '../../src/catalogue/starter-materials.ts';
import { exampleDepartments, starterTypes } from '../../src/catalogue/starter-types.ts';
import { run as runCommand } from '../../src/cli/catalogue.ts';
import { connect } from '../../src/db/database.ts';
import { startFreshness } from '../../src/db/fresh.ts';
import { writer } from '../../src/db/write.ts';
import { insertDepartment } from '../../src/departments/store.ts';
import type { DepartmentCode } from '../../src/ids.ts';
import { canonicalJson } from '../../src/verification/canonical-json.ts';
import type { JsonObject } from '../../src/verification/encoding.ts';
import { callBy, change, keys, refusalOf } from '../certificates/world.ts';
import { runSql, testDatabase } from '../support/database.ts';

t.setTimeout(240_000);
const types = starterTypes(exampleDepartments);
const [idCard, ...others] = types;
if (idCard === undefined) throw new Error('no starter types');
const options = { seed: 20_261_122, numRuns: 300 };

const codeOf = (run: () => unknown): unknown => {
  try {
    run();
    return 'accepted';
  } catch (error) {
    return (error as { code?: string }).code;
  }
};

await t.test('the nine starter types are sound and complete', async (t) => {
  t.equal(types.length, 9);
  for (const type of types)
    t.equal(
      codeOf(() => checkDefinition(type)),
      'accepted',
      type.name.en,
    );
  t.strictSame(
    types.map(({ name }) => name.zh),
    [
      '居民身份证',
      '居住证',
      '居民户口簿',
      '营业执照',
      '社会保险参保缴费记录',
      '就业创业登记',
      '纳税记录(完税证明)',
      '不动产权证书',
      '结婚证',
    ],
  );
  t.strictSame(others.at(-1)?.holderCount, { min: 2, max: 2 }, 'a marriage has exactly two holders');
  const values = compileFieldSchema({ type: 'string', pattern: '^(?:0|[1-9][0-9]{0,14})\\.[0-9]{2}$', maxLength: 18 });
  t.strictSame([values('12.30'), values('012.30')?.rule, values('12.3')?.rule], [undefined, 'pattern', 'pattern']);
});

await t.test('definitions with a fault are refused with its place', async (t) => {
  const [field] = idCard.fields;
  if (field === undefined) throw new Error('no field');
  const withField = (changes: object): CertificateTypeDefinition => ({ ...idCard, fields: [{ ...field, ...changes }] });
  const withSchema = (schema: JsonObject): CertificateTypeDefinition => withField({ schema });
  const cases: [what: string, definition: CertificateTypeDefinition, code?: string][] = [
    [
      'code with a wrong check digit',
      { ...idCard, certificateTypeCode: '11999900100000016B001' as never },
      'invalid_certificate_type_code',
    ],
    [
      'owner with a wrong check digit',
      { ...idCard, ownerDepartmentCode: '11999900100000016B' as never },
      'invalid_uscc',
    ],
    ['more holders at least than at most', { ...idCard, holderCount: { min: 2, max: 1 } }],
    ['a permanent type with a longest validity', { ...idCard, validity: { kind: 'permanent', maxMonths: 3 } }],
    [
      'issuer for an empty period',
      {
        ...idCard,
        allowedIssuers: [
          { departmentCode: idCard.ownerDepartmentCode, from: '2025-01-01T00:00:00Z', until: '2025-01-01T00:00:00Z' },
        ],
      },
    ],
    ['a field named like a clear claim', withField({ name: 'certificateIdentifier' })],
    ['a field named like a standard field', withField({ name: 'certificateHolders' })],
    ['a field named like a JWT claim', withField({ name: 'exp' })],
    ['a field named like a JavaScript member', withField({ name: 'constructor' })],
    ['two fields of one name', { ...idCard, fields: [field, field] }],
    ['a reference', withSchema({ $ref: 'https://example.test/schema' })],
    ['a text without a longest length', withSchema({ type: 'string' })],
    ['a text of a megabyte', withSchema({ type: 'string', maxLength: 1_000_000 })],
    ['a pattern that backtracks without end', withSchema({ type: 'string', maxLength: 100, pattern: '^(a+)+$' })],
    ['a pattern without anchors', withSchema({ type: 'string', maxLength: 100, pattern: 'a' })],
    ['a list without a longest length', withSchema({ type: 'array', items: { type: 'boolean' } })],
    ['an object that is open', withSchema({ type: 'object', properties: {} })],
    [
      'an object with a member _sd',
      withSchema({ type: 'object', additionalProperties: false, properties: { _sd: { type: 'boolean' } } }),
    ],
    ['an unknown type', withSchema({ type: 'date' })],
    ['an unknown format', withSchema({ type: 'string', format: 'uri' })],
    ['several types', withSchema({ type: ['string', 'number'] })],
    ['an unknown keyword', withSchema({ type: 'string', maxLength: 5, anyOf: [] })],
    ['no JSON Schema', withSchema({ type: 'string', maxLength: 5, enum: 'x' })],
  ];
  for (const [what, definition, code = 'certificate_type_invalid'] of cases) {
    t.equal(
      codeOf(() => checkDefinition(definition)),
      code,
      what,
    );
  }
});

await t.test('patterns: what is let through is matched within bounded work', async (t) => {
  const refused = [
    '^(a|a)*$',
    '^(a|aa)+$',
    '^(a?){30}a{30}$',
    '^a*a*a*a*$',
    '^(?=a)a$',
    '^(a)\\1$',
    '^a|b$',
    '^[$',
    'a$',
    '^a',
    '^(?<n>a)$',
    '^.*.*.*x$',
  ];
  for (const pattern of refused) {
    const ways = patternWays(pattern, 500);
    t.ok(ways === undefined || ways > maxPatternWays, pattern);
  }
  for (const pattern of [
    '^[0-9]{17}[0-9X]$',
    '^(?:甲|乙)第[0-9]{1,6}号$',
    '^\\p{Script=Han}{2,20}$',
    '^[^\\s]+ [^\\s]+$',
    '^$',
  ]) {
    const ways = patternWays(pattern, 100);
    t.ok(ways !== undefined && ways <= maxPatternWays, pattern);
  }
  const atom = fc.constantFrom('a', '[ab]', '(?:a|b)', '(?:aa|a)', '(?:a?)', '(?:a*)');
  const quantifier = fc.constantFrom('', '*', '+', '?', '{1,3}', '{20}');
  const pattern = fc.array(
    fc.tuple(atom, quantifier).map((pair) => pair.join('')),
    { minLength: 1, maxLength: 5 },
  );
  fc.assert(
    fc.property(pattern, (parts) => {
      const text = `^${parts.join('')}$`;
      const ways = patternWays(text, 40);
      if (ways === undefined || ways > maxPatternWays) return true;
      const begun = performance.now();
      RegExp(text, 'u').test(`${'a'.repeat(40)}!`);
      return performance.now() - begun < 1_000;
    }),
    options,
  );
});

await t.test('a judged schema is bounded: whatever value it accepts is small', async () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 4 }), (value) => {
      const schema = value as JsonObject;
      if (judgeFieldSchema(schema) !== undefined) return true;
      compileFieldSchema(schema);
      return typeof schema === 'object';
    }),
    options,
  );
});

await t.test('issuers are allowed from and until', async (t) => {
  const department = idCard.ownerDepartmentCode;
  const type = {
    ...idCard,
    allowedIssuers: [{ departmentCode: department, from: '2025-01-01T00:00:00Z', until: '2026-01-01T00:00:00Z' }],
  };
  const at = (text: string) => isAllowedIssuer(type, department, new Date(text));
  t.strictSame(
    [
      at('2024-12-31T23:59:59.999Z'),
      at('2025-01-01T00:00:00Z'),
      at('2025-12-31T23:59:59.999Z'),
      at('2026-01-01T00:00:00Z'),
    ],
    [false, true, true, false],
  );
});

await t.test('registered types: versions, idempotency, freshness, rows written past the hub', async (t) => {
  const database = await testDatabase(t);
  const db = connect({
    url: database.serviceUrl,
    max: 8,
    statementTimeoutMs: 20_000,
    applicationName: 'catalogue-test',
  });
  await ensurePartitions(db);
  const now = () => new Date();
  const { recordIn } = startRecorder({ insertAll: (rows) => insertRecords(db, rows), keys, now, maxBatch: 10 });
  const freshness = startFreshness(db, { intervalMs: 100, maxAgeMs: 400, now: () => performance.now() });
  t.teardown(async () => {
    await freshness.stop();
    await db.close();
  });
  const tampered: string[] = [];
  const catalogue = watchCatalogue(freshness, { keys, tampered: (kind, id) => void tampered.push(`${kind}:${id}`) });
  const write = writer({
    db,
    box: { seal: (plain, bound) => keys.box.seal(bound, plain), open: (sealed, bound) => keys.box.open(bound, sealed) },
    fingerprint: (value) => keys.rowMac('idempotency', Buffer.from(canonicalJson(value))),
  });
  const known = new Set<string>(Object.values(exampleDepartments));
  const told = (kind: string, id: string) => void tampered.push(`${kind}:${id}`);
  const rules = { tampered: told, grantsNaming: async () => [], today: () => '2026-11-22' };
  const matters = watchMatters(freshness, { keys, tampered: told });
  const isDepartment = async (code: string) => known.has(code);
  const deps = { write, keys, recordIn, catalogue, matters, isDepartment, ...rules };
  const first = await seedStarterTypes({ keys, recordIn, db }, { types, at: now() });
  t.strictSame(first, { added: 9, unchanged: 0 });
  t.strictSame(await seedStarterTypes({ keys, recordIn, db }, { types, at: now() }), { added: 0, unchanged: 9 });

  const admin = () => change('11999900100000112K');
  const again = registerCertificateType(deps, { ...admin(), definition: idCard });
  t.match(await refusalOf(again), { code: 'certificate_type_exists' });
  const stranger = { ...idCard, ownerDepartmentCode: '11999900100000104Q' as never };
  t.match(await refusalOf(registerCertificateType(deps, { ...admin(), definition: stranger })), {
    code: 'department_unknown',
  });
  const request = { ...admin(), definition: { ...idCard, name: { zh: '居民身份证', en: 'Resident identity card' } } };
  const second = await registerCertificateType(deps, request);
  t.match(second, { status: 201, body: { version: 2 } });
  t.strictSame((await registerCertificateType(deps, request)).body, second.body, 'invariant 8: replayed');
  const definitions = [1, 2, 3].map((maxMonths) => ({ ...idCard, validity: { kind: 'either' as const, maxMonths } }));
  const parallel = await Promise.all(
    definitions.map((definition) => registerCertificateType(deps, { ...admin(), definition })),
  );
  t.strictSame(
    parallel.map(({ body }) => (body as { version: number }).version).toSorted((a, b) => a - b),
    [3, 4, 5],
    'each its own version',
  );

  await new Promise((resolve) => setTimeout(resolve, 500));
  const code = idCard.certificateTypeCode;
  const seen = await catalogue.read();
  t.equal(seen.newest(code)?.type.version, 5);
  t.equal(seen.version(code, 2)?.type.name.en, 'Resident identity card');
  t.equal(seen.version(code, 1)?.checks.get('sex')?.('x')?.rule, 'enum');
  t.equal(seen.allowedIssuer(code, exampleDepartments.publicSecurity, now()), true);
  t.equal(seen.allowedIssuer(code, exampleDepartments.taxation, now()), false);
  t.equal(seen.types.length, 9);

  const handlers = catalogueHandlers(deps);
  const base = { requestId: 'r', receivedAt: now(), remoteAddress: '::1', caller: callBy('11999900100000112K').caller };
  const codes: string[] = [];
  let after: string | undefined;
  do {
    const { body } = await handlers.listCertificateTypes({
      ...base,
      params: {},
      headers: {},
      body: undefined,
      query: { limit: 3, ...(after === undefined ? {} : { after }) },
    });
    if (!('items' in body)) throw new Error('no page');
    codes.push(...body.items.map((item) => item.certificateTypeCode));
    after = body.next;
  } while (after !== undefined);
  t.strictSame(codes, types.map(({ certificateTypeCode }) => certificateTypeCode).toSorted());
  const unknown = handlers.getCertificateType({
    ...base,
    params: { certificateTypeCode: '11999900100000016A777' },
    headers: {},
    body: undefined,
    query: {},
  });
  t.match(await refusalOf(unknown), { code: 'certificate_type_unknown' });

  await runSql(
    database.superuserUrl,
    `update certificate_types set definition = convert_to(replace(convert_from(definition, 'UTF8'), '${exampleDepartments.civilAffairs}', '${exampleDepartments.taxation}'), 'UTF8')
       where code = '${exampleDepartments.civilAffairs}001'`,
    `insert into certificate_types select '${exampleDepartments.taxation}777', 1, definition, now(), mac from certificate_types where code = '${code}' and version = 1`,
    `update registry_versions set version = version + 1 where topic = 'catalogue'`,
  );
  await new Promise((resolve) => setTimeout(resolve, 500));
  const after2 = await catalogue.read();
  t.equal(after2.newest(`${exampleDepartments.civilAffairs}001`), undefined, 'a type changed by SQL is not used');
  t.equal(after2.newest(`${exampleDepartments.taxation}777`), undefined, 'nor one copied by SQL');
  t.ok(tampered.includes(`certificate_type:${exampleDepartments.taxation}777:1`), 'and both are reported');
});

await t.test('certhub catalogue load-starter and list', async (t) => {
  const database = await testDatabase(t);
  const db = connect({
    url: database.serviceUrl,
    max: 4,
    statementTimeoutMs: 20_000,
    applicationName: 'catalogue-test',
  });
  await ensurePartitions(db);
  t.teardown(() => db.close());
  const now = () => new Date();
  const recorder = startRecorder({ insertAll: (rows) => insertRecords(db, rows), keys, now, maxBatch: 10 });
  const run = async (...argv: string[]) => {
    const out: string[] = [];
    const err: string[] = [];
    const io = {
      stdout: { write: (text: string) => out.push(text) },
      stderr: { write: (text: string) => err.push(text) },
      env: {},
    };
    const code = await runCommand(argv, io, async () => ({
      core: {
        db,
        keys,
        recorder,
        now,
        tampered: () => undefined,
        write: () => Promise.reject(new Error('not used')),
        matterBasis: async (at: Date) => ({
          findType: () => undefined,
          typesNamed: () => [],
          isDepartment: () => true,
          today: '2026-11-22',
          at,
        }),
        grantsNaming: async () => [],
        today: () => '2026-11-22',
      },
      close: async () => undefined,
    }));
    return { code, out: out.join(''), err: err.join('') };
  };
  t.match(await run('load-starter'), { code: 1, err: /department_unknown/ }, 'owners are registered first');
  for (const code of Object.values({ ...exampleMatterDepartments })) {
    const department = { code: code as DepartmentCode, name: { zh: '部门', en: 'Department' }, createdAt: now() };
    await insertDepartment(db.kysely, keys, department);
  }
  t.match(await run('load-starter'), {
    code: 0,
    out: '9 certificate types added, 0 unchanged\n4 matters added, 0 unchanged\n',
  });
  t.match(await run('load-starter'), {
    code: 0,
    out: '0 certificate types added, 9 unchanged\n0 matters added, 4 unchanged\n',
  });
  t.equal((await run('list')).out.trim().split('\n').length, 9);
  t.match(await run('frobnicate'), { code: 2, err: /unknown command/ });
  t.match(await run('load-starter', '--departments', '/no/such/file'), { code: 1 });
});
