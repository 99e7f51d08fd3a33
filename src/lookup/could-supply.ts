import { fieldsOf, type Matter, type MatterMaterial, type MatterRequirement, partyOf } from '../catalogue/matter.ts';
import { dayOf, startOfDay } from '../certificates/city-day.ts';
import { presentSdJwt, sealHeader } from '../certificates/read-certificates.ts';
import { Refusal } from '../errors.ts';
import { type LegalBasis, permit } from '../grants/grant.ts';
import { type OpenedCertificate, readFields } from './found-certificate.ts';
import { type AskedMaterial, askedMaterial } from './matter-evidence.ts';
import { type DayAsked, isMet, type JudgedCertificate, judgeMaterial } from './matter-finding.ts';
import type { Parties } from './matter-parties.ts';
import { type OpenDeps, openByHolder } from './opened-certificates.ts';
import type { PermissionDeps } from './permitted-types.ts';

export interface CouldSupplyDeps extends OpenDeps, Pick<PermissionDeps, 'grantsOf' | 'findType'> {
  /** IANA name; its calendar decides what today is. */
  readonly cityTimeZone: string;
  /** Told of a certificate's row that was written past the hub. */
  readonly tampered: (table: string, id: string) => void;
}

export interface SupplyQuestion {
  readonly matter: Matter;
  readonly requirement: MatterRequirement;
  /** Some of the matter's parties, by their codes. */
  readonly parties: Parties;
  /** The systems of the office: what any of them may look up, the office could have. */
  readonly clientIds: readonly string[];
  /** Any when absent. */
  readonly legalBasis?: LegalBasis;
  readonly at: Date;
}

/** Whether certificates would have proved a requirement, and the parties (codes) whose certificates that rests on. */
export interface Supply {
  readonly supply: 'permitted' | 'grant_missing' | 'none' | 'unknown';
  readonly of: readonly string[];
}

/**
 * Whether the hub could supply what a requirement asks for, today and whoever asks: the rules of the matter check, without its grants,
 * quotas, answers and records. Nothing that it reads leaves; the caller must not tell the answer to anybody who has no right to it.
 * `unknown` where no list is met and one could not be judged: a party is missing, a type is gone, a row is not the hub's.
 */
export async function couldSupply(deps: CouldSupplyDeps, question: SupplyQuestion): Promise<Supply> {
  const of = new Set<string>();
  const seen = new Set<Supply['supply']>();
  for (const list of question.requirement.alternatives ?? []) {
    const supply = await supplyOf(deps, question, list, of);
    if (supply === 'permitted') return { supply, of: [...of] };
    seen.add(supply);
  }
  const supply = (['grant_missing', 'unknown'] as const).find((each) => seen.has(each)) ?? 'none';
  return { supply, of: [...of] };
}

/** The same for one list of alternatives; adds the parties whose certificates it read. */
async function supplyOf(
  deps: CouldSupplyDeps,
  question: SupplyQuestion,
  list: readonly MatterMaterial[],
  of: Set<string>,
): Promise<Supply['supply']> {
  if (!list.every((material) => isDetermined(question, material))) return 'unknown';
  try {
    const asked = await Promise.all(
      list.map((material) => askedMaterial(deps, withBasis(question), { material, pointer: '' })),
    );
    for (const { party } of asked) of.add(party);
    const met = await Promise.all(asked.map((each) => isThere(deps, question, each)));
    if (!met.every(Boolean)) return 'none';
    return (await isPermitted(deps, question, asked)) ? 'permitted' : 'grant_missing';
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    if (error.code === 'matter_invalid') return 'unknown';
    if (error.code !== 'stored_data_tampered') throw error;
    // A refusal here would tell the office that the person has a certificate.
    const { certificateIdentifier } = error.detail;
    deps.tampered('certificates', typeof certificateIdentifier === 'string' ? certificateIdentifier : 'unknown');
    return 'unknown';
  }
}

/** Whether everybody is named on whom the material depends: whose it is, and whom its conditions compare with. */
const isDetermined = ({ matter, parties }: SupplyQuestion, material: MatterMaterial): boolean =>
  parties.has(partyOf(matter, material)?.code ?? '') &&
  (material.conditions ?? []).every(({ party }) => party === undefined || parties.has(party));

const everyBasis: readonly LegalBasis[] = ['statutory_duty', 'own_application', 'delegated'];

const withBasis = ({ matter, parties, legalBasis = 'statutory_duty', at }: SupplyQuestion) => ({
  matter,
  parties,
  purpose: { matterCode: matter.matterCode, legalBasis },
  call: { at },
});

/** Whether a certificate of the holder serves, read as a lookup with every grant would read it. */
async function isThere(
  deps: CouldSupplyDeps,
  { parties, at }: SupplyQuestion,
  { material, party, holder }: AskedMaterial,
): Promise<boolean> {
  const opened = await openByHolder(deps, { holder, typeCodes: [material.certificateTypeCode], at });
  const certificates = await Promise.all(opened.map((each) => judgedOf(deps, each, fieldsOf(material))));
  const day = dayOf(at, deps.cityTimeZone);
  const asked: DayAsked = { day, parties, dayStart: startOfDay(day, deps.cityTimeZone).getTime() / 1_000 };
  return isMet({ reason: judgeMaterial(material, { party, certificates, asked }) });
}

async function judgedOf(
  { db }: CouldSupplyDeps,
  opened: OpenedCertificate,
  fields: readonly string[],
): Promise<JudgedCertificate> {
  const { row, contents, status } = opened;
  const certificateIdentifier = row.identifier;
  const { sealed } = contents;
  if (sealed === undefined) throw new Refusal('stored_data_tampered', { certificateIdentifier });
  return {
    certificateIdentifier,
    issuingAuthorityCode: row.issuing_authority_code,
    status,
    fields: readFields(opened, fields),
    sdJwt: presentSdJwt(await sealHeader(db, sealed.headerSha256), sealed, []),
  };
}

/** Whether one system of the office has a grant for every material, on one legal basis; a ticket it could issue. */
async function isPermitted(
  { grantsOf }: CouldSupplyDeps,
  { clientIds, legalBasis }: SupplyQuestion,
  asked: readonly AskedMaterial[],
): Promise<boolean> {
  const bases = legalBasis === undefined ? everyBasis : [legalBasis];
  for (const clientId of clientIds) {
    const grants = await grantsOf(clientId);
    const holds = (basis: LegalBasis): boolean =>
      asked.every(({ wanted }) => permit(grants, { ...wanted, legalBasis: basis, hasTicket: true }).ok);
    if (bases.some(holds)) return true;
  }
  return false;
}
