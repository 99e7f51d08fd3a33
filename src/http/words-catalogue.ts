import type { ProblemWords } from './words.ts';

/** Problems of drafts, publications and retirements, and of catalogue files. */
export const catalogueWords = {
  certificate_type_retired: {
    status: 409,
    title: { en: 'Certificate type retired', zh: '证照类型已停用' },
    detail: {
      en: 'The type is retired: nothing new is issued, granted or applied for. Certificates that were sealed stay valid.',
      zh: '该证照类型已停用，不再受理新的制发、授权和申请；已签发的证照仍然有效。',
    },
    next: {
      en: 'Use the type that took its place, or ask its owner department to publish a new version.',
      zh: '请改用替代的证照类型，或联系所属部门发布新版本。',
    },
  },
  draft_unknown: {
    status: 404,
    title: { en: 'Draft not found', zh: '草稿不存在' },
    detail: { en: 'Your department has no draft with this id.', zh: '贵部门没有该编号的草稿。' },
    next: { en: 'Take the id from the list of drafts.', zh: '请从草稿列表中选取编号。' },
  },
  hub_must_publish: {
    status: 403,
    title: { en: 'An administrator has to publish this', zh: '须由平台管理员发布' },
    detail: {
      en: 'A field would no longer be sensitive, or the province would no longer decide (context.pointer): from then on your department would decide alone.',
      zh: '该版本将取消某字段的敏感级别或省级审批（见 context.pointer），此后将由贵部门单独决定授权。',
    },
    next: {
      en: 'Ask an administrator of the hub to publish this draft, or leave that as it was.',
      zh: '请平台管理员发布该草稿，或保持该项不变。',
    },
  },
  draft_outdated: {
    status: 409,
    title: { en: 'Draft outdated', zh: '草稿已过期' },
    detail: {
      en: 'The draft was replaced, published or discarded (context.state), or the type has got another version since it was saved.',
      zh: '草稿已被替换、发布或放弃（见 context.state），或保存之后该类型已有新版本。',
    },
    next: {
      en: 'Read the newest version, save the draft again and publish that.',
      zh: '请查看最新版本，重新保存草稿后再发布。',
    },
  },
  draft_unchanged: {
    status: 409,
    title: { en: 'Draft says nothing new', zh: '草稿无变更内容' },
    detail: {
      en: 'The newest version of the type says the same already.',
      zh: '该类型的最新版本内容与草稿相同。',
    },
    next: {
      en: 'Nothing is left to do; nothing was changed. Discard the draft, or save another one.',
      zh: '无需再发布；本次未作变更。请放弃该草稿，或另存草稿。',
    },
  },
  change_breaks: {
    status: 409,
    title: { en: 'Change would break matters or grants', zh: '变更将影响现有事项或授权' },
    detail: {
      en: 'Requirements of matters would not be sound any more (context.matters), or grants name what would change (context.grants).',
      zh: '变更后部分事项要求将无法成立（见 context.matters），或现有授权涉及被变更的字段（见 context.grants）。',
    },
    next: {
      en: 'Change or retire the matters first. For grants, publish a draft with a migration note (in a catalogue file: of that type).',
      zh: '请先修改或停用相关事项；涉及授权的，请以草稿发布并附迁移说明（目录文件中为该类型的迁移说明）。',
    },
  },
  catalogue_invalid: {
    status: 422,
    title: { en: 'Catalogue file is not sound', zh: '证照目录文件有误' },
    detail: {
      en: 'A code stands in the file twice; context.pointer names the second place.',
      zh: '文件中有编码重复出现；context.pointer 指明第二处。',
    },
    next: { en: 'Correct the file; nothing was imported.', zh: '请修改文件；本次未导入任何内容。' },
  },
} as const satisfies Record<string, ProblemWords>;
