import { Refusal } from '../errors.ts';

const windowMs = 10 * 60_000;
const maxWrong = 10;
const maxRemembered = 10_000;

/** Counts wrong answers to "are these the values on this certificate?", so that trying values out leads nowhere. */
export interface GuessLimit {
  /** Throws `rate_limited` with `retryAfterSeconds` when too many wrong values were tried on this certificate. */
  admit(series: string): void;
  wrong(series: string): void;
}

/**
 * Ten wrong answers for a certificate in ten minutes, whoever asks: then nobody is answered about values of this one
 * until the ten minutes are over. Verifying the sealed certificate itself is not limited. `clock` in milliseconds; `most` for what takes
 * another number than ten.
 */
export function limitGuesses(clock: () => number = () => performance.now(), most: number = maxWrong): GuessLimit {
  const counts = new Map<string, { readonly since: number; wrong: number }>();
  const current = (series: string) => {
    const count = counts.get(series);
    return count !== undefined && clock() - count.since < windowMs ? count : undefined;
  };
  return {
    admit(series) {
      const count = current(series);
      if (count === undefined || count.wrong < most) return;
      throw new Refusal('rate_limited', { retryAfterSeconds: Math.ceil((count.since + windowMs - clock()) / 1_000) });
    },
    wrong(series) {
      const count = current(series);
      if (count !== undefined) {
        count.wrong++;
        return;
      }
      counts.delete(series);
      // the oldest goes: its window ends first
      const oldest = counts.size < maxRemembered ? undefined : counts.keys().next().value;
      if (oldest !== undefined) counts.delete(oldest);
      counts.set(series, { since: clock(), wrong: 1 });
    },
  };
}
