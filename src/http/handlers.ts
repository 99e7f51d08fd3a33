import type { Caller } from '../ids.ts';
import type { operations } from './contract.gen.ts';

type OperationId = keyof operations;
type Part<O, P extends string> = O extends { parameters: infer A }
  ? P extends keyof A
    ? NonNullable<A[P]>
    : never
  : never;
type Named<T> = [T] extends [never] ? Record<never, never> : T;
type LowerCaseNames<T> = { [K in keyof T as K extends string ? Lowercase<K> : never]: T[K] };
type Content<T> = T extends { content: infer C } ? C[keyof C] : undefined;
type Body<O> = O extends { requestBody: infer B }
  ? Content<B>
  : O extends { requestBody?: infer B }
    ? [NonNullable<B>] extends [never]
      ? undefined
      : Content<NonNullable<B>> | undefined
    : undefined;

/** The operations with `security: []`; a test keeps this list and the contract equal. All others have a caller. */
export type PublicOperation =
  | 'getLiveness'
  | 'getReadiness'
  | 'getAuthorizationServerMetadata'
  | 'getHubKeys'
  | 'issueToken'
  | 'getStatusList'
  | 'verify'
  | 'getTrustBundle'
  | 'getLogCheckpoint'
  | 'getLogTile'
  | 'getLogKey'
  | 'getLogProof';

/** A request that has passed authentication, role and contract; nothing in it is unvalidated. */
export interface CheckedRequest<Op extends OperationId, O = operations[Op]> {
  readonly params: Named<Part<O, 'path'>>;
  readonly query: Named<Part<O, 'query'>>;
  /** The declared headers only, by their names in lower case. */
  readonly headers: LowerCaseNames<Named<Part<O, 'header'>>>;
  readonly body: Body<O>;
  readonly caller: Op extends PublicOperation ? undefined : Caller;
  readonly requestId: string;
  readonly receivedAt: Date;
  /** Address of the peer, or of the client behind a trusted proxy. */
  readonly remoteAddress: string;
}

/** What is no single JSON value may also be made while it is sent, in pieces of text. */
type MediaBody<C, M> = M extends 'application/json' | `${string}+json`
  ? C[M & keyof C]
  : string | Uint8Array | AsyncIterable<string>;
type AnswerWith<S, R> = R extends { content: infer C }
  ? { [M in Exclude<keyof C, 'application/problem+json'>]: AnswerOf<S, MediaBody<C, M>, M> }[Exclude<
      keyof C,
      'application/problem+json'
    >]
  : { readonly status: S; readonly body?: undefined; readonly headers?: AnswerHeaders };
interface AnswerOf<S, B, M> {
  readonly status: S;
  readonly body: B;
  /** Needed only where the contract offers several media types; the first is the default. */
  readonly contentType?: M;
  readonly headers?: AnswerHeaders;
}
/** Header names in lower case. */
export type AnswerHeaders = Readonly<Record<string, string>>;

/** What a handler may answer: a status the contract declares with the body it declares. Failures are thrown. */
export type Answer<O> = O extends { responses: infer R }
  ? { [S in keyof R & number]: AnswerWith<S, R[S]> }[keyof R & number]
  : never;

/** The function behind one operation of the contract. It throws `Refusal` for every answer that is a problem. */
export type Handler<Op extends OperationId> = (request: CheckedRequest<Op>) => Promise<Answer<operations[Op]>>;

/** One handler for each operation: a missing one does not compile. */
export type Handlers = { readonly [Op in OperationId]: Handler<Op> };

/** A handler as the binder sees it; `Handlers` types each by its operation. */
export type BoundHandler = (request: {
  readonly params: Record<string, unknown>;
  readonly query: Record<string, unknown>;
  readonly headers: Record<string, unknown>;
  readonly body: unknown;
  readonly caller: Caller | undefined;
  readonly requestId: string;
  readonly receivedAt: Date;
  readonly remoteAddress: string;
}) => Promise<BoundAnswer>;
interface BoundAnswer {
  readonly status: number;
  readonly body?: unknown;
  readonly contentType?: string;
  readonly headers?: AnswerHeaders;
}
