import type { CataloguedType } from '../catalogue/catalogue.ts';
import type { CertificateTypeDefinition } from '../catalogue/certificate-type.ts';
import { Refusal } from '../errors.ts';
import { checkHolder, holderKind, parseCertificateIdentifier } from '../verification/identifiers.ts';
import type { CertificateMetadata, CertificateState, NamedHolder } from './certificate-row.ts';
import { addMonths, isCalendarDay } from './city-day.ts';

/** Metadata as an issuer sends it (GB/T 36903); dates are yyyy-mm-dd days of the city's calendar, the expiring day included. */
export interface PushedCertificate extends CertificateMetadata {
  readonly certificateTypeCode: string;
  readonly certificateIdentifier?: string;
  readonly certificateIssuingAuthorityCode?: string;
}

/**
 * Checks pushed metadata against the type and returns it in normal form.
 * @param today the city's calendar day of the call
 * @throws Refusal with a JSON pointer and never a value: `holder_kind_mismatch`, `holder_count_mismatch`, `holder_duplicate`,
 * `invalid_holder_type`, `invalid_id_number`, `invalid_uscc`, `dates_out_of_order`, `validity_mismatch`, `field_unknown`,
 * `field_missing`, `field_invalid`, `invalid_certificate_identifier`.
 */
export function checkMetadata(pushed: PushedCertificate, entry: CataloguedType, today: string): CertificateMetadata {
  const { type } = entry;
  const holders = checkHolders(pushed.holders, type);
  checkDates(pushed, today);
  checkValidity(pushed, type);
  checkFields(pushed.fields, entry);
  const { relatedCertificateIdentifier: related } = pushed;
  if (related !== undefined && !parseCertificateIdentifier(related).ok) {
    throw new Refusal('invalid_certificate_identifier', { pointer: '/relatedCertificateIdentifier' });
  }
  const { certificateName, certificateExpiringDate, certificateAreaCode, officer } = pushed;
  return {
    certificateNumber: pushed.certificateNumber,
    ...(certificateName === undefined ? {} : { certificateName }),
    certificateIssuedDate: pushed.certificateIssuedDate,
    certificateEffectiveDate: pushed.certificateEffectiveDate,
    ...(certificateExpiringDate === undefined ? {} : { certificateExpiringDate }),
    ...(certificateAreaCode === undefined ? {} : { certificateAreaCode }),
    ...(related === undefined ? {} : { relatedCertificateIdentifier: related }),
    holders,
    fields: pushed.fields,
    ...(officer === undefined ? {} : { officer: { id: officer.id, name: officer.name } }),
  };
}

function checkHolders(holders: readonly NamedHolder[], type: CertificateTypeDefinition): NamedHolder[] {
  const { min, max } = type.holderCount;
  if (holders.length < min || holders.length > max) {
    throw new Refusal('holder_count_mismatch', { pointer: '/holders', min, max });
  }
  const seen = new Set<string>();
  return holders.map((unverified, index) => {
    const checked = checkHolder(unverified);
    if (!checked.ok) {
      const member = checked.code === 'invalid_holder_type' ? 'type' : 'number';
      throw new Refusal(checked.code, { pointer: `/holders/${index}/${member}` });
    }
    const { holder } = checked;
    if (type.holderKind !== 'mixed' && holderKind(holder.type) !== type.holderKind) {
      throw new Refusal('holder_kind_mismatch', { pointer: `/holders/${index}/type`, holderKind: type.holderKind });
    }
    const key = `${holder.type} ${holder.number}`;
    if (seen.has(key)) throw new Refusal('holder_duplicate', { pointer: `/holders/${index}` });
    seen.add(key);
    return { type: holder.type, number: holder.number, name: unverified.name };
  });
}

/**
 * Issue and effect may come in either order (a renewed licence is issued long after it took effect, a permit in advance of it),
 * but nothing is issued tomorrow, and nothing ends before it begins or was issued.
 */
