import { equalParties, type Matter, type MatterRequirement, partyOf } from '../catalogue/matter.ts';
import { Refusal } from '../errors.ts';
import { checkHolder, type Holder, holderKind } from '../verification/identifiers.ts';

/** A holder as it was given. */
export interface GivenHolder {
  readonly type: string;
  readonly number: string;
}

/** A holder in normal form. Refuses `invalid_holder_type`, `invalid_id_number`, `invalid_uscc` below the pointer. */
export function checkedHolder(given: GivenHolder, pointer: string): Holder {
  const checked = checkHolder(given);
  if (checked.ok) return checked.holder;
  throw new Refusal(checked.code, {
    pointer: `${pointer}/${checked.code === 'invalid_holder_type' ? 'type' : 'number'}`,
  });
}

export interface PartiesGiven {
  /** Undefined when the hub does not know it: then nobody can say who its parties are. */
  readonly matter: Matter | undefined;
  readonly given: Readonly<Record<string, GivenHolder>>;
}

/**
 * The parties that were named, as the matter knows them: right check digits, the right kind, nobody else, and those
 * distinct who have to be.
 * @throws Refusal `party_missing`, `parties_equal` and what is wrong with a holder, with a pointer
 */
export function checkedParties({ matter, given }: PartiesGiven): Readonly<Record<string, Holder>> {
  const checked = Object.entries(given).map(([code, unchecked]): readonly [string, Holder] => {
    const party = matter?.parties.find((each) => each.code === code);
    // A name that the matter does not have is the caller's own text and could be a person's: it is not repeated, and those that
    // the matter has are told.
    if (matter !== undefined && party === undefined) {
      const known = matter.parties.map((each) => each.code);
      throw new Refusal('party_missing', { pointer: '/parties/*', rule: 'unknown', parties: known });
    }
    const pointer = `/parties/${party?.code ?? '*'}`;
    const holder = checkedHolder(unchecked, pointer);
    if (party !== undefined && holderKind(holder.type) !== party.kind) {
      throw new Refusal('party_missing', { pointer: `${pointer}/type`, rule: 'holder_kind' });
    }
    return [code, holder];
  });
  const equal = matter && equalParties(matter, new Map(checked));
  if (equal !== undefined) {
    const [one, other] = equal;
    throw new Refusal('parties_equal', { pointer: `/parties/${other.code}`, distinctFrom: one.code });
  }
  return Object.fromEntries(checked);
}

/** The first party that the certificates of a requirement depend on and nobody named; undefined when all are there. */
export function missingParty(
  matter: Matter,
  { alternatives = [] }: MatterRequirement,
  parties: Readonly<Record<string, Holder>>,
): string | undefined {
  const concerned = alternatives
    .flat()
    .flatMap((material) => [partyOf(matter, material)?.code, ...(material.conditions ?? []).map(({ party }) => party)]);
  return concerned.find((code) => code !== undefined && !Object.hasOwn(parties, code));
}
