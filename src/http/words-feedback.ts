import type { ProblemWords } from './words.ts';

/** Problems of reported faults and of who used a certificate. */
export const feedbackWords = {
  feedback_unknown: {
    status: 404,
    title: { en: 'Report not found', zh: '反馈不存在' },
    detail: { en: 'There is no report with this id that you may see.', zh: '没有该编号的反馈，或您无权查看。' },
    next: { en: 'Take the id from the list of reports.', zh: '请从反馈列表中选取编号。' },
  },
  feedback_invalid: {
    status: 422,
    title: { en: 'Report or answer is not sound', zh: '反馈或答复内容有误' },
    detail: {
      en: 'Something is missing, or does not go with this kind of fault or this outcome; context.pointer and context.rule name it.',
      zh: '缺少必要内容，或内容与缺陷类别、处理结果不符；context.pointer 和 context.rule 指明所在。',
    },
    next: { en: 'Correct the part that context names.', zh: '请按 context 所示修改。' },
  },
  feedback_exists: {
    status: 409,
    title: { en: 'Already reported', zh: '已反馈' },
    detail: {
      en: 'An open report of yours is about the same fault; context gives its receipt number.',
      zh: '贵系统对同一缺陷已有尚未办结的反馈；回执号见 context。',
    },
    next: { en: 'Wait for its answer. Nothing was added.', zh: '请等待答复；本次未新增反馈。' },
  },
  feedback_closed: {
    status: 409,
    title: { en: 'Report has been answered', zh: '反馈已办结' },
    detail: {
      en: 'The first final answer counts, and there is one; context.state says which.',
      zh: '以首次办结的答复为准，该反馈已有答复；结果见 context.state。',
    },
    next: {
      en: 'Read the report. Who objects to the answer makes a new one that follows it.',
      zh: '请查看该反馈；对答复有异议的，可另行反馈并注明所续反馈。',
    },
  },
  feedback_not_mended: {
    status: 409,
    title: { en: 'The fault is still there', zh: '缺陷尚未消除' },
    detail: {
      en: 'What the hub holds does not bear out this outcome; context.expected says what would.',
      zh: '平台所存证照与该处理结果不符；应有的状态见 context.expected。',
    },
    next: {
      en: 'Mend the certificate first: seal a later version, seal the missing one, or revoke it. Or refuse the report with a reason.',
      zh: '请先处理证照：签发新版本、补签缺失的证照或撤销原证照；或说明理由不予受理。',
    },
  },
  certificate_in_force: {
    status: 409,
    title: { en: 'Certificate was not withdrawn', zh: '证照未被收回' },
    detail: {
      en: 'Who used a certificate is told only once it is suspended, revoked or superseded: nobody watches the use of a sound one.',
      zh: '证照被暂停、撤销或被新版本取代后方可查询其使用单位；有效证照的使用情况不对外提供。',
    },
    next: { en: 'Nothing needs to be told to its users.', zh: '无需通知使用单位。' },
  },
} as const satisfies Record<string, ProblemWords>;
