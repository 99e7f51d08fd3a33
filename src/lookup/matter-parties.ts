import { equalParties, type Matter } from '../catalogue/matter.ts';
import { Refusal } from '../errors.ts';
import { checkHolder, type Holder, holderKind } from '../verification/identifiers.ts';

/** The holder behind each party, by its code, in the order of the matter; the number in normal form. */
export type Parties = ReadonlyMap<string, Holder>;

/**
 * Checks that every party of the matter has a holder of its kind, with right check digits, that there is nobody else, and
 * that those are distinct who have to be.
 * @throws Refusal `party_missing`, `parties_equal`, `invalid_holder_type`, `invalid_id_number`, `invalid_uscc` with a pointer
 */
export function checkParties(
  matter: Pick<Matter, 'parties'>,
  given: Readonly<Record<string, { readonly type: string; readonly number: string }>>,
): Parties {
  const known = matter.parties.map(({ code }) => code);
  const unchecked = new Map(Object.entries(given));
  const parties = new Map<string, Holder>();
  for (const { code, kind } of matter.parties) {
    const pointer = `/parties/${code}`;
    const holder = unchecked.get(code);
    if (holder === undefined) throw new Refusal('party_missing', { pointer, rule: 'missing', parties: known });
    const checked = checkHolder(holder);
    if (!checked.ok) {
      throw new Refusal(checked.code, {
        pointer: `${pointer}/${checked.code === 'invalid_holder_type' ? 'type' : 'number'}`,
      });
    }
    if (holderKind(checked.holder.type) !== kind) {
      throw new Refusal('party_missing', { pointer: `${pointer}/type`, rule: 'holder_kind' });
    }
    parties.set(code, checked.holder);
  }
  // The name is the caller's own text and could be a person's, so it is not repeated: the codes that the matter knows are told.
  if (unchecked.size > parties.size) {
    throw new Refusal('party_missing', { pointer: '/parties/*', rule: 'unknown', parties: known });
  }
  const equal = equalParties(matter, parties);
  if (equal !== undefined) {
    const [one, other] = equal;
    throw new Refusal('parties_equal', { pointer: `/parties/${other.code}`, distinctFrom: one.code });
  }
  return parties;
}
