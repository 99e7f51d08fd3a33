import type { ProblemWords } from './words.ts';

/** Problems of demands for paper. */
export const paperDemandsWords = {
  requirement_unknown: {
    status: 422,
    title: { en: 'Matter has no such requirement', zh: '该事项没有这项材料要求' },
    detail: {
      en: 'The newest version of the matter has no requirement of this code.',
      zh: '该事项的最新版本中没有该编码的材料要求。',
    },
    next: {
      en: 'Take the code from the matter; for something the matter does not ask for, leave it out and say in `what` what it is.',
      zh: '请从事项中选取编码；所要求的材料不在事项之内的，请不填编码，并在 what 中写明。',
    },
  },
  paper_demand_unknown: {
    status: 404,
    title: { en: 'Demand for paper not found', zh: '纸质材料要求记录不存在' },
    detail: {
      en: 'There is no demand with this id that you, or the person you act for, may see.',
      zh: '没有该编号的记录，或您及您所代表的人无权查看。',
    },
    next: { en: 'Take the id from the list or the search.', zh: '请从列表或查询结果中选取编号。' },
  },
  paper_demand_exists: {
    status: 409,
    title: { en: 'Demand for paper already on file', zh: '该纸质材料要求已登记在案' },
    detail: {
      en: 'The same demand of the same office stands on file already: context.paperDemandId.',
      zh: '同一部门的同一材料要求已登记在案，编号见 context.paperDemandId。',
    },
    next: {
      en: 'A portal contests that one for the person; an office need not record it again.',
      zh: '门户请代当事人对该记录提出异议；办理部门无须重复登记。',
    },
  },
  paper_demand_closed: {
    status: 409,
    title: { en: 'Demand for paper not open to this', zh: '该纸质材料要求当前不能这样处理' },
    detail: {
      en: 'Nobody waits for this answer, the last word is spoken, or it is the turn of somebody else; context.state says which, and context.dueAt until when the office has time to answer.',
      zh: '当前无须答复、已有最终答复，或应由他方处理；context.state 指明所处状态，context.dueAt 指明办理部门的答复期限。',
    },
    next: {
      en: 'Read the demand again. When the office lets context.dueAt pass, contest it again: then the hub decides.',
      zh: '请重新查看该记录。办理部门逾期（context.dueAt）未答复的，可再次提出异议，由平台裁定。',
    },
  },
} as const satisfies Readonly<Record<string, ProblemWords>>;
