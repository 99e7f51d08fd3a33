import type { Outcome } from '../entry.ts';

/** The same in Chinese and in English. */
export interface Bilingual {
  readonly zh: string;
  readonly en: string;
}

/** What was done, as a citizen would ask: did somebody look, verify, issue, supervise, or did I ask for this report myself? */
export type About =
  | 'lookup'
  | 'matter_check'
  | 'verification'
  | 'certificate'
  | 'department_read'
  | 'fault'
  | 'past_users'
  | 'audit'
  | 'report';

/** One certificate of the reader and what became known of it. `fields` are the titles of its fields. */
export interface SeenOfType {
  readonly type: Bilingual;
  /** `compare`: only yes or no for a value that the caller knew. `status`: nothing but whether it is in force. */
  readonly seen: 'fields' | 'compare' | 'status' | 'whole';
  readonly fields: readonly Bilingual[];
}

/** Facts of one record as far as its reader may know them. */
export interface AccessFacts {
  readonly about: About;
  readonly outcome: Outcome;
  /** Absent where nobody registered was calling: verification is open to anyone. */
  readonly department?: Bilingual;
  readonly system?: Bilingual;
  /** Absent where the matter is that of somebody else. */
  readonly purpose?: { readonly matter: Bilingual; readonly caseNumber: string; readonly legalBasis: string };
  /** The question was about another holder of a certificate that the reader holds as well. */
  readonly ofAnotherHolder?: boolean;
  readonly asked: readonly Bilingual[];
  readonly seen: readonly SeenOfType[];
  /** Step in the life of a certificate. */
  readonly step?: string;
  /** Who asked for a report in the reader's place. */
  readonly representative?: string;
  readonly secrecy?: { readonly releasedOn: string; readonly legalGround: string };
}

/** The sentence by which a person understands a record: who, why, what, with which outcome. Pure. */
export function readableAccess(facts: AccessFacts): Bilingual {
  const { secrecy } = facts;
  const said = sentences[facts.about](facts);
  if (secrecy === undefined) return said;
  return {
    zh: `${said.zh}此次查询依据“${secrecy.legalGround}”保密至${secrecy.releasedOn}。`,
    en: `${said.en} This was under secrecy until ${secrecy.releasedOn}, on the ground of "${secrecy.legalGround}".`,
  };
}

/** The sentence of a record whose body was erased. `recordedOn` and `erasedOn` are days of the city. */
export const readableErased = (recordedOn: string, erasedOn: string): Bilingual => ({
  zh: `${recordedOn}有一条与您有关的记录，其内容已于${erasedOn}依法清除，日志中仍留有凭证。`,
  en: `A record concerning you was made on ${recordedOn}. Its content was lawfully erased on ${erasedOn}; the log still holds its place.`,
});

/** The sentence of a record that fails its check. */
export const readableTampered = (recordedOn: string): Bilingual => ({
  zh: `${recordedOn}有一条与您有关的记录无法显示：存储的内容未通过校验，情况已上报。`,
  en: `A record of ${recordedOn} concerning you cannot be shown: what is stored fails its check. This has been reported.`,
});

