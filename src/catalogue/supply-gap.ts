import { createHash } from 'node:crypto';
import type { Bilingual } from './certificate-type.ts';
import { type DemandStep, isLate, isUnmet, type JudgedDemand, standingAnswer } from './demand.ts';
import { itemKey, nameKey, type WantedItem } from './match-demand.ts';

export type GapState = 'unassigned' | 'open' | 'will_supply' | 'refused';

/** Something that departments need and the catalogue has not, with all who want it. */
export interface SupplyGap {
  /** The same as long as the same thing is missing from the same department. */
  readonly gapId: string;
  readonly missing: 'type' | 'field';
  /** Of the type that is missing, or that has not the field. */
  readonly certificateTypeCode?: string;
  readonly name: Bilingual;
  readonly field?: WantedItem;
  /** Who should issue it; undefined when nobody is known to. */
  readonly responsible: string | undefined;
  readonly state: GapState;
  /** The last day of what is promised. */
  readonly by?: string;
  /** Somebody's answer is late. */
  readonly isOverdue: boolean;
  readonly wantedBy: readonly { readonly judged: JudgedDemand; readonly answer: DemandStep | undefined }[];
}

interface Lack {
  readonly key: string;
  readonly gap: Pick<SupplyGap, 'missing' | 'certificateTypeCode' | 'name' | 'field'>;
}

/** What one demand lacks: the type, or each field of it that is not there. */
function lacksOf({ demand, match: { type, fields }, responsible = '' }: JudgedDemand): Lack[] {
  const { certificateTypeCode, name } = demand;
  if (type === undefined) {
    const thing = certificateTypeCode ?? nameKey(name);
    const gap = { missing: 'type' as const, name, ...(certificateTypeCode !== undefined && { certificateTypeCode }) };
    return [{ key: JSON.stringify(['type', thing, responsible]), gap }];
  }
  return demand.fields
    .filter((_item, index) => fields[index] === undefined)
    .map((field) => ({
      key: JSON.stringify(['field', type.certificateTypeCode, field.fieldName ?? itemKey(field.name), responsible]),
      gap: { missing: 'field', certificateTypeCode: type.certificateTypeCode, name: type.name, field },
    }));
}

/** A name of the key for addresses and cursors, which take no Chinese. */
const idOf = (key: string): string => createHash('sha256').update(key).digest('base64url').slice(0, 22);

/**
 * The gaps of all demands, in order of their ids. Demands for the same thing from the same department are one gap: the same type, or the
 * same name where no code is known; the same field of the same type.
 */
export function gapsOf(judged: readonly JudgedDemand[], { at, today }: { at: Date; today: string }): SupplyGap[] {
  const groups = new Map<string, { lack: Lack; of: JudgedDemand[] }>();
  const inOrder = judged.filter(isUnmet).toSorted((a, b) => (a.demand.demandId < b.demand.demandId ? -1 : 1));
  for (const each of inOrder) {
    for (const lack of lacksOf(each)) {
      const group = groups.get(lack.key) ?? { lack, of: [] };
      group.of.push(each);
      groups.set(lack.key, group);
    }
  }
  return [...groups.values()]
    .map(({ lack, of }) => gapOf(lack, of, { at, today }))
    .toSorted((a, b) => (a.gapId < b.gapId ? -1 : 1));
}

function gapOf({ key, gap }: Lack, of: readonly JudgedDemand[], { at, today }: { at: Date; today: string }): SupplyGap {
  const wantedBy = of.map((judged) => ({ judged, answer: standingAnswer(judged.demand, today) }));
  const responsible = of[0]?.responsible;
  const state = stateOf(wantedBy, responsible);
  const by = wantedBy
    .flatMap(({ answer }) => answer?.by ?? [])
    .toSorted()
    .at(-1);
  return {
    ...gap,
    gapId: idOf(key),
    responsible,
    state,
    ...(state === 'will_supply' && by !== undefined && { by }),
    isOverdue: of.some((judged) => isLate(judged, at, today)),
    wantedBy,
  };
}

/** Open as long as one of those who declared it waits for an answer; a matter's demand awaits none. */
function stateOf(wantedBy: SupplyGap['wantedBy'], responsible: string | undefined): GapState {
  if (responsible === undefined) return 'unassigned';
  const answers = wantedBy
    .filter(({ judged }) => judged.demand.origin === 'declared')
    .map(({ answer }) => answer?.answer);
  if (answers.length === 0 || answers.includes(undefined)) return 'open';
  return answers.includes('will_supply') ? 'will_supply' : 'refused';
}
