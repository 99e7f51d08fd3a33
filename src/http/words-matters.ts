import type { ProblemWords } from './words.ts';

/** Problems of matters. */
export const mattersWords = {
  matter_unknown: {
    status: 404,
    title: { en: 'Matter not found', zh: '办事事项不存在' },
    detail: { en: 'No matter has this code.', zh: '没有该编码的事项。' },
    next: { en: 'Take the code from the list of matters.', zh: '请从事项列表中选取编码。' },
  },
  matter_exists: {
    status: 409,
    title: { en: 'Matter already registered', zh: '办事事项已登记' },
    detail: {
      en: 'The newest version of this matter says the same already.',
      zh: '该事项的最新版本内容与此相同。',
    },
    next: { en: 'Nothing is left to do; nothing was changed.', zh: '无需再登记；本次未作变更。' },
  },
  matter_invalid: {
    status: 422,
    title: { en: 'Matter is not sound', zh: '办事事项内容有误' },
    detail: {
      en: 'A requirement can never be met as it stands, refers to something that does not exist, asks on paper for what the catalogue has (`certificate_exists`), or the matter produces what its department may not issue (`not_an_issuer`); context.pointer and context.rule name it.',
      zh: '某项要求按现有写法无法满足、引用了不存在的内容，或对目录中已有的证照索要纸质材料（`certificate_exists`），或事项核发的证照不属本部门核发（`not_an_issuer`）；context.pointer 和 context.rule 指明所在。',
    },
    next: {
      en: 'Correct the part that context names. Instead of paper, list the type of context.certificateTypeCode under `alternatives`: the hub supplies it.',
      zh: '请按 context 所示修改；对已有证照，请将 context.certificateTypeCode 所示类型列入 `alternatives`，由平台提供，不再索要纸质材料。',
    },
  },
  matter_circular: {
    status: 422,
    title: { en: 'Circular proof', zh: '循环证明' },
    detail: {
      en: 'A requirement demands a certificate that is only issued at the end of a matter which demands the product of this one first.',
      zh: '某项要求的证照只在另一事项办结后核发，而该事项又以本事项的结果为前提。',
    },
    next: {
      en: 'Add an alternative that can be had without it; context.certificateTypeCodes names the types that cannot be obtained, context.matterCodes the matters that wait for each other.',
      zh: '请增加无须该证照即可满足的替代材料；无法取得的类型见 context.certificateTypeCodes，相互等待的事项见 context.matterCodes。',
    },
  },
  matter_retired: {
    status: 409,
    title: { en: 'Matter retired', zh: '办事事项已停用' },
    detail: {
      en: 'The matter is retired: it is not checked and demands nothing any more.',
      zh: '该事项已停用，不再核对材料，也不再要求任何证明。',
    },
    next: {
      en: 'Use the matter that took its place; registering a new version brings this one back.',
      zh: '请改用替代的事项；登记新版本即可恢复。',
    },
  },
  party_missing: {
    status: 422,
    title: { en: 'Parties do not fit the matter', zh: '当事人与事项不符' },
    detail: {
      en: 'The matter needs a holder for each of its parties, of the right kind, and knows no others, nor tickets for others; context.pointer says where, context.parties which there are.',
      zh: '须为事项的每一方当事人提供类别相符的持证主体，且不得多出，用证码也只能对应这些当事人；context.pointer 指明所在，context.parties 列出事项的各方当事人。',
    },
    next: { en: 'Give the parties that the matter names.', zh: '请按事项所列当事人提供。' },
  },
  parties_equal: {
    status: 422,
    title: { en: 'Parties are the same holder', zh: '当事人不得为同一主体' },
    detail: {
      en: 'Two parties of the matter were given the same holder, and the matter says that they are not the same; context.pointer and context.distinctFrom name them.',
      zh: '事项规定不得为同一主体的两方当事人，所填持证主体相同；context.pointer 和 context.distinctFrom 指明是哪两方。',
    },
    next: { en: 'Give each of the two parties its own holder.', zh: '请分别填写两方当事人各自的持证主体。' },
  },
} as const satisfies Record<string, ProblemWords>;
