import { createHash } from 'node:crypto';
import { rename, rm, writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { decodeUtf8, encodeHex } from '../verification/encoding.ts';
import { parseTrustBundle, type TrustBundle } from '../verification/trust-bundle.ts';
import { CommandFailed } from './command-failed.ts';
import type { CommandIo } from './command-io.ts';
import { fetchFailure } from './fetch-failure.ts';
import { maxBundleBytes } from './offline-inputs.ts';
import { exitCodes, runCommand } from './run-command.ts';
import { UsageError } from './usage-error.ts';

/** One line for the list of commands, then the usage. */
export const help = `certhub trust: export what others need to verify certificates without this hub

  certhub trust export --out FILE [--url URL]
      --out   where to write the trust bundle; - for standard output
      --url   fetch it from a running hub; without it, it is made from the local database and keys

  The bundle is not signed: carry it by a way you trust and compare the fingerprints of the roots. It holds public keys,
  entitlements and status lists, nothing personal. The status lists are good for a week, and keys rotated later are missing: then export anew.

  ${exitCodes}
`;

const timeoutMs = 60_000;

/** Runs `certhub trust …`. Exit code 0: written; 1: could not be made or written; 2: wrong usage. */
export const run = (argv: readonly string[], io: CommandIo): Promise<number> =>
  runCommand({ name: 'certhub trust', help, io }, async () => {
    const options = readOptions(argv);
    if (options === undefined) return help;
    const text = options.url === undefined ? await fromDatabase(io) : await fromHub(options.url, io);
    const read = parseTrustBundle(text);
    if (!read.ok)
      throw new CommandFailed(`what came back is not a trust bundle, see ${read.pointer || 'the whole of it'}`);
    if (options.out === '-') return text;
    await writeWhole(options.out, text);
    return summary(read.value, options.out);
  });

function readOptions(argv: readonly string[]) {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    strict: true,
    options: {
      out: { type: 'string' },
      url: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const [command, ...surplus] = positionals;
  if (values.help || command === undefined || command === 'help') return undefined;
  if (command !== 'export') throw new UsageError(`unknown command: ${command}`);
  if (surplus.length > 0) throw new UsageError(`unexpected: ${surplus.join(' ')}`);
  if (values.out === undefined || values.out === '') throw new UsageError('--out is missing');
  return { out: values.out, url: values.url };
}

async function fromHub(address: string, io: CommandIo): Promise<string> {
  const url = bundleUrl(address);
  if (url.protocol === 'http:' && !['localhost', '127.0.0.1', '[::1]'].includes(url.hostname)) {
    io.stderr.write('warning: fetched without TLS; compare the fingerprints of the roots before you trust it\n');
  }
  // a redirect would let somebody else name the trust anchors
  const response = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(timeoutMs) }).catch(
    (error: unknown) => {
      throw new CommandFailed(`cannot fetch ${url.href}: ${fetchFailure(error)}`, { cause: error });
    },
  );
  if (!response.ok) throw new CommandFailed(`${url.href} answered ${response.status}`);
  return readBody(response);
}

function bundleUrl(address: string): URL {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url === undefined || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    throw new UsageError('--url must be the address of a hub, such as https://hub.example.gov');
  }
  url.pathname = `${url.pathname.replace(/\/$/, '')}/v1/trust-bundle`;
  return url;
}

async function readBody(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    const bytes = chunk as Uint8Array;
    size += bytes.length;
    if (size > maxBundleBytes) throw new CommandFailed('the trust bundle is too large');
    chunks.push(bytes);
  }
  const text = decodeUtf8(Buffer.concat(chunks));
  if (text === undefined) throw new CommandFailed('the trust bundle is not text in UTF-8');
  return text;
}

async function fromDatabase(io: CommandIo): Promise<string> {
  // loaded only here: with --url, neither a database driver nor keys are needed
  const { openHub } = await import('./open.ts');
  const { statusLists } = await import('../certificates/status-list.ts');
  const { trustBundles } = await import('../certificates/trust-bundle.ts');
  const { core, close } = await openHub(io.env, (line) => io.stderr.write(`${line}\n`));
  try {
    const { db, keys, now, registry, trust, catalogue, config } = core;
    const { issuer } = config;
    const lists = statusLists({ db, signer: keys.status, issuer, now });
    const { hubKeys } = keys;
    const bundles = trustBundles({ registry, trust, catalogue, hubKeys, statusLists: lists, issuer, now });
    return `${JSON.stringify(await bundles.document())}\n`;
  } finally {
    await close();
  }
}

/** Whole or not at all: half a bundle in its place would stop every verification. */
async function writeWhole(file: string, text: string): Promise<void> {
  const draft = `${file}.${process.pid}.tmp`;
  try {
    await writeFile(draft, text, { mode: 0o644 });
    await rename(draft, file);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
}

function summary(bundle: TrustBundle, file: string): string {
  const lines = [
    `wrote ${file}: ${bundle.issuer}, ${new Date(bundle.createdAt * 1_000).toISOString()}`,
    `${bundle.issuers.size} departments, ${bundle.types.size} certificate types, ${bundle.statusLists.length} status lists`,
    ...bundle.roots.map((root) => `root SHA-256 ${encodeHex(createHash('sha256').update(root).digest())}`),
  ];
  return lines.map((line) => `${line}\n`).join('');
}
