import type { Bilingual } from '../catalogue/certificate-type.ts';
import type { Matter } from '../catalogue/matter.ts';
import type { Finding, Outcome } from './matter-finding.ts';
import { type MatterNames, whatToSupply, whyOpen } from './matter-words.ts';

/** One thing that is missing. */
export interface NoticeItem {
  /** Code of the requirement. */
  readonly requirement: string;
  readonly name: Bilingual;
  readonly what: Bilingual;
  /** The last day to supply it. */
  readonly until?: string;
}

/** One thing that the office itself has to obtain or verify. */
export interface OpenItem {
  /** Code of the requirement. */
  readonly requirement: string;
  readonly name: Bilingual;
  /** What it waits for. */
  readonly why: Bilingual;
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
  /** Empty when what stands in `items` is all that keeps the application from being accepted. */
  readonly openAtOffice: readonly OpenItem[];
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

type MissingOutcome = Extract<Outcome, 'to_supply' | 'later' | 'declaration'>;
type Missing = Finding & { readonly outcome: MissingOutcome };

/** Who has to see to a requirement of an outcome. There is no third one: what is not satisfied stands somewhere in the notice. */
const whose: Readonly<
  Record<MissingOutcome, 'person'> & Record<Exclude<Outcome, MissingOutcome>, 'office' | undefined>
> = {
  satisfied: undefined,
  permission_needed: 'office',
  pending: 'office',
  to_supply: 'person',
  later: 'person',
  declaration: 'person',
};

const isMissing = (finding: Finding): finding is Missing => whose[finding.outcome] === 'person';

/**
 * The notice for everything that a person is asked for at once: what has to be supplied, may follow later, or may be declared. Undefined
 * when nothing is. What a grant would open or an issuer has not sealed yet is not asked of the person, but told: as long as it is open,
 * the office can neither promise to accept nor that no other notice follows. Nothing in it is about a person: it names parties,
 * certificate types and fields.
 */
export function noticeOf(input: NoticeInput): Notice | undefined {
  const missing = input.findings.filter(isMissing);
  if (missing.length === 0) return undefined;
  const lines = missing.map((finding) => ({ finding, item: itemOf(finding, input) }));
  const openAtOffice = input.findings
    .filter(({ outcome }) => whose[outcome] === 'office')
    .map(({ requirement: { code, name }, atOffice }) => ({ requirement: code, name, why: whyOpen(atOffice, input) }));
  const heads = { ...departmentsOf(input), openAtOffice };
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

type Head = Pick<Notice, 'number' | 'issuedBy' | 'competentDepartment' | 'openAtOffice'>;

/** Who checks issues the notice: a hall that takes in the matters of others does not write in their name. */
function departmentsOf({ matter, issuedBy, names }: NoticeInput): Pick<Head, 'issuedBy' | 'competentDepartment'> {
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
const openHeading: Bilingual = {
  zh: '由本机关核验、目前无须您提交的材料',
  en: 'Verified by this office; you need not supply it at present',
};
const ordinals = ['一', '二', '三', '四'];

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
          `${j + 1}.${oneLine(item.name.zh)}：${oneLine(item.what.zh)}`,
          `  依据：${oneLine(finding.requirement.legalGround.zh)}`,
          ...(item.until === undefined ? [] : [`  补正期限：${chineseDay(item.until)}前（含当日）`]),
        ].join('\n'),
      ),
    ].join('\n'),
  );
  const isFinal = head.openAtOffice.length === 0;
  const isDated = lines.some(({ item }) => item.until !== undefined);
  const openPart = [
    `${ordinals[parts.length]}、${openHeading.zh}`,
    ...head.openAtOffice.map(({ name, why }, j) => `${j + 1}.${oneLine(name.zh)}：${oneLine(why.zh)}`),
  ].join('\n');
  return [
    '补正材料通知书',
    `编号：${head.number}`,
    `办理事项：${oneLine(matter.name.zh)}（${matter.matterCode}）`,
    `办件编号：${oneLine(input.caseNumber)}`,
    '',
    '申请人：',
    isFinal
      ? '您提交的上述事项申请收悉。经核查，下列材料尚不齐全或者不符合要求，现将需要补正的全部内容一次性告知如下：'
      : '您提交的上述事项申请收悉。经核查，下列材料尚不齐全或者不符合要求，现将目前能够确定的需要补正的内容一并告知如下；其余材料由本机关核验，列于其后：',
    ...parts,
    ...(isFinal ? [] : [openPart]),
    '',
    isFinal
      ? `补正期限：${isDated ? '注明期限的，请于期限届满前补交；未注明期限的' : '未另行规定期限，上述材料'}，补齐后即予受理。`
      : `补正期限：${isDated ? '注明期限的，请于期限届满前补交；其他未另行规定期限' : '未另行规定期限'}。`,
    ...(isFinal
      ? []
      : [
          `受理：第${ordinals[parts.length]}项所列材料尚在核验，能否受理待核验后确定。核验符合要求的，您补齐须补正的材料后即予受理；核验发现材料不存在或者不符合要求的，本机关将告知您，届时可能需要您另行提交。`,
        ]),
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
          `${i + 1}.${j + 1} ${oneLine(item.name.en)}: ${oneLine(item.what.en)}`,
          `  Legal ground: ${oneLine(finding.requirement.legalGround.en)}`,
          ...(item.until === undefined ? [] : [`  To be supplied by: ${item.until} (that day included)`]),
        ].join('\n'),
      ),
    ].join('\n'),
  );
  const isFinal = head.openAtOffice.length === 0;
  const isDated = lines.some(({ item }) => item.until !== undefined);
  const number = parts.length + 1;
  const openPart = [
    `${number}. ${openHeading.en}`,
    ...head.openAtOffice.map(({ name, why }, j) => `${number}.${j + 1} ${oneLine(name.en)}: ${oneLine(why.en)}`),
  ].join('\n');
  return [
    'Notice of material to be supplied',
    `Number: ${head.number}`,
    `Matter: ${oneLine(matter.name.en)} (${matter.matterCode})`,
    `Case: ${oneLine(input.caseNumber)}`,
    '',
    'To the applicant:',
    isFinal
      ? 'Your application in the above matter was received and checked. The following is missing or does not meet the requirements; this notice names all of it at once:'
      : 'Your application in the above matter was received and checked. The following is missing or does not meet the requirements; this notice names all that can be said now, and what this office is still verifying:',
    ...parts,
    ...(isFinal ? [] : [openPart]),
    '',
    timeForSupply(isDated, isFinal),
    ...(isFinal
      ? []
      : [
          `Acceptance: what part ${number} names is still being verified, and whether the application is accepted is decided after that. If it is in order, the application is accepted as soon as the material to be supplied is complete; should any of it turn out not to exist or not to meet the requirements, this office will tell you, and you may have to supply it.`,
        ]),
    'What can be checked through shared electronic certificates need not be supplied on paper. Objections to this notice may be raised with the issuing department.',
    '',
    `Issued by: ${oneLine(head.issuedBy.name.en)}`,
    ...(competent === undefined ? [] : [`Competent for the matter: ${oneLine(competent.name.en)}`]),
    `Date: ${today}`,
  ].join('\n');
}

function timeForSupply(isDated: boolean, isFinal: boolean): string {
  const accepted = 'the application is accepted as soon as the material is complete';
  if (!isFinal)
    return `Time for supply: ${isDated ? 'by the day named; where none is named, none is set' : 'no day is set'}.`;
  return `Time for supply: ${isDated ? 'by the day named; where none is named,' : 'no day is set;'} ${accepted}.`;
}

/** What a caller or a department wrote must not put lines of its own into the notice. */
const oneLine = (text: string): string => text.replace(/[\s\p{C}]+/gu, ' ').trim();

const chineseDay = (day: string): string => {
  const [year = '', month = '', date = ''] = day.split('-');
  return `${Number(year)}年${Number(month)}月${Number(date)}日`;
};
