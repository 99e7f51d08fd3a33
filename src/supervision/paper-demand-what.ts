import type { Bilingual } from '../catalogue/certificate-type.ts';
import { areAlike, itemKey, nameKey } from '../catalogue/match-demand.ts';
import { type Matter, type MatterRequirement, typesRequired } from '../catalogue/matter.ts';

/** What is meant by a thing that was described: a requirement of the matter, perhaps one of them, or nothing the matter asks for. */
export type Meant =
  | { readonly by: 'name'; readonly requirement: MatterRequirement }
  | { readonly by: 'likeness' }
  | { readonly by: 'nothing' };

/** That it is on paper says nothing about what it is. */
const copies = /复印件|影印件|扫描件|原件|纸质[件版]?|\b(?:photo)?cop(?:y|ies)\b|\boriginals?\b|\bproofs?\b/giu;

/**
 * Matches a description, in either language, to the names of the matter's requirements and of the certificate types that prove them. An
 * equal name of one requirement means it; everything else that shares much with a name only may.
 */
export function whatIsMeant(
  what: string,
  matter: Pick<Matter, 'requirements'>,
  typeNames: readonly Bilingual[],
): Meant {
  const given = { zh: what, en: what };
  const named = matter.requirements.filter(
    ({ name }) => nameKey(given) === nameKey(name) || itemKey(given) === itemKey({ zh: name.en, en: name.en }),
  );
  const [requirement] = named;
  if (requirement !== undefined && named.length === 1) return { by: 'name', requirement };
  const bare = what.replaceAll(copies, '');
  const names = [...matter.requirements.map(({ name }) => name), ...typeNames];
  const mayBe = requirement !== undefined || names.some((name) => areAlike({ zh: bare, en: bare }, name));
  return { by: mayBe ? 'likeness' : 'nothing' };
}

/** The names of the types that a matter asks for, as far as the catalogue has them. */
export async function typeNamesOf(
  nameOf: (certificateTypeCode: string) => Promise<Bilingual | undefined>,
  matter: Matter,
): Promise<readonly Bilingual[]> {
  const names = await Promise.all(typesRequired(matter).map(nameOf));
  return names.flatMap((name) => name ?? []);
}
