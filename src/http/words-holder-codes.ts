import type { ProblemWords } from './words.ts';

/** Problems of holders' one-time codes. */
export const holderCodeWords = {
  holder_code_invalid: {
    status: 422,
    title: { en: "Holder's code not accepted", zh: '持证主体一次性授权码不予采信' },
    detail: {
      en: 'The code is mistyped, used, expired or revoked, or it was not issued for this holder, matter, department, type or field; which of these is not said.',
      zh: '授权码输入有误、已使用、已过期或已撤销，或不是就该持证主体、事项、部门、类型或字段签发；具体原因不予说明。',
    },
    next: {
      en: 'Check the characters; otherwise let the holder issue a new code at the portal.',
      zh: '请核对输入；仍不成功的，请持证主体在门户重新生成授权码。',
    },
  },
  holder_code_unknown: {
    status: 404,
    title: { en: "Holder's code not found", zh: '一次性授权码不存在' },
    detail: {
      en: 'There is no code with this id that your portal issued.',
      zh: '没有该编号的、由贵门户签发的授权码。',
    },
    next: { en: 'Take the codeId from the answer that issued it.', zh: '请使用签发时答复中的 codeId。' },
  },
} as const satisfies Readonly<Record<string, ProblemWords>>;
