import { isJsonObject, type JsonObject, parseJsonBytesStrictly } from '../verification/encoding.ts';
import { fetchToken } from './access-token.ts';
import { ask } from './audit-log-source.ts';
import { UsageError } from './usage-error.ts';

/** The hub as one of its clients asks it about records. */
export interface AskedHub {
  /** Where it is asked. */
  readonly url: string;
  /** The proof of a record (C2SP tlog-proof), or why there is none. @throws UsageError */
  readonly proofOf: (recordId: string) => Promise<{ readonly proof: string } | 'not_in_log_yet' | 'unknown'>;
  /** The client's own records of a time, in epoch milliseconds, as the hub lists them; unchecked. @throws UsageError */
  readonly records: (range: TimeRange) => AsyncGenerator<JsonObject>;
}

/** From the first time to before the second, in epoch milliseconds. */
export type TimeRange = { readonly from: number | undefined; readonly until: number | undefined };

const pageSize = 1000;

/** The hub at `url`, asked under the name of client `id` with the private JWK in the file `key`. */
export function askedHub(client: { readonly url: string; readonly id: string; readonly key: string }): AskedHub {
  const search = searcher(client);
  return {
    url: client.url,
    proofOf: (recordId) => proofOf(client.url, recordId),
    records: (range) => records(search, client.url, range),
  };
}

async function proofOf(url: string, recordId: string): ReturnType<AskedHub['proofOf']> {
  const { status, body } = await ask(`${url}/log/proof/${recordId}`, {});
  if (status === 404) return codeOf(body) === 'not_in_log_yet' ? 'not_in_log_yet' : 'unknown';
  if (status !== 200) throw new UsageError(`${url} answered status ${status} for the proof of ${recordId}`);
  return { proof: body.toString('utf8') };
}

type Search = (body: JsonObject) => Promise<JsonObject>;

async function* records(search: Search, url: string, { from, until }: TimeRange): AsyncGenerator<JsonObject> {
  const range = {
    ...(from !== undefined && { from: new Date(from).toISOString() }),
    ...(until !== undefined && { until: new Date(until).toISOString() }),
    limit: pageSize,
  };
  const seen = new Set<string>();
  let page = await search(range);
  for (;;) {
    const { items, next } = page;
    if (!Array.isArray(items)) throw new UsageError(`${url} did not answer as a hub does`);
    yield* items.filter(isJsonObject);
    if (next === undefined) return;
    if (typeof next !== 'string') throw new UsageError(`${url} did not answer as a hub does`);
    // pages that come again would be read for ever
    if (seen.has(next)) throw new UsageError(`${url} gives the same page of records again`);
    seen.add(next);
    page = await search({ ...range, after: next });
  }
}

/** Asks for a page of records; a token that has run out is replaced once. */
function searcher({ url, id, key }: Parameters<typeof askedHub>[0]): Search {
  let token: string | undefined;
  const renew = async (): Promise<string> =>
    fetchToken(id, key, url).catch((error: unknown) => {
      throw new UsageError(error instanceof Error ? error.message : 'no token');
    });
  return async (body) => {
    for (let attempt = 1; ; attempt++) {
      token ??= await renew();
      const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
      const init = { method: 'POST', headers, body: JSON.stringify(body) };
      const answer = await ask(`${url}/v1/receipts/searches`, init);
      const parsed = parseJsonBytesStrictly(answer.body);
      if (answer.status === 200 && parsed.ok && isJsonObject(parsed.value)) return parsed.value;
      if (answer.status !== 401 || attempt > 1) {
        throw new UsageError(`${url} refused the list of records: ${codeOf(answer.body) ?? answer.status}`);
      }
      token = undefined;
    }
  };
}

/** The code of a refusal (RFC 9457). */
function codeOf(body: Buffer): string | undefined {
  const parsed = parseJsonBytesStrictly(body);
  const code = parsed.ok && isJsonObject(parsed.value) ? parsed.value['code'] : undefined;
  return typeof code === 'string' ? code : undefined;
}
