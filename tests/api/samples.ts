import { createHash, createPrivateKey, generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { ApiClient } from '../../src/cli/api-client.ts';
import { clientAssertion } from '../../src/cli/api-client.ts';
import { type DemoPush, demoTypes } from '../../src/cli/demo/certificates.ts';
import { expectAnswer, issue } from '../../src/cli/demo/load.ts';
import { demoClientKey } from '../../src/cli/demo/registry.ts';
import type { operations } from '../../src/http/contract.gen.ts';
import type { Role } from '../../src/ids.ts';
import { type KeySigner, keySigner } from '../../src/signing/signer.ts';
import { issueX509 } from '../../src/signing/x509-issue.ts';
import { composeCertificateIdentifier, usccCheckCharacter } from '../../src/verification/identifiers.ts';
import { runSql } from '../support/database.ts';
import { pushOf, putGrant } from '../support/demo-samples.ts';
import { registerOffice } from '../support/inspection-office.ts';
import { sequencerOn, soon } from '../support/log.ts';
import { operationOf, type World } from './world.ts';

export type OperationId = keyof operations;

/** A request that the hub answers with success when the right client sends it. */
export interface Sample {
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: string;
  readonly body?: Readonly<Record<string, unknown>>;
}

export const publicSecurity = '11999900100000016A';
export const reviewer = { id: 'reviewer-11', name: '郑复核' };
export const purpose = {
  matterCode: 'school-enrolment',
  caseNumber: 'CASE-1',
  officer: { id: 'officer-9', name: '经办人乙' },
  legalBasis: 'own_application',
};

let made = 0;
const next = (): number => {
  made += 1;
  return made;
};
/** The USCC of a department that nobody registered yet; different on every call. */
export function newDepartmentCode(): string {
  const body = `11999900${200_000_000 + next()}`;
  return `${body}${usccCheckCharacter(body) ?? ''}`;
}

/** A fresh public key of a client, and its private half. */
export function newClientKey(): { jwk: Record<string, string>; secret: Record<string, string> } {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { d = '', ...rest } = privateKey.export({ format: 'jwk' }) as Record<string, string>;
  const jwk = { ...rest, kid: `test-${next()}`, use: 'sig', alg: 'ES256' };
  return { jwk, secret: { ...jwk, d } };
}

const authorityFile = (name: string): string =>
  readFileSync(new URL(`../../keys-example/authority/${name}`, import.meta.url), 'utf8');
const derOf = (pem: string): Buffer => Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ''), 'base64');

/** The demo's seal authority, which issues what a test needs. */
export const authority = {
  signer: keySigner({
    privateKey: createPrivateKey(authorityFile('authority.key.pem')),
    suite: 'ES256',
    kid: 'authority',
  }),
  x509: derOf(authorityFile('authority.x509.pem')),
};

export interface NewSeal {
  readonly signer: KeySigner;
  readonly x509: Buffer;
  readonly chain: readonly string[];
}

/** A seal of a department with an x509 of its own. */
export async function newSeal(department: string, validity?: { notBefore: Date; notAfter: Date }): Promise<NewSeal> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const year = 365 * 86_400_000;
  const x509 = await issueX509({
    issuer: authority,
    subject: { organization: '示范市测试局', commonName: '电子印章', organizationIdentifier: department },
    publicKey,
    profile: { kind: 'seal' },
    validity: validity ?? { notBefore: new Date(Date.now() - year), notAfter: new Date(Date.now() + year) },
  });
  const chain = [x509, authority.x509].map((der) => der.toString('base64'));
  return { signer: keySigner({ privateKey, suite: 'ES256', kid: `seal-${next()}`, x5c: chain }), x509, chain };
}

/** A root of its own, as DER. */
export async function newRoot(): Promise<Buffer> {
  const { privateKey, publicKey }: { privateKey: KeyObject; publicKey: KeyObject } = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
  });
  return issueX509({
    issuer: { selfSigner: keySigner({ privateKey, suite: 'ES256', kid: 'root' }) },
    subject: { organization: '示范市', commonName: `test root ${next()}` },
    publicKey,
    profile: { kind: 'authority', pathLength: 1 },
    validity: { notBefore: new Date(Date.now() - 86_400_000), notAfter: new Date(Date.now() + 86_400_000) },
  });
}

