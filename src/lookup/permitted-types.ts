import type { Bilingual } from '../catalogue/certificate-type.ts';
import type { ValueFault } from '../catalogue/field-schema.ts';
import { tellableName } from '../certificates/certificate.ts';
import { Refusal, type RefusalCode } from '../errors.ts';
import {
  applicationFor,
  type Grant,
  type GrantedFields,
  type Permission,
  permit,
  type Wanted,
} from '../grants/grant.ts';
import type { Asked, QuotaLimit, Reserve } from '../grants/quota.ts';
import { normalForm, type Question, type TypeQuery } from './question.ts';

/** What a lookup needs to know of a certificate type. */
export interface LookupType extends GrantedFields {
  readonly name: { readonly zh: string; readonly en: string };
  readonly ownerDepartmentCode: string;
  /** What is wrong with the JSON type or format of a value for one of its fields. */
  readonly shapeFault: (field: string, value: unknown) => ValueFault | undefined;
  /** What the version that took a field away told its users to do; undefined for a field that no version had. */
  readonly migrationOf: (field: string) => Bilingual | undefined;
  /** What was granted still answers; nothing new is. */
  readonly isRetired?: boolean;
}

/** One type of a question with the grants that cover it, each by itself. */
export interface CoveredType {
  readonly type: LookupType;
  readonly query: TypeQuery;
  readonly candidates: readonly [Permission, ...Permission[]];
}

/** One type of a question with the grant under which it is answered. */
export interface PermittedType {
  readonly type: LookupType;
  readonly query: TypeQuery;
  readonly permission: Permission;
}

export interface PermissionDeps {
  readonly grantsOf: (clientId: string) => Promise<readonly Grant[]>;
  readonly findType: (certificateTypeCode: string) => Promise<LookupType | undefined>;
  readonly reserve: Reserve;
  /** When the city's next day begins, and with it new quotas. */
  readonly nextDay: (at: Date) => Date;
}

/**
 * The types that may be answered. Refuses the whole question when a named type is not covered: the refusal names what to apply
 * for, and depends on the caller and the question alone. Codes: `certificate_type_unknown`, `field_unknown`,
 * `field_invalid` (a value to compare that the field can never have), `grant_required`,
 * `grant_expired`, `grant_suspended`, `grant_revoked`, `certificate_type_retired` (a grant is missing, and none can be applied for), `secrecy_not_granted` and `ticket_required` (these two also where a type could be
 * answered, but not under secrecy or not without a ticket: a question without named types must not quietly lose one).
 */
export async function coveredTypes(
  deps: Pick<PermissionDeps, 'grantsOf' | 'findType'>,
  question: Question,
  clientId: string,
  at: Date,
): Promise<readonly CoveredType[]> {
  const grants = await deps.grantsOf(clientId);
  const { secrecy } = question.purpose;
  const wantedOf = (query: TypeQuery): Wanted => ({
    certificateTypeCode: query.certificateTypeCode,
    level: question.level,
    matterCode: question.purpose.matterCode,
    legalBasis: question.purpose.legalBasis,
    at,
    ...(question.hasTicket === true && { hasTicket: true }),
    ...(secrecy !== undefined && { secretUntil: new Date(secrecy.releaseAt) }),
    ...fieldsOf(query),
  });
  const queries = question.types ?? grantedTypes(grants).map((certificateTypeCode) => ({ certificateTypeCode }));
  const decided = await Promise.all(
    queries.map(async (query, i) => {
      const type = await knownType(deps, query, i);
      const wanted = wantedOf(query);
      return { query, type, wanted, pointer: pointerOf(question, i), permitted: permit(grants, wanted) };
    }),
  );
  // Without named types, what is not granted is simply not asked for; with none granted at all there is nothing to answer.
  const relevant =
    question.types === undefined
      ? decided.filter(({ permitted }) => permitted.ok || answerable.includes(permitted.code))
      : decided;
  // Nobody can say which grant to apply for where no type was named.
  if (relevant.length === 0) throw new Refusal('grant_required', { pointer: '/types', rule: 'types_not_named' });
  const [first, ...others] = relevant.flatMap(({ permitted, ...each }) =>
    permitted.ok ? [] : [{ ...each, code: missingCode(permitted.code, each.type) }],
  );
  if (first !== undefined) throw refusalOf([first, ...others]);
  return relevant.flatMap(({ query, type, permitted }) =>
    permitted.ok ? [{ query, type, candidates: permitted.candidates }] : [],
  );
}

/** A type of a question that may not be answered, and why. */
interface MissingType {
  readonly type: LookupType;
  readonly query: TypeQuery;
  readonly pointer: string;
  readonly wanted: Wanted;
  readonly code: RefusalCode;
}

/** What only a new grant would help against. */
const newGrant: readonly RefusalCode[] = ['grant_required', 'grant_expired', 'grant_revoked'];

/** Why a type is not answered: where only a new grant would help and none is to be had any more, because it is retired. */
export const missingCode = (code: RefusalCode, { isRetired }: Pick<LookupType, 'isRetired'>): RefusalCode =>
  isRetired === true && newGrant.includes(code) ? 'certificate_type_retired' : code;

/**
 * One refusal for all of them: the detail says what each needs, a ticket or a grant, and the code is that of the first; of a retired one
 * only where there is nothing to apply for.
 */
