import { Refusal } from '../errors.ts';
import type { CatalogueView } from './catalogue.ts';
import { type CertificateType, isRetired } from './certificate-type.ts';
import { type Matter, typesNamed } from './matter.ts';
import type { MattersView } from './matters.ts';
import { type Page, type PageOf, pageBy } from './page.ts';
import { changesBetween, type TypeChange } from './type-changes.ts';

export interface ReadTypesDeps {
  readonly catalogue: CatalogueView;
  readonly matters: MattersView;
}

/** What to search for; what several members ask has to hold together. */
export interface TypeSearch {
  /** Part of the Chinese or English name, whatever its case. */
  readonly typeName?: string;
  /** Owner or allowed issuer, at whatever time. */
  readonly departmentCode?: string;
  /** Required or produced by this matter. */
  readonly matterCode?: string;
  readonly state?: 'published' | 'retired';
}

/** Newest versions in order of their codes. A matter that there is not concerns nothing. */
export async function listCertificateTypes(
  { catalogue, matters }: ReadTypesDeps,
  search: TypeSearch & PageOf,
): Promise<Page<CertificateType>> {
  const [{ types }, known] = await Promise.all([catalogue.read(), matters.read()]);
  const matter = search.matterCode === undefined ? undefined : known.newest(search.matterCode);
  const found = types.filter((type) => fits(type, search, matter));
  return pageBy(found, ({ certificateTypeCode }) => certificateTypeCode, search);
}

function fits(
  type: CertificateType,
  { typeName, departmentCode, matterCode, state }: TypeSearch,
  matter?: Matter,
): boolean {
  const isNamed = ({ zh, en }: CertificateType['name'], part: string): boolean =>
    [zh, en].some((each) => each.toLowerCase().includes(part));
  return (
    (typeName === undefined || isNamed(type.name, typeName.toLowerCase())) &&
    (departmentCode === undefined ||
      type.ownerDepartmentCode === departmentCode ||
      type.allowedIssuers.some((issuer) => issuer.departmentCode === departmentCode)) &&
    (matterCode === undefined || (matter !== undefined && typesNamed(matter).includes(type.certificateTypeCode))) &&
    (state === undefined || isRetired(type) === (state === 'retired'))
  );
}

/** One version with what changed since the one before. */
export interface TypeVersion {
  readonly type: CertificateType;
  readonly changes: readonly TypeChange[];
}

/**
 * The versions of a type, newest first; `after`: those older than this version. One that was not written by the hub is left out, and the
 * next is compared with the last before it. Refuses `certificate_type_unknown`, `contract_violation` for a cursor that is none.
 */
export async function listCertificateTypeVersions(
  { catalogue }: Pick<ReadTypesDeps, 'catalogue'>,
  { certificateTypeCode: code, after, limit = 50 }: PageOf & { readonly certificateTypeCode: string },
): Promise<Page<TypeVersion>> {
  if (after !== undefined && !/^[1-9]\d{0,8}$/.test(after))
    throw new Refusal('contract_violation', { pointer: '/after' });
  const types = await catalogue.read();
  const newest = types.newest(code)?.type.version;
  if (newest === undefined) throw new Refusal('certificate_type_unknown', { pointer: '/certificateTypeCode' });
  const versions = Array.from({ length: newest }, (_, i) => types.version(code, i + 1)?.type ?? []).flat();
  const told = versions.map((type, i): TypeVersion => {
    const before = versions[i - 1];
    return { type, changes: before === undefined ? [] : changesBetween(before, type) };
  });
  const rest = told.filter(({ type }) => after === undefined || type.version < Number(after)).toReversed();
  const items = rest.slice(0, limit);
  const last = rest.length > limit ? items.at(-1) : undefined;
  return { items, ...(last !== undefined && { next: String(last.type.version) }) };
}
