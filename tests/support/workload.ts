import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Test } from 'tap';
import { exampleDepartments, starterTypes } from '../../src/catalogue/starter-types.ts';
import type { ApiClient, Reply } from '../../src/cli/api-client.ts';
import { demoTypes, type PushBody } from '../../src/cli/demo/certificates.ts';
import { expectAnswer } from '../../src/cli/demo/load.ts';
import { type Person, personOf } from '../../src/cli/demo/people.ts';
import { exampleFolder } from '../../src/cli/demo/registry.ts';
import { connect } from '../../src/db/database.ts';
import type { EmbeddedServer } from '../../src/db/embedded.ts';
import { migrate, readMigrations } from '../../src/db/migrate.ts';
import { keySigner } from '../../src/signing/signer.ts';
import { issueX509, type X509Issuer } from '../../src/signing/x509-issue.ts';
import { composeCertificateIdentifier, usccCheckCharacter } from '../../src/verification/identifiers.ts';
import { proveStore } from './check-records.ts';
import { inDatabase, type TestDatabase } from './database.ts';
import { putGrant } from './demo-samples.ts';
import { holderStatement } from './holder-statement.ts';
import { exampleKeys } from './start-hub.ts';

/** Who calls: one client per name, each with one token. */
export type Clients = (clientId: string) => ApiClient;

/** Remembers the clients of a hub, so that each asks for a token once. */
export function clientsOf(hub: { client(clientId: string): ApiClient }): Clients {
  const known = new Map<string, ApiClient>();
  return (clientId) => {
    const client = known.get(clientId) ?? hub.client(clientId);
    known.set(clientId, client);
    return client;
  };
}

export const clerk = { id: 'clerk-03', name: '周录入' } as const;
export const reviewer = { id: 'reviewer-11', name: '郑复核' } as const;

const holderOf = (person: Person) => ({ type: '111', number: person.idNumber, name: person.name });

/** A residence permit: one holder, reviewed before it is sealed. */
export function permitOf(person: Person, number: string): PushBody {
  return {
    certificateTypeCode: demoTypes.residencePermit,
    certificateNumber: number,
    certificateIssuedDate: '2025-03-10',
    certificateEffectiveDate: '2025-03-10',
    certificateExpiringDate: '2029-03-09',
    holders: [holderOf(person)],
    fields: {
      name: person.name,
      sex: person.sex,
      birthDate: person.birthDate,
      registeredResidence: '外省示例县示例镇8号',
      currentAddress: person.address,
      residenceReason: '合法稳定就业',
    },
    officer: clerk,
  };
}

/** A marriage certificate: two holders. */
export function marriageOf(one: Person, other: Person, number: string): PushBody {
  return {
    certificateTypeCode: demoTypes.marriage,
    certificateNumber: number,
    certificateIssuedDate: '2018-05-20',
    certificateEffectiveDate: '2018-05-20',
    holders: [holderOf(one), holderOf(other)],
    fields: {
      registeredDate: '2018-05-20',
      registrationOffice: '示范市民政局婚姻登记处',
      husbandName: one.name,
      wifeName: other.name,
    },
    officer: clerk,
  };
}

/** Pushes a certificate and takes it as far as asked. Answers its identifier. */
export async function certificateUpTo(
  client: ApiClient,
  push: PushBody,
  stage: 'pushed' | 'approved' | 'sealed',
): Promise<string> {
  const pushed = await expectAnswer<{ certificateIdentifier: string }>(client.post('/v1/certificates', push), 201);
  const path = `/v1/certificates/${pushed.certificateIdentifier}`;
  if (stage === 'pushed') return pushed.certificateIdentifier;
  await expectAnswer(client.post(`${path}/reviews`, { decision: 'approve', officer: reviewer }), 200);
  if (stage === 'approved') return pushed.certificateIdentifier;
  await expectAnswer(client.post(`${path}/seals`, {}), 200);
  return pushed.certificateIdentifier;
}

/** Every field of a residence permit that can be granted. */
export const permitFields = [
  'certificateNumber',
  'certificateIssuedDate',
  'certificateHolders',
  'name',
  'sex',
  'birthDate',
  'registeredResidence',
  'currentAddress',
  'residenceReason',
] as const;

