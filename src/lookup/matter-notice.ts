import type { Bilingual } from '../catalogue/certificate-type.ts';
import type { Matter } from '../catalogue/matter.ts';
import type { Finding } from './matter-finding.ts';
import { type MatterNames, whatToSupply } from './matter-words.ts';

/** One thing that is missing. */
export interface NoticeItem {
  /** Code of the requirement. */
  readonly requirement: string;
  readonly name: Bilingual;
  readonly what: Bilingual;
  /** The last day to supply it. */
  readonly until?: string;
}

/** A department that a notice names. */
export interface NoticeDepartment {
  readonly departmentCode: string;
  readonly name: Bilingual;
}

/** The one-time notice of everything that is missing (补正材料通知书). */
export interface Notice {
  /** Names the record of the check. */
  readonly number: string;
  readonly date: string;
  /** Whose system made the check (出具部门). */
  readonly issuedBy: NoticeDepartment;
  /** The department of the matter where it is another (事项主管部门). */
  readonly competentDepartment?: NoticeDepartment;
  readonly items: readonly NoticeItem[];
  readonly text: Bilingual;
}

/** What a notice is made of. */
export interface NoticeInput {
  readonly matter: Matter;
  readonly findings: readonly Finding[];
  /** The department (code) of the calling system. */
  readonly issuedBy: string;
  readonly names: MatterNames;
  readonly caseNumber: string;
  /** Record of the check. */
  readonly recordId: string;
  /** The day on which it is given, yyyy-mm-dd. */
  readonly today: string;
}

type Missing = Finding & { readonly outcome: 'to_supply' | 'later' | 'declaration' };

const isMissing = (finding: Finding): finding is Missing =>
  finding.outcome === 'to_supply' || finding.outcome === 'later' || finding.outcome === 'declaration';

/**
 * The notice for everything that a person is asked for at once: what has to be supplied, may follow later, or may be declared. Undefined
 * when nothing is. What a grant would open or an issuer has not sealed yet is not the person's affair, and not in it. Nothing in it is
 * about a person: it names parties, certificate types and fields.
 */
export function noticeOf(input: NoticeInput): Notice | undefined {
  const missing = input.findings.filter(isMissing);
  if (missing.length === 0) return undefined;
  const lines = missing.map((finding) => ({ finding, item: itemOf(finding, input) }));
  const heads = departmentsOf(input);
  const number = `BZ-${input.today.replaceAll('-', '')}-${input.recordId}`;
  return {
    number,
    date: input.today,
    ...heads,
    items: lines.map(({ item }) => item),
    text: { zh: chinese({ number, ...heads }, lines, input), en: english({ number, ...heads }, lines, input) },
  };
}

function itemOf({ requirement, missing, outcome, declaration, until }: Missing, input: NoticeInput): NoticeItem {
  const { code, name, paper } = requirement;
  const what = whatToSupply(missing, { ...input, ...(paper !== undefined && { paper }) });
  const instead: Bilingual =
    outcome === 'declaration' && declaration !== undefined
      ? {
          zh: `也可作出书面承诺代替，承诺内容为：“${declaration.zh}”`,
          en: ` A written declaration may stand in its place: "${declaration.en}"`,
        }
      : { zh: '', en: '' };
  return {
    requirement: code,
    name,
    what: { zh: `${what.zh}${instead.zh}`, en: `${what.en}${instead.en}` },
    ...(until !== undefined && { until }),
  };
}

type Head = Pick<Notice, 'number' | 'issuedBy' | 'competentDepartment'>;

/** Who checks issues the notice: a hall that takes in the matters of others does not write in their name. */
function departmentsOf({ matter, issuedBy, names }: NoticeInput): Omit<Head, 'number'> {
  const named = (departmentCode: string): NoticeDepartment => ({
    departmentCode,
    name: names.department(departmentCode) ?? { zh: departmentCode, en: departmentCode },
  });
  const isOther = matter.departmentCode !== issuedBy;
  return { issuedBy: named(issuedBy), ...(isOther && { competentDepartment: named(matter.departmentCode) }) };
}

interface Line {
  readonly finding: Missing;
  readonly item: NoticeItem;
}

