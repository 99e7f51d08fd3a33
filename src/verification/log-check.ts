import { type Checkpoint, parseCheckpoint } from './checkpoint.ts';
import { type JudgedCheckpoint, judgeCheckpoint, type LogPolicy } from './log-policy.ts';
import type { LogFinding, LogReport, LogSource, OlderCheckpoint } from './log-report.ts';
import { appendLeaf, emptyEdge, leafHash, type RightEdge, rootOfEdge } from './merkle.ts';
import { parseNote } from './signed-note.ts';
import { decodeBundle, fullWidth, tilePath, tileRoot, tileWidth } from './tiles.ts';

/** Checking a whole log from its published files (C2SP tlog-tiles): every entry, every tile, the root, the checkpoint, older checkpoints. */

const maxFindings = 100;
const hashLength = 32;
const entryLength = 34;
/** Places without entries and hashes after which nobody looks on: a size of 2^53 is easily claimed. */
const maxGaps = 8;
/** Files asked for ahead of their turn. */
const ahead = 8;

type State = {
  readonly findings: LogFinding[];
  moreFindings: number;
  files: number;
  /** Over the hashes of the entries. */
  readonly fromEntries: RightEdge;
  /** Over the hashes in the tiles of level 0; undefined once one is missing. */
  fromTiles: RightEdge | undefined;
  /** The tile being filled, by level. */
  readonly rows: Row[];
  /** Files were missing that nothing can stand in for: what is above them cannot be computed. */
  gaps: number;
  readonly compared: { file: string; checkpoint: Checkpoint; byEntries: boolean; byTiles: boolean }[];
};

type Row = {
  /** Tiles filled before it. */
  index: number;
  /** Computed from the level below. */
  hashes: Buffer[];
  /** Which of them stand on something that was reported already: once is enough. */
  doubtful: boolean[];
};

/**
 * Checks a log against a policy, in memory of the logarithm of its size: recomputes every leaf from its entry, every tile and the root,
 * and finds each older checkpoint in it. Reading may reject; what is read, whatever it is, is only reported on.
 */
export async function checkLog(
  { read, progress }: LogSource,
  policy: LogPolicy,
  older: readonly OlderCheckpoint[],
): Promise<LogReport> {
  const state: State = {
    findings: [],
    moreFindings: 0,
    files: 0,
    fromEntries: emptyEdge(),
    fromTiles: emptyEdge(),
    rows: [],
    gaps: 0,
    compared: [],
  };
  const readFile = async (path: string): Promise<Buffer | undefined> => {
    state.files++;
    return read(path);
  };
  const note = await readFile('checkpoint');
  if (note === undefined) {
    report(state, { file: 'checkpoint', code: 'checkpoint_missing' });
    return reportOf(state, undefined, []);
  }
  const { judged, checkpoint } = judge(state, policy, 'checkpoint', note.toString('utf8'));
  if (checkpoint === undefined) return reportOf(state, judged, []);
  const kept = olderOnes(state, policy, older, checkpoint);
  await walk(state, { read: readFile, ...(progress && { progress }) }, checkpoint.size, kept);
  const basis = checkRoots(state, checkpoint);
  return reportOf(state, judged, checkOlder(state, basis));
}

function report(state: State, finding: LogFinding): void {
  if (state.findings.length < maxFindings) state.findings.push(finding);
  else state.moreFindings++;
}

function judge(state: State, policy: LogPolicy, file: string, note: string) {
  const judged = judgeCheckpoint(policy, note);
  if (judged.ok) {
    if (!judged.value.quorum) report(state, { file, code: 'quorum_not_met' });
    return { judged: judged.value, checkpoint: judged.value.checkpoint };
  }
  report(state, { file, code: judged.reason, ...(judged.signer !== undefined && { signer: judged.signer }) });
  // the files can still be compared with what the checkpoint claims
  const parsed = parseNote(note);
  const claimed = parsed.ok ? parseCheckpoint(parsed.value.text) : undefined;
  return { judged: undefined, checkpoint: claimed?.ok === true ? claimed.value : undefined };
}

type Kept = { readonly file: string; readonly checkpoint: Checkpoint };

/** Older checkpoints that this log signed, smallest first. Their cosignatures are theirs: what counts here is that the log signed them. */
function olderOnes(
  state: State,
  policy: LogPolicy,
  older: readonly OlderCheckpoint[],
  { origin, size }: Checkpoint,
): Kept[] {
  const kept: Kept[] = [];
  for (const { file, note } of older) {
    const judged = judgeCheckpoint(policy, note);
    if (!judged.ok) {
      const { reason: code, signer } = judged;
      report(state, { file, code, ...(signer !== undefined && { signer }), aside: true });
    } else if (judged.value.checkpoint.origin !== origin) {
      report(state, { file, code: 'older_is_of_another_log', aside: true });
    } else if (judged.value.checkpoint.size > size) report(state, { file, code: 'older_is_larger' });
    else kept.push({ file, checkpoint: judged.value.checkpoint });
  }
  return kept.sort((one, other) => one.checkpoint.size - other.checkpoint.size);
}