/** Has the school's grant of residence permits made, by applying and deciding; answers its id. */
export async function grant(clients: Clients, overrides: object = {}): Promise<string> {
  const { grantId } = await putGrant(clients, {
    certificateTypeCode: demoTypes.residencePermit,
    fields: permitFields,
    validUntil: '2029-01-01T00:00:00Z',
    dailyQuota: 1_000_000,
    ...overrides,
  });
  return grantId;
}

/** A wish for a grant of a residence permit without what is sensitive in it. */
export const wishBody = (scope: object = {}, overrides: object = {}) => ({
  certificateTypeCode: demoTypes.residencePermit,
  wanted: {
    level: 'fields',
    fields: ['name', 'sex', 'birthDate'],
    matters: ['school-enrolment'],
    legalBases: ['own_application'],
    dailyQuota: 1_000,
    ...scope,
  },
  legalGround: '《示范市义务教育条例》第十二条',
  safeguards: '仅报名经办人可见，办结后一年销毁',
  officer: { id: 'officer-27', name: '陈受理' },
  ...overrides,
});

/** Applies for a grant as the school does; answers the application's id. */
export async function application(clients: Clients, scope: object = {}): Promise<string> {
  const reply = clients('school-enrolment').post('/v1/grant-applications', wishBody(scope));
  return (await expectAnswer<{ applicationId: string }>(reply, 201)).applicationId;
}

/** What a grantor or an administrator decides. */
export const verdictBody = (overrides: object = {}) => ({
  decision: 'approve',
  reason: '符合法定职责',
  decisionReference: '示公授〔2026〕3号',
  officer: { id: 'grantor-5', name: '何审批' },
  ...overrides,
});

/** A ticket for a person's residence permit, with a new statement of that person: no two of them are the same. */
export function ticketBody(n: number) {
  const { purpose } = question({});
  const holder = { type: '111', number: personOf(n).idNumber };
  const { matterCode, caseNumber } = purpose;
  const types = [{ certificateTypeCode: demoTypes.residencePermit, fields: ['name', 'birthDate'] }];
  const statement = holderStatement({ matterCode, caseNumber, holder, types: [demoTypes.residencePermit] });
  return { purpose, level: 'fields', holder, types, statement };
}

/** What a portal asks a one-time code for, and an office a ticket on it: of the `n`th person, for the school. */
const codeBody = (n: number) => ({
  statement: { authenticatedBy: '人脸识别登录', sessionReference: 'portal-1' },
  holder: { type: '111', number: personOf(n).idNumber },
  matterCode: question({}).purpose.matterCode,
  departmentCode: '11999900100000075D',
  certificateTypeCodes: [demoTypes.residencePermit],
});

/** A fault of a residence permit that nobody has to have. */
export const faultBody = (n: number, overrides: object = {}) => ({
  kind: 'wrong',
  certificateTypeCode: demoTypes.residencePermit,
  certificateIdentifier: composeCertificateIdentifier({
    typeCode: demoTypes.residencePermit,
    issuerCode: exampleDepartments.publicSecurity,
    serial: String(800_000_000 + n).padStart(20, '0'),
    version: 1,
  }),
  explanation: '姓名有误',
  officer: { id: 'officer-27', name: '陈受理' },
  ...overrides,
});

/** A lookup as an approval system asks it. */
export const question = (about: object, overrides: object = {}) => ({
  purpose: {
    matterCode: 'school-enrolment',
    caseNumber: 'RX-2026-0001',
    officer: { id: 'officer-27', name: '陈受理' },
    legalBasis: 'own_application',
  },
  level: 'fields',
  ...about,
  ...overrides,
});

export const byNumber = (person: Person) => ({ holder: { type: '111', number: person.idNumber } });

export interface LookupAnswer {
  readonly recordId: string;
  readonly answer: string;
  readonly certificates: readonly {
    readonly certificateIdentifier: string;
    readonly status: string;
    readonly fields?: Readonly<Record<string, unknown>>;
    readonly supersededBy?: string;
    readonly sdJwt: string;
  }[];
}