function checkDates(pushed: PushedCertificate, today: string): void {
  const {
    certificateIssuedDate: issued,
    certificateEffectiveDate: effective,
    certificateExpiringDate: expiring,
  } = pushed;
  const outOfOrder = (member: string, rule: string): Refusal =>
    new Refusal('dates_out_of_order', { pointer: `/${member}`, rule });
  const days = {
    certificateIssuedDate: issued,
    certificateEffectiveDate: effective,
    certificateExpiringDate: expiring,
  };
  for (const [member, day] of Object.entries(days)) {
    if (day !== undefined && !isCalendarDay(day)) throw outOfOrder(member, 'no_such_day');
  }
  if (issued > today) throw outOfOrder('certificateIssuedDate', 'issued_in_future');
  if (expiring === undefined) return;
  if (expiring < effective) throw outOfOrder('certificateExpiringDate', 'expires_before_effect');
  if (expiring < issued) throw outOfOrder('certificateExpiringDate', 'expires_before_issue');
}

function checkValidity(pushed: PushedCertificate, { validity: { kind, maxMonths } }: CertificateTypeDefinition): void {
  const { certificateEffectiveDate: effective, certificateExpiringDate: expiring } = pushed;
  const pointer = '/certificateExpiringDate';
  const fits = expiring === undefined ? kind !== 'limited' : kind !== 'permanent';
  if (!fits) throw new Refusal('validity_mismatch', { pointer, rule: kind });
  if (maxMonths !== undefined && expiring !== undefined && expiring > addMonths(effective, maxMonths)) {
    throw new Refusal('validity_mismatch', { pointer, rule: 'too_long', maxMonths });
  }
}

function checkFields(fields: Readonly<Record<string, unknown>>, { type, checks }: CataloguedType): void {
  for (const name of Object.keys(fields)) {
    if (!checks.has(name)) throw new Refusal('field_unknown', { pointer: `/fields${tellableName(name)}` });
  }
  for (const { name, required } of type.fields) {
    const pointer = `/fields/${name}`;
    if (!Object.hasOwn(fields, name)) {
      if (required) throw new Refusal('field_missing', { pointer });
      continue;
    }
    const fault = checks.get(name)?.(fields[name]);
    if (fault !== undefined) {
      throw new Refusal('field_invalid', { pointer: `${pointer}${fault.pointer}`, rule: fault.rule });
    }
  }
}

/**
 * The end of a pointer to a member, or nothing: a name chosen by the caller could itself be somebody's number or name, and only what looks
 * like a field name is repeated.
 */
export const tellableName = (name: string): string => (/^[a-z][A-Za-z]{0,39}[0-9]{0,2}$/.test(name) ? `/${name}` : '');

/** What can be done to a certificate version after it was pushed. */
export type CertificateAction =
  | 'correct'
  | 'approve'
  | 'return'
  | 'seal'
  | 'suspend'
  | 'resume'
  | 'revoke'
  | 'supersede';

type Moves = Partial<Record<CertificateState, CertificateState>>;

const moves: Readonly<Record<CertificateAction, Moves>> = {
  correct: { pending_review: 'pending_review', returned: 'pending_review' },
  approve: { pending_review: 'approved' },
  return: { pending_review: 'returned' },
  seal: { approved: 'valid' },
  suspend: { valid: 'suspended' },
  resume: { suspended: 'valid' },
  revoke: { valid: 'revoked', suspended: 'revoked' },
  supersede: { valid: 'superseded', suspended: 'superseded' },
};

/** The state of a certificate that was just pushed or corrected. */
export const initialState = (type: Pick<CertificateTypeDefinition, 'reviewRequired'>): CertificateState =>
  type.reviewRequired ? 'pending_review' : 'approved';

/**
 * The state after an action. Revoked and superseded are final.
 * @throws Refusal `review_required` for a seal before the review, `wrong_state` otherwise
 */
export function nextState(
  state: CertificateState,
  action: CertificateAction,
  type: Pick<CertificateTypeDefinition, 'reviewRequired'>,
): CertificateState {
  // Without a review there is no state before `approved` to correct it in.
  if (action === 'correct' && state === 'approved' && !type.reviewRequired) return 'approved';
  const next = moves[action][state];
  if (next !== undefined) return action === 'correct' ? initialState(type) : next;
  if (action === 'seal' && (state === 'pending_review' || state === 'returned')) {
    throw new Refusal('review_required', { state });
  }
  throw new Refusal('wrong_state', { state, action });
}

const sealedStates: ReadonlySet<string> = new Set<CertificateState>(['valid', 'suspended', 'revoked', 'superseded']);

/** Whether a certificate in this state bears a seal. */
export const isSealed = (state: string): boolean => sealedStates.has(state);
