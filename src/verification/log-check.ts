import { type Checkpoint, claimedCheckpoint } from './checkpoint.ts';
import { decodeUtf8 } from './encoding.ts';
import { addFinding, countFindings, type Findings, noFindings } from './findings.ts';
import { fileOf, hashesOfBundle, hashesOfTile, type LogFiles, readTileFile } from './log-files.ts';
import { type Basis, compareOlder, judgeOlder, keepOlder, type OlderCheckpoints } from './log-older.ts';
import { type JudgedCheckpoint, judgeCheckpoint, type LogPolicy } from './log-policy.ts';
import type { LogFinding, LogReport, LogSource, OlderCheckpoint } from './log-report.ts';
import { addTile, finishUpperTiles, noUpperTiles, type UpperTiles } from './log-upper-tiles.ts';
import { appendLeaf, emptyEdge, type RightEdge, rootOfEdge } from './merkle.ts';
import { fullWidth } from './tiles.ts';

/** Checking a whole log from its published files (C2SP tlog-tiles): every entry, every tile, the root, the checkpoint, older checkpoints. */

/** Places without entries and hashes after which nobody looks on: a size of 2^53 is easily claimed. */
const maxGaps = 8;
/** Pairs of bundle and tile asked for ahead of their turn. */
const ahead = 8;

/** A log while it is read, leaf by leaf. */
type Walk = {
  readonly files: LogFiles;
  readonly findings: Findings<LogFinding>;
  readonly older: OlderCheckpoints;
  /** Over the hashes of the entries, or of the tile where there are none. */
  readonly fromEntries: RightEdge;
  /** Over the hashes in the tiles of level 0; undefined once one is missing. */
  fromTiles: RightEdge | undefined;
  readonly above: UpperTiles;
  /** Files were missing that nothing can stand in for: what is above them cannot be computed. */
  gaps: number;
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
  const findings = noFindings<LogFinding>();
  const report = (finding: LogFinding): void => addFinding(findings, finding);
  let files = 0;
  const countedRead = async (path: string): Promise<Buffer | undefined> => {
    files++;
    return read(path);
  };
  const reportOf = (
    judged: JudgedCheckpoint | undefined,
    leaves = 0,
    consistentWith: LogReport['consistentWith'] = [],
  ): LogReport => ({
    findings: findings.listed,
    moreFindings: findings.more,
    ...(judged !== undefined && { judged }),
    leaves,
    files,
    consistentWith,
  });

  const note = await countedRead('checkpoint');
  if (note === undefined) {
    report({ file: 'checkpoint', code: 'checkpoint_missing' });
    return reportOf(undefined);
  }
  // what is no UTF-8 is no note either
  const { judged, checkpoint } = judge(policy, decodeUtf8(note) ?? '', report);
  if (checkpoint === undefined) return reportOf(judged);
  const walk: Walk = {
    files: { read: countedRead, size: checkpoint.size, report },
    findings,
    older: keepOlder(older, policy, checkpoint, report),
    fromEntries: emptyEdge(),
    fromTiles: emptyEdge(),
    above: noUpperTiles(),
    gaps: 0,
  };
  await walkThrough(walk, progress);
  const basis = checkRoots(walk, checkpoint);
  return reportOf(judged, walk.fromEntries.size, judgeOlder(walk.older, basis, report));
}

function judge(
  policy: LogPolicy,
  note: string,
  report: (finding: LogFinding) => void,
): { readonly judged: JudgedCheckpoint | undefined; readonly checkpoint: Checkpoint | undefined } {
  const file = 'checkpoint';
  const judged = judgeCheckpoint(policy, note);
  if (judged.ok) {
    if (!judged.value.quorum) report({ file, code: 'quorum_not_met' });
    return { judged: judged.value, checkpoint: judged.value.checkpoint };
  }
  report({ file, code: judged.reason, ...(judged.signer !== undefined && { signer: judged.signer }) });
  // the files can still be compared with what the checkpoint claims
  return { judged: undefined, checkpoint: claimedCheckpoint(note) };
}

