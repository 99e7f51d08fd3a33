import {
  type Bilingual,
  type CertificateType,
  type FieldDefinition,
  grantableFields,
  isRetired,
} from './certificate-type.ts';

/** One item that somebody needs to read, as they call it; the name of the field where it is known. */
export interface WantedItem {
  readonly name: Bilingual;
  readonly fieldName?: string;
}

/** What somebody needs, as far as it can be matched to the catalogue. */
export interface WantedCertificate {
  readonly name: Bilingual;
  readonly certificateTypeCode?: string;
  readonly fields: readonly WantedItem[];
  /** Who should issue it. */
  readonly issuerDepartmentCode?: string;
}

export type MatchState = 'matched' | 'fields_missing' | 'type_missing';

/** What the catalogue has of it at one moment. */
export interface Match {
  readonly state: MatchState;
  /** Undefined for `type_missing`. */
  readonly type: CertificateType | undefined;
  readonly by?: 'code' | 'name';
  /** For each wanted item the name of the type's field, in order; undefined where it has none. */
  readonly fields: readonly (string | undefined)[];
}

/** A type that may be meant. Never taken as a match: somebody has to name its code. */
export interface Candidate {
  readonly certificateTypeCode: string;
  readonly name: Bilingual;
  readonly ownerDepartmentCode: string;
}

/** The types of a catalogue, prepared for matching; the order in which they come says nothing. */
export interface TypeIndex {
  readonly byCode: ReadonlyMap<string, CertificateType>;
  /** In order of their codes. */
  readonly byName: ReadonlyMap<string, readonly CertificateType[]>;
  readonly parts: readonly { readonly type: CertificateType; readonly parts: NameParts }[];
}

interface NameParts {
  readonly zh: ReadonlySet<string>;
  readonly en: ReadonlySet<string>;
}

const indexes = new WeakMap<readonly CertificateType[], TypeIndex>();

/** Prepares the newest versions of all types, without retired ones; once for the same list. */
export function indexTypes(types: readonly CertificateType[]): TypeIndex {
  const index = indexes.get(types) ?? newIndex(types);
  indexes.set(types, index);
  return index;
}

function newIndex(types: readonly CertificateType[]): TypeIndex {
  const sorted = types
    .filter((type) => !isRetired(type))
    .toSorted((a, b) => (a.certificateTypeCode < b.certificateTypeCode ? -1 : 1));
  const byName = new Map<string, CertificateType[]>();
  for (const type of sorted) {
    const key = nameKey(type.name);
    byName.set(key, [...(byName.get(key) ?? []), type]);
  }
  return {
    byCode: new Map(sorted.map((type) => [type.certificateTypeCode, type])),
    byName,
    parts: sorted.map((type) => ({ type, parts: partsOf(type.name) })),
  };
}

/** Without case, width, spaces and punctuation; a text of nothing else keeps its punctuation. */
function squash(text: string): string {
  const plain = text.normalize('NFKC').toLowerCase();
  const bare = plain.replaceAll(/[\s\p{P}\p{S}]/gu, '');
  return bare === '' ? plain.replaceAll(/\s/gu, '') : bare;
}

/**
 * Endings that say the same. 证 (a certificate) and 证明 (a statement about something) are told apart: 居住证 and 居住证明 are two
 * documents.
 */
const endings: readonly (readonly [RegExp, string])[] = [
  [/证明(?:书|文件|材料)?$/u, '证明'],
  [/证(?:书|照|件)?$/u, '证'],
];

function stemAndEnding(name: string): readonly [stem: string, ending: string] {
  const squashed = squash(name);
  const found = endings.find(([pattern]) => pattern.test(squashed));
  return found === undefined ? [squashed, ''] : [squashed.replace(found[0], ''), found[1]];
}

/** Two names with the same key mean the same certificate. The Chinese name decides: the English ones are translations. */
export const nameKey = ({ zh }: Bilingual): string => stemAndEnding(zh).join('');

/** Two items with the same key are the same item. */
export const itemKey = ({ zh }: Bilingual): string => squash(zh);

function fieldFor(fields: readonly FieldDefinition[], { name, fieldName }: WantedItem): string | undefined {
  const named = fields.find((field) => field.name === fieldName);
  return (named ?? fields.find(({ label }) => itemKey(label) === itemKey(name)))?.name;
}

