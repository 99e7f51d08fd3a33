/** Spreadsheets read a cell that begins like this as a formula, in Chinese and Japanese settings also in its full-width form. */
const formula = /^[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/;

/** Byte order mark: without it spreadsheets take UTF-8 for the code page of the machine. */
export const csvStart = '\ufeff';

/**
 * One line of CSV (RFC 4180: every cell in quotes, quotes doubled, CRLF). A cell that a spreadsheet would take for a formula gets an
 * apostrophe before it: nothing that a caller wrote into a record is ever run on the auditor's machine.
 */
export const csvLine = (cells: readonly string[]): string => `${cells.map(csvCell).join(',')}\r\n`;

const csvCell = (text: string): string => `"${(formula.test(text) ? `'${text}` : text).replaceAll('"', '""')}"`;
