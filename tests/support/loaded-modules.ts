import { readFileSync } from 'node:fs';
import { dirname, relative, resolve } from 'node:path';

/** What a file of `src` brings with it when it is loaded: files of ours, relative to `src`, and packages. Both sorted. */
export function loadedModules(
  entries: readonly string[],
  { withDynamic }: { readonly withDynamic: boolean },
): { readonly files: readonly string[]; readonly packages: readonly string[] } {
  const files = new Set<string>();
  const packages = new Set<string>();
  const visit = (file: string): void => {
    if (files.has(file)) return;
    files.add(file);
    for (const from of importsOf(file, withDynamic)) {
      if (from.startsWith('.')) visit(resolve(dirname(file), from));
      else packages.add(from);
    }
  };
  const root = resolve('src');
  for (const entry of entries) visit(resolve(root, entry));
  return { files: [...files].map((file) => relative(root, file)).sort(), packages: [...packages].sort() };
}

/** Imports of types vanish. */
function importsOf(file: string, withDynamic: boolean): string[] {
  const text = readFileSync(file, 'utf8');
  const isType = (name: string): boolean => name.trim() === '' || /^\s*type\s/.test(name);
  const found = [...text.matchAll(/^(?:import|export)\s([^;]*?)from\s'([^']+)'/gms)].flatMap(
    ([, clause = '', from = '']) => {
      const names = /^\{(.*)\}\s*$/s.exec(clause.trim())?.[1]?.split(',');
      return /^type\s/.test(clause) || names?.every(isType) === true ? [] : [from];
    },
  );
  const bare = [...text.matchAll(/^import '([^']+)'/gm)].map((match) => match[1] ?? '');
  const dynamic = withDynamic ? [...text.matchAll(/import\('([^']+)'\)/g)].map((match) => match[1] ?? '') : [];
  return [...found, ...bare, ...dynamic];
}