/** The files that tell about the same 256 leaves. */
type Pair = { readonly bundle: Buffer | undefined; readonly tile: Buffer | undefined };

async function walkThrough(walk: Walk, progress: LogSource['progress']): Promise<void> {
  const { files, older, fromEntries, fromTiles, above } = walk;
  const { size } = files;
  const count = Math.ceil(size / fullWidth);
  const pairs: Promise<Pair>[] = [];
  const ask = (index: number): void => {
    const pair = readPair(files, index);
    // awaited in its turn; until then a rejection is not unhandled
    pair.catch(() => undefined);
    pairs.push(pair);
  };
  for (let index = 0; index < Math.min(ahead, count); index++) ask(index);
  compareOlder(older, fromEntries, fromTiles);
  for (let index = 0; index < count; index++) {
    const pair = await pairs.shift();
    if (index + ahead < count) ask(index + ahead);
    await takePair(walk, index, pair);
    if (walk.gaps >= maxGaps && index + 1 < count) {
      files.report({ file: fileOf(files, { level: 'entries', index: index + 1 }), code: 'gave_up' });
      return;
    }
    progress?.(Math.min(size, (index + 1) * fullWidth), size);
  }
  if (walk.gaps === 0) await finishUpperTiles(above, files);
}

async function readPair(files: LogFiles, index: number): Promise<Pair> {
  const [bundle, tile] = await Promise.all([
    readTileFile(files, { level: 'entries', index }),
    readTileFile(files, { level: 0, index }),
  ]);
  return { bundle, tile };
}

/** Compares a bundle and its tile of hashes with each other, and adds them to what is above. */
async function takePair(walk: Walk, index: number, pair: Pair | undefined): Promise<void> {
  const { files, findings } = walk;
  const before = countFindings(findings);
  const fromBundle = hashesOfBundle(files, index, pair?.bundle);
  const fromTile = hashesOfTile(files, { level: 0, index }, pair?.tile);
  compareLeaves(files, index, fromBundle, fromTile);
  const hashes = fromBundle ?? fromTile;
  if (hashes === undefined) {
    walk.gaps++;
    return;
  }
  if (fromTile === undefined) walk.fromTiles = undefined;
  for (const [at, hashed] of hashes.entries()) {
    const other = fromTile?.[at];
    appendLeaf(walk.fromEntries, hashed);
    if (walk.fromTiles !== undefined && other !== undefined) appendLeaf(walk.fromTiles, other);
    compareOlder(walk.older, walk.fromEntries, walk.fromTiles);
  }
  if (walk.gaps === 0) await addTile(walk.above, files, hashes, countFindings(findings) > before);
}

function compareLeaves(
  files: LogFiles,
  index: number,
  fromBundle: readonly Buffer[] | undefined,
  fromTile: readonly Buffer[] | undefined,
): void {
  if (fromBundle === undefined || fromTile === undefined) return;
  for (const [at, hashed] of fromBundle.entries()) {
    if (fromTile[at]?.equals(hashed) === true) continue;
    files.report({ file: fileOf(files, { level: 0, index }), index: index * fullWidth + at, code: 'leaf_differs' });
  }
}

/** Which files lead to the signed root. Where entries and tiles disagree, it says which of them are false. */
function checkRoots({ files, fromEntries, fromTiles, gaps }: Walk, { size, root }: Checkpoint): Basis | undefined {
  if (gaps > 0) return undefined;
  const file = 'checkpoint';
  const entriesFit = fromEntries.size === size && rootOfEdge(fromEntries).equals(root);
  const tilesFit = fromTiles !== undefined && rootOfEdge(fromTiles).equals(root);
  if (entriesFit) {
    if (!tilesFit && fromTiles !== undefined) files.report({ file, code: 'tiles_differ_from_root' });
    return 'byEntries';
  }
  files.report({ file, code: tilesFit ? 'entries_differ_from_root' : 'root_differs' });
  return tilesFit ? 'byTiles' : undefined;
}
