import type { Transaction } from 'kysely';
import { memberOf, textOf } from '../audit/body-values.ts';
import { openRecord, type RecordKeys } from '../audit/open-record.ts';
import type { RecordIn } from '../audit/record.ts';
import { selectById } from '../audit/search/search-store.ts';
import type { CatalogueView } from '../catalogue/catalogue.ts';
import { type CertificateType, grantableFields } from '../catalogue/certificate-type.ts';
import type { Database } from '../db/database.ts';
import type { Tables } from '../db/tables.ts';
import type { Write, WriteAnswer } from '../db/write.ts';
import { Refusal } from '../errors.ts';
import { type CurrentGrants, grantsOf } from '../grants/current-grants.ts';
import { applicationFor, grantState } from '../grants/grant.ts';
import { type Call, newId } from '../ids.ts';
import { type Holder, isCertificateTypeCode } from '../verification/identifiers.ts';
import { checkFault, type FaultReport } from './fault-report.ts';
import { type Feedback, isOpen, ownerOf, receiptNumber } from './feedback.ts';
import type { FeedbackKeys, FeedbackStoreDeps } from './feedback-row.ts';
import { findFeedback, holdFault, insertFeedback, openFeedbackOn } from './feedback-store.ts';

/** Keyed values that stand for what a report is about. */
export interface FaultKeys {
  searchKey(axis: 'fault', value: string): Buffer;
  searchKeys(axis: 'fault', value: string): readonly Buffer[];
  holderKey(type: string, number: string): Buffer;
}

export interface ReportFaultDeps extends FeedbackStoreDeps {
  readonly write: Write;
  readonly recordIn: RecordIn;
  readonly db: Database;
  readonly keys: FeedbackKeys & FaultKeys & RecordKeys;
  readonly catalogue: CatalogueView;
  readonly current: CurrentGrants;
  /** When an answer to what is reported at that moment is late. */
  readonly dueAfter: (at: Date) => Date;
  /** Calendar day of the city, yyyy-mm-dd. */
  readonly day: (at: Date) => string;
  /** The number of a receipt, see `drawNumber`. */
  readonly drawNumber: () => number;
}

/** A report whose parts are right and fit together. */
interface CheckedReport {
  readonly ownerDepartmentCode: string;
  readonly holder?: Holder;
  readonly secrecy?: NonNullable<Feedback['secrecy']>;
  /** What is reported, in one spelling. */
  readonly fault: string;
}

/**
 * Puts a report of a missing, wrong or unreadable certificate on file. No certificate is looked up: the answer is the same whether or
 * not there is one. Refuses `invalid_certificate_type_code`, `certificate_type_unknown`, `feedback_invalid`,
 * `invalid_certificate_identifier`, `identifier_mismatch`, `invalid_id_number`, `invalid_uscc`, `invalid_holder_type`,
 * `holder_kind_mismatch`, `field_unknown`, `grant_required` (what is missing is told to those alone who might see it),
 * `record_unknown`, `feedback_unknown` (nothing of the client's own to follow) and `feedback_exists` (context.receiptNumber).
 */
export async function reportFault(
  deps: ReportFaultDeps,
  report: FaultReport,
  call: Call & { readonly idempotencyKey: string },
  present: (feedback: Feedback) => WriteAnswer,
): Promise<WriteAnswer> {
  const { caller, idempotencyKey, at } = call;
  const request = { caller, operation: 'reportFault', idempotencyKey, content: report };
  return deps.write(request, {
    prepare: () => check(deps, report, call),
    apply: async (trx, { ownerDepartmentCode, holder, secrecy, fault }) => {
      const { clientId, department: departmentCode } = caller;
      const faultKey = deps.keys.searchKey('fault', fault);
      await holdFault(trx, clientId, faultKey);
      const faultKeys = deps.keys.searchKeys('fault', fault);
      const same = await openFeedbackOn(trx, deps, { clientId, faultKeys });
      if (same !== undefined) {
        throw new Refusal('feedback_exists', { feedbackId: same.feedbackId, receiptNumber: same.receiptNumber });
      }
      const { holder: _given, issuerDepartmentCode: _named, ...said } = report;
      const feedback = await enter(trx, deps, faultKey, {
        ...said,
        ...(holder !== undefined && { holder }),
        ...(secrecy !== undefined && { secrecy }),
        feedbackId: newId(),
        clientId,
        departmentCode,
        ownerDepartmentCode,
        state: 'open',
        createdAt: at,
        dueAt: deps.dueAfter(at),
        history: [{ step: 'reported', at, departmentCode, clientId }],
      });
      await recordReport(trx, deps, feedback, call);
      return present(feedback);
    },
  });
}

