import type { Database } from '../../db/database.ts';
import type { Keys } from '../../signing/key-store.ts';
import { signNote } from '../../signing/note-sign.ts';
import { formatCheckpoint, parseCheckpoint } from '../../verification/checkpoint.ts';
import { decodeBase64url } from '../../verification/encoding.ts';
import { consistencyProof, emptyRoot, rootOfSize, verifyConsistency } from '../../verification/merkle.ts';
import { formatVerifierKey, openNote, parseVerifierKey, type VerifierKey } from '../../verification/signed-note.ts';
import { nodeReader, TileFault } from '../../verification/tiles.ts';
import { type CheckpointRow, readCheckpoint, storeCheckpoint } from './checkpoint-store.ts';
import { LogContradiction, Replaced } from './log-fault.ts';
import { storedTiles } from './log-store.ts';
import type { Step } from './sequence.ts';

export interface SignDeps {
  readonly db: Database;
  readonly keys: Pick<Keys, 'log' | 'hubKeys'>;
  /** Name of the log. */
  readonly origin: string;
  readonly now: () => Date;
  readonly at?: ((step: Step) => void) | undefined;
}

/** The keys that checkpoints of this log may be signed with: the active one first, then the retired ones. */
export const logKeys = ({ hubKeys }: Pick<Keys, 'hubKeys'>, origin: string): VerifierKey[] =>
  hubKeys
    .filter(({ use }) => use === 'log')
    .toSorted((a, b) => Number(b.state === 'active') - Number(a.state === 'active'))
    .flatMap(({ jwk }) => {
      const publicKey = decodeBase64url(jwk.x ?? '');
      const key =
        publicKey === undefined ? undefined : parseVerifierKey(formatVerifierKey({ name: origin, type: 1, publicKey }));
      return key?.ok === true ? [key.value] : [];
    });

/** A signed head of the log, as stored. */
export type Head = CheckpointRow;

/**
 * Signs the committed state and stores the checkpoint, so that it may be shown. Before its key is used, the stored tiles must prove that
 * the log begins with what `newest` says; whatever is stored for this size already counts, if it says the same.
 * Throws Replaced, LogContradiction, or a database error.
 */
export async function signCheckpoint(
  deps: SignDeps,
  { epoch, newest }: { readonly epoch: number; readonly newest: Head | undefined },
  { size, root }: { readonly size: number; readonly root: Buffer },
): Promise<Head> {
  const { db, keys, origin, now, at } = deps;
  if (newest !== undefined) await proveGrowth(db, newest, { size, root });
  const note = signNote({ signer: keys.log, name: origin }, formatCheckpoint({ origin, size, root }));
  at?.('signed');
  await storeCheckpoint(db, epoch, { size, root, note, signedAt: now() });
  const stored = await readCheckpoint(db, size);
  if (stored === undefined) throw new Replaced();
  if (!stored.root.equals(root)) throw new LogContradiction('checkpoint_root_differs', { size });
  checkSigned(deps, stored);
  at?.('stored');
  return stored;
}

/** The empty log's checkpoint, which no log contradicts: something to show, and to ask witnesses with, before any leaf. */
export const signEmpty = (deps: SignDeps, epoch: number): Promise<Head> =>
  signCheckpoint(deps, { epoch, newest: undefined }, { size: 0, root: emptyRoot });

async function proveGrowth(
  db: Database,
  from: Head,
  to: { readonly size: number; readonly root: Buffer },
): Promise<void> {
  if (from.size === 0) return;
  const read = tileNodes(db, to.size);
  const path = await tilesOrContradiction(consistencyProof({ from: from.size, to: to.size }, read), to.size);
  if (!verifyConsistency({ from: from.size, fromRoot: from.root, to: to.size, toRoot: to.root, path })) {
    throw new LogContradiction('checkpoint_root_differs', { size: from.size });
  }
}

/**
 * Holds a stored checkpoint against the log: signed by one of its keys, not larger than the log, and the root that the log had at that
 * size. Throws LogContradiction.
 */
export async function checkHead(
  deps: Omit<SignDeps, 'now'>,
  head: Head,
  state: { readonly size: number },
): Promise<void> {
  checkSigned(deps, head);
  if (head.size > state.size) {
    throw new LogContradiction('checkpoint_ahead_of_state', { checkpoint: head.size, size: state.size });
  }
  const root = await rootAt(deps.db, head.size);
  if (!root.equals(head.root)) throw new LogContradiction('checkpoint_root_differs', { size: head.size });
}

/** The root that the log had with `size` leaves, from its tiles. Throws LogContradiction when they lack some. */
export const rootAt = (db: Database, size: number): Promise<Buffer> =>
  tilesOrContradiction(rootOfSize(size, tileNodes(db, size)), size);

function checkSigned({ keys, origin }: Pick<SignDeps, 'keys' | 'origin'>, { size, root, note }: Head): void {
  const opened = openNote(note, logKeys(keys, origin));
  const says = opened.ok ? parseCheckpoint(opened.value.text) : opened;
  const same = says.ok && says.value.origin === origin && says.value.size === size && says.value.root.equals(root);
  if (!same) throw new LogContradiction('checkpoint_not_ours', { size });
}

/** Nodes of the log with `size` leaves, from the database. */
export const tileNodes = (db: Database, size: number) => nodeReader(storedTiles(db), size);

async function tilesOrContradiction<T>(asked: Promise<T>, size: number): Promise<T> {
  try {
    return await asked;
  } catch (error) {
    if (!(error instanceof TileFault)) throw error;
    throw new LogContradiction('root_differs_from_tiles', { size, tile: `${error.level}/${error.index}` });
  }
}
