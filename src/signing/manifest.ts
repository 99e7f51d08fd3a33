import { isJsonObject, type JsonObject, type JsonValue } from '../verification/encoding.ts';
import { isUscc } from '../verification/identifiers.ts';
import { isSignatureSuite, type SignatureSuite } from '../verification/suites.ts';
import { type RecordKeyKind, recordKeyKinds } from './data-keys.ts';
import { KeyFileError } from './key-file-error.ts';

/** What a hub key is for. One key has one use and one suite. */
export const keyUses = ['token', 'answer', 'status', 'log'] as const;
export type KeyUse = (typeof keyUses)[number];

/** `active`: makes new signatures, boxes or indices. `retired`: still verifies, opens and finds. */
export type KeyState = 'active' | 'retired';

/** A hub signing key. `from` and `until` are RFC 3339 UTC times, half-open. */
export interface ManifestKey {
  readonly kid: string;
  readonly use: KeyUse;
  readonly suite: SignatureSuite;
  readonly file: string;
  /** PEM file with the leaf and its intermediates; null for keys without X.509. */
  readonly x509File: string | null;
  readonly state: KeyState;
  readonly from: string;
  readonly until: string | null;
}

/** A 32-byte secret as 64 hex characters in a file. */
export interface ManifestSecret {
  /** Index generation or encryption key id, 1 to 255. */
  readonly number: number;
  readonly file: string;
  readonly state: KeyState;
}

/** A department's seal key as PKCS#12. */
export interface ManifestSeal {
  readonly department: string;
  readonly suite: SignatureSuite;
  readonly file: string;
  readonly passwordFile: string;
  readonly state: KeyState;
}

/** The key of the records of one month and kind: a 32-byte secret as 64 hex characters in a file, until it is destroyed. */
export interface ManifestRecordKey {
  /** 'YYYY-MM', UTC. */
  readonly month: string;
  readonly kind: RecordKeyKind;
  readonly file: string;
  /** `destroyed`: the file is gone, on purpose; what it encrypted cannot be opened again. */
  readonly state: 'active' | 'destroyed';
}

/** The local certificate authority, when this directory has one: the intermediate's key and chain. */
export interface ManifestAuthority {
  readonly suite: SignatureSuite;
  readonly file: string;
  readonly x509File: string;
}

/** The table of contents of a keys directory. All file names are relative to it. */
export interface Manifest {
  readonly format: typeof manifestFormat;
  readonly created: string;
  readonly keys: readonly ManifestKey[];
  readonly indexKeys: readonly ManifestSecret[];
  readonly encryptionKeys: readonly ManifestSecret[];
  /** Ascending by month. Absent in directories from before there were any: their records are under derived keys. */
  readonly recordKeys?: readonly ManifestRecordKey[];
  readonly seals: readonly ManifestSeal[];
  /** PEM files of trusted roots. */
  readonly roots: readonly string[];
  readonly authority: ManifestAuthority | null;
}

export const manifestFormat = 'certhub-keys/1';
export const manifestFile = 'manifest.json';

const recordKeyNames = Object.keys(recordKeyKinds) as RecordKeyKind[];
const filePattern = /^(?:[A-Za-z0-9][A-Za-z0-9._-]*\/)*[A-Za-z0-9][A-Za-z0-9._-]*$/;
const kidPattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const monthPattern = /^\d{4}-(?:0[1-9]|1[0-2])$/;
const timePattern = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,3})?Z$/;