type Pair = { readonly bundle: Buffer | undefined; readonly tile: Buffer | undefined };

async function walk(state: State, { read, progress }: LogSource, size: number, kept: readonly Kept[]): Promise<void> {
  const pairs: Promise<Pair>[] = [];
  const count = Math.ceil(size / fullWidth);
  const ask = (index: number): void => {
    const pair = readPair(read, index, size);
    // awaited in its turn; until then a rejection is not unhandled
    pair.catch(() => undefined);
    pairs.push(pair);
  };
  for (let index = 0; index < Math.min(ahead, count); index++) ask(index);
  let next = takeOlder(state, kept, 0);
  for (let index = 0; index < count; index++) {
    const pair = await pairs.shift();
    if (index + ahead < count) ask(index + ahead);
    next = await takePair(state, { read, pair, index, size, kept, next });
    if (state.gaps >= maxGaps && index + 1 < count) {
      const width = tileWidth('entries', index + 1, size);
      report(state, { file: tilePath({ level: 'entries', index: index + 1, width }), code: 'gave_up' });
      return;
    }
    progress?.(Math.min(size, (index + 1) * fullWidth), size);
  }
  if (state.gaps === 0) await checkPartialTiles(state, read, size);
}

type Turn = {
  readonly read: LogSource['read'];
  readonly pair: Pair | undefined;
  readonly index: number;
  readonly size: number;
  readonly kept: readonly Kept[];
  readonly next: number;
};

/** A bundle and its tile of hashes, compared with each other and added to what is above. Answers which older checkpoint is next. */
async function takePair(state: State, { read, pair, index, size, kept, next }: Turn): Promise<number> {
  const before = state.findings.length + state.moreFindings;
  const hashes = hashesOf(state, pair?.bundle, index, size);
  const stored = sizedTile(state, pair?.tile, 0, index, size);
  compareLeaves(state, stored, hashes, index);
  const storedHashes = stored === undefined ? undefined : split(stored);
  const used = hashes ?? storedHashes;
  if (used === undefined) {
    state.gaps++;
    return next;
  }
  if (storedHashes === undefined) state.fromTiles = undefined;
  let upcoming = next;
  for (const [at, hashed] of used.entries()) {
    appendLeaf(state.fromEntries, hashed);
    const other = storedHashes?.[at];
    if (state.fromTiles !== undefined && other !== undefined) appendLeaf(state.fromTiles, other);
    upcoming = takeOlder(state, kept, upcoming);
  }
  const doubtful = state.findings.length + state.moreFindings > before;
  if (state.gaps === 0) await fillTiles(state, read, { hashes: used, doubtful }, size);
  return upcoming;
}

/** Copies: a part of a file would keep all of it in memory. */
function split(tile: Buffer): Buffer[] {
  const hashes: Buffer[] = [];
  for (let at = 0; at < tile.length; at += hashLength) hashes.push(Buffer.from(tile.subarray(at, at + hashLength)));
  return hashes;
}

/** The narrow file, or the full one where the narrow one was let go (C2SP tlog-tiles allows that). */
async function readTileFile(
  read: LogSource['read'],
  level: number | 'entries',
  index: number,
  size: number,
): Promise<Buffer | undefined> {
  const width = tileWidth(level, index, size);
  const narrow = await read(tilePath({ level, index, width }));
  return narrow ?? (width < fullWidth ? read(tilePath({ level, index, width: fullWidth })) : undefined);
}

async function readPair(read: LogSource['read'], index: number, size: number): Promise<Pair> {
  const [bundle, tile] = await Promise.all([
    readTileFile(read, 'entries', index, size),
    readTileFile(read, 0, index, size),
  ]);
  return { bundle, tile };
}

/** Leaf hashes of a bundle; undefined when it is missing or not a bundle. */
function hashesOf(state: State, bundle: Buffer | undefined, index: number, size: number): Buffer[] | undefined {
  const width = tileWidth('entries', index, size);
  const file = tilePath({ level: 'entries', index, width });
  if (bundle === undefined) {
    report(state, { file, code: 'file_missing' });
    return undefined;
  }
  const entries = decodeBundle(bundle)?.slice(0, width);
  if (entries === undefined || entries.length < width) {
    report(state, { file, code: 'bundle_malformed' });
    return undefined;
  }
  for (const [at, entry] of entries.entries()) {
    if (entry.length !== entryLength || entry[0] !== 1 || entry[1] === 0) {
      report(state, { file, index: index * fullWidth + at, code: 'entry_malformed' });
    }
  }
  return entries.map(leafHash);
}

/** A stored tile cut to the width that the size asks for. */
function sizedTile(
  state: State,
  tile: Buffer | undefined,
  level: number,
  index: number,
  size: number,
): Buffer | undefined {
  const width = tileWidth(level, index, size);
  const file = tilePath({ level, index, width });
  if (tile === undefined) report(state, { file, code: 'file_missing' });
  else if (tile.length !== width * hashLength && tile.length !== fullWidth * hashLength) {
    report(state, { file, code: 'file_length' });
    return undefined;
  }
  return tile?.subarray(0, width * hashLength);
}

