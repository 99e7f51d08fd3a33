import type { Entry } from '../../src/audit/entry.ts';
import type { Receipt } from '../../src/audit/record.ts';
import type { CertificateContents } from '../../src/certificates/certificate-row.ts';
import { headerSha256 } from '../../src/certificates/read-certificates.ts';
import type { Database } from '../../src/db/database.ts';
import type { Grant } from '../../src/grants/grant.ts';
import { ticketHash } from '../../src/grants/ticket-store.ts';
import type { Call, ClientId, DepartmentCode, GrantId, RecordId } from '../../src/ids.ts';
import type { LookupDeps } from '../../src/lookup/lookup.ts';
import type { UncheckedQuestion } from '../../src/lookup/question.ts';
import { encodeDisclosure } from '../../src/verification/sd-jwt.ts';
import type { AskedQuestion, Known, KnownCertificate, KnownGrant, KnownTicket } from './permission-oracle.ts';

const department = '11999900100000075D';
const name = { zh: '测试证', en: 'Test certificate' };
const keyOf = (type: string, number: string): Buffer => Buffer.from(`${type} ${number}`);
/** Boxes are not what is tested here. */
const box = {
  seal: (_: Uint8Array, plain: Uint8Array) => Buffer.from(plain),
  open: (_: Uint8Array, sealed: Uint8Array) => Buffer.from(sealed),
};
const header = 'eyJ0eXAiOiJkYytzZC1qd3QifQ';
const headerHash = headerSha256(header);

export const grantFrom = (grant: KnownGrant): Grant => ({
  grantId: grant.grantId as GrantId,
  clientId: grant.clientId,
  certificateTypeCode: grant.typeCode,
  level: grant.level,
  fields: grant.fields,
  matters: grant.matters,
  legalBases: grant.legalBases,
  validFrom: new Date(grant.from),
  validUntil: new Date(grant.until),
  dailyQuota: 10,
  ...(grant.ticketRequired && { ticketRequired: true }),
  ...(grant.secrecyDays > 0 && { secrecyDays: grant.secrecyDays }),
  decisionReference: 'decision',
  decidedByDepartmentCode: grant.typeCode.slice(0, 18),
  applicationId: `application of ${grant.grantId}`,
  createdAt: new Date(0),
  ...(grant.isSuspended && { suspendedAt: new Date(grant.from) }),
  ...(grant.isRevoked && { revokedAt: new Date(grant.from) }),
});

const stateOf: Readonly<
  Record<KnownCertificate['status'], readonly [state: string, from: number, until: number | null]>
> = {
  valid: ['valid', -1, null],
  not_yet_valid: ['valid', 1, null],
  expired: ['valid', -2, -1],
  suspended: ['suspended', -1, null],
  revoked: ['revoked', -1, null],
  superseded: ['superseded', -1, null],
};

function rowFrom({ identifier, typeCode, holder, status, values }: KnownCertificate, at: number) {
  const [state, from, until] = stateOf[status];
  const [, , , , , type = '', issuer = '', serial = '', version = ''] = identifier.split('.');
  const { certificateNumber = '', ...fields } = values;
  const contents: CertificateContents = {
    metadata: {
      certificateNumber: String(certificateNumber),
      certificateIssuedDate: '2025-01-01',
      certificateEffectiveDate: '2025-01-01',
      holders: [{ type: '111', number: holder, name: '张三' }],
      fields,
    },
    sealed: {
      headerSha256: headerHash,
      payload: 'e30',
      signature: 'AA',
      disclosures: Object.fromEntries(
        Object.entries(values).map(([field, value]) => [field, encodeDisclosure('salt', field, value)]),
      ),
    },
  };
  return {
    holder_key: keyOf('111', holder),
    version_id: identifier,
    series: `${type}.${issuer}.${serial}`,
    version: Number(version),
    identifier,
    certificate_type_code: typeCode,
    type_version: 1,
    issuing_authority_code: issuer,
    is_first_holder: true,
    state,
    revocation_reason: state === 'revoked' ? 'cancelled' : null,
    effective_from: new Date(at + from),
    expires_at: until === null ? null : new Date(at + until),
    status_list: 1,
    status_index: 1,
    revision: 1,
    pushed_at: new Date(0),
    sealed_at: new Date(0),
    box: Buffer.from(JSON.stringify(contents)),
  };
}

function ticketRow(ticket: KnownTicket, used: number) {
  const { matterCode, caseNumber, officer, legalBasis, level, types } = ticket;
  const scope = {
    purpose: { matterCode, caseNumber, officer, legalBasis },
    level,
    holder: { type: '111', number: ticket.holder },
    types: types.map(({ typeCode, fields }) => ({ certificateTypeCode: typeCode, fields })),
  };
  return {
    ticket_id: ticket.secret,
    ticket_hash: ticketHash(ticket.secret),
    client_id: ticket.clientId,
    uses: ticket.uses,
    used,
    expires_at: new Date(ticket.expiresAt),
    revoked_at: ticket.isRevoked ? new Date(0) : null,
    box: Buffer.from(JSON.stringify(scope)),
  };
}