const outcomesInOrder = ['to_supply', 'later', 'declaration'] as const;
const headings: Readonly<Record<Missing['outcome'], Bilingual>> = {
  to_supply: { zh: '须补正的材料', en: 'To be supplied before the application can be accepted' },
  later: { zh: '可容缺受理、须按期补交的材料', en: 'May follow by the day named' },
  declaration: { zh: '可以告知承诺方式代替的材料', en: 'May be replaced by a declaration' },
};
const ordinals = ['一', '二', '三'];

function sections(
  lines: readonly Line[],
  write: (heading: Bilingual, i: number, lines: readonly Line[]) => string,
): string[] {
  return outcomesInOrder
    .map((outcome) => ({ outcome, lines: lines.filter(({ finding }) => finding.outcome === outcome) }))
    .filter((section) => section.lines.length > 0)
    .map((section, i) => write(headings[section.outcome], i, section.lines));
}

function chinese(head: Head, lines: readonly Line[], input: NoticeInput): string {
  const { matter, today } = input;
  const { competentDepartment: competent } = head;
  const parts = sections(lines, (heading, i, those) =>
    [
      `${ordinals[i]}、${heading.zh}`,
      ...those.map(({ finding, item }, j) =>
        [
          `${j + 1}.${item.name.zh}：${item.what.zh}`,
          `  依据：${finding.requirement.legalGround.zh}`,
          ...(item.until === undefined ? [] : [`  补正期限：${chineseDay(item.until)}前（含当日）`]),
        ].join('\n'),
      ),
    ].join('\n'),
  );
  return [
    '补正材料通知书',
    `编号：${head.number}`,
    `办理事项：${matter.name.zh}（${matter.matterCode}）`,
    `办件编号：${oneLine(input.caseNumber)}`,
    '',
    '申请人：',
    '您提交的上述事项申请收悉。经核查，下列材料尚不齐全或者不符合要求，现将需要补正的全部内容一次性告知如下：',
    ...parts,
    '',
    `补正期限：${lines.some(({ item }) => item.until !== undefined) ? '注明期限的，请于期限届满前补交；未注明期限的' : '未另行规定期限，上述材料'}，补齐后即予受理。`,
    '能够通过电子证照共享核验的材料，无须再提交纸质件。对本通知有异议的，可向出具部门提出。',
    '',
    `出具部门：${oneLine(head.issuedBy.name.zh)}`,
    ...(competent === undefined ? [] : [`事项主管部门：${oneLine(competent.name.zh)}`]),
    `日期：${chineseDay(today)}`,
  ].join('\n');
}

function english(head: Head, lines: readonly Line[], input: NoticeInput): string {
  const { matter, today } = input;
  const { competentDepartment: competent } = head;
  const parts = sections(lines, (heading, i, those) =>
    [
      `${i + 1}. ${heading.en}`,
      ...those.map(({ finding, item }, j) =>
        [
          `${i + 1}.${j + 1} ${item.name.en}: ${item.what.en}`,
          `  Legal ground: ${finding.requirement.legalGround.en}`,
          ...(item.until === undefined ? [] : [`  To be supplied by: ${item.until} (that day included)`]),
        ].join('\n'),
      ),
    ].join('\n'),
  );
  const dated = lines.some(({ item }) => item.until !== undefined);
  return [
    'Notice of material to be supplied',
    `Number: ${head.number}`,
    `Matter: ${matter.name.en} (${matter.matterCode})`,
    `Case: ${oneLine(input.caseNumber)}`,
    '',
    'To the applicant:',
    'Your application in the above matter was received and checked. The following is missing or does not meet the requirements; this notice names all of it at once:',
    ...parts,
    '',
    dated
      ? 'Time for supply: by the day named; where none is named, the application is accepted as soon as the material is complete.'
      : 'Time for supply: no day is set; the application is accepted as soon as the material is complete.',
    'What can be checked through shared electronic certificates need not be supplied on paper. Objections to this notice may be raised with the issuing department.',
    '',
    `Issued by: ${oneLine(head.issuedBy.name.en)}`,
    ...(competent === undefined ? [] : [`Competent for the matter: ${oneLine(competent.name.en)}`]),
    `Date: ${today}`,
  ].join('\n');
}

/** A caller's text must not write lines of its own into the notice. */
const oneLine = (text: string): string => text.replace(/[\s\p{C}]+/gu, ' ').trim();

const chineseDay = (day: string): string => {
  const [year = '', month = '', date = ''] = day.split('-');
  return `${Number(year)}年${Number(month)}月${Number(date)}日`;
};
