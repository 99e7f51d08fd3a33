import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { LogSource } from '../verification/log-report.ts';
import { fetchFailure } from './fetch-failure.ts';
import { UsageError } from './usage-error.ts';

/** Where a log is read: a folder with its files, or its address. */

/** No file of a log is as large: a bundle of 256 entries of 34 bytes has 9,216. */
const maxFileBytes = 1_000_000;
const attempts = 6;
const timeoutMs = 30_000;

/** True for an http(s) address, false for a folder. */
export const isAddress = (place: string): boolean => /^https?:\/\//.test(place);

/** Reads files of the log in a folder or at an http(s) address. */
export function logSource(place: string): Pick<LogSource, 'read'> {
  return { read: isAddress(place) ? fromUrl(place.replace(/\/+$/, '')) : fromFolder(place) };
}

function fromFolder(folder: string): LogSource['read'] {
  return async (path) => {
    const file = join(folder, path);
    try {
      if ((await stat(file)).size > maxFileBytes) throw new UsageError(`${file} is too large for a file of a log`);
      return await readFile(file);
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : undefined;
      if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
      throw error instanceof UsageError ? error : new UsageError(`cannot read ${file}: ${String(code)}`);
    }
  };
}

function fromUrl(base: string): LogSource['read'] {
  return (path) => fetchBytes(`${base}/${path}`);
}

/** The bytes at an address, or undefined for 404. */
export async function fetchBytes(address: string): Promise<Buffer | undefined> {
  const { status, body } = await ask(address, {});
  if (status === 404) return undefined;
  if (status >= 300) throw new UsageError(`${address} answered status ${status}`);
  return body;
}

/** Asks an address; busy servers are asked again after the time they name. Any status but 429 and 5xx is an answer. */
export async function ask(address: string, init: RequestInit): Promise<{ status: number; body: Buffer }> {
  let said = '';
  for (let attempt = 1; attempt <= attempts; attempt++) {
    let wait = attempt * 200;
    try {
      const response = await fetch(address, { ...init, redirect: 'error', signal: AbortSignal.timeout(timeoutMs) });
      const { status } = response;
      if (status !== 429 && status < 500) return { status, body: await bodyOf(response, address) };
      await response.body?.cancel();
      said = `status ${status}`;
      const seconds = Number(response.headers.get('retry-after') ?? 1);
      wait = Number.isFinite(seconds) ? Math.min(seconds, 60) * 1000 : 1000;
    } catch (error) {
      if (error instanceof UsageError) throw error;
      said = fetchFailure(error);
    }
    if (attempt < attempts) await pause(wait);
  }
  throw new UsageError(`${address} cannot be read: ${said}`);
}

async function bodyOf(response: Response, address: string): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    chunks.push(chunk);
    size += chunk.length;
    if (size > maxFileBytes) throw new UsageError(`${address} is too large`);
  }
  return Buffer.concat(chunks);
}

const pause = (milliseconds: number): Promise<void> => new Promise((done) => setTimeout(done, milliseconds));