export interface Problem {
  readonly code: string;
  readonly requestId: string;
}

/** The code of a problem; undefined for an answer that is none. */
export const codeOf = (reply: Reply): string | undefined => (reply.body as Partial<Problem> | null)?.code;

/** The claims of a JWS, unverified. */
export const claimsOf = (jws: string): Record<string, unknown> =>
  JSON.parse(Buffer.from(jws.split('.')[1] ?? '', 'base64url').toString('utf8')) as Record<string, unknown>;

/** A fresh client key: its public JWK as registered, and the private one to sign in with. */
export function newClientKey(kid: string): { readonly jwk: object; readonly key: Record<string, string> } {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { kty, crv, x, y } = publicKey.export({ format: 'jwk' });
  return {
    jwk: { kty, crv, x, y, kid },
    key: { ...(privateKey.export({ format: 'jwk' }) as Record<string, string>), kid },
  };
}

const aYear = { notBefore: new Date('2026-01-01T00:00:00Z'), notAfter: new Date('2027-12-31T00:00:00Z') };
const newSigner = (kid: string) =>
  keySigner({ privateKey: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey, suite: 'ES256', kid });

/** A root nobody has seen before, as DER. */
export function newRoot(name: string): Promise<Buffer> {
  const signer = newSigner('root');
  const subject = { organization: name, commonName: name };
  const profile = { kind: 'authority', pathLength: 1 } as const;
  return issueX509({ issuer: { selfSigner: signer }, subject, publicKey: signer.publicKey, profile, validity: aYear });
}

/** A new seal certificate (X.509) of a department under the demo's authority: its chain as base64 DER. */
export async function newSealChain(departmentCode: string): Promise<string[]> {
  const pem = (file: string): string => readFileSync(`${exampleFolder}authority/${file}`, 'utf8');
  const privateKey = createPrivateKey(pem('authority.key.pem'));
  const x509 = Buffer.from(pem('authority.x509.pem').replace(/-----[^-]+-----|\s/g, ''), 'base64');
  const issuer: X509Issuer = { signer: keySigner({ privateKey, suite: 'ES256', kid: 'authority' }), x509 };
  const subject = { organization: '示范单位', commonName: '示范签章', organizationIdentifier: departmentCode };
  const { publicKey } = newSigner('seal');
  const profile = { kind: 'seal' } as const;
  const leaf = await issueX509({
    issuer,
    subject,
    publicKey: createPublicKey(publicKey.export({ type: 'spki', format: 'pem' })),
    profile,
    validity: aYear,
  });
  return [leaf.toString('base64'), x509.toString('base64')];
}

/** The code of a department nobody has registered. */
export function newDepartmentCode(n: number): string {
  const body = `11999900${String(200_000_000 + n)}`;
  return `${body}${usccCheckCharacter(body) ?? ''}`;
}

/** A request that changes something. */
export interface WriteRequest {
  readonly method: 'post' | 'put';
  readonly path: string;
  readonly body: object;
  /** The same operation with another content. */
  readonly otherBody: object;
}

/** A kind of write: what has to be there before it, what it sends, what it leaves. */
export interface WriteKind {
  /** Operation of the contract, and which way it goes. */
  readonly name: string;
  readonly clientId: string;
  readonly status: 200 | 201;
  /** Rows that one effect adds; tables not named here keep their number. */
  readonly rows: Readonly<Record<string, number>>;
  /** Brings about what the write needs; every call is about something new. `n` differs from call to call. */
  readonly prepare: (clients: Clients, n: number) => Promise<WriteRequest>;
}

