import type { ReportNames } from '../audit/report/access-item.ts';
import type { Bilingual } from '../catalogue/certificate-type.ts';
import type { ConditionValue, Matter, MatterCondition, MatterPaper } from '../catalogue/matter.ts';
import type { OpenCode, OpenReason, Reason, ReasonCode } from './matter-finding.ts';

/** The names that an answer about a matter uses. */
export type MatterNames = Pick<ReportNames, 'department' | 'type' | 'field'>;

const same = (text: string): Bilingual => ({ zh: text, en: text });
const joined = (parts: readonly Bilingual[], zh: string, en: string): Bilingual => ({
  zh: parts.map((part) => part.zh).join(zh),
  en: parts.map((part) => part.en).join(en),
});

/** A material by its names: whose, and which certificate. */
function materialName({ certificateTypeCode = '', party }: Reason, { matter, names }: WordsInput): Bilingual {
  const type = names.type(certificateTypeCode) ?? same(certificateTypeCode);
  const whose = matter.parties.find(({ code }) => code === party)?.name;
  if (whose === undefined) return { zh: `《${type.zh}》`, en: `"${type.en}"` };
  return { zh: `${whose.zh}的《${type.zh}》`, en: `"${type.en}" of ${lowerFirst(whose.en)}` };
}

const lowerFirst = (text: string): string => `the ${text.slice(0, 1).toLowerCase()}${text.slice(1)}`;

/** So many names are told, and that there are more. */
const toldAtMost = 5;

function someOf(all: readonly Bilingual[]): Bilingual {
  const told = joined(all.slice(0, toldAtMost), '、', ', ');
  return all.length > toldAtMost ? { zh: `${told.zh}等`, en: `${told.en} and others` } : told;
}

const valueWords = (value: ConditionValue): Bilingual => {
  if (typeof value === 'boolean') return value ? { zh: '是', en: 'yes' } : { zh: '否', en: 'no' };
  const text = String(value);
  return same(text.length > 60 ? `${text.slice(0, 59)}…` : text);
};

const bounds: Readonly<
  Record<'at_least' | 'at_most' | 'equal', { readonly amount: Bilingual; readonly day: Bilingual }>
> = {
  at_least: { amount: { zh: '不小于', en: 'at least' }, day: { zh: '不早于', en: 'not before' } },
  at_most: { amount: { zh: '不大于', en: 'at most' }, day: { zh: '不晚于', en: 'not after' } },
  equal: { amount: { zh: '为', en: '' }, day: { zh: '为', en: '' } },
};

/** What a condition demands, from the matter alone. */
function demandOf(condition: MatterCondition, matter: Matter): Bilingual {
  const { is, value, monthsBefore } = condition;
  if (is === 'same_as_party') {
    const party = matter.parties.find(({ code }) => code === condition.party)?.name ?? same(condition.party ?? '');
    return { zh: `应为${party.zh}`, en: `has to name ${lowerFirst(party.en)}` };
  }
  if (is === 'one_of') {
    const some = someOf((Array.isArray(value) ? (value as readonly ConditionValue[]) : []).map(valueWords));
    return { zh: `应为下列之一：${some.zh}`, en: `has to be one of: ${some.en}` };
  }
  const words = bounds[is];
  if (monthsBefore !== undefined) {
    const zh = monthsBefore === 0 ? '办理日' : `办理日前${monthsBefore}个月`;
    const en = monthsBefore === 0 ? 'the day of the matter' : `${monthsBefore} months before the day of the matter`;
    return { zh: `应${words.day.zh}${zh}`, en: spaced('has to be', words.day.en, en) };
  }
  const bound = valueWords(value as ConditionValue);
  const isDate = typeof value === 'string' && /^\d{4}(?:-\d{2}){0,2}$/.test(value);
  const compared = isDate ? words.day : words.amount;
  return { zh: `应${compared.zh}${bound.zh}`, en: spaced('has to be', compared.en, bound.en) };
}

const spaced = (...parts: readonly string[]): string => parts.filter((part) => part !== '').join(' ');

const permissionWords: Readonly<Record<string, Bilingual>> = {
  grant_expired: { zh: '用证授权已到期', en: 'your grant has expired' },
  grant_suspended: { zh: '用证授权已暂停', en: 'your grant is suspended' },
  grant_revoked: { zh: '用证授权已撤销', en: 'your grant was revoked' },
  certificate_type_retired: {
    zh: '该证照类型已停用，且尚无用证授权，也不能再申请',
    en: 'its type is retired, you have no grant for it and cannot apply for one',
  },
};

interface WordsInput {
  readonly matter: Matter;
  readonly names: MatterNames;
  /** Of a requirement that only paper proves. */
  readonly paper?: MatterPaper;
}

/** A reason in words, with the names of type and field, never a value of a person. */
export function reasonWords(reason: Reason, input: WordsInput): Bilingual {
  const { paper } = input;
  if (reason.code === 'paper_only') {
    return {
      zh: `须提交纸质材料${paper === undefined ? '' : `，由${paper.issuedBy.zh}出具`}。`,
      en: `It has to be supplied on paper${paper === undefined ? '' : `, issued by ${paper.issuedBy.en}`}.`,
    };
  }
  const name = materialName(reason, input);
  const said = predicates[reason.code](reason, input);
  return { zh: `${name.zh}：${said.zh}。`, en: `${name.en} ${said.en}.` };
}

