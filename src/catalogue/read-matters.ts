import { Refusal } from '../errors.ts';
import type { Bilingual } from './certificate-type.ts';
import { type Matter, typesRequired } from './matter.ts';
import type { MattersView } from './matters.ts';

interface ReadDeps {
  readonly matters: MattersView;
}

/** Which page of a list: entries after a key, at most so many. */
interface PageOf {
  readonly after?: string;
  readonly limit?: number;
}
interface Page<T> {
  readonly items: readonly T[];
  /** `after` of the next page; absent on the last one. */
  readonly next?: string;
}

const defaultLimit = 50;

/** A page by key; keys are distinct, and what is added meanwhile shifts nothing. */
function pageBy<T>(items: readonly T[], keyOf: (item: T) => string, { after, limit = defaultLimit }: PageOf): Page<T> {
  const rest = items
    .map((item) => ({ key: keyOf(item), item }))
    .filter(({ key }) => after === undefined || key > after)
    .toSorted((a, b) => (a.key < b.key ? -1 : 1));
  const page = rest.slice(0, limit);
  const last = rest.length > limit ? page.at(-1) : undefined;
  return { items: page.map(({ item }) => item), ...(last !== undefined && { next: last.key }) };
}

/** Matters in order of their codes; of one department, or those that require or produce a type. */
export async function listMatters(
  { matters }: ReadDeps,
  input: PageOf & { readonly departmentCode?: string; readonly certificateTypeCode?: string },
): Promise<Page<Matter>> {
  const { departmentCode, certificateTypeCode } = input;
  const found = (await matters.read()).all.filter(
    (matter) =>
      (departmentCode === undefined || matter.departmentCode === departmentCode) &&
      (certificateTypeCode === undefined || concerns(matter, certificateTypeCode)),
  );
  return pageBy(found, ({ matterCode }) => matterCode, input);
}

const concerns = (matter: Matter, certificateTypeCode: string): boolean =>
  [...typesRequired(matter), ...(matter.produces ?? [])].some((code) => code === certificateTypeCode);

/** The newest version of a matter. Refuses `matter_unknown`. */
export async function readMatter({ matters }: ReadDeps, matterCode: string): Promise<Matter> {
  const matter = (await matters.read()).newest(matterCode);
  if (matter === undefined) throw new Refusal('matter_unknown', { pointer: '/matterCode' });
  return matter;
}

/** A proof that may still be demanded on paper (证明事项保留清单). */
export interface RetainedProof {
  readonly matterCode: string;
  readonly matterName: Bilingual;
  /** Who demands it. */
  readonly departmentCode: string;
  /** Code of the requirement. */
  readonly requirement: string;
  readonly name: Bilingual;
  readonly legalGround: Bilingual;
  readonly issuedBy: Bilingual;
  readonly howToObtain: Bilingual;
}

/** What the newest versions of all matters demand on paper; what is not in it may not be demanded. */
export async function listRetainedProofs(
  { matters }: ReadDeps,
  input: PageOf & { readonly departmentCode?: string },
): Promise<Page<RetainedProof>> {
  const found = (await matters.read()).all
    .filter(({ departmentCode }) => input.departmentCode === undefined || departmentCode === input.departmentCode)
    .flatMap(retainedProofsOf);
  // A matter's code holds no slash, so that no two proofs share a key.
  return pageBy(found, ({ matterCode, requirement }) => `${matterCode}/${requirement}`, input);
}

const retainedProofsOf = ({ matterCode, name: matterName, departmentCode, requirements }: Matter): RetainedProof[] =>
  requirements.flatMap(({ code, name, legalGround, paper }) =>
    paper === undefined
      ? []
      : [{ matterCode, matterName, departmentCode, requirement: code, name, legalGround, ...paper }],
  );
