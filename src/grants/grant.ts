import type { RefusalCode } from '../errors.ts';
import type { GrantId } from '../ids.ts';

export type Level = 'compare' | 'fields';
export type LegalBasis = 'statutory_duty' | 'own_application' | 'delegated';

/** A permission: client × certificate type × fields × matters × legal basis × validity × quota, decided by the owner department. */
export interface Grant {
  readonly grantId: GrantId;
  readonly clientId: string;
  readonly certificateTypeCode: string;
  /** Highest level of answer: compare < fields. */
  readonly level: Level;
  readonly fields: readonly string[];
  readonly matters: readonly string[];
  readonly legalBases: readonly LegalBasis[];
  /** Half-open: in force from validFrom until just before validUntil. */
  readonly validFrom: Date;
  readonly validUntil: Date;
  /** Lookups per calendar day of the city. */
  readonly dailyQuota: number;
  /** For how many days at most a lookup may stay out of its holder's own report. Absent: not at all. */
  readonly secrecyDays?: number;
  readonly decisionReference: string;
  readonly decidedByDepartmentCode: string;
  readonly createdAt: Date;
  readonly revokedAt?: Date;
}

export type GrantState = 'upcoming' | 'in_force' | 'expired' | 'revoked';

/** The state of a grant at a time. */
export function grantState(grant: Grant, at: Date): GrantState {
  // Whatever the clock: `at` may precede the revocation by a slow request or by another process's clock (invariant 2).
  if (grant.revokedAt !== undefined) return 'revoked';
  if (at < grant.validFrom) return 'upcoming';
  return at < grant.validUntil ? 'in_force' : 'expired';
}

/** One type of a question, with its purpose as far as permission depends on it. */
export interface Wanted {
  readonly certificateTypeCode: string;
  readonly level: Level;
  /** Undefined: as much as one grant allows. */
  readonly fields?: readonly string[];
  readonly matterCode: string;
  readonly legalBasis: string;
  readonly at: Date;
  /** Until when the lookup shall stay out of its holder's own report. Undefined: it shows at once. */
  readonly secretUntil?: Date;
}

export interface Permission {
  readonly grant: Grant;
  /** What may leave: always ⊆ grant.fields. */
  readonly fields: readonly string[];
}

export type Permitted =
  | { readonly ok: true; readonly candidates: readonly [Permission, ...Permission[]] }
  | {
      readonly ok: false;
      readonly code: Extract<RefusalCode, 'grant_required' | 'grant_expired' | 'grant_revoked' | 'secrecy_not_granted'>;
    };

const rank: Record<Level, number> = { compare: 0, fields: 1 };

/**
 * Decides over one type of a question (invariant 2). Pure; default deny. Every candidate alone covers the whole question:
 * fields of several grants are never added up. The widest grant comes first, then the older one. Who asks under secrecy is answered
 * under grants that allow it until then, and under no other.
 */
export function permit(grantsOfClient: readonly Grant[], wanted: Wanted): Permitted {
  const ofType = grantsOfClient.filter((grant) => grant.certificateTypeCode === wanted.certificateTypeCode);
  const fitting = ofType.filter((grant) => fits(grant, wanted));
  const inForce = fitting.filter((grant) => grantState(grant, wanted.at) === 'in_force');
  const [first, ...others] = inForce
    .filter((grant) => allowsSecrecy(grant, wanted))
    .toSorted((a, b) => b.fields.length - a.fields.length || (a.grantId < b.grantId ? -1 : 1))
    .map((grant): Permission => ({ grant, fields: wanted.fields ?? (wanted.level === 'fields' ? grant.fields : []) }));
  if (first !== undefined) return { ok: true, candidates: [first, ...others] };
  if (inForce.length > 0) return { ok: false, code: 'secrecy_not_granted' };
  const states = fitting.map((grant) => grantState(grant, wanted.at));
  if (states.includes('revoked')) return { ok: false, code: 'grant_revoked' };
  if (states.includes('expired')) return { ok: false, code: 'grant_expired' };
  return { ok: false, code: 'grant_required' };
}

function fits(grant: Grant, wanted: Wanted): boolean {
  return (
    rank[grant.level] >= rank[wanted.level] &&
    grant.matters.includes(wanted.matterCode) &&
    (grant.legalBases as readonly string[]).includes(wanted.legalBasis) &&
    (wanted.fields ?? []).every((field) => grant.fields.includes(field))
  );
}

const dayMs = 86_400_000;

/** Secrecy ends in the future and within the days that were granted: whoever asks cannot hide a lookup for longer than was decided. */
function allowsSecrecy({ secrecyDays = 0 }: Grant, { secretUntil, at }: Wanted): boolean {
  if (secretUntil === undefined) return true;
  const ahead = secretUntil.getTime() - at.getTime();
  return ahead > 0 && ahead <= secrecyDays * dayMs;
}

/** Days of secrecy to apply for, 1 to 3650, or undefined when none would do. */
function secrecyDaysFor({ secretUntil, at }: Wanted): number | undefined {
  if (secretUntil === undefined) return undefined;
  const days = Math.max(1, Math.ceil((secretUntil.getTime() - at.getTime()) / dayMs));
  return Math.min(days, longestSecrecyDays);
}

/** The longest secrecy that any grant can allow. */
const longestSecrecyDays = 3_650;

/** What to apply for; depends on caller and question alone, so it is the same whether or not the person exists. */
export function applicationFor(wanted: Wanted): Record<string, unknown> {
  const secrecyDays = secrecyDaysFor(wanted);
  return {
    certificateTypeCode: wanted.certificateTypeCode,
    level: wanted.level,
    fields: wanted.fields ?? [],
    matterCode: wanted.matterCode,
    legalBasis: wanted.legalBasis,
    ...(secrecyDays !== undefined && { secrecyDays }),
  };
}
