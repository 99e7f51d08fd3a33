import { Refusal } from '../errors.ts';
import type { CatalogueView } from './catalogue.ts';
import { type Bilingual, type CertificateType, isRetired } from './certificate-type.ts';
import { type Candidate, toCandidate } from './match-demand.ts';
import { typesNamedIn } from './material-name.ts';
import { type Matter, type MatterRequirement, typesNamed } from './matter.ts';
import type { MattersView } from './matters.ts';
import { type Page, type PageOf, pageBy } from './page.ts';

interface ReadDeps {
  readonly matters: MattersView;
}

/** A type of the name of something that a matter still asks for on paper: it was published later than the matter. */
export interface PaperCandidate extends Candidate {
  /** Code of the requirement. */
  readonly requirement: string;
}

/** The types that a matter should ask for instead of paper now. */
export const paperCandidates = (matter: Matter, types: readonly CertificateType[]): PaperCandidate[] =>
  isRetired(matter)
    ? []
    : matter.requirements.flatMap((each) =>
        candidatesOf(each, types).map((candidate) => ({ requirement: each.code, ...candidate })),
      );

const candidatesOf = ({ name, paper }: MatterRequirement, types: readonly CertificateType[]): Candidate[] =>
  paper === undefined ? [] : typesNamedIn(types)(name).map(toCandidate);

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
  /** Published types of that name; absent without any. */
  readonly candidates?: readonly Candidate[];
}

/** What the newest versions of all matters demand on paper, retired ones aside; what is not in it may not be demanded. */
export async function listRetainedProofs(
  { matters, catalogue }: ReadDeps & { readonly catalogue: CatalogueView },
  input: PageOf & { readonly departmentCode?: string },
): Promise<Page<RetainedProof>> {
  const [{ all }, { types }] = await Promise.all([matters.read(), catalogue.read()]);
  const found = all
    .filter((matter) => !isRetired(matter))
    .filter(({ departmentCode }) => input.departmentCode === undefined || departmentCode === input.departmentCode)
    .flatMap((matter) => retainedProofsOf(matter, types));
  // A matter's code holds no slash, so that no two proofs share a key.
  return pageBy(found, ({ matterCode, requirement }) => `${matterCode}/${requirement}`, input);
}

function retainedProofsOf(
  { matterCode, name: matterName, departmentCode, requirements }: Matter,
  types: readonly CertificateType[],
): RetainedProof[] {
  const of = { matterCode, matterName, departmentCode };
  return requirements.flatMap((each) => {
    const { code, name, legalGround, paper } = each;
    if (paper === undefined) return [];
    const candidates = candidatesOf(each, types);
    const proof = { ...of, requirement: code, name, legalGround, ...paper };
    return [{ ...proof, ...(candidates.length > 0 && { candidates }) }];
  });
}
