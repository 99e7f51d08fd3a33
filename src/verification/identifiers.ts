import type { CertificateIdentifier, CertificateTypeCode, DepartmentCode } from '../ids.ts';

const usccAlphabet = '0123456789ABCDEFGHJKLMNPQRTUWXY';
const usccWeights = [1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28];
const citizenWeights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
const citizenChecks = '10X98765432';
const alphabet36 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ';

const usccShape = /^[0-9A-HJ-NP-RTUW-Y]{18}$/;
const citizenShape = /^[0-9]{17}[0-9X]$/;

/** The check character of the first 17 characters of a USCC (GB 32100-2015), or undefined for other characters. */
export function usccCheckCharacter(body: string): string | undefined {
  if (body.length !== 17) return undefined;
  let sum = 0;
  for (let index = 0; index < 17; index++) {
    const value = usccAlphabet.indexOf(body.charAt(index));
    if (value < 0) return undefined;
    sum += value * (usccWeights[index] ?? 0);
  }
  return usccAlphabet.charAt((31 - (sum % 31)) % 31);
}

/** True for 18 characters of the USCC alphabet whose check character is right (GB 32100-2015, MOD 31-3). */
export const isUscc = (text: string): boolean =>
  usccShape.test(text) && usccCheckCharacter(text.slice(0, 17)) === text.charAt(17);

/**
 * True when characters 9 to 17 of a USCC are an organisation code with the right check character (GB 11714).
 * A warning for the person who types it, never a reason to refuse: not every register followed the rule.
 */
export function hasOrganisationCheck(uscc: string): boolean {
  const weights = [3, 7, 9, 10, 5, 8, 4, 2];
  let sum = 0;
  for (let index = 0; index < 8; index++) sum += alphabet36.indexOf(uscc.charAt(8 + index)) * (weights[index] ?? 0);
  const check = 11 - (sum % 11);
  return uscc.charAt(16) === (check === 10 ? 'X' : check === 11 ? '0' : String(check));
}

/** A USCC as the code of a department, or undefined. */
export const asDepartmentCode = (text: string): DepartmentCode | undefined =>
  isUscc(text) ? (text as DepartmentCode) : undefined;

/** The check character of the first 17 digits of a citizen ID number (GB 11643-1999, ISO 7064 MOD 11-2). */
export function citizenCheckCharacter(body: string): string | undefined {
  if (!/^[0-9]{17}$/.test(body)) return undefined;
  let sum = 0;
  for (let index = 0; index < 17; index++) sum += Number(body.charAt(index)) * (citizenWeights[index] ?? 0);
  return citizenChecks.charAt(sum % 11);
}

/** True for an 18-character citizen ID number with a real birth date and the right check character (GB 11643-1999). */
export const isCitizenId = (text: string): boolean =>
  citizenShape.test(text) &&
  citizenCheckCharacter(text.slice(0, 17)) === text.charAt(17) &&
  isRealDate(Number(text.slice(6, 10)), Number(text.slice(10, 12)), Number(text.slice(12, 14)));

/** True for a day of the Gregorian calendar from 1800 on; month and day count from 1. */
function isRealDate(year: number, month: number, day: number): boolean {
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  const days = [31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1];
  return year >= 1800 && days !== undefined && day >= 1 && day <= days;
}

/** True for a certificate type code (GB/T 36902): the USCC of the defining authority and three digits. */
export const isCertificateTypeCode = (text: string): text is CertificateTypeCode =>
  text.length === 21 && isUscc(text.slice(0, 18)) && /^[0-9]{3}$/.test(text.slice(18));

/**
 * The check character of a certificate identifier (GB/T 36904-2018; ISO 7064 MOD 37,36) over type, issuer,
 * serial and version written together without dots and without the root OID; undefined for other characters.
 */