const post = (path: string, body: object, otherBody: object): WriteRequest => ({
  method: 'post',
  path,
  body,
  otherBody,
});
const admin = { clientId: 'hub-admin', status: 201 } as const;
const registry = 'records of kind 3';
const steps = 'records of kind 2';
const isOne = { idempotency_keys: 1, [registry]: 1 };
const step = { idempotency_keys: 1, certificate_events: 1, [steps]: 1 };
const reason = { reason: '示例原因' };
const otherReason = { reason: '另一原因' };
const psb = 'psb-issuer';
const registration = (n: number, more: object = {}) => ({
  clientId: `system-${n}`,
  departmentCode: exampleDepartments.publicSecurity,
  name: { zh: '示例系统', en: 'Example system' },
  roles: ['consumer'],
  keys: [newClientKey(`first-${n}`).jwk, newClientKey(`second-${n}`).jwk],
  ...more,
});
const registered = async (clients: Clients, n: number): Promise<string> => {
  await expectAnswer(clients('hub-admin').post('/v1/clients', registration(n)), 201);
  return `/v1/clients/system-${n}`;
};
const numbered = (n: number): string => `ZZ-${n}`;
/** Two of the same `n` are the same person, and spouses of neighbouring numbers do not overlap. */
const people = (n: number): [Person, Person] => [personOf(100_000 + 2 * n), personOf(100_001 + 2 * n)];
const permit = (n: number, suffix = ''): PushBody => permitOf(people(n)[0], `${numbered(n)}${suffix}`);
const at = (identifier: string, what = ''): string => `/v1/certificates/${identifier}${what}`;

const needBody = (n: number) => ({
  name: { zh: `示例缺项${n}证`, en: 'What is missing' },
  fields: [{ name: { zh: '示例项', en: 'Item' } }],
  matters: ['school-enrolment'],
  issuerDepartmentCode: exampleDepartments.publicSecurity,
  legalGround: '示例依据',
  officer: { id: 'officer-27', name: '陈受理' },
});
const demand = async (clients: Clients, n: number): Promise<string> => {
  const declared = clients('school-enrolment').post('/v1/demands', needBody(n));
  return `/v1/demands/${(await expectAnswer<{ demandId: string }>(declared, 201)).demandId}`;
};

const guardianOf = (n: number) => ({ type: '111', number: people(n)[0].idNumber });
const paperDemand = (n: number, why = 'certificate_missing', caseNumber = `BJ-${n}`) => ({
  matterCode: 'school-enrolment',
  requirement: 'guardianship',
  caseNumber,
  officer: clerk,
  parties: { guardian: guardianOf(n), child: { type: '111', number: people(n)[1].idNumber } },
  reason: why,
});
/** The address of a demand for paper that the school made. */
const paperDemanded = async (clients: Clients, n: number, why: string): Promise<string> => {
  const body = paperDemand(n, undefined, `BJ-${n}-${why}`);
  const recorded = clients('school-enrolment').post('/v1/paper-demands', body);
  return `/v1/paper-demands/${(await expectAnswer<{ paperDemandId: string }>(recorded, 201)).paperDemandId}`;
};

