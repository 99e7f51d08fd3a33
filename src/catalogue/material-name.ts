import { type Bilingual, type CertificateTypeDefinition, isRetired } from './certificate-type.ts';
import { nameKey } from './match-demand.ts';

/** In what form a document is brought, in how many pieces, and words that join two forms: they say nothing about which document it is. */
const formZh =
  /(?:原件|正本|副本|复印件|复制件|影印件|扫描件|照片|抄件|首页|本人页|正反面|双面|以及|[及和与或]|各?[\d一二两三四五六七八九十]+[份张页])$/u;
const formsEn: readonly RegExp[] = [
  /^(?:the|an?|your|and|or|certified|notari[sz]ed|clear) /u,
  /^(?:photo ?cop(?:y|ies)|cop(?:y|ies)|originals?|scans?|scanned cop(?:y|ies)|duplicates?|photos?|photographs?)(?: of)? /u,
  / (?:and|or|photo ?cop(?:y|ies)|cop(?:y|ies)|originals?|scans?|duplicates?)$/u,
];

/** Takes off what `forms` match, until nothing more comes off; a name of nothing else stays as it is. */
function bare(name: string, forms: readonly RegExp[]): string {
  for (let rest = name; ; ) {
    const less = forms.reduce((text, form) => text.replace(form, ''), rest);
    if (less === rest) return rest === '' ? name : rest;
    rest = less;
  }
}

const plain = (text: string, between: string): string =>
  text
    .normalize('NFKC')
    .toLowerCase()
    .replaceAll(/[\s\p{P}\p{S}]+/gu, between)
    .trim();

/** The document that a name means, in each language, whatever the form in which it is brought. */
const keysOf = ({ zh, en }: Bilingual): readonly string[] => [
  `zh ${nameKey({ zh: bare(plain(zh, ''), [formZh]), en })}`,
  `en ${bare(plain(en, ' '), formsEn)}`,
];

/** Finds the types that a material means by its name. */
export type FindNamed<T> = (name: Bilingual) => readonly T[];

const finders = new WeakMap<readonly CertificateTypeDefinition[], FindNamed<never>>();

/**
 * Finds published types by the name of a material: both name the same document in one of the languages, as the demand list matches names,
 * but whether it is an original or a copy does not count. Prepared once for the same list; in order of the list.
 */
export function typesNamedIn<T extends CertificateTypeDefinition & Parameters<typeof isRetired>[0]>(
  types: readonly T[],
): FindNamed<T> {
  const find = (finders.get(types) as FindNamed<T> | undefined) ?? newFinder(types);
  finders.set(types, find as FindNamed<never>);
  return find;
}

function newFinder<T extends CertificateTypeDefinition & Parameters<typeof isRetired>[0]>(
  types: readonly T[],
): FindNamed<T> {
  const byKey = new Map<string, T[]>();
  for (const type of types.filter((each) => !isRetired(each))) {
    for (const key of keysOf(type.name)) byKey.set(key, [...(byKey.get(key) ?? []), type]);
  }
  return (name) => [...new Set(keysOf(name).flatMap((key) => byKey.get(key) ?? []))];
}
