import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, connect as dial, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NewRecord } from '../../src/audit/store.ts';
import type { TestDatabase } from './database.ts';

type InsertAll = (rows: readonly NewRecord[]) => Promise<void>;

/** What happens to a statement: refused by the server, lost on its way there, or done with its acknowledgement lost. */
export type Fault = 'error' | 'lost' | 'kept';

export interface FaultyInsert {
  readonly insertAll: InsertAll;
  /** From now on: `lost` throws instead of inserting, `kept` inserts and then throws, a function decides by itself. */
  set(fault: 'lost' | 'kept' | 'none' | ((rows: readonly NewRecord[], insert: InsertAll) => Promise<void>)): void;
}

/** The recorder's insert with faults to order. */
export function faultyInsert(insert: InsertAll): FaultyInsert {
  let fault: Parameters<FaultyInsert['set']>[0] = 'none';
  const broken = (): Error => Object.assign(new Error('connection lost'), { code: '08006' });
  return {
    set: (next) => {
      fault = next;
    },
    insertAll: async (rows) => {
      if (typeof fault === 'function') return fault(rows, insert);
      if (fault === 'lost') throw broken();
      await insert(rows);
      if (fault === 'kept') throw broken();
    },
  };
}

/**
 * What goes wrong in a write's transaction: statement 1 claims the Idempotency-Key, `commit` is its last one. Or, by a pattern, at any
 * statement that is sent unprepared.
 */
export interface Plan {
  readonly fault: Fault;
  readonly at: number | 'commit' | RegExp;
  /** In so many attempts, one after the other; default 1. */
  readonly times?: number;
}

/** Stands between a hub and PostgreSQL and understands as much of the protocol as it takes to break it at a chosen place. */
export interface PostgresProxy {
  /** The database as reached through the proxy. */
  readonly database: TestDatabase;
  /** Statements of the last write's transaction as sent, COMMIT included. */
  readonly statements: readonly string[];
  /** How often the plan struck. */
  readonly struck: number;
  plan(plan: Plan | undefined): void;
  /** Nothing passes any more, connections stay open: a network that swallows packets. */
  stall(): void;
  /** Every connection breaks, none is made any more. */
  cut(): void;
  /** Undoes `stall` and `cut`. */
  heal(): void;
}

interface Test {
  teardown(clean: () => Promise<void>): void;
}

/** Opens a proxy in front of a database; only this role goes through it. */
export async function postgresProxy(
  t: Test,
  database: TestDatabase,
  role: 'serviceUrl' | 'sequencerUrl' = 'serviceUrl',
): Promise<PostgresProxy> {
  const target = new URL(database[role]).searchParams.get('host') ?? '';
  const folder = await mkdtemp(join(tmpdir(), 'certhub-proxy-'));
  const state: State = { mode: 'open', plan: undefined, left: 0, struck: 0, statements: [], waiting: [] };
  const sockets = new Set<Socket>();
  const server = createServer({ pauseOnConnect: false }, (client) => {
    if (state.mode === 'cut') return void client.destroy();
    const upstream = dial(join(target, '.s.PGSQL.5432'));
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket);
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
    relay(client, upstream, state);
  });
  await new Promise<void>((resolve) => server.listen(join(folder, '.s.PGSQL.5432'), resolve));
  const flow = (): void => {
    for (const resume of state.waiting.splice(0)) resume();
  };
  t.teardown(async () => {
    for (const socket of sockets) socket.destroy();
    flow();
    await new Promise((resolve) => server.close(resolve));
    await rm(folder, { recursive: true, force: true });
  });
  const through = new URL(database[role]);
  through.searchParams.set('host', folder);
  return {
    database: { ...database, [role]: through.href },
    get statements() {
      return state.statements;
    },
    get struck() {
      return state.struck;
    },
    plan: (plan) => {
      state.plan = plan;
      state.left = plan?.times ?? 1;
      state.struck = 0;
    },
    stall: () => {
      state.mode = 'stalled';
    },
    cut: () => {
      state.mode = 'cut';
      for (const socket of sockets) socket.destroy();
      flow();
    },
    heal: () => {
      state.mode = 'open';
      flow();
    },
  };
}

interface State {
  mode: 'open' | 'stalled' | 'cut';
  plan: Plan | undefined;
  left: number;
  struck: number;
  statements: string[];
  /** What a stall holds back. */
  readonly waiting: (() => void)[];
}