/** Every kind of write there is. */
export const writeKinds: readonly WriteKind[] = [
  {
    name: 'registerDepartment',
    ...admin,
    rows: { ...isOne, departments: 1 },
    prepare: async (_clients, n) => {
      const departmentCode = newDepartmentCode(n);
      const body = { departmentCode, name: { zh: '示例局', en: 'Example bureau' } };
      return post('/v1/departments', body, { ...body, name: { zh: '另一局', en: 'Other bureau' } });
    },
  },
  {
    name: 'registerTrustRoot',
    ...admin,
    rows: { ...isOne, trust_roots: 1 },
    prepare: async (_clients, n) => {
      const der = async (name: string) => ({ x509: (await newRoot(name)).toString('base64') });
      return post('/v1/trust-roots', await der(`root ${n}`), await der(`other root ${n}`));
    },
  },
  {
    name: 'registerSealX509',
    ...admin,
    rows: { ...isOne, seal_x509: 1 },
    prepare: async () => {
      const code = exampleDepartments.taxation;
      const chain = async () => ({ chain: await newSealChain(code) });
      return post(`/v1/departments/${code}/seal-x509`, await chain(), await chain());
    },
  },
  {
    name: 'revokeSealX509',
    ...admin,
    status: 200,
    rows: isOne,
    prepare: async (clients) => {
      const path = `/v1/departments/${exampleDepartments.taxation}/seal-x509`;
      const chain = await newSealChain(exampleDepartments.taxation);
      const { sha256 } = await expectAnswer<{ sha256: string }>(clients('hub-admin').post(path, { chain }), 201);
      return post(`${path}/${sha256}/revocations`, reason, otherReason);
    },
  },
  {
    name: 'registerClient',
    ...admin,
    rows: { ...isOne, clients: 1, client_keys: 2 },
    prepare: async (_clients, n) => {
      const body = registration(n);
      return post('/v1/clients', body, { ...body, roles: ['auditor'] });
    },
  },
  {
    name: 'addClientKey',
    ...admin,
    rows: { ...isOne, client_keys: 1 },
    prepare: async (clients, n) => {
      const path = await registered(clients, n);
      return post(`${path}/keys`, { jwk: newClientKey('third').jwk }, { jwk: newClientKey('fourth').jwk });
    },
  },
  {
    name: 'revokeClientKey',
    ...admin,
    status: 200,
    rows: isOne,
    prepare: async (clients, n) =>
      post(`${await registered(clients, n)}/keys/first-${n}/revocations`, reason, otherReason),
  },
  {
    name: 'setClientState',
    ...admin,
    status: 200,
    rows: isOne,
    prepare: async (clients, n) => {
      const path = `${await registered(clients, n)}/states`;
      return post(path, { state: 'disabled', ...reason }, { state: 'active', ...reason });
    },
  },
  {
    name: 'registerCertificateType',
    ...admin,
    rows: { ...isOne, certificate_types: 1 },
    prepare: async (_clients, n) => {
      const [type] = starterTypes(exampleDepartments);
      const code = `${exampleDepartments.publicSecurity}${String(100 + (n % 900)).padStart(3, '0')}`;
      const body = { ...type, certificateTypeCode: code, name: { zh: `示例证${n}`, en: `Example ${n}` } };
      return post('/v1/certificate-types', body, { ...body, name: { zh: '另一证', en: 'Other' } });
    },
  },
  {
    name: 'revokeGrant',
    ...admin,
    status: 200,
    rows: isOne,
    prepare: async (clients) => post(`/v1/grants/${await grant(clients)}/revocations`, reason, otherReason),
  },
  {
    name: 'suspendGrant',
    ...admin,
    clientId: 'psb-grants',
    status: 200,
    rows: isOne,
    prepare: async (clients) => post(`/v1/grants/${await grant(clients)}/suspensions`, reason, otherReason),
  },
  {
    name: 'resumeGrant',
    ...admin,
    status: 200,
    rows: isOne,
    prepare: async (clients) => {
      const path = `/v1/grants/${await grant(clients)}`;
      await expectAnswer(clients('psb-grants').post(`${path}/suspensions`, reason), 200);
      return post(`${path}/resumptions`, reason, otherReason);
    },
  },
  {
    name: 'applyForGrant',
    clientId: 'school-enrolment',
    status: 201,
    rows: { ...isOne, grant_applications: 1 },
    prepare: async (_clients, n) =>
      post('/v1/grant-applications', wishBody({ dailyQuota: n }), wishBody({ dailyQuota: 1_000_000 + n })),
  },
  {
    name: 'decideGrantApplication that grants',
    clientId: 'psb-grants',
    status: 200,
    rows: { ...isOne, grants: 1 },
    prepare: async (clients, n) => {
      const path = `/v1/grant-applications/${await application(clients, { dailyQuota: 2_000_000 + n })}/decisions`;
      return post(path, verdictBody(), verdictBody({ decision: 'refuse' }));
    },
  },
  {
    name: 'withdrawGrantApplication',
    clientId: 'school-enrolment',
    status: 200,
    rows: isOne,
    prepare: async (clients, n) => {
      const path = `/v1/grant-applications/${await application(clients, { dailyQuota: 3_000_000 + n })}/withdrawals`;
      return post(path, reason, otherReason);
    },
  },
  {
    name: 'issueTicket on the holder’s word',
    clientId: 'school-enrolment',
    status: 201,
    rows: { ...isOne, tickets: 1 },
    prepare: async (_clients, n) => post('/v1/tickets', ticketBody(n), ticketBody(n)),
  },
  {
    name: 'revokeTicket',
    clientId: 'school-enrolment',
    status: 200,
    rows: isOne,
    prepare: async (clients, n) => {
      const issued = clients('school-enrolment').post('/v1/tickets', ticketBody(n));
      const { ticketId } = await expectAnswer<{ ticketId: string }>(issued, 201);
      return post(`/v1/tickets/${ticketId}/revocations`, reason, otherReason);
    },
  },
  {
    name: 'declareDemand',
    clientId: 'school-enrolment',
    status: 201,
    rows: { ...isOne, demands: 1 },
    prepare: async (_clients, n) => post('/v1/demands', needBody(n), { ...needBody(n), expectedPerDay: 9 }),
  },
  {
    name: 'withdrawDemand',
    clientId: 'school-enrolment',
    status: 200,
    rows: isOne,
    prepare: async (clients, n) => post(`${await demand(clients, n)}/withdrawals`, reason, otherReason),
  },
  {
    name: 'assignDemand',
    ...admin,
    status: 200,
    rows: isOne,
    prepare: async (clients, n) => {
      const body = { issuerDepartmentCode: exampleDepartments.taxation, ...reason };
      return post(`${await demand(clients, n)}/assignments`, body, { ...body, ...otherReason });
    },
  },
  {
    name: 'answerSupplyGap',
    clientId: 'psb-grants',
    status: 200,
    rows: isOne,
    prepare: async (clients, n) => {
      const body = { answer: 'refused', ...reason, officer: reviewer };
      return post(`${await demand(clients, n)}/answers`, body, { ...body, answer: 'not_ours' });
    },
  },
  {
    name: 'issueHolderCode',
    clientId: 'citizen-portal',
    status: 201,
    rows: { ...isOne, holder_codes: 1 },
    prepare: async (_clients, n) =>
      post('/v1/holder-codes', codeBody(n), { ...codeBody(n), certificateTypeCodes: [demoTypes.residentIdCard] }),
  },
  {
    name: 'issueTicket on the holder’s code',
    clientId: 'school-enrolment',
    status: 201,
    rows: { ...isOne, tickets: 1 },
    prepare: async (clients, n) => {
      const issued = clients('citizen-portal').post('/v1/holder-codes', codeBody(n));
      const { code: holderCode } = await expectAnswer<{ code: string }>(issued, 201);
      const { statement: _, ...body } = ticketBody(n);
      return post('/v1/tickets', { ...body, holderCode }, { ...body, holderCode, uses: 2 });
    },
  },
  {
    name: 'revokeHolderCode',
    clientId: 'citizen-portal',
    status: 200,
    rows: isOne,
    prepare: async (clients, n) => {
      const issued = clients('citizen-portal').post('/v1/holder-codes', codeBody(n));
      const { codeId } = await expectAnswer<{ codeId: string }>(issued, 201);
      return post(`/v1/holder-codes/${codeId}/revocations`, reason, otherReason);
    },
  },
  {
    name: 'reportFault',
    clientId: 'school-enrolment',
    status: 201,
    rows: { ...isOne, feedback: 1 },
    prepare: async (_clients, n) => post('/v1/feedback', faultBody(n), faultBody(n, { kind: 'unreadable' })),
  },
  {
    name: 'answerFeedback',
    clientId: psb,
    status: 200,
    rows: isOne,
    prepare: async (clients, n) => {
      const reported = clients('school-enrolment').post('/v1/feedback', faultBody(1_000_000 + n));
      const { feedbackId } = await expectAnswer<{ feedbackId: string }>(reported, 201);
      const body = { outcome: 'refused', ...reason, officer: reviewer };
      return post(`/v1/feedback/${feedbackId}/answers`, body, { ...body, ...otherReason });
    },
  },
  {
    name: 'recordPaperDemand',
    clientId: 'school-enrolment',
    status: 201,
    rows: { ...isOne, paper_demands: 1, paper_demand_holders: 2 },
    prepare: async (_clients, n) => post('/v1/paper-demands', paperDemand(n), paperDemand(n, 'certificate_wrong')),
  },
  {
    name: 'contestPaperDemand',
    clientId: 'citizen-portal',
    status: 200,
    rows: isOne,
    prepare: async (clients, n) => {
      const holder = guardianOf(n);
      const path = `${await paperDemanded(clients, n, 'contest')}/contests`;
      return post(path, { holder, statement: '平台上就有' }, { holder, statement: '另一理由' });
    },
  },
  {
    name: 'answerPaperDemand',
    clientId: 'school-enrolment',
    status: 200,
    rows: isOne,
    prepare: async (clients, n) => {
      const path = await paperDemanded(clients, n, 'answer');
      const statement = { holder: guardianOf(n), statement: '平台上就有' };
      await expectAnswer(clients('citizen-portal').post(`${path}/contests`, statement), 200);
      const answer = { outcome: 'maintained', ...reason, officer: clerk };
      return post(`${path}/answers`, answer, { ...answer, outcome: 'withdrawn' });
    },
  },
  {
    name: 'pushCertificate of two holders',
    clientId: 'civil-affairs-issuer',
    status: 201,
    rows: { ...step, certificates: 2, certificate_versions: 1, status_entries: 1 },
    prepare: async (_clients, n) => {
      const [one, other] = people(n);
      return post('/v1/certificates', marriageOf(one, other, numbered(n)), marriageOf(one, other, `${numbered(n)}-b`));
    },
  },
  {
    name: 'correctCertificate to other holders',
    clientId: 'civil-affairs-issuer',
    status: 200,
    rows: step,
    prepare: async (clients, n) => {
      const [one, other] = people(n);
      const wrong = marriageOf(other, personOf(900_000 + n), numbered(n));
      const identifier = await certificateUpTo(clients('civil-affairs-issuer'), wrong, 'pushed');
      const body = marriageOf(one, other, numbered(n));
      return { ...post(at(identifier), body, { ...body, certificateNumber: `${numbered(n)}-b` }), method: 'put' };
    },
  },
  {
    name: 'reviewCertificate',
    clientId: psb,
    status: 200,
    rows: step,
    prepare: async (clients, n) => {
      const identifier = await certificateUpTo(clients(psb), permit(n), 'pushed');
      const officer = reviewer;
      const returned = { decision: 'return', officer, ...reason };
      return post(at(identifier, '/reviews'), { decision: 'approve', officer }, returned);
    },
  },
  {
    name: 'sealCertificate',
    clientId: psb,
    status: 200,
    rows: step,
    prepare: async (clients, n) =>
      post(at(await certificateUpTo(clients(psb), permit(n), 'approved'), '/seals'), {}, { officer: reviewer }),
  },
  {
    name: 'sealCertificate that supersedes',
    clientId: psb,
    status: 200,
    rows: { ...step, certificate_events: 2, [steps]: 2 },
    prepare: async (clients, n) => post(at(await revised(clients, n, 'approved'), '/seals'), {}, { officer: reviewer }),
  },
  {
    name: 'reviseCertificate',
    clientId: psb,
    status: 201,
    rows: { ...step, certificates: 1, certificate_versions: 1, status_entries: 1 },
    prepare: async (clients, n) => {
      const identifier = await certificateUpTo(clients(psb), permit(n), 'sealed');
      return post(at(identifier, '/versions'), permit(n, '-2'), permit(n, '-3'));
    },
  },
  {
    name: 'changeCertificateStatus to revoked',
    clientId: psb,
    status: 200,
    rows: step,
    prepare: async (clients, n) => {
      const identifier = await certificateUpTo(clients(psb), permit(n), 'sealed');
      const revoke = { action: 'revoke', revocationReason: 'issued_in_error', ...reason };
      return post(at(identifier, '/status-changes'), revoke, { action: 'suspend', ...reason });
    },
  },
];

