import type { DemandNeed, DemandPermission } from '../catalogue/demand-need.ts';
import type { GrantApplication } from './application.ts';
import { type Grant, grantState } from './grant.ts';

/** A grant that ends within so many days is to be renewed. */
const soonMs = 30 * 86_400_000;

/** What a client's grants give of a need for one matter. */
interface Cover {
  readonly lacking: readonly string[];
  readonly grants: readonly Grant[];
  readonly until?: Date;
}

/**
 * How far the grants of a client cover what a demand needs, and whether the rest is applied for. Open applications only: a decided one
 * is a grant, or nothing. What is applied for counts when it names the demand or asks for all of it.
 */
export function demandPermission(
  { grants, applications }: { readonly grants: readonly Grant[]; readonly applications: readonly GrantApplication[] },
  need: DemandNeed,
  at: Date,
): DemandPermission {
  const covers = need.matters.map((matter) => coverOf(grants, need, matter, at));
  const fieldsLacking = need.fields.filter((field) => covers.some(({ lacking }) => lacking.includes(field)));
  const grantIds = [...new Set(covers.flatMap((cover) => cover.grants.map(({ grantId }) => grantId)))].toSorted();
  const ends = covers.flatMap(({ until }) => until?.getTime() ?? []);
  const validUntil = ends.length === 0 ? undefined : new Date(Math.min(...ends));
  const application = applications.find((each) => isFor(each, need));
  const isExpiring = validUntil !== undefined && validUntil.getTime() - at.getTime() <= soonMs;
  const state = (): DemandPermission['state'] => {
    if (fieldsLacking.length === 0) return isExpiring ? 'expiring' : 'granted';
    if (application !== undefined) return 'applied';
    if (grantIds.length > 0) return 'partly_granted';
    return need.ownerDepartmentCode === need.departmentCode ? 'own_type' : 'not_applied';
  };
  return {
    state: state(),
    grantIds,
    ...(validUntil !== undefined && { validUntil }),
    ...(application !== undefined && { applicationId: application.applicationId }),
    fieldsLacking,
  };
}

function coverOf(
  grants: readonly Grant[],
  { certificateTypeCode, fields }: DemandNeed,
  matter: string,
  at: Date,
): Cover {
  const usable = grants.filter(
    (grant) =>
      grant.certificateTypeCode === certificateTypeCode && grant.level === 'fields' && grant.matters.includes(matter),
  );
  const lackingIn = (grant: Grant): string[] => fields.filter((field) => !grant.fields.includes(field));
  const inForce = usable.filter((grant) => grantState(grant, at) === 'in_force');
  const [best] = inForce.toSorted(
    (a, b) =>
      lackingIn(a).length - lackingIn(b).length ||
      b.validUntil.getTime() - a.validUntil.getTime() ||
      (a.grantId < b.grantId ? -1 : 1),
  );
  if (best === undefined || lackingIn(best).length === fields.length) return { lacking: fields, grants: [] };
  const lacking = lackingIn(best);
  if (lacking.length > 0) return { lacking, grants: [best], until: best.validUntil };
  // A renewal begins when the grant before it ends; while it is suspended, nobody knows that it will.
  const whole = usable
    .filter(
      (grant) =>
        grant.suspendedAt === undefined &&
        lackingIn(grant).length === 0 &&
        ['in_force', 'upcoming'].includes(grantState(grant, at)),
    )
    .toSorted((a, b) => a.validFrom.getTime() - b.validFrom.getTime());
  const chain = whole.reduce<{ grants: Grant[]; until: Date }>(
    (so, grant) =>
      grant.validFrom <= so.until && grant.validUntil > so.until
        ? { grants: [...so.grants, grant], until: grant.validUntil }
        : so,
    { grants: [], until: at },
  );
  return { lacking, ...chain };
}

const isFor = ({ certificateTypeCode, demandId, wanted }: GrantApplication, need: DemandNeed): boolean =>
  certificateTypeCode === need.certificateTypeCode &&
  (demandId === need.demandId ||
    (wanted.level === 'fields' &&
      need.fields.every((field) => wanted.fields.includes(field)) &&
      need.matters.every((matter) => wanted.matters.includes(matter))));
