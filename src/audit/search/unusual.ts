/**
 * What counts as unusual, in numbers. Nothing here accuses anybody: each finding says what was counted, what would have been usual,
 * and which search shows the records. Public holidays are unknown to the hub, and a case may concern a family: thresholds are set so
 * that the ordinary stays below them.
 */
export const unusualRules = {
  /** A day is compared with so many days before it, those on which there was nothing left out. */
  habitDays: 28,
  /** With fewer such days there is no habit yet. */
  habitNeeds: 5,
  /** Distinct holders a day below which no client or officer is ever unusual, with a habit and without. */
  fewHolders: 20,
  fewHoldersWithoutHabit: 50,
  /** Working hours in the city's time zone, Monday to Friday: from 07:00 to before 20:00. */
  workFrom: 7,
  workUntil: 20,
  /** Accesses of one client and officer in one night or on one day of a weekend. */
  offHoursAccesses: 10,
  /** Windows of days for the two rules below. */
  windowDays: 7,
  /** Departments that asked about one holder within a window. */
  departmentsOfHolder: 5,
  /** Distinct holders under one case number of one department within a window; a family has one case. */
  holdersOfCase: 6,
} as const;

/** A sentence for both readers. */
export interface Words {
  readonly zh: string;
  readonly en: string;
}

/** The search that finds the records behind a finding: members of a record search. */
export interface FindingFilter {
  readonly clientId?: string;
  readonly departmentCode?: string;
  readonly holderKey?: string;
  readonly officerKey?: string;
  readonly caseKey?: string;
  readonly kinds: readonly ['access'];
  readonly from: Date;
  readonly until: Date;
}

export type FindingRule =
  | 'many_holders_by_client'
  | 'many_holders_by_officer'
  | 'off_hours'
  | 'holder_asked_by_many_departments'
  | 'case_number_across_holders';

export interface Finding {
  readonly rule: FindingRule;
  readonly count: number;
  /** What would not have been listed: the count is above it. */
  readonly usual: number;
  readonly words: Words;
  readonly search: FindingFilter;
}

/**
 * The greatest number of distinct holders a day that is still usual for somebody with these days behind them: the median and five
 * times the spread (median of the absolute deviations, scaled by 1.4826 to a standard deviation), at least twice the median, and
 * never below `fewHolders`. Median and spread, unlike mean and deviation, are not moved by the one day that is looked for.
 */
export function usualHolders(daysBefore: readonly number[]): number {
  const days = daysBefore.filter((count) => count > 0);
  if (days.length < unusualRules.habitNeeds) return unusualRules.fewHoldersWithoutHabit;
  const middle = median(days);
  const spread = 1.4826 * median(days.map((count) => Math.abs(count - middle)));
  return Math.max(unusualRules.fewHolders, Math.ceil(Math.max(2 * middle, middle + 5 * spread)));
}

/** The middle of a list that is not empty; of an even number the mean of the two in the middle. */
function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = Math.floor(sorted.length / 2);
  const upper = sorted[half] ?? 0;
  return sorted.length % 2 === 1 ? upper : ((sorted[half - 1] ?? 0) + upper) / 2;
}

/** Why a finding is listed, by numbers and the day (yyyy-mm-dd): nothing in it is a person's data. */
export const wordsOf: Readonly<
  Record<FindingRule, (facts: { readonly count: number; readonly usual: number; readonly when: string }) => Words>
> = {
  many_holders_by_client: ({ count, usual, when }) => ({
    zh: `接入系统在${when}查询了${count}个不同持证主体，超出其自身以往习惯（不超过${usual}个）。`,
    en: `On ${when} this client asked about ${count} different holders; by its own habit up to ${usual} would be usual.`,
  }),
  many_holders_by_officer: ({ count, usual, when }) => ({
    zh: `经办人在${when}查询了${count}个不同持证主体，超出其自身以往习惯（不超过${usual}个）。`,
    en: `On ${when} this officer asked about ${count} different holders; by their own habit up to ${usual} would be usual.`,
  }),
  off_hours: ({ count, usual, when }) => ({
    zh: `${when}非工作时间（工作日${unusualRules.workFrom}时至${unusualRules.workUntil}时以外）访问${count}次，超过${usual}次。`,
    en: `From ${when} there were ${count} accesses outside working hours (Monday to Friday, ${unusualRules.workFrom}:00 to ${unusualRules.workUntil}:00), more than ${usual}.`,
  }),
  holder_asked_by_many_departments: ({ count, usual, when }) => ({
    zh: `自${when}起${unusualRules.windowDays}天内，同一持证主体被${count}个部门查询，超过${usual}个。`,
    en: `Within ${unusualRules.windowDays} days from ${when}, ${count} departments asked about the same holder, more than ${usual}.`,
  }),
  case_number_across_holders: ({ count, usual, when }) => ({
    zh: `自${when}起${unusualRules.windowDays}天内，同一办件编号下查询了${count}个不同持证主体，超过${usual}个。`,
    en: `Within ${unusualRules.windowDays} days from ${when}, ${count} different holders were asked about under the same case number, more than ${usual}.`,
  }),
};