/** A second version of a sealed certificate, taken as far as asked. Answers its identifier. */
export async function revised(clients: Clients, n: number, stage: 'pushed' | 'approved' | 'sealed'): Promise<string> {
  const client = clients(psb);
  const first = await certificateUpTo(client, permit(n), 'sealed');
  const { certificateIdentifier } = await expectAnswer<{ certificateIdentifier: string }>(
    client.post(at(first, '/versions'), permit(n, '-2')),
    201,
  );
  if (stage === 'pushed') return certificateIdentifier;
  const path = at(certificateIdentifier);
  await expectAnswer(client.post(`${path}/reviews`, { decision: 'approve', officer: reviewer }), 200);
  if (stage === 'sealed') await expectAnswer(client.post(`${path}/seals`, {}), 200);
  return certificateIdentifier;
}

/** Sends a write under an Idempotency-Key. */
export const send = (client: ApiClient, { method, path, body }: WriteRequest, idempotencyKey: string): Promise<Reply> =>
  client[method](path, body, idempotencyKey);

/** What was added between two counts of rows; what stayed the same is left out. */
export const added = (
  before: Readonly<Record<string, number>>,
  after: Readonly<Record<string, number>>,
): Readonly<Record<string, number>> =>
  Object.fromEntries(
    Object.entries(after)
      .map(([table, n]) => [table, n - (before[table] ?? 0)] as const)
      .filter(([, n]) => n !== 0),
  );

