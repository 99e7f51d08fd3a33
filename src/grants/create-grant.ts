import type { Transaction } from 'kysely';
import type { RecordIn } from '../audit/record.ts';
import { bump } from '../db/fresh.ts';
import type { Tables } from '../db/tables.ts';
import type { Write, WriteAnswer } from '../db/write.ts';
import { Refusal } from '../errors.ts';
import { type Call, type GrantId, newId } from '../ids.ts';
import { isCertificateTypeCode } from '../verification/identifiers.ts';
import type { Grant } from './grant.ts';
import { insertGrant, type RowMacs } from './store.ts';

/** What a grant needs to know of a certificate type. */
export interface GrantableType {
  readonly ownerDepartmentCode: string;
  /** Names of all its fields, the standard ones included. */
  readonly fieldNames: readonly string[];
  /** Nothing new is granted of a retired type. */
  readonly isRetired?: boolean;
}

/** A grant as decided: what the owner department allowed. */
export type GrantDecision = Omit<
  Grant,
  'grantId' | 'decidedByDepartmentCode' | 'createdAt' | 'suspendedAt' | 'revokedAt'
>;

export interface CreateGrantDeps {
  readonly write: Write;
  readonly recordIn: RecordIn;
  readonly keys: RowMacs;
  /** Roles of a registered, enabled client; undefined when there is none. */
  readonly rolesOf: (clientId: string) => Promise<readonly string[] | undefined>;
  /** As it is now; within a transaction, as that sees it. */
  readonly findType: (certificateTypeCode: string, trx?: Transaction<Tables>) => Promise<GrantableType | undefined>;
}

/** Permissions expire by default: nobody remembers to withdraw one that does not. */
const longestYears = 5;

/**
 * Puts a decided grant on file. Refuses `client_unknown`, `invalid_certificate_type_code`, `certificate_type_unknown`,
 * `certificate_type_retired`, `field_unknown` and `grant_invalid` (the client is no consumer, the range is empty or longer than five years).
 */
export async function createGrant(
  { write, recordIn, keys, rolesOf, findType }: CreateGrantDeps,
  decision: GrantDecision,
  call: Call & { readonly idempotencyKey: string },
  present: (grant: Grant) => WriteAnswer,
): Promise<WriteAnswer> {
  const request = {
    caller: call.caller,
    operation: 'createGrant',
    idempotencyKey: call.idempotencyKey,
    content: {
      ...decision,
      validFrom: decision.validFrom.toISOString(),
      validUntil: decision.validUntil.toISOString(),
    },
  };
  return write(request, {
    prepare: () => check({ rolesOf, findType }, decision),
    apply: async (trx) => {
      // First: from here on no type changes in a way that breaks a grant, so that what is asked now holds when this is committed.
      await bump(trx, 'grants');
      const type = checkType(await findType(decision.certificateTypeCode, trx), decision);
      const grant: Grant = {
        ...decision,
        grantId: newId<GrantId>(),
        decidedByDepartmentCode: type.ownerDepartmentCode,
        createdAt: call.at,
      };
      await insertGrant(trx, keys, grant);
      const { clientId, certificateTypeCode, decisionReference, ...scope } = grant;
      await recordIn(trx, {
        kind: 'registry',
        action: 'createGrant',
        outcome: 'done',
        caller: { clientId: call.caller.clientId, department: call.caller.department, keyId: call.caller.keyId },
        scope: JSON.parse(JSON.stringify(scope)),
        requestId: call.requestId,
        at: call.at,
        detail: { grantedTo: clientId, certificateTypeCode, decisionReference },
      });
      return present(grant);
    },
  });
}

async function check(
  { rolesOf, findType }: Pick<CreateGrantDeps, 'rolesOf' | 'findType'>,
  decision: GrantDecision,
): Promise<void> {
  const roles = await rolesOf(decision.clientId);
  if (roles === undefined) throw new Refusal('client_unknown', { pointer: '/clientId' });
  if (!roles.includes('consumer')) throw new Refusal('grant_invalid', { pointer: '/clientId', rule: 'not_a_consumer' });
  if (!isCertificateTypeCode(decision.certificateTypeCode)) {
    throw new Refusal('invalid_certificate_type_code', { pointer: '/certificateTypeCode' });
  }
  checkType(await findType(decision.certificateTypeCode), decision);
  const latest = new Date(decision.validFrom);
  latest.setUTCFullYear(latest.getUTCFullYear() + longestYears);
  if (decision.validUntil <= decision.validFrom)
    throw new Refusal('grant_invalid', { pointer: '/validUntil', rule: 'empty_range' });
  if (decision.validUntil > latest)
    throw new Refusal('grant_invalid', { pointer: '/validUntil', rule: 'longer_than_5_years' });
}

function checkType(type: GrantableType | undefined, { fields }: GrantDecision): GrantableType {
  const pointer = '/certificateTypeCode';
  if (type === undefined) throw new Refusal('certificate_type_unknown', { pointer });
  if (type.isRetired === true) throw new Refusal('certificate_type_retired', { pointer });
  const unknown = fields.findIndex((field) => !type.fieldNames.includes(field));
  if (unknown >= 0) throw new Refusal('field_unknown', { pointer: `/fields/${unknown}` });
  return type;
}