const sentences: Readonly<Record<About, (facts: AccessFacts) => Bilingual>> = {
  lookup,
  matter_check: (facts) => {
    const [who, why] = [whoOf(facts), whyOf(facts)];
    return facts.outcome === 'answered'
      ? {
          zh: `${who.zh}${why.zh}核对了办理所需材料是否齐全；为此查询的每份证照另有记录。`,
          en: `${who.en}${why.en} checked what is still missing; each certificate looked up for it has a record of its own.`,
        }
      : {
          zh: `${who.zh}${why.zh}核对办理所需材料，没有得到结果。`,
          en: `${who.en}${why.en} tried to check what is still missing, without result.`,
        };
  },
  verification: ({ outcome, seen }) => {
    const { zh, en } = yours(seen);
    return outcome === 'answered'
      ? { zh: `有人在线核验了${zh}。`, en: `Somebody verified ${en} online.` }
      : { zh: `有人试图在线核验${zh}，没有结果。`, en: `Somebody tried to verify ${en} online, without result.` };
  },
  certificate: lifeStep,
  department_read: (facts) => {
    const who = whoOf(facts);
    const { zh, en } = yours(facts.seen);
    return facts.outcome === 'answered'
      ? {
          zh: `${who.zh}作为发证部门查看了${zh}。`,
          en: `${who.en}, which issues such certificates, read ${en}.`,
        }
      : { zh: `${who.zh}查看${zh}，没有成功。`, en: `${who.en} tried to read ${en}, without success.` };
  },
  fault: (facts) => {
    const who = whoOf(facts);
    return {
      zh: `${who.zh}查看了一份关于您的证照缺失、有误或无法读取的反馈。`,
      en: `${who.en} read a report that a certificate of yours is missing, wrong or unreadable.`,
    };
  },
  past_users: (facts) => {
    const who = whoOf(facts);
    const { zh, en } = yours(facts.seen);
    return {
      zh: `${who.zh}查询了哪些单位曾使用已被收回的${zh}，以便告知。`,
      en: `${who.en} asked who had used ${en}, which is withdrawn, so that they can be told.`,
    };
  },
  audit: (facts) => {
    const who = whoOf(facts);
    return {
      zh: `${who.zh}在审计监督中检索了与您有关的记录。`,
      en: `${who.en} searched records concerning you, as a supervisor of the use of certificates.`,
    };
  },
  report: (facts) => {
    const who = whoOf(facts);
    const by = representatives[facts.representative ?? ''];
    return by === undefined
      ? { zh: `您通过${who.zh}查看了本报告。`, en: `You read this report, through ${who.en}.` }
      : {
          zh: `您的${by.zh}通过${who.zh}查看了本报告。`,
          en: `Your ${by.en} read this report, through ${who.en}.`,
        };
  },
};

const representatives: Readonly<Record<string, Bilingual>> = {
  guardian: { zh: '监护人', en: 'guardian' },
  legal_representative: { zh: '法定代表人', en: 'legal representative' },
  power_of_attorney: { zh: '委托代理人', en: 'representative under a power of attorney' },
};

const bases: Readonly<Record<string, Bilingual>> = {
  statutory_duty: { zh: '依职能', en: 'its statutory duty' },
  own_application: { zh: '本人办事', en: 'your own application' },
  delegated: { zh: '委托授权', en: 'a delegation' },
};

function lookup(facts: AccessFacts): Bilingual {
  const who = whoOf(facts);
  const why = whyOf(facts);
  const what = asked(facts.asked);
  const of = (zh: string, en: string): Bilingual => ({ zh: `${who.zh}${why.zh}${zh}`, en: `${who.en}${why.en} ${en}` });
  if (facts.outcome === 'refused') {
    return of(
      `申请查询${what.zh}，被平台拒绝，没有得到任何信息。`,
      `asked about ${what.en}. The hub refused; it learned nothing.`,
    );
  }
  if (facts.outcome !== 'answered') {
    return of(
      `查询${what.zh}，查询未能完成，没有得到任何信息。`,
      `asked about ${what.en}. The question failed; it learned nothing.`,
    );
  }
  // The certificate that is shared is the reader's; what else the question touched is somebody else's.
  if (facts.seen.length === 0 && facts.ofAnotherHolder === true)
    return of('查看了您的证照。', 'saw a certificate of yours.');
  if (facts.seen.length === 0) return of(`查询${what.zh}，没有查到。`, `asked about ${what.en}. Nothing was found.`);
  const parts = facts.seen.map(seenPart);
  return of(`${parts.map(({ zh }) => zh).join('；')}。`, `${parts.map(({ en }) => en).join('; ')}.`);
}