let types = 100;
/** A certificate type of the public security bureau with two fields. */
export const newType = (overrides: Record<string, unknown> = {}): Record<string, unknown> => ({
  certificateTypeCode: `${publicSecurity}${(types += 1)}`,
  name: { zh: '测试证', en: 'Test certificate' },
  ownerDepartmentCode: publicSecurity,
  allowedIssuers: [{ departmentCode: publicSecurity, from: '2020-01-01T00:00:00Z' }],
  holderKind: 'mixed',
  holderCount: { min: 1, max: 20 },
  fields: [
    {
      name: 'note',
      label: { zh: '备注', en: 'Note' },
      schema: { type: 'string', maxLength: 100 },
      class: 'public',
      required: true,
    },
    {
      name: 'score',
      label: { zh: '分数', en: 'Score' },
      schema: { type: 'number', minimum: 0 },
      class: 'internal',
      required: false,
    },
  ],
  validity: { kind: 'either' },
  reviewRequired: true,
  ...overrides,
});

/** Saves a draft of a new type of the public security bureau; answers its id. */
export async function draftIn(world: World, definition: Record<string, unknown> = newType()): Promise<string> {
  const saving = world.client('psb-issuer').post('/v1/certificate-type-drafts', definition);
  return (await expectAnswer<{ draftId: string }>(saving, 201)).draftId;
}

/** A wish that nobody has yet; with `idNumber` among its fields the hub decides as well. */
export const newWish = (
  scope: Record<string, unknown> = {},
  overrides: Record<string, unknown> = {},
): Record<string, unknown> => ({
  certificateTypeCode: demoTypes.residentIdCard,
  wanted: {
    level: 'fields',
    fields: ['name', 'birthDate'],
    matters: ['school-enrolment'],
    legalBases: ['own_application'],
    dailyQuota: 1_000 + next(),
    ...scope,
  },
  legalGround: 'Article 12',
  safeguards: 'read by two officials, kept for a year',
  officer: { id: 'officer-9', name: '经办人乙' },
  ...overrides,
});
export const approval = { decision: 'approve', reason: 'test', decisionReference: 'decision 2', officer: reviewer };

/** Applies for a grant as the school does; answers the application's id. */
export async function applicationIn(
  world: World,
  state: 'awaiting_owner' | 'awaiting_hub' | 'prepared',
  wish: Record<string, unknown> = newWish(state === 'awaiting_hub' ? { fields: ['idNumber'] } : {}),
): Promise<string> {
  if (state === 'prepared') return preparedApplication(world);
  const applying = world.client('school-enrolment').post('/v1/grant-applications', wish);
  const { applicationId } = await expectAnswer<{ applicationId: string }>(applying, 201);
  if (state === 'awaiting_hub') {
    const path = `/v1/grant-applications/${applicationId}/decisions`;
    await expectAnswer(world.client('psb-grants').post(path, approval), 200);
  }
  return applicationId;
}

/** Applies as the school does for a new type that the province decides on, and has it approved here. */
async function preparedApplication(world: World): Promise<string> {
  const type: Record<string, unknown> = { ...newType(), decidedBy: 'province' };
  await expectAnswer(world.client('hub-admin').post('/v1/certificate-types', type), 201);
  const { certificateTypeCode } = type;
  const applicationId = await applicationIn(
    world,
    'awaiting_owner',
    newWish({ fields: ['note'] }, { certificateTypeCode }),
  );
  const path = `/v1/grant-applications/${applicationId}/decisions`;
  await expectAnswer(world.client('psb-grants').post(path, approval), 200);
  return applicationId;
}

const card = pushOf(demoTypes.residentIdCard);

