import { printableJson, printableLines } from './printable.ts';

/** What a check found, for people and for programs. */

/** A sentence in both languages. */
export type Words = { readonly en: string; readonly zh: string };

/** A sentence, or the name of a fact, in both languages. */
export const label = (en: string, zh: string): Words => ({ en, zh });

/** Something wrong: where, which, and in words. */
export type Fault = Words & {
  /** Members that say where: `file`, `line`, `index` of the leaf, `recordId`. */
  readonly where: Readonly<Record<string, string | number>>;
  readonly code: string;
  /** What was found to be proved stands all the same: it is about a damaged thing beside it. */
  readonly aside?: true;
};

export type Report = {
  readonly title: Words;
  /** What was looked at: label and value. */
  readonly facts: readonly (readonly [label: Words, value: string])[];
  readonly proved: readonly Words[];
  /** What a reader might believe and must not. */
  readonly notProved: readonly Words[];
  /** Not wrong, but asked for and not to be told from what was given. */
  readonly undecided: readonly Words[];
  readonly faults: readonly Fault[];
  /** Faults beyond those listed. */
  readonly moreFaults: number;
};

/** 0: proved · 14: nothing wrong, something could not be told · 17: something is wrong. */
const exitCodeOf = ({ faults, undecided }: Report): number => (faults.length > 0 ? 17 : undecided.length > 0 ? 14 : 0);

const results: Readonly<Record<number, Words>> = {
  0: {
    en: 'Correct as far as listed under Proved. What stands under NOT proved was not checked.',
    zh: '「已证明」各项成立；「未证明」各项未作核验。',
  },
  14: { en: 'Nothing wrong was found, but not everything could be told.', zh: '未发现错误，但有内容无法判断。' },
  17: { en: 'WRONG. Do not rely on it.', zh: '有误。不可采信。' },
};

/** Nothing is proved by a thing that is wrong; a damaged checkpoint beside it takes nothing away. */
const isSound = ({ faults, moreFaults }: Report): boolean =>
  moreFaults === 0 && faults.every(({ aside }) => aside === true);

/** The report for a person. */
function asText(report: Report): string {
  const { title, facts, proved, notProved, undecided, faults, moreFaults } = report;
  const lines = [`${title.en} ${title.zh}`, ...facts.map(([{ en, zh }, value]) => `  ${en} ${zh}: ${value}`)];
  const list = (heading: string, items: readonly string[]): void => {
    if (items.length > 0) lines.push('', heading, ...items.map((item) => `  - ${item}`));
  };
  const both = ({ en, zh }: Words): string => `${en} ${zh}`;
  if (isSound(report)) list('Proved 已证明', proved.map(both));
  list('NOT proved 未证明', notProved.map(both));
  list('Could not be told 无法判断', undecided.map(both));
  list('Wrong 错误', faults.map(faultLine));
  if (moreFaults > 0) lines.push(`  … ${moreFaults} more 另有 ${moreFaults} 处`);
  const code = exitCodeOf(report);
  const result = results[code] ?? { en: '', zh: '' };
  lines.push('', `Result 结论 (${code}): ${result.en} ${result.zh}`);
  return printableLines(lines);
}

const placeNames: Readonly<Record<string, string>> = {
  file: 'file 文件',
  line: 'line 行',
  index: 'leaf 叶序号（自 0 起）',
  place: 'place 位置',
  recordId: 'record 记录',
};

function faultLine({ where, code, en, zh }: Fault): string {
  const place = Object.entries(where).map(([name, value]) => `${placeNames[name] ?? name} ${value}`);
  return `${place.join(', ')}${place.length > 0 ? ': ' : ''}${en} ${zh} [${code}]`;
}

/** The report for a program. */
function asJson(report: Report): string {
  const { title, facts, proved, notProved, undecided, faults, moreFaults } = report;
  const code = exitCodeOf(report);
  const named = facts.map(([label, value]) => ({ ...label, value }));
  const document = {
    result: code,
    valid: code === 0,
    title,
    facts: named,
    proved: isSound(report) ? proved : [],
    notProved,
    undecided,
    faults,
    moreFaults,
  };
  return printableJson(document);
}

/** The report as an offline command prints it, and its exit code. */
export const printedReport = (report: Report, isJson: boolean): { text: string; exitCode: number } => ({
  text: isJson ? asJson(report) : asText(report),
  exitCode: exitCodeOf(report),
});
