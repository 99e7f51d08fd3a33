import type { SdJwtFault } from './sd-jwt.ts';
import type { SealedPayloadFault } from './sealed-certificate.ts';
import type { StatusListFault } from './status-list.ts';
import type { Bilingual, EntitlementFault } from './trust-bundle.ts';
import type { X509Fault } from './x509-path.ts';

/** 0 to 7, the numbers that deployed share services answer a verification with (GB/T 36906 systems). */
export type VerdictNumber = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7;

/** What a verdict means. */
export const verdictMeanings: Readonly<Record<VerdictNumber, Bilingual>> = {
  0: { zh: '信息正确，证照有效', en: 'correct and valid' },
  1: { zh: '信息正确，证照尚未生效', en: 'correct but not in force yet' },
  2: { zh: '信息正确，证照暂时失效', en: 'correct but suspended' },
  3: { zh: '信息正确，证照已失效', en: 'correct but no longer valid' },
  4: { zh: '信息不足，无法判断', en: 'not enough information' },
  5: { zh: '未查询到证照', en: 'nothing found' },
  6: { zh: '未提供查验内容', en: 'nothing given to verify' },
  7: { zh: '部分信息错误或不完整', en: 'wrong or incomplete' },
};

/** Every reason a verdict can give. */
export type ReasonCode =
  | SdJwtFault
  | SealedPayloadFault
  | StatusListFault
  | EntitlementFault
  | X509Fault
  | 'nothing_given'
  | 'x5c_missing'
  | 'x5t_mismatch'
  | 'x509_subject_mismatch'
  | 'not_sealed_yet'
  | 'not_yet_valid'
  | 'expired'
  | 'suspended'
  | 'revoked'
  | 'superseded'
  | 'status_invalid'
  | 'status_list_missing'
  | 'status_list_untrusted'
  | 'status_list_other_root'
  | 'status_index_out_of_range'
  | 'status_value_unknown'
  | 'status_history_unavailable'
  | 'status_change_time_unknown'
  | 'field_not_disclosed'
  | 'field_differs'
  | 'answer_malformed'
  | 'answer_issuer'
  | 'answer_from_future'
  | 'answer_key_not_in_force'
  | 'answer_certificate_differs'
  | 'sd_jwt_not_in_answer'
  | 'sd_jwt_not_supplied';

/** The verdict a reason leads to by itself; `note` leads to none. Every fault of the certificate itself is 7. */
const effects: Readonly<Partial<Record<ReasonCode, VerdictNumber | 'note'>>> = {
  nothing_given: 6,
  not_sealed_yet: 1,
  not_yet_valid: 1,
  suspended: 2,
  expired: 3,
  revoked: 3,
  superseded: 3,
  status_invalid: 3,
  // without a status one can be trusted, the certificate is genuine but nobody knows whether it still counts
  status_list_missing: 4,
  status_list_untrusted: 4,
  status_list_other_root: 4,
  status_list_malformed: 4,
  status_list_subject: 4,
  status_list_from_future: 4,
  status_list_expired: 4,
  status_value_unknown: 4,
  field_not_disclosed: 4,
  status_history_unavailable: 'note',
  status_change_time_unknown: 'note',
  sd_jwt_not_supplied: 'note',
};

/** Worst first: what is forged is 7 whatever else; what is over is over, even when its status is unknown. */
const severity: readonly VerdictNumber[] = [7, 6, 5, 3, 4, 2, 1, 0];

/** The worst of several verdicts; 0 for none. */
export const worstVerdict = (verdicts: readonly VerdictNumber[]): VerdictNumber =>
  severity.find((each) => verdicts.includes(each)) ?? 0;

/** The verdict that a list of reasons leads to. */
export const verdictOf = (codes: readonly ReasonCode[]): VerdictNumber =>
  worstVerdict(codes.map((code) => effects[code] ?? 7).filter((effect) => effect !== 'note'));

/** A reason as told to people. */
export type Reason = { readonly code: ReasonCode; readonly zh: string; readonly en: string };

/** A reason with its words; `about` is a field name or an identifier, never a value. */
export function reason(code: ReasonCode, about?: string): Reason {
  const [zh, en] = words[code];
  return about === undefined ? { code, zh, en } : { code, zh: `${zh}：${about}`, en: `${en}: ${about}` };
}

