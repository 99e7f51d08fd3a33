import type { RefusalCode } from '../errors.ts';
import type { Officer, RecordId } from '../ids.ts';

/** Kinds of records and their number in the log entry; numbers are never reused. */
export const recordKinds = {
  access: 1,
  certificate: 2,
  registry: 3,
  audit_read: 4,
  /** A body erased, proposed and approved: the evidence of authorised deletion. */
  erasure: 5,
  /** A month that is over: how many records it has, and which. */
  month_seal: 6,
  /** A key of the hub came into use or was retired. */
  key_event: 7,
  /** The day was changed on which a lookup under secrecy shows in its holder's report. */
  release: 8,
} as const;
export type RecordKind = keyof typeof recordKinds;

const names = new Map<number, RecordKind>(
  Object.entries(recordKinds).map(([name, number]) => [number, name as RecordKind]),
);

/** The name of a kind by its number; undefined for a number that no kind has. */
export const kindName = (number: number): RecordKind | undefined => names.get(number);

/** `done` is for changes; `answered`, `refused` and `failed` for questions. */
export type Outcome = 'answered' | 'refused' | 'failed' | 'done';

export interface RecordedPurpose {
  readonly matterCode: string;
  readonly caseNumber: string;
  readonly legalBasis: string;
  readonly note?: string;
}

/** What is to be recorded. Holders appear as keyed pseudonyms, field values never. */
export interface Entry {
  /** Made beforehand by who has to name the record in the same transaction; otherwise the recorder makes it. */
  readonly recordId?: RecordId;
  readonly kind: RecordKind;
  /** operationId of the contract. */
  readonly action: string;
  readonly outcome: Outcome;
  readonly code?: RefusalCode;
  readonly caller?: { readonly clientId: string; readonly department: string; readonly keyId?: string };
  readonly officer?: Officer;
  readonly purpose?: RecordedPurpose;
  /** holder_key of everyone concerned; the one asked about first. */
  readonly subjects?: readonly Buffer[];
  /** What was asked and what was allowed: level, types, fields, grants. JSON. */
  readonly scope?: unknown;
  /** Identifiers of the certificates that were touched. */
  readonly certificates?: readonly string[];
  /** SHA-256 (base64url) over the canonical evidence that left. */
  readonly answerDigest?: string;
  readonly requestId: string;
  readonly at: Date;
  /** Reasons, decisions and whatever else an auditor needs. JSON. */
  readonly detail?: unknown;
}
