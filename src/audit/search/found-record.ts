import type { Database } from '../../db/database.ts';
import type { Officer } from '../../ids.ts';
import { kindName, type Outcome, type RecordedPurpose, type RecordKind } from '../entry.ts';
import { type ErasedBodies, type ErasedBy, readErasedBodies } from '../erasure/erased-by.ts';
import { type OpenedRecord, openRecord, type RecordFault, type RecordKeys } from '../open-record.ts';
import type { RecordBody } from '../record-body.ts';
import type { RecordRow } from '../store.ts';
import { shownKey } from './record-filter.ts';

/**
 * A record as an auditor reads it. What stands beside `body` comes from the columns, also where the body is gone or does not agree
 * with them: `state` says how far it can be believed.
 */
export interface FoundRecord {
  readonly recordId: string;
  readonly recordedAt: Date;
  readonly kind: RecordKind | 'unknown';
  readonly action: string;
  readonly outcome: Outcome | 'unknown';
  readonly code?: string;
  readonly clientId?: string;
  readonly departmentCode?: string;
  readonly matterCode?: string;
  readonly level?: string;
  readonly certificates?: readonly string[];
  readonly certificateTypes?: readonly string[];
  /** A lookup under secrecy: from when on its holder may see it, as set when it happened. */
  readonly releaseAt?: Date;
  /** Pseudonyms that a search takes. */
  readonly holderKeys?: readonly string[];
  readonly officerKey?: string;
  readonly caseKey?: string;
  /** 32 bytes. */
  readonly commitment: Buffer;
  readonly state: 'whole' | 'erased' | 'tampered';
  readonly fault?: RecordFault;
  /** Of an erased record: by what right. Absent when by none. */
  readonly erasedBy?: Pick<ErasedBy, 'erasureId' | 'recordId'>;
  /** From the body: on whose behalf, why, and which fields of which type. */
  readonly officer?: Officer;
  readonly purpose?: RecordedPurpose;
  readonly reason?: string;
  readonly fields?: readonly FieldsOfType[];
  readonly body?: RecordBody;
}

export interface FieldsOfType {
  readonly certificateTypeCode: string;
  readonly fields: readonly string[];
}

/** A row as it was opened, whatever it holds: a tampered one is told as such and never an error. */
export function foundFrom(row: RecordRow, opened: OpenedRecord): FoundRecord {
  const body = opened.state === 'erased' ? undefined : opened.opened?.body;
  return {
    ...fromColumns(row),
    commitment: row.commitment,
    state: opened.state,
    ...(opened.state === 'tampered' && { fault: opened.fault }),
    ...(body !== undefined && { ...fromBody(body), body }),
  };
}

export interface FoundDeps {
  readonly db: Database;
  readonly keys: RecordKeys;
  /** Told of every record that is not what was recorded. */
  readonly tampered: (table: string, id: string) => void;
}

/** The same for a page, erased records with the erasure that covers them. What was tampered with, or is gone by no right, is reported. */
export async function foundRecords(
  { db, keys, tampered }: FoundDeps,
  rows: readonly RecordRow[],
): Promise<readonly FoundRecord[]> {
  const found = rows.map((row) => foundFrom(row, openRecord(keys, row)));
  const erased: ErasedBodies | undefined = found.some(({ state }) => state === 'erased')
    ? await readErasedBodies(db, keys)
    : undefined;
  return found.map((each, at) => {
    const row = rows[at];
    const erasedBy = each.state === 'erased' && row !== undefined ? erased?.coverOf(row) : undefined;
    if (each.state === 'tampered' || (each.state === 'erased' && erasedBy === undefined)) {
      tampered('records', each.recordId);
    }
    if (erasedBy === undefined) return each;
    const { erasureId, recordId } = erasedBy;
    return { ...each, erasedBy: { erasureId, recordId } };
  });
}

const outcomes: readonly string[] = ['answered', 'refused', 'failed', 'done'] satisfies Outcome[];

function fromColumns(row: RecordRow) {
  const holders = [row.holder_key, ...(row.other_holder_keys ?? [])].filter((key) => Buffer.isBuffer(key));
  return {
    recordId: row.record_id,
    recordedAt: row.recorded_at,
    kind: kindName(row.kind) ?? ('unknown' as const),
    action: row.action,
    outcome: outcomes.includes(row.outcome) ? (row.outcome as Outcome) : ('unknown' as const),
    ...present({ code: row.code, clientId: row.client_id, departmentCode: row.department_code }),
    ...present({ matterCode: row.matter_code, level: row.level }),
    ...present({ certificates: identifiersOf(row), certificateTypes: textsOf(row.certificate_types) }),
    ...present({ releaseAt: isTime(row.release_at) ? row.release_at : null }),
    ...present({ holderKeys: holders.length === 0 ? null : holders.map(shownKey) }),
    ...present({ officerKey: row.officer_key && shownKey(row.officer_key) }),
    ...present({ caseKey: row.case_key && shownKey(row.case_key) }),
  };
}

function fromBody(body: RecordBody) {
  const detail = body['detail'] as { reason?: unknown } | null;
  const reason = detail?.reason;
  const fields = fieldsOf(body['scope']);
  return {
    ...present({ officer: body['officer'] as Officer | null, purpose: body['purpose'] as RecordedPurpose | null }),
    ...(typeof reason === 'string' && { reason }),
    ...(fields.length > 0 && { fields }),
  };
}

function fieldsOf(scope: unknown): FieldsOfType[] {
  const types = (scope as { types?: unknown } | null)?.types;
  return (Array.isArray(types) ? types : []).flatMap((each: unknown) => {
    const { certificateTypeCode, fields } = (each ?? {}) as { certificateTypeCode?: unknown; fields?: unknown };
    return typeof certificateTypeCode === 'string' && Array.isArray(fields)
      ? [{ certificateTypeCode, fields: textsOf(fields) ?? [] }]
      : [];
  });
}

/** The column holds the series of each beside it. */
const identifiersOf = ({ certificates }: RecordRow): readonly string[] | null =>
  textsOf(certificates)?.filter((each) => each.startsWith('1.2.156.3005.2.')) ?? null;

/** PostgreSQL's infinity, which a tampered row may hold, is no Date. */
const isTime = (value: unknown): value is Date => value instanceof Date && !Number.isNaN(value.getTime());

const textsOf = (values: readonly unknown[] | null): readonly string[] | null =>
  values?.filter((each): each is string => typeof each === 'string') ?? null;

function present<T extends object>(members: T): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== null)) as {
    [K in keyof T]?: NonNullable<T[K]>;
  };
}
