import type { Freshness, FreshView } from '../db/fresh.ts';
import type { Matter } from './matter.ts';
import { readMatters } from './matter-store.ts';
import type { RowMacs, Tampered } from './store.ts';

/** All matters at one moment, each in its newest version. */
export interface Matters {
  /** In order of their codes. */
  readonly all: readonly Matter[];
  newest(matterCode: string): Matter | undefined;
}

/** The matters as use cases read them: never older than the freshness promises. */
export type MattersView = FreshView<Matters>;

/** Topic of `registry_versions` that registering a matter bumps. */
export const mattersTopic = 'matters';

/** The matters, kept in memory and never older than the freshness promises; only rows that the hub wrote. */
export const watchMatters = (
  freshness: Pick<Freshness, 'watch'>,
  deps: { readonly keys: Pick<RowMacs, 'verifyRowMac'>; readonly tampered: Tampered },
): MattersView => freshness.watch(mattersTopic, async (snapshot) => mattersOf(await readMatters(snapshot, deps)));

function mattersOf(all: readonly Matter[]): Matters {
  const byCode = new Map(all.map((matter) => [matter.matterCode, matter]));
  return { all, newest: (code) => byCode.get(code) };
}