/** The department of the demo's school enrolment system. */
export const education = '11999900100000075D';
/** A matter of the education bureau that asks for one certificate or, for something else, for paper. */
export const newMatter = (overrides: Record<string, unknown> = {}): Record<string, unknown> => ({
  matterCode: `test-matter-${next()}`,
  name: { zh: '测试事项', en: 'Test matter' },
  departmentCode: education,
  parties: [
    { code: 'applicant', name: { zh: '申请人', en: 'Applicant' }, kind: 'person' },
    { code: 'employer', name: { zh: '用人单位', en: 'Employer' }, kind: 'organisation' },
  ],
  requirements: [
    {
      code: 'who',
      name: { zh: '身份', en: 'Identity' },
      legalGround: { zh: '测试依据', en: 'Ground of the test' },
      alternatives: [
        [
          {
            certificateTypeCode: demoTypes.residentIdCard,
            fields: ['name'],
            conditions: [{ field: 'birthDate', is: 'at_most', monthsBefore: 216 }],
          },
        ],
      ],
    },
    {
      code: 'photo',
      name: { zh: '相片', en: 'Photograph' },
      legalGround: { zh: '测试依据', en: 'Ground of the test' },
      paper: { issuedBy: { zh: '照相馆', en: 'Photographer' }, howToObtain: { zh: '现场拍摄', en: 'Have it taken' } },
      laterDays: 5,
    },
  ],
  ...overrides,
});

/** A day that a supplier may promise. */
export const nextYear = new Date(Date.now() + 365 * 86_400_000).toISOString().slice(0, 10);
/** What the school needs: something that no catalogue has, from the public security bureau. */
export const newNeed = (overrides: Record<string, unknown> = {}): Record<string, unknown> => ({
  name: { zh: `示例缺项${next()}证`, en: 'Example of what is missing' },
  fields: [{ name: { zh: '户主关系', en: 'Relation to the head' } }],
  matters: ['school-enrolment'],
  issuerDepartmentCode: publicSecurity,
  legalGround: 'Article 12',
  officer: { id: 'officer-9', name: '经办人乙' },
  ...overrides,
});

/** Declares a demand as the school does; answers its id. */
export async function demandIn(world: World, need: Record<string, unknown> = newNeed()): Promise<string> {
  const declaring = world.client('school-enrolment').post('/v1/demands', need);
  return (await expectAnswer<{ demandId: string }>(declaring, 201)).demandId;
}

/** A catalogue file with these definitions, all published. */
export const catalogueFile = ({ types = [], matters = [] }: { types?: object[]; matters?: object[] }) => ({
  format: 'certhub-catalogue/1',
  exportedAt: '2026-11-22T00:00:00Z',
  types: types.map((definition) => ({ definition, version: 1, state: 'published' })),
  matters: matters.map((definition) => ({ definition, version: 1, state: 'published' })),
});

/** Pushes a certificate and takes it as far as `state` says. Returns its identifier. */
export async function certificateIn(
  world: World,
  state: 'pending_review' | 'returned' | 'approved' | 'valid' | 'suspended' | 'revoked',
  push: DemoPush = card,
): Promise<string> {
  const client = world.client(push.clientId);
  if (state === 'valid') return issue(client, push, randomUUID());
  if (state === 'suspended' || state === 'revoked') {
    const identifier = await issue(client, push, randomUUID());
    const change = state === 'revoked' ? { action: 'revoke', revocationReason: 'cancelled' } : { action: 'suspend' };
    await expectAnswer(
      client.post(`/v1/certificates/${identifier}/status-changes`, { ...change, reason: 'test' }),
      200,
    );
    return identifier;
  }
  const { certificateIdentifier } = await expectAnswer<{ certificateIdentifier: string }>(
    client.post('/v1/certificates', push.body),
    201,
  );
  if (state !== 'pending_review') {
    const decision = state === 'approved' ? { decision: 'approve' } : { decision: 'return', reason: 'test' };
    await expectAnswer(
      client.post(`/v1/certificates/${certificateIdentifier}/reviews`, { ...decision, officer: reviewer }),
      200,
    );
  }
  return certificateIdentifier;
}

export const cardHolder = { type: String(card.body.holders[0]?.type), number: String(card.body.holders[0]?.number) };

/** The identifier of an identity card that nobody has. */
export const strayCard = (): string =>
  composeCertificateIdentifier({
    typeCode: demoTypes.residentIdCard,
    issuerCode: publicSecurity,
    serial: String(700_000_000 + next()).padStart(20, '0'),
    version: 1,
  });

