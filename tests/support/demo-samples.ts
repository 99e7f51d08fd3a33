import { setTimeout as sleep } from 'node:timers/promises';
import type { ApiClient } from '../../src/cli/api-client.ts';
import { type DemoPush, demoPushes, demoTypes } from '../../src/cli/demo/certificates.ts';
import { expectAnswer } from '../../src/cli/demo/load.ts';
import { obtainGrant } from '../../src/cli/demo/obtain-grant.ts';

const pushes = demoPushes(48);

/** A sound push of a type. */
export function pushOf(typeCode: string, which = 0): DemoPush {
  const found = pushes.filter(({ body }) => body.certificateTypeCode === typeCode)[which];
  if (found === undefined) throw new Error(`no push of ${typeCode}`);
  return found;
}

/** A grant on file, as far as tests look at it. */
export interface Grant extends Readonly<Record<string, unknown>> {
  readonly grantId: string;
  readonly applicationId: string;
  readonly validFrom: string;
  readonly validUntil: string;
  readonly state: string;
}

/** A scope, where nothing else is said. */
const usual: Readonly<Record<string, unknown>> = {
  level: 'fields',
  fields: ['name', 'birthDate', 'certificateNumber'],
  matters: ['school-enrolment'],
  legalBases: ['own_application'],
  validUntil: '2030-01-01T00:00:00Z',
  dailyQuota: 100_000,
};

interface Overrides extends Readonly<Record<string, unknown>> {
  readonly clientId?: string;
  readonly certificateTypeCode?: string;
  readonly renews?: string;
}

/**
 * Brings a grant about in the only way there is: its client applies, and whoever has to decide approves. Of identity cards to the
 * school, if `overrides` say nothing else. It begins now, or with `renews` when the one it renews ends.
 */
export async function putGrant(
  clientOf: (clientId: string) => ApiClient,
  {
    clientId = 'school-enrolment',
    certificateTypeCode = demoTypes.residentIdCard,
    renews,
    ...overrides
  }: Overrides = {},
): Promise<Grant> {
  const wish = { clientId, certificateTypeCode, wanted: { ...usual, ...overrides }, legalGround: 'Article 12' };
  const { grantId } = await obtainGrant({ clientOf }, { ...wish, ...(renews !== undefined && { renews }) });
  return expectAnswer<Grant>(clientOf('hub-admin').get(`/v1/grants/${grantId}`), 200);
}

/** Has such a grant made, and waits until it is over. */
export async function expiredGrant(
  clientOf: (clientId: string) => ApiClient,
  overrides: Overrides = {},
): Promise<Grant> {
  const end = Date.now() + 2_500;
  const grant = await putGrant(clientOf, { ...overrides, validUntil: new Date(end).toISOString() });
  await sleep(end - Date.now() + 10);
  return grant;
}
