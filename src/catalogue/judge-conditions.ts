import type { JsonObject } from '../verification/encoding.ts';
import type { FieldDefinition } from './certificate-type.ts';
import { type CheckValue, compileFieldSchema } from './field-schema.ts';
import { areDistinct, type ConditionValue, type MatterCondition, type MatterParty } from './matter.ts';
import { isMet, monthsBefore, placed, type Unit } from './matter-conditions.ts';

/** What is wrong with a condition: which one, where in it, and which rule it breaks. Never its value. */
export interface ConditionFault {
  readonly index: number;
  /** JSON pointer within the condition. */
  readonly pointer: string;
  readonly rule: string;
}

/** On what conditions are judged. */
export interface ConditionsBasis {
  /** Fields of the type, the standard ones included. */
  readonly fields: readonly FieldDefinition[];
  readonly parties: readonly MatterParty[];
  /** The day from which on they have to be possible, yyyy-mm-dd. */
  readonly today: string;
}

/** A field as conditions see it. */
interface Judged {
  readonly schema: JsonObject;
  readonly check: CheckValue;
  readonly name: string;
  /** The scale of its values; undefined when they have no order. */
  readonly unit: Unit | undefined;
}

/**
 * Judges the conditions of one material: each has exactly what its operator needs, a value that its field can hold, and together they
 * leave some value possible on some day from today on. The first fault, or undefined.
 */
export function judgeConditions(
  conditions: readonly MatterCondition[],
  basis: ConditionsBasis,
): ConditionFault | undefined {
  const byField = new Map<string, { readonly field: Judged; readonly seen: MatterCondition[] }>();
  for (const [index, condition] of conditions.entries()) {
    const known = byField.get(condition.field) ?? begin(condition, basis);
    if (known === undefined) return { index, pointer: '/field', rule: 'field_unknown' };
    byField.set(condition.field, known);
    const fault = judgeForm(condition) ?? judgeValue(condition, known.field, basis);
    if (fault !== undefined) return { index, ...fault };
    if (!isPossible([condition], known.field, basis)) return { index, pointer: '', rule: 'out_of_range' };
    known.seen.push(condition);
    if (!isPossible(known.seen, known.field, basis)) return { index, pointer: '', rule: 'contradiction' };
  }
  return undefined;
}

function begin(
  { field: name }: MatterCondition,
  { fields }: ConditionsBasis,
): { readonly field: Judged; readonly seen: MatterCondition[] } | undefined {
  const found = fields.find((field) => field.name === name);
  if (found === undefined) return undefined;
  const { schema } = found;
  const check = compileFieldSchema(schema);
  return { field: { schema, check, name, unit: unitOf(schema, check) }, seen: [] };
}

type Fault = Omit<ConditionFault, 'index'>;

/** Which members each operator takes. */
function judgeForm({ is, value, monthsBefore: months, party }: MatterCondition): Fault | undefined {
  if (is === 'same_as_party') {
    if (value !== undefined || months !== undefined) return { pointer: '', rule: 'party_only' };
    return party === undefined ? { pointer: '', rule: 'party_missing' } : undefined;
  }
  if (party !== undefined) return { pointer: '/party', rule: 'party_not_allowed' };
  if (is === 'one_of') {
    if (months !== undefined) return { pointer: '/monthsBefore', rule: 'months_not_allowed' };
    return Array.isArray(value) && value.length > 0 ? undefined : { pointer: '/value', rule: 'list_missing' };
  }
  if ((value === undefined) === (months === undefined)) return { pointer: '', rule: 'value_or_months' };
  return Array.isArray(value) ? { pointer: '/value', rule: 'list_not_allowed' } : undefined;
}

function judgeValue(condition: MatterCondition, field: Judged, basis: ConditionsBasis): Fault | undefined {
  const { is, value, monthsBefore: months } = condition;
  if (is === 'same_as_party') return judgeParty(condition, field, basis);
  if (months !== undefined) {
    const isCalendar = field.unit === 'day' || field.unit === 'month' || field.unit === 'year';
    return isCalendar ? undefined : { pointer: '/monthsBefore', rule: 'not_a_date' };
  }
  if (is === 'at_least' || is === 'at_most') return judgeBound(value, field);
  const wrong = listOf(value).findIndex((each) => !isScalar(each) || field.check(each) !== undefined);
  if (wrong < 0) return undefined;
  return { pointer: is === 'one_of' ? `/value/${wrong}` : '/value', rule: 'not_of_the_field' };
}

function judgeBound(value: MatterCondition['value'], { schema, unit }: Judged): Fault | undefined {
  if (unit === undefined) return { pointer: '/is', rule: 'not_ordered' };
  const isWhole = schema['type'] !== 'integer' || Number.isInteger(value);
  return placed(value)?.unit === unit && isWhole ? undefined : { pointer: '/value', rule: 'not_of_the_field' };
}

/** Numbers of holders, none of them anybody's: a field that takes none of them holds no number of a party. */
const numbersOf = {
  person: ['99000019900101001X', '990000199001010010', 'E00000000'],
  organisation: ['91999900MA0000000X', '919999000000000000'],
} as const;

function judgeParty({ party }: MatterCondition, field: Judged, { parties }: ConditionsBasis): Fault | undefined {
  const found = parties.find(({ code }) => code === party);
  if (found === undefined) return { pointer: '/party', rule: 'party_unknown' };
  const canHold = numbersOf[found.kind].some(
    (number) =>
      field.check(number) === undefined ||
      field.check([{ type: found.kind === 'person' ? '111' : '001', number, name: 'x' }]) === undefined,
  );
  return canHold ? undefined : { pointer: '/field', rule: 'no_number' };
}

