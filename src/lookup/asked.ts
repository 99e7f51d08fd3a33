import { Refusal } from '../errors.ts';
import type { Asked } from '../grants/quota.ts';
import { readOfficerId } from '../ids.ts';
import type { IndexKeys } from '../signing/data-keys.ts';
import type { OpenedCertificate } from './found-certificate.ts';
import type { Question } from './question.ts';

/**
 * Whom a question counts for and against. By holder: the person asked about, found or not, whoever else stands on the certificate, so
 * that a refusal depends on the question alone. By identifier: every holder of the certificate, known once it is opened; one that
 * is not there, or cannot be read, counts as a holder of its own, so that guessing identifiers uses up the day like anything else and
 * a used-up day does not tell which of them exist.
 *
 * Keys are of the oldest generation on file: the same before and after a rotation in the middle of a day, on every process.
 */
export function askedOf(
  keys: Pick<IndexKeys, 'everyHolderKey' | 'searchKeys'>,
  { about, purpose }: Question,
  reading: Promise<readonly OpenedCertificate[]>,
): Asked {
  const keyOf = (type: string, number: string): Buffer => oldest(keys.everyHolderKey(type, number));
  return {
    officerKey: () => oldest(keys.searchKeys('officer', readOfficerId(purpose.officer.id))),
    holderKeys: async () => {
      if (about.by === 'holder') return [keyOf(about.holder.type, about.holder.number)];
      const opened = await reading.catch((error: unknown): readonly OpenedCertificate[] => {
        // The quota speaks first; what is wrong with the row is said after it.
        if (error instanceof Refusal && error.code === 'stored_data_tampered') return [];
        throw error;
      });
      const holders = opened.flatMap(({ contents }) => contents.metadata.holders);
      if (holders.length === 0) return [keyOf('certificate', about.certificate.series)];
      return holders.map(({ type, number }) => keyOf(type, number));
    },
  };
}

function oldest(keys: readonly Buffer[]): Buffer {
  const key = keys.at(-1);
  if (key === undefined) throw new RangeError('no index key');
  return key;
}

/** What the record of a refusal says of the limit that stood against it. */
export const exceededOf = ({ code, detail }: Refusal): Record<string, unknown> =>
  code === 'quota_exceeded'
    ? { quotaExceeded: { certificateTypeCode: detail['certificateTypeCode'], limit: detail['limit'] } }
    : {};