function compareLeaves(
  state: State,
  stored: Buffer | undefined,
  hashes: readonly Buffer[] | undefined,
  index: number,
): void {
  if (stored === undefined || hashes === undefined) return;
  for (const [at, hashed] of hashes.entries()) {
    if (hashed.compare(stored, at * hashLength, (at + 1) * hashLength) === 0) continue;
    const file = tilePath({ level: 0, index, width: stored.length / hashLength });
    report(state, { file, index: index * fullWidth + at, code: 'leaf_differs' });
  }
}

/** A tile that is full adds its root to the level above, where what is stored and what is computed are compared. */
async function fillTiles(
  state: State,
  read: LogSource['read'],
  { hashes, doubtful }: { readonly hashes: readonly Buffer[]; readonly doubtful: boolean },
  size: number,
): Promise<void> {
  if (hashes.length < fullWidth) return;
  let root = tileRoot(Buffer.concat(hashes));
  let isDoubtful = doubtful;
  for (let level = 1; ; level++) {
    const row = state.rows[level] ?? { index: 0, hashes: [], doubtful: [] };
    state.rows[level] = row;
    row.hashes.push(root);
    row.doubtful.push(isDoubtful);
    if (row.hashes.length < fullWidth) return;
    await compareTile(state, read, { level, ...row }, size);
    root = tileRoot(Buffer.concat(row.hashes));
    isDoubtful = row.doubtful.includes(true);
    state.rows[level] = { index: row.index + 1, hashes: [], doubtful: [] };
  }
}

async function checkPartialTiles(state: State, read: LogSource['read'], size: number): Promise<void> {
  // by index: level 0 was compared leaf by leaf and has no row
  for (let level = 1; level < state.rows.length; level++) {
    const row = state.rows[level];
    if (row !== undefined && row.hashes.length > 0) await compareTile(state, read, { level, ...row }, size);
  }
}

async function compareTile(
  state: State,
  read: LogSource['read'],
  { level, index, hashes, doubtful }: Row & { readonly level: number },
  size: number,
): Promise<void> {
  const stored = sizedTile(state, await readTileFile(read, level, index, size), level, index, size);
  if (stored === undefined) return;
  const file = tilePath({ level, index, width: tileWidth(level, index, size) });
  for (const [at, computed] of hashes.entries()) {
    const isSame = computed.compare(stored, at * hashLength, (at + 1) * hashLength) === 0;
    if (!isSame && doubtful[at] !== true) report(state, { file, index: at, code: 'tile_differs' });
  }
}

/** Compares the older checkpoints of the present size; answers where the next larger one is. */
function takeOlder(state: State, kept: readonly Kept[], from: number): number {
  const { fromEntries, fromTiles, compared } = state;
  let next = from;
  for (let each = kept[next]; each !== undefined && each.checkpoint.size === fromEntries.size; each = kept[next]) {
    const { root } = each.checkpoint;
    const byTiles = fromTiles !== undefined && rootOfEdge(fromTiles).equals(root);
    compared.push({ ...each, byEntries: rootOfEdge(fromEntries).equals(root), byTiles });
    next++;
  }
  return next;
}

/** Which files lead to the signed root. Where entries and tiles disagree, it says which of them are false. */
function checkRoots(state: State, { size, root }: Checkpoint): 'byEntries' | 'byTiles' | undefined {
  const { fromEntries, fromTiles, gaps } = state;
  if (gaps > 0) return undefined;
  const entriesFit = fromEntries.size === size && rootOfEdge(fromEntries).equals(root);
  const tilesFit = fromTiles !== undefined && rootOfEdge(fromTiles).equals(root);
  if (entriesFit) {
    if (!tilesFit && fromTiles !== undefined) report(state, { file: 'checkpoint', code: 'tiles_differ_from_root' });
    return 'byEntries';
  }
  report(state, { file: 'checkpoint', code: tilesFit ? 'entries_differ_from_root' : 'root_differs' });
  return tilesFit ? 'byTiles' : undefined;
}

/** Older checkpoints are the log's own past only where the files that fit its present root fit them too. */
function checkOlder(state: State, basis: 'byEntries' | 'byTiles' | undefined): { file: string; size: number }[] {
  if (basis === undefined) return [];
  const consistent: { file: string; size: number }[] = [];
  for (const each of state.compared) {
    const { file, checkpoint } = each;
    if (each[basis]) consistent.push({ file, size: checkpoint.size });
    else report(state, { file, code: 'older_differs' });
  }
  return consistent;
}

function reportOf(
  { findings, moreFindings, files, fromEntries }: State,
  judged: JudgedCheckpoint | undefined,
  consistentWith: readonly { file: string; size: number }[],
): LogReport {
  const leaves = fromEntries.size;
  return { findings, moreFindings, ...(judged !== undefined && { judged }), leaves, files, consistentWith };
}
