import { parseCertificateIdentifier } from '../../verification/identifiers.ts';
import { memberOf, textOf, textsOf } from '../body-values.ts';
import type { Outcome } from '../entry.ts';
import type { RecordBody } from '../record-body.ts';
import { type About, type AccessFacts, type Bilingual, readableAccess } from './readable-access.ts';

/** Names for codes, as registry and catalogue have them now; undefined for what they do not know. */
export interface ReportNames {
  readonly department: (code: string) => Bilingual | undefined;
  readonly system: (clientId: string) => Bilingual | undefined;
  readonly type: (certificateTypeCode: string) => Bilingual | undefined;
  readonly field: (certificateTypeCode: string, name: string) => Bilingual | undefined;
  readonly matter: (matterCode: string) => Bilingual | undefined;
}

export interface NamedType {
  readonly certificateTypeCode: string;
  readonly name?: Bilingual;
}

export interface SeenCertificate extends NamedType {
  readonly certificateIdentifier: string;
  readonly seen: 'fields' | 'compare' | 'status' | 'whole';
  readonly fields: readonly { readonly name: string; readonly title?: Bilingual }[];
}

/** A record as its holder may read it. */
export interface AccessItem {
  readonly about: About;
  readonly action: string;
  readonly outcome: Outcome;
  readonly code?: string;
  readonly step?: string;
  readonly department?: { readonly departmentCode: string; readonly name?: Bilingual };
  readonly system?: { readonly clientId: string; readonly name?: Bilingual };
  readonly purpose?: { readonly matterCode: string; readonly caseNumber: string; readonly legalBasis: string };
  readonly asked?: readonly NamedType[];
  readonly seen?: readonly SeenCertificate[];
  readonly secrecy?: { readonly releasedAt: Date; readonly legalGround: string };
  readonly sentence: Bilingual;
}

/** Who reads, and in which words. */
export interface Reader {
  /** Whether a pseudonym (hex) is the reader's, under any key generation. */
  readonly isReader: (subject: string) => boolean;
  /** Whether the reader is a holder of the certificate, for records that concern several people. */
  readonly holds: (certificateIdentifier: string) => boolean;
  readonly names: ReportNames;
  /** Calendar day of the city, yyyy-mm-dd. */
  readonly day: (at: Date) => string;
}

/** Everybody whom a record concerns, as pseudonyms in hex; the one asked about first. */
export const subjectsOf = (body: RecordBody): readonly string[] => textsOf(body['subjects']);

/** Certificates that a record names. */
export const certificatesOf = (body: RecordBody): readonly string[] => textsOf(body['certificates']);

/**
 * Cuts a record down to what its reader may know, and says it in words. Pure. Left out: officers (people too), free texts (they may
 * speak of others), and everything about somebody else. A question about another holder of a shared certificate shows by the
 * certificate that is the reader's own, and the department; system, matter, case and other certificates are the other's affair. So they
 * are where nobody was asked about by name and several hold the certificate.
 */
export function accessItem(body: RecordBody, release: Date | null, reader: Reader): AccessItem {
  const about = aboutOf(body);
  const subjects = subjectsOf(body);
  const alone = subjects.every((subject) => reader.isReader(subject));
  const asked = textOf(memberOf(body['scope'], 'by')) === 'holder' && reader.isReader(subjects[0] ?? '');
  const own = about !== 'lookup' || alone || asked;
  const seen = certificatesOf(body)
    .filter((identifier) => alone || reader.holds(identifier))
    .flatMap((identifier) => seenOf(identifier, { about, body, names: reader.names }));
  const item = {
    about,
    action: textOf(body['action']) ?? '',
    outcome: textOf(memberOf(body['outcome'], 'result')) as Outcome,
    ...present({ code: textOf(memberOf(body['outcome'], 'code')), department: departmentOf(body, reader.names) }),
    ...(about === 'certificate' && present({ step: textOf(memberOf(body['detail'], 'step')) })),
    ...(own && ownOf(body, about, reader.names)),
    ...(seen.length > 0 && { seen }),
    ...(release !== null && { secrecy: { releasedAt: release, legalGround: legalGroundOf(body) } }),
  };
  const representative = textOf(memberOf(memberOf(body['detail'], 'onBehalfOf'), 'basis'));
  return { ...item, sentence: readableAccess(factsOf(item, { own, representative, reader })) };
}

/** What shows of the reader's own affairs alone. The system's name already says what another's matter is. */
function ownOf(body: RecordBody, about: About, names: ReportNames): Pick<AccessItem, 'system' | 'purpose' | 'asked'> {
  const asked = about === 'lookup' ? typesOf(body['scope']).map(({ code }) => namedType(names, code)) : [];
  return present({
    system: systemOf(body, names),
    purpose: purposeOf(body['purpose']),
    asked: asked.length > 0 ? asked : undefined,
  });
}

