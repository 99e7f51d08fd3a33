import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { canonicalJson } from '../verification/canonical-json.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../verification/encoding.ts';
import { maxPatternWays, patternWays } from './pattern-cost.ts';

/** Why the schema of a field was refused: where in the schema, and which rule it breaks. */
export interface SchemaFault {
  /** JSON pointer (RFC 6901) within the schema. */
  readonly pointer: string;
  readonly rule: string;
}

/** What is wrong with a value: where, and which keyword of the schema says so. Never the value. */
export interface ValueFault {
  readonly pointer: string;
  readonly rule: string;
}

/** Undefined when the value is as the schema says. */
export type CheckValue = (value: unknown) => ValueFault | undefined;

const maxSchemaBytes = 8_192;
const maxDepth = 5;
const maxString = 2_000;
const maxPatternedString = 500;
const maxItems = 200;
const maxMembers = 50;
const memberName = /^[a-z][A-Za-z0-9]{0,63}$/;

/** Keywords by type. No `$ref`, `$id` or combinators: a schema says one thing and reaches nowhere. */
const common = ['type', 'title', 'description'];
const keywords: Readonly<Record<string, readonly string[]>> = {
  string: [...common, 'enum', 'const', 'minLength', 'maxLength', 'pattern', 'format'],
  number: [...common, 'enum', 'const', 'minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf'],
  integer: [...common, 'enum', 'const', 'minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum'],
  boolean: [...common, 'const'],
  array: [...common, 'items', 'minItems', 'maxItems', 'uniqueItems'],
  object: [...common, 'properties', 'required', 'additionalProperties'],
};
const formats = new Set(['date', 'date-time']);

/**
 * Judges the schema of one field: a closed subset of JSON Schema 2020-12 in which every value has a bounded size and
 * every pattern bounded work.
 */
export function judgeFieldSchema(schema: JsonValue): SchemaFault | undefined {
  const fault = judge(schema, '', 0);
  if (fault !== undefined) return fault;
  if (Buffer.byteLength(canonicalJson(schema)) > maxSchemaBytes) return { pointer: '', rule: 'too_large' };
  try {
    compileFieldSchema(schema as JsonObject);
    return undefined;
  } catch {
    return { pointer: '', rule: 'not_a_schema' };
  }
}

function judge(schema: JsonValue | undefined, pointer: string, depth: number): SchemaFault | undefined {
  const fault = (rule: string, at = ''): SchemaFault => ({ pointer: `${pointer}${at}`, rule });
  if (!isJsonObject(schema)) return fault('not_an_object');
  if (depth > maxDepth) return fault('too_deep');
  const type = schema['type'];
  const allowed = typeof type === 'string' && Object.hasOwn(keywords, type) ? keywords[type] : undefined;
  if (allowed === undefined) return fault('type');
  if (!Object.keys(schema).every((keyword) => allowed.includes(keyword))) return fault('keyword_not_allowed');
  if (type === 'string') return judgeString(schema, fault);
  if (type === 'array') return judgeArray(schema, pointer, depth, fault);
  if (type === 'object') return judgeObject(schema, pointer, depth, fault);
  if (type === 'boolean') return undefined;
  return judgeNumber(schema, fault);
}

type Fault = (rule: string, at?: string) => SchemaFault;

function judgeString(schema: JsonObject, fault: Fault): SchemaFault | undefined {
  const { maxLength, format } = schema;
  if (format !== undefined && !(typeof format === 'string' && formats.has(format))) return fault('format', '/format');
  if (maxLength !== undefined && !isWithin(maxLength, maxString)) return fault('limit', '/maxLength');
  const isBounded = ['maxLength', 'format', 'enum', 'const'].some((keyword) => Object.hasOwn(schema, keyword));
  return isBounded ? judgePattern(schema, fault) : fault('max_length_missing');
}

function judgePattern({ maxLength, pattern }: JsonObject, fault: Fault): SchemaFault | undefined {
  if (pattern === undefined) return undefined;
  if (typeof pattern !== 'string') return fault('pattern', '/pattern');
  if (!isWithin(maxLength, maxPatternedString)) return fault('max_length_for_pattern', '/maxLength');
  const ways = patternWays(pattern, maxLength);
  return ways === undefined || ways > maxPatternWays ? fault('pattern', '/pattern') : undefined;
}

function judgeNumber(schema: JsonObject, fault: Fault): SchemaFault | undefined {
  for (const [keyword, value] of Object.entries(schema)) {
    for (const bound of Array.isArray(value) ? value : [value]) {
      if (typeof bound === 'number' && Math.abs(bound) > Number.MAX_SAFE_INTEGER) return fault('limit', `/${keyword}`);
    }
  }
  return undefined;
}

function judgeArray(schema: JsonObject, pointer: string, depth: number, fault: Fault): SchemaFault | undefined {
  if (!isWithin(schema['maxItems'], maxItems)) return fault('limit', '/maxItems');
  return judge(schema['items'], `${pointer}/items`, depth + 1);
}

function judgeObject(schema: JsonObject, pointer: string, depth: number, fault: Fault): SchemaFault | undefined {
  const { properties, additionalProperties } = schema;
  if (additionalProperties !== false) return fault('additional_properties', '/additionalProperties');
  if (!isJsonObject(properties)) return fault('properties', '/properties');
  const names = Object.keys(properties);
  if (names.length > maxMembers || !names.every((name) => memberName.test(name))) return fault('name', '/properties');
  for (const name of names) {
    const found = judge(properties[name], `${pointer}/properties/${name}`, depth + 1);
    if (found !== undefined) return found;
  }
  return undefined;
}

const isWithin = (value: JsonValue | undefined, limit: number): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= limit;

/**
 * What a judged schema says of JSON types and formats alone, at every depth: a value without them was never one of the field. Limits,
 * patterns and lists of values change from version to version.
 */
export function shapeOf({ type, format, items, properties }: JsonObject): JsonObject {
  const inner = isJsonObject(properties) ? Object.entries(properties) : [];
  return {
    ...(type !== undefined && { type }),
    ...(format !== undefined && { format }),
    ...(isJsonObject(items) && { items: shapeOf(items) }),
    ...(inner.length > 0 && {
      properties: Object.fromEntries(
        inner.flatMap(([name, each]) => (isJsonObject(each) ? [[name, shapeOf(each)]] : [])),
      ),
    }),
  };
}

/** Compiled schemas by their canonical text, the one used last at the end: judging a matter asks for the same ones again and again. */
const compiled = new Map<string, CheckValue>();
const maxCompiled = 512;

/**
 * Compiles a judged schema (Ajv, 2020-12, strict): nothing is coerced, filled in or removed, the first fault ends the check.
 * @throws Error for what is no JSON Schema.
 */
export function compileFieldSchema(schema: JsonObject): CheckValue {
  const text = canonicalJson(schema);
  const check = compiled.get(text) ?? compile(schema);
  compiled.delete(text);
  compiled.set(text, check);
  for (const [oldest] of compiled) {
    if (compiled.size <= maxCompiled) break;
    compiled.delete(oldest);
  }
  return check;
}

function compile(schema: JsonObject): CheckValue {
  const ajv = new Ajv2020({ strict: true, allErrors: false, ownProperties: true, addUsedSchema: false, logger: false });
  addFormats.default(ajv, ['date', 'date-time']);
  const validate: ValidateFunction = ajv.compile(schema);
  return (value) => {
    if (validate(value) === true) return undefined;
    const [error] = validate.errors ?? [];
    return { pointer: error?.instancePath ?? '', rule: error?.keyword ?? 'schema' };
  };
}
