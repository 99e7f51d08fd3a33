import type { Tables } from '../db/tables.ts';
import { Refusal } from '../errors.ts';
import type { DepartmentCode } from '../ids.ts';
import { canonicalJson } from '../verification/canonical-json.ts';
import type { Bilingual, Department } from './department.ts';
import {
  type Handle,
  isGenuine,
  type Page,
  type PageOf,
  parseBody,
  type ReadDeps,
  type RowMacs,
  readAll,
  rowBytes,
  withMac,
  withNext,
} from './row.ts';

type DepartmentRow = Tables['departments'];

const departmentBytes = (row: Omit<DepartmentRow, 'mac'>): Buffer => rowBytes([row.code, row.body, row.created_at]);

function readDepartment(deps: ReadDeps, row: DepartmentRow): Department | undefined {
  const identity = { id: row.code, bytes: departmentBytes(row), mac: row.mac };
  if (!isGenuine(deps, 'departments', identity)) return undefined;
  const { name } = parseBody(row.body) as { name: Bilingual };
  return { code: row.code as DepartmentCode, name, createdAt: row.created_at };
}

/** All departments. */
export async function allDepartments(handle: Handle, deps: ReadDeps): Promise<Department[]> {
  const rows = await handle.selectFrom('departments').selectAll().execute();
  return readAll(rows, (row) => readDepartment(deps, row));
}

/** Departments in order of their codes. */
export async function pageDepartments(handle: Handle, deps: ReadDeps, page: PageOf): Promise<Page<Department>> {
  const query = handle
    .selectFrom('departments')
    .selectAll()
    .orderBy('code')
    .limit(page.limit + 1);
  const rows = await (page.after === undefined ? query : query.where('code', '>', page.after)).execute();
  const shown = rows.slice(0, page.limit);
  const items = readAll(shown, (row) => readDepartment(deps, row));
  return withNext(items, rows.length > page.limit ? shown.at(-1)?.code : undefined);
}

/** One department, or undefined when it is not registered or its row is not the hub's. */
export async function findDepartment(handle: Handle, deps: ReadDeps, code: string): Promise<Department | undefined> {
  const row = await handle.selectFrom('departments').selectAll().where('code', '=', code).executeTakeFirst();
  return row === undefined ? undefined : readDepartment(deps, row);
}

/** Adds a department. @throws Refusal `department_exists` */
export async function insertDepartment(handle: Handle, keys: RowMacs, department: Department): Promise<void> {
  const row = {
    code: department.code,
    body: Buffer.from(canonicalJson({ name: { ...department.name } })),
    created_at: department.createdAt,
  };
  const inserted = await handle
    .insertInto('departments')
    .values(withMac(keys, 'departments', row, departmentBytes))
    .onConflict((conflict) => conflict.doNothing())
    .returning('code')
    .executeTakeFirst();
  if (inserted === undefined) throw new Refusal('department_exists');
}
