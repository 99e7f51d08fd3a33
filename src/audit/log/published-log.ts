import type { Database } from '../../db/database.ts';
import { Refusal } from '../../errors.ts';
import type { HubKey } from '../../signing/key-store.ts';
import { parseTilePath } from '../../verification/tiles.ts';
import { formatProof } from '../../verification/tlog-proof.ts';
import { readPublished } from './log-store.ts';
import { openLogTiles } from './log-tiles.ts';
import { proveRecord } from './prove.ts';
import { logKeys } from './sign-checkpoint.ts';

export interface PublishedLogDeps {
  readonly db: Database;
  /** Names the log and its key: the log's URL prefix without scheme. */
  readonly logOrigin: string;
  /** Those of use `log` are published. */
  readonly hubKeys: readonly HubKey[];
}

/** What anybody may read of the log (C2SP tlog-tiles v0.1.0, tlog-proof). Nothing in it is personal. */
export interface PublishedLog {
  /** The newest published checkpoint with its cosignatures. Rejects with `not_found` before the first. */
  readonly checkpoint: () => Promise<string>;
  /** A tile or bundle by its path under `tile/`. Rejects with `not_found` for what is none or lies beyond the checkpoint. */
  readonly tile: (path: string) => Promise<Buffer>;
  /** Verifier keys, one a line; the active one first. */
  readonly keys: string;
  /** The tlog-proof of a record. Rejects with `not_in_log_yet`, `record_unknown`, `stored_data_tampered`. */
  readonly proof: (recordId: string) => Promise<string>;
}

/** A record is in a published checkpoint within about two seconds. */
const retryAfterSeconds = 2;

/** Opens the log for readers; full tiles stay in memory. */
export function openPublishedLog({ db, logOrigin, hubKeys }: PublishedLogDeps): PublishedLog {
  const tiles = openLogTiles(db);
  return {
    checkpoint: async () => {
      const published = await readPublished(db);
      if (published === undefined) throw new Refusal('not_found');
      return published.note;
    },
    tile: async (path) => {
      const id = parseTilePath(`tile/${path}`);
      const bytes = id === undefined ? undefined : await tiles.serve(id);
      if (bytes === undefined) throw new Refusal('not_found');
      return bytes;
    },
    keys: logKeys({ hubKeys }, logOrigin)
      .map(({ text }) => `${text}\n`)
      .join(''),
    proof: async (recordId) => {
      const proof = await proveRecord(db, recordId.toLowerCase(), tiles.read);
      if (proof.state === 'waiting') throw new Refusal('not_in_log_yet', { retryAfterSeconds });
      if (proof.state === 'unknown') throw new Refusal('record_unknown');
      const { leaf, path, checkpoint } = proof;
      return formatProof({ index: leaf.leaf_index, path, note: checkpoint.note });
    },
  };
}
