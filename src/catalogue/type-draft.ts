import type { Caller } from '../ids.ts';
import type { CertificateTypeDefinition } from './certificate-type.ts';

/** What a department prepares for the next version of a type. */
export interface TypeDraft {
  readonly draftId: string;
  /** Only an open draft can be published; each type has one at most. */
  readonly state: 'open' | 'replaced' | 'discarded' | 'published';
  readonly definition: CertificateTypeDefinition;
  /** The newest version when it was saved; 0 for a new type. */
  readonly basedOnVersion: number;
  readonly savedAt: Date;
  readonly savedBy: { readonly clientId: string; readonly departmentCode: string };
}

/** The department that answers for the type now: the owner of its newest version, for a new type the one in the draft. */
const ownerNow = (
  { definition }: Pick<TypeDraft, 'definition'>,
  newest: Pick<CertificateTypeDefinition, 'ownerDepartmentCode'> | undefined,
): string => newest?.ownerDepartmentCode ?? definition.ownerDepartmentCode;

/** Who sees a draft: issuers and grantors of the department that answers for the type, administrators and auditors. */
export const maySeeDraft = (
  { roles, department }: Caller,
  draft: Pick<TypeDraft, 'definition'>,
  newest: Pick<CertificateTypeDefinition, 'ownerDepartmentCode'> | undefined,
): boolean => roles.includes('admin') || roles.includes('auditor') || department === ownerNow(draft, newest);

/**
 * Where a caller oversteps its department by changing a type into this, as a JSON pointer; undefined when it does not. Only an
 * administrator hands a type to another department.
 */
export function overstep(
  { roles, department }: Caller,
  definition: Pick<CertificateTypeDefinition, 'ownerDepartmentCode'>,
  newest: Pick<CertificateTypeDefinition, 'ownerDepartmentCode'> | undefined,
): string | undefined {
  if (roles.includes('admin')) return undefined;
  if (newest !== undefined && newest.ownerDepartmentCode !== department) return '/certificateTypeCode';
  return definition.ownerDepartmentCode === department ? undefined : '/ownerDepartmentCode';
}
