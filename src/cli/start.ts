import { assembleHub } from '../hub.ts';
import type { CommandIo } from './keys.ts';
import { openHub } from './open.ts';

export const help = `certhub start: run the hub

  certhub start
      runs until SIGTERM or SIGINT, then finishes what is under way. Settings come from CERTHUB_* variables and DATABASE_URL
      (see the README); without DATABASE_URL the hub runs a private PostgreSQL in its data folder.
`;

/** Runs the hub until it is told to stop. Resolves with the exit code. */
export async function run(argv: readonly string[], io: CommandIo): Promise<number> {
  if (argv.length > 0) {
    const asked = argv[0] === '--help' || argv[0] === '-h';
    (asked ? io.stdout : io.stderr).write(help);
    return asked ? 0 : 2;
  }
  const { config, core, log, close } = await openHub(io.env, (line) => void io.stderr.write(`${line}\n`), {
    serves: true,
  });
  try {
    const hub = await assembleHub(core);
    await hub.app.listen({ host: config.host, port: config.port });
    log.info(`certhub answers at ${config.issuer}, documentation at ${config.issuer}/docs`);
    const signal = await new Promise<string>((resolve) => {
      process.once('SIGTERM', resolve);
      process.once('SIGINT', resolve);
    });
    log.info(`${signal}: finishing what is under way`);
    await hub.drain(config.shutdownSeconds * 1_000);
    return 0;
  } finally {
    await close();
  }
}
