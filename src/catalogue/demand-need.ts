import type { Demand, JudgedDemand } from './demand.ts';

/** What a demand takes a grant for. */
export interface DemandNeed {
  readonly demandId: string;
  readonly departmentCode: string;
  readonly certificateTypeCode: string;
  readonly ownerDepartmentCode: string;
  /** Names of the type's fields; at least one. */
  readonly fields: readonly string[];
  readonly matters: readonly string[];
}

/**
 * How far a client may ask what a demand needs. A question is covered by one grant alone, so a field is lacking when for some matter
 * the grant that covers most does not have it.
 */
export interface DemandPermission {
  /** `own_type`: nothing is granted or applied for, and for a type of the own department the hub decides alone. */
  readonly state: 'granted' | 'partly_granted' | 'expiring' | 'applied' | 'not_applied' | 'own_type';
  readonly grantIds: readonly string[];
  /** When the first of what is granted ends. */
  readonly validUntil?: Date;
  /** An application of the client's that nobody has decided yet. */
  readonly applicationId?: string;
  readonly fieldsLacking: readonly string[];
}

/** Reads the permissions of a client once, and answers for one need after the other. */
export type PermissionsOf = (clientId: string, at: Date) => Promise<(need: DemandNeed) => DemandPermission>;

/** A grant names at least one field. The date of issue is public, and no more than a certificate's status says. */
const leastFields: readonly string[] = ['certificateIssuedDate'];

/** What can be granted of a demand now; undefined when the catalogue has nothing of it, and for what was withdrawn. */
export function needOf({ demand, match: { type, fields }, state }: JudgedDemand): DemandNeed | undefined {
  if (type === undefined || state === 'withdrawn') return undefined;
  const there = [...new Set(fields.flatMap((field) => field ?? []))];
  if (there.length === 0 && demand.fields.length > 0) return undefined;
  return {
    demandId: demand.demandId,
    departmentCode: demand.departmentCode,
    certificateTypeCode: type.certificateTypeCode,
    ownerDepartmentCode: type.ownerDepartmentCode,
    fields: there.length === 0 ? leastFields : there,
    matters: demand.matters,
  };
}

/**
 * The body of an application for what is needed, all of it: grants are not added up. People come for a matter that is registered; what
 * a department declares rests on its duty. Safeguards, officer and, where none is expected, the quota are the applicant's to say.
 */
export const applicationOf = (
  { origin, legalGround, expectedPerDay }: Demand,
  { demandId, certificateTypeCode, fields, matters }: DemandNeed,
) => ({
  certificateTypeCode,
  wanted: {
    level: 'fields' as const,
    fields: [...fields],
    matters: [...matters],
    legalBases: [origin === 'matter' ? ('own_application' as const) : ('statutory_duty' as const)],
    ...(expectedPerDay !== undefined && { dailyQuota: expectedPerDay }),
  },
  ...(legalGround !== undefined && { legalGround }),
  demandId,
});
