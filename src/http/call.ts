import type { RefusalCode } from '../errors.ts';
import type { Caller } from '../ids.ts';
import type { Operation } from './contract.ts';

/** What the server knows of a request from its first header on. */
export interface OpenCall {
  readonly requestId: string;
  readonly receivedAt: Date;
  caller: Caller | undefined;
  /** Code of the problem that was answered, for the log line. */
  code: RefusalCode | undefined;
}

declare module 'fastify' {
  interface FastifyRequest {
    call: OpenCall;
  }
  interface FastifyContextConfig {
    operation?: Operation;
  }
}

/** A call about which only its id and its time are known. */
export const openCall = (requestId: string, receivedAt: Date): OpenCall => ({
  requestId,
  receivedAt,
  caller: undefined,
  code: undefined,
});
