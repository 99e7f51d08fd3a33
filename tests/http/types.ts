import type { Handler, Handlers } from '../../src/http/handlers.ts';
import type { Caller } from '../../src/ids.ts';

// Compile-time promises: `tsc -p tests` fails when one of these stops being an error.

declare const others: Omit<Handlers, 'lookUp'>;
// @ts-expect-error a missing handler does not compile
export const incomplete: Handlers = { ...others };

export const live: Handler<'getLiveness'> = async () => ({ status: 200, body: { status: 'ok' } });

// @ts-expect-error a status the contract does not declare
export const wrongStatus: Handler<'getLiveness'> = async () => ({ status: 204, body: { status: 'ok' } });

// @ts-expect-error a missing body
export const noBody: Handler<'getLiveness'> = async () => ({ status: 200 });

export const nobody: Handler<'verify'> = async ({ caller }) => {
  // @ts-expect-error a public operation has no caller
  const who: Caller = caller;
  throw new Error(who.clientId);
};

export const somebody: Handler<'lookUp'> = async ({ caller, body, requestId, receivedAt }) => {
  const who: Caller = caller;
  const matter: string = body.purpose.matterCode;
  throw new Error([who.clientId, matter, requestId, receivedAt.toISOString()].join());
};

export const named: Handler<'pushCertificate'> = async ({ headers }) => {
  const key: string = headers['idempotency-key'];
  throw new Error(key);
};

export const paged: Handler<'listGrants'> = async ({ query }) => {
  const limit: number | undefined = query.limit;
  throw new Error(String(limit));
};

export const text: Handler<'getStatusList'> = async ({ params }) => {
  const id: number = params.listId;
  return { status: 200, body: String(id), contentType: 'application/statuslist+jwt' };
};
