import { parseArgs } from 'node:util';
import { assembleHub } from '../hub.ts';
import type { CommandIo } from './command-io.ts';
import { openHub } from './open.ts';
import { exitCodes, runCommand } from './run-command.ts';
import { toldToStop } from './told-to-stop.ts';

export const help = `certhub start: run the hub

  certhub start
      runs until SIGTERM or SIGINT, then finishes what is under way. Settings come from CERTHUB_* variables and DATABASE_URL
      (see the README); without DATABASE_URL the hub runs a private PostgreSQL in its data folder.

  ${exitCodes}
`;

/** Runs the hub until it is told to stop. Exit code 0: stopped; 1: could not run, with the reason; 2: wrong usage. */
export const run = (argv: readonly string[], io: CommandIo): Promise<number> =>
  runCommand({ name: 'certhub start', help, io }, async () => {
    const { values } = parseArgs({
      args: [...argv],
      options: { help: { type: 'boolean', short: 'h', default: false } },
    });
    return values.help ? help : serve(io);
  });

async function serve(io: CommandIo): Promise<string> {
  const { config, core, log, close } = await openHub(io.env, (line) => void io.stderr.write(`${line}\n`), {
    serves: true,
  });
  try {
    const hub = await assembleHub(core);
    await hub.app.listen({ host: config.host, port: config.port });
    log.info(`certhub answers at ${config.issuer}, documentation at ${config.issuer}/docs`);
    log.info(`${await toldToStop()}: finishing what is under way`);
    await hub.drain(config.shutdownSeconds * 1_000);
    return '';
  } finally {
    await close();
  }
}
