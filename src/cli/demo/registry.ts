import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { seedStarterMatters } from '../../catalogue/seed-starter-matters.ts';
import { seedStarterTypes } from '../../catalogue/seed-starter-types.ts';
import { exampleMatterDepartments } from '../../catalogue/starter-materials.ts';
import { starterMatters } from '../../catalogue/starter-matters.ts';
import { exampleDepartments, starterTypes } from '../../catalogue/starter-types.ts';
import type { UnverifiedJwk } from '../../departments/client-key.ts';
import { registerClient } from '../../departments/register-client.ts';
import { registerDepartment } from '../../departments/register-department.ts';
import { registerSealX509 } from '../../departments/register-seal-x509.ts';
import { registerTrustRoot } from '../../departments/register-trust-root.ts';
import type { Core } from '../../hub-core.ts';
import type { Call, Caller, ClientId, DepartmentCode, Role } from '../../ids.ts';

/** Folder of the published demo keys and of the departments and clients that hold them. */
export const exampleFolder = fileURLToPath(new URL('../../../keys-example/', import.meta.url));

interface Bilingual {
  readonly zh: string;
  readonly en: string;
}
export interface DemoDepartment {
  readonly code: string;
  readonly name: Bilingual;
}
export interface DemoClient {
  readonly clientId: string;
  readonly department: string;
  readonly roles: readonly Role[];
  readonly name: Bilingual;
  readonly keyFile: string;
}

const readJson = (file: string): unknown => JSON.parse(readFileSync(`${exampleFolder}${file}`, 'utf8'));

export const demoDepartments = (): readonly DemoDepartment[] => readJson('departments.json') as DemoDepartment[];
export const demoClients = (): readonly DemoClient[] => readJson('clients.json') as DemoClient[];

/** The private JWK of a demo client. Published, and refused outside demo mode. */
export const demoClientKey = (clientId: string): Record<string, string> =>
  readJson(`clients/${clientId}.jwk.json`) as Record<string, string>;

const publicHalf = ({ d: _private, ...jwk }: Record<string, string>): UnverifiedJwk => jwk as unknown as UnverifiedJwk;

/** Seals of the demo count from here on, so that the story can have a past. */
const sealsCountFrom = new Date('2024-01-02T00:00:00Z');

/**
 * Registers the demo's departments, clients, roots, seals and certificate types and matters through the same use cases as the admin API.
 * Every step has a fixed Idempotency-Key: running it again changes nothing.
 */
export async function registerDemo(core: Core): Promise<void> {
  const { db, keys, write, recorder, tampered } = core;
  const deps = { write, recordIn: recorder.recordIn, keys, tampered, isExampleKey: () => false, db };
  const departments = demoDepartments();
  const operator: Caller = {
    clientId: 'demo-operator' as ClientId,
    department: (departments[0]?.code ?? '') as DepartmentCode,
    roles: ['admin'],
    keyId: 'command-line',
  };
  const step = (idempotencyKey: string): { call: Call; idempotencyKey: string } => ({
    call: { caller: operator, requestId: `demo-${idempotencyKey}`, at: core.now() },
    idempotencyKey,
  });

  for (const { code, name } of departments) {
    await registerDepartment(deps, { ...step(`department-${code}`), departmentCode: code, name });
  }
  for (const root of keys.roots) {
    const x509 = root.toString('base64');
    await registerTrustRoot(deps, { ...step(`root-${x509.slice(-24).replace(/[^A-Za-z0-9]/g, '.')}`), x509 });
  }
  for (const seal of keys.sealSigners) {
    await registerSealX509(deps, {
      ...step(`seal-${seal.department}`),
      departmentCode: seal.department,
      chain: seal.x5c,
      validFrom: sealsCountFrom,
    });
  }
  await seedStarterTypes({ ...deps }, { types: starterTypes(exampleDepartments), at: core.now() });
  core.freshness.outdate();
  await seedStarterMatters(deps, {
    matters: starterMatters(exampleMatterDepartments),
    basis: await core.matterBasis(core.now()),
    at: core.now(),
  });
  for (const { clientId, department, roles, name } of demoClients()) {
    await registerClient(deps, {
      ...step(`client-${clientId}`),
      clientId,
      departmentCode: department,
      name,
      roles,
      keys: [publicHalf(demoClientKey(clientId))],
    });
  }
  core.freshness.outdate();
}
