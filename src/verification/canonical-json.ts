import { hasLoneSurrogate } from './encoding.ts';

/** Deeper values than this are refused, which also ends cycles. */
const maxDepth = 64;

/**
 * The canonical text of a value (RFC 8785, JCS): no white space, names in UTF-16 order, numbers as ECMAScript
 * prints them. Members that are `undefined` are refused like every other value JSON cannot carry.
 * @throws TypeError for undefined, NaN, infinities, bigint, functions, class instances, lone surrogates, cycles.
 */
export function canonicalJson(value: unknown): string {
  return write(value, 0);
}

function write(value: unknown, depth: number): string {
  switch (typeof value) {
    case 'string':
      return writeText(value);
    case 'number':
      if (!Number.isFinite(value)) throw new TypeError('a number without JSON form');
      return JSON.stringify(value);
    case 'boolean':
      return value ? 'true' : 'false';
    case 'object':
      if (value === null) return 'null';
      if (depth >= maxDepth) throw new TypeError('nested too deeply for canonical JSON');
      return Array.isArray(value) ? writeArray(value, depth) : writeObject(value, depth);
    default:
      throw new TypeError(`a value of type ${typeof value} has no JSON form`);
  }
}

function writeText(text: string): string {
  if (hasLoneSurrogate(text)) throw new TypeError('a lone surrogate has no UTF-8 form');
  return JSON.stringify(text);
}

function writeArray(values: readonly unknown[], depth: number): string {
  let text = '[';
  // by index: a hole in the array must be seen as undefined and refused
  for (let index = 0; index < values.length; index++) {
    text += (index === 0 ? '' : ',') + write(values[index], depth + 1);
  }
  return `${text}]`;
}

function writeObject(value: object, depth: number): string {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null)
    throw new TypeError('only plain objects have a canonical form');
  const members = value as Record<string, unknown>;
  // the default sort compares UTF-16 code units, as RFC 8785, section 3.2.3 asks
  const names = Object.keys(members).sort();
  let text = '{';
  for (const name of names) {
    text += `${text.length === 1 ? '' : ','}${writeText(name)}:${write(members[name], depth + 1)}`;
  }
  return `${text}}`;
}
