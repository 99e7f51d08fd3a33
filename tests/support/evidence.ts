import { generateKeyPairSync } from 'node:crypto';
import type { Test } from 'tap';
import { executeErasure } from '../../src/audit/erasure/execute-erasure.ts';
import { recordKeyEvents } from '../../src/audit/erasure/key-events.ts';
import { sealMonths } from '../../src/audit/erasure/seal-month.ts';
import { fsck } from '../../src/audit/fsck/fsck.ts';
import type { FsckOptions } from '../../src/audit/fsck/fsck-options.ts';
import type { FsckState } from '../../src/audit/fsck/fsck-state.ts';
import { exampleDepartments } from '../../src/catalogue/starter-types.ts';
import { certificateCheck, statusCheck } from '../../src/certificates/check-certificates.ts';
import { expectAnswer } from '../../src/cli/demo/load.ts';
import { personOf } from '../../src/cli/demo/people.ts';
import { readRegistryNow } from '../../src/cli/fsck-registry.ts';
import { connect, type Database } from '../../src/db/database.ts';
import { permissionChecks } from '../../src/grants/check-permissions.ts';
import { cosign } from '../../src/signing/note-sign.ts';
import { keySigner } from '../../src/signing/signer.ts';
import { type LogPolicy, parseLogPolicy } from '../../src/verification/log-policy.ts';
import { formatVerifierKey, parseNote, parseSignatureLine } from '../../src/verification/signed-note.ts';
import { runSql, type TestDatabase } from './database.ts';
import { registerOffice } from './inspection-office.ts';
import { logOrigin, sequencerOn, soon } from './log.ts';
import { fillMonth, recorderAt } from './old-month.ts';
import { exampleKeys, startHub, type TestHub } from './start-hub.ts';
import {
  byNumber,
  type Clients,
  certificateUpTo,
  clientsOf,
  grant,
  marriageOf,
  newClientKey,
  newSealChain,
  permitOf,
  question,
} from './workload.ts';

/** A hub that has done a bit of everything, its log sequenced, signed and witnessed. */
export interface Evidence {
  readonly hub: TestHub;
  readonly clients: Clients;
  readonly policy: LogPolicy;
  /** A month that is over, sealed. */
  readonly oldMonth: string;
  /** Record whose body was erased by right. */
  readonly erased: string;
  readonly revoked: {
    readonly grantId: string;
    readonly clientId: string;
    readonly kid: string;
    readonly sha256: string;
  };
  readonly certificates: { readonly valid: string; readonly revoked: string; readonly suspended: string };
  /** Runs a sequencer until everything queued is published. */
  readonly publish: () => Promise<void>;
  /** Lets the witness sign every checkpoint it has not signed. */
  readonly witness: () => Promise<void>;
}

const legalGround = '刑事诉讼法 第五十四条';
const officer = (id: string) => ({ id, name: '审计员' });

/** The self-check as the command runs it. */
export const checkAll = (
  db: Database,
  options: FsckOptions = {},
  keys: typeof exampleKeys = exampleKeys,
  now: () => Date = () => new Date(),
): Promise<FsckState> =>
  fsck(
    {
      db,
      keys,
      now,
      registry: () => readRegistryNow(db, keys),
      further: [certificateCheck({ db, box: keys.box }), statusCheck(db), ...permissionChecks({ db, keys })],
    },
    { origin: logOrigin, ...options },
  );

/** Findings as lines: code and place. */
export const lines = ({ findings }: FsckState): string[] =>
  findings.listed.map(({ code, place }) => `${code} ${JSON.stringify(place)}`);

