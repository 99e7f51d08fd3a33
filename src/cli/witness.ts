import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { type CosignAnswer, cosignCheckpoint } from '../audit/log/cosign-checkpoint.ts';
import { FolderInUse } from '../audit/log/folder-lock.ts';
import { openWitnessStore, WitnessStateError } from '../audit/log/witness-store.ts';
import { openLog } from '../http/log.ts';
import { buildWitnessServer, type WitnessAnswer } from '../http/witness-server.ts';
import { loadNoteKey, writeNoteKey } from '../signing/note-key-file.ts';
import { parseLogPolicy } from '../verification/log-policy.ts';
import { isKeyName, parseVerifierKey, type VerifierKey } from '../verification/signed-note.ts';
import { CommandFailed } from './command-failed.ts';
import type { CommandIo } from './command-io.ts';
import { exitCodes, required, runCommand } from './run-command.ts';
import { toldToStop } from './told-to-stop.ts';
import { UsageError } from './usage-error.ts';

/** One line for the list of commands, then the usage. */
export const help = `certhub witness: watch over the logs of others and cosign what continues what was seen

  certhub witness new-key --name NAME --out FILE
      makes a witness's key in a new file and prints its verifier key, for the policies of the logs' owners; NAME is an address
      without scheme that nobody else signs under, like audit.example.gov/witness
  certhub witness start --key FILE --policy FILE --dir FOLDER [--host HOST] [--port PORT] [--former-key VKEY]…
      runs a witness (C2SP tlog-witness) until SIGTERM or SIGINT; needs no database. --policy names the logs it cosigns for, one
      line each: log VKEY (C2SP tlog-policy; other lines are allowed). FOLDER is its memory: one file per log. A log that
      leaves the policy is remembered. --former-key names a key that this witness signed its memory with before

  HOST is 127.0.0.1 and PORT 8480 when absent: put a TLS proxy in front. Never restore FOLDER from a backup: a witness that
  forgets lets a log show two histories. Run it under another administration than the log's.

  ${exitCodes}
`;

/** Runs `certhub witness …`. Exit code 0: done; 1: refused, with the reason; 2: wrong usage. */
export const run = (argv: readonly string[], io: CommandIo): Promise<number> =>
  runCommand({ name: 'certhub witness', help, io }, () => command(argv, io));

const options = {
  name: { type: 'string' },
  out: { type: 'string' },
  key: { type: 'string' },
  policy: { type: 'string' },
  dir: { type: 'string' },
  host: { type: 'string', default: '127.0.0.1' },
  port: { type: 'string', default: '8480' },
  'former-key': { type: 'string', multiple: true },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

async function command(argv: readonly string[], io: CommandIo): Promise<string> {
  const { values, positionals } = parseArgs({ args: [...argv], allowPositionals: true, options });
  const [verb, ...rest] = positionals;
  if (values.help || verb === 'help' || verb === undefined) return help;
  if (rest.length > 0) throw new UsageError(`unexpected "${rest[0] ?? ''}"`);
  if (verb === 'new-key') {
    const name = required(values.name, 'name');
    if (!isKeyName(name)) throw new UsageError('--name may hold no white space and no "+"');
    return `${writeNoteKey(required(values.out, 'out'), name, 4)}\n`;
  }
  if (verb !== 'start') throw new UsageError(`unknown command "${verb}"`);
  return start(
    {
      keyFile: required(values.key, 'key'),
      policyFile: required(values.policy, 'policy'),
      folder: required(values.dir, 'dir'),
      host: values.host,
      port: readPort(values.port),
      formerKeys: (values['former-key'] ?? []).map(readFormerKey),
    },
    io,
  );
}

interface Start {
  readonly keyFile: string;
  readonly policyFile: string;
  readonly folder: string;
  readonly host: string;
  readonly port: number;
  readonly formerKeys: readonly VerifierKey[];
}

async function start({ keyFile, policyFile, folder, host, port, formerKeys }: Start, io: CommandIo): Promise<string> {
  const say = (line: string): void => void io.stderr.write(`certhub witness: ${line}\n`);
  const logs = readLogs(policyFile);
  const by = loadNoteKey(keyFile, 4);
  const own = parseVerifierKey(by.vkey);
  if (!own.ok) throw new CommandFailed(`${keyFile}: ${own.reason}`);
  const store = await openStore(folder, [own.value, ...formerKeys]);
  try {
    if (store.fresh) say(`${folder} is new: this witness remembers no log and believes what it is shown first`);
    const server = await buildWitnessServer({
      log: openLog({ level: 'info' }),
      lastCheckpoint: (originHash) => store.last(originHash)?.note,
      addCheckpoint: async (body) => {
        try {
          return witnessAnswer(await cosignCheckpoint({ store, by, logs, now: () => new Date() }, body));
        } catch (error) {
          if (error instanceof WitnessStateError) say(`nothing is cosigned: ${error.message}`);
          throw error;
        }
      },
    });
    await server.app.listen({ host, port });
    const address = server.app.server.address();
    const at = typeof address === 'object' && address !== null ? address.port : port;
    say(
      `${by.name} answers at http://${host.includes(':') ? `[${host}]` : host}:${at} and cosigns for ${logs.length} log key(s)`,
    );
    say(`verifier key ${by.vkey}`);
    say(`${await toldToStop()}: finishing what is under way`);
    await server.drain(10_000);
    return '';
  } finally {
    await store.close();
  }
}

async function openStore(folder: string, keys: readonly VerifierKey[]) {
  try {
    return await openWitnessStore({ folder, keys });
  } catch (error) {
    if (error instanceof FolderInUse || error instanceof WitnessStateError) throw new CommandFailed(error.message);
    throw error;
  }
}

/** What a witness's judgement is over HTTP (C2SP tlog-witness). */
export function witnessAnswer(answer: CosignAnswer): WitnessAnswer {
  const mediaType = 'text/plain; charset=utf-8';
  if (answer.kind === 'cosigned') return { status: 200, mediaType, text: answer.lines };
  if (answer.kind === 'clock_behind') return { status: 503, mediaType, text: 'clock_behind\n' };
  if (answer.status === 409) return { status: 409, mediaType: 'text/x.tlog.size', text: `${answer.size}\n` };
  return { status: answer.status, mediaType, text: `${answer.reason}\n` };
}

function readLogs(file: string): readonly VerifierKey[] {
  const text = readFileSync(file, 'utf8');
  // Whom the hub's readers believe needs a quorum; whom a witness watches does not.
  const parsed = parseLogPolicy(/^[ \t]*quorum[ \t]/m.test(text) ? text : `${text}\nquorum none\n`);
  if (!parsed.ok) throw new CommandFailed(`${file}, line ${parsed.line}: ${parsed.reason}`);
  const { logs } = parsed.value;
  if (logs.length === 0) throw new CommandFailed(`${file}: names no log`);
  return logs.map(({ key }) => key);
}

function readPort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (!(port <= 65_535)) throw new UsageError('--port must be 0 to 65535');
  return port;
}

function readFormerKey(text: string): VerifierKey {
  const parsed = parseVerifierKey(text);
  if (!parsed.ok || parsed.value.type !== 4) throw new UsageError('--former-key must be the verifier key of a witness');
  return parsed.value;
}
