import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { ConfigError } from '../config.ts';
import { MigrationRefused } from '../db/migrate.ts';
import { operatorClientId } from '../departments/client.ts';
import type { IsExampleKey } from '../departments/client-key.ts';
import type { ChangeDeps, ChangeRequest } from '../departments/registry-change.ts';
import type { ReadRegistryDeps } from '../departments/row.ts';
import { Refusal } from '../errors.ts';
import { problems } from '../http/problem.ts';
import type { DepartmentCode } from '../ids.ts';
import { isExampleKey } from '../signing/example-keys.ts';
import { KeyFileError } from '../signing/key-file-error.ts';
import type { CommandIo } from './keys.ts';
import { NotReady, type OpenedHub, openHub } from './open.ts';

/** A command was called in a way that its help does not describe. */
export class UsageError extends Error {}

/** A command could not do its work; the message says why and holds no data. */
export class CommandFailed extends Error {}

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
      change: () => ({
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
      }),
    });
  } finally {
    await close();
  }
}

/** Runs a command and prints its result. Exit code 0: done; 1: refused or not ready, with the reason; 2: wrong usage. */
export async function runCommand(
  { name, help, io }: { readonly name: string; readonly help: string; readonly io: CommandIo },
  command: () => Promise<string>,
): Promise<number> {
  try {
    io.stdout.write(await command());
    return 0;
  } catch (error) {
    if (error instanceof UsageError || isParseArgsError(error)) {
      io.stderr.write(`${error.message}\n\n${help}`);
      return 2;
    }
    const reason = reasonOf(error);
    if (reason === undefined) throw error;
    io.stderr.write(`${name}: ${reason}\n`);
    return 1;
  }
}

const operatorErrors = [CommandFailed, ConfigError, KeyFileError, MigrationRefused, NotReady];

/** What an operator can act on, or undefined for a fault of the hub itself. */
function reasonOf(error: unknown): string | undefined {
  if (error instanceof Refusal) {
    const detail = Object.keys(error.detail).length === 0 ? '' : ` ${JSON.stringify(error.detail)}`;
    const { detail: happened, next } = problems[error.code];
    return `refused: ${error.code}${detail}\n  ${happened.en} ${next.en}\n  ${happened.zh}${next.zh}`;
  }
  const known = operatorErrors.some((kind) => error instanceof kind) || hasMember(error, 'syscall');
  return known && error instanceof Error ? error.message : undefined;
}

const hasMember = (error: unknown, name: string): boolean => error instanceof Error && name in error;
const isParseArgsError = (error: unknown): error is Error =>
  error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS');

/**
 * An option that must be given.
 * @throws UsageError
 */
export function required(value: string | undefined, option: string): string {
  if (value === undefined || value === '') throw new UsageError(`--${option} is missing`);
  return value;
}

/** X.509 certificates of a PEM file with one or several, or of a DER file with one, each as DER in base64. */
export function readX509File(file: string): string[] {
  const bytes = readFileSync(file);
  const pem = /-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----/g;
  const found = [...bytes.toString('latin1').matchAll(pem)].map((match) => (match[1] ?? '').replace(/\s/g, ''));
  return found.length > 0 ? found : [bytes.toString('base64')];
}
