import { Refusal } from '../errors.ts';
import { type Bilingual, isRetired } from './certificate-type.ts';
import { type Matter, typesNamed } from './matter.ts';
import type { MattersView } from './matters.ts';
import { type Page, type PageOf, pageBy } from './page.ts';

interface ReadDeps {
  readonly matters: MattersView;
}

/** Matters in order of their codes; of one department, those that require or produce a type, those in one state. */
export async function listMatters(
  { matters }: ReadDeps,
  input: PageOf & {
    readonly departmentCode?: string;
    readonly certificateTypeCode?: string;
    readonly state?: 'published' | 'retired';
  },
): Promise<Page<Matter>> {
  const { departmentCode, certificateTypeCode, state } = input;
  const found = (await matters.read()).all.filter(
    (matter) =>
      (departmentCode === undefined || matter.departmentCode === departmentCode) &&
      (certificateTypeCode === undefined || typesNamed(matter).some((code) => code === certificateTypeCode)) &&
      (state === undefined || isRetired(matter) === (state === 'retired')),
  );
  return pageBy(found, ({ matterCode }) => matterCode, input);
}

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

/** What the newest versions of all matters demand on paper, retired ones aside; what is not in it may not be demanded. */
export async function listRetainedProofs(
  { matters }: ReadDeps,
  input: PageOf & { readonly departmentCode?: string },
): Promise<Page<RetainedProof>> {
  const found = (await matters.read()).all
    .filter((matter) => !isRetired(matter))
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
