import { readFileSync } from 'node:fs';
import type { Role } from '../../src/ids.ts';

/** What one role may do with one operation, as a cell of openapi/permissions.md says. */
export interface Cell {
  readonly reach:
    | 'none'
    | 'everybody'
    | 'all'
    | 'own client'
    | 'own department'
    | 'other clients'
    | 'other departments';
  /** Code of the problem; undefined where what is not reached is left out of the answer. */
  readonly otherwise?: string | undefined;
}

export interface TableRow {
  readonly operationId: string;
  readonly cells: ReadonlyMap<Role, Cell>;
}

function readCell(text: string): Cell {
  if (text === '–') return { reach: 'none' };
  if (text === 'all' || text === 'everybody') return { reach: text };
  const match = /^((?:own|other) (?:client|department)s?), else (?:nothing|`([a-z_]+)`)$/.exec(text);
  if (match === null) throw new Error(`nobody understands the cell ${text}`);
  return { reach: match[1] as 'own client', otherwise: match[2] };
}

const cellsOf = (line: string): string[] =>
  line
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim());

/** The table as it is published. */
export function permissionTable(): readonly TableRow[] {
  const text = readFileSync(new URL('../../openapi/permissions.md', import.meta.url), 'utf8');
  const [head = '', , ...lines] = text.split('\n').filter((line) => line.startsWith('|'));
  const [, , ...roles] = cellsOf(head) as Role[];
  return lines.map((line) => {
    const [operationId = '', , ...cells] = cellsOf(line);
    return { operationId, cells: new Map(roles.map((role, i) => [role, readCell(cells[i] ?? '')])) };
  });
}
