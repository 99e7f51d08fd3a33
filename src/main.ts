import { run } from './cli/start.ts';

/** The server process: `certhub start`. */
try {
  process.exitCode = await run(process.argv.slice(2), process);
} catch (error) {
  // Start-up errors are written for the operator and hold no data.
  process.stderr.write(`certhub cannot start: ${error instanceof Error ? error.message : 'unknown error'}\n`);
  process.exitCode = 1;
}
