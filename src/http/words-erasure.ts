import type { ProblemWords } from './words.ts';

/** Problems of erasing records. */
export const erasureWords = {
  erasure_unknown: {
    status: 404,
    title: { en: 'Erasure not found', zh: '清除申请不存在' },
    detail: { en: 'There is no proposed erasure with this id.', zh: '没有该编号的清除申请。' },
    next: { en: 'Take the id from the list of erasures.', zh: '请从清除申请列表中选取编号。' },
  },
  erasure_target_invalid: {
    status: 422,
    title: { en: 'This cannot be erased', zh: '该对象不能清除' },
    detail: {
      en: 'The record is not in the log, has been erased already, or is itself evidence (of erasures, months, keys or releases), which stays for good.',
      zh: '该记录不在日志中、已被清除，或其本身属于证据（清除、月度封存、密钥或公开日期变更），永久保留。',
    },
    next: { en: 'See context.rule, and search for the record again.', zh: '请查看 context.rule，并重新检索该记录。' },
  },
  erasure_closed: {
    status: 409,
    title: { en: 'The erasure is decided', zh: '清除申请已有结论' },
    detail: {
      en: 'The proposal was approved, rejected or executed already; a rejection is final.',
      zh: '该申请已被批准、否决或执行；否决不可更改。',
    },
    next: { en: 'Where it is still needed, propose it anew.', zh: '如仍需清除，请重新提出申请。' },
  },
  approver_must_differ: {
    status: 409,
    title: { en: 'Somebody else has to decide', zh: '须由他人决定' },
    detail: {
      en: 'An erasure takes two officers who did not propose it, through two systems of two departments, neither of them the system that proposed; both registered before the proposal, one of them that of an auditor.',
      zh: '清除须由申请人以外的两名人员批准，分别通过两个部门的两个接入系统；这两个系统均非提出申请的系统，在申请提出之前已登记，且至少一个为审计系统。',
    },
    next: {
      en: 'By context.rule: same_officer: ask another officer; same_client: go through another system; same_department: through a system of another department; too_new: through one registered before the proposal, or propose it anew; no_auditor: the other approval has to come from an auditor.',
      zh: '请按 context.rule 处理：same_officer：由其他人员决定；same_client：改由另一系统批准；same_department：改由另一部门的系统批准；too_new：改由申请提出前已登记的系统批准，或重新提出申请；no_auditor：另一份批准须来自审计系统。',
    },
  },
  erasure_not_approved: {
    status: 409,
    title: { en: 'The erasure is not approved', zh: '清除申请尚未批准' },
    detail: { en: 'Fewer than two approvals are on file.', zh: '批准不足两份。' },
    next: { en: 'Have two officers approve it, then execute it.', zh: '请先由两名人员批准，再执行。' },
  },
  erasure_not_published: {
    status: 409,
    title: { en: 'The evidence is not published yet', zh: '相关证据尚未公布' },
    detail: {
      en: 'A record that this erasure rests on is not covered by the published checkpoint of the log.',
      zh: '该清除所依据的记录尚未被日志已公布的检查点覆盖。',
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
      en: 'Records of this month and kind are still to be kept, or (context.rule under_secrecy) their holders could not yet have learnt of them.',
      zh: '该月份该类别的记录仍须保存；或保密期未满（context.rule 为 under_secrecy），当事人尚无从知悉。',
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
      zh: '月份结束一小时后、其记录全部进入日志时才予封存；此后方可确定应清除的内容。',
    },
    next: {
      en: 'Wait for the seal, or run certhub audit retention --seal.',
      zh: '请等待封存，或运行 certhub audit retention --seal。',
    },
  },
} as const satisfies Record<string, ProblemWords>;
