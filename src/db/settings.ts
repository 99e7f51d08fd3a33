import type { Database } from './database.ts';

/** What was found: `failures` break a promise of the hub, `warnings` may let values into the server's log. Names of settings, no data. */
export interface SettingsReport {
  readonly failures: readonly string[];
  readonly warnings: readonly string[];
}

/** Without these a committed record may be gone after a power failure (invariant 1). */
const required: Readonly<Record<string, readonly string[]>> = {
  fsync: ['on'],
  full_page_writes: ['on'],
  // `local` gives up standbys only; the hub cannot know whether there are any.
  synchronous_commit: ['on', 'remote_apply'],
};

/** Values that keep statements' parameters out of the server's log (invariant 5). */
const quiet: Readonly<Record<string, readonly string[]>> = {
  log_statement: ['none', 'ddl'],
  log_parameter_max_length: ['0'],
  log_parameter_max_length_on_error: ['0'],
  log_error_verbosity: ['terse'],
  log_min_error_statement: ['panic', 'fatal', 'log'],
  log_min_messages: ['panic', 'fatal', 'log', 'error', 'warning', 'notice', 'info'],
  debug_print_parse: ['off'],
  debug_print_rewritten: ['off'],
  debug_print_plan: ['off'],
};

/** Reads the server's settings as this connection sees them; start-up refuses to serve on a failure. */
export async function checkSettings(db: Pick<Database, 'query'>): Promise<SettingsReport> {
  const names = [...Object.keys(required), ...Object.keys(quiet)];
  const rows = await db.query<{ name: string; setting: string }>(
    { name: 'check_settings', text: 'select name, setting from pg_settings where name = any($1)' },
    [names],
  );
  const actual = new Map(rows.map(({ name, setting }) => [name, setting]));
  // A setting this version (or a compatible engine) does not have cannot be wrong, except a required one.
  const failures = Object.entries(required)
    .filter(([name, good]) => !good.includes(actual.get(name) ?? 'unknown'))
    .map(([name, good]) => `${name} is ${actual.get(name) ?? 'unknown'}, must be ${good.join(' or ')}`);
  const warnings = Object.entries(quiet)
    .filter(([name, good]) => !good.includes(actual.get(name) ?? good[0] ?? ''))
    .map(([name, good]) => `${name} is ${actual.get(name)}: the database's log may show values; set it to ${good[0]}`);
  return { failures, warnings };
}