const attempts = 8;

async function enter(
  trx: Transaction<Tables>,
  deps: ReportFaultDeps,
  faultKey: Buffer,
  report: Omit<Feedback, 'receiptNumber'>,
): Promise<Feedback> {
  const day = deps.day(report.createdAt);
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    const feedback = { ...report, receiptNumber: receiptNumber(day, deps.drawNumber()) };
    if (await insertFeedback(trx, deps, feedback, faultKey)) return feedback;
  }
  throw new Error('no free receipt number was drawn');
}

/** Recorded as `registry`: nobody has learned anything yet. What was written stands in the report alone. */
async function recordReport(
  trx: Transaction<Tables>,
  { recordIn, keys }: ReportFaultDeps,
  feedback: Feedback,
  { caller, requestId, at }: Call,
): Promise<void> {
  const { feedbackId, receiptNumber: number, kind, certificateTypeCode, ownerDepartmentCode } = feedback;
  const { holder, officer, certificateIdentifier, fields, matterCode, recordId, follows } = feedback;
  await recordIn(trx, {
    kind: 'registry',
    action: 'reportFault',
    outcome: 'done',
    caller: { clientId: caller.clientId, department: caller.department, keyId: caller.keyId },
    ...(officer !== undefined && { officer }),
    ...(holder !== undefined && { subjects: [keys.holderKey(holder.type, holder.number)] }),
    ...(certificateIdentifier !== undefined && { certificates: [certificateIdentifier] }),
    requestId,
    at,
    detail: {
      feedbackId,
      steps: feedback.history.length,
      receiptNumber: number,
      fault: kind,
      certificateTypeCode,
      ownerDepartmentCode,
      ...(fields !== undefined && { fields }),
      ...(matterCode !== undefined && { matterCode }),
      ...(recordId !== undefined && { recordId }),
      ...(follows !== undefined && { follows }),
    },
  });
}

async function check(deps: ReportFaultDeps, report: FaultReport, call: Call): Promise<CheckedReport> {
  const { kind, certificateTypeCode, issuerDepartmentCode } = report;
  if (!isCertificateTypeCode(certificateTypeCode)) {
    throw new Refusal('invalid_certificate_type_code', { pointer: '/certificateTypeCode' });
  }
  const type = (await deps.catalogue.read()).newest(certificateTypeCode)?.type;
  if (type === undefined) throw new Refusal('certificate_type_unknown', { pointer: '/certificateTypeCode' });
  const { certificate, holder } = checkFault(report, type, call);
  if (kind === 'missing') await checkGrant(deps, { type, matterCode: report.matterCode }, call);
  const secrecy = await secrecyOf(deps, report, call);
  await checkFollowed(deps, { report, holder }, call);
  return {
    ownerDepartmentCode: ownerOf(type, { certificate, issuerDepartmentCode }, call.at),
    ...(holder !== undefined && { holder }),
    ...(secrecy !== undefined && { secrecy }),
    fault: faultOf({ kind, certificateTypeCode }, { certificate, holder }, call),
  };
}

/**
 * What counts as the same fault. Through a portal people speak for themselves: nobody is told of another one's report of the same
 * certificate, or kept from an own one. Offices report a certificate once, whomever they name.
 */
