import { canonicalJson } from '../verification/canonical-json.ts';
import type { JsonValue } from '../verification/encoding.ts';
import {
  type AllowedIssuer,
  type CertificateTypeDefinition,
  type FieldDefinition,
  isRetired,
  type NotedType,
} from './certificate-type.ts';

/** One difference between two versions of a type. */
export interface TypeChange {
  readonly what:
    | 'field_added'
    | 'field_removed'
    | 'field_changed'
    | 'issuer_added'
    | 'issuer_removed'
    | 'issuer_changed'
    | 'changed'
    | 'retired'
    | 'restored';
  /** Like a JSON pointer; fields by name, issuers by department. Empty for the whole type. */
  readonly path: string;
  /** Short: cut to 200 characters. Absent where there was nothing. */
  readonly from?: string;
  readonly to?: string;
}

const longest = 200;

/** A value in a few words. */
function short(value: unknown): string {
  const text = typeof value === 'string' ? value : canonicalJson(value as JsonValue);
  return text.length <= longest ? text : `${text.slice(0, longest - 1)}…`;
}

const isSame = (one: unknown, other: unknown): boolean =>
  one === undefined || other === undefined
    ? one === other
    : canonicalJson(one as JsonValue) === canonicalJson(other as JsonValue);

/** The difference of one member; none when both say the same. */
const difference = (what: TypeChange['what'], path: string, from: unknown, to: unknown): TypeChange[] =>
  isSame(from, to)
    ? []
    : [{ what, path, ...(from !== undefined && { from: short(from) }), ...(to !== undefined && { to: short(to) }) }];

/** Members that are compared as they stand. Fields and issuers are compared one by one. */
const members = {
  ownerDepartmentCode: true,
  holderKind: true,
  holderCount: true,
  validity: true,
  reviewRequired: true,
  category: true,
  definingAuthorityLevel: true,
  issuingAuthorityLevel: true,
  standard: true,
  decidedBy: true,
} satisfies Record<
  Exclude<keyof CertificateTypeDefinition, 'certificateTypeCode' | 'name' | 'fields' | 'allowedIssuers'>,
  true
>;
const parts = ['label', 'schema', 'class', 'required'] as const satisfies readonly (keyof FieldDefinition)[];

/**
 * What changed between two versions of a type, in a fixed order; nothing exactly when both say the same. A field that leaves the class
 * `sensitive` is among them: from then on its owner decides on applications alone.
 */
export function changesBetween(from: NotedType, to: NotedType): readonly TypeChange[] {
  return [
    ...stateChange(from, to),
    ...difference('changed', '/name/zh', from.name.zh, to.name.zh),
    ...difference('changed', '/name/en', from.name.en, to.name.en),
    ...(Object.keys(members) as (keyof typeof members)[]).flatMap((member) =>
      difference('changed', `/${member}`, from[member], to[member]),
    ),
    ...fieldChanges(from.fields, to.fields),
    ...issuerChanges(from.allowedIssuers, to.allowedIssuers),
  ];
}

function stateChange(from: NotedType, to: NotedType): TypeChange[] {
  if (isRetired(from) === isRetired(to)) return [];
  return [{ what: isRetired(to) ? 'retired' : 'restored', path: '' }];
}

function fieldChanges(from: readonly FieldDefinition[], to: readonly FieldDefinition[]): TypeChange[] {
  const [before, after] = [byKey(from, ({ name }) => name), byKey(to, ({ name }) => name)];
  const names = [...new Set([...before.keys(), ...after.keys()])];
  return [
    ...names.flatMap((name) => {
      const [[old], [next]] = [before.get(name) ?? [], after.get(name) ?? []];
      const path = `/fields/${name}`;
      if (old === undefined || next === undefined) {
        return difference(old === undefined ? 'field_added' : 'field_removed', path, old?.schema, next?.schema);
      }
      return parts.flatMap((part) => difference('field_changed', `${path}/${part}`, old[part], next[part]));
    }),
    ...orderChange(
      '/fields',
      from.map(({ name }) => name),
      to.map(({ name }) => name),
    ),
  ];
}

function issuerChanges(from: readonly AllowedIssuer[], to: readonly AllowedIssuer[]): TypeChange[] {
  const [before, after] = [
    byKey(from, ({ departmentCode }) => departmentCode),
    byKey(to, ({ departmentCode }) => departmentCode),
  ];
  const codes = [...new Set([...before.keys(), ...after.keys()])];
  return [
    ...codes.flatMap((code) => {
      const [old, next] = [before.get(code), after.get(code)];
      const what = old === undefined ? 'issuer_added' : next === undefined ? 'issuer_removed' : 'issuer_changed';
      return difference(what, `/allowedIssuers/${code}`, old?.map(period), next?.map(period));
    }),
    ...orderChange(
      '/allowedIssuers',
      from.map(({ departmentCode }) => departmentCode),
      to.map(({ departmentCode }) => departmentCode),
    ),
  ];
}

const period = ({ departmentCode: _code, ...times }: AllowedIssuer): Omit<AllowedIssuer, 'departmentCode'> => times;

/** Told when the same entries stand in another order: a type is shown in the order of its definition. */
function orderChange(path: string, from: readonly string[], to: readonly string[]): TypeChange[] {
  const kept = (list: readonly string[], other: readonly string[]): readonly string[] =>
    list.filter((each) => other.includes(each));
  return difference('changed', path, kept(from, to).join(', '), kept(to, from).join(', '));
}

function byKey<T>(items: readonly T[], keyOf: (item: T) => string): ReadonlyMap<string, readonly T[]> {
  const found = new Map<string, T[]>();
  for (const item of items) found.set(keyOf(item), [...(found.get(keyOf(item)) ?? []), item]);
  return found;
}
