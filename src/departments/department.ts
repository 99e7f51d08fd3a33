import { Refusal } from '../errors.ts';
import type { DepartmentCode } from '../ids.ts';
import { asDepartmentCode } from '../verification/identifiers.ts';

/** A name in Chinese and English. */
export interface Bilingual {
  readonly zh: string;
  readonly en: string;
}

/** An authority, identified by its USCC. */
export interface Department {
  readonly code: DepartmentCode;
  readonly name: Bilingual;
  readonly createdAt: Date;
}

/** A department as the contract words it. */
export interface DepartmentBody {
  departmentCode: string;
  name: { zh: string; en: string };
  createdAt: string;
}

/** The body of an answer about a department. */
export const departmentBody = ({ code, name, createdAt }: Department): DepartmentBody => ({
  departmentCode: code,
  name: { zh: name.zh, en: name.en },
  createdAt: createdAt.toISOString(),
});

/**
 * A USCC with the right check character (GB 32100) as department code.
 * @throws Refusal `invalid_uscc`
 */
export function checkDepartmentCode(text: string): DepartmentCode {
  const code = asDepartmentCode(text);
  if (code === undefined) throw new Refusal('invalid_uscc', { pointer: '/departmentCode' });
  return code;
}