function seenPart({ type, seen, fields }: SeenOfType): Bilingual {
  const zhFields = fields.map(({ zh }) => `“${zh}”`).join('、');
  const enFields = listed(fields.map(({ en }) => `"${en}"`));
  if (seen === 'status' || (fields.length === 0 && seen !== 'whole')) {
    return {
      zh: `得知您的“${type.zh}”的状态，没有看到其内容`,
      en: `learned the status of your "${type.en}", none of its content`,
    };
  }
  if (seen === 'compare') {
    return {
      zh: `就您的“${type.zh}”比对了${zhFields}，只得到“是”或“否”的答复`,
      en: `compared ${enFields} with your "${type.en}" and was told yes or no, not the values`,
    };
  }
  if (seen === 'whole') return { zh: `查看了您的“${type.zh}”`, en: `saw your "${type.en}"` };
  return { zh: `查看了您的“${type.zh}”中的${zhFields}`, en: `saw ${enFields} of your "${type.en}"` };
}

const steps: Readonly<Record<string, Bilingual>> = {
  pushed: { zh: '登记了%，尚未签发', en: '% was registered by @; it is not issued yet' },
  corrected: { zh: '更正了%的登记内容', en: 'the registered content of % was corrected by @' },
  approved: { zh: '审核通过了%', en: '% was approved by @' },
  returned: { zh: '退回了%的登记内容，待更正', en: 'the registered content of % was returned for correction by @' },
  sealed: { zh: '签发了%', en: '% was issued by @' },
  suspended: { zh: '暂停了%的效力', en: '% was suspended by @' },
  resumed: { zh: '恢复了%的效力', en: '% was put in force again by @' },
  revoked: { zh: '注销了%', en: '% was revoked by @' },
  superseded: { zh: '以新版本取代了%', en: '% was replaced with a new version by @' },
};

function lifeStep(facts: AccessFacts): Bilingual {
  const who = whoOf(facts);
  const what = yours(facts.seen);
  const words = steps[facts.step ?? ''] ?? { zh: '变更了%', en: '% was changed by @' };
  const en = words.en.replace('%', () => what.en).replace('@', () => who.en);
  return {
    zh: `${who.zh}${words.zh.replace('%', () => what.zh)}。`,
    en: `${en[0]?.toUpperCase() ?? ''}${en.slice(1)}.`,
  };
}

function whoOf({ department, system }: AccessFacts): Bilingual {
  if (department === undefined) return { zh: '有人', en: 'Somebody' };
  if (system === undefined) return department;
  return { zh: `${department.zh}（${system.zh}）`, en: `${department.en} (${system.en})` };
}

function whyOf({ purpose, ofAnotherHolder }: AccessFacts): Bilingual {
  if (purpose === undefined) {
    return ofAnotherHolder === true
      ? { zh: '在办理该证照其他持证主体的事项时，', en: ', in a matter of another holder of the certificate,' }
      : { zh: '', en: '' };
  }
  const { matter, caseNumber, legalBasis } = purpose;
  const basis = bases[legalBasis] ?? { zh: legalBasis, en: legalBasis };
  return {
    zh: `为办理事项“${matter.zh}”（办件“${caseNumber}”），依据“${basis.zh}”，`,
    en: `, for the matter "${matter.en}" (case "${caseNumber}") and on the basis of ${basis.en},`,
  };
}

/** Types that were asked about; of a question that named none, everything that the caller may ask. */
function asked(types: readonly Bilingual[]): Bilingual {
  if (types.length === 0) return { zh: '您的证照', en: 'your certificates' };
  return {
    zh: `您的${types.map(({ zh }) => `“${zh}”`).join('、')}`,
    en: `your ${listed(types.map(({ en }) => `"${en}"`))}`,
  };
}

/** "your X and your Y"; the reader's certificates in general where none can be named. */
function yours(seen: readonly SeenOfType[]): Bilingual {
  const types = new Map(seen.map(({ type }) => [type.en, type]));
  return types.size === 0 ? { zh: '您的证照', en: 'a certificate of yours' } : asked([...types.values()]);
}

const listed = (names: readonly string[]): string =>
  names.length < 2 ? (names[0] ?? '') : `${names.slice(0, -1).join(', ')} and ${names.at(-1) ?? ''}`;
