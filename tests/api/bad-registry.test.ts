import { createHash, randomUUID } from 'node:crypto';
import t from 'tap';
import { expectAnswer } from '../../src/cli/demo/load.ts';
import { issueX509 } from '../../src/signing/x509-issue.ts';
import { extendedKeyUsages } from '../../src/verification/x509-path.ts';
import { exampleKeys } from '../support/start-hub.ts';
import { type Bad, type Expected, logsAreClean, refusing } from './refuses.ts';
import {
  applicationIn,
  approval,
  authority,
  newClientKey,
  newDepartmentCode,
  newNeed,
  newRoot,
  newSeal,
  newType,
  newWish,
  type OperationId,
  pathOf,
  publicSecurity,
  registerClient,
  type Sample,
  samples,
} from './samples.ts';
import { startWorld } from './world.ts';

const world = await startWorld(t);
for (const clientId of ['hub-admin', 'school-enrolment', 'housing-allocation', 'psb-grants'])
  await world.client(clientId).token();
const admin = world.client('hub-admin');
const name = { zh: '金丝雀局', en: 'Canary Bureau' };
const reason = '金丝雀缘由';
const civilAffairs = '11999900100000067J';
const wrongUscc = '11999900100000016B';
const day = 86_400_000;
const daysFromNow = (days: number): string => new Date(Date.now() + days * day).toISOString();
const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

type Case = readonly [what: string, bad: Omit<Bad, 'operationId'>, expected: Expected];
const all = async (
  t: Parameters<Awaited<ReturnType<typeof refusing>>>[0],
  operationId: OperationId,
  cases: readonly Case[],
) => {
  const refuses = await refusing(world);
  for (const [what, bad, expected] of cases) await refuses(t, what, { operationId, ...bad }, expected);
};

/** Times that a computer may read otherwise than a person. */
const badTimes = (member: string): (readonly [what: string, time: string])[] =>
  [
    '2026-02-30T00:00:00Z',
    '2016-12-31T23:59:60Z',
    '2026-01-01T00:00:00',
    '2026-01-01T08:00:00+08:00',
    '2026-01-01 00:00:00Z',
    '2026-01-01',
    'canary',
  ].map((time) => [`${member} ${time}`, time]);

await t.test('departments', async (t) => {
  await all(t, 'registerDepartment', [
    ['wrong check digit', { body: { departmentCode: wrongUscc, name } }, [422, 'invalid_uscc', '/departmentCode']],
    [
      'letters that no USCC has',
      { body: { departmentCode: '1199990010000001IO', name } },
      [422, 'invalid_uscc', '/departmentCode'],
    ],
    ['registered already', { body: { departmentCode: publicSecurity, name } }, [409, 'department_exists']],
    [
      'a blank name',
      { body: { departmentCode: newDepartmentCode(), name: { ...name, zh: ' ' } } },
      [400, 'contract_violation', '/name/zh'],
    ],
  ]);
});

