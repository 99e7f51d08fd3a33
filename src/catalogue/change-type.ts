import { createHash } from 'node:crypto';
import type { Transaction } from 'kysely';
import type { RecordIn } from '../audit/record.ts';
import { bump, hold } from '../db/fresh.ts';
import type { Tables } from '../db/tables.ts';
import { Refusal } from '../errors.ts';
import type { Call } from '../ids.ts';
import { canonicalJson } from '../verification/canonical-json.ts';
import { type CertificateType, type CertificateTypeDefinition, isRetired, type TypeNote } from './certificate-type.ts';
import type { Matter } from './matter.ts';
import { readMatters } from './matter-store.ts';
import { insertNextVersion, type RowMacs, readTypes, type Tampered } from './store.ts';
import { grantBreaks, matterBreaks, type NamingGrant, type TypeBreaks } from './type-breaks.ts';

/** What reading the catalogue in a transaction needs. */
export interface ReadDeps {
  readonly keys: RowMacs;
  readonly tampered: Tampered;
}

/** What changing the catalogue needs. */
export interface ChangeCatalogueDeps extends ReadDeps {
  readonly recordIn: RecordIn;
  /** Grants of a type that still count or will at that moment, as the transaction sees them. */
  readonly grantsNaming: (
    trx: Transaction<Tables>,
    certificateTypeCode: string,
    at: Date,
  ) => Promise<readonly NamingGrant[]>;
  /** The day of the city, yyyy-mm-dd. */
  readonly today: (at: Date) => string;
}

/** The catalogue as a transaction sees it: the newest version of everything. */
export interface Standing {
  readonly types: ReadonlyMap<string, CertificateType>;
  readonly matters: readonly Matter[];
}

/** Reads types and matters in the transaction. */
export async function readStanding(trx: Transaction<Tables>, deps: ReadDeps): Promise<Standing> {
  // In ascending order of versions: the newest one stays.
  const types = new Map((await readTypes(trx, deps)).map(({ type }) => [type.certificateTypeCode as string, type]));
  return { types, matters: await readMatters(trx, deps) };
}

/**
 * Holds the catalogue until the transaction ends, and reads it: nobody else changes a type or registers a matter meanwhile, because
 * registering one holds this topic first.
 */
export async function holdCatalogue(trx: Transaction<Tables>, deps: ReadDeps): Promise<Standing> {
  await bump(trx, 'catalogue');
  return readStanding(trx, deps);
}

/** A type as it shall be. */
export interface NextType {
  readonly definition: CertificateTypeDefinition;
  readonly note?: TypeNote;
}

/** What putting `next` in place of the newest version of its type would break as things stand. */
export async function breaksOf(
  trx: Transaction<Tables>,
  deps: Pick<ChangeCatalogueDeps, 'grantsNaming' | 'today'>,
  input: { readonly standing: Standing; readonly next: NextType; readonly at: Date },
): Promise<TypeBreaks> {
  const { standing, next, at } = input;
  const { definition, note } = next;
  const { certificateTypeCode: code } = definition;
  const from = standing.types.get(code);
  const to = { ...definition, ...(note !== undefined && { note }) };
  const live = standing.matters.filter((matter) => !isRetired(matter));
  return {
    matters: matterBreaks(live, {
      before: (asked) => standing.types.get(asked),
      after: (asked) => (asked === code ? to : standing.types.get(asked)),
      today: deps.today(at),
      at,
    }),
    // A grant can only name a type that was there.
    grants: from === undefined ? [] : grantBreaks(from, definition, await deps.grantsNaming(trx, code, at)),
  };
}

/** Refuses `change_breaks` with the matters, or with the grants if no migration note tells their clients. */
function refuseBreaks({ matters, grants }: TypeBreaks, note: TypeNote | undefined): void {
  if (matters.length > 0) throw new Refusal('change_breaks', { matters });
  if (grants.length > 0 && note?.migrationNote === undefined) throw new Refusal('change_breaks', { grants });
}

/** Who makes the next version of a type, how, and what the record says beside the version. */
export interface Change {
  readonly next: NextType;
  readonly at: Date;
  readonly action: 'registerCertificateType' | 'publishCertificateType' | 'retireCertificateType';
  readonly call?: Call;
  readonly detail?: Readonly<Record<string, unknown>>;
}

/**
 * Adds the next version of a type whose definition was checked, while the catalogue is held, and records it. Undefined when the newest
 * version says the same already.
 * @throws Refusal `change_breaks`
 */
export async function changeType(
  trx: Transaction<Tables>,
  deps: ChangeCatalogueDeps,
  { standing, ...change }: Change & { readonly standing: Standing },
): Promise<CertificateType | undefined> {
  // No grant is made meanwhile that names what goes: whoever makes one asks for the type again once it has this topic.
  await hold(trx, 'grants');
  refuseBreaks(await breaksOf(trx, deps, { standing, ...change }), change.next.note);
  return addType(trx, deps, change);
}

/** Adds the next version of a type that nothing depends on yet, or whose breaks were judged. Undefined when nothing is new. */
export async function addType(
  trx: Transaction<Tables>,
  { keys, recordIn }: Pick<ChangeCatalogueDeps, 'keys' | 'recordIn'>,
  { next, at, action, call, detail }: Change,
): Promise<CertificateType | undefined> {
  const type = await insertNextVersion(trx, keys, { ...next, at });
  if (type === undefined) return undefined;
  await recordIn(trx, {
    kind: 'registry',
    action,
    outcome: 'done',
    ...(call === undefined ? {} : { caller: call.caller }),
    requestId: call?.requestId ?? 'certhub',
    at,
    detail: {
      certificateTypeCode: type.certificateTypeCode,
      version: type.version,
      definitionSha256: sha256Of(next.definition),
      ...detail,
    },
  });
  return type;
}

/** Digest of a definition as records name it. */
export const sha256Of = (definition: object): string =>
  createHash('sha256')
    .update(canonicalJson(JSON.parse(JSON.stringify(definition))))
    .digest('base64url');
