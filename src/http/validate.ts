import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { Refusal } from '../errors.ts';
import { type Contract, isJsonType, type Operation, type Parameter, resolve, type Schema } from './contract.ts';

/** What `checkRequest` is given; `query`, `params` and `headers` as the server read them, in strings. */
export interface UncheckedRequest {
  readonly params: unknown;
  readonly query: unknown;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: unknown;
}

/** What a handler sees. */
export interface CheckedParts {
  readonly params: Record<string, unknown>;
  readonly query: Record<string, unknown>;
  readonly headers: Record<string, unknown>;
  readonly body: unknown;
}

/** The contract of one operation, compiled. */
export interface OperationRules {
  /** @throws Refusal `contract_violation`, `number_for_identifier`, `purpose_missing`, `idempotency_key_missing` */
  readonly checkRequest: (request: UncheckedRequest) => CheckedParts;
  /** Where an answer differs from the contract; undefined when it does not. */
  readonly faultOfAnswer: (status: number, mediaType: string, body: unknown) => string | undefined;
}

const base = 'contract';
const notSchema = ['example', 'externalDocs', 'xml', 'x-identifier'];
const identifierName = /^(number|.+(Number|Identifier|Code))$/;
// What an error may say about a rule: it comes from the contract, never from the caller.
const tellable = ['type', 'pattern', 'limit', 'format', 'missingProperty', 'allowedValues', 'allowedValue'] as const;

/**
 * Compiles the schemas of the contract: nothing is coerced, removed or filled in, and the first fault ends the check.
 * @returns a function that compiles one operation
 */
export function contractRules(contract: Contract): (operation: Operation) => OperationRules {
  const ajv = new Ajv2020({
    coerceTypes: false,
    removeAdditional: false,
    useDefaults: false,
    allErrors: false,
    strict: true,
    strictRequired: false,
    allowUnionTypes: true,
    verbose: true,
    discriminator: true,
  });
  addFormats.default(ajv);
  ajv.addVocabulary(notSchema);
  ajv.addSchema({ $id: base, $defs: rebase(contract.components?.['schemas'] ?? {}) });
  const names = propertyNames(contract);
  const compile = (schema: Schema): ValidateFunction => ajv.compile(rebase(schema) as Schema);

  return (operation) => {
    const checks = {
      params: compileParameters(compile, operation, 'path'),
      query: compileParameters(compile, operation, 'query'),
      headers: compileParameters(compile, operation, 'header'),
    };
    const checkBody = operation.body === undefined ? undefined : compile(operation.body.schema);
    const form = formNames(contract, operation);
    const answers = new Map(
      [...operation.answers].map(([status, content]) => [
        status,
        new Map([...content].map(([type, schema]) => [type, isJsonType(type) ? compile(schema) : undefined])),
      ]),
    );
    return {
      checkRequest: (request) => {
        const params = readParameters(contract, operation, 'path', request.params);
        judge(names, 'path', checks.params, params);
        const query = readParameters(contract, operation, 'query', request.query);
        judge(names, 'query', checks.query, query);
        const headers = readHeaders(operation, request.headers);
        judge(names, 'header', checks.headers, headers);
        const body = form === undefined ? request.body : only(form, request.body);
        if (checkBody !== undefined && body !== undefined) judge(names, 'body', checkBody, body);
        return { params, query, headers, body };
      },
      faultOfAnswer: (status, mediaType, body) => {
        const content = answers.get(status);
        if (content === undefined) return `status ${status} is not declared`;
        if (content.size === 0) return body === undefined ? undefined : `status ${status} has no body`;
        if (!content.has(mediaType)) return `media type is not declared for status ${status}`;
        const check = content.get(mediaType);
        if (check === undefined || check(body) === true) return undefined;
        const error = worst(check.errors ?? []);
        return `${safePointer(names, error?.instancePath ?? '')} breaks ${error?.keyword ?? 'the schema'}`;
      },
    };
  };
}

type Place = 'path' | 'query' | 'header' | 'body';

function compileParameters(
  compile: (schema: Schema) => ValidateFunction,
  operation: Operation,
  where: Parameter['in'],
): ValidateFunction {
  const own = operation.parameters.filter((parameter) => parameter.in === where);
  const nameOf = ({ name }: Parameter): string => (where === 'header' ? name.toLowerCase() : name);
  return compile({
    type: 'object',
    properties: Object.fromEntries(own.map((parameter) => [nameOf(parameter), parameter.schema])),
    required: own.filter(({ required }) => required).map(nameOf),
    additionalProperties: false,
  });
}

/** Strings stay strings, except that a declared integer in canonical decimal form becomes a number. */
function readParameters(
  contract: Contract,
  operation: Operation,
  where: 'path' | 'query',
  given: unknown,
): Record<string, unknown> {
  const values: Record<string, unknown> = { ...(given as Record<string, unknown>) };
  for (const { name, in: place, schema } of operation.parameters) {
    const value = values[name];
    if (place !== where || typeof value !== 'string') continue;
    if (resolve(contract, schema)['type'] === 'integer' && /^(0|-?[1-9][0-9]{0,14})$/.test(value)) {
      values[name] = Number(value);
    }
  }
  return values;
}