/** The database `certhub` of a cluster of one's own, with the schema in it. */
export async function databaseOf({ urls, superuserUrl }: EmbeddedServer): Promise<TestDatabase> {
  await migrate({ url: urls.owner, migrations: await readMigrations() });
  return {
    name: 'certhub',
    ownerUrl: urls.owner,
    serviceUrl: urls.service,
    sequencerUrl: urls.sequencer,
    superuserUrl: inDatabase(superuserUrl, 'certhub'),
  };
}

/** Waits, patiently: the machine may be busy with other things. */
export async function until(what: string, isSo: () => Promise<boolean>, limitMs = 90_000): Promise<void> {
  const deadline = performance.now() + limitMs;
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`waited in vain until ${what}`);
    await sleep(50);
  }
}

/** Nothing of a person may stand in a refusal. */
export const personal = (persons: readonly Person[]): RegExp =>
  new RegExp(persons.flatMap(({ name, idNumber, address }) => [name, idNumber, address]).join('|'));
/** The two codes that an outage may have. */
export const unavailable = /^(database_unavailable|record_unavailable)$/;

/** What a caller was told, by which its record must be found. */
export interface Told {
  readonly recordIds: Map<string, string>;
  readonly refusals: Map<string, string>;
  readonly unavailable: Problem[];
  readonly others: string[];
  answered: number;
}