await t.test('seal certificates and roots (X.509)', async (t) => {
  const params = { departmentCode: publicSecurity };
  const seal = await newSeal(publicSecurity);
  const foreign = await newSeal(civilAffairs);
  const expired = await newSeal(publicSecurity, {
    notBefore: new Date(Date.now() - 100 * day),
    notAfter: new Date(Date.now() - day),
  });
  const registered = await newSeal(publicSecurity);
  await expectAnswer(admin.post(`/v1/departments/${publicSecurity}/seal-x509`, { chain: registered.chain }), 201);
  const validity = { notBefore: new Date(Date.now() - day), notAfter: new Date(Date.now() + day) };
  const subject = { organization: '示范市', commonName: 'canary', organizationIdentifier: publicSecurity };
  const { publicKey } = seal.signer;
  const status = await issueX509({
    issuer: authority,
    subject,
    publicKey,
    validity,
    profile: { kind: 'hub', extendedKeyUsage: extendedKeyUsages.status },
  });
  const below = await issueX509({
    issuer: authority,
    subject,
    publicKey,
    validity,
    profile: { kind: 'authority', pathLength: 0 },
  });
  const own = await issueX509({
    issuer: { selfSigner: seal.signer },
    subject,
    publicKey,
    validity,
    profile: { kind: 'seal' },
  });
  const [leaf = '', intermediate = ''] = seal.chain;
  const spoilt = Buffer.from(leaf, 'base64');
  spoilt[spoilt.length - 3] = (spoilt.at(-3) ?? 0) ^ 1;
  const root = base64(exampleKeys.roots[0] ?? Buffer.alloc(0));
  const chain = (...chain: string[]): { params: typeof params; body: Record<string, unknown> } => ({
    params,
    body: { chain },
  });
  const invalid: Expected = [422, 'seal_x509_invalid'];
  await all(t, 'registerSealX509', [
    [
      'wrong check digit',
      { params: { departmentCode: wrongUscc }, body: { chain: seal.chain } },
      [422, 'invalid_uscc', '/departmentCode'],
    ],
    [
      'of a department nobody registered',
      { params: { departmentCode: newDepartmentCode() }, body: { chain: seal.chain } },
      [404, 'department_unknown'],
    ],
    ['no certificate', chain('Y2FuYXJ5'), invalid],
    ['base64 with stray bits', chain('Y2FuYXJ5Zh=='), invalid],
    ['PEM', chain('-----BEGIN CERTIFICATE-----'), [400, 'contract_violation', '/chain/0']],
    ['another department’s', chain(...foreign.chain), invalid],
    ['without the intermediate', chain(leaf), invalid],
    ['in the wrong order', chain(intermediate, leaf), invalid],
    ['with the root', chain(leaf, intermediate, root), invalid],
    ['with a spoilt signature', chain(base64(spoilt), intermediate), invalid],
    ['that signs status lists', chain(base64(status), intermediate), invalid],
    ['that is an authority', chain(base64(below), intermediate), invalid],
    ['that signed itself', chain(base64(own)), invalid],
    ['expired', chain(...expired.chain), invalid],
    ['registered already', chain(...registered.chain), [409, 'seal_x509_exists']],
    [
      'that ends before it begins',
      { params, body: { chain: seal.chain, validFrom: daysFromNow(2), validUntil: daysFromNow(1) } },
      invalid,
    ],
    ['that ends after the X.509', { params, body: { chain: seal.chain, validUntil: daysFromNow(4_000) } }, invalid],
    ['that begins before the X.509', { params, body: { chain: seal.chain, validFrom: daysFromNow(-4_000) } }, invalid],
    ...['validFrom', 'validUntil'].flatMap((member) =>
      badTimes(member).map(([what, time]): Case => {
        const body = { chain: seal.chain, [member]: time };
        return [what, { body, params }, [400, 'contract_violation', `/${member}`]];
      }),
    ),
  ]);
  const withdrawal = (departmentCode: string, hash: string) => ({
    params: { departmentCode, sha256: hash },
    body: { reason },
  });
  await all(t, 'revokeSealX509', [
    ['wrong check digit', withdrawal(wrongUscc, sha256(registered.x509)), [422, 'invalid_uscc', '/departmentCode']],
    ['that nobody registered', withdrawal(publicSecurity, 'ca'.repeat(32)), [404, 'seal_x509_unknown']],
    ['of another department', withdrawal(civilAffairs, sha256(registered.x509)), [404, 'seal_x509_unknown']],
    ['in capitals', withdrawal(publicSecurity, 'CA'.repeat(32)), [400, 'contract_violation', '/sha256']],
  ]);
  const old = await issueX509({
    issuer: { selfSigner: seal.signer },
    subject,
    publicKey,
    profile: { kind: 'authority', pathLength: 1 },
    validity: { notBefore: new Date(Date.now() - 9 * day), notAfter: new Date(Date.now() - day) },
  });
  const x509 = (text: string) => ({ body: { x509: text } });
  const notRoot: Expected = [422, 'trust_root_invalid'];
  await all(t, 'registerTrustRoot', [
    ['no certificate', x509('Y2FuYXJ5'), notRoot],
    ['an intermediate', x509(intermediate), notRoot],
    ['a leaf', x509(leaf), notRoot],
    ['self-signed and no authority', x509(base64(own)), notRoot],
    ['expired', x509(base64(old)), notRoot],
    ['with something behind it', x509(base64(Buffer.concat([await newRoot(), Buffer.from('canary')]))), notRoot],
    ['pinned already', x509(root), [409, 'trust_root_exists']],
  ]);
});

