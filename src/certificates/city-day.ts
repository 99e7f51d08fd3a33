const formats = new Map<string, Intl.DateTimeFormat>();

const formatOf = (timeZone: string): Intl.DateTimeFormat => {
  let format = formats.get(timeZone);
  if (format === undefined) {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone,
      calendar: 'gregory',
      numberingSystem: 'latn',
      hourCycle: 'h23',
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
    });
    formats.set(timeZone, format);
  }
  return format;
};

/** What the clocks of the time zone show at that instant, as if they showed UTC. */
function wallClock(at: number, timeZone: string): number {
  const shown: Record<string, number> = {};
  for (const { type, value } of formatOf(timeZone).formatToParts(at)) shown[type] = Number(value);
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = shown;
  return Date.UTC(year, month - 1, day, hour, minute, second);
}

const dayMs = 86_400_000;
const dayPattern = /^(\d{4})-(\d{2})-(\d{2})$/;

/** Midnight of a yyyy-mm-dd as if it were UTC; undefined for a day that no calendar has or a year before 1000. */
function utcMidnight(day: string): number | undefined {
  const parts = dayPattern.exec(day);
  if (parts === null || day < '1000') return undefined;
  const at = Date.UTC(Number(parts[1]), Number(parts[2]) - 1, Number(parts[3]));
  return new Date(at).toISOString().startsWith(day) ? at : undefined;
}

/** Whether a text is a day of the Gregorian calendar as yyyy-mm-dd, from the year 1000 on. */
export const isCalendarDay = (day: string): boolean => utcMidnight(day) !== undefined;

/** The first instant of a calendar day in a time zone (IANA name). Throws RangeError for what is no day. */
export function startOfDay(day: string, timeZone: string): Date {
  const midnight = utcMidnight(day);
  if (midnight === undefined) throw new RangeError('not a calendar day');
  // Offsets are within a day; two candidates cover a change of the offset around that midnight.
  let earliest: number | undefined;
  for (const probe of [midnight - dayMs, midnight, midnight + dayMs]) {
    const candidate = midnight - (wallClock(probe, timeZone) - probe);
    if (wallClock(candidate, timeZone) === midnight && (earliest === undefined || candidate < earliest)) {
      earliest = candidate;
    }
  }
  if (earliest !== undefined) return new Date(earliest);
  // Midnight was skipped by the clocks (summer time from 0 h): the day begins when they jump.
  let before = midnight - dayMs;
  let after = midnight + dayMs;
  while (after - before > 1) {
    const middle = Math.floor((before + after) / 2);
    if (wallClock(middle, timeZone) < midnight) before = middle;
    else after = middle;
  }
  return new Date(after);
}

/** The first instant after a calendar day: the exclusive end of a validity that includes that day. */
export const endOfDay = (day: string, timeZone: string): Date => startOfDay(nextDay(day), timeZone);

/** The calendar day after this one. */
export const nextDay = (day: string): string => addDays(day, 1);

/** The calendar day so many days after this one. */
export function addDays(day: string, days: number): string {
  const midnight = utcMidnight(day);
  if (midnight === undefined) throw new RangeError('not a calendar day');
  return new Date(midnight + days * dayMs).toISOString().slice(0, 10);
}

/** The calendar day of an instant in a time zone. */
export const dayOf = (at: Date, timeZone: string): string =>
  new Date(wallClock(at.getTime(), timeZone)).toISOString().slice(0, 10);

/** The same day that many months later; the last day of the month where that month is shorter. */
export function addMonths(day: string, months: number): string {
  const midnight = utcMidnight(day);
  if (midnight === undefined) throw new RangeError('not a calendar day');
  const date = new Date(midnight);
  const last = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + months + 1, 0)).getUTCDate();
  const result = Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + months, Math.min(date.getUTCDate(), last));
  return new Date(result).toISOString().slice(0, 10);
}
