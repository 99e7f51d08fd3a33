import type { ApiClient } from '../../src/cli/api-client.ts';
import { type DemoPush, demoPushes, demoTypes } from '../../src/cli/demo/certificates.ts';
import { expectAnswer } from '../../src/cli/demo/load.ts';

const pushes = demoPushes(48);

/** A sound push of a type. */
export function pushOf(typeCode: string, which = 0): DemoPush {
  const found = pushes.filter(({ body }) => body.certificateTypeCode === typeCode)[which];
  if (found === undefined) throw new Error(`no push of ${typeCode}`);
  return found;
}

/** A grant of identity cards to the school; `overrides` replace its members. */
export const newGrant = (overrides: Record<string, unknown> = {}): Record<string, unknown> => ({
  clientId: 'school-enrolment',
  certificateTypeCode: demoTypes.residentIdCard,
  level: 'fields',
  fields: ['name', 'birthDate', 'certificateNumber'],
  matters: ['school-enrolment'],
  legalBases: ['own_application'],
  validFrom: '2026-01-01T00:00:00Z',
  validUntil: '2030-01-01T00:00:00Z',
  dailyQuota: 100_000,
  decisionReference: 'decision 1',
  ...overrides,
});

/** Has an administrator put such a grant on file. */
export const putGrant = (
  admin: Pick<ApiClient, 'post'>,
  overrides: Record<string, unknown> = {},
): Promise<Record<string, unknown> & { readonly grantId: string }> =>
  expectAnswer(admin.post('/v1/grants', newGrant(overrides)), 201);