/** A fault that nobody reported yet; as an office says it, or a portal. */
export const newFault = (overrides: Record<string, unknown> = {}, who?: Role): Record<string, unknown> => ({
  kind: 'wrong',
  certificateTypeCode: demoTypes.residentIdCard,
  certificateIdentifier: strayCard(),
  fields: ['name'],
  explanation: 'the name is misspelt',
  ...(who === 'portal' ? { holder: cardHolder } : { officer: purpose.officer }),
  ...overrides,
});

/** Reports a fault of an identity card; answers the id of the report. */
export async function feedbackBy(world: World, who?: Role, fault = newFault({}, who)): Promise<string> {
  const client = world.client(who === 'portal' ? 'citizen-portal' : 'school-enrolment');
  const reported = expectAnswer<{ feedbackId: string }>(client.post('/v1/feedback', fault), 201);
  return (await reported).feedbackId;
}

export const refusal = { outcome: 'refused', reason: 'it is as the person wrote it', officer: reviewer };

/** Registers a system of the public security bureau; answers its name and its private key. */
export async function registerClient(
  world: World,
  roles: readonly string[],
  departmentCode = publicSecurity,
): Promise<{ clientId: string; secret: Record<string, string> }> {
  const { jwk, secret } = newClientKey();
  const clientId = `test-client-${next()}`;
  const name = { zh: '测试系统', en: 'Test system' };
  const body = { clientId, departmentCode, name, roles, keys: [jwk] };
  await expectAnswer(world.client('hub-admin').post('/v1/clients', body), 201);
  return { clientId, secret };
}

async function registerSeal(admin: ApiClient): Promise<string> {
  const { chain, x509 } = await newSeal(publicSecurity);
  await expectAnswer(admin.post(`/v1/departments/${publicSecurity}/seal-x509`, { chain }), 201);
  return createHash('sha256').update(x509).digest('hex');
}

const grantIn = async (world: World): Promise<string> => (await putGrant(world.client)).grantId;

/** Makes a lookup under secrecy and answers its record. */
export async function secretLookup(world: World): Promise<string> {
  await putGrant(world.client, { secrecyDays: 30 });
  const [holder] = card.body.holders;
  const secrecy = { releaseAt: new Date(Date.now() + 10 * 86_400_000).toISOString(), legalGround: 'Article 1' };
  const { recordId } = await expectAnswer<{ recordId: string }>(
    world.client('school-enrolment').post('/v1/lookups', {
      purpose: { ...purpose, secrecy },
      level: 'fields',
      holder: { type: holder?.type, number: holder?.number },
      types: [{ certificateTypeCode: demoTypes.residentIdCard }],
    }),
    200,
  );
  return recordId;
}

/** Brings every record so far into the published log. */
export async function publishLog({ hub }: World): Promise<void> {
  const ends: (() => unknown)[] = [];
  const sequencer = sequencerOn({ teardown: (end: () => unknown) => ends.push(end) }, hub.database, {
    origin: hub.core.config.logOrigin,
    keys: hub.core.keys,
  });
  await soon(sequencer.settled(), 'the log is published');
  for (const end of ends) await end();
}

/** A record of a question that anybody may ask. */
async function recordedQuestion({ hub }: World): Promise<string> {
  const body = { sdJwt: 'not-a-certificate' };
  return (await expectAnswer<{ recordId: string }>(hub.anyone.post('/v1/verifications', body), 200)).recordId;
}

/** `who` may send it: what somebody decides has to be waiting for them. */
type Make = (world: World, who?: Role) => Promise<Sample>;
const plain =
  (sample: Sample = {}): Make =>
  () =>
    Promise.resolve(sample);
const about =
  (state: Parameters<typeof certificateIn>[1], rest: Omit<Sample, 'params'> = {}): Make =>
  async (world) => ({ params: { certificateIdentifier: await certificateIn(world, state) }, ...rest });

/** A proposal about a month long over, which had no records. */
export async function newErasure({ hub }: World): Promise<Record<string, unknown>> {
  await runSql(
    hub.database.superuserUrl,
    `insert into record_months (month, seal_record_id, records, root, sealed_at)
      values ('2001-01', gen_random_uuid(), 0, sha256(''), now()) on conflict do nothing`,
  );
  return {
    target: { month: '2001-01', kinds: ['access'] },
    legalBasis: 'test',
    reason: 'test',
    officer: { id: `officer-${next()}`, name: '审计员' },
  };
}