function fieldsFor(type: CertificateType, wanted: WantedCertificate): readonly (string | undefined)[] {
  const fields = grantableFields(type);
  return wanted.fields.map((item) => fieldFor(fields, item));
}

const isMissing = (field: string | undefined): boolean => field === undefined;

/**
 * What the catalogue has of what is wanted. A code counts alone; without one, the type with the same name. Of several with that name
 * the one with the most of the wanted fields, then one of the department that should issue it, then the lowest code: what is
 * published besides never takes a match away.
 */
export function matchDemand(wanted: WantedCertificate, index: TypeIndex): Match {
  const { certificateTypeCode: code, issuerDepartmentCode } = wanted;
  const named = code === undefined ? (index.byName.get(nameKey(wanted.name)) ?? []) : [];
  const coded = code === undefined ? undefined : index.byCode.get(code);
  const found = (coded === undefined ? named : [coded])
    .map((type) => ({ type, fields: fieldsFor(type, wanted) }))
    .map((each) => ({ ...each, missing: each.fields.filter(isMissing).length }))
    .toSorted(
      (a, b) =>
        a.missing - b.missing ||
        Number(b.type.ownerDepartmentCode === issuerDepartmentCode) -
          Number(a.type.ownerDepartmentCode === issuerDepartmentCode),
    );
  const [best] = found;
  if (best === undefined) {
    return { state: 'type_missing', type: undefined, fields: wanted.fields.map(() => undefined) };
  }
  return {
    state: best.missing === 0 ? 'matched' : 'fields_missing',
    type: best.type,
    by: code === undefined ? 'name' : 'code',
    fields: best.fields,
  };
}

const mostCandidates = 5;
const leastLikeness = 0.25;
/** Words that say nothing about which certificate is meant. */
const plainWords = new Set(['a', 'an', 'and', 'certificate', 'certificates', 'for', 'of', 'on', 'the', 'to']);

/** Pairs of neighbouring characters of the Chinese name without its ending, words of the English one. */
function partsOf({ zh, en }: Bilingual): NameParts {
  const stem = Array.from(stemAndEnding(zh)[0]);
  const pairs = stem.length === 1 ? stem : stem.slice(1).map((character, i) => `${stem[i] ?? ''}${character}`);
  const words =
    en
      .normalize('NFKC')
      .toLowerCase()
      .match(/[\p{L}\p{N}]+/gu) ?? [];
  return { zh: new Set(pairs), en: new Set(words.filter((word) => !plainWords.has(word))) };
}

/** Dice's coefficient: 0 with nothing in common, 1 for the same. */
function likeness(one: ReadonlySet<string>, other: ReadonlySet<string>): number {
  const shared = [...one].filter((part) => other.has(part)).length;
  return shared === 0 ? 0 : (2 * shared) / (one.size + other.size);
}

/** Whether two names share so much that one may mean the other. */
export function areAlike(one: Bilingual, other: Bilingual): boolean {
  const [a, b] = [partsOf(one), partsOf(other)];
  return Math.max(likeness(a.zh, b.zh), likeness(a.en, b.en)) >= leastLikeness;
}

/**
 * Types that may be meant instead of, or beside, what was matched, the likeliest first, then by code: without a match those that share
 * parts of the name, with a match by name the others of that name.
 */
export function candidatesFor(wanted: WantedCertificate, { type: matched, by }: Match, index: TypeIndex): Candidate[] {
  if (matched !== undefined) {
    const others = by === 'name' ? (index.byName.get(nameKey(wanted.name)) ?? []) : [];
    return others.filter((type) => type !== matched).map(toCandidate);
  }
  const parts = partsOf(wanted.name);
  return index.parts
    .map((each) => ({
      type: each.type,
      score: Math.max(likeness(parts.zh, each.parts.zh), likeness(parts.en, each.parts.en)),
    }))
    .filter(({ score }) => score >= leastLikeness)
    .toSorted((a, b) => b.score - a.score)
    .slice(0, mostCandidates)
    .map(({ type }) => toCandidate(type));
}

/** What is told of a type that may be meant. */
export const toCandidate = ({ certificateTypeCode, name, ownerDepartmentCode }: CertificateType): Candidate => ({
  certificateTypeCode,
  name,
  ownerDepartmentCode,
});
