import type { ProblemWords } from './words.ts';

/** Problems of grants and lookups. */
export const grantsWords = {
  grant_unknown: {
    status: 404,
    title: { en: 'Grant not found', zh: '用证授权不存在' },
    detail: { en: 'There is no grant with this id that you may see.', zh: '没有该编号的授权，或您无权查看。' },
    next: { en: 'Take the id from the list of grants.', zh: '请从授权列表中选取编号。' },
  },
  grant_invalid: {
    status: 422,
    title: { en: 'Grant is not sound', zh: '用证授权内容有误' },
    detail: {
      en: 'The grant names a field its type does not have, ends before it begins, or is for a client that cannot use it.',
      zh: '授权中含有该类型没有的字段、终止早于起始，或授权对象不能使用。',
    },
    next: { en: 'Correct the part that context names.', zh: '请按 context 所示修改。' },
  },
  grant_required: {
    status: 403,
    title: { en: 'No grant for this use', zh: '没有相应的用证授权' },
    detail: {
      en: 'No grant allows your client this certificate type for this matter and legal basis at this level; whether the holder has such a certificate is not said.',
      zh: '没有授权允许贵系统就该事项、依据和级别使用此类证照；此答复与持证主体是否持有该证照无关。',
    },
    next: {
      en: 'Apply to the owner department of the type for the grant that context describes.',
      zh: '请按 context 所示，向该类型的主管部门申请授权。',
    },
  },
  grant_expired: {
    status: 403,
    title: { en: 'Grant not in force', zh: '用证授权不在有效期' },
    detail: { en: 'The grant for this use has ended or has not begun.', zh: '此用途的授权已到期或尚未生效。' },
    next: { en: 'Apply to the owner department for a renewal.', zh: '请向主管部门申请续期。' },
  },
  grant_revoked: {
    status: 403,
    title: { en: 'Grant revoked', zh: '用证授权已撤销' },
    detail: { en: 'The grant for this use was revoked.', zh: '此用途的授权已被撤销。' },
    next: {
      en: 'Ask the owner department for the reason; apply again if the need remains.',
      zh: '请向主管部门了解原因；仍有需要的，请重新申请。',
    },
  },
  secrecy_not_granted: {
    status: 403,
    title: { en: 'Secrecy not granted', zh: '未获准保密查询' },
    detail: {
      en: "The grant for this use does not let the lookup stay out of its holder's own report until that time, or that time is not in the future.",
      zh: '此用途的授权不允许该次查询在该时间之前对持证主体保密，或该时间不在将来。',
    },
    next: {
      en: 'Ask without secrecy or for a shorter one, or apply to the owner department for what context describes.',
      zh: '请不带保密要求或缩短保密期限后再查询，或按 context 所示向主管部门申请。',
    },
  },
  quota_exceeded: {
    status: 429,
    title: { en: 'Daily quota used up', zh: '当日用证额度已用完' },
    detail: { en: 'All lookups that the grant allows for today are used up.', zh: '该授权当日允许的调用次数已用完。' },
    next: {
      en: "Wait until the city's next day, or apply for a higher quota; check that no program runs in a loop.",
      zh: '请次日再试，或向主管部门申请提高额度，并检查是否有程序循环调用。',
    },
  },
  holder_or_identifier_required: {
    status: 400,
    title: { en: 'Say whose or which certificate', zh: '未指明持证主体或证照标识' },
    detail: {
      en: 'A lookup names exactly one of holder and certificateIdentifier.',
      zh: '用证调用须且只须给出持证主体或证照标识之一。',
    },
    next: {
      en: 'Send either holder or certificateIdentifier.',
      zh: '请填写 holder 或 certificateIdentifier 其中一项。',
    },
  },
  record_unknown: {
    status: 404,
    title: { en: 'Record not found', zh: '审计记录不存在' },
    detail: { en: 'There is no record with this id.', zh: '没有该编号的审计记录。' },
    next: {
      en: 'Take the id from a search or from the answer it belongs to.',
      zh: '请从检索结果或相应的答复中选取编号。',
    },
  },
  release_invalid: {
    status: 422,
    title: { en: 'Release date cannot be set', zh: '不能设定该公开时间' },
    detail: {
      en: 'The record was never under secrecy, or the date lies before the lookup or more than ten years after it.',
      zh: '该记录不曾保密，或所设时间早于该次查询、晚于查询后十年。',
    },
    next: { en: 'Correct what context names.', zh: '请按 context 所示修改。' },
  },
  stored_data_tampered: {
    status: 500,
    title: { en: 'Stored data fails its check', zh: '存储数据校验未通过' },
    detail: {
      en: "What is stored was changed by someone without the hub's keys. It is not served, and the case is reported.",
      zh: '存储的数据被不持有平台密钥者改动。该数据不予提供，情况已上报。',
    },
    next: {
      en: "Do not rely on an earlier copy; tell the hub's operator the requestId.",
      zh: '请勿依据此前的副本办理；请将 requestId 告知平台运维人员。',
    },
  },
} as const satisfies Readonly<Record<string, ProblemWords>>;
