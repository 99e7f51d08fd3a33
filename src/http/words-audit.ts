import type { ProblemWords } from './words.ts';

/** Problems of auditors: searching, overviews and exports. */
export const auditWords = {
  question_invalid: {
    status: 422,
    title: { en: 'Question incomplete or contradictory', zh: '询问不完整或自相矛盾' },
    detail: {
      en: 'One member of the question does not go with the others, or is missing; context.pointer names it, context.rule says why.',
      zh: '询问中有一项与其他项不相容，或缺少一项；context.pointer 指出是哪一项，context.rule 说明原因。',
    },
    next: {
      en: 'A holder, officer or case is given by its value or by its pseudonym, not by both; a range needs begin and end. Correct it and send again.',
      zh: '持证主体、经办人、办件给出其值或其假名，不可并给；区间须有 begin 和 end。请更正后重发。',
    },
  },
  range_invalid: {
    status: 422,
    title: { en: 'Empty range', zh: '范围为空' },
    detail: {
      en: 'The range ends where it begins or before, or lies outside the times for which there can be records.',
      zh: '范围的结束不晚于开始，或超出可能有记录的时间。',
    },
    next: {
      en: 'Ranges are half-open: the end is the first that is no longer meant. Make it greater than the beginning.',
      zh: '范围为左闭右开：结束值是不再包含的第一个值，请使其大于开始值。',
    },
  },
  range_too_long: {
    status: 422,
    title: { en: 'Range too long', zh: '范围过大' },
    detail: {
      en: 'The range is longer than one overview or one file may be; context says how long that is.',
      zh: '范围超出单次概览或单个文件的上限，上限见 context。',
    },
    next: { en: 'Split it into several, one after the other.', zh: '请拆分为若干个相接的范围。' },
  },
  search_too_broad: {
    status: 422,
    title: { en: 'Search takes too long', zh: '检索耗时过长' },
    detail: {
      en: 'The records that this question has to go through are too many to answer in time; nothing was disclosed.',
      zh: '此问题需要逐条查看的记录过多，无法及时答复；未提供任何数据。',
    },
    next: {
      en: 'Narrow the time (from, until), or add a holder, case, officer or certificate.',
      zh: '请缩小时间范围（from、until），或增加持证主体、办件、经办人或证照条件。',
    },
  },
  export_too_large: {
    status: 422,
    title: { en: 'Too many records for one file', zh: '单个文件记录过多' },
    detail: {
      en: 'More records fit the filter than one file holds; context says how many that is.',
      zh: '符合条件的记录超过单个文件的上限，上限见 context。',
    },
    next: {
      en: 'Split the export by time (from, until), or export a range of the log.',
      zh: '请按时间（from、until）拆分导出，或改为导出日志的一个区间。',
    },
  },
  log_empty: {
    status: 409,
    title: { en: 'No checkpoint published yet', zh: '日志尚未发布检查点' },
    detail: {
      en: 'Exports stand on the published checkpoint of the log, and there is none yet.',
      zh: '导出以已发布的日志检查点为依据，而目前尚无检查点。',
    },
    next: {
      en: 'Wait some seconds and try again. If it stays so, ask the operator whether the sequencer runs and the witnesses answer; searches work meanwhile.',
      zh: '请数秒后重试。若仍如此，请向运维方确认定序程序是否运行、见证方是否回应；其间检索不受影响。',
    },
  },
  not_in_log_yet: {
    status: 404,
    title: { en: 'Not in the published log yet', zh: '尚未进入已发布的日志' },
    detail: {
      en: 'The record exists, but no published checkpoint covers it yet.',
      zh: '该记录已存在，但尚无已发布的检查点覆盖它。',
    },
    next: {
      en: 'Ask again after some seconds (Retry-After). If it stays so for minutes, tell the operator and keep the answer: its commitment is your evidence.',
      zh: '请数秒后（见 Retry-After）重试。若数分钟后仍如此，请告知运维方并保存答复：其中的承诺值即为证据。',
    },
  },
  range_not_covered: {
    status: 409,
    title: { en: 'Range not covered by the checkpoint', zh: '区间尚未被检查点覆盖' },
    detail: {
      en: 'The range reaches beyond the published checkpoint; context says how many leaves that covers.',
      zh: '所请求的区间超出已发布检查点的范围，其覆盖的叶数见 context。',
    },
    next: {
      en: 'End the range at publishedSize or before, or wait until a later checkpoint is published.',
      zh: '请使区间在 publishedSize 或之前结束，或等待发布更新的检查点。',
    },
  },
} as const satisfies Readonly<Record<string, ProblemWords>>;
