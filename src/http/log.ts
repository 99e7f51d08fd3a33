import { type Logger, pino } from 'pino';
import { Refusal } from '../errors.ts';

export interface LogOptions {
  readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';
  /** Takes one finished line with its newline; standard output when absent. */
  readonly write?: (line: string) => void;
}

// An allow-list, because a deny-list misses what nobody thought of (an error's `detail`, a URL, a nested body).
const allowedFields: ReadonlySet<string> = new Set([
  'requestId',
  'operationId',
  'clientId',
  'method',
  'route',
  'status',
  'ms',
  'code',
  'err',
  'part',
  'count',
  'listId',
  'treeSize',
  'recordId',
  'grantId',
  'address',
  'port',
  'version',
  'migration',
  'table',
  'row',
  // By its registered name: its code looks like a sole trader's.
  'department',
  'awaitingOwner',
  'awaitingHub',
  'awaitingOffice',
  'awaitingProvince',
]);

// Digits in ASCII and in full width, as people type them.
const d = '[0-9\\uff10-\\uff19]';
const gap = '[ -]?';
const personal = [
  // ID number (GB 11643), also with gaps between its parts; the old one of 15 digits
  `${d}{6}${gap}${d}{8}${gap}${d}{3}[0-9Xx\\uff10-\\uff19]`,
  `(?<!${d})${d}{15}(?!${d})`,
  // unified social credit code (GB 32100)
  '(?<![0-9A-Za-z])[1-9A-GNY][1-9A-J][0-9]{6}[0-9A-HJ-NPQRTUWXY]{10}(?![0-9A-Za-z])',
  // mobile number
  `(?<!${d})(?:86${gap})?1[3-9]${d}{1}${gap}${d}{4}${gap}${d}{4}(?!${d})`,
].join('|');
// One UUID in 2,600 holds eleven digits like a mobile number's: kept whole, or a log line leads to no record.
const uuid = '(?<![0-9A-Za-z])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![0-9A-Za-z])';
const personalNumbers = new RegExp(`(${uuid})|${personal}`, 'gi');
const personalNumber = new RegExp(personal, 'i');

/** The text with everything that looks like an ID number, a USCC or a mobile number replaced; UUIDs stay. */
export const censor = (text: string): string =>
  text.replace(personalNumbers, (_found, id: string | undefined) => id ?? '[censored]');

/** True when a text holds something that `censor` would replace. */
export const looksPersonal = (text: string): boolean => personalNumber.test(text);

/**
 * The process's logger: JSON lines with allow-listed fields, errors without their messages, and a last filter over
 * the finished line, so that a personal number that got this far all the same does not leave (design, invariant 5).
 */
export function openLog({ level, write }: LogOptions): Logger {
  const sink = write ?? ((line: string) => void process.stdout.write(line));
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      serializers: { err: describeFault },
      formatters: { level: (label) => ({ level: label }), log: pickAllowed },
      hooks: {
        // pino would take an error's message as the line's text.
        logMethod(args, method) {
          const [first, text] = args as [unknown, unknown];
          if (typeof first !== 'object' || first === null) method.apply(this, args);
          else method.apply(this, [first instanceof Error ? { err: first } : first, asText(text)]);
        },
      },
    },
    { write: (line: string) => sink(censor(line)) },
  );
}

const asText = (text: unknown): string => (typeof text === 'string' ? text : 'event');

function pickAllowed(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([name]) => allowedFields.has(name)));
}

/**
 * What a log may say about an error: its kind, its code, where it was thrown, and the same of its causes. Never its
 * message, and nothing of PostgreSQL's `detail`, `where` or parameters, which carry values.
 */
export function describeFault(error: unknown): Record<string, unknown> {
  return describe(error, 4);
}

function describe(error: unknown, levels: number): Record<string, unknown> {
  if (!(error instanceof Error)) return { name: typeof error };
  const { code } = error as { code?: unknown };
  const told: Record<string, unknown> = { name: error.name.slice(0, 60) };
  if (error instanceof Refusal) told['code'] = error.code;
  else if (typeof code === 'string' && /^[A-Z0-9_]{1,60}$/.test(code)) told['code'] = code;
  const frames = (error.stack ?? '').split('\n').filter((line) => /^ {4}at [^ ].*:\d+:\d+\)?$/.test(line));
  if (!(error instanceof Refusal) && frames.length > 0) told['stack'] = frames.slice(0, 12).map((line) => line.trim());
  if (error.cause !== undefined && levels > 1) told['cause'] = describe(error.cause, levels - 1);
  return told;
}
