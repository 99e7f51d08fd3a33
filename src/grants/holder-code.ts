import { randomBytes } from 'node:crypto';
import type { Holder } from '../verification/identifiers.ts';
import type { TicketScope } from './ticket.ts';

/** Digits and letters that nobody mistakes for another (Crockford's base 32): without I, L, O and U. */
const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const secretBytes = 16;
/** 128 bits, five a character. */
const shape = new RegExp(`^[${alphabet}]{26}$`);

/** A new code in its plain form: 128 random bits as 26 characters. It is told to the portal that asked for it, and kept nowhere. */
export const newHolderCode = (): string =>
  Array.from(BigInt(`0x${randomBytes(secretBytes).toString('hex')}`).toString(32), (digit) =>
    alphabet.charAt(Number.parseInt(digit, 32)),
  )
    .join('')
    .padStart(26, '0');

/** A code as it is shown and read out: 5-5-5-5-6 characters. */
export const groupedCode = (code: string): string => code.replace(/^(.{5})(.{5})(.{5})(.{5})/, '$1-$2-$3-$4-');

/** The plain form of a code as a person typed it: small letters, blanks, hyphens, and O for 0, I and L for 1; undefined for what is none. */
export function plainCode(typed: string): string | undefined {
  const plain = typed.replace(/[\s-]/g, '').toUpperCase().replaceAll('O', '0').replace(/[IL]/g, '1');
  return shape.test(plain) ? plain : undefined;
}

/** What a holder consented to at the portal. */
export interface HolderCodeScope {
  readonly holder: Holder;
  readonly matterCode: string;
  /** The one department that may use it. */
  readonly departmentCode: string;
  /** Undefined: any type. */
  readonly certificateTypeCodes?: readonly string[];
  /** Undefined: any field. */
  readonly fields?: readonly string[];
}

/** Whether a client of a department may have a ticket of this scope on the word of the code. Pure. */
export function allowsTicket(
  { holder, matterCode, departmentCode, certificateTypeCodes, fields: allowed }: HolderCodeScope,
  { purpose, holder: about, types }: Pick<TicketScope, 'purpose' | 'holder' | 'types'>,
  department: string,
): boolean {
  return (
    departmentCode === department &&
    matterCode === purpose.matterCode &&
    holder.type === about.type &&
    holder.number === about.number &&
    types.every(
      ({ certificateTypeCode, fields }) =>
        (certificateTypeCodes?.includes(certificateTypeCode) ?? true) &&
        fields.every((field) => allowed?.includes(field) ?? true),
    )
  );
}
