/** What a check found wrong: the first hundred, and how many more, so that no input can fill the memory with its faults. */
export type Findings<Finding> = { readonly listed: Finding[]; more: number };

const maxListed = 100;

/** Nothing found yet. */
export const noFindings = <Finding>(): Findings<Finding> => ({ listed: [], more: 0 });

/** Adds a finding (changes the list). */
export function addFinding<Finding>(findings: Findings<Finding>, finding: Finding): void {
  if (findings.listed.length < maxListed) findings.listed.push(finding);
  else findings.more++;
}

/** How many there are, listed or not. */
export const countFindings = ({ listed, more }: Findings<unknown>): number => listed.length + more;