function faultOf(
  { kind, certificateTypeCode }: Pick<FaultReport, 'kind' | 'certificateTypeCode'>,
  { certificate, holder }: ReturnType<typeof checkFault>,
  { caller }: Call,
): string {
  const person = [holder?.type, holder?.number];
  if (certificate === undefined) return [kind, certificateTypeCode, ...person].join(' ');
  return [kind, certificate.identifier, ...(caller.roles.includes('portal') ? person : [])].join(' ');
}

/**
 * An answer to "it is missing" says whether somebody has a certificate. Offices learn that under a grant for the type alone; a portal
 * asks for the holder whom it authenticated.
 */
async function checkGrant(
  { current }: ReportFaultDeps,
  { type, matterCode }: { readonly type: CertificateType; readonly matterCode: string | undefined },
  { caller, at }: Call,
): Promise<void> {
  if (!caller.roles.includes('consumer')) return;
  const { certificateTypeCode, ownerDepartmentCode } = type;
  const grants = await grantsOf(current, caller.clientId);
  const isGranted = grants.some(
    (grant) => grant.certificateTypeCode === certificateTypeCode && grantState(grant, at) === 'in_force',
  );
  if (isGranted) return;
  const fields = grantableFields(type);
  const granted = {
    fieldNames: fields.map(({ name }) => name),
    sensitiveFieldNames: fields.filter((field) => field.class === 'sensitive').map(({ name }) => name),
  };
  // Whoever stands at the counter has come with a case of their own. Without a matter there is nothing to apply for yet.
  const wanted = { certificateTypeCode, level: 'compare', legalBasis: 'own_application', at } as const;
  throw new Refusal('grant_required', {
    pointer: '/certificateTypeCode',
    ...(matterCode !== undefined && { apply: [applicationFor({ ...wanted, matterCode }, granted)] }),
    owners: [{ certificateTypeCode, ownerDepartmentCode }],
  });
}

/** The secrecy of the lookup that is named, if it has one. Another client's record and none are refused in the same way. */
async function secrecyOf(
  { db, keys, tampered }: ReportFaultDeps,
  { recordId }: FaultReport,
  { caller }: Call,
): Promise<CheckedReport['secrecy']> {
  if (recordId === undefined) return undefined;
  const unknown = new Refusal('record_unknown', { pointer: '/recordId' });
  const row = await selectById(db, recordId);
  if (row === undefined || row.client_id !== caller.clientId) throw unknown;
  const record = openRecord(keys, row);
  if (record.state === 'tampered') {
    tampered('records', recordId);
    throw unknown;
  }
  if (record.state === 'erased') return undefined;
  const secrecy = memberOf(record.opened.body['detail'], 'secrecy');
  const releaseAt = textOf(memberOf(secrecy, 'releaseAt'));
  return releaseAt === undefined
    ? undefined
    : { releaseAt, legalGround: textOf(memberOf(secrecy, 'legalGround')) ?? '' };
}

/** An objection is made to an answer: to one of the client's own reports, about the same type and, of both that are named, the same holder. */
async function checkFollowed(
  deps: ReportFaultDeps,
  { report, holder }: { readonly report: FaultReport; readonly holder: Holder | undefined },
  { caller }: Call,
): Promise<void> {
  const { follows, certificateTypeCode } = report;
  if (follows === undefined) return;
  const followed = await findFeedback(deps.db.kysely, deps, follows);
  if (followed?.clientId !== caller.clientId) throw new Refusal('feedback_unknown', { pointer: '/follows' });
  if ('forgottenAt' in followed) throw new Refusal('feedback_invalid', { pointer: '/follows', rule: 'forgotten' });
  const isOwn =
    followed.certificateTypeCode === certificateTypeCode &&
    (holder === undefined || followed.holder === undefined || holder.number === followed.holder.number);
  if (!isOwn) throw new Refusal('feedback_unknown', { pointer: '/follows' });
  if (isOpen(followed)) throw new Refusal('feedback_invalid', { pointer: '/follows', rule: 'still_open' });
}
