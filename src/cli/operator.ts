import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { operatorClientId } from '../departments/client.ts';
import type { IsExampleKey } from '../departments/client-key.ts';
import type { ChangeDeps, ChangeRequest } from '../departments/registry-change.ts';
import type { ReadRegistryDeps } from '../departments/row.ts';
import type { DepartmentCode } from '../ids.ts';
import { isExampleKey } from '../signing/example-keys.ts';
import type { CommandIo } from './command-io.ts';
import { type OpenedHub, openHub } from './open.ts';

/** How a command gets at the hub's keys and database. Tests hand in their own. */
export type OpenHub = (
  env: CommandIo['env'],
  say: (line: string) => void,
) => Promise<{
  readonly core: Pick<OpenedHub['core'], 'db' | 'keys' | 'write' | 'recorder' | 'tampered' | 'now'>;
  readonly config: Pick<OpenedHub['config'], 'mode'>;
  readonly close: () => Promise<void>;
}>;

/** The registry as the operator's commands see it: the same use cases as the API's, on the database itself. */
export interface OperatorRegistry {
  readonly deps: ChangeDeps & ReadRegistryDeps & { readonly isExampleKey: IsExampleKey };
  /** The operator's next change: recorded under a name no client can have, and new at every call. */
  readonly change: () => ChangeRequest;
}

/** Opens the hub, works on its registry and closes it again. */
export async function withRegistry<T>(
  io: CommandIo,
  open: OpenHub | undefined,
  work: (registry: OperatorRegistry) => Promise<T>,
): Promise<T> {
  const { core, config, close } = await (open ?? openHub)(io.env, (line) => void io.stderr.write(`${line}\n`));
  const { db, keys, write, recorder, tampered, now } = core;
  try {
    return await work({
      deps: {
        db,
        keys,
        write,
        recordIn: recorder.recordIn,
        tampered,
        isExampleKey: (spkiSha256) => config.mode !== 'demo' && isExampleKey(spkiSha256),
      },
      change: operatorChange(now),
    });
  } finally {
    await close();
  }
}

/** Makes the operator's changes: recorded under a name no client can have, and new at every call. */
export const operatorChange = (now: () => Date) => (): ChangeRequest => ({
  call: {
    caller: {
      clientId: operatorClientId,
      department: 'operator' as DepartmentCode,
      roles: ['admin'],
      keyId: 'operator',
    },
    requestId: randomUUID(),
    at: now(),
  },
  idempotencyKey: randomUUID(),
});

/** Lists of the registry are printed whole. */
export const everything = 100_000;

/** A line of JSON. */
export const jsonLine = (body: unknown): string => `${JSON.stringify(body)}\n`;

/** X.509 certificates of a PEM file with one or several, or of a DER file with one, each as DER in base64. */
export function readX509File(file: string): string[] {
  const bytes = readFileSync(file);
  const pem = /-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----/g;
  const found = [...bytes.toString('latin1').matchAll(pem)].map((match) => (match[1] ?? '').replace(/\s/g, ''));
  return found.length > 0 ? found : [bytes.toString('base64')];
}
