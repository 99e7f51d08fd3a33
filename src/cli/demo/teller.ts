import type { Writable } from 'node:stream';
import type { ApiClient, Reply } from '../api-client.ts';

/** Tells a story in the terminal: numbered steps, what was sent and what came back. */
export interface Teller {
  step(en: string, zh: string): void;
  line(text: string): void;
  command(text: string): void;
  /** Makes a call and shows it. */
  call(client: ApiClient, method: 'GET' | 'POST', path: string, body?: unknown): Promise<Reply>;
  readonly output: Writable;
}

const maxLines = 28;
const maxText = 88;

/** Long texts (signatures above all) are cut for reading. */
const shortened = (value: unknown): unknown => {
  if (typeof value === 'string')
    return value.length > maxText ? `${value.slice(0, maxText)}… (${value.length} characters)` : value;
  if (Array.isArray(value)) {
    const shown = value.slice(0, 3).map(shortened);
    return value.length > 3 ? [...shown, `… ${value.length - 3} more`] : shown;
  }
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, shortened(member)]));
};

const shown = (value: unknown, mark: string): string => {
  const lines = JSON.stringify(shortened(value), undefined, 2).split('\n');
  const cut =
    lines.length > maxLines ? [...lines.slice(0, maxLines), `… ${lines.length - maxLines} more lines`] : lines;
  return cut.map((line) => `   ${mark} ${line}`).join('\n');
};

export function teller(output: Writable, { color = false }: { readonly color?: boolean } = {}): Teller {
  const bold = (text: string): string => (color ? `\u001b[1m${text}\u001b[0m` : text);
  const dim = (text: string): string => (color ? `\u001b[2m${text}\u001b[0m` : text);
  let steps = 0;
  const line = (text: string): void => void output.write(`${text}\n`);
  return {
    output,
    line,
    step: (en, zh) => {
      steps += 1;
      line(`\n${bold(`${steps}. ${en}`)}\n   ${zh}`);
    },
    command: (text) => line(dim(`   $ ${text}`)),
    call: async (client, method, path, body) => {
      line(dim(`   ${client.clientId} → ${method} ${path}`));
      if (body !== undefined) line(dim(shown(body, '→')));
      const begun = performance.now();
      const reply = method === 'GET' ? await client.get(path) : await client.post(path, body);
      line(`   ← ${reply.status} in ${(performance.now() - begun).toFixed(0)} ms`);
      line(shown(reply.body, '←'));
      return reply;
    },
  };
}
