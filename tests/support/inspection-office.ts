import { type ApiClient, apiClient } from '../../src/cli/api-client.ts';
import { expectAnswer } from '../../src/cli/demo/load.ts';
import type { Role } from '../../src/ids.ts';
import type { TestHub } from './start-hub.ts';
import { newClientKey } from './workload.ts';

/** Registers one more client, as an administrator would; by default an auditor's of a department that has none in the demo. */
export async function registerOffice(
  hub: TestHub,
  {
    clientId = 'inspection-office',
    departmentCode = '11999900100000016A',
    roles = ['auditor'],
  }: { clientId?: string; departmentCode?: string; roles?: readonly Role[] } = {},
): Promise<ApiClient> {
  const { jwk, key } = newClientKey(`key-of-${clientId}`);
  const body = { clientId, departmentCode, name: { zh: '示例监督系统', en: 'Example office' }, roles, keys: [jwk] };
  await expectAnswer(hub.client('hub-admin').post('/v1/clients', body), 201);
  return apiClient({ url: hub.url, issuer: hub.core.config.issuer, clientId, key });
}
