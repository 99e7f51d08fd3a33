import type { Tables } from '../db/tables.ts';
import { Refusal } from '../errors.ts';
import type { DepartmentCode } from '../ids.ts';
import { type Handle, isGenuine, type ReadDeps, type RowMacs, readAll, rowBytes, withMac } from './row.ts';
import type { SealX509, TrustRoot } from './trust.ts';

type RootRow = Tables['trust_roots'];
type SealRow = Tables['seal_x509'];

const rootBytes = (row: Omit<RootRow, 'mac'>): Buffer =>
  rowBytes([row.sha256, row.x509, row.valid_from, row.valid_until]);
const sealBytes = (row: Omit<SealRow, 'mac'>): Buffer =>
  rowBytes([row.sha256, row.department_code, row.chain, row.valid_from, row.valid_until, row.revoked_at]);

function readRoot(deps: ReadDeps, row: RootRow): TrustRoot | undefined {
  const sha256 = row.sha256.toString('hex');
  if (!isGenuine(deps, 'trust_roots', { id: sha256, bytes: rootBytes(row), mac: row.mac })) return undefined;
  return { sha256, der: row.x509, validFrom: row.valid_from, validUntil: row.valid_until };
}

function readSeal(deps: ReadDeps, row: SealRow): SealX509 | undefined {
  const sha256 = row.sha256.toString('hex');
  if (!isGenuine(deps, 'seal_x509', { id: sha256, bytes: sealBytes(row), mac: row.mac })) return undefined;
  return {
    sha256,
    department: row.department_code as DepartmentCode,
    chain: row.chain,
    validFrom: row.valid_from,
    validUntil: row.valid_until,
    revokedAt: row.revoked_at,
  };
}

/** All pinned roots, oldest first. */
export async function listRootRows(handle: Handle, deps: ReadDeps): Promise<TrustRoot[]> {
  const rows = await handle.selectFrom('trust_roots').selectAll().orderBy('valid_from').orderBy('sha256').execute();
  return readAll(rows, (row) => readRoot(deps, row));
}

/** Pins a root. @throws Refusal `trust_root_exists` */
export async function insertRoot(handle: Handle, keys: RowMacs, root: TrustRoot): Promise<void> {
  const row = {
    sha256: Buffer.from(root.sha256, 'hex'),
    x509: root.der,
    valid_from: root.validFrom,
    valid_until: root.validUntil,
  };
  const inserted = await handle
    .insertInto('trust_roots')
    .values(withMac(keys, 'trust_roots', row, rootBytes))
    .onConflict((conflict) => conflict.doNothing())
    .returning('sha256')
    .executeTakeFirst();
  if (inserted === undefined) throw new Refusal('trust_root_exists', { sha256: root.sha256 });
}

/** The seal certificates of one department, or of all, oldest first. */
export async function listSealRows(handle: Handle, deps: ReadDeps, department?: string): Promise<SealX509[]> {
  let query = handle.selectFrom('seal_x509').selectAll().orderBy('valid_from').orderBy('sha256');
  if (department !== undefined) query = query.where('department_code', '=', department);
  const rows = await query.execute();
  return readAll(rows, (row) => readSeal(deps, row));
}

/** One seal certificate of a department, kept from other changes until the transaction ends. */
export async function findSealForUpdate(
  handle: Handle,
  deps: ReadDeps,
  { department, sha256 }: Pick<SealX509, 'department' | 'sha256'>,
): Promise<SealX509 | undefined> {
  const row = await handle
    .selectFrom('seal_x509')
    .selectAll()
    .where('sha256', '=', Buffer.from(sha256, 'hex'))
    .where('department_code', '=', department)
    .forUpdate()
    .executeTakeFirst();
  return row === undefined ? undefined : readSeal(deps, row);
}

const sealRow = (seal: SealX509): Omit<SealRow, 'mac'> => ({
  sha256: Buffer.from(seal.sha256, 'hex'),
  department_code: seal.department,
  chain: [...seal.chain],
  valid_from: seal.validFrom,
  valid_until: seal.validUntil,
  revoked_at: seal.revokedAt,
});

/** Adds a seal certificate. @throws Refusal `seal_x509_exists`, also when it is another department's or was withdrawn */
export async function insertSeal(handle: Handle, keys: RowMacs, seal: SealX509): Promise<void> {
  const row = sealRow(seal);
  const inserted = await handle
    .insertInto('seal_x509')
    .values(withMac(keys, 'seal_x509', row, sealBytes))
    .onConflict((conflict) => conflict.doNothing())
    .returning('sha256')
    .executeTakeFirst();
  if (inserted === undefined) throw new Refusal('seal_x509_exists', { sha256: seal.sha256 });
}

/** Writes a seal certificate's `revokedAt`. It must have been read with `findSealForUpdate` in the same transaction. */
export async function updateSeal(handle: Handle, keys: RowMacs, seal: SealX509): Promise<void> {
  const { sha256, revoked_at, mac } = withMac(keys, 'seal_x509', sealRow(seal), sealBytes);
  await handle.updateTable('seal_x509').set({ revoked_at, mac }).where('sha256', '=', sha256).execute();
}
