import { randomInt } from 'node:crypto';
import type { Transaction } from 'kysely';
import type { CataloguedType } from '../catalogue/catalogue.ts';
import { isRetired } from '../catalogue/certificate-type.ts';
import type { Tables } from '../db/tables.ts';
import type { WriteAnswer } from '../db/write.ts';
import { Refusal } from '../errors.ts';
import { type Caller, officerKey } from '../ids.ts';
import {
  holderKind,
  isCertificateTypeCode,
  isUscc,
  type ParsedCertificateIdentifier,
} from '../verification/identifiers.ts';
import { checkMetadata, initialState, isSealed, type PushedCertificate } from './certificate.ts';
import { certificateBody } from './certificate-body.ts';
import type { CertificateDeps, ChangeRequest } from './certificate-deps.ts';
import type { CertificateMetadata, NamedHolder } from './certificate-row.ts';
import { checkedIdentifier, type Draft, enterVersion, noteStep, readVersion } from './certificate-version.ts';
import { dayOf } from './city-day.ts';
import { allocateStatusIndex } from './status-index.ts';
import { latestVersion } from './store.ts';

const serialAlphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ';
const serialLength = 20;

/**
 * Takes in a certificate of the calling department. Without an identifier the hub assigns one; an identifier whose version is above the
 * current one makes the next version. A type that needs a review leaves it `pending_review`, others `approved`.
 * @throws Refusal as `checkPushed` and `checkMetadata`; `certificate_exists`, `version_outdated`, `wrong_state`
 */
export function pushCertificate(
  deps: CertificateDeps,
  input: ChangeRequest & { readonly pushed: PushedCertificate },
): Promise<WriteAnswer> {
  const { call, idempotencyKey, pushed } = input;
  return deps.write(
    { caller: call.caller, operation: 'pushCertificate', idempotencyKey, content: pushed },
    {
      prepare: () => checkPushed(deps, input),
      apply: async (trx, checked) => {
        const { series, version } = checked.identifier ?? { series: newSeries(checked, call.caller), version: 1 };
        if (checked.identifier !== undefined) await checkNextVersion(trx, deps, { series, version });
        return enterPushed(trx, deps, { ...input, checked, series, version, operation: 'pushCertificate' });
      },
    },
  );
}

/** A push that may be entered, apart from what is there already. */
export interface CheckedPush {
  readonly entry: CataloguedType;
  readonly metadata: CertificateMetadata;
  readonly identifier?: ParsedCertificateIdentifier;
}

/**
 * Checks a push against catalogue and calendar; reads nothing personal.
 * @throws Refusal `invalid_certificate_type_code`, `certificate_type_unknown`, `invalid_uscc`, `wrong_department`, `type_not_allowed`,
 * `invalid_certificate_identifier`, `identifier_mismatch`, and what `checkMetadata` throws
 */
export async function checkPushed(
  deps: Pick<CertificateDeps, 'catalogue' | 'cityTimeZone'>,
  { call, pushed }: { readonly call: ChangeRequest['call']; readonly pushed: PushedCertificate },
): Promise<CheckedPush> {
  const { certificateTypeCode: code, certificateIssuingAuthorityCode: authority } = pushed;
  const { department } = call.caller;
  if (!isCertificateTypeCode(code)) {
    throw new Refusal('invalid_certificate_type_code', { pointer: '/certificateTypeCode' });
  }
  const pointer = '/certificateIssuingAuthorityCode';
  if (authority !== undefined && !isUscc(authority)) throw new Refusal('invalid_uscc', { pointer });
  if (authority !== undefined && authority !== department) throw new Refusal('wrong_department', { pointer });
  const catalogue = await deps.catalogue.read();
  const entry = catalogue.newest(code);
  if (entry === undefined) throw new Refusal('certificate_type_unknown', { pointer: '/certificateTypeCode' });
  if (isRetired(entry.type)) throw new Refusal('certificate_type_retired', { pointer: '/certificateTypeCode' });
  if (!catalogue.allowedIssuer(code, department, call.at)) {
    throw new Refusal('type_not_allowed', { pointer: '/certificateTypeCode' });
  }
  const identifier = givenIdentifier(pushed, department);
  const metadata = checkMetadata(pushed, entry, dayOf(call.at, deps.cityTimeZone));
  // Identifiers stand in clear in columns, paths and status answers (invariant 5).
  const names = ({ type, number }: NamedHolder): boolean =>
    holderKind(type) === 'person' && identifier?.serial.includes(number) === true;
  if (metadata.holders.some(names)) {
    throw new Refusal('invalid_certificate_identifier', { pointer: '/certificateIdentifier', rule: 'personal_number' });
  }
  return { entry, metadata, ...(identifier === undefined ? {} : { identifier }) };
}