/** The same in words: what has no name is called by its code. */
function factsOf(
  item: Omit<AccessItem, 'sentence'>,
  {
    own,
    representative,
    reader: { names, day },
  }: { readonly own: boolean; readonly representative: string | undefined; readonly reader: Reader },
): AccessFacts {
  const { about, outcome, department, system, secrecy } = item;
  const purpose = item.purpose && { ...item.purpose, matter: matterName(names, item.purpose.matterCode) };
  return {
    about,
    outcome,
    ...present({ purpose, step: item.step, system: system?.name, representative }),
    ...(department !== undefined && { department: department.name ?? same(department.departmentCode) }),
    ...(!own && { ofAnotherHolder: true }),
    asked: (item.asked ?? []).map(({ certificateTypeCode, name }) => name ?? same(certificateTypeCode)),
    seen: (item.seen ?? []).map(({ certificateTypeCode, name, seen, fields }) => ({
      type: name ?? same(certificateTypeCode),
      seen,
      fields: fields.map((field) => field.title ?? same(field.name)),
    })),
    ...(secrecy !== undefined && {
      secrecy: { releasedOn: day(secrecy.releasedAt), legalGround: secrecy.legalGround },
    }),
  };
}

const legalGroundOf = (body: RecordBody): string =>
  textOf(memberOf(memberOf(body['detail'], 'secrecy'), 'legalGround')) ?? '';

function departmentOf(body: RecordBody, names: ReportNames): AccessItem['department'] {
  const departmentCode = textOf(memberOf(body['client'], 'department'));
  return departmentCode === undefined
    ? undefined
    : { departmentCode, ...present({ name: names.department(departmentCode) }) };
}

function systemOf(body: RecordBody, names: ReportNames): AccessItem['system'] {
  const clientId = textOf(memberOf(body['client'], 'clientId'));
  return clientId === undefined ? undefined : { clientId, ...present({ name: names.system(clientId) }) };
}

function aboutOf(body: RecordBody): About {
  if (body['kind'] === 'certificate') return 'certificate';
  if (body['kind'] === 'audit_read') return body['action'] === 'getAccessReport' ? 'report' : 'audit';
  if (body['action'] === 'lookUp') return 'lookup';
  if (body['action'] === 'checkMatter') return 'matter_check';
  if (body['action'] === 'getFeedback') return 'fault';
  if (body['action'] === 'listPastUsers') return 'past_users';
  return body['action'] === 'verify' ? 'verification' : 'department_read';
}

const statusOnly: readonly About[] = ['verification', 'past_users'];

function seenOf(
  certificateIdentifier: string,
  { about, body, names }: { readonly about: About; readonly body: RecordBody; readonly names: ReportNames },
): SeenCertificate[] {
  const parsed = parseCertificateIdentifier(certificateIdentifier);
  // What auditors and the reader read are records, not certificates.
  if (!parsed.ok || about === 'audit' || about === 'report' || about === 'fault') return [];
  const { typeCode } = parsed.value;
  const named = { certificateIdentifier, ...namedType(names, typeCode) };
  if (about !== 'lookup') return [{ ...named, seen: statusOnly.includes(about) ? 'status' : 'whole', fields: [] }];
  if (textsOf(memberOf(body['detail'], 'notInForce')).includes(certificateIdentifier)) {
    return [{ ...named, seen: 'status', fields: [] }];
  }
  const fields = typesOf(body['scope']).find(({ code }) => code === typeCode)?.fields ?? [];
  const seen = textOf(memberOf(body['scope'], 'level')) === 'compare' ? 'compare' : 'fields';
  return [
    {
      ...named,
      seen: fields.length === 0 ? 'status' : seen,
      fields: fields.map((name) => ({ name, ...present({ title: names.field(typeCode, name) }) })),
    },
  ];
}

/** The types that a lookup asked about, with the fields that it could see. */
function typesOf(scope: unknown): { readonly code: string; readonly fields: readonly string[] }[] {
  const types = memberOf(scope, 'types');
  return (Array.isArray(types) ? types : []).flatMap((each: unknown) => {
    const code = textOf(memberOf(each, 'certificateTypeCode'));
    return code === undefined ? [] : [{ code, fields: textsOf(memberOf(each, 'fields')) }];
  });
}

function purposeOf(purpose: unknown): AccessItem['purpose'] {
  const matterCode = textOf(memberOf(purpose, 'matterCode'));
  const caseNumber = textOf(memberOf(purpose, 'caseNumber'));
  const legalBasis = textOf(memberOf(purpose, 'legalBasis'));
  if (matterCode === undefined || caseNumber === undefined || legalBasis === undefined) return undefined;
  return { matterCode, caseNumber, legalBasis };
}

const matterName = (names: ReportNames, matterCode: string): Bilingual => names.matter(matterCode) ?? same(matterCode);

const namedType = (names: ReportNames, certificateTypeCode: string): NamedType => ({
  certificateTypeCode,
  ...present({ name: names.type(certificateTypeCode) }),
});

/** Without the members that are undefined. */
const present = <T extends object>(members: T): { [K in keyof T]?: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };

const same = (text: string): Bilingual => ({ zh: text, en: text });