/** A ticket under a duty by law: it takes no statement, which would count once. */
const newTicket = (): Record<string, unknown> => ({
  purpose: { ...purpose, legalBasis: 'statutory_duty' },
  level: 'fields',
  holder: { type: card.body.holders[0]?.type, number: card.body.holders[0]?.number },
  types: [{ certificateTypeCode: demoTypes.residentIdCard, fields: ['name'] }],
});

/** How the portal knows who asks. */
export const portalStatement = { authenticatedBy: '人脸识别登录', sessionReference: 'portal-1' };

/** A one-time code of the holder of `card` for the school. */
const newCode = (): Record<string, unknown> => ({
  statement: portalStatement,
  holder: { type: card.body.holders[0]?.type, number: card.body.holders[0]?.number },
  matterCode: purpose.matterCode,
  departmentCode: education,
  certificateTypeCodes: [demoTypes.residentIdCard],
  fields: ['name'],
  minutes: 5,
});

/** The school's office asks a guardian for a copy of the ID card. */
export const newPaperDemand = (overrides: Record<string, unknown> = {}): Record<string, unknown> => ({
  matterCode: 'school-enrolment',
  requirement: 'identity',
  caseNumber: `CASE-${next()}`,
  officer: { id: 'officer-9', name: '经办人乙' },
  legalBasis: 'own_application',
  parties: { guardian: cardHolder },
  reason: 'certificate_missing',
  explanation: 'nothing was found',
  ...overrides,
});
/** Something else each time, as the guardian tells the portal. */
export const newPaperReport = (overrides: Record<string, unknown> = {}): Record<string, unknown> => {
  const { officer: _o, caseNumber, ...rest } = newPaperDemand();
  return {
    ...rest,
    requirement: undefined,
    what: `letter ${String(caseNumber)}`,
    departmentCode: education,
    holder: cardHolder,
    statement: 'they wanted a copy of my card',
    ...overrides,
  };
};
export const paperContest = { holder: cardHolder, statement: 'you have it' };
export const paperAnswer = {
  outcome: 'maintained',
  reason: 'the photograph is out of date',
  officer: { id: 'officer-9', name: '经办人乙' },
};

/** A matter that no other request of a test changes: the hub does not have it. */
const notInTheHub = { matterCode: 'matter-elsewhere', requirement: undefined, what: 'a copy of the card' };

/** Records a demand as the school does and takes it as far as `state` says; answers its id. */
export async function paperDemandIn(
  world: World,
  state: 'recorded' | 'contested' | 'maintained' | 'escalated',
  demand: Record<string, unknown> = newPaperDemand(notInTheHub),
): Promise<string> {
  const [school, portal] = [world.client('school-enrolment'), world.client('citizen-portal')];
  const recorded = school.post('/v1/paper-demands', demand);
  const { paperDemandId } = await expectAnswer<{ paperDemandId: string }>(recorded, 201);
  const path = `/v1/paper-demands/${paperDemandId}`;
  const contest = () => expectAnswer(portal.post(`${path}/contests`, paperContest), 200);
  if (state === 'recorded') return paperDemandId;
  await contest();
  if (state === 'contested') return paperDemandId;
  await expectAnswer(school.post(`${path}/answers`, paperAnswer), 200);
  if (state === 'escalated') await contest();
  return paperDemandId;
}