function refusalOf(missing: readonly [MissingType, ...MissingType[]]): Refusal {
  const retired = missing.filter(({ code }) => code === 'certificate_type_retired');
  const forward = grantsToApplyFor(missing.filter(({ code }) => code !== 'ticket_required'));
  const others = missing.filter((each) => !retired.includes(each));
  const [first = missing[0]] = 'apply' in forward ? others : retired;
  const ticketFor = missing
    .filter(({ code }) => code === 'ticket_required')
    .map(({ query, wanted: { certificateTypeCode, level } }) => ({ certificateTypeCode, level, ...fieldsOf(query) }));
  return new Refusal(first.code, {
    ...(first.code === 'secrecy_not_granted' && { pointer: '/purpose/secrecy/releaseAt' }),
    ...(first.code === 'ticket_required' && { pointer: '/ticket' }),
    ...(first.code === 'certificate_type_retired' && { pointer: first.pointer }),
    ...(retired.length > 0 && { retired: retired.map(({ query }) => query.certificateTypeCode) }),
    ...(ticketFor.length > 0 && { ticketFor }),
    ...forward,
  });
}

/**
 * What to apply for, each the body of an application, and beside them who decides: a body is sent as it stands. Retired types are left
 * out: an application for one is refused.
 */
export function grantsToApplyFor(missing: readonly Pick<MissingType, 'wanted' | 'type'>[]): Record<string, unknown> {
  const granted = missing.filter(({ type }) => type.isRetired !== true);
  if (granted.length === 0) return {};
  return {
    apply: granted.map(({ wanted, type }) => applicationFor(wanted, type)),
    owners: granted.map(({ wanted: { certificateTypeCode }, type: { ownerDepartmentCode } }) => ({
      certificateTypeCode,
      ownerDepartmentCode,
    })),
  };
}

/**
 * Takes one lookup of each type from a grant that covers it. Refuses `quota_exceeded` when the day of all of them is used up, naming
 * the limit (`dailyQuota`, `dailyHolders`, `officerDailyQuota`, `officerDailyHolders`) of the one tried first.
 */
export function takeQuota(
  { reserve, nextDay }: Pick<PermissionDeps, 'reserve' | 'nextDay'>,
  covered: readonly CoveredType[],
  asked: Asked,
  at: Date,
): Promise<PermittedType[]> {
  return Promise.all(
    covered.map(async ({ query, type, candidates }) => {
      const taken = await firstWithQuota(reserve, candidates, asked, at);
      if ('limit' in taken) {
        const retryAfterSeconds = Math.ceil((nextDay(at).getTime() - at.getTime()) / 1_000);
        const { certificateTypeCode } = query;
        throw new Refusal('quota_exceeded', { certificateTypeCode, limit: taken.limit, retryAfterSeconds });
      }
      return { query, type, permission: taken };
    }),
  );
}

/** What is missing where a grant in force covers the type: the caller has to ask otherwise, not to ask less. */
const answerable: readonly RefusalCode[] = ['secrecy_not_granted', 'ticket_required'];

/** Where a question names its type. */
const pointerOf = ({ about }: Question, i: number): string =>
  about.by === 'identifier' ? '/certificateIdentifier' : `/types/${i}/certificateTypeCode`;

const grantedTypes = (grants: readonly Grant[]): string[] => [
  ...new Set(grants.map(({ certificateTypeCode }) => certificateTypeCode)),
];

const fieldsOf = ({ fields, compare }: TypeQuery): { fields?: readonly string[] } => {
  const named = fields ?? (compare === undefined ? undefined : Object.keys(compare));
  return named === undefined ? {} : { fields: named };
};

async function knownType(deps: Pick<PermissionDeps, 'findType'>, query: TypeQuery, i: number): Promise<LookupType> {
  const type = await deps.findType(query.certificateTypeCode);
  if (type === undefined) throw new Refusal('certificate_type_unknown', { pointer: `/types/${i}/certificateTypeCode` });
  const { fields = [] } = fieldsOf(query);
  const unknown = fields.find((field) => !type.fieldNames.includes(field));
  if (unknown !== undefined) {
    const index = query.fields?.indexOf(unknown) ?? -1;
    const migrationNote = type.migrationOf(unknown);
    throw new Refusal('field_unknown', {
      pointer: index >= 0 ? `/types/${i}/fields/${index}` : `/types/${i}/compare${tellableName(unknown)}`,
      ...(tellableName(unknown) !== '' && { field: unknown }),
      ...(migrationNote !== undefined && { migrationNote }),
    });
  }
  for (const [field, value] of Object.entries(query.compare ?? {})) {
    // A false for what no certificate can have would count against the holder. Judged of the type alone, so it says nothing about anybody.
    const fault = type.shapeFault(field, normalForm(value));
    if (fault === undefined) continue;
    throw new Refusal('field_invalid', { pointer: `/types/${i}/compare/${field}${fault.pointer}`, rule: fault.rule });
  }
  return type;
}

/** Takes one from the first grant whose day is not used up. Grants are tried one after another: only the used one is charged in full. */
async function firstWithQuota(
  reserve: Reserve,
  [first, ...others]: CoveredType['candidates'],
  asked: Asked,
  at: Date,
): Promise<Permission | { readonly limit: QuotaLimit }> {
  const limit = await reserve(first.grant, asked, at);
  if (limit === undefined) return first;
  for (const candidate of others) {
    if ((await reserve(candidate.grant, asked, at)) === undefined) return candidate;
  }
  return { limit };
}
