import { type CertificateType, grantableFields } from '../catalogue/certificate-type.ts';
import { Refusal } from '../errors.ts';
import type { Call, Officer, Role } from '../ids.ts';
import {
  checkHolder,
  type Holder,
  holderKind,
  type ParsedCertificateIdentifier,
  parseCertificateIdentifier,
} from '../verification/identifiers.ts';
import { type FaultKind, issuersOf } from './feedback.ts';

/** A fault as a consumer or a portal reports it. */
export interface FaultReport {
  readonly kind: FaultKind;
  readonly certificateTypeCode: string;
  readonly certificateIdentifier?: string;
  readonly holder?: { readonly type: string; readonly number: string };
  readonly issuerDepartmentCode?: string;
  readonly fields?: readonly string[];
  readonly explanation: string;
  readonly matterCode?: string;
  readonly caseNumber?: string;
  readonly recordId?: string;
  readonly publicReference?: string;
  readonly follows?: string;
  readonly officer?: Officer;
}

/** What a report is about, in normal form. */
export interface CheckedFault {
  readonly certificate?: ParsedCertificateIdentifier | undefined;
  readonly holder?: Holder | undefined;
}

const invalid = (pointer: string, rule: string): Refusal => new Refusal('feedback_invalid', { pointer, rule });

/**
 * Checks by the catalogue alone what the contract cannot say: that the parts go with each other and with who reports. Pure.
 * @throws Refusal `feedback_invalid`, `invalid_certificate_identifier`, `identifier_mismatch`, `invalid_id_number`, `invalid_uscc`,
 *   `invalid_holder_type`, `holder_kind_mismatch`, `field_unknown`
 */
export function checkFault(report: FaultReport, type: CertificateType, { caller, at }: Call): CheckedFault {
  checkParts(report, caller.roles);
  const certificate = certificateOf(report);
  const holder = holderOf(report, type);
  checkFields(report, type);
  const { issuerDepartmentCode } = report;
  if (issuerDepartmentCode !== undefined && !issuersOf(type, at).includes(issuerDepartmentCode)) {
    throw invalid('/issuerDepartmentCode', 'no_issuer_of_the_type');
  }
  return { certificate, holder };
}

/** Which parts a report must have (true) or must not have (false), by its kind. */
const partsOf: Readonly<Record<'missing' | 'seen', readonly (readonly [part: keyof FaultReport, has: boolean])[]>> = {
  missing: [
    ['certificateIdentifier', false],
    ['fields', false],
    ['holder', true],
  ],
  seen: [
    ['certificateIdentifier', true],
    ['issuerDepartmentCode', false],
  ],
};

/** An office speaks through an officer, a portal for the holder whom it authenticated. */
function checkParts(report: FaultReport, roles: readonly Role[]): void {
  const parts = [
    ...partsOf[report.kind === 'missing' ? 'missing' : 'seen'],
    ...(roles.includes('portal') ? [['holder', true] as const] : []),
    ...(roles.includes('consumer') ? [['officer', true] as const] : []),
  ];
  const wrong = parts.find(([part, has]) => (report[part] !== undefined) !== has);
  if (wrong !== undefined) throw invalid(`/${wrong[0]}`, wrong[1] ? 'required' : `not_for_${report.kind}`);
}

function certificateOf({
  certificateIdentifier,
  certificateTypeCode,
}: FaultReport): ParsedCertificateIdentifier | undefined {
  if (certificateIdentifier === undefined) return undefined;
  const pointer = '/certificateIdentifier';
  const parsed = parseCertificateIdentifier(certificateIdentifier);
  if (!parsed.ok) throw new Refusal('invalid_certificate_identifier', { pointer, rule: parsed.reason });
  if (parsed.value.typeCode !== certificateTypeCode) throw new Refusal('identifier_mismatch', { pointer });
  return parsed.value;
}

function holderOf({ holder }: FaultReport, type: CertificateType): Holder | undefined {
  if (holder === undefined) return undefined;
  const judged = checkHolder(holder);
  if (!judged.ok) {
    throw new Refusal(judged.code, { pointer: `/holder/${judged.code === 'invalid_holder_type' ? 'type' : 'number'}` });
  }
  if (type.holderKind !== 'mixed' && holderKind(judged.holder.type) !== type.holderKind) {
    throw new Refusal('holder_kind_mismatch', { pointer: '/holder/type', holderKind: type.holderKind });
  }
  return judged.holder;
}

function checkFields({ fields = [] }: FaultReport, type: CertificateType): void {
  const names = grantableFields(type).map(({ name }) => name);
  const unknown = fields.findIndex((field) => !names.includes(field));
  if (unknown >= 0) throw new Refusal('field_unknown', { pointer: `/fields/${unknown}` });
}
