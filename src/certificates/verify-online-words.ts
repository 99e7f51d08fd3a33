import type { CertificateIdentifierFault } from '../verification/identifiers.ts';
import type { Verdict } from '../verification/verdict.ts';
import { type Reason, type VerdictNumber, worstVerdict } from '../verification/verdict-reasons.ts';

/** A reason that only the hub can give, because it knows its own files. */
export type FileReasonCode =
  | 'identifier_malformed'
  | 'identifier_check_character'
  | 'certificate_not_on_file'
  | 'certificate_differs_from_file'
  | 'face_values_missing'
  | 'face_values_differ'
  | 'superseded_by'
  | 'revoked_cancelled'
  | 'revoked_issued_in_error'
  | 'later_revoked_issued_in_error';

/** A reason as told to people; a code of `verification/` or of this file. */
export interface ToldReason {
  readonly code: Reason['code'] | FileReasonCode;
  readonly zh: string;
  readonly en: string;
}

/** A verdict with what the hub knows from its files joined to what the certificate says by itself. */
export interface FiledVerdict {
  readonly verdict: VerdictNumber;
  readonly reasons: readonly ToldReason[];
  readonly certificate?: NonNullable<Verdict['certificate']>;
}

const words: Readonly<Record<FileReasonCode, readonly [effect: VerdictNumber, zh: string, en: string]>> = {
  identifier_malformed: [7, '电子证照标识格式错误', 'the certificate identifier is malformed'],
  identifier_check_character: [7, '电子证照标识校验位错误', 'the check character of the identifier is wrong'],
  certificate_not_on_file: [5, '未查询到该证照', 'no such certificate is on file'],
  certificate_differs_from_file: [7, '与存档的证照不一致', 'this is not the certificate on file under its identifier'],
  face_values_missing: [4, '至少需提供两项证面内容', 'at least two values from the face of the certificate are needed'],
  // never which one: whoever guesses must learn nothing
  face_values_differ: [7, '所提供的证面内容与证照不符', 'the values given are not those of the certificate'],
  superseded_by: [0, '新版本证照的标识', 'identifier of the newer version'],
  revoked_cancelled: [0, '注销原因：正常注销', 'reason of the revocation: cancelled'],
  revoked_issued_in_error: [0, '撤销原因：错误颁发', 'reason of the revocation: issued in error'],
  later_revoked_issued_in_error: [
    0,
    '所查时间有效，但此后因错误颁发被撤销',
    'in force at this time, but later revoked because it was issued in error',
  ],
};

/** A reason with its words; `about` is an identifier, never a value. */
export function fileReason(code: FileReasonCode, about?: string): ToldReason {
  const [, zh, en] = words[code];
  return about === undefined ? { code, zh, en } : { code, zh: `${zh}：${about}`, en: `${en}: ${about}` };
}

/** A verdict made of reasons of this file alone. */
export const fileVerdict = (...codes: readonly FileReasonCode[]): FiledVerdict => ({
  verdict: worstVerdict(codes.map((code) => words[code][0])),
  reasons: codes.map((code) => fileReason(code)),
});

/** Why an identifier as typed cannot be one. */
export const identifierVerdict = (fault: CertificateIdentifierFault): FiledVerdict =>
  fileVerdict(fault === 'check_character' ? 'identifier_check_character' : 'identifier_malformed');
