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
  /** Distinct holders asked about on one day of the city. Absent: `dailyQuota` alone counts. */
  readonly dailyHolders?: number;
  /** Lookups of one officer on one day. */
  readonly officerDailyQuota?: number;
  /** Distinct holders that one officer asks about on one day. */
  readonly officerDailyHolders?: number;
  /** Every lookup has to quote a ticket of its case; on delegation it always has to. */
  readonly ticketRequired?: boolean;
  /** For how many days at most a lookup may stay out of its holder's own report. Absent: not at all. */
  readonly secrecyDays?: number;
  readonly decisionReference: string;
  readonly decidedByDepartmentCode: string;
  /** The application that led to it: without one there is no grant. */
  readonly applicationId: string;
  /** The grant that it continues. */
  readonly renews?: string;
  readonly createdAt: Date;
  /** Paused since then, until resumed. */
  readonly suspendedAt?: Date;
  readonly revokedAt?: Date;
}

/** What a permission needs to know of a certificate type. */
export interface GrantableType {
  readonly ownerDepartmentCode: string;
  /** Names of all its fields, the standard ones included. */
  readonly fieldNames: readonly string[];
  /** Nothing new is granted of a retired type. */
  readonly isRetired?: boolean;
}

export type GrantState = 'upcoming' | 'in_force' | 'suspended' | 'expired' | 'revoked';

/** The state of a grant at a time. */
export function grantState(grant: Grant, at: Date): GrantState {
  // Whatever the clock: `at` may precede the revocation by a slow request or by another process's clock (invariant 2).
  if (grant.revokedAt !== undefined) return 'revoked';
  if (at < grant.validFrom) return 'upcoming';
  if (at >= grant.validUntil) return 'expired';
  return grant.suspendedAt === undefined ? 'in_force' : 'suspended';
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
  /** The question quotes a ticket of its case. */
  readonly hasTicket?: boolean;
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
      readonly code: Extract<
        RefusalCode,
        | 'grant_required'
        | 'grant_expired'
        | 'grant_suspended'
        | 'grant_revoked'
        | 'secrecy_not_granted'
        | 'ticket_required'
      >;
    };

const rank: Record<Level, number> = { compare: 0, fields: 1 };

/**
 * Decides over one type of a question (invariant 2). Pure; default deny. Every candidate alone covers the whole question:
 * fields of several grants are never added up. The widest grant comes first, then the older one. Who asks under secrecy is answered
 * under grants that allow it until then, and under no other. On delegation nothing is answered without a ticket, whatever the grant says.
 */
export function permit(grantsOfClient: readonly Grant[], wanted: Wanted): Permitted {
  const ofType = grantsOfClient.filter((grant) => grant.certificateTypeCode === wanted.certificateTypeCode);
  const fitting = ofType.filter((grant) => fits(grant, wanted));
  const inForce = fitting.filter((grant) => grantState(grant, wanted.at) === 'in_force');
  const open = inForce.filter((grant) => wanted.hasTicket === true || !needsTicket(grant, wanted));
  const [first, ...others] = open
    .filter((grant) => allowsSecrecy(grant, wanted))
    .toSorted((a, b) => b.fields.length - a.fields.length || (a.grantId < b.grantId ? -1 : 1))
    .map((grant): Permission => ({ grant, fields: wanted.fields ?? (wanted.level === 'fields' ? grant.fields : []) }));
  if (first !== undefined) return { ok: true, candidates: [first, ...others] };
  if (open.length > 0) return { ok: false, code: 'secrecy_not_granted' };
  if (inForce.length > 0) return { ok: false, code: 'ticket_required' };
  const states = fitting.map((grant) => grantState(grant, wanted.at));
  if (states.includes('suspended')) return { ok: false, code: 'grant_suspended' };
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

/** A delegation names a second party, with scope and end: only the holder's statement behind a ticket says who acts. */
const needsTicket = ({ ticketRequired }: Grant, { legalBasis }: Wanted): boolean =>
  ticketRequired === true || legalBasis === 'delegated';

const dayMs = 86_400_000;

/** Secrecy ends in the future and within the days that were granted: whoever asks cannot hide a lookup for longer than was decided. */
function allowsSecrecy({ secrecyDays = 0 }: Grant, { secretUntil, at }: Wanted): boolean {
  if (secretUntil === undefined) return true;
  const ahead = secretUntil.getTime() - at.getTime();
  return ahead > 0 && ahead <= secrecyDays * dayMs;
}

/** Days of secrecy to apply for, or undefined where none is asked for. It ends in the future, within `longestSecrecyDays`. */
const secrecyDaysFor = ({ secretUntil, at }: Wanted): number | undefined =>
  secretUntil === undefined ? undefined : Math.ceil((secretUntil.getTime() - at.getTime()) / dayMs);

/** The longest secrecy that any grant can allow. */
export const longestSecrecyDays = 3_650;

/** The fields of a type, as far as an application for it can be proposed. */
export interface GrantedFields {
  /** Names of all its fields, the standard ones included. */
  readonly fieldNames: readonly string[];
  readonly sensitiveFieldNames: readonly string[];
}

/**
 * What to apply for where a question named no fields. One for fields wants something to read: everything but what is sensitive, which
 * the applicant has to name and to justify. One for the status alone gets the date of issue, for a grant names at least one field.
 */
const fieldsProposed = ({ level }: Wanted, { fieldNames, sensitiveFieldNames }: GrantedFields): readonly string[] =>
  level === 'compare' ? ['certificateIssuedDate'] : fieldNames.filter((name) => !sensitiveFieldNames.includes(name));

/** The body of an application for a grant, as far as the hub knows it: the rest is the applicant's to say. */
export interface GrantToApplyFor {
  readonly certificateTypeCode: string;
  readonly wanted: {
    readonly level: Level;
    readonly fields: readonly string[];
    readonly matters: readonly string[];
    readonly legalBases: readonly LegalBasis[];
    readonly secrecyDays?: number;
  };
}

/**
 * What to apply for: with dailyQuota, legalGround, safeguards and officer it is the body of `applyForGrant`. Depends on caller and
 * question alone, so it is the same whether or not the person exists.
 */
export function applicationFor(wanted: Wanted, type: GrantedFields): GrantToApplyFor {
  const secrecyDays = secrecyDaysFor(wanted);
  return {
    certificateTypeCode: wanted.certificateTypeCode,
    wanted: {
      level: wanted.level,
      fields: wanted.fields ?? fieldsProposed(wanted, type),
      matters: [wanted.matterCode],
      // The contract lets no other through.
      legalBases: [wanted.legalBasis as LegalBasis],
      ...(secrecyDays !== undefined && { secrecyDays }),
    },
  };
}