const isScalar = (value: unknown): value is ConditionValue =>
  typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
const listOf = (value: MatterCondition['value']): readonly ConditionValue[] => {
  if (value === undefined) return [];
  return Array.isArray(value) ? (value as readonly ConditionValue[]) : [value as ConditionValue];
};

/** One text of each scale that a field of it would take. */
const texts: Readonly<Record<Exclude<Unit, 'number'>, readonly string[]>> = {
  day: ['2024-02-28', '2000-01-01', '1990-12-31'],
  month: ['2024-02', '2000-01', '1990-12'],
  year: ['2024', '2000', '1990'],
  amount: ['12.30', '0.00', '1000.50', '999999.00'],
};
const noneOfThem = ['', 'x', '甲', '7', '12345', '1.5', '2000/01', '2000-01-01T00:00:00Z'];

/**
 * The scale of a field. A schema does not say that a text is a month or an amount, so it is asked: it takes such texts and no others.
 * A list of values is of their common scale.
 */
function unitOf(schema: JsonObject, check: CheckValue): Unit | undefined {
  const { type } = schema;
  if (type === 'number' || type === 'integer') return 'number';
  if (type !== 'string') return undefined;
  const listed = listedIn(schema);
  if (listed !== undefined) {
    const units = new Set(listed.map((value) => placed(value)?.unit));
    return units.size === 1 ? [...units][0] : undefined;
  }
  const takes = (text: string): boolean => check(text) === undefined;
  if (noneOfThem.some(takes)) return undefined;
  const units = (['day', 'month', 'year', 'amount'] as const).filter((unit) => texts[unit].some(takes));
  return units.length === 1 ? units[0] : undefined;
}

/** The values that a schema lists; undefined when it lists none. */
function listedIn({ type, enum: all, const: only }: JsonObject): readonly unknown[] | undefined {
  if (only !== undefined) return [only];
  if (Array.isArray(all)) return all;
  return type === 'boolean' ? [true, false] : undefined;
}

/** Whether some value of the field satisfies all the conditions (all of one field) on some day from today on. */
function isPossible(conditions: readonly MatterCondition[], field: Judged, basis: ConditionsBasis): boolean {
  if (!canBeOnePerson(conditions, field, basis)) return false;
  const compared = conditions.filter(({ is }) => is !== 'same_as_party');
  if (compared.length === 0) return true;
  const listed = listedIn(field.schema);
  // Of a text with a scale every place on it counts as possible: nobody can tell from a pattern alone. The values of `equal` and
  // `one_of` were checked one by one.
  const isOpen = listed === undefined && field.unit !== undefined && field.unit !== 'number';
  return daysToTry(compared, basis.today).some((day) =>
    [...(listed ?? []), ...valuesToTry(compared, field, day)].some(
      (value) =>
        (isOpen || field.check(value) === undefined) &&
        compared.every((condition) => isMet(condition, value, { day, parties: new Map() })),
    ),
  );
}

/**
 * One text cannot be the numbers of a person and of an organisation, nor of two parties that have to be distinct; a list of holders can
 * hold them all.
 */
function canBeOnePerson(
  conditions: readonly MatterCondition[],
  { schema }: Judged,
  { parties }: ConditionsBasis,
): boolean {
  if (schema['type'] !== 'string') return true;
  const named = conditions
    .filter(({ is }) => is === 'same_as_party')
    .flatMap(({ party }) => parties.find(({ code }) => code === party) ?? []);
  return named.every((one, i) =>
    named.slice(i + 1).every((other) => one.kind === other.kind && !areDistinct(one, other)),
  );
}

/**
 * Bounds that move with the day reach every fixed value in time, or have passed it already: today is tried, and the days on which a
 * bound reaches a fixed value (a few, because months end differently).
 */
function daysToTry(conditions: readonly MatterCondition[], today: string): readonly string[] {
  const fixed = conditions.flatMap(({ value }) => listOf(value)).filter((value) => typeof value === 'string');
  const later = conditions.flatMap(({ monthsBefore: months }) =>
    months === undefined
      ? []
      : fixed
          .filter((text) => placed(text) !== undefined)
          .map((text) => monthsBefore(`${text}-01-01`.slice(0, 10), -months))
          .flatMap((day) => [0, 1, 2, 3].map((more) => plusDays(day, more))),
  );
  return [today, ...new Set(later)].filter((day) => day >= today);
}

const plusDays = (day: string, days: number): string => {
  const time = new Date(`${day}T00:00:00Z`);
  time.setUTCDate(time.getUTCDate() + days);
  return time.toISOString().slice(0, 10);
};

/** If any value satisfies the conditions, one of these does: bounds, listed values, and what lies next to or between them. */
function valuesToTry(
  conditions: readonly MatterCondition[],
  { schema, unit }: Judged,
  day: string,
): readonly unknown[] {
  const given: readonly ConditionValue[] = conditions.flatMap(({ value, monthsBefore: months }) => {
    if (months === undefined) return listOf(value);
    const before = monthsBefore(day, months);
    return [unit === 'day' ? before : before.slice(0, unit === 'month' ? 7 : 4)];
  });
  if (unit !== 'number') return given;
  const bounds = ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum'].map((keyword) => schema[keyword]);
  const points = [...given, ...bounds].filter((value) => typeof value === 'number').toSorted((a, b) => a - b);
  const between = points.flatMap((point, i) => [point - 1, point, point + 1, (point + (points[i + 1] ?? point)) / 2]);
  const step = schema['type'] === 'integer' ? 1 : schema['multipleOf'];
  const onStep =
    typeof step === 'number'
      ? between.flatMap((point) => [Math.floor(point / step) * step, Math.ceil(point / step) * step])
      : [];
  return [...between, ...onStep];
}
