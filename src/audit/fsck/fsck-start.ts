import { sql } from 'kysely';
import type { Database } from '../../db/database.ts';
import type { Tables } from '../../db/tables.ts';
import { transaction } from '../../db/transaction.ts';
import { fullWidth } from '../../verification/tiles.ts';
import { type Found, namesOf } from './fsck-findings.ts';

/** The log as it was at one moment: what grows behind it is none of this check's business. */
export interface LogAtStart {
  readonly origin: string | undefined;
  /** Leaves to walk. */
  readonly leaves: number;
  /** What the state says; undefined without one. */
  readonly state: { readonly size: number; readonly root: Buffer; readonly published: number } | undefined;
  readonly found: readonly Found[];
}

/** What a lease can be ahead of the clock at most: its holder renews it every few seconds. */
const leaseAtMostMs = 3_600_000;

/** Fixes the size of the log, in one snapshot with everything that must agree with it at any moment. */
export async function readLogAtStart(
  db: Pick<Database, 'kysely'>,
  { now, origin }: { readonly now: Date; readonly origin: string | undefined },
): Promise<LogAtStart> {
  return transaction(
    db,
    async (trx) => {
      const state = await trx.selectFrom('log_state').selectAll().where('id', '=', 1).executeTakeFirst();
      const { leaves } = await trx
        .selectFrom('log_leaf')
        .select(sql<number>`coalesce(max(leaf_index) + 1, 0)`.as('leaves'))
        .executeTakeFirstOrThrow();
      const found: Found[] = [];
      if (state === undefined) {
        if (leaves > 0) found.push({ code: 'state_missing', place: { table: 'log_state' } });
        return { origin, leaves, state: undefined, found };
      }
      const { size } = state;
      const walked = size < 0 ? leaves : Math.min(size, leaves);
      if (leaves < size) found.push({ code: 'leaf_missing', place: { leaf: leaves, leafEnd: size } });
      if (leaves > size) {
        const beyond = await trx
          .selectFrom('log_leaf')
          .select(['leaf_index', 'record_id'])
          .where('leaf_index', '>=', size)
          .orderBy('leaf_index')
          .limit(100)
          .execute();
        for (const { leaf_index: leaf, record_id: record } of beyond) {
          found.push({ code: 'leaf_beyond', place: { leaf, record } });
        }
      }
      found.push(...judgeState(state, { now, origin }), ...(await widthFaults(trx, walked)));
      if (state.published_size !== 0) {
        const published = await trx
          .selectFrom('log_checkpoint')
          .select('size')
          .where('size', '=', state.published_size)
          .executeTakeFirst();
        if (published === undefined) {
          found.push({ code: 'published_unknown', place: { checkpoint: state.published_size } });
        }
      }
      const ahead = await trx.selectFrom('log_checkpoint').select('size').where('size', '>', size).limit(100).execute();
      for (const { size: checkpoint } of ahead) found.push({ code: 'checkpoint_beyond', place: { checkpoint } });
      const strays = await trx
        .selectFrom('log_cosignature as s')
        .select(['s.size', 's.name'])
        .where((eb) =>
          eb.not(eb.exists(eb.selectFrom('log_checkpoint as c').select('c.size').whereRef('c.size', '=', 's.size'))),
        )
        .limit(100)
        .execute();
      for (const { size: checkpoint, name } of strays) {
        found.push({ code: 'cosignature_stray', place: { checkpoint, table: 'log_cosignature', row: name } });
      }
      return {
        origin: state.origin,
        leaves: walked,
        state: { size, root: state.root, published: state.published_size },
        found,
      };
    },
    { isolation: 'repeatable read', readOnly: true },
  );
}

function judgeState(
  state: Tables['log_state'],
  { now, origin }: { readonly now: Date; readonly origin: string | undefined },
): Found[] {
  const columns = namesOf({
    origin: origin !== undefined && origin !== state.origin,
    size: state.size < 0,
    published_size: state.published_size < 0 || state.published_size > state.size,
    lease_until: state.lease_until.getTime() > now.getTime() + leaseAtMostMs,
    epoch: state.epoch < 0,
  });
  return columns.length === 0 ? [] : [{ code: 'state_wrong', place: { table: 'log_state', columns } }];
}

/** Every tile there is has the width that belongs to a log of this size; content comes later. */
async function widthFaults(trx: Parameters<Parameters<typeof transaction>[1]>[0], size: number): Promise<Found[]> {
  const levels = Array.from({ length: 8 }, (_, level) => ({
    level,
    full: Math.floor(size / fullWidth ** (level + 1)),
    partial: Math.floor(size / fullWidth ** level) % fullWidth,
  }));
  const { rows } = await sql<{ level: number; tile_index: number; width: number; bytes: number }>`
    select t.level, t.tile_index, t.width, length(t.hashes) as bytes from log_tile t
      left join unnest(${levels.map(({ level }) => level)}::int[], ${levels.map(({ full }) => full)}::bigint[],
        ${levels.map(({ partial }) => partial)}::int[]) as w(level, full_tiles, partial) on w.level = t.level
    where not coalesce(t.tile_index >= 0 and length(t.hashes) = 32 * t.width
      and ((t.tile_index < w.full_tiles and t.width = 256) or (t.tile_index = w.full_tiles and t.width = w.partial)), false)
    order by 1, 2 limit 1000`.execute(trx);
  return rows.map(({ level, tile_index, width, bytes }) => {
    const place = { tile: `${level}/${tile_index}` };
    const bounds = levels[level];
    const last = bounds === undefined ? -1 : bounds.full - (bounds.partial === 0 ? 1 : 0);
    return tile_index < 0 || tile_index > last
      ? { code: 'tile_beyond', place }
      : { code: 'tile_width', place, detail: `Its width is ${width}, it holds ${bytes / 32} hashes.` };
  });
}
