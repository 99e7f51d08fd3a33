/** More ways than this to match one text, and a crafted value could hold the process for long. */
export const maxPatternWays = 100_000;

const maxPatternLength = 300;
const maxNesting = 8;

/**
 * An upper bound for the number of ways in which a backtracking matcher can read a text of up to `maxLength` characters with this
 * regular expression, or undefined for one that is not understood or not allowed: it must be anchored (`^…$`) and may use
 * literals, classes, groups, alternatives and quantifiers, but no look-around, back reference or named group.
 */
export function patternWays(pattern: string, maxLength: number): number | undefined {
  if (pattern.length > maxPatternLength || !pattern.startsWith('^') || !/(?:^|[^\\])(?:\\\\)*\$$/.test(pattern)) {
    return undefined;
  }
  try {
    RegExp(pattern, 'u');
  } catch {
    return undefined;
  }
  const reader: Reader = { text: pattern.slice(1, -1), at: 0, maxLength };
  const ways = readAlternatives(reader, 0);
  return reader.at === reader.text.length ? ways : undefined;
}

interface Reader {
  readonly text: string;
  readonly maxLength: number;
  at: number;
}

/** `a|b|c` up to a closing parenthesis or the end. */
function readAlternatives(reader: Reader, depth: number): number | undefined {
  if (depth > maxNesting) return undefined;
  let total = 0;
  let branch = 1;
  for (;;) {
    const character = reader.text[reader.at];
    if (character === undefined || character === ')' || character === '|') {
      total += branch;
      branch = 1;
      if (character !== '|') return total;
      // At the top level `^a|b$` would leave both branches half anchored.
      if (depth === 0) return undefined;
      reader.at++;
      continue;
    }
    const ways = readQuantified(reader, depth);
    if (ways === undefined) return undefined;
    branch = Math.min(branch * ways, Number.MAX_SAFE_INTEGER);
  }
}

function readQuantified(reader: Reader, depth: number): number | undefined {
  const ways = readAtom(reader, depth);
  if (ways === undefined) return undefined;
  const quantifier = /^(?:[*+?]|\{(\d{1,4})(,?)(\d{0,4})\})\??/.exec(reader.text.slice(reader.at, reader.at + 16));
  if (quantifier === null) return ways;
  reader.at += quantifier[0].length;
  const [least, most] = bounds(quantifier, reader.maxLength);
  let total = 0;
  for (let times = least; times <= most && total <= maxPatternWays; times++) total += ways ** times;
  return Math.min(total, Number.MAX_SAFE_INTEGER);
}

function bounds(quantifier: RegExpExecArray, maxLength: number): [number, number] {
  const [sign, from, comma, to] = quantifier;
  if (sign.startsWith('*')) return [0, maxLength];
  if (sign.startsWith('+')) return [1, maxLength];
  if (sign.startsWith('?')) return [0, 1];
  const least = Number(from);
  return [least, comma === '' ? least : to === '' ? Math.max(least, maxLength) : Number(to)];
}

function readAtom(reader: Reader, depth: number): number | undefined {
  const { text } = reader;
  const character = text[reader.at];
  if (character === '(') {
    reader.at++;
    if (text[reader.at] === '?') {
      if (text[reader.at + 1] !== ':') return undefined;
      reader.at += 2;
    }
    const ways = readAlternatives(reader, depth + 1);
    if (ways === undefined || text[reader.at] !== ')') return undefined;
    reader.at++;
    return ways;
  }
  const atom = /^(?:\[\^?(?:\\.|[^\\\]])*\]|\\[pP]\{[A-Za-z_=]+\}|\\[dDwWsS]|\\[^0-9A-Za-z]|[^\\[\](){}*+?|^$])/su.exec(
    text.slice(reader.at),
  );
  if (atom === null) return undefined;
  reader.at += atom[0].length;
  return 1;
}
