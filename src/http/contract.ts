/** The parts of an OpenAPI 3.1 document that the server reads. */
export interface Contract {
  readonly paths: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly components?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly [name: string]: unknown;
}

/** A schema as it stands in the contract. */
export type Schema = Readonly<Record<string, unknown>>;

/** A parameter of an operation. */
export interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query' | 'header';
  readonly required: boolean;
  readonly schema: Schema;
}

/** One operation of the contract, references resolved one level deep (schemas keep theirs). */
export interface Operation {
  readonly operationId: string;
  readonly method: string;
  /** Path template with `{name}`. */
  readonly path: string;
  /** False for `security: []`. */
  readonly bearer: boolean;
  /** Roles of `x-roles`; the caller needs one of them. Empty on public operations. */
  readonly roles: readonly string[];
  /** `x-recorded`: refusals before the handler are recorded too. */
  readonly recorded: boolean;
  /** `x-wildcard`: the last parameter of the path takes the rest of it, slashes included. */
  readonly wildcard: boolean;
  /** `x-rate-limited`: the limit per address that applies, if any; `token` where a form is posted, `mirror` to copy the log. */
  readonly rateLimit: RateClass | undefined;
  readonly parameters: readonly Parameter[];
  readonly body: { readonly required: boolean; readonly mediaType: BodyMediaType; readonly schema: Schema } | undefined;
  /** Status → media type → schema; a status without content has no entries. */
  readonly answers: ReadonlyMap<number, ReadonlyMap<string, Schema>>;
}

/** A media type whose body is one JSON value; lines of JSON are text. */
export const isJsonType = (type: string): boolean => /[/+]json$/.test(type);

export type RateClass = 'token' | 'public' | 'mirror';

export type BodyMediaType = 'application/json' | 'application/x-www-form-urlencoded';

const methods = ['get', 'put', 'post', 'delete', 'patch'] as const;
const formMediaType = 'application/x-www-form-urlencoded';
const bodyMediaTypes: readonly string[] = ['application/json', formMediaType];

/**
 * Reads every operation of a parsed OpenAPI document. Default deny: an operation without its own `security`, with an
 * unknown scheme, or with a bearer token but no `x-roles`, is an error, so that the server does not start.
 * @throws Error naming the operation and what is missing
 */
export function operationsOf(contract: Contract): readonly Operation[] {
  const found: Operation[] = [];
  for (const [path, item] of Object.entries(contract.paths)) {
    for (const method of methods) {
      if (item[method] === undefined) continue;
      found.push(readOperation(contract, path, method, record(item[method]), list(item['parameters'])));
    }
  }
  const ids = found.map(({ operationId }) => operationId);
  const twice = ids.find((id, at) => ids.indexOf(id) !== at);
  if (twice !== undefined) throw new Error(`operationId ${twice} stands twice in the contract`);
  return found;
}

function readOperation(
  contract: Contract,
  path: string,
  method: string,
  raw: Schema,
  shared: readonly unknown[],
): Operation {
  const operationId = raw['operationId'];
  if (typeof operationId !== 'string') throw new Error(`${method} ${path} has no operationId`);
  const bearer = readSecurity(contract, operationId, raw['security']);
  const roles = list(raw['x-roles']).map(String);
  const body = readBody(contract, operationId, raw['requestBody']);
  if (bearer && roles.length === 0) throw new Error(`operation ${operationId} has no x-roles`);
  if (!bearer && roles.length > 0) throw new Error(`operation ${operationId} has x-roles but no caller`);
  return {
    operationId,
    method: method.toUpperCase(),
    path,
    bearer,
    roles,
    recorded: raw['x-recorded'] === true,
    wildcard: readWildcard(operationId, path, raw['x-wildcard']),
    rateLimit: readRateLimit(operationId, raw['x-rate-limited'], body),
    parameters: [...shared, ...list(raw['parameters'])].map((node) => readParameter(contract, operationId, node)),
    body,
    answers: readAnswers(contract, record(raw['responses'])),
  };
}