/** Reads a manifest strictly: unknown members, paths out of the directory and double names are refused. */
export function parseManifest(text: string, file: string): Manifest {
  const fail = (reason: string): never => {
    throw new KeyFileError(file, reason);
  };
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new KeyFileError(file, 'is not JSON', { cause: error });
  }
  const record = (
    value: unknown,
    where: string,
    names: readonly string[],
    optional: readonly string[] = [],
  ): JsonObject => {
    if (!isJsonObject(value)) return fail(`${where} is not an object`);
    for (const name of names) if (!Object.hasOwn(value, name)) fail(`${where} lacks "${name}"`);
    for (const name of Object.keys(value)) {
      if (!names.includes(name) && !optional.includes(name)) fail(`${where} has an unknown member "${name}"`);
    }
    return value;
  };
  const list = (value: JsonValue | undefined, where: string): JsonValue[] =>
    Array.isArray(value) ? value : fail(`${where} is not a list`);
  const word = (value: JsonValue | undefined, pattern: RegExp, where: string): string =>
    typeof value === 'string' && pattern.test(value) ? value : fail(`${where} is malformed`);
  const suite = (value: JsonValue | undefined, where: string): SignatureSuite =>
    isSignatureSuite(value) ? value : fail(`${where} is not a signature suite`);
  const state = (value: JsonValue | undefined, where: string): KeyState =>
    value === 'active' || value === 'retired' ? value : fail(`${where} is neither "active" nor "retired"`);

  const key = (value: JsonValue, at: number): ManifestKey => {
    const where = `keys[${at}]`;
    const names = ['kid', 'use', 'suite', 'file', 'x509File', 'state', 'from', 'until'];
    const entry = record(value, where, names);
    return {
      kid: word(entry['kid'], kidPattern, `${where}.kid`),
      use: keyUses.find((use) => use === entry['use']) ?? fail(`${where}.use is unknown`),
      suite: suite(entry['suite'], `${where}.suite`),
      file: word(entry['file'], filePattern, `${where}.file`),
      x509File: entry['x509File'] === null ? null : word(entry['x509File'], filePattern, `${where}.x509File`),
      state: state(entry['state'], `${where}.state`),
      from: word(entry['from'], timePattern, `${where}.from`),
      until: entry['until'] === null ? null : word(entry['until'], timePattern, `${where}.until`),
    };
  };
  const secrets = (value: JsonValue | undefined, name: string): ManifestSecret[] =>
    list(value, name).map((item, at) => {
      const where = `${name}[${at}]`;
      const entry = record(item, where, ['number', 'file', 'state']);
      const { number } = entry;
      if (typeof number !== 'number' || !Number.isInteger(number) || number < 1 || number > 255) {
        return fail(`${where}.number is not 1 to 255`);
      }
      return {
        number,
        file: word(entry['file'], filePattern, `${where}.file`),
        state: state(entry['state'], `${where}.state`),
      };
    });
  const recordKey = (value: JsonValue, at: number): ManifestRecordKey => {
    const where = `recordKeys[${at}]`;
    const entry = record(value, where, ['month', 'kind', 'file', 'state']);
    const { kind, state } = entry;
    return {
      month: word(entry['month'], monthPattern, `${where}.month`),
      kind: recordKeyNames.find((name) => name === kind) ?? fail(`${where}.kind is unknown`),
      file: word(entry['file'], filePattern, `${where}.file`),
      state:
        state === 'active' || state === 'destroyed'
          ? state
          : fail(`${where}.state is neither "active" nor "destroyed"`),
    };
  };
  const seal = (value: JsonValue, at: number): ManifestSeal => {
    const where = `seals[${at}]`;
    const entry = record(value, where, ['department', 'suite', 'file', 'passwordFile', 'state']);
    const department = entry['department'];
    return {
      department:
        typeof department === 'string' && isUscc(department) ? department : fail(`${where}.department is no USCC`),
      suite: suite(entry['suite'], `${where}.suite`),
      file: word(entry['file'], filePattern, `${where}.file`),
      passwordFile: word(entry['passwordFile'], filePattern, `${where}.passwordFile`),
      state: state(entry['state'], `${where}.state`),
    };
  };
  const authority = (value: JsonValue | undefined): ManifestAuthority | null => {
    if (value === null) return null;
    const entry = record(value, 'authority', ['suite', 'file', 'x509File']);
    return {
      suite: suite(entry['suite'], 'authority.suite'),
      file: word(entry['file'], filePattern, 'authority.file'),
      x509File: word(entry['x509File'], filePattern, 'authority.x509File'),
    };
  };

  const names = ['format', 'created', 'keys', 'indexKeys', 'encryptionKeys', 'seals', 'roots', 'authority'];
  const top = record(parsed, 'the manifest', names, ['recordKeys']);
  if (top['format'] !== manifestFormat) fail(`format is not "${manifestFormat}"`);
  const manifest: Manifest = {
    format: manifestFormat,
    created: word(top['created'], timePattern, 'created'),
    keys: list(top['keys'], 'keys').map(key),
    indexKeys: secrets(top['indexKeys'], 'indexKeys'),
    encryptionKeys: secrets(top['encryptionKeys'], 'encryptionKeys'),
    ...(top['recordKeys'] !== undefined && { recordKeys: list(top['recordKeys'], 'recordKeys').map(recordKey) }),
    seals: list(top['seals'], 'seals').map(seal),
    roots: list(top['roots'], 'roots').map((root, at) => word(root, filePattern, `roots[${at}]`)),
    authority: authority(top['authority']),
  };
  const fault = findConflict(manifest);
  return fault === undefined ? manifest : fail(fault);
}

/** What no single entry shows: exactly one active key per use, nothing named twice. */
function findConflict({ keys, indexKeys, encryptionKeys, recordKeys = [], seals }: Manifest): string | undefined {
  if (new Set(keys.map(({ kid }) => kid)).size !== keys.length) return 'a kid is used twice';
  if (new Set(keys.map(({ file }) => file)).size !== keys.length) return 'a key file is used twice';
  for (const use of keyUses) {
    const active = keys.filter((key) => key.use === use && key.state === 'active');
    if (active.length !== 1) return `there must be exactly one active key with use "${use}"`;
  }
  for (const [name, secrets] of Object.entries({ indexKeys, encryptionKeys })) {
    if (new Set(secrets.map(({ number }) => number)).size !== secrets.length)
      return `a number is used twice in ${name}`;
    if (!secrets.some(({ state }) => state === 'active')) return `no active key in ${name}`;
  }
  const months = recordKeys.map(({ month, kind }) => `${month} ${kind}`);
  if (new Set(months).size !== months.length) return 'a month has two keys for one kind in recordKeys';
  if (new Set(recordKeys.map(({ file }) => file)).size !== months.length) return 'a file is used twice in recordKeys';
  const active = seals.filter(({ state }) => state === 'active').map(({ department }) => department);
  if (new Set(active).size !== active.length) return 'a department has two active seals';
  return undefined;
}

/** The text of a manifest file. */
export const formatManifest = (manifest: Manifest): string => `${JSON.stringify(manifest, null, 2)}\n`;
