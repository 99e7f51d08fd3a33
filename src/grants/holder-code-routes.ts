import type { Handlers } from '../http/handlers.ts';
import { type IssueHolderCodeDeps, issueHolderCode } from './issue-holder-code.ts';
import { revokeHolderCode } from './revoke-holder-code.ts';

type Operation = 'issueHolderCode' | 'revokeHolderCode';
type Body<Of extends Operation> = Awaited<ReturnType<Handlers[Of]>>['body'];

/** Contract ↔ domain for holders' one-time codes. */
export const holderCodeHandlers = (deps: IssueHolderCodeDeps): Pick<Handlers, Operation> => ({
  issueHolderCode: async ({ body, headers, caller, requestId, receivedAt }) => {
    const call = { caller, requestId, at: receivedAt, idempotencyKey: headers['idempotency-key'] };
    const answer = await issueHolderCode(deps, body, call);
    return { status: 201, body: answer.body as Body<'issueHolderCode'> };
  },
  revokeHolderCode: async ({ params, body, headers, caller, requestId, receivedAt }) => {
    const call = { caller, requestId, at: receivedAt, idempotencyKey: headers['idempotency-key'] };
    const answer = await revokeHolderCode(deps, { ...body, codeId: params.codeId.toLowerCase() }, call);
    return { status: 200, body: answer.body as Body<'revokeHolderCode'> };
  },
});
