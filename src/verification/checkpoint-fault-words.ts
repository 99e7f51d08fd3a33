import type { JudgeFault } from './log-policy.ts';

type Words = { readonly en: string; readonly zh: string };

/**
 * What can be wrong with a checkpoint, for a person who is no developer. `en` and `zh` say which checkpoint, as the subject of a
 * sentence: an export has it in its first line, a log in a file.
 */
export function checkpointFaultWords({ en, zh }: Words): {
  readonly [code in JudgeFault | 'quorum_not_met']: Words;
} {
  const broken = (what: string, zhWhat: string): Words => ({ en: `${en} ${what}.`, zh: `${zh}${zhWhat}。` });
  return {
    malformed_note: broken('is not a signed note', '不是签名文本'),
    note_too_long: broken('is too long', '过长'),
    too_many_signatures: broken('has too many signatures', '签名过多'),
    signature_invalid: broken('bears a signature that is false', '带有错误的签名'),
    no_known_signature: broken('is not signed by a log that you trust', '没有您所信任日志的签名'),
    unknown_log: broken('is not signed by a log that you trust', '没有您所信任日志的签名'),
    origin_wrong: broken('is signed under the name of another log', '以另一日志的名义签名'),
    malformed_checkpoint: broken('is malformed', '格式错误'),
    size_too_large: broken('has an impossible size', '规模不可能'),
    quorum_not_met: {
      en: 'Fewer witnesses have cosigned the checkpoint than your policy demands.',
      zh: '为检查点联署的见证方少于您的策略要求。',
    },
  };
}
