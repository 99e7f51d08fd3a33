import { v7 } from 'uuid';

declare const brand: unique symbol;
type Branded<T, B extends string> = T & { readonly [brand]: B };

/** UUIDv7 of an audit record: orders by time, never works as a secret. */
export type RecordId = Branded<string, 'RecordId'>;
/** Registered name of a calling system, e.g. `school-enrolment`. */
export type ClientId = Branded<string, 'ClientId'>;
/** USCC of an authority, check digit verified. */
export type DepartmentCode = Branded<string, 'DepartmentCode'>;
/** 21 characters: USCC of the defining authority + 3 digits (GB/T 36902). */
export type CertificateTypeCode = Branded<string, 'CertificateTypeCode'>;
/** GB/T 36904 identifier with version and check character. */
export type CertificateIdentifier = Branded<string, 'CertificateIdentifier'>;
export type GrantId = Branded<string, 'GrantId'>;

/** A time-ordered UUID (RFC 9562, version 7) for rows and records. */
export const newId = <T extends string = string>(): T => v7() as T;

/**
 * The 16 bytes of a UUID as PostgreSQL writes it, for commitments. Of any version: what somebody changed in the database is to be found
 * and named, not to stop who reads it. Throws RangeError for anything else.
 */
export function idBytes(id: string): Uint8Array {
  const bytes = Buffer.from(id.replaceAll('-', ''), 'hex');
  if (id.length !== 36 || bytes.length !== 16) throw new RangeError('no UUID');
  return bytes;
}

export type Role = 'issuer' | 'consumer' | 'auditor' | 'admin' | 'portal' | 'grantor';

/** Who calls, as proved by an access token whose client and key were in force a moment ago. */
export interface Caller {
  readonly clientId: ClientId;
  readonly department: DepartmentCode;
  readonly roles: readonly Role[];
  /** Key with which the client proved itself; a token dies with it. */
  readonly keyId: string;
}

/** The official on whose behalf a client calls. */
export interface Officer {
  readonly id: string;
  readonly name: string;
}

/**
 * An officer's id as people read it: without what they do not see, full-width letters as the others. Case stays: where officers are
 * counted, accounts may differ in it alone.
 */
export const readOfficerId = (id: string): string =>
  id
    .normalize('NFKC')
    .replaceAll(/\p{Default_Ignorable_Code_Point}/gu, '')
    .trim();

/** An officer where a rule wants another person: spellings of one account, in case too, are the same officer. */
export const officerKey = ({ id }: Officer): string => readOfficerId(id).toLowerCase();

/** What every use case is told about the call itself. */
export interface Call {
  readonly caller: Caller;
  readonly requestId: string;
  readonly at: Date;
}