export function certificateCheckCharacter(body: string): string | undefined {
  let product = 36;
  for (let index = 0; index < body.length; index++) {
    const value = alphabet36.indexOf(body.charAt(index));
    if (value < 0) return undefined;
    const sum = (product + value) % 36;
    product = (2 * (sum === 0 ? 36 : sum)) % 37;
  }
  return alphabet36.charAt((37 - product) % 36);
}

/** The root OID that every certificate identifier starts with. */
const certificateIdentifierRoot = '1.2.156.3005.2';

/** What a certificate identifier says. `series` is type.issuer.serial: the same for every version of a certificate. */
export type ParsedCertificateIdentifier = {
  readonly identifier: CertificateIdentifier;
  readonly typeCode: CertificateTypeCode;
  readonly issuerCode: string;
  /** `region` codes are seen in old data: read, never composed. */
  readonly issuerKind: 'uscc' | 'region';
  readonly serial: string;
  readonly version: number;
  readonly versionText: string;
  readonly series: string;
};

/** Why an identifier was refused; the first that applies, in this order. */
export type CertificateIdentifierFault = 'shape' | 'check_character' | 'type_code' | 'issuer_code' | 'version';

const identifierShape =
  /^1\.2\.156\.3005\.2\.([0-9A-Z]{21})\.([0-9A-Z]{18}|[0-9]{6})\.([0-9A-Z]{1,32})\.([0-9]{3})\.([0-9A-Z])$/;

/** Reads a certificate identifier (GB/T 36904-2018) and checks its check character, type code, issuer and version. */
export function parseCertificateIdentifier(
  text: string,
): { ok: true; value: ParsedCertificateIdentifier } | { ok: false; reason: CertificateIdentifierFault } {
  const parts = text.length <= 120 ? identifierShape.exec(text) : null;
  if (parts === null) return { ok: false, reason: 'shape' };
  // every group takes part in every match
  const [typeCode, issuerCode, serial, versionText, check] = parts.slice(1) as [string, string, string, string, string];
  if (certificateCheckCharacter(typeCode + issuerCode + serial + versionText) !== check) {
    return { ok: false, reason: 'check_character' };
  }
  if (!isCertificateTypeCode(typeCode)) return { ok: false, reason: 'type_code' };
  const issuerKind = issuerCode.length === 6 ? 'region' : 'uscc';
  if (issuerKind === 'uscc' && !isUscc(issuerCode)) return { ok: false, reason: 'issuer_code' };
  if (versionText === '000') return { ok: false, reason: 'version' };
  const value = {
    identifier: text as CertificateIdentifier,
    typeCode,
    issuerCode,
    issuerKind,
    serial,
    version: Number(versionText),
    versionText,
    series: `${typeCode}.${issuerCode}.${serial}`,
  } as const;
  return { ok: true, value };
}

/** True for a certificate identifier that `parseCertificateIdentifier` accepts. */
export const isCertificateIdentifier = (text: string): text is CertificateIdentifier =>
  parseCertificateIdentifier(text).ok;

/**
 * The identifier of one version of a certificate (GB/T 36904-2018).
 * @throws RangeError when a part could not be read back; the issuer must be a USCC.
 */
