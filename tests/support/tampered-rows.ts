import type { FindingCode } from '../../src/audit/fsck/fsck-findings.ts';
import type { Evidence } from './evidence.ts';

/** What a superuser does to whole rows, and by which findings it must be told. */
export interface RowTampering {
  readonly sql: string | readonly string[];
  readonly codes: readonly FindingCode[];
}

/** Rows deleted, added, exchanged, put back. `before_erasure` holds the row that was erased; `kept_records` and `kept_log_leaf` what is there. */
export function wholeRows({ certificates }: Pick<Evidence, 'certificates'>): Readonly<Record<string, RowTampering>> {
  const leafOf = (where: string) => `(select record_id from log_leaf where ${where})`;
  return {
    'a record deleted': {
      sql: `delete from records where record_id = ${leafOf('leaf_index = 50')}`,
      codes: ['record_missing'],
    },
    'the last sequenced record deleted': {
      sql: `delete from records where record_id = ${leafOf('leaf_index = (select size - 1 from log_state)')}`,
      codes: ['record_missing'],
    },
    'a record that waits deleted': {
      sql: `delete from records where record_id = (select record_id from log_queue order by record_id limit 1)`,
      codes: ['queue_stray'],
    },
    'a record and its queue row deleted, as far as anybody can tell': {
      sql: [
        `delete from records where record_id = (select min(record_id::text)::uuid from log_queue)`,
        `delete from log_queue where record_id = (select min(record_id::text)::uuid from log_queue)`,
      ],
      // Only who holds the receipt can know: `certhub audit reconcile`.
      codes: [],
    },
    'a queue row deleted': {
      sql: `delete from log_queue where record_id = (select min(record_id::text)::uuid from log_queue)`,
      codes: ['record_unlogged'],
    },
    'a record queued again': {
      sql: `insert into log_queue select record_id, lane, recorded_at, kind, commitment, '' from records where record_id = ${leafOf('leaf_index = 9')}`,
      codes: ['queue_again'],
    },
    'a queue row of no record': {
      sql: `insert into log_queue select gen_random_uuid(), lane, recorded_at, kind, commitment, mac from log_queue limit 1`,
      codes: ['queue_row_forged'],
    },
    'a queue row with an id of a version that nobody has defined': {
      sql: `insert into log_queue select '00000000-0000-f000-0000-000000000001', lane, recorded_at, kind, commitment, mac from log_queue limit 1`,
      codes: ['queue_row_forged'],
    },
    'a record deleted whose leaf is put out of every calendar': {
      sql: [
        'alter table log_leaf drop constraint if exists log_leaf_recorded_at_check',
        `delete from records where record_id = ${leafOf('leaf_index = 50')}`,
        `update log_leaf set recorded_at = 'infinity' where leaf_index = 50`,
      ],
      codes: ['record_missing', 'time_wrong'],
    },
    'a record deleted whose leaf is put before every calendar': {
      sql: [
        `delete from records where record_id = ${leafOf('leaf_index = 51')}`,
        `update log_leaf set recorded_at = '-infinity' where leaf_index = 51`,
      ],
      codes: ['record_missing', 'time_wrong'],
    },
    'a record deleted whose queue row is put out of every calendar': {
      sql: [
        'alter table log_queue drop constraint if exists log_queue_recorded_at_check',
        `delete from records where record_id = (select min(record_id::text)::uuid from log_queue)`,
        `update log_queue set recorded_at = 'infinity' where record_id = (select min(record_id::text)::uuid from log_queue)`,
      ],
      codes: ['queue_row_forged', 'time_wrong'],
    },
    'a leaf deleted': {
      sql: 'delete from log_leaf where leaf_index = 100',
      codes: ['leaf_missing', 'record_unlogged'],
    },
    'leaf and record deleted': {
      sql: [
        `delete from records where record_id = ${leafOf('leaf_index = 100')}`,
        'delete from log_leaf where leaf_index = 100',
      ],
      codes: ['leaf_missing'],
    },
    'a tile deleted': { sql: 'delete from log_tile where level = 0 and tile_index = 0', codes: ['tile_missing'] },
    'an upper tile deleted': { sql: 'delete from log_tile where level = 1', codes: ['tile_missing'] },
    'a tile added': {
      sql: `insert into log_tile select 0, 77, 1, substring(hashes for 32) from log_tile limit 1`,
      codes: ['tile_beyond'],
    },
    'the state deleted': { sql: 'delete from log_state', codes: ['state_missing'] },
    'the published checkpoint deleted': {
      sql: 'delete from log_checkpoint where size = (select published_size from log_state)',
      codes: ['published_unknown', 'cosignature_stray'],
    },
    'a checkpoint of another size copied': {
      sql: `insert into log_checkpoint select free, root, note, signed_at from log_checkpoint, generate_series(2, 90) as free
        where not exists (select from log_checkpoint where size = free) order by size desc, free limit 1`,
      codes: ['checkpoint_malformed'],
    },
    'leaves, tiles and state put back behind a signed checkpoint': {
      sql: [
        'delete from log_leaf where leaf_index >= 200',
        'delete from log_tile where level = 1',
        'delete from log_tile where level = 0 and tile_index > 0',
        'update log_tile set width = 200, hashes = substring(hashes for 6400)',
        'update log_state set size = 200, published_size = 0',
      ],
      codes: ['checkpoint_beyond', 'record_unlogged', 'root_wrong'],
    },
    'a row copied under another lane': {
      sql: `insert into records select (r.lane # 1), ${'record_id recorded_at kind action outcome code client_id department_code matter_code case_key officer_key holder_key other_holder_keys commitment body level certificates certificate_types release_at'.split(' ').join(', ')} from records r where record_id = ${leafOf('leaf_index = 60')}`,
      codes: ['record_twice'],
    },
    'two bodies exchanged': {
      sql: `update records r set body = o.body from kept_records o where
        (r.record_id = ${leafOf('leaf_index = 60')} and o.record_id = ${leafOf('leaf_index = 61')}) or
        (r.record_id = ${leafOf('leaf_index = 61')} and o.record_id = ${leafOf('leaf_index = 60')})`,
      codes: ['body_unreadable'],
    },
    'bodies and commitments exchanged': {
      sql: `update records r set body = o.body, commitment = o.commitment from kept_records o where
        (r.record_id = ${leafOf('leaf_index = 60')} and o.record_id = ${leafOf('leaf_index = 61')}) or
        (r.record_id = ${leafOf('leaf_index = 61')} and o.record_id = ${leafOf('leaf_index = 60')})`,
      codes: ['leaf_differs', 'commitment_wrong'],
    },
    'two record ids exchanged, everywhere they stand': {
      sql: [
        'create temporary table ids as select leaf_index, record_id from log_leaf where leaf_index in (60, 61)',
        `update records r set record_id = (select o.record_id from ids o where o.record_id <> r.record_id)
          where record_id in (select record_id from ids)`,
        'delete from log_leaf where leaf_index in (60, 61)',
        `insert into log_leaf select l.leaf_index, o.record_id, l.lane, l.recorded_at, l.entry from kept_log_leaf l
          join ids o on o.leaf_index = 121 - l.leaf_index`,
        'drop table ids',
      ],
      codes: ['commitment_wrong'],
    },
    'a character of a cosignature': {
      sql: `update log_cosignature set line = overlay(line placing case substring(line from length(line) - 20 for 1)
        when 'A' then 'B' else 'A' end from length(line) - 20 for 1)`,
      codes: ['cosignature_wrong'],
    },
    'two entries exchanged': {
      sql: `update log_leaf l set entry = o.entry from kept_log_leaf o where (l.leaf_index, o.leaf_index) in ((60, 61), (61, 60))`,
      codes: ['leaf_differs'],
    },
    'two leaves exchanged': {
      sql: [
        'update log_leaf set leaf_index = -1 where leaf_index = 60',
        'update log_leaf set leaf_index = 60 where leaf_index = 61',
        'update log_leaf set leaf_index = 61 where leaf_index = -1',
      ],
      codes: ['tile_wrong'],
    },
    'two leaves exchanged, their tile too': {
      sql: [
        'update log_leaf set leaf_index = -1 where leaf_index = 60',
        'update log_leaf set leaf_index = 60 where leaf_index = 61',
        'update log_leaf set leaf_index = 61 where leaf_index = -1',
        `update log_tile set hashes = overlay(overlay(hashes placing substring(hashes from 1 + 61 * 32 for 32) from 1 + 60 * 32)
          placing substring(hashes from 1 + 60 * 32 for 32) from 1 + 61 * 32) where level = 0 and tile_index = 0`,
      ],
      codes: ['tile_wrong', 'root_wrong', 'checkpoint_root'],
    },
    'a body removed': {
      sql: `update records set body = null where record_id = ${leafOf('leaf_index = 70')}`,
      codes: ['body_missing'],
    },
    'a month seal deleted': { sql: 'delete from record_months', codes: ['month_copy_wrong'] },
    'the erasure that covers a body deleted': {
      sql: `delete from erasure_executions`,
      codes: ['erasure_wrong'],
    },
    'the body alone put back': {
      sql: `update records r set body = b.body from before_erasure b where b.record_id = r.record_id`,
      codes: ['body_not_erased', 'column_wrong'],
    },
    'a release of secrecy deleted': { sql: 'delete from record_releases', codes: ['release_wrong'] },
    'a key event deleted': { sql: 'delete from key_events', codes: ['key_event_missing'] },
    'an erased body put back': {
      sql: [
        'delete from records where record_id in (select record_id from before_erasure)',
        'insert into records select * from before_erasure',
      ],
      codes: ['body_not_erased'],
    },
    'a cosignature deleted that the quorum needs': { sql: 'delete from log_cosignature', codes: ['witness_behind'] },
    'a checkpoint signed an hour from now': {
      sql: `update log_checkpoint set signed_at = now() + interval '1 hour' where size = (select max(size) from log_checkpoint)`,
      codes: ['checkpoint_order'],
    },
    'an older checkpoint signed an hour after the next': {
      sql: `update log_checkpoint set signed_at = signed_at - interval '1 hour' where size = (select max(size) from log_checkpoint)`,
      codes: ['checkpoint_order'],
    },
    'a lease for a year': {
      sql: `update log_state set lease_until = now() + interval '1 year'`,
      codes: ['state_wrong'],
    },
    'status of a revoked certificate reset': {
      sql: `update status_entries e set value = 0 from certificates c where c.identifier = '${certificates.revoked}'
        and e.list_id = c.status_list and e.idx = c.status_index`,
      codes: ['status_wrong'],
    },
    'a status entry deleted': {
      sql: `delete from status_entries e using certificates c where c.identifier = '${certificates.suspended}'
        and e.list_id = c.status_list and e.idx = c.status_index`,
      codes: ['status_missing'],
    },
    'a status entry added': {
      sql: `insert into status_entries select list_id, (idx + 1) % 131072, 1, now() from status_entries limit 1`,
      codes: ['status_stray'],
    },
    'events of a revocation deleted': {
      sql: `delete from certificate_events where action = 'revoked'`,
      codes: ['events_missing'],
    },
    'a certificate deleted': {
      sql: `delete from certificates where identifier = '${certificates.valid}'`,
      codes: ['directory_wrong'],
    },
    'a byte of a certificate': {
      sql: `update certificates set box = set_byte(box, 40, get_byte(box, 40) # 1) where identifier = '${certificates.valid}'`,
      codes: ['certificate_wrong'],
    },
    'a byte of a grant': { sql: `update grants set body = body || ' '`, codes: ['registry_wrong'] },
  };
}
