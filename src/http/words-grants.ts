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
      en: 'What is wrong stands in context.rule: empty_range, it ends before it begins; longer_than_5_years; not_a_consumer, its client looks nothing up; owner_changed, its type belongs to another department by now.',
      zh: '原因见 context.rule：empty_range 为终止不晚于起始；longer_than_5_years 为期限超过五年；not_a_consumer 为该接入系统不能用证；owner_changed 为该类型的主管部门已变更。',
    },
    next: {
      en: 'Correct the part that context names; where client or owner is the reason, refuse the application and let the client apply again.',
      zh: '请按 context 所示修改；原因在接入系统或主管部门的，请不予批准，由接入系统重新申请。',
    },
  },
  grant_required: {
    status: 403,
    title: { en: 'No grant for this use', zh: '没有相应的用证授权' },
    detail: {
      en: 'No grant allows your client this certificate type for this matter and legal basis at this level; whether the holder has such a certificate is not said.',
      zh: '没有授权允许贵系统就该事项、依据和级别使用此类证照；此答复与持证主体是否持有该证照无关。',
    },
    next: {
      en: 'Apply with each member of context.apply as the body of POST /v1/grant-applications, adding dailyQuota to wanted, and legalGround, safeguards and officer. Where there is none, you named no types: name those you need in types, and ask again.',
      zh: '请以 context.apply 的每一项作为请求体，在 wanted 中补充 dailyQuota，另补充 legalGround、safeguards 和 officer，提交 POST /v1/grant-applications 申请授权。没有 context.apply 的，是未写明类型：请在 types 中写明所需类型后再查询。',
    },
  },
  grant_expired: {
    status: 403,
    title: { en: 'Grant not in force', zh: '用证授权不在有效期' },
    detail: { en: 'The grant for this use has ended or has not begun.', zh: '此用途的授权已到期或尚未生效。' },
    next: {
      en: 'Apply for a renewal with what context.apply says, adding renews (the old grant), dailyQuota in wanted, legalGround, safeguards and officer.',
      zh: '请按 context.apply 申请续期，并补充 renews（原授权）、wanted 中的 dailyQuota、legalGround、safeguards 和 officer。',
    },
  },
  grant_revoked: {
    status: 403,
    title: { en: 'Grant revoked', zh: '用证授权已撤销' },
    detail: { en: 'The grant for this use was revoked.', zh: '此用途的授权已被撤销。' },
    next: {
      en: 'Ask the owner department for the reason; if the need remains, apply again with what context.apply says, adding dailyQuota in wanted, legalGround, safeguards and officer.',
      zh: '请向主管部门了解原因；仍有需要的，请按 context.apply 重新申请，并补充 wanted 中的 dailyQuota、legalGround、safeguards 和 officer。',
    },
  },
  secrecy_not_granted: {
    status: 403,
    title: { en: 'Secrecy not granted', zh: '未获准保密查询' },
    detail: {
      en: "The grant for this use does not let the lookup stay out of its holder's own report until that time.",
      zh: '此用途的授权不允许该次查询在该时间之前对持证主体保密。',
    },
    next: {
      en: 'Ask without secrecy or for a shorter one, or apply with what context.apply says, adding dailyQuota in wanted, legalGround, safeguards and officer.',
      zh: '请不带保密要求或缩短保密期限后再查询，或按 context.apply 申请，并补充 wanted 中的 dailyQuota、legalGround、safeguards 和 officer。',
    },
  },
  grant_suspended: {
    status: 403,
    title: { en: 'Grant suspended', zh: '用证授权已暂停' },
    detail: { en: 'The grant for this use is suspended for now.', zh: '此用途的授权目前处于暂停状态。' },
    next: {
      en: 'Ask the owner department of the type for the reason; the grant can be resumed.',
      zh: '请向该类型的主管部门了解原因；授权可以恢复。',
    },
  },
  application_unknown: {
    status: 404,
    title: { en: 'Application not found', zh: '授权申请不存在' },
    detail: { en: 'There is no application with this id that you may see.', zh: '没有该编号的申请，或您无权查看。' },
    next: { en: 'Take the id from the list of applications.', zh: '请从申请列表中选取编号。' },
  },
  application_closed: {
    status: 409,
    title: { en: 'Application not open to this', zh: '授权申请当前不能这样处理' },
    detail: {
      en: 'Why stands in context.state: with awaiting_owner, awaiting_hub or prepared it is not your turn but that of the owner department, the hub or the province; with granted, refused or withdrawn it is over.',
      zh: '原因见 context.state：awaiting_owner、awaiting_hub、prepared 为当前不由您处理，分别应由主管部门、平台、省级决定；granted、refused、withdrawn 为已办结或已撤回。',
    },
    next: {
      en: 'While it is the turn of somebody else, wait for their decision; dueAt of the application says until when. Once it is over, apply again if the need remains.',
      zh: '应由他方决定的，请等待其决定，期限见该申请的 dueAt；已经结束而仍有需要的，请重新申请。',
    },
  },
  application_exists: {
    status: 409,
    title: { en: 'The same is applied for already', zh: '相同的申请正在办理' },
    detail: {
      en: 'An open application of yours asks for the same type and scope.',
      zh: '贵系统已有一份类型和范围相同的申请正在办理。',
    },
    next: {
      en: 'Wait for its decision, or withdraw it first; context.applicationId names it.',
      zh: '请等待其决定，或先撤回；编号见 context.applicationId。',
    },
  },
  decider_must_differ: {
    status: 403,
    title: { en: 'Not yours to decide', zh: '无权决定该申请' },
    detail: {
      en: 'The department that applies never decides, and nobody makes both decisions; context.rule says which of them it is.',
      zh: '申请部门不得自行决定，同一系统不得作出两次决定；原因见 context.rule。',
    },
    next: {
      en: 'Leave the decision to the owner department or the hub, through another client.',
      zh: '请由该类型的主管部门或平台方通过其他系统决定。',
    },
  },
  decision_wider: {
    status: 422,
    title: { en: 'Wider than what was applied for', zh: '决定超出申请范围' },
    detail: {
      en: 'A decision may narrow what stands before it, never widen it; context.pointer names the part.',
      zh: '决定只能收窄、不能扩大申请或前一决定的范围；context.pointer 指明所在部分。',
    },
    next: {
      en: 'Allow less at that part, or let the client apply for more.',
      zh: '请缩小该部分的范围，或由接入系统另行申请。',
    },
  },
  ticket_required: {
    status: 403,
    title: { en: 'Ticket needed', zh: '须凭用证码' },
    detail: {
      en: 'The grant for this use takes lookups with a ticket of their case only; on delegation every grant does.',
      zh: '此用途的授权只接受附有该办件用证码的调用；依据委托授权的，一律须凭用证码。',
    },
    next: { en: 'Issue a ticket for the case and quote it.', zh: '请先为该办件签发用证码，再凭码调用。' },
  },
  ticket_unknown: {
    status: 403,
    title: { en: 'Ticket not known', zh: '用证码不存在' },
    detail: { en: 'There is no such ticket of your client.', zh: '贵系统没有这一用证码。' },
    next: {
      en: 'Quote the ticket exactly as it was issued, or issue a new one.',
      zh: '请按签发原文提供用证码，或重新签发。',
    },
  },
  ticket_expired: {
    status: 403,
    title: { en: 'Ticket expired or revoked', zh: '用证码已过期或已撤销' },
    detail: { en: 'The ticket is no longer good.', zh: '该用证码已失效。' },
    next: { en: 'Issue a new ticket if the case still needs it.', zh: '办件仍有需要的，请重新签发用证码。' },
  },
  ticket_used_up: {
    status: 403,
    title: { en: 'Ticket used up', zh: '用证码次数已用完' },
    detail: { en: 'The ticket was used as often as it is good for.', zh: '该用证码的使用次数已用完。' },
    next: { en: 'Issue a new ticket if the case still needs it.', zh: '办件仍有需要的，请重新签发用证码。' },
  },
  ticket_mismatch: {
    status: 403,
    title: { en: 'Ticket is for something else', zh: '用证码与本次调用不符' },
    detail: {
      en: 'The ticket was issued for another matter, case, officer, legal basis, holder, type, field or level; context.pointer names the part, context.party whose ticket of a matter check.',
      zh: '该用证码签发时的事项、办件、经办人、依据、持证主体、类型、字段或级别与本次调用不同；context.pointer 指明所在部分，事项核对时 context.party 指明是哪一方当事人的用证码。',
    },
    next: {
      en: 'Ask as the ticket says, or issue one for this question.',
      zh: '请按用证码的范围调用，或为本次调用另行签发。',
    },
  },
  ticket_invalid: {
    status: 422,
    title: { en: 'Ticket cannot be issued', zh: '用证码不能签发' },
    detail: {
      en: "The time is past or too far ahead, or the holder's statement or code is missing, doubled or out of place; context names the part.",
      zh: '有效期已过或过长，或缺少持证主体声明或授权码、重复提供、不应附带；context 指明所在部分。',
    },
    next: { en: 'Correct the part that context names.', zh: '请按 context 所示修改。' },
  },
  statement_invalid: {
    status: 422,
    title: { en: "Holder's statement not accepted", zh: '持证主体声明不予采信' },
    detail: {
      en: 'The statement is not signed by a portal in force, is out of time, or says something other than the request; context.rule names it.',
      zh: '该声明未由有效的门户系统签名、不在有效期，或内容与请求不符；context.rule 指明原因。',
    },
    next: {
      en: 'With expired or delegation_expired let the holder confirm again at the portal. With any other rule, like authorized_party, case, types or lifetime, the same statement would be refused again: correct the program that asks or the portal that signs, then let the holder confirm.',
      zh: 'expired、delegation_expired：请持证主体在门户重新确认。其他原因（如 authorized_party、case、types、lifetime）再次确认仍会被拒：请先改正调用系统或门户的程序，再由持证主体确认。',
    },
  },
  statement_replayed: {
    status: 409,
    title: { en: "Holder's statement used before", zh: '持证主体声明已被使用' },
    detail: { en: 'Each statement counts for one ticket.', zh: '每份声明只能签发一个用证码。' },
    next: { en: 'Let the holder confirm again at the portal.', zh: '请持证主体在门户重新确认。' },
  },
  quota_exceeded: {
    status: 429,
    title: { en: 'Daily quota used up', zh: '当日用证额度已用完' },
    detail: {
      en: 'A limit of the grant is used up for today: lookups or distinct holders, of all officers or of this one; context.limit names it.',
      zh: '该授权当日的限额（全部或该经办人员的调用次数或不同持证主体数）已用完；context.limit 指明是哪一项。',
    },
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
      en: 'The record was never under secrecy, or the date does not lie after the lookup, or more than ten years after it.',
      zh: '该记录不曾保密，或所设时间不晚于该次查询、或晚于查询后十年。',
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
