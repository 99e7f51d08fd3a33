import type { ProblemWords } from './words.ts';

/** Problems of demands and supply gaps. */
export const demandsWords = {
  demand_unknown: {
    status: 404,
    title: { en: 'Demand not found', zh: '用证需求不存在' },
    detail: {
      en: 'There is no demand with this id that you may see, or do this to.',
      zh: '没有该编号的需求，或您无权查看或这样处理。',
    },
    next: {
      en: 'Take the id from the list of demands or of supply gaps.',
      zh: '请从需求清单或供给缺口清单中选取编号。',
    },
  },
  demand_closed: {
    status: 409,
    title: { en: 'Demand not open to this', zh: '用证需求当前不能这样处理' },
    detail: {
      en: 'The demand is withdrawn, matched by the catalogue or answered already; context.state says which.',
      zh: '该需求已撤回、已与目录匹配或已有答复；context.state 指明所处状态。',
    },
    next: { en: 'Read the demand as it stands now.', zh: '请查看该需求的当前情况。' },
  },
  demand_exists: {
    status: 409,
    title: { en: 'Demand on the list already', zh: '用证需求已在清单中' },
    detail: {
      en: 'Your department has declared this already, from the same issuer and for the same matters; context.demandId names it.',
      zh: '贵部门已就相同的证照、提供部门和事项申报过需求；编号见 context.demandId。',
    },
    next: {
      en: 'Follow that demand. To ask for other items, withdraw it and declare all that you need.',
      zh: '请沿用该需求；需要其他数据项的，请先撤回，再一并申报。',
    },
  },
  demand_invalid: {
    status: 422,
    title: { en: 'Demand or answer is not sound', zh: '用证需求或答复内容有误' },
    detail: {
      en: 'An item is named twice, a promise has no day to come or one more than two years ahead, or a day stands without a promise; context.pointer and context.rule name it.',
      zh: '数据项重复，承诺供给未给出将来的日期或超过两年，或未承诺供给却给出了日期；context.pointer 和 context.rule 指明所在。',
    },
    next: { en: 'Correct the part that context names.', zh: '请按 context 所示修改。' },
  },
} as const satisfies Readonly<Record<string, ProblemWords>>;
