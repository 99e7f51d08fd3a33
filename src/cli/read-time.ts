import { UsageError } from './usage-error.ts';

const shape = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-]\d{2}:\d{2})$/;

/** The time that an option says (RFC 3339), in epoch milliseconds. @throws UsageError */
export function readTime(option: string, text: string): number {
  const time = shape.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(time) || !isDay(text.slice(0, 10))) {
    throw new UsageError(`${option} must be a time such as 2026-11-22T08:00:00Z`);
  }
  return time;
}

/** `Date.parse` rolls 30 February over to March. */
const isDay = (day: string): boolean => new Date(`${day}T00:00:00Z`).toISOString().startsWith(day);