/** Makes it: about `lookups` records more than the few hundred of everything else. */
export async function makeEvidence(t: Test, lookups: number): Promise<Evidence> {
  const hub = await startHub(t, { env: { CERTHUB_RETENTION_MONTHS: 'access=1' } });
  const { database } = hub;
  const clients = clientsOf(hub);
  const admin = clients('hub-admin');
  const reason = { reason: '示例原因' };
  const oldMonth = monthBefore(new Date());
  const old = await fillMonth(database, exampleKeys, { month: oldMonth, count: 40, kinds: ['access', 'audit_read'] });

  await grant(clients, { secrecyDays: 60 });
  const grantId = await grant(clients);
  await expectAnswer(admin.post(`/v1/grants/${grantId}/revocations`, reason), 200);
  const clientId = 'evidence-system';
  const registration = {
    clientId,
    departmentCode: exampleDepartments.publicSecurity,
    name: { zh: '示例系统', en: 'Example system' },
    roles: ['consumer'],
    keys: [newClientKey('one').jwk, newClientKey('two').jwk],
  };
  await expectAnswer(admin.post('/v1/clients', registration), 201);
  const kid = 'one';
  await expectAnswer(admin.post(`/v1/clients/${clientId}/keys/${kid}/revocations`, reason), 200);
  await expectAnswer(admin.post(`/v1/clients/${clientId}/states`, { state: 'disabled', ...reason }), 200);
  const seals = `/v1/departments/${exampleDepartments.taxation}/seal-x509`;
  const chain = await newSealChain(exampleDepartments.taxation);
  const { sha256 } = await expectAnswer<{ sha256: string }>(admin.post(seals, { chain }), 201);
  await expectAnswer(admin.post(`${seals}/${sha256}/revocations`, reason), 200);

  const issuer = clients('psb-issuer');
  const people = [1, 2, 3].map((n) => personOf(400 + n));
  const identifiers: string[] = [];
  for (const [at, person] of people.entries()) {
    identifiers.push(await certificateUpTo(issuer, permitOf(person, `ZJ-${at}`), 'sealed'));
  }
  const [valid = '', revoked = '', suspended = ''] = identifiers;
  const change = (identifier: string, body: object) =>
    expectAnswer(issuer.post(`/v1/certificates/${identifier}/status-changes`, { ...body, ...reason }), 200);
  await change(revoked, { action: 'revoke', revocationReason: 'issued_in_error' });
  await change(suspended, { action: 'suspend' });
  const [one, other] = [personOf(411), personOf(412)];
  await certificateUpTo(clients('civil-affairs-issuer'), marriageOf(one, other, 'J-9'), 'approved');

  const school = clients('school-enrolment');
  let secret = '';
  const ask = async (n: number): Promise<void> => {
    const secrecy = { releaseAt: new Date(Date.now() + 86_400_000 * 30).toISOString(), legalGround };
    const body = question(byNumber(people[n % 3] ?? one)) as { purpose: object };
    const purpose = { ...body.purpose, caseNumber: `RX-${n}`, ...(n % 7 === 0 && { secrecy }) };
    const { recordId } = await expectAnswer<{ recordId: string }>(
      school.post('/v1/lookups', { ...body, purpose }),
      200,
    );
    if (n % 7 === 0) secret = recordId;
    // Refused, and recorded too.
    if (n % 5 === 0) await school.post('/v1/lookups', { ...body, level: 'compare' });
  };
  const publish = async (): Promise<void> => {
    const sequencer = sequencerOn(t, database);
    await soon(sequencer.settled(), 'everything published');
    await sequencer.stop();
  };
  for (let n = 0; n < lookups; n += 20) {
    await Promise.all(Array.from({ length: Math.min(20, lookups - n) }, (_, more) => ask(n + more)));
    if (n % 100 === 0) await publish();
  }
  const release = { releaseAt: new Date(Date.now() + 86_400_000 * 10).toISOString(), reason: '侦查终结', legalGround };
  const audit = clients('audit-office');
  await expectAnswer(
    audit.post(`/v1/audit/records/${secret}/releases`, { ...release, officer: officer('officer-a') }),
    201,
  );
  const { recordIn } = hub.core.recorder;
  await recordKeyEvents({ db: hub.db, recordIn, now: () => new Date() }, exampleKeys);
  await publish();
  await sealMonths({ db: hub.db, recordIn, now: () => new Date() });
  const erased = old[3] ?? '';
  await eraseOne(hub, clients, erased, publish);
  await publish();

  const { key, policy } = newWitness();
  const witness = async (): Promise<void> => {
    const notes = await hub.db.query<{ size: number; note: string }>(
      {
        name: 'unwitnessed',
        text: `select c.size, c.note from log_checkpoint c where not exists (select from log_cosignature s where s.size = c.size)`,
      },
      [],
    );
    for (const { size, note } of notes) {
      const parsed = parseNote(note);
      const line = parsed.ok ? cosign(key, parsed.value.text, Math.floor(Date.now() / 1000)).trimEnd() : '';
      const keyId = parseSignatureLine(line)?.keyId.toString('hex');
      await runSql(
        database.superuserUrl,
        `insert into log_cosignature values (${size}, '${key.name}', '\\x${keyId}', '${line}', now())`,
      );
    }
  };
  await witness();
  return {
    hub,
    clients,
    policy,
    oldMonth,
    erased,
    revoked: { grantId, clientId, kid, sha256 },
    certificates: { valid, revoked, suspended },
    publish,
    witness,
  };
}

const monthBefore = (at: Date): string =>
  new Date(Date.UTC(at.getUTCFullYear(), at.getUTCMonth() - 3)).toISOString().slice(0, 7);

async function eraseOne(hub: TestHub, clients: Clients, recordId: string, publish: () => Promise<void>): Promise<void> {
  const body = { target: { recordId }, legalBasis: '个人信息保护法 第四十七条', reason: '期限届满' };
  const inspection = await registerOffice(hub);
  const proposed = clients('audit-office').post('/v1/audit/erasures', { ...body, officer: officer('officer-a') });
  const { erasureId } = await expectAnswer<{ erasureId: string }>(proposed, 201);
  const decisions = `/v1/audit/erasures/${erasureId}/approvals`;
  for (const [client, who] of [
    [inspection, 'officer-b'],
    [clients('hub-admin'), 'officer-c'],
  ] as const) {
    const decision = { officer: officer(who), decision: 'approve', reason: '核准' };
    await expectAnswer(client.post(decisions, decision), 200);
  }
  await publish();
  await runSql(
    hub.database.superuserUrl,
    `create table before_erasure as select * from records where record_id = '${recordId}'`,
  );
  const db = ownerOf(hub.database);
  try {
    await executeErasure(
      {
        db,
        keys: exampleKeys,
        hubKeys: exampleKeys.hubKeys,
        logOrigin,
        recordIn: recorderAt(db, exampleKeys, () => new Date()).recordIn,
        retention: hub.core.config.retentionMonths,
        now: () => new Date(),
      },
      erasureId,
    );
  } finally {
    await db.close();
  }
}

const ownerOf = ({ ownerUrl }: TestDatabase): Database =>
  connect({ url: ownerUrl, max: 1, statementTimeoutMs: 20_000, applicationName: 'owner' });

function newWitness() {
  const { privateKey } = generateKeyPairSync('ed25519');
  const name = 'witness.test';
  const signer = keySigner({ privateKey, suite: 'EdDSA', kid: name });
  const raw = Buffer.from(signer.publicKey.export({ format: 'jwk' }).x ?? '', 'base64url');
  const vkey = formatVerifierKey({ name, type: 4, publicKey: raw });
  const policy = parseLogPolicy(`witness one ${vkey}\nquorum one\n`);
  if (!policy.ok) throw new Error(policy.reason);
  return { key: { signer, name }, policy: policy.value };
}
