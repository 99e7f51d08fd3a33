import type { ProblemWords } from './words.ts';

/** Problems of erasing records. */
export const erasureWords = {
  erasure_unknown: {
    status: 404,
    title: { en: 'Erasure not found', zh: '删除申请不存在' },
    detail: { en: 'There is no proposed erasure with this id.', zh: '没有该编号的删除申请。' },
    next: { en: 'Take the id from the list of erasures.', zh: '请从删除申请列表中选取编号。' },
  },
  erasure_target_invalid: {
    status: 422,
    title: { en: 'This cannot be erased', zh: '该对象不能删除' },
    detail: {
      en: 'The record is not in the log, has been erased already, or is itself evidence (of erasures, months, keys or releases), which stays for good.',
      zh: '该记录不在日志中、已被删除，或其本身属于证据（删除、月度封存、密钥或公开日期变更），永久保留。',
    },
    next: { en: 'See context.rule, and search for the record again.', zh: '请查看 context.rule，并重新检索该记录。' },
  },
  erasure_closed: {
    status: 409,
    title: { en: 'The erasure is decided', zh: '删除申请已有结论' },
    detail: {
      en: 'The proposal was approved, rejected or executed already; a rejection is final.',
      zh: '该申请已被批准、否决或执行；否决不可更改。',
    },
    next: { en: 'Where it is still needed, propose it anew.', zh: '如仍需删除，请重新提出申请。' },
  },
  approver_must_differ: {
    status: 409,
    title: { en: 'Somebody else has to decide', zh: '须由他人决定' },
    detail: {
      en: 'An erasure takes two officers who did not propose it, each through another client.',
      zh: '删除须由申请人以外的两名人员分别通过不同的接入系统批准。',
    },
    next: {
      en: 'Ask another officer, of another department where context.rule says same_client.',
      zh: '请由其他人员决定；context.rule 为 same_client 时须由另一系统的人员决定。',
    },
  },
  erasure_not_approved: {
    status: 409,
    title: { en: 'The erasure is not approved', zh: '删除申请尚未批准' },
    detail: { en: 'Fewer than two approvals are on file.', zh: '批准不足两份。' },
    next: { en: 'Have two officers approve it, then execute it.', zh: '请先由两名人员批准，再执行。' },
  },
  erasure_not_published: {
    status: 409,
    title: { en: 'The evidence is not published yet', zh: '相关证据尚未公布' },
    detail: {
      en: 'A record that this erasure rests on is not covered by the published checkpoint of the log.',
      zh: '该删除所依据的记录尚未被日志已公布的检查点覆盖。',
    },
    next: {
      en: 'Wait for the next checkpoint; if it does not come, look after the sequencer and the witnesses.',
      zh: '请等待下一个检查点；如迟迟未公布，请检查定序进程与见证方。',
    },
  },
  retention_not_over: {
    status: 409,
    title: { en: 'Retention is not over', zh: '保存期限未满' },
    detail: {
      en: 'Records of this month and kind are still to be kept.',
      zh: '该月份该类别的记录仍须保存。',
    },
    next: {
      en: 'Come again after the day in context, or name only kinds whose time is over.',
      zh: '请在 context 所示日期之后再申请，或只列出已满期限的类别。',
    },
  },
  month_not_sealed: {
    status: 409,
    title: { en: 'The month is not sealed', zh: '该月份尚未封存' },
    detail: {
      en: 'A month is sealed an hour after its end, once all its records are in the log; only then is it known what there was to erase.',
      zh: '月份结束一小时后、其记录全部进入日志时才予封存；此后方可确定应删除的内容。',
    },
    next: {
      en: 'Wait for the seal, or run certhub audit retention --seal.',
      zh: '请等待封存，或运行 certhub audit retention --seal。',
    },
  },
} as const satisfies Record<string, ProblemWords>;