/** A sound request for every operation, made anew each time; what it needs beforehand it does itself. */
export const samples: Readonly<Record<OperationId, Make>> = {
  getLiveness: plain(),
  getReadiness: plain(),
  getAuthorizationServerMetadata: plain(),
  getHubKeys: plain(),
  issueToken: async ({ hub }) => ({
    body: {
      grant_type: 'client_credentials',
      client_id: 'tax-issuer',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: clientAssertion({
        issuer: hub.core.config.issuer,
        clientId: 'tax-issuer',
        key: demoClientKey('tax-issuer'),
      }),
    },
  }),
  listDepartments: plain({ query: 'limit=3' }),
  registerDepartment: async () => ({
    body: { departmentCode: newDepartmentCode(), name: { zh: '示范市测试局', en: 'Test Bureau' } },
  }),
  listSealX509: plain({ params: { departmentCode: publicSecurity } }),
  registerSealX509: async () => ({
    params: { departmentCode: publicSecurity },
    body: { chain: (await newSeal(publicSecurity)).chain },
  }),
  revokeSealX509: async (world) => ({
    params: { departmentCode: publicSecurity, sha256: await registerSeal(world.client('hub-admin')) },
    body: { reason: 'replaced' },
  }),
  registerTrustRoot: async () => ({ body: { x509: (await newRoot()).toString('base64') } }),
  listClients: plain({ query: 'limit=3' }),
  registerClient: async () => ({
    body: {
      clientId: `test-client-${next()}`,
      departmentCode: publicSecurity,
      name: { zh: '测试系统', en: 'Test system' },
      roles: ['consumer'],
      keys: [newClientKey().jwk],
    },
  }),
  getClient: plain({ params: { clientId: 'tax-issuer' } }),
  setClientState: async (world) => ({
    params: { clientId: (await registerClient(world, ['consumer'])).clientId },
    body: { state: 'disabled', reason: 'test' },
  }),
  addClientKey: async (world) => ({
    params: { clientId: (await registerClient(world, ['consumer'])).clientId },
    body: { jwk: newClientKey().jwk },
  }),
  revokeClientKey: async (world) => {
    const { clientId, secret } = await registerClient(world, ['consumer']);
    return { params: { clientId, kid: secret['kid'] ?? '' }, body: { reason: 'test' } };
  },
  listCertificateTypes: plain(),
  registerCertificateType: async () => ({ body: newType() }),
  getCertificateType: plain({ params: { certificateTypeCode: demoTypes.residentIdCard } }),
  listCertificateTypeVersions: plain({ params: { certificateTypeCode: demoTypes.residentIdCard } }),
  retireCertificateType: async (world) => {
    const type = newType();
    await expectAnswer(world.client('hub-admin').post('/v1/certificate-types', type), 201);
    return { params: { certificateTypeCode: String(type['certificateTypeCode']) }, body: { reason: 'test' } };
  },
  listCertificateTypeDrafts: plain({ query: 'limit=2' }),
  draftCertificateType: async () => ({ body: newType() }),
  getCertificateTypeDraft: async (world) => ({ params: { draftId: await draftIn(world) } }),
  discardCertificateTypeDraft: async (world) => ({
    params: { draftId: await draftIn(world) },
    body: { reason: 'test' },
  }),
  publishCertificateType: async (world) => ({ params: { draftId: await draftIn(world) }, body: {} }),
  exportCatalogue: plain(),
  importCatalogue: async () => ({ body: catalogueFile({ types: [newType()] }) }),
  listCertificates: plain({ query: 'state=approved&limit=5' }),
  pushCertificate: plain({ body: { ...card.body } }),
  getCertificate: about('valid'),
  correctCertificate: about('returned', { body: { ...card.body } }),
  getCertificateHistory: about('valid'),
  reviewCertificate: about('pending_review', { body: { decision: 'approve', officer: reviewer } }),
  sealCertificate: about('approved', { body: {} }),
  reviseCertificate: about('valid', { body: { ...card.body } }),
  changeCertificateStatus: about('valid', { body: { action: 'suspend', reason: 'test' } }),
  listPastUsers: about('revoked', { body: { limit: 3 } }),
  listChangedCertificates: plain({ body: { from: new Date(Date.now() - 86_400_000).toISOString() } }),
  listFeedback: plain({ query: 'due=soon&kind=wrong&limit=2' }),
  reportFault: async (_world, who) => ({ body: newFault({}, who) }),
  getFeedback: async (world, who) => ({ params: { feedbackId: await feedbackBy(world, who) } }),
  answerFeedback: async (world) => ({ params: { feedbackId: await feedbackBy(world) }, body: refusal }),
  countFeedback: plain({ query: 'from=2026-01-01' }),
  getStatusList: async (world) => {
    await certificateIn(world, 'valid');
    return { params: { listId: '1' } };
  },
  listGrants: plain({ query: 'limit=2' }),
  getGrant: async (world) => ({ params: { grantId: await grantIn(world) } }),
  revokeGrant: async (world) => ({ params: { grantId: await grantIn(world) }, body: { reason: 'test' } }),
  suspendGrant: async (world) => ({ params: { grantId: await grantIn(world) }, body: { reason: 'test' } }),
  resumeGrant: async (world) => {
    const grantId = await grantIn(world);
    const body = { reason: 'test' };
    await expectAnswer(world.client('hub-admin').post(`/v1/grants/${grantId}/suspensions`, body), 200);
    return { params: { grantId }, body };
  },
  listGrantApplications: plain({ query: 'due=soon&limit=2' }),
  applyForGrant: async () => ({ body: newWish() }),
  getGrantApplication: async (world) => ({ params: { applicationId: await applicationIn(world, 'awaiting_owner') } }),
  decideGrantApplication: async (world, who) => ({
    params: { applicationId: await applicationIn(world, who === 'admin' ? 'awaiting_hub' : 'awaiting_owner') },
    body: approval,
  }),
  getProvinceForm: async (world) => ({ params: { applicationId: await applicationIn(world, 'prepared') } }),
  enterProvinceDecision: async (world) => ({
    params: { applicationId: await applicationIn(world, 'prepared') },
    body: approval,
  }),
  withdrawGrantApplication: async (world) => ({
    params: { applicationId: await applicationIn(world, 'awaiting_owner') },
    body: { reason: 'test' },
  }),
  issueTicket: plain({ body: newTicket() }),
  revokeTicket: async (world) => {
    const reply = world.client('school-enrolment').post('/v1/tickets', newTicket());
    const { ticketId } = await expectAnswer<{ ticketId: string }>(reply, 201);
    return { params: { ticketId }, body: { reason: 'test' } };
  },
  issueHolderCode: plain({ body: newCode() }),
  revokeHolderCode: async (world) => {
    const reply = world.client('citizen-portal').post('/v1/holder-codes', newCode());
    const { codeId } = await expectAnswer<{ codeId: string }>(reply, 201);
    return { params: { codeId }, body: { reason: 'test' } };
  },
  listMatters: plain({ query: `departmentCode=${education}&limit=2` }),
  registerMatter: async () => ({ body: newMatter() }),
  getMatter: plain({ params: { matterCode: 'school-enrolment' } }),
  retireMatter: async (world) => {
    const matter = newMatter();
    await expectAnswer(world.client('hub-admin').post('/v1/matters', matter), 201);
    return { params: { matterCode: String(matter['matterCode']) }, body: { reason: 'test' } };
  },
  checkMatter: async (world) => {
    const matter = newMatter();
    await expectAnswer(world.client('hub-admin').post('/v1/matters', matter), 201);
    const { matterCode: _, ...why } = purpose;
    const [holder] = card.body.holders;
    return {
      params: { matterCode: String(matter['matterCode']) },
      body: {
        ...why,
        parties: {
          applicant: { type: holder?.type, number: holder?.number },
          employer: { type: '001', number: newDepartmentCode() },
        },
      },
    };
  },
  listRetainedProofs: plain({ query: 'limit=2' }),
  listDemands: async (world) => {
    await demandIn(world);
    return { query: 'origin=declared&limit=200' };
  },
  declareDemand: async () => ({ body: newNeed() }),
  getDemand: async (world) => ({ params: { demandId: await demandIn(world) } }),
  withdrawDemand: async (world) => ({ params: { demandId: await demandIn(world) }, body: { reason: 'test' } }),
  assignDemand: async (world) => ({
    params: { demandId: await demandIn(world) },
    body: { issuerDepartmentCode: publicSecurity, reason: 'test' },
  }),
  answerSupplyGap: async (world) => ({
    params: { demandId: await demandIn(world) },
    body: { answer: 'will_supply', by: nextYear, reason: 'test', officer: reviewer },
  }),
  listSupplyGaps: async (world) => {
    await demandIn(world);
    return { query: 'state=open&limit=200' };
  },
  listPaperDemands: plain({ query: 'due=soon&limit=2' }),
  // Not the requirement `identity`: a content encoding has that name, and a refusal may repeat it.
  recordPaperDemand: (_world, who) =>
    Promise.resolve({ body: who === 'portal' ? newPaperReport() : newPaperDemand({ requirement: 'residence' }) }),
  searchPaperDemands: async (world) => {
    await paperDemandIn(world, 'maintained');
    return { body: { holder: cardHolder, statement: portalStatement, limit: 2 } };
  },
  getPaperDemand: async (world) => ({ params: { paperDemandId: await paperDemandIn(world, 'contested') } }),
  contestPaperDemand: async (world) => ({
    params: { paperDemandId: await paperDemandIn(world, 'recorded') },
    body: paperContest,
  }),
  answerPaperDemand: async (world, who) => ({
    params: { paperDemandId: await paperDemandIn(world, who === 'admin' ? 'escalated' : 'contested') },
    body: paperAnswer,
  }),
  countPaperDemands: plain(),
  lookUp: async (world) => {
    await grantIn(world);
    const [holder] = card.body.holders;
    return { body: { purpose, level: 'fields', holder: { type: holder?.type, number: holder?.number } } };
  },
  changeRelease: async (world) => ({
    params: { recordId: await secretLookup(world) },
    body: {
      releaseAt: new Date(Date.now() + 86_400_000).toISOString(),
      reason: 'the investigation goes on',
      legalGround: 'Article 1',
      officer: reviewer,
    },
  }),
  getAccessReport: plain({
    body: {
      holder: { type: card.body.holders[0]?.type, number: card.body.holders[0]?.number },
      statement: { authenticatedBy: 'face and ID card', sessionReference: 'session-1' },
      limit: 3,
    },
  }),
  verify: plain({ body: { sdJwt: 'not-a-certificate' } }),
  getTrustBundle: plain(),
  getLogCheckpoint: async (world) => {
    await publishLog(world);
    return {};
  },
  getLogTile: async (world) => {
    await recordedQuestion(world);
    await publishLog(world);
    return { params: { tilePath: 'entries/000.p/1' } };
  },
  getLogKey: plain(),
  getLogProof: async (world) => {
    const recordId = await recordedQuestion(world);
    await publishLog(world);
    return { params: { recordId } };
  },
  searchOwnReceipts: plain({ body: { limit: 3 } }),
  listErasures: plain({ query: 'limit=2' }),
  proposeErasure: async (world) => ({ body: await newErasure(world) }),
  approveErasure: async (world) => {
    // Who proposes may not approve, and the callers of these tests are the demo's clients.
    const proposer = await registerOffice(world.hub, { clientId: `proposer-${next()}` });
    const proposed = proposer.post('/v1/audit/erasures', await newErasure(world));
    const { erasureId } = await expectAnswer<{ erasureId: string }>(proposed, 201);
    return {
      params: { erasureId },
      body: { officer: { id: `officer-${next()}`, name: '审计员' }, decision: 'approve', reason: 'test' },
    };
  },
  searchRecords: plain({ body: { reason: 'spot check', limit: 2 } }),
  readRecord: async (world) => ({
    params: { recordId: await recordedQuestion(world) },
    body: { reason: 'spot check' },
  }),
  createOverview: plain({ body: { reason: 'monthly report', from: '2026-01-01', until: '2026-01-03' } }),
  exportRecords: async (world) => {
    await recordedQuestion(world);
    await publishLog(world);
    return { body: { reason: 'for the court', kind: 'range', format: 'ndjson', begin: 0, end: 1 } };
  },
};

/** The path of a request with its parameters in place. */
export function pathOf(operationId: string, { params = {}, query }: Sample): string {
  const path = operationOf(operationId).path.replace(/\{([^}]+)\}/g, (_all, name: string) => {
    const value = params[name];
    if (value === undefined) throw new Error(`no ${name} for ${operationId}`);
    return encodeURIComponent(value);
  });
  return query === undefined ? path : `${path}?${query}`;
}

/** The body as the operation wants it, as text. */
export const textOf = (operationId: string, body: Readonly<Record<string, unknown>>): string =>
  operationOf(operationId).body?.mediaType === 'application/x-www-form-urlencoded'
    ? new URLSearchParams(body as Record<string, string>).toString()
    : JSON.stringify(body);
