import { Refusal } from '../errors.ts';
import type { Caller } from '../ids.ts';
import { formBody } from './application-body.ts';
import { type ReadApplicationsDeps, readApplication } from './read-applications.ts';

interface Name {
  readonly zh: string;
  readonly en: string;
}

export interface ProvinceFormDeps extends ReadApplicationsDeps {
  /** Names for codes; undefined for what registry and catalogue do not know. */
  readonly names: () => Promise<{
    readonly department: (code: string) => Name | undefined;
    readonly type: (certificateTypeCode: string) => Name | undefined;
  }>;
  /** Signs with the hub's answer key as `certhub-grant-application+jwt`. */
  readonly signForm: (claims: Record<string, unknown>) => Promise<string>;
  /** `iss` of forms: the public URL of this hub. */
  readonly issuer: string;
}

/**
 * The form for the province's hub: a prepared application with the names of who is in it and the approvals so far, as a compact JWS.
 * Refuses `application_unknown`, and `application_closed` (context.state) unless it is prepared.
 */
export async function readProvinceForm(
  deps: ProvinceFormDeps,
  { applicationId, caller, at }: { readonly applicationId: string; readonly caller: Caller; readonly at: Date },
): Promise<string> {
  const application = await readApplication(deps, { applicationId, caller });
  const { state, history, departmentCode, ownerDepartmentCode, certificateTypeCode } = application;
  if (state !== 'prepared') throw new Refusal('application_closed', { state });
  const names = await deps.names();
  const body = formBody(application, at);
  const codes = new Set([departmentCode, ownerDepartmentCode, ...history.map((step) => step.departmentCode)]);
  return deps.signForm({
    iss: deps.issuer,
    iat: Math.floor(at.getTime() / 1_000),
    format: 'certhub-grant-application/1',
    application: body,
    certificateType: { certificateTypeCode, name: names.type(certificateTypeCode) },
    departments: [...codes].map((code) => ({ departmentCode: code, name: names.department(code) })),
    approvals: body.history.filter(({ step }) => step === 'approved'),
  });
}