function readWildcard(operationId: string, path: string, wildcard: unknown): boolean {
  if (wildcard !== undefined && !(wildcard === true && /^[^{}]*\/\{[^{}]+\}$/.test(path))) {
    throw new Error(`operation ${operationId} must have one parameter, at the end of its path, to be x-wildcard`);
  }
  return wildcard === true;
}

function readRateLimit(operationId: string, limited: unknown, body: Operation['body']): RateClass | undefined {
  if (limited === undefined || limited === 'mirror') return limited;
  if (limited !== true)
    throw new Error(`operation ${operationId} has an x-rate-limited that this server does not know`);
  return body?.mediaType === formMediaType ? 'token' : 'public';
}

function readSecurity(contract: Contract, operationId: string, security: unknown): boolean {
  if (!Array.isArray(security)) throw new Error(`operation ${operationId} has no security`);
  if (security.length === 0) return false;
  const names = Object.keys(record(security[0]));
  const scheme = contract.components?.['securitySchemes']?.[names[0] ?? ''];
  const { type, scheme: how } = record(scheme ?? {}) as { type?: unknown; scheme?: unknown };
  const known = type === 'oauth2' || (type === 'http' && how === 'bearer');
  if (security.length !== 1 || names.length !== 1 || !known) {
    throw new Error(`operation ${operationId} has a security requirement that this server does not know`);
  }
  return true;
}

function readParameter(contract: Contract, operationId: string, node: unknown): Parameter {
  const raw = resolve(contract, node);
  const { name, in: where } = raw;
  if (typeof name !== 'string' || (where !== 'path' && where !== 'query' && where !== 'header')) {
    throw new Error(`operation ${operationId} has a parameter that this server cannot read`);
  }
  return { name, in: where, required: raw['required'] === true, schema: record(raw['schema']) };
}

function readBody(contract: Contract, operationId: string, node: unknown): Operation['body'] {
  if (node === undefined) return undefined;
  const raw = resolve(contract, node);
  const [[mediaType, media] = [], second] = Object.entries(record(raw['content']));
  if (mediaType === undefined || second !== undefined || !bodyMediaTypes.includes(mediaType)) {
    throw new Error(`operation ${operationId} must take exactly one of ${bodyMediaTypes.join(', ')}`);
  }
  return {
    required: raw['required'] === true,
    mediaType: mediaType as BodyMediaType,
    schema: record(record(media)['schema']),
  };
}

function readAnswers(contract: Contract, responses: Schema): Operation['answers'] {
  const answers = new Map<number, ReadonlyMap<string, Schema>>();
  for (const [status, node] of Object.entries(responses)) {
    // `default` is the problem, which handlers throw and never answer.
    if (status === 'default') continue;
    const content = Object.entries(record(resolve(contract, node)['content'] ?? {}));
    answers.set(Number(status), new Map(content.map(([type, media]) => [type, record(record(media)['schema'] ?? {})])));
  }
  return answers;
}

/** Follows a local `$ref` (`#/components/…`) until something else stands there. */
export function resolve(contract: Contract, node: unknown): Schema {
  let at = record(node);
  while (typeof at['$ref'] === 'string') {
    const reference: string = at['$ref'];
    const steps = reference.replace(/^#\//, '').split('/');
    at = record(steps.reduce<unknown>((inside, step) => record(inside)[unescapeStep(step)], contract));
  }
  return at;
}

const unescapeStep = (step: string): string => decodeURIComponent(step).replaceAll('~1', '/').replaceAll('~0', '~');

function record(node: unknown): Schema {
  if (typeof node !== 'object' || node === null) throw new Error('the contract has a hole where an object belongs');
  return node as Schema;
}

const list = (node: unknown): readonly unknown[] => (Array.isArray(node) ? node : []);
