import type { Verdict } from './permission-oracle.ts';

/** The names that an SD-JWT discloses, in order of the alphabet. */
export const disclosed = (sdJwt: string): string[] =>
  sdJwt
    .split('~')
    .slice(1, -1)
    .map((part) => (JSON.parse(Buffer.from(part, 'base64url').toString('utf8')) as string[])[1] ?? '')
    .sort();

/** A verdict with its certificates in one order: permission does not decide theirs. */
export const inOrder = (verdict: Verdict): Verdict =>
  'left' in verdict ? { left: verdict.left.toSorted((a, b) => (a.identifier < b.identifier ? -1 : 1)) } : verdict;

/** JSON with the members of every object in order of the alphabet. */
export const canonical = (value: unknown): string =>
  JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );

/** @throws Error with both values where they differ */
export function mustEqual(what: string, got: unknown, wanted: unknown): void {
  if (canonical(got) !== canonical(wanted)) {
    throw new Error(`${what}\n  got    ${canonical(got)}\n  wanted ${canonical(wanted)}`);
  }
}