/** One message of PostgreSQL's protocol, version 3: a letter, a length that counts itself, the rest. */
interface Message {
  readonly kind: string;
  readonly bytes: Buffer;
}

/** Cuts a stream into messages. The first message of a client, its start-up, has no letter. */
function reader(first: boolean): (chunk: Buffer) => Message[] {
  let rest = Buffer.alloc(0);
  let startUp = first;
  return (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    const messages: Message[] = [];
    for (;;) {
      const head = startUp ? 0 : 1;
      if (rest.length < head + 4) return messages;
      const length = head + rest.readUInt32BE(head);
      if (rest.length < length) return messages;
      messages.push({
        kind: startUp ? 'start-up' : String.fromCharCode(rest[0] ?? 0),
        bytes: rest.subarray(0, length),
      });
      rest = rest.subarray(length);
      startUp = false;
    }
  };
}

/** The SQL of a Query or Parse message. */
function sqlOf({ kind, bytes }: Message): string | undefined {
  if (kind === 'Q') return bytes.toString('utf8', 5, bytes.length - 1);
  if (kind !== 'P') return undefined;
  const start = bytes.indexOf(0, 5) + 1;
  return bytes.toString('utf8', start, bytes.indexOf(0, start));
}

/** A message of the same kind whose statement the server refuses. */
function refusedInPlaceOf({ kind }: Message): Buffer {
  const sql = Buffer.from('select injected_fault\0');
  const body = kind === 'Q' ? sql : Buffer.concat([Buffer.from('\0'), sql, Buffer.from([0, 0])]);
  const head = Buffer.alloc(5);
  head.write(kind);
  head.writeUInt32BE(4 + body.length, 1);
  return Buffer.concat([head, body]);
}

function relay(client: Socket, upstream: Socket, state: State): void {
  const fromClient = reader(true);
  const fromServer = reader(false);
  /** Statements of the open transaction; undefined outside one. */
  let transaction: string[] | undefined;
  let swallow = false;

  const strike = (): Fault | undefined => {
    if (state.left === 0) return undefined;
    state.left -= 1;
    state.struck += 1;
    return state.plan?.fault;
  };
  /** What the plan says about this statement. */
  const judge = (sql: string): Fault | undefined => {
    const at = state.plan?.at;
    if (!(at instanceof RegExp)) return judgeWrite(sql);
    return at.test(sql) ? strike() : undefined;
  };
  const judgeWrite = (sql: string): Fault | undefined => {
    if (/^(begin|start transaction)/i.test(sql)) {
      transaction = [];
      return undefined;
    }
    if (transaction === undefined) return undefined;
    const mine = transaction;
    mine.push(sql);
    const ends = /^(commit|rollback)/i.test(sql);
    if (ends) transaction = undefined;
    const isWrite = mine[0]?.includes('insert into "idempotency_keys"') === true;
    if (!isWrite || /^rollback/i.test(sql)) return undefined;
    state.statements = mine;
    const { plan } = state;
    const due = plan !== undefined && (plan.at === 'commit' ? /^commit/i.test(sql) : plan.at === mine.length);
    return due ? strike() : undefined;
  };
  const sever = (): void => {
    client.destroy();
    upstream.destroy();
  };
  const handle = (message: Message): void => {
    const sql = sqlOf(message);
    const fault = sql === undefined || swallow ? undefined : judge(sql);
    if (fault === 'lost') return sever();
    if (fault === 'kept') swallow = true;
    upstream.write(fault === 'error' ? refusedInPlaceOf(message) : message.bytes);
  };
  const whenFlowing = (run: () => void): void => {
    if (state.mode === 'stalled') state.waiting.push(run);
    else run();
  };
  client.on('data', (chunk) => {
    whenFlowing(() => {
      for (const message of fromClient(chunk)) if (!upstream.destroyed) handle(message);
    });
  });
  upstream.on('data', (chunk) => {
    whenFlowing(() => {
      const messages = fromServer(chunk);
      if (!swallow) {
        if (!client.destroyed) client.write(Buffer.concat(messages.map(({ bytes }) => bytes)));
        return;
      }
      // Done and answered; nobody is told.
      if (messages.some(({ kind }) => kind === 'Z')) sever();
    });
  });
}
