import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

/**
 * Runs hold-cluster.ts for the test runner, our parent, in an empty environment: tap measures the coverage of its --before and
 * --after programs even where coverage is off, and would then fail the run for what they did not cover.
 */
export function apart(task: 'hold' | 'release'): void {
  const program = ['--import', 'tsx', join(import.meta.dirname, 'hold-cluster.ts'), task, String(process.ppid)];
  const environment = [
    `PATH=${process.env['PATH']}`,
    ...(process.env['TMPDIR'] === undefined ? [] : [`TMPDIR=${process.env['TMPDIR']}`]),
  ];
  spawnSync('env', ['-i', ...environment, process.execPath, ...program], {
    cwd: join(import.meta.dirname, '../..'),
    stdio: ['ignore', 'inherit', 'inherit'],
  });
}