/** What is said of a material, without its name. */
const predicates: Readonly<Record<ReasonCode, (reason: Reason, input: WordsInput) => Bilingual>> = {
  in_force: () => ({
    zh: '在所询日期有效，符合要求',
    en: 'is in force on the day asked about and meets the requirement',
  }),
  not_found: () => ({ zh: '未查到', en: 'was not found' }),
  not_in_force: () => ({ zh: '在所询日期不处于有效状态', en: 'is not in force on the day asked about' }),
  not_yet_sealed: () => ({ zh: '发证部门已登记，尚未签章', en: 'is registered with its issuer and not sealed yet' }),
  other_issuer: ({ issuedBy = [] }, { names }) => {
    const issuers = someOf(issuedBy.map((code) => names.department(code) ?? same(code)));
    return { zh: `须由${issuers.zh}签发`, en: `has to be issued by ${issuers.en}` };
  },
  condition_not_met: ({ condition, certificateTypeCode = '' }, { matter, names }) => {
    if (condition === undefined) return { zh: '不符合要求', en: 'does not meet the requirement' };
    const label = names.field(certificateTypeCode, condition.field) ?? same(condition.field);
    const demand = demandOf(condition, matter);
    return {
      zh: `“${label.zh}”不符合要求，${demand.zh}`,
      en: `does not meet the requirement: "${label.en}" ${demand.en}`,
    };
  },
  permission_missing: ({ refusal = '' }) => {
    const why = permissionWords[refusal] ?? { zh: '尚无用证授权', en: 'you have no grant for it' };
    return { zh: `未调用，${why.zh}`, en: `was not looked up: ${why.en}` };
  },
  ticket_needed: () => ({
    zh: '未调用，须凭用证码（授权如此规定，或依据委托授权）；请为该办件中的该当事人签发含此证照的用证码，放入 tickets 再行核对',
    en: 'was not looked up: the grant takes lookups under a ticket only, as every grant does on delegation; issue one for this party and certificate in this case, and check again with it in `tickets`',
  }),
  quota_used_up: () => ({ zh: '未调用，当日用证额度已用完', en: 'was not looked up: the quota of the day is used up' }),
  paper_only: () => ({ zh: '须提交纸质材料', en: 'has to be supplied on paper' }),
};

/** What the person is asked to bring for the missing materials of each list. */
export function whatToSupply(missing: readonly (readonly Reason[])[], input: WordsInput): Bilingual {
  const { paper } = input;
  if (paper !== undefined) {
    return {
      zh: `提交纸质材料，由${paper.issuedBy.zh}出具。办理方式：${endless(paper.howToObtain.zh)}。`,
      en: `Supply it on paper, issued by ${paper.issuedBy.en}. How to obtain it: ${endless(paper.howToObtain.en)}.`,
    };
  }
  const lists = missing.map((list) => {
    const wanted = list.map((reason) => {
      const name = materialName(reason, input);
      const why = predicates[reason.code](reason, input);
      return { zh: `${name.zh}（${why.zh}）`, en: `${name.en} (it ${why.en})` };
    });
    return joined(wanted, '；', '; ');
  });
  const [only, ...others] = lists;
  if (only === undefined) return { zh: '提交相关材料。', en: 'Supply the material.' };
  if (others.length === 0) return { zh: `提交${only.zh}。`, en: `Supply ${only.en}.` };
  const numbered = lists.map(({ zh, en }, i) => ({ zh: `（${i + 1}）${zh}`, en: `(${i + 1}) ${en}` }));
  const any = joined(numbered, '；', '; ');
  return { zh: `任选其一提交：${any.zh}。`, en: `Supply one of the following: ${any.en}.` };
}

/** Why the office has not seen the materials yet, as it is told to the person. */
export function whyOpen(reasons: readonly OpenReason[], input: WordsInput): Bilingual {
  const why = reasons.map((reason) => {
    const name = materialName(reason, input);
    const { zh, en } = openWords[reason.code];
    return { zh: `${name.zh}：${zh}`, en: `${name.en}: ${en}` };
  });
  const { zh, en } = joined(why, '；', '; ');
  return { zh: `${zh}。`, en: `${en}.` };
}

const openWords: Readonly<Record<OpenCode, Bilingual>> = {
  not_yet_sealed: {
    zh: '发证部门已登记，尚在审核、签章',
    en: 'registered with its issuer, which has not finished its review and sealed it',
  },
  permission_missing: {
    zh: '本机关尚无调用该证照的授权，须先取得授权或者另行核实',
    en: 'this office has no permission to look it up yet, and has to obtain it or verify by other means',
  },
  ticket_needed: {
    zh: '本机关调用该证照须凭该办件的用证码，尚待办理',
    en: 'this office looks it up under a ticket for the case only, which is yet to be issued',
  },
  quota_used_up: {
    zh: '本机关当日调用额度已用完，尚待调用',
    en: 'the quota of this office for the day is used up; it is yet to be looked up',
  },
};

const endless = (sentence: string): string => sentence.trim().replace(/[。.]+$/u, '');
