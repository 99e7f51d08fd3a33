import type { RecordIn } from '../audit/record.ts';
import type { Write, WriteAnswer } from '../db/write.ts';
import { Refusal } from '../errors.ts';
import { type Call, newId, type Officer } from '../ids.ts';
import { isCertificateTypeCode } from '../verification/identifiers.ts';
import {
  type ApplicableType,
  beginsAt,
  checkScope,
  type GrantApplication,
  type GrantScope,
  hubDecidesOn,
  isSameScope,
} from './application.ts';
import { type ApplicationStoreDeps, holdClient, insertApplication, openApplicationsOf } from './application-store.ts';
import { type CurrentGrants, grantsOf } from './current-grants.ts';

export interface ApplyDeps extends ApplicationStoreDeps {
  readonly write: Write;
  readonly recordIn: RecordIn;
  readonly current: CurrentGrants;
  readonly findType: (certificateTypeCode: string) => Promise<ApplicableType | undefined>;
  /** Whether it is an open demand of that department for that type. */
  readonly isDemandFor: (input: {
    readonly demandId: string;
    readonly department: string;
    readonly certificateTypeCode: string;
  }) => Promise<boolean>;
  /** When a decision that becomes pending at that moment is late. */
  readonly dueAfter: (at: Date) => Date;
}

/** What a client applies for, for itself. */
export interface Wish {
  readonly certificateTypeCode: string;
  readonly wanted: GrantScope;
  readonly legalGround: string;
  readonly safeguards: string;
  readonly renews?: string;
  /** The demand that it came from. */
  readonly demandId?: string;
  readonly officer: Officer;
}

/**
 * Puts an application on file. Refuses `invalid_certificate_type_code`, `certificate_type_unknown`, `certificate_type_retired`,
 * `field_unknown`, `grant_unknown` (nothing of the client's own to renew), `demand_unknown` (none of its department for this type),
 * `grant_invalid` (its end) and `application_exists` (context.applicationId asks for the same).
 */
export async function applyForGrant(
  deps: ApplyDeps,
  { officer, ...wish }: Wish,
  call: Call & { readonly idempotencyKey: string },
  present: (application: GrantApplication) => WriteAnswer,
): Promise<WriteAnswer> {
  const { caller, idempotencyKey, requestId, at } = call;
  const content = { ...wish, wanted: JSON.parse(JSON.stringify(wish.wanted)) as unknown, officer };
  const request = { caller, operation: 'applyForGrant', idempotencyKey, content };
  return deps.write(request, {
    prepare: () => check(deps, wish, call),
    apply: async (trx, type) => {
      await holdClient(trx, caller.clientId);
      const same = (await openApplicationsOf(trx, deps, caller.clientId)).find(
        ({ certificateTypeCode, wanted }) =>
          certificateTypeCode === wish.certificateTypeCode && isSameScope(wanted, wish.wanted),
      );
      if (same !== undefined) throw new Refusal('application_exists', { applicationId: same.applicationId });
      const hubDecides = hubDecidesOn(caller.department, type, wish.wanted);
      const application: GrantApplication = {
        ...wish,
        applicationId: newId(),
        clientId: caller.clientId,
        departmentCode: caller.department,
        ownerDepartmentCode: type.ownerDepartmentCode,
        hubDecides,
        state: hubDecides === 'alone' ? 'awaiting_hub' : 'awaiting_owner',
        createdAt: at,
        dueAt: deps.dueAfter(at),
        history: [{ step: 'applied', at, departmentCode: caller.department, clientId: caller.clientId }],
      };
      await insertApplication(trx, deps, application);
      const { applicationId, certificateTypeCode, legalGround, safeguards, renews, demandId, wanted } = application;
      await deps.recordIn(trx, {
        kind: 'registry',
        action: 'applyForGrant',
        outcome: 'done',
        caller: { clientId: caller.clientId, department: caller.department, keyId: caller.keyId },
        officer,
        scope: JSON.parse(JSON.stringify(wanted)),
        requestId,
        at,
        detail: {
          applicationId,
          steps: application.history.length,
          certificateTypeCode,
          legalGround,
          safeguards,
          hubDecides,
          ...(renews !== undefined && { renews }),
          ...(demandId !== undefined && { demandId }),
        },
      });
      return present(application);
    },
  });
}

async function check(
  { findType, current, isDemandFor }: Pick<ApplyDeps, 'findType' | 'current' | 'isDemandFor'>,
  { certificateTypeCode, wanted, renews, demandId }: Omit<Wish, 'officer'>,
  { caller, at }: Call,
): Promise<ApplicableType> {
  if (!isCertificateTypeCode(certificateTypeCode)) {
    throw new Refusal('invalid_certificate_type_code', { pointer: '/certificateTypeCode' });
  }
  const type = await findType(certificateTypeCode);
  if (type === undefined) throw new Refusal('certificate_type_unknown', { pointer: '/certificateTypeCode' });
  if (type.isRetired === true) throw new Refusal('certificate_type_retired', { pointer: '/certificateTypeCode' });
  if (
    demandId !== undefined &&
    !(await isDemandFor({ demandId, department: caller.department, certificateTypeCode }))
  ) {
    throw new Refusal('demand_unknown', { pointer: '/demandId' });
  }
  const own = renews === undefined ? [] : await grantsOf(current, caller.clientId);
  const renewed = own.find((grant) => grant.grantId === renews && grant.certificateTypeCode === certificateTypeCode);
  if (renews !== undefined && renewed === undefined) throw new Refusal('grant_unknown', { pointer: '/renews' });
  checkScope(wanted, type, { begins: beginsAt(renewed, at), at }, '/wanted');
  return type;
}