export const noted = (): Told => ({
  recordIds: new Map(),
  refusals: new Map(),
  unavailable: [],
  others: [],
  answered: 0,
});

/** Notes a reply to a lookup. */
export function note(told: Told, reply: Reply): void {
  if (reply.status === 200) {
    const { answer, recordId } = reply.body as LookupAnswer;
    told.recordIds.set(recordId, String(claimsOf(answer)['commitment']));
    told.answered += 1;
    return;
  }
  const problem = reply.body as Problem;
  if (reply.status === 403) told.refusals.set(problem.requestId, problem.code);
  else if (reply.status === 503) told.unavailable.push(problem);
  else told.others.push(`${reply.status} ${problem.code}`);
}

/** Every answer and every refusal that reached a caller has its committed record. */
export async function proveTold(t: Pick<Test, 'strictSame'>, told: Told, database: TestDatabase): Promise<void> {
  const db = connect({ url: database.serviceUrl, max: 2, statementTimeoutMs: 30_000, applicationName: 'proving' });
  const { faults, records } = await proveStore(db, exampleKeys);
  await db.close();
  t.strictSame(faults, []);
  const byId = new Map(records.map((record) => [record.recordId, record]));
  const byRequest = new Map(records.map((record) => [record.requestId, record]));
  const missing = [...told.recordIds].filter(([recordId, commitment]) => {
    const record = byId.get(recordId);
    return record?.result !== 'answered' || record.commitment !== commitment;
  });
  t.strictSame(
    missing,
    [],
    `all ${told.recordIds.size} answers are on record, under the commitment they were signed with`,
  );
  const unrecorded = [...told.refusals].filter(([requestId, code]) => {
    const record = byRequest.get(requestId);
    return record?.result !== 'refused' || record.code !== code;
  });
  t.strictSame(unrecorded, [], `all ${told.refusals.size} refusals are on record`);
}
