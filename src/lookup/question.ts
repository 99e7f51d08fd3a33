import { Refusal } from '../errors.ts';
import { type Level, longestSecrecyDays } from '../grants/grant.ts';
import type { Officer } from '../ids.ts';
import {
  checkHolder,
  type Holder,
  isCertificateTypeCode,
  type ParsedCertificateIdentifier,
  parseCertificateIdentifier,
} from '../verification/identifiers.ts';

export interface Purpose {
  readonly matterCode: string;
  readonly caseNumber: string;
  readonly officer: Officer;
  readonly legalBasis: string;
  readonly note?: string;
  /** Keeps the lookup out of its holder's own report until then; only where every grant used allows it. */
  readonly secrecy?: Secrecy;
}

export interface Secrecy {
  /** RFC 3339, UTC. */
  readonly releaseAt: string;
  /** The law that demands it. */
  readonly legalGround: string;
}

/** What the caller wants of one certificate type. */
export interface TypeQuery {
  readonly certificateTypeCode: string;
  readonly fields?: readonly string[];
  /** Expected values by field name. */
  readonly compare?: Readonly<Record<string, unknown>>;
}

/** A value as it is compared. */
export const normalForm = (value: unknown): unknown =>
  typeof value === 'string' ? value.normalize('NFC').trim() : value;

/** A question as it arrived: shape checked by the contract, nothing else. */
export interface UncheckedQuestion {
  readonly purpose: Purpose;
  readonly level: Level;
  readonly holder?: { readonly type: string; readonly number: string };
  readonly certificateIdentifier?: string;
  /** A secret: it is resolved, and never recorded or repeated. */
  readonly ticket?: string;
  readonly types?: readonly TypeQuery[];
}

/** A question whose identifiers are right and whose parts fit together. */
export interface Question {
  readonly purpose: Purpose;
  readonly level: Level;
  readonly about:
    | { readonly by: 'holder'; readonly holder: Holder }
    | { readonly by: 'identifier'; readonly certificate: ParsedCertificateIdentifier };
  /** Undefined: every type granted for this matter and legal basis, or with a ticket, every type of the ticket. */
  readonly types?: readonly TypeQuery[];
  /** The question stands under a ticket of its case. */
  readonly hasTicket?: boolean;
}

/**
 * Checks a question before anything is read: check digits of holder number, identifier and type codes, exactly one of holder and
 * identifier, no type twice, `fields` only at level fields, `compare` only at level compare.
 */
export function checkQuestion(unchecked: UncheckedQuestion): Question {
  const { purpose, level, types } = unchecked;
  const about = subjectOf(unchecked);
  checkTypes(level, types);
  if (about.by === 'holder') return { purpose, level, about, ...(types !== undefined && { types }) };
  const { typeCode } = about.certificate;
  if (types !== undefined && (types.length !== 1 || types[0]?.certificateTypeCode !== typeCode)) {
    throw new Refusal('identifier_mismatch', { pointer: '/types', certificateTypeCode: typeCode });
  }
  return { purpose, level, about, types: types ?? [{ certificateTypeCode: typeCode }] };
}

/**
 * Refuses `release_invalid` for a lookup that is to be secret until a time at which no grant can keep it so. Whoever is asked about is
 * on record by then: that somebody tried is not secret.
 */
export function checkRelease({ secrecy }: Purpose, at: Date): void {
  if (secrecy === undefined) return;
  const ahead = Date.parse(secrecy.releaseAt) - at.getTime();
  const pointer = '/purpose/secrecy/releaseAt';
  if (ahead <= 0) throw new Refusal('release_invalid', { pointer, rule: 'not_in_future' });
  if (ahead > longestSecrecyDays * 86_400_000) {
    throw new Refusal('release_invalid', { pointer, rule: 'too_late', maxDays: longestSecrecyDays });
  }
}

function subjectOf({ holder, certificateIdentifier }: UncheckedQuestion): Question['about'] {
  if ((holder === undefined) === (certificateIdentifier === undefined)) {
    throw new Refusal('holder_or_identifier_required');
  }
  if (holder !== undefined) {
    const checked = checkHolder(holder);
    if (!checked.ok) {
      throw new Refusal(checked.code, {
        pointer: checked.code === 'invalid_holder_type' ? '/holder/type' : '/holder/number',
      });
    }
    return { by: 'holder', holder: checked.holder };
  }
  const parsed = parseCertificateIdentifier(certificateIdentifier ?? '');
  if (!parsed.ok) {
    throw new Refusal('invalid_certificate_identifier', { pointer: '/certificateIdentifier', rule: parsed.reason });
  }
  return { by: 'identifier', certificate: parsed.value };
}

function checkTypes(level: Level, types: readonly TypeQuery[] | undefined): void {
  const seen = new Set<string>();
  for (const [i, type] of (types ?? []).entries()) {
    const pointer = `/types/${i}`;
    if (seen.has(type.certificateTypeCode)) throw new Refusal('contract_violation', { pointer, rule: 'type_twice' });
    seen.add(type.certificateTypeCode);
    if (!isCertificateTypeCode(type.certificateTypeCode)) {
      throw new Refusal('invalid_certificate_type_code', { pointer: `${pointer}/certificateTypeCode` });
    }
    if (level === 'compare' && type.fields !== undefined) {
      throw new Refusal('contract_violation', { pointer: `${pointer}/fields`, rule: 'level_is_compare' });
    }
    if (level === 'fields' && type.compare !== undefined) {
      throw new Refusal('contract_violation', { pointer: `${pointer}/compare`, rule: 'level_is_fields' });
    }
  }
}