const words: Readonly<Record<ReasonCode, readonly [zh: string, en: string]>> = {
  nothing_given: ['未提供查验内容', 'nothing was given to verify'],
  jws_shape: ['签名数据格式错误', 'the signed text is malformed'],
  jws_header: ['签名头格式错误', 'the signed header is malformed'],
  jws_payload: ['签名内容格式错误', 'the signed content is malformed'],
  jws_critical_header: ['签名头含有无法识别的关键项', 'the signed header demands an unknown extension'],
  jws_key_in_header: ['签名头自带密钥，不予信任', 'the message names its own key'],
  jws_type: ['签名类型不符', 'the signed text is of another type'],
  jws_algorithm: ['签名算法不被接受', 'the signature algorithm is not accepted'],
  jws_key_unknown: ['签名密钥未知', 'the signing key is unknown'],
  jws_signature: ['签名无效，内容可能被篡改', 'the signature does not match the content'],
  sd_jwt_shape: ['不是电子证照文件', 'this is not a sealed certificate'],
  key_binding_unexpected: ['含有不应出现的持有人绑定', 'a key binding is not expected here'],
  sd_alg_unknown: ['摘要算法不被接受', 'the digest algorithm is not accepted'],
  disclosure_malformed: ['披露项格式错误', 'a disclosure is malformed'],
  disclosure_repeated: ['披露项重复', 'a disclosure was sent twice'],
  disclosure_unreferenced: ['披露项不属于本证照或被篡改', 'a disclosure does not belong to this certificate'],
  disclosure_kind: ['披露项种类不符', 'a disclosure is of the wrong kind'],
  digest_malformed: ['摘要格式错误', 'a digest is malformed'],
  digest_repeated: ['摘要重复', 'a digest occurs twice'],
  claim_name_forbidden: ['披露项名称不允许', 'a disclosure has a forbidden name'],
  claim_never_disclosable: ['披露项隐藏了必须公开的内容', 'a claim that must be in the clear was hidden'],
  claim_collision: ['披露项与已有内容冲突', 'a disclosure overrides another claim'],
  sd_jwt_too_deep: ['嵌套过深', 'nested too deeply'],
  payload_member_missing: ['证照缺少必要内容', 'the certificate lacks a required claim'],
  payload_member_unknown: ['证照含有未知内容', 'the certificate has an unknown claim'],
  payload_member_invalid: ['证照内容格式错误', 'a claim of the certificate is malformed'],
  payload_inconsistent: ['证照内容前后不一致', 'the claims of the certificate contradict each other'],
  x5c_missing: ['缺少签章证书', 'the seal certificate is missing'],
  x5t_mismatch: ['签章证书指纹不符', 'the fingerprint of the seal certificate differs'],
  x509_subject_mismatch: ['签章证书主体不是发证机关', 'the seal certificate names another department'],
  x509_chain_length: ['签章证书链长度不符', 'the chain of seal certificates is too long or empty'],
  x509_malformed: ['签章证书格式错误', 'a seal certificate is malformed'],
  x509_root_in_chain: ['证书链中含有根证书', 'the chain contains a root'],
  x509_leaf_self_signed: ['签章证书为自签名', 'the seal certificate is self-signed'],
  x509_issuer_mismatch: ['证书链不连续', 'the chain of seal certificates is broken'],
  x509_root_unknown: ['根证书不受信任', 'the root is not trusted'],
  x509_algorithm: ['证书签名算法不被接受', 'the algorithm of a seal certificate is not accepted'],
  x509_key: ['证书密钥强度或类型不符', 'a key in the chain is too weak or of the wrong kind'],
  x509_signature: ['证书签名无效', 'the signature of a seal certificate is wrong'],
  x509_not_yet_valid: ['签章时证书尚未生效', 'a seal certificate was not valid yet at signing'],
  x509_expired: ['签章时证书已过期', 'a seal certificate had expired at signing'],
  x509_not_authority: ['上级证书不是签发机构证书', 'an issuing certificate is not an authority'],
  x509_leaf_is_authority: ['签章证书不应为签发机构证书', 'the seal certificate is an authority'],
  x509_path_length: ['证书链超过允许长度', 'the path length limit is exceeded'],
  x509_key_usage: ['证书密钥用途不符', 'the key usage does not allow this'],
  x509_extended_key_usage: ['证书扩展用途不符', 'the extended key usage does not allow this'],
  x509_critical_extension: ['证书含有未知关键扩展', 'a seal certificate has an unknown critical extension'],
  x509_name_constraints: ['证书含有不支持的名称约束', 'name constraints are not supported'],
  x509_revoked: ['签章证书已被吊销', 'a seal certificate was revoked'],
  crl_malformed: ['吊销列表格式错误', 'a revocation list is malformed'],
  crl_missing: ['缺少吊销列表', 'a revocation list is missing'],
  crl_signature: ['吊销列表签名无效', 'the signature of a revocation list is wrong'],
  crl_stale: ['吊销列表已过时', 'a revocation list is out of date'],
  issuer_unknown: ['发证机关未登记', 'the issuing department is not registered'],
  seal_not_registered: ['签章未在该机关登记', 'the seal is not registered for this department'],
  seal_not_in_force: ['签章时该签章不在有效登记期内', 'the seal was not in force at signing'],
  seal_revoked: ['签章时该签章已注销', 'the seal was revoked at signing'],
  type_unknown: ['证照类型未登记', 'the certificate type is not registered'],
  issuer_not_allowed: ['该机关无权颁发此类证照', 'the department may not issue this type'],
  not_sealed_yet: ['所查时间证照尚未签发', 'the certificate was not sealed yet at this time'],
  not_yet_valid: ['证照尚未生效', 'the certificate is not in force yet'],
  expired: ['证照已过有效期', 'the certificate has expired'],
  suspended: ['证照已暂扣', 'the certificate is suspended'],
  revoked: ['证照已撤销或注销', 'the certificate was revoked'],
  superseded: ['证照已被新版本替代', 'the certificate was superseded by a newer version'],
  status_invalid: ['证照已撤销、注销或被新版本替代', 'the certificate was revoked or superseded'],
  status_list_missing: ['缺少证照状态列表', 'the status list of the certificate is missing'],
  status_list_untrusted: ['证照状态列表签名不可信', 'the signature of the status list is not trusted'],
  status_list_other_root: [
    '证照状态列表与证照根证书不同',
    'the status list is under another root than the certificate',
  ],
  status_list_malformed: ['证照状态列表格式错误', 'the status list is malformed'],
  status_list_subject: ['证照状态列表地址不符', 'the status list is for another address'],
  status_list_from_future: ['证照状态列表时间晚于当前时间', 'the status list is from the future'],
  status_list_expired: ['证照状态列表已过期，请更新信任包', 'the status list has expired: fetch a newer trust bundle'],
  status_index_out_of_range: ['证照状态序号超出列表范围', 'the status index is outside the list'],
  status_value_unknown: ['证照状态值未知', 'the status value is unknown'],
  status_history_unavailable: [
    '仅有当前状态：若其间未曾暂扣，则所查时间有效',
    'only the present status is known: valid then, unless it was suspended in between',
  ],
  status_change_time_unknown: [
    '仅有当前状态：状态变更时间未知，所查时间可能仍有效',
    'only the present status is known, not when it changed: it may have been valid then',
  ],
  field_not_disclosed: ['证照未披露该字段', 'the certificate does not disclose the field'],
  field_differs: ['字段内容与证照不符', 'the field differs from the certificate'],
  answer_malformed: ['答复内容格式错误', 'the answer is malformed'],
  answer_issuer: ['答复来自其他平台', 'the answer is from another hub'],
  answer_from_future: ['答复时间晚于当前时间', 'the answer is from the future'],
  answer_key_not_in_force: ['答复签名密钥当时不在有效期', 'the key of the answer was not in force'],
  answer_certificate_differs: ['证照与答复所述不符', 'the certificate is not the one the answer names'],
  sd_jwt_not_in_answer: ['证照不在答复范围内', 'the certificate is not part of the answer'],
  sd_jwt_not_supplied: ['答复中的证照未一并提供', 'a certificate of the answer was not supplied'],
};
