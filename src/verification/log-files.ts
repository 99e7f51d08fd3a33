import type { LogFinding } from './log-report.ts';
import { leafHash } from './merkle.ts';
import { decodeBundle, fullWidth, type TileId, tilePath, tileWidth } from './tiles.ts';

/** The published files of a log (C2SP tlog-tiles) as a check of it reads them: in the form they must have at the size of its checkpoint. */
export type LogFiles = {
  readonly read: (path: string) => Promise<Buffer | undefined>;
  readonly size: number;
  readonly report: (finding: LogFinding) => void;
};

/** A tile or bundle of the log, by its level and place. */
export type TilePlace = Pick<TileId, 'level' | 'index'>;

const hashLength = 32;
const entryLength = 34;

/** The name of a file that has what the size asks for, and no more. */
export const fileOf = ({ size }: LogFiles, { level, index }: TilePlace): string =>
  tilePath({ level, index, width: tileWidth(level, index, size) });

/** The narrow file, or the full one where the narrow one was let go (C2SP tlog-tiles allows that). Nothing of it is checked. */
export async function readTileFile(files: LogFiles, place: TilePlace): Promise<Buffer | undefined> {
  const narrow = await files.read(fileOf(files, place));
  const isFull = tileWidth(place.level, place.index, files.size) === fullWidth;
  return narrow ?? (isFull ? undefined : files.read(tilePath({ ...place, width: fullWidth })));
}

/** The hashes of a tile, as many as the size asks for; undefined, and reported, when it is missing or of another length. */
export function hashesOfTile(files: LogFiles, place: TilePlace, tile: Buffer | undefined): Buffer[] | undefined {
  const width = tileWidth(place.level, place.index, files.size);
  const file = fileOf(files, place);
  if (tile === undefined) files.report({ file, code: 'file_missing' });
  else if (tile.length !== width * hashLength && tile.length !== fullWidth * hashLength)
    files.report({ file, code: 'file_length' });
  else return split(tile.subarray(0, width * hashLength));
  return undefined;
}

/** Copies: a part of a file would keep all of it in memory. */
function split(tile: Buffer): Buffer[] {
  const hashes: Buffer[] = [];
  for (let at = 0; at < tile.length; at += hashLength) hashes.push(Buffer.from(tile.subarray(at, at + hashLength)));
  return hashes;
}

/** The leaf hashes of a bundle's entries, each of which is judged; undefined, and reported, when it is missing or not a bundle of so many. */
export function hashesOfBundle(files: LogFiles, index: number, bundle: Buffer | undefined): Buffer[] | undefined {
  const place = { level: 'entries', index } as const;
  const width = tileWidth('entries', index, files.size);
  const file = fileOf(files, place);
  if (bundle === undefined) {
    files.report({ file, code: 'file_missing' });
    return undefined;
  }
  const entries = decodeBundle(bundle);
  if (entries === undefined || (entries.length !== width && entries.length !== fullWidth)) {
    files.report({ file, code: 'bundle_malformed' });
    return undefined;
  }
  return entries.slice(0, width).map((entry, at) => {
    if (entry.length !== entryLength || entry[0] !== 1 || entry[1] === 0)
      files.report({ file, index: index * fullWidth + at, code: 'entry_malformed' });
    return leafHash(entry);
  });
}
