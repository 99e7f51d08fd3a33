import type { Freshness, FreshView } from '../db/fresh.ts';
import { type CertificateType, grantableFields, isAllowedIssuer } from './certificate-type.ts';
import { type CheckValue, compileFieldSchema, shapeOf } from './field-schema.ts';
import { type RowMacs, readTypes, type Tampered } from './store.ts';

/** One version of a type with its compiled fields. */
export interface CataloguedType {
  readonly type: CertificateType;
  /** By field name, in the order of the definition; standard fields are checked by rule, not by schema. */
  readonly checks: ReadonlyMap<string, CheckValue>;
  /** By name of every field that can be granted: whether a value has its JSON type and format. */
  readonly shapes: ReadonlyMap<string, CheckValue>;
}

/** All certificate types at one moment. */
export interface Catalogue {
  /** The newest version of each type, by code. */
  readonly types: readonly CertificateType[];
  newest(code: string): CataloguedType | undefined;
  version(code: string, version: number): CataloguedType | undefined;
  /** Whether the newest version of the type lets the department issue at that moment. False for an unknown type. */
  allowedIssuer(code: string, department: string, at: Date): boolean;
}

/** The catalogue as use cases read it: never older than the freshness promises. */
export type CatalogueView = FreshView<Catalogue>;

/**
 * The catalogue, kept in memory and never older than the freshness promises (topic `catalogue`). A version never
 * changes once written, so its compiled fields are kept as long as its row is there.
 */
export function watchCatalogue(
  freshness: Pick<Freshness, 'watch'>,
  deps: { readonly keys: RowMacs; readonly tampered: Tampered },
): CatalogueView {
  let compiled = new Map<string, CataloguedType>();
  return freshness.watch('catalogue', async (snapshot) => {
    const next = new Map<string, CataloguedType>();
    for (const { type, mac } of await readTypes(snapshot, deps)) next.set(mac, compiled.get(mac) ?? compile(type));
    compiled = next;
    return catalogueOf([...next.values()]);
  });
}

const compile = (type: CertificateType): CataloguedType => ({
  type,
  checks: new Map(type.fields.map(({ name, schema }) => [name, whenNeeded(() => compileFieldSchema(schema))])),
  shapes: new Map(
    grantableFields(type).map(({ name, schema }) => [name, whenNeeded(() => compileFieldSchema(shapeOf(schema)))]),
  ),
});

/** Compiled when first needed: start-up should not wait for types that nobody pushes. */
function whenNeeded(compileIt: () => CheckValue): CheckValue {
  let check: CheckValue | undefined;
  return (value) => {
    check ??= compileIt();
    return check(value);
  };
}

/** Builds a catalogue from versions in ascending order; also for tests without a database. */
export function catalogueOf(versions: readonly CataloguedType[]): Catalogue {
  const newest = new Map<string, CataloguedType>();
  const byVersion = new Map<string, CataloguedType>();
  for (const entry of versions) {
    newest.set(entry.type.certificateTypeCode, entry);
    byVersion.set(`${entry.type.certificateTypeCode}:${entry.type.version}`, entry);
  }
  const types = [...newest.values()]
    .map(({ type }) => type)
    .sort((a, b) => (a.certificateTypeCode < b.certificateTypeCode ? -1 : 1));
  return {
    types,
    newest: (code) => newest.get(code),
    version: (code, version) => byVersion.get(`${code}:${version}`),
    allowedIssuer: (code, department, at) => {
      const entry = newest.get(code);
      return entry !== undefined && isAllowedIssuer(entry.type, department, at);
    },
  };
}

/** A type as catalogued, for tests and for types not yet registered. */
export const catalogued = (type: CertificateType): CataloguedType => compile(type);