await t.test('clients and their keys', async (t) => {
  const { clientId, secret } = await registerClient(world, ['consumer']);
  const { d: _d, ...jwk } = secret;
  const fresh = newClientKey().jwk;
  const edwards = { kty: 'OKP', crv: 'Ed25519', kid: 'canary', x: fresh['x'] ?? '' };
  const client = (changes: Record<string, unknown>) => ({
    body: {
      clientId: 'canary-client',
      departmentCode: publicSecurity,
      name,
      roles: ['consumer'],
      keys: [fresh],
      ...changes,
    },
  });
  const badKey: Expected = [422, 'client_key_invalid'];
  const badKeys: [what: string, key: Record<string, unknown>, expected: Expected][] = [
    ['a point off the curve', { ...fresh, x: 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' }, badKey],
    ['a coordinate that is too short', { ...fresh, x: 'AAAA' }, badKey],
    ['a coordinate with stray bits', { ...fresh, x: `${'A'.repeat(42)}B` }, badKey],
    ['one coordinate', { ...fresh, y: undefined }, badKey],
    ['another suite than its kind', { ...fresh, alg: 'EdDSA' }, badKey],
    ['two coordinates on Ed25519', { ...edwards, y: fresh['y'] }, badKey],
    ['a curve of another kind', { ...fresh, crv: 'Ed25519' }, badKey],
    ['a name lost in a path', { ...fresh, kid: '..' }, badKey],
    ['known already', jwk, [409, 'client_key_exists']],
    ['known already under another name', { ...jwk, kid: 'canary' }, [409, 'client_key_exists']],
  ];
  const secretOne: Expected = [400, 'contract_violation', '/keys/0'];
  await all(t, 'registerClient', [
    ['of a department nobody registered', client({ departmentCode: newDepartmentCode() }), [404, 'department_unknown']],
    ['wrong check digit', client({ departmentCode: wrongUscc }), [422, 'invalid_uscc', '/departmentCode']],
    ['registered already', client({ clientId: 'tax-issuer' }), [409, 'client_exists']],
    ['a name of the hub itself', client({ clientId: 'certhub-canary' }), [400, 'contract_violation', '/clientId']],
    ['a name with capitals', client({ clientId: 'Canary-Client' }), [400, 'contract_violation', '/clientId']],
    ['a role nobody has', client({ roles: ['canary'] }), [400, 'contract_violation', '/roles/0']],
    ['a role twice', client({ roles: ['admin', 'admin'] }), [400, 'contract_violation', '/roles']],
    ['the private key along with the public', client({ keys: [newClientKey().secret] }), secretOne],
    ['a symmetric key', client({ keys: [{ kty: 'oct', k: 'Y2FuYXJ5', kid: 'canary' }] }), secretOne],
    ['one key twice', client({ keys: [fresh, { ...fresh, kid: 'canary' }] }), [409, 'client_key_exists']],
    ...badKeys.map(([what, key, expected]): Case => [`a key: ${what}`, client({ keys: [key] }), expected]),
  ]);
  await all(t, 'addClientKey', [
    ['to nobody', { params: { clientId: 'canary-client' }, body: { jwk: fresh } }, [404, 'client_unknown']],
    [
      'with its private half',
      { params: { clientId }, body: { jwk: newClientKey().secret } },
      [400, 'contract_violation', '/jwk'],
    ],
    ...badKeys.map(([what, key, expected]): Case => [what, { params: { clientId }, body: { jwk: key } }, expected]),
  ]);
  await expectAnswer(admin.post(`/v1/clients/${clientId}/keys/${jwk['kid'] ?? ''}/revocations`, { reason }), 200);
  await all(t, 'addClientKey', [
    ['that was revoked', { params: { clientId }, body: { jwk } }, [409, 'client_key_exists']],
    [
      'that was revoked, for another client',
      { params: { clientId: 'tax-issuer' }, body: { jwk: { ...jwk, kid: 'canary' } } },
      [409, 'client_key_exists'],
    ],
  ]);
  await all(t, 'revokeClientKey', [
    ['of nobody', { params: { clientId: 'canary-client', kid: 'canary' }, body: { reason } }, [404, 'client_unknown']],
    ['that it does not have', { params: { clientId, kid: 'canary' }, body: { reason } }, [404, 'client_key_unknown']],
    ['of another client', { params: { clientId, kid: 'tax-issuer-1' }, body: { reason } }, [404, 'client_key_unknown']],
  ]);
  await all(t, 'setClientState', [
    [
      'of nobody',
      { params: { clientId: 'canary-client' }, body: { state: 'disabled', reason } },
      [404, 'client_unknown'],
    ],
    [
      'that there is not',
      { params: { clientId }, body: { state: 'deleted', reason } },
      [400, 'contract_violation', '/state'],
    ],
    [
      'for no reason',
      { params: { clientId }, body: { state: 'disabled', reason: ' ' } },
      [400, 'contract_violation', '/reason'],
    ],
  ]);
  await all(t, 'getClient', [['of nobody', { params: { clientId: 'canary-client' } }, [404, 'client_unknown']]]);
  await all(t, 'listSealX509', [
    ['of nobody', { params: { departmentCode: newDepartmentCode() } }, [404, 'department_unknown']],
    ['wrong check digit', { params: { departmentCode: wrongUscc } }, [422, 'invalid_uscc', '/departmentCode']],
  ]);
});

await t.test('certificate types', async (t) => {
  const type = newType() as { fields: Record<string, unknown>[]; [member: string]: unknown };
  const [field] = type.fields;
  const typed = (changes: Record<string, unknown>) => ({ body: { ...type, ...changes } });
  const schema = (schema: Record<string, unknown>) => typed({ fields: [{ ...field, schema }] });
  const invalid = (pointer: string): Expected => [422, 'certificate_type_invalid', pointer];
  const text = { type: 'string', maxLength: 10 };
  const deep = Array.from({ length: 7 }).reduce<Record<string, unknown>>(
    (items) => ({ type: 'array', maxItems: 2, items }),
    text,
  );
  const at = '/fields/0/schema';
  await all(t, 'registerCertificateType', [
    [
      'wrong check digit',
      typed({ certificateTypeCode: `${wrongUscc}001` }),
      [422, 'invalid_certificate_type_code', '/certificateTypeCode'],
    ],
    [
      'owner with a wrong check digit',
      typed({ ownerDepartmentCode: wrongUscc }),
      [422, 'invalid_uscc', '/ownerDepartmentCode'],
    ],
    [
      'owner nobody registered',
      typed({ ownerDepartmentCode: newDepartmentCode() }),
      [404, 'department_unknown', '/ownerDepartmentCode'],
    ],
    [
      'issuer with a wrong check digit',
      typed({ allowedIssuers: [{ departmentCode: wrongUscc }] }),
      [422, 'invalid_uscc', '/allowedIssuers/0/departmentCode'],
    ],
    [
      'issuer nobody registered',
      typed({ allowedIssuers: [{ departmentCode: publicSecurity }, { departmentCode: newDepartmentCode() }] }),
      [404, 'department_unknown', '/allowedIssuers/1/departmentCode'],
    ],
    [
      'an empty period',
      typed({ allowedIssuers: [{ departmentCode: publicSecurity, from: daysFromNow(1), until: daysFromNow(1) }] }),
      invalid('/allowedIssuers/0'),
    ],
    ...badTimes('from').map(([what, from]): Case => {
      const issuer = { departmentCode: publicSecurity, from };
      return [what, typed({ allowedIssuers: [issuer] }), [400, 'contract_violation', '/allowedIssuers/0/from']];
    }),
    ['more holders at least than at most', typed({ holderCount: { min: 3, max: 2 } }), invalid('/holderCount')],
    ['no holder', typed({ holderCount: { min: 0, max: 2 } }), [400, 'contract_violation', '/holderCount/min']],
    ['half a holder', typed({ holderCount: { min: 1.5, max: 2 } }), [400, 'contract_violation', '/holderCount/min']],
    [
      'a limit on what is permanent',
      typed({ validity: { kind: 'permanent', maxMonths: 3 } }),
      invalid('/validity/maxMonths'),
    ],
    ...['iss', 'status', 'certificateNumber', 'constructor', 'hasOwnProperty'].map(
      (reserved): Case => [
        `a field called ${reserved}`,
        typed({ fields: [{ ...field, name: reserved }] }),
        invalid('/fields/0/name'),
      ],
    ),
    [
      'a field called __proto__',
      typed({ fields: [{ ...field, name: '__proto__' }] }),
      [400, 'contract_violation', '/fields/0/name'],
    ],
    ['a field twice', typed({ fields: [field, field] }), invalid('/fields/1/name')],
    ['a field of any length', schema({ type: 'string' }), invalid(at)],
    ['a field of any type', schema({ maxLength: 10 }), invalid(at)],
    ['a field of no type', schema({ type: 'canary' }), invalid(at)],
    ['a reference', schema({ ...text, $ref: 'https://canary.test/schema' }), invalid(at)],
    ['a combination', schema({ ...text, anyOf: [text] }), invalid(at)],
    [
      'a pattern that takes for ever',
      schema({ ...text, maxLength: 100, pattern: '^(a+)+$' }),
      invalid(`${at}/pattern`),
    ],
    ['a pattern that is none', schema({ ...text, pattern: '^(canary$' }), invalid(`${at}/pattern`)],
    ['a format nobody checks', schema({ ...text, format: 'canary' }), invalid(`${at}/format`)],
    ['a list of any length', schema({ type: 'array', items: text }), invalid(`${at}/maxItems`)],
    ['too deep', schema(deep), invalid(`${at}${'/items'.repeat(6)}`)],
    ['too large', schema({ ...text, description: 'canary'.repeat(2_000) }), invalid(at)],
  ]);
  await expectAnswer(admin.post('/v1/certificate-types', type), 201);
  const refuses = await refusing(world);
  await refuses(t, 'nothing new', { operationId: 'registerCertificateType', ...typed({}) }, [
    409,
    'certificate_type_exists',
    '/certificateTypeCode',
  ]);
  const unknown = { operationId: 'getCertificateType', as: 'hub-admin' } as const;
  await refuses(t, 'nobody registered', { ...unknown, params: { certificateTypeCode: `${publicSecurity}998` } }, [
    404,
    'certificate_type_unknown',
    '/certificateTypeCode',
  ]);
});

await t.test('grants', async (t) => {
  const wish = (scope: Record<string, unknown>, rest: Record<string, unknown> = {}) => ({ body: newWish(scope, rest) });
  const bad = (pointer: string): Expected => [400, 'contract_violation', pointer];
  const { params } = await samples.getGrant(world);
  const renews = params?.['grantId'];
  const renewed = await expectAnswer<{ validUntil: string }>(admin.get(`/v1/grants/${renews ?? ''}`), 200);
  const endsOf = (ms: number) => new Date(Date.parse(renewed.validUntil) + ms).toISOString();
  const end = '/wanted/validUntil';
  await all(t, 'applyForGrant', [
    ['of a field of another type', wish({ fields: ['companyName'] }), [422, 'field_unknown', '/wanted/fields/0']],
    ['of a field twice', wish({ fields: ['name', 'name'] }), bad('/wanted/fields')],
    ['on a legal basis that is none', wish({ legalBases: ['canary'] }), bad('/wanted/legalBases/0')],
    ['at a level that is none', wish({ level: 'document' }), bad('/wanted/level')],
    ['for somebody else', wish({}, { clientId: 'housing-allocation' }), bad('')],
    ['that ends before it begins', wish({ validUntil: endsOf(-1_000) }, { renews }), [422, 'grant_invalid', end]],
    ['that lasts no time', wish({ validUntil: endsOf(0) }, { renews }), [422, 'grant_invalid', end]],
    ['that lasts too long', wish({ validUntil: daysFromNow(5 * 365 + 3) }), [422, 'grant_invalid', end]],
    ['without a use', wish({ dailyQuota: 0 }), bad('/wanted/dailyQuota')],
    ['with negative uses', wish({ dailyQuota: -1 }), bad('/wanted/dailyQuota')],
    ['with half a use', wish({ dailyQuota: 0.5 }), bad('/wanted/dailyQuota')],
    ['with too many uses', wish({ dailyQuota: 1e9 }), bad('/wanted/dailyQuota')],
    ['with uses as text', wish({ dailyQuota: '10' }), bad('/wanted/dailyQuota')],
    ['on no ground', wish({}, { legalGround: ' ' }), bad('/legalGround')],
    ...badTimes('validUntil').map(([what, validUntil]): Case => [what, wish({ validUntil }), bad(end)]),
  ]);
  const decisive = { params: { applicationId: await applicationIn(world, 'awaiting_owner') }, as: 'psb-grants' };
  const verdict = (changes: Record<string, unknown>) => ({ ...decisive, body: { ...approval, ...changes } });
  const { wanted } = newWish() as { wanted: object };
  await all(t, 'decideGrantApplication', [
    ['decided nowhere', verdict({ decisionReference: ' ' }), bad('/decisionReference')],
    ['neither yes nor no', verdict({ decision: 'canary' }), bad('/decision')],
    ...badTimes('validUntil').map(
      ([what, validUntil]): Case => [what, verdict({ allowed: { ...wanted, validUntil } }), bad('/allowed/validUntil')],
    ),
  ]);
  const missing = '0199a000-0000-7000-8000-000000000000';
  await all(t, 'revokeGrant', [
    ['that there is not', { params: { grantId: missing }, body: { reason } }, [404, 'grant_unknown']],
    ['with a name that is no UUID', { params: { grantId: 'canary' }, body: { reason } }, bad('/grantId')],
  ]);
  await all(t, 'getGrant', [
    ['that there is not', { params: { grantId: missing } }, [404, 'grant_unknown']],
    ['of another client', { ...(params && { params }), as: 'housing-allocation' }, [404, 'grant_unknown']],
  ]);
});

await t.test('invariant 8: every registry write has one effect under one key', async (t) => {
  interface Written {
    readonly operationId: OperationId;
    readonly by?: string;
    readonly sample: Sample;
    readonly other: Record<string, unknown>;
    /** Something else of the same client. */
    readonly elsewhere?: Bad;
  }
  const rooted: Bad = { operationId: 'registerTrustRoot', body: { x509: base64(await newRoot()) } };
  const suspending: Bad = { operationId: 'suspendGrant', as: 'psb-grants', ...(await samples.suspendGrant(world)) };
  const department = () => ({ departmentCode: newDepartmentCode(), name });
  const writes: readonly Written[] = [
    { operationId: 'registerDepartment', sample: { body: department() }, other: department() },
    { operationId: 'registerCertificateType', sample: { body: newType() }, other: newType() },
    {
      operationId: 'applyForGrant',
      by: 'school-enrolment',
      sample: { body: newWish() },
      other: newWish(),
      elsewhere: { operationId: 'declareDemand', body: newNeed() },
    },
    {
      operationId: 'decideGrantApplication',
      by: 'psb-grants',
      sample: { params: { applicationId: await applicationIn(world, 'awaiting_owner') }, body: approval },
      other: { ...approval, decision: 'refuse' },
      elsewhere: suspending,
    },
  ];
  for (const { operationId, by = 'hub-admin', sample, other, elsewhere = rooted } of writes) {
    const [client, path, key] = [world.client(by), pathOf(operationId, sample), randomUUID()];
    const first = await client.post(path, sample.body, key);
    t.ok(first.status === 200 || first.status === 201, operationId);
    const before = await world.snapshot();
    const again = await client.post(path, sample.body, key);
    t.strictSame([again.status, again.body], [first.status, first.body], `${operationId}: the same answer`);
    t.strictSame((await world.snapshot()).tables, before.tables, `${operationId}: and nothing changed`);
    const refuses = await refusing(world);
    const headers = { 'idempotency-key': key };
    await refuses(t, 'another body under the key', { operationId, as: by, ...sample, body: other, headers }, [
      422,
      'idempotency_conflict',
    ]);
    await refuses(t, 'another operation under the key', { ...elsewhere, headers }, [422, 'idempotency_conflict']);
  }
  logsAreClean(t, world);
  for (const path of ['/v1/trust-bundle', '/health/ready'])
    t.equal((await world.hub.anyone.get(path)).status, 200, path);
});
