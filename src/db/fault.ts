import { Refusal } from '../errors.ts';

/** What a PostgreSQL or connection error may tell without quoting a row. */
export interface FaultFacts {
  /** SQLSTATE, or a system error code such as ECONNREFUSED; `lost` and `timeout` for the driver's own. */
  readonly code: string;
  readonly table?: string;
  readonly column?: string;
  readonly constraint?: string;
}

/** A database error stripped of everything that may hold a value: message, detail, hint, where, query and parameters. */
export class DatabaseFault extends Error implements FaultFacts {
  override readonly name = 'DatabaseFault';
  readonly code: string;
  declare readonly table?: string;
  declare readonly column?: string;
  declare readonly constraint?: string;
  constructor(facts: FaultFacts) {
    const place = [facts.table, facts.column, facts.constraint].filter((name) => name !== undefined).join(' ');
    super(`database error ${facts.code}${place === '' ? '' : ` (${place})`}`);
    this.code = facts.code;
    Object.assign(this, facts);
  }
}

/** Messages of `pg` and `pg-pool` that carry no code. */
const lostMessages = [
  'Connection terminated',
  'Client has encountered a connection error',
  'Client was closed',
  'Client has already been connected',
  'Cannot use a pool after calling end',
  'This socket has been ended',
  'driver has already been destroyed',
];
const timeoutMessages = [
  'timeout exceeded when trying to connect',
  'timeout expired',
  'Query read timeout',
  'due to connection timeout',
];

/** Where connecting failed or a connection broke. */
const systemCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'EAGAIN',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENETDOWN',
  'ENOTCONN',
  'EADDRNOTAVAIL',
  'ERR_STREAM_DESTROYED',
  'ERR_STREAM_WRITE_AFTER_END',
]);

function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  // Fault, pg error (five characters), system error; several addresses tried give an AggregateError with the first one's code.
  const { code, syscall } = error as { code?: unknown; syscall?: unknown };
  // A socket file that is not there, as against any other file.
  if ((code === 'ENOENT' || code === 'EACCES') && !(error instanceof DatabaseFault))
    return syscall === 'connect' ? 'ECONNREFUSED' : undefined;
  if (typeof code === 'string' && !(error instanceof Refusal)) return code;
  if (timeoutMessages.some((message) => error.message.includes(message))) return 'timeout';
  if (lostMessages.some((message) => error.message.includes(message))) return 'lost';
  return undefined;
}

/** SQLSTATE or system code of a database error, also when it is the cause of a refusal. */
export function faultCode(error: unknown): string | undefined {
  return codeOf(error) ?? (error instanceof Error && error.cause !== undefined ? faultCode(error.cause) : undefined);
}

/** The connection is gone or never was: the statement may or may not have had its effect. */
const isLost = (code: string): boolean =>
  code === 'lost' || systemCodes.has(code) || code.startsWith('08') || /^57P0[1-5]$/.test(code);

/**
 * Whether the database could not do its work (as against: refused a statement by its rules): no connection, shutting down, starting,
 * read-only after a failover (25006), out of connections or disk (class 53), input/output error (58030), statement or lock
 * timeout (57014, 55P03). Callers answer `database_unavailable`.
 */
export function isUnavailable(error: unknown): boolean {
  if (error instanceof Refusal && error.code === 'database_unavailable') return true;
  const code = faultCode(error);
  if (code === undefined) return false;
  return (
    isLost(code) || code === 'timeout' || code.startsWith('53') || ['25006', '57014', '55P03', '58030'].includes(code)
  );
}

/** Whether a transaction may be run again at once: serialisation failure, deadlock, lost connection. */
export function isRetryable(error: unknown): boolean {
  const code = faultCode(error);
  return code !== undefined && (code === '40001' || code === '40P01' || isLost(code));
}

/** Whether the failure lies in the given rows, so that other rows of the same batch may still go in: data and constraint errors. */
export function isDataFault(error: unknown): boolean {
  const code = faultCode(error);
  return code !== undefined && (code.startsWith('22') || code.startsWith('23'));
}

/**
 * The error without data: PostgreSQL puts values into message, detail and where, drivers put parameters beside them.
 * A refusal and an error that is not the database's pass unchanged.
 */
export function withoutData(error: unknown): unknown {
  if (error instanceof Refusal || error instanceof DatabaseFault) return error;
  const code = codeOf(error);
  if (code === undefined || !(error instanceof Error)) return error;
  const { table, column, constraint } = error as Partial<Record<'table' | 'column' | 'constraint', unknown>>;
  const fault = new DatabaseFault({
    code,
    ...(typeof table === 'string' ? { table } : {}),
    ...(typeof column === 'string' ? { column } : {}),
    ...(typeof constraint === 'string' ? { constraint } : {}),
  });
  // Where it happened helps; the first lines of a stack are the message.
  const frames = (error.stack ?? '').split('\n').filter((line) => line.startsWith('    at '));
  fault.stack = [`${fault.name}: ${fault.message}`, ...frames].join('\n');
  return fault;
}

/** What the rest of the hub may see of a database error: `database_unavailable`, or the fault without data. */
export function asSeenOutside(error: unknown): unknown {
  const safe = withoutData(error);
  if (safe instanceof Refusal || !isUnavailable(safe)) return safe;
  return new Refusal('database_unavailable', {}, { cause: safe });
}
