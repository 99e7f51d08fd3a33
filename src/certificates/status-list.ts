import type { Database } from '../db/database.ts';
import { Refusal } from '../errors.ts';
import type { Signer } from '../signing/signer.ts';
import { signStatusList } from '../signing/status-list-sign.ts';
import { newStatusBytes, setStatus } from '../verification/status-list.ts';
import { remembering } from './status-list-cache.ts';

/** A change of status is published after at most this and `statusListMaxAgeSeconds` together: well under 5 s. */
const rememberedMs = 2_000;
/** What HTTP caches may keep of a status list, in seconds. */
export const statusListMaxAgeSeconds = 2;
/** For how long a token is good, and when a reader should ask again (`exp`, `ttl`); seconds. */
const statusListLifetime = { online: 24 * 3_600, offline: 7 * 24 * 3_600, ttl: 300 } as const;

/** Where a list is published; certificates name this address, and the list's `sub` repeats it. */
export const statusListUri = (issuer: string, listId: number): string => `${issuer}/status-lists/${listId}`;

export interface StatusListDeps {
  readonly db: Pick<Database, 'kysely'>;
  /** The hub's status key with its x509 chain. */
  readonly signer: Signer;
  /** Base address of the hub without trailing slash. */
  readonly issuer: string;
  readonly now: () => Date;
  /** Milliseconds, monotonic; for tests of the memory. */
  readonly clock?: () => number;
}

/** The published status lists. */
export interface StatusLists {
  /** The signed list for `GET /status-lists/{listId}`; at most 2 s old. Throws `status_list_unknown`. */
  get(listId: number): Promise<string>;
  /** All lists, freshly signed for offline use: they expire after a week instead of a day. At most 2 s old. */
  forOffline(): Promise<readonly string[]>;
}

/**
 * Publishes the status of all certificates as Token Status Lists. Indices never given out, and those of valid
 * certificates, are both 0: the list does not tell how many certificates there are.
 */
export function statusLists(deps: StatusListDeps): StatusLists {
  const { clock } = deps;
  const memory = { maxAgeMs: rememberedMs, ...(clock === undefined ? {} : { clock }) };
  const knownLists = remembering(() => readListIds(deps.db), memory);
  /**
   * Asked first, so that guessing numbers costs one query each 2 s and no memory. Only the next list is looked for
   * each time: it is opened with its first certificate, which somebody may verify at once.
   */
  const isPublished = async (listId: number): Promise<boolean> => {
    const known = await knownLists();
    if (known.has(listId)) return true;
    return listId === Math.max(0, ...known) + 1 && (await hasList(deps.db, listId));
  };
  const readers = new Map<number, () => Promise<string>>();
  return {
    async get(listId) {
      if (!(await isPublished(listId))) throw new Refusal('status_list_unknown');
      let read = readers.get(listId);
      if (read === undefined) {
        read = remembering(() => signList(deps, listId, statusListLifetime.online), memory);
        readers.set(listId, read);
      }
      return read();
    },
    forOffline: remembering(async () => {
      const tokens: string[] = [];
      for (const listId of await readListIds(deps.db)) {
        tokens.push(await signList(deps, listId, statusListLifetime.offline));
      }
      return tokens;
    }, memory),
  };
}

async function readListIds({ kysely }: Pick<Database, 'kysely'>): Promise<ReadonlySet<number>> {
  const rows = await kysely.selectFrom('status_lists').select('list_id').orderBy('list_id').execute();
  return new Set(rows.map((row) => row.list_id));
}

async function hasList({ kysely }: Pick<Database, 'kysely'>, listId: number): Promise<boolean> {
  const row = await kysely
    .selectFrom('status_lists')
    .select('list_id')
    .where('list_id', '=', listId)
    .executeTakeFirst();
  return row !== undefined;
}

/** The time is taken before the rows are read: `iat` never claims a later state than the list shows. */
async function signList(
  { db, signer, issuer, now }: StatusListDeps,
  listId: number,
  lifetime: number,
): Promise<string> {
  const iat = Math.floor(now().getTime() / 1_000);
  const rows = await db.kysely
    .selectFrom('status_entries')
    .select(['idx', 'value'])
    .where('list_id', '=', listId)
    .where('value', '<>', 0)
    .execute();
  const bytes = newStatusBytes();
  for (const { idx, value } of rows) setStatus(bytes, idx, value);
  return signStatusList({
    signer,
    uri: statusListUri(issuer, listId),
    iat,
    exp: iat + lifetime,
    ttl: statusListLifetime.ttl,
    bytes,
  });
}
