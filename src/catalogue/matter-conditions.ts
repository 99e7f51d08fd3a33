import { isJsonObject, type JsonValue } from '../verification/encoding.ts';
import { normaliseHolderNumber } from '../verification/identifiers.ts';
import type { MatterCondition } from './matter.ts';

/** For what the conditions of a matter are asked. */
export interface ConditionsAsked {
  /** The day asked about, yyyy-mm-dd. */
  readonly day: string;
  /** The holder behind each party, by its code; the number in normal form. */
  readonly parties: ReadonlyMap<string, { readonly type: string; readonly number: string }>;
}

/** How a value is ordered: years, months and days of the calendar, amounts with two decimals, numbers. */
export type Unit = 'number' | 'day' | 'month' | 'year' | 'amount';

/** A value on its scale. */
export interface Placed {
  readonly unit: Unit;
  readonly at: number | bigint;
}

const daysIn = (year: number, month: number): number =>
  [31, year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][
    month - 1
  ] ?? 0;
const padded = (value: number, length: number): string => String(value).padStart(length, '0');

/**
 * The day so many calendar months before `day` (yyyy-mm-dd); after it for a negative number. The end of the month when that month is
 * shorter: one month before 31 March is 28 or 29 February. Never before the year 0.
 */
export function monthsBefore(day: string, months: number): string {
  const [year = 0, month = 1, dayOfMonth = 1] = day.split('-').map(Number);
  const count = Math.max(0, year * 12 + month - 1 - months);
  const [toYear, toMonth] = [Math.floor(count / 12), (count % 12) + 1];
  return `${padded(toYear, 4)}-${padded(toMonth, 2)}-${padded(Math.min(dayOfMonth, daysIn(toYear, toMonth)), 2)}`;
}

const isDay = (text: string): boolean => {
  const [year = 0, month = 0, day = 0] = text.split('-').map(Number);
  return day >= 1 && day <= daysIn(year, month);
};

/** Where a value stands on its scale; undefined for what has none. An amount is compared in hundredths, exactly. */
export function placed(value: unknown): Placed | undefined {
  if (typeof value === 'number') return Number.isFinite(value) ? { unit: 'number', at: value } : undefined;
  if (typeof value !== 'string') return undefined;
  if (/^\d{4}-\d{2}-\d{2}$/.test(value)) {
    return isDay(value) ? { unit: 'day', at: Number(value.replaceAll('-', '')) } : undefined;
  }
  if (/^\d{4}-(?:0[1-9]|1[0-2])$/.test(value)) return { unit: 'month', at: Number(value.replace('-', '')) };
  if (/^\d{4}$/.test(value)) return { unit: 'year', at: Number(value) };
  if (/^-?(?:0|[1-9]\d{0,30})\.\d{2}$/.test(value)) return { unit: 'amount', at: BigInt(value.replace('.', '')) };
  return undefined;
}

/** The day asked about less so many months, on the scale of the value that it is compared with. */
function placedBefore(day: string, months: number, unit: Unit): Placed | undefined {
  const before = monthsBefore(day, months);
  if (unit === 'day') return placed(before);
  if (unit === 'month') return placed(before.slice(0, 7));
  return unit === 'year' ? placed(before.slice(0, 4)) : undefined;
}

/** Below, equal or above the bound: −1, 0, 1. Undefined when the two cannot be compared. */
function compared(condition: MatterCondition, value: unknown, day: string): number | undefined {
  const [left, months] = [placed(value), condition.monthsBefore];
  if (left === undefined) return undefined;
  const right = months === undefined ? placed(condition.value) : placedBefore(day, months, left.unit);
  if (right?.unit !== left.unit) return undefined;
  if (left.at === right.at) return 0;
  return left.at < right.at ? -1 : 1;
}

/** Whether a value is the number of the party, or a list of holders (`certificateHolders`) in which the party stands. */
function isOfParty(value: unknown, party: { readonly type: string; readonly number: string } | undefined): boolean {
  if (party === undefined) return false;
  if (typeof value === 'string') return normaliseHolderNumber(party.type, value) === party.number;
  return (
    Array.isArray(value) &&
    value.some(
      (holder: JsonValue) =>
        isJsonObject(holder) &&
        holder['type'] === party.type &&
        typeof holder['number'] === 'string' &&
        normaliseHolderNumber(party.type, holder['number']) === party.number,
    )
  );
}

/**
 * Whether a value of the condition's field satisfies it. False for everything that cannot be compared: a missing value, another kind
 * of value, a party that nobody plays.
 */
export function isMet(condition: MatterCondition, value: unknown, { day, parties }: ConditionsAsked): boolean {
  switch (condition.is) {
    case 'equal':
      return condition.monthsBefore === undefined
        ? value !== undefined && value === condition.value
        : compared(condition, value, day) === 0;
    case 'one_of':
      return Array.isArray(condition.value) && condition.value.some((each) => each === value);
    case 'at_least':
      return (compared(condition, value, day) ?? -1) >= 0;
    case 'at_most':
      return (compared(condition, value, day) ?? 1) <= 0;
    case 'same_as_party':
      return condition.party !== undefined && isOfParty(value, parties.get(condition.party));
    default:
      return false;
  }
}

/** The first condition that the fields of a certificate do not satisfy; undefined when they satisfy all. */
export const firstUnmet = (
  conditions: readonly MatterCondition[],
  fields: Readonly<Record<string, unknown>>,
  asked: ConditionsAsked,
): MatterCondition | undefined =>
  conditions.find(
    (condition) =>
      !isMet(condition, Object.hasOwn(fields, condition.field) ? fields[condition.field] : undefined, asked),
  );
