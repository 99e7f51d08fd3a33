/** Characters that steer a terminal or turn the direction of writing: what a command prints may come from strangers. */
const steering = /[\p{Cc}\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/gu;

/** A line without such characters. */
export const printable = (text: string): string => text.replace(steering, '\ufffd');

/** Lines without such characters, as one text. */
export const printableLines = (lines: readonly string[]): string =>
  lines.map((line) => `${printable(line)}\n`).join('');

/** A document as JSON. Escaped, not replaced: a program reads the same text, a terminal nothing to obey. */
export const printableJson = (document: object): string =>
  `${JSON.stringify(document, null, 2).replace(steering, (character) =>
    character === '\n' ? character : `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )}\n`;
