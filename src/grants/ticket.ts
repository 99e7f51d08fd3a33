import type { Officer } from '../ids.ts';
import type { Holder } from '../verification/identifiers.ts';
import type { Level } from './grant.ts';

/** A type of a ticket and the fields of it that may be seen, or at level compare, be compared. */
export interface TicketType {
  readonly certificateTypeCode: string;
  readonly fields: readonly string[];
}

/** Why a ticket was issued: what every question under it has to repeat. */
export interface TicketPurpose {
  readonly matterCode: string;
  readonly caseNumber: string;
  readonly officer: Officer;
  readonly legalBasis: string;
}

/** What a ticket is for. It permits nothing: every question under it still takes a grant. */
export interface TicketScope {
  readonly purpose: TicketPurpose;
  readonly level: Level;
  readonly holder: Holder;
  readonly types: readonly [TicketType, ...TicketType[]];
}

export interface Ticket extends TicketScope {
  readonly ticketId: string;
  readonly clientId: string;
  /** How many questions it is good for. */
  readonly uses: number;
  readonly expiresAt: Date;
}

/** One type of a question, as far as a ticket limits it. */
export interface TypeUnderTicket {
  readonly certificateTypeCode: string;
  readonly fields?: readonly string[];
  readonly compare?: Readonly<Record<string, unknown>>;
}

/** A question, as far as a ticket limits it. `holder` is checked; it is absent where the question names a certificate instead. */
export interface QuestionUnderTicket {
  readonly purpose: TicketPurpose;
  readonly level: Level;
  readonly holder?: Holder;
  /** Undefined: everything the ticket is for. */
  readonly types?: readonly TypeUnderTicket[];
}

/**
 * JSON pointer to the first part of a question that its ticket is not for; undefined when all of it fits. Pure. A note and secrecy
 * concern the question alone and are not compared: they widen nothing.
 */
export function misfitOf(ticket: TicketScope, question: QuestionUnderTicket): string | undefined {
  const { purpose, level, holder, types = [] } = question;
  const otherPurpose = misfitOfPurpose(ticket.purpose, purpose);
  if (otherPurpose !== undefined) return otherPurpose;
  if (level === 'fields' && ticket.level === 'compare') return '/level';
  // A certificate may have more holders than the one whom the case is about, so it cannot stand for the holder.
  if (holder === undefined) return '/certificateIdentifier';
  if (holder.type !== ticket.holder.type) return '/holder/type';
  if (holder.number !== ticket.holder.number) return '/holder/number';
  for (const [i, type] of types.entries()) {
    const pointer = misfitOfType(ticket, type);
    if (pointer !== undefined) return `/types/${i}${pointer}`;
  }
  return undefined;
}

function misfitOfPurpose(issuedFor: TicketPurpose, { matterCode, caseNumber, officer, legalBasis }: TicketPurpose) {
  if (matterCode !== issuedFor.matterCode) return '/purpose/matterCode';
  if (caseNumber !== issuedFor.caseNumber) return '/purpose/caseNumber';
  if (officer.id !== issuedFor.officer.id) return '/purpose/officer/id';
  if (officer.name !== issuedFor.officer.name) return '/purpose/officer/name';
  return legalBasis === issuedFor.legalBasis ? undefined : '/purpose/legalBasis';
}

function misfitOfType(ticket: TicketScope, { certificateTypeCode, fields, compare }: TypeUnderTicket) {
  const allowed = fieldsOf(ticket, certificateTypeCode);
  if (allowed === undefined) return '/certificateTypeCode';
  const wider = fields?.findIndex((field) => !allowed.includes(field)) ?? -1;
  if (wider >= 0) return `/fields/${wider}`;
  // No pointer to the member: its name may be anything that the caller thought of.
  return Object.keys(compare ?? {}).every((field) => allowed.includes(field)) ? undefined : '/compare';
}

const fieldsOf = ({ types }: TicketScope, certificateTypeCode: string): readonly string[] | undefined =>
  types.find((type) => type.certificateTypeCode === certificateTypeCode)?.fields;

/**
 * The types of a fitting question with nothing left open: where it names no types or no fields, those of the ticket are meant, never
 * everything that a grant would allow.
 */
export function typesUnder(ticket: TicketScope, { level, types }: QuestionUnderTicket): TypeUnderTicket[] {
  const named: readonly TypeUnderTicket[] =
    types ?? ticket.types.map(({ certificateTypeCode }) => ({ certificateTypeCode }));
  return named.map((type) => {
    const fields = level === 'fields' ? (type.fields ?? fieldsOf(ticket, type.certificateTypeCode)) : undefined;
    return { ...type, ...(fields !== undefined && { fields }) };
  });
}
