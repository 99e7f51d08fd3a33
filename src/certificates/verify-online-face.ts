import { createHash, timingSafeEqual } from 'node:crypto';
import { canonicalJson } from '../verification/canonical-json.ts';
import { normaliseHolderNumber } from '../verification/identifiers.ts';
import type { CertificateMetadata } from './certificate-row.ts';

/** What somebody read off a certificate: a field's name and the value on its face. */
export type FaceValues = Readonly<Record<string, unknown>>;

/** How many values somebody must have before the hub says whether they are right. */
export const leastFaceValues = 2;

/** Values that say something: an empty text or null is as good as not given. */
export const givenFaceValues = (values: FaceValues): readonly (readonly [name: string, value: unknown])[] =>
  Object.entries(values).filter(([, value]) => value !== null && !(typeof value === 'string' && value.trim() === ''));

/**
 * Whether every value given is the certificate's. `holderName` and `holderNumber` must be those of one holder.
 * A name that the certificate does not have counts as wrong. Every value is compared, whether an earlier one was
 * wrong or not, and only digests are compared: neither the answer nor its time says which value was wrong.
 */
export function matchesFace(metadata: CertificateMetadata, values: FaceValues): boolean {
  const face = faceOf(metadata);
  const given = givenFaceValues(values);
  let wrong = 0;
  for (const [name, value] of given) {
    if (holderNames.has(name)) continue;
    const known = Object.hasOwn(face, name);
    // compared even when the certificate has no such field
    wrong += Number(!equals(value, known ? face[name] : null) || !known);
  }
  const holderValues = given.filter(([name]) => holderNames.has(name));
  if (holderValues.length > 0) {
    let holdersThatMatch = 0;
    for (const holder of metadata.holders) {
      let differing = 0;
      for (const [name, value] of holderValues) {
        differing += Number(
          name === 'holderName'
            ? !equals(value, holder.name)
            : !equals(asNumber(holder.type, value), asNumber(holder.type, holder.number)),
        );
      }
      holdersThatMatch += Number(differing === 0);
    }
    wrong += Number(holdersThatMatch === 0);
  }
  return given.length > 0 && wrong === 0;
}

const holderNames = new Set(['holderName', 'holderNumber']);

/** The fields of the type and what every certificate has; a type cannot define a field of a standard name. */
const faceOf = (metadata: CertificateMetadata): Readonly<Record<string, unknown>> => ({
  ...metadata.fields,
  certificateNumber: metadata.certificateNumber,
  certificateIssuedDate: metadata.certificateIssuedDate,
  certificateEffectiveDate: metadata.certificateEffectiveDate,
  ...(metadata.certificateExpiringDate === undefined
    ? {}
    : { certificateExpiringDate: metadata.certificateExpiringDate }),
  ...(metadata.certificateName === undefined ? {} : { certificateName: metadata.certificateName }),
});

const asNumber = (type: string, value: unknown): unknown =>
  typeof value === 'string' ? normaliseHolderNumber(type, plain(value)) : value;

const equals = (given: unknown, known: unknown): boolean => timingSafeEqual(digest(given), digest(known));

const digest = (value: unknown): Buffer =>
  createHash('sha256')
    .update(canonicalJson(asPrinted(value)))
    .digest();

/** On paper 3 and "3" look the same, and white space and width of characters depend on the printer. */
function asPrinted(value: unknown): unknown {
  if (typeof value === 'string') return plain(value);
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (Array.isArray(value)) return value.map(asPrinted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, asPrinted(member)]));
}

const plain = (text: string): string => text.normalize('NFKC').replace(/\s+/gu, '');