function givenIdentifier(pushed: PushedCertificate, department: string): ParsedCertificateIdentifier | undefined {
  if (pushed.certificateIdentifier === undefined) return undefined;
  const pointer = '/certificateIdentifier';
  const parsed = checkedIdentifier(pushed.certificateIdentifier, pointer);
  if (parsed.typeCode !== pushed.certificateTypeCode)
    throw new Refusal('identifier_mismatch', { pointer, rule: 'type' });
  if (parsed.issuerCode !== department) throw new Refusal('identifier_mismatch', { pointer, rule: 'issuer' });
  return parsed;
}

function newSeries({ entry }: CheckedPush, { department }: Caller): string {
  const serial = Array.from({ length: serialLength }, () => serialAlphabet.charAt(randomInt(serialAlphabet.length)));
  return `${entry.type.certificateTypeCode}.${department}.${serial.join('')}`;
}

/**
 * Whether this version may be entered after what is there; keeps the latest version's rows until the transaction ends, so that
 * nobody else enters one in between.
 * @throws Refusal `certificate_exists`, `version_outdated`, `wrong_state` while the latest version is not sealed, or is revoked
 */
export async function checkNextVersion(
  trx: Transaction<Tables>,
  { keys }: Pick<CertificateDeps, 'keys'>,
  { series, version }: { readonly series: string; readonly version: number },
): Promise<void> {
  for (;;) {
    const latest = await latestVersion(trx, series);
    if (latest === undefined) return;
    const current = await readVersion(trx, keys.box, { series, version: latest }, { lock: true });
    // Waiting for the lock may have let somebody else enter a version.
    if ((await latestVersion(trx, series)) !== latest) continue;
    const sealed = isSealed(current.state);
    if (version === latest && !sealed) throw new Refusal('certificate_exists', { state: current.state });
    if (version <= latest) throw new Refusal('version_outdated', { currentVersion: latest });
    if (!sealed || current.state === 'revoked') {
      throw new Refusal('wrong_state', { state: current.state, currentVersion: latest });
    }
    return;
  }
}

/** Enters a checked push as this version, with its first event and its record; answers 201 with the certificate. */
export async function enterPushed(
  trx: Transaction<Tables>,
  deps: CertificateDeps,
  input: Pick<ChangeRequest, 'call'> & {
    readonly checked: CheckedPush;
    readonly series: string;
    readonly version: number;
    readonly operation: string;
  },
): Promise<WriteAnswer> {
  const { call, checked, series, version, operation } = input;
  const { entry, metadata } = checked;
  const { officer } = metadata;
  const draft: Draft = {
    series,
    version,
    entry,
    metadata,
    state: initialState(entry.type),
    editors: officer === undefined ? [] : [officerKey(officer)],
    at: call.at,
  };
  const status = await allocateStatusIndex(trx, { at: call.at });
  const after = await enterVersion(trx, { keys: deps.keys, timeZone: deps.cityTimeZone }, draft, status);
  await noteStep(trx, deps, { call, after, step: { operation, action: 'pushed', officer } });
  return { status: 201, body: certificateBody(after, { issuer: deps.issuer, type: entry.type }) };
}
