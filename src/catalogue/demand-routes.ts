import type { Handlers } from '../http/handlers.ts';
import { answerSupplyGap, assignDemand, withdrawDemand } from './change-demand.ts';
import { declareDemand, type WriteDemandDeps } from './declare-demand.ts';
import { type DemandStep, formerPromise, type JudgedDemand } from './demand.ts';
import { listDemands, listSupplyGaps, type ReadDemandsDeps, readDemand } from './read-demands.ts';
import type { ShownDemand } from './shown-demand.ts';

/** What the routes of demands need. */
export type DemandRouteDeps = WriteDemandDeps & ReadDemandsDeps;

type Body = Awaited<ReturnType<Handlers['getDemand']>>['body'];
type GapBody = Awaited<ReturnType<Handlers['listSupplyGaps']>>['body']['items'][number];

const answerBody = ({ answer = 'refused', by, reason = '', at }: DemandStep, replaces: DemandStep | undefined) => ({
  answer,
  ...(by !== undefined && { by }),
  reason,
  at: at.toISOString(),
  ...(replaces?.by !== undefined && { replaces: { by: replaces.by, at: replaces.at.toISOString() } }),
});

function judgedBody({ demand, match, state, responsible }: JudgedDemand): Omit<Body, 'candidates' | 'overdue'> {
  const { createdAt, dueAt, history, fields, issuerDepartmentCode: _now, matters, ...rest } = demand;
  const { type, by } = match;
  return {
    ...rest,
    state,
    ...(type !== undefined && {
      certificateTypeCode: type.certificateTypeCode,
      ownerDepartmentCode: type.ownerDepartmentCode,
    }),
    ...(by !== undefined && { matchedBy: by }),
    fields: fields.map((item, index) => {
      const matchedField = match.fields[index];
      return { ...item, ...(matchedField !== undefined && { matchedField }) };
    }),
    matters: [...matters],
    ...(responsible !== undefined && { issuerDepartmentCode: responsible }),
    ...(createdAt !== undefined && { createdAt: createdAt.toISOString() }),
    ...(dueAt !== undefined && { dueAt: dueAt.toISOString() }),
    history: history.map((step) => ({ ...step, at: step.at.toISOString() })),
  };
}

function shownBody({ judged, candidates, isOverdue, answer, replaces, permission, apply }: ShownDemand): Body {
  return {
    ...judgedBody(judged),
    candidates: candidates.map((each) => ({ ...each })),
    overdue: isOverdue,
    ...(answer !== undefined && { answer: answerBody(answer, replaces) }),
    ...(permission !== undefined && {
      permission: {
        state: permission.state,
        grantIds: [...permission.grantIds],
        ...(permission.validUntil !== undefined && { validUntil: permission.validUntil.toISOString() }),
        ...(permission.applicationId !== undefined && { applicationId: permission.applicationId }),
        fieldsLacking: [...permission.fieldsLacking],
      },
    }),
    ...(apply !== undefined && { apply }),
  };
}

type Shown = Awaited<ReturnType<typeof listSupplyGaps>>['items'][number];

function gapBody({ gap, candidates }: Shown): GapBody {
  const { responsible, isOverdue, wantedBy, ...rest } = gap;
  return {
    ...rest,
    ...(responsible !== undefined && { issuerDepartmentCode: responsible }),
    overdue: isOverdue,
    candidates: candidates.map((each) => ({ ...each })),
    wantedBy: wantedBy.map(({ judged: { demand }, answer }) => {
      const { demandId, origin, departmentCode, matters, legalGround, expectedPerDay, createdAt } = demand;
      return {
        demandId,
        origin,
        departmentCode,
        matters: [...matters],
        ...(legalGround !== undefined && { legalGround }),
        ...(expectedPerDay !== undefined && { expectedPerDay }),
        ...(createdAt !== undefined && { createdAt: createdAt.toISOString() }),
        ...(answer !== undefined && { answer: answerBody(answer, formerPromise(demand)) }),
      };
    }),
  };
}

/** As it stands in the database: a UUID may be written in capitals. That of a matter's demand holds codes, which stay as they are. */
const idOf = ({ demandId }: { readonly demandId: string }): string =>
  demandId.startsWith('matter:') ? demandId : demandId.toLowerCase();

type DemandOperation =
  | 'listDemands'
  | 'declareDemand'
  | 'getDemand'
  | 'withdrawDemand'
  | 'assignDemand'
  | 'answerSupplyGap'
  | 'listSupplyGaps';

type Written = Pick<Parameters<Handlers['withdrawDemand']>[0], 'headers' | 'caller' | 'requestId' | 'receivedAt'>;
const callOf = ({ headers, caller, requestId, receivedAt }: Written) => ({
  caller,
  requestId,
  at: receivedAt,
  idempotencyKey: headers['idempotency-key'],
});
const written = (shown: ShownDemand) => ({ status: 200, body: shownBody(shown) });

/** Contract ↔ domain for demands and supply gaps. */
export function demandHandlers(deps: DemandRouteDeps): Pick<Handlers, DemandOperation> {
  return {
    listDemands: async ({ query, caller, receivedAt }) => {
      const { items, next } = await listDemands(deps, query, { caller, at: receivedAt });
      return { status: 200, body: { items: items.map(shownBody), ...(next !== undefined && { next }) } };
    },
    getDemand: async ({ params, caller, receivedAt }) => ({
      status: 200,
      body: shownBody(await readDemand(deps, idOf(params), { caller, at: receivedAt })),
    }),
    declareDemand: async (request) => {
      const answer = await declareDemand(deps, request.body, callOf(request), (shown) => ({
        status: 201,
        body: shownBody(shown),
      }));
      return { status: 201, body: answer.body as Body };
    },
    withdrawDemand: async (request) => {
      const input = { ...request.body, demandId: idOf(request.params) };
      return { status: 200, body: (await withdrawDemand(deps, input, callOf(request), written)).body as Body };
    },
    assignDemand: async (request) => {
      const input = { ...request.body, demandId: idOf(request.params) };
      return { status: 200, body: (await assignDemand(deps, input, callOf(request), written)).body as Body };
    },
    answerSupplyGap: async (request) => {
      const input = { ...request.body, demandId: idOf(request.params) };
      return { status: 200, body: (await answerSupplyGap(deps, input, callOf(request), written)).body as Body };
    },
    listSupplyGaps: async ({ query, caller, receivedAt }) => {
      const { items, next } = await listSupplyGaps(deps, query, { caller, at: receivedAt });
      return { status: 200, body: { items: items.map(gapBody), ...(next !== undefined && { next }) } };
    },
  };
}
