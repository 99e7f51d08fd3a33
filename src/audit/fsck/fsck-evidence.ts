import type { Database } from '../../db/database.ts';
import type { RecordBody } from '../record-body.ts';
import type { Found } from './fsck-findings.ts';

/** Records whose effect stands in a small table of its own: the row must be there as long as the record is. */
export interface EvidenceCheck {
  /** Notes a record of such a kind. */
  readonly note: (recordId: string, body: RecordBody) => void;
  /** Looks for the rows of what was noted since the last call. */
  readonly flush: () => Promise<Found[]>;
}

interface Claim {
  readonly table: string;
  readonly record: string;
  /** Two texts that find the row. */
  readonly key: readonly [string, string];
}

type Detail = Readonly<Record<string, unknown>>;

/** Which row a record promises, by kind. */
const claims: Readonly<Record<string, (record: string, detail: Detail, body: RecordBody) => Claim | undefined>> = {
  release: (record, { record: about, changedAt }) => ({
    table: 'record_releases',
    record,
    key: [String(about), String(changedAt)],
  }),
  key_event: (record, { kid }, body) => {
    const state = { keyIntroduced: 'active', keyRetired: 'retired', keyDestroyed: 'destroyed' }[String(body['action'])];
    return state === undefined ? undefined : { table: 'key_events', record, key: [String(kid), state] };
  },
  erasure: (record, { erasureId, step }) => {
    const table = {
      proposed: 'erasures',
      approved: 'erasure_approvals',
      rejected: 'erasure_approvals',
      executed: 'erasure_executions',
    }[String(step)];
    return table === undefined ? undefined : { table, record, key: [String(erasureId), record] };
  },
};

const codes = { record_releases: 'release_wrong', key_events: 'key_event_missing' } as const;

const statement = {
  name: 'fsck_evidence',
  text: `select w.tab as table, w.record_id as record, w.a as row from unnest($1::text[], $2::text[], $3::text[], $4::text[]) as w(tab, record_id, a, b)
    where not case w.tab
      when 'record_releases' then exists (select from record_releases x where x.record_id = w.a::uuid and x.changed_at = w.b::timestamptz)
      when 'key_events' then exists (select from key_events x where x.kid = w.a and x.state = w.b)
      when 'erasures' then exists (select from erasures x where x.erasure_id = w.a::uuid)
      when 'erasure_approvals' then exists (select from erasure_approvals x where x.erasure_id = w.a::uuid and x.record_id = w.b::uuid)
      when 'erasure_executions' then exists (select from erasure_executions x where x.erasure_id = w.a::uuid and x.record_id = w.b::uuid)
      else true end`,
};

/** A fresh check; holds what was noted until `flush`. */
export function evidenceCheck(db: Database): EvidenceCheck {
  let noted: Claim[] = [];
  return {
    note: (recordId, body) => {
      const claim = claims[String(body['kind'])]?.(recordId, (body['detail'] ?? {}) as Detail, body);
      if (claim !== undefined) noted.push(claim);
    },
    flush: async () => {
      if (noted.length === 0) return [];
      const asked = noted;
      noted = [];
      const missing = await db.query<{ table: string; record: string; row: string }>(statement, [
        asked.map(({ table }) => table),
        asked.map(({ record }) => record),
        asked.map(({ key }) => key[0]),
        asked.map(({ key }) => key[1]),
      ]);
      return missing.map(
        (place): Found => ({ code: codes[place.table as keyof typeof codes] ?? 'erasure_wrong', place }),
      );
    },
  };
}
