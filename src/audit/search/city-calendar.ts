import type { Span } from './overview-store.ts';

/** The city's calendar. */
export interface Calendar {
  /** IANA name. */
  readonly timeZone: string;
  /** The first instant of a day (yyyy-mm-dd). */
  readonly startOfDay: (day: string) => Date;
}

/** One day of the city. */
export interface Day extends Span {
  readonly day: string;
}

const dayMs = 86_400_000;

/** The city's day of a UTC midnight that stands for it. */
export function dayAt({ startOfDay }: Calendar, midnight: number): Day {
  const text = (at: number): string => new Date(at).toISOString().slice(0, 10);
  const day = text(midnight);
  return { day, from: startOfDay(day), until: startOfDay(text(midnight + dayMs)) };
}
