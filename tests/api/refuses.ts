import { randomUUID } from 'node:crypto';
import type { Test } from 'tap';
import { type OperationId, pathOf, type Sample, textOf } from './samples.ts';
import {
  changedTables,
  clientOfRole,
  contract,
  faultOfProblem,
  type Got,
  operationOf,
  type Problem,
  type Snapshot,
  send,
  type World,
} from './world.ts';

/** A request that must be refused: a sample with something wrong. */
export interface Bad extends Sample {
  readonly operationId: OperationId;
  /** The text of the body instead of `body`. */
  readonly text?: string | Uint8Array;
  readonly chunked?: boolean;
  /** Whose token goes along; the demo client of the operation's first role when absent, none when null. */
  readonly as?: string | null;
  /** Added to, or instead of, the usual ones; undefined takes one out. */
  readonly headers?: Readonly<Record<string, string | readonly string[] | undefined>> | undefined;
  /** Instead of the operation's own. */
  readonly method?: string;
  readonly path?: string;
}

/** Status, code and JSON pointer; no pointer must be told when there is none here. */
export type Expected = readonly [status: number, code: string, pointer?: string];

export type Refuses = (t: Test, what: string, bad: Bad, expected: Expected) => Promise<Problem>;

/** Words of JSON Schema and of the contract, which a refusal may say although the caller said them too. */
const vocabulary = new Set<string>(['string', 'number', 'integer', 'boolean', 'object', 'array']);
const collect = (node: unknown): void => {
  if (typeof node !== 'object' || node === null) return;
  for (const [key, value] of Object.entries(node) as [string, unknown][]) {
    vocabulary.add(key);
    if (key === 'enum' && Array.isArray(value)) for (const word of value) vocabulary.add(String(word));
    if (key === 'name' && typeof value === 'string') vocabulary.add(value);
    collect(value);
  }
};
collect(contract);

function* leaves(node: unknown): Generator<string> {
  if (typeof node === 'string' || typeof node === 'number') yield String(node);
  else if (typeof node === 'object' && node !== null) for (const value of Object.values(node)) yield* leaves(value);
}

/** Refusals that the use case records although the contract leaves its operation out. */
const recordedAlways: ReadonlySet<string> = new Set(['invalid_client', 'unsupported_grant_type']);

/** What nobody may find in a problem or a log line. */
export const canary = /canary|金丝雀|990000\d{4}|91999900/i;

/** Values of the request that the answer repeats. */
function echoesOf({ body, params, query }: Bad, { text }: Got): string[] {
  const given = [...leaves(body), ...leaves(params), ...(query === undefined ? [] : [query])];
  const echoed = given.filter((value) => value.length >= 5 && !vocabulary.has(value) && text.includes(value));
  return canary.test(text) ? [...echoed, 'canary'] : echoed;
}

/** One exchange as the operation wants it, but for what the bad request says. */
export async function exchange(world: World, bad: Bad): Promise<Got> {
  const operation = operationOf(bad.operationId);
  const [role] = operation.roles;
  const as = bad.as === undefined ? clientOfRole[role as keyof typeof clientOfRole] : bad.as;
  const body = bad.text ?? (bad.body === undefined ? undefined : textOf(bad.operationId, bad.body));
  const usual: Record<string, string | readonly string[] | undefined> = {
    ...(operation.bearer && as !== null && { authorization: `Bearer ${await world.client(as).token()}` }),
    ...(operation.parameters.some(({ in: place }) => place === 'header') && { 'idempotency-key': randomUUID() }),
    ...(operation.body !== undefined && { 'content-type': operation.body.mediaType }),
    ...bad.headers,
  };
  const headers = Object.fromEntries(Object.entries(usual).filter(([, value]) => value !== undefined)) as Record<
    string,
    string | readonly string[]
  >;
  return send(world.hub.url, {
    method: bad.method ?? operation.method,
    path: bad.path ?? pathOf(bad.operationId, bad),
    headers,
    ...(body !== undefined && { body }),
    ...(bad.chunked === true && { chunked: true }),
  });
}

/** What the answer and the database tell of a refusal, in a form to compare. */
function verdictOf(bad: Bad, got: Got, [before, after]: readonly [Snapshot, Snapshot]) {
  const operation = operationOf(bad.operationId);
  const isForm = isReached(bad) && operation.body?.mediaType.endsWith('urlencoded') === true;
  const { code, context } = got.json as Problem;
  const pointer = context?.['pointer'];
  const { action, outcome, code: recorded } = after.lastRecord ?? {};
  return {
    told: [got.status, code, ...(typeof pointer === 'string' ? [pointer] : [])],
    form: faultOfProblem(got, isForm ? 'application/json' : undefined),
    echoes: echoesOf(bad, got),
    changed: changedTables(before, after),
    records: after.records === before.records ? [] : [after.records - before.records, action, outcome, recorded],
  };
}

/** False for a request that no operation is asked by: another method, another address. */
const isReached = (bad: Bad): boolean => bad.method === undefined && bad.path === undefined;

/**
 * Makes the check for one bad request after the other: the answer is the expected problem in full form, repeats no value, nothing
 * in the database changed (idempotency keys included), and on a recorded operation there is exactly one record more, of this refusal.
 */
export async function refusing(world: World): Promise<Refuses> {
  let before: Snapshot = await world.snapshot();
  return async (t, what, bad, expected) => {
    const [, code] = expected;
    const isRecorded = isReached(bad) && (operationOf(bad.operationId).recorded || recordedAlways.has(code));
    const got = await exchange(world, bad);
    const after = await world.snapshot();
    t.strictSame(
      verdictOf(bad, got, [before, after]),
      {
        told: [...expected],
        form: [],
        echoes: [],
        changed: [],
        records: isRecorded ? [1, bad.operationId, 'refused', code] : [],
      },
      `${bad.operationId}: ${what}: ${code}`,
    );
    before = after;
    return got.json as Problem;
  };
}

/** No line of the hub's log holds what was planted in requests. */
export const logsAreClean = (t: Test, { hub }: World): void => {
  t.strictSame(
    hub.logLines.filter((line) => canary.test(line)),
    [],
    'invariant 5: the log repeats nothing',
  );
};