export function composeCertificateIdentifier(parts: {
  typeCode: string;
  issuerCode: string;
  serial: string;
  version: number;
}): CertificateIdentifier {
  const versionText = String(parts.version).padStart(3, '0');
  const check = certificateCheckCharacter(parts.typeCode + parts.issuerCode + parts.serial + versionText);
  const text = [certificateIdentifierRoot, parts.typeCode, parts.issuerCode, parts.serial, versionText, check].join(
    '.',
  );
  const read = parseCertificateIdentifier(text);
  if (!read.ok) throw new RangeError(`not a certificate identifier: ${read.reason}`);
  if (read.value.issuerKind !== 'uscc') throw new RangeError('not a certificate identifier: issuer_code');
  return read.value.identifier;
}
/** Holder code types (GB/T 36903-2018, annex A, as deployed). */
export const holderTypes = [
  { code: '001', zh: '统一社会信用代码', en: 'unified social credit code', kind: 'organisation' },
  { code: '099', zh: '其他法人或其他组织', en: 'other legal person or organisation', kind: 'organisation' },
  { code: '111', zh: '公民身份号码', en: 'citizen ID number', kind: 'person' },
  { code: '114', zh: '军官证', en: 'military officer card', kind: 'person' },
  { code: '115', zh: '武警警官证', en: 'armed police officer card', kind: 'person' },
  { code: '118', zh: '士兵证', en: 'soldier card', kind: 'person' },
  { code: '119', zh: '武警士兵证', en: 'armed police soldier card', kind: 'person' },
  { code: '120', zh: '军队文职', en: 'civilian staff of the armed forces', kind: 'person' },
  { code: '122', zh: '武警文职', en: 'civilian staff of the armed police', kind: 'person' },
  { code: '411', zh: '外交护照', en: 'diplomatic passport', kind: 'person' },
  { code: '412', zh: '公务护照', en: 'service passport', kind: 'person' },
  { code: '413', zh: '公务普通护照', en: 'passport for public affairs', kind: 'person' },
  { code: '414', zh: '普通护照', en: 'ordinary passport', kind: 'person' },
  {
    code: '511',
    zh: '台湾居民来往大陆通行证',
    en: 'mainland travel permit for Taiwan residents',
    kind: 'person',
  },
  {
    code: '516',
    zh: '港澳居民来往内地通行证',
    en: 'mainland travel permit for Hong Kong and Macao residents',
    kind: 'person',
  },
  { code: '999', zh: '其他自然人证件', en: 'other document of a natural person', kind: 'person' },
] as const;

export type HolderType = (typeof holderTypes)[number]['code'];
export type HolderKind = (typeof holderTypes)[number]['kind'];

/** Whom a certificate is about. `number` is in normal form once `checkHolder` returned it. */
export type Holder = { readonly type: HolderType; readonly number: string };

const kinds = new Map<string, HolderKind>(holderTypes.map((type) => [type.code, type.kind]));

/** Person or organisation, or undefined for a code that annex A lacks. */
export const holderKind = (type: string): HolderKind | undefined => kinds.get(type);

/** True for a code of annex A. */
const isHolderType = (type: string): type is HolderType => kinds.has(type);

/**
 * The one spelling of a holder number: full-width characters (U+FF01 to U+FF5E) become ASCII, ASCII letters
 * upper case, compatibility ideographs their unified ones. The same person must get the same `holder_key` whatever keyboard was used. Nothing is trimmed.
 */
export function normaliseHolderNumber(_type: string, number: string): string {
  if (/^[0-9A-Z]*$/.test(number)) return number;
  return number
    .replace(/[\uff01-\uff5e]/g, (character) => String.fromCharCode(character.charCodeAt(0) - 0xfee0))
    .replace(/[a-z]/g, (letter) => letter.toUpperCase())
    .normalize('NFC');
}

/** Other documents carry Han characters too (南字第1234号), so only the shape is checked. */
const otherNumber = /^[0-9A-Z\p{Script=Han}()\-/]{2,32}$/u;

/**
 * Checks a holder as given by a caller and returns it in normal form: ID numbers by GB 11643, USCCs by
 * GB 32100, every other type by shape alone.
 */
export function checkHolder(unverified: {
  readonly type: string;
  readonly number: string;
}): { ok: true; holder: Holder } | { ok: false; code: 'invalid_id_number' | 'invalid_uscc' | 'invalid_holder_type' } {
  const { type } = unverified;
  if (!isHolderType(type)) return { ok: false, code: 'invalid_holder_type' };
  const number = normaliseHolderNumber(type, unverified.number);
  if (type === '001')
    return isUscc(number) ? { ok: true, holder: { type, number } } : { ok: false, code: 'invalid_uscc' };
  const valid = type === '111' ? isCitizenId(number) : otherNumber.test(number);
  return valid ? { ok: true, holder: { type, number } } : { ok: false, code: 'invalid_id_number' };
}