function readHeaders(operation: Operation, given: UncheckedRequest['headers']): Record<string, unknown> {
  const headers: Record<string, unknown> = {};
  for (const { name, in: place } of operation.parameters) {
    const value = place === 'header' ? given[name.toLowerCase()] : undefined;
    if (value !== undefined) headers[name.toLowerCase()] = value;
  }
  return headers;
}

/** RFC 6749 section 3.2: unrecognised parameters of a form are ignored, unlike those of a JSON body. */
function formNames(contract: Contract, operation: Operation): readonly string[] | undefined {
  if (operation.body?.mediaType !== 'application/x-www-form-urlencoded') return undefined;
  return Object.keys((resolve(contract, operation.body.schema)['properties'] ?? {}) as object);
}

const only = (names: readonly string[], form: unknown): unknown =>
  Object.fromEntries(Object.entries(form as Record<string, string>).filter(([name]) => names.includes(name)));

function judge(names: ReadonlySet<string>, place: Place, check: ValidateFunction, value: unknown): void {
  if (check(value) === true) return;
  const errors = check.errors ?? [];
  const number = errors.find(isNumberForIdentifier);
  if (number !== undefined) throw new Refusal('number_for_identifier', describe(names, place, number));
  const error = worst(errors);
  if (error === undefined) throw new Refusal('contract_violation', { in: place });
  if (error.keyword === 'required') {
    const missing: unknown = error.params['missingProperty'];
    if (place === 'body' && missing === 'purpose') throw new Refusal('purpose_missing', describe(names, place, error));
    if (place === 'header' && missing === 'idempotency-key') throw new Refusal('idempotency_key_missing');
  }
  throw new Refusal('contract_violation', describe(names, place, error));
}

/** Of the faults that the branches of one `oneOf` report, the one that got furthest says most. */
function worst(errors: readonly ErrorObject[]): ErrorObject | undefined {
  return errors.reduce<ErrorObject | undefined>(
    (best, error) => (best === undefined || depth(error) > depth(best) ? error : best),
    undefined,
  );
}
const depth = (error: ErrorObject): number => error.instancePath.split('/').length;

/** The most dangerous mistake a caller can make: 18 digits as a JSON number are rounded to another person's number. */
function isNumberForIdentifier(error: ErrorObject): boolean {
  if (error.keyword !== 'type' || typeof error.data !== 'number') return false;
  const expected: unknown = error.params['type'];
  if (expected !== 'string' && !(Array.isArray(expected) && expected.includes('string'))) return false;
  const name = error.instancePath.slice(error.instancePath.lastIndexOf('/') + 1);
  return error.parentSchema?.['x-identifier'] === true || identifierName.test(name);
}

/** Place and rule of a fault; values and names chosen by the caller never appear. */
function describe(names: ReadonlySet<string>, place: Place, error: ErrorObject): Record<string, unknown> {
  const told: Record<string, unknown> = {
    in: place,
    pointer: safePointer(names, error.instancePath),
    rule: error.keyword,
  };
  for (const name of tellable) {
    const fact: unknown = error.params[name];
    if (fact !== undefined) told[name] = fact;
  }
  if (error.keyword === 'additionalProperties') {
    told['allowed'] = Object.keys((error.parentSchema?.['properties'] ?? {}) as object);
  }
  return told;
}

/** A JSON pointer (RFC 6901) in which names that the contract does not know become `*`. */
const safePointer = (names: ReadonlySet<string>, pointer: string): string =>
  pointer
    .split('/')
    .map((step) => (step === '' || names.has(step) || /^[0-9]{1,4}$/.test(step) ? step : '*'))
    .join('/');

/** Every property and parameter name that the contract declares. */
function propertyNames(contract: Contract): ReadonlySet<string> {
  const names = new Set<string>();
  const walk = (node: unknown): void => {
    if (typeof node !== 'object' || node === null) return;
    for (const [key, value] of Object.entries(node) as [string, unknown][]) {
      if (key === 'properties' && typeof value === 'object' && value !== null) {
        for (const name of Object.keys(value)) names.add(name);
      }
      if (key === 'name' && typeof value === 'string') names.add(value).add(value.toLowerCase());
      walk(value);
    }
  };
  walk(contract);
  return names;
}

/** A copy whose references point to the schemas as Ajv knows them: the contract itself is no schema. */
function rebase(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(rebase);
  if (typeof node !== 'object' || node === null) return node;
  return Object.fromEntries(
    Object.entries(node).map(([key, value]: [string, unknown]) =>
      key === '$ref' && typeof value === 'string'
        ? [key, value.replace(/^#\/components\/schemas\//, `${base}#/$defs/`)]
        : [key, rebase(value)],
    ),
  );
}