export interface MemoryLookup {
  readonly deps: LookupDeps;
  /** What was recorded, oldest first. */
  readonly entries: readonly Entry[];
  /** How often each ticket has been used, by its secret. */
  readonly used: ReadonlyMap<string, number>;
}

/** The lookup as it is, on rows in memory: everything between question and answer but SQL, encryption and signatures. */
export function memoryLookup(known: Known, at: number): MemoryLookup {
  const entries: Entry[] = [];
  const used = new Map(known.tickets.map((ticket) => [ticket.secret, ticket.used]));
  const rowsFrom = (isMeant: (certificate: KnownCertificate) => boolean) =>
    known.certificates.filter(isMeant).map((certificate) => rowFrom(certificate, at));
  const grants = known.grants.map(grantFrom);
  const rowsOf: Readonly<Record<string, (values: readonly unknown[]) => object[]>> = {
    certificates_by_holder: ([key, types]) =>
      rowsFrom(
        ({ holder, typeCode }) => keyOf('111', holder).equals(key as Buffer) && (types as string[]).includes(typeCode),
      ),
    certificate_directory: ([series, version]) =>
      rowsFrom(({ identifier }) => identifier.includes(String(series)))
        .filter((row) => row.version === version)
        .map(({ version_id, holder_key }) => ({ version_id, holder_keys: [holder_key] })),
    certificates_by_version_id: ([, id]) =>
      rowsFrom(({ identifier }) => identifier === id).map((row) => ({ ...row, sealed: true })),
    certificate_versions_of_series: () => [],
    seal_header: () => [{ header }],
    unsealed_by_holder: () => [],
    ticket_by_hash: ([hash]) =>
      known.tickets
        .filter(({ secret }) => ticketHash(secret).equals(hash as Buffer))
        .map((ticket) => ticketRow(ticket, used.get(ticket.secret) ?? 0)),
    ticket_take_uses: ([secrets]) => {
      for (const secret of secrets as string[]) used.set(secret, (used.get(secret) ?? 0) + 1);
      return (secrets as string[]).map((secret) => ({ ticket_id: secret }));
    },
  };
  const query: Pick<Database, 'query'>['query'] = async <T extends object>(
    statement: { readonly name: string },
    values: readonly unknown[],
  ) => {
    const answer = rowsOf[statement.name];
    if (answer === undefined) throw new Error(`no rows for ${statement.name}`);
    return answer(values) as T[];
  };
  const deps: LookupDeps = {
    db: { query } as Database,
    keys: {
      box,
      holderKey: keyOf,
      holderKeys: (type, number) => [keyOf(type, number)],
      everyHolderKey: (type, number) => [keyOf(type, number)],
      searchKeys: (kind, value) => [Buffer.from(`${kind} ${value}`)],
    },
    record: async (entry) => {
      entries.push(entry);
      return { recordId: 'record' as RecordId, commitment: new Uint8Array(32), recordedAt: entry.at } as Receipt;
    },
    signAnswer: async (claims) => JSON.stringify(claims),
    issuer: 'http://hub.test',
    isUnwitnessed: () => false,
    grantsOf: async (clientId) => grants.filter((grant) => grant.clientId === clientId),
    findType: async (code) => {
      const fieldNames = known.types.get(code);
      if (fieldNames === undefined) return undefined;
      return {
        name,
        ownerDepartmentCode: code.slice(0, 18),
        fieldNames,
        sensitiveFieldNames: [],
        migrationOf: () => undefined,
        shapeFault: () => undefined,
      };
    },
    reserve: async () => undefined,
    nextDay: (now) => new Date(now.getTime() + 86_400_000),
  };
  return { deps, entries, used };
}

/** A question as a client sends it. */
export function requestFrom(question: AskedQuestion): UncheckedQuestion {
  const { matterCode, caseNumber, officer, legalBasis, secretUntil, level, about, types, ticket } = question;
  return {
    purpose: {
      matterCode,
      caseNumber,
      officer,
      legalBasis,
      ...(secretUntil !== undefined && {
        secrecy: { releaseAt: new Date(secretUntil).toISOString(), legalGround: 'Article 1' },
      }),
    },
    level,
    ...('holder' in about
      ? { holder: { type: '111', number: about.holder } }
      : { certificateIdentifier: about.identifier }),
    ...(types !== undefined && {
      types: types.map(({ typeCode, ...rest }) => ({ certificateTypeCode: typeCode, ...rest })),
    }),
    ...(ticket !== undefined && { ticket }),
  };
}

export const callFrom = ({ clientId, at }: AskedQuestion): Call => ({
  caller: {
    clientId: clientId as ClientId,
    department: department as DepartmentCode,
    roles: ['consumer'],
    keyId: 'key-1',
  },
  requestId: 'request',
  at: new Date(at),
});
