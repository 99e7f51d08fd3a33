import type { ApiClient, Reply } from '../api-client.ts';
import { expectAnswer } from './load.ts';
import { demoClients } from './registry.ts';

/** What to apply for, and as whom. */
export interface GrantWish {
  readonly clientId: string;
  readonly certificateTypeCode: string;
  /** Level, fields, matters, legal bases and limits, as the contract's GrantScope. */
  readonly wanted: object;
  readonly legalGround: string;
  /** The grant that it continues. */
  readonly renews?: string;
}

/** An application that was granted. */
export interface Granted {
  readonly applicationId: string;
  readonly grantId: string;
  /** Clients that approved it, in order. */
  readonly approvedBy: readonly string[];
}

interface Application {
  readonly applicationId: string;
  readonly clientId: string;
  readonly ownerDepartmentCode: string;
  readonly state: string;
  readonly safeguards: string;
  readonly grantId?: string;
  readonly history: readonly { readonly step: string; readonly clientId: string }[];
}

interface Office {
  readonly clientOf: (clientId: string) => ApiClient;
  /** How a request is sent; a story shows it. */
  readonly send?: (client: ApiClient, path: string, body: object) => Promise<Reply>;
}

const path = '/v1/grant-applications';
const decisionReference = '示数授〔2026〕17号';
const safeguards = '仅受理窗口经办人可见,办结后随办件归档,不另行留存';

/** The demo client that decides for a department. */
function deskOf(departmentCode: string): string {
  const desk = demoClients().find(
    ({ department, roles }) => department === departmentCode && roles.includes('grantor'),
  );
  if (desk === undefined) throw new Error(`nobody decides for ${departmentCode}`);
  return desk.clientId;
}

/**
 * Applies for a grant, and has everybody approve it whom its state asks for: the owner of the type, the hub, or both. It is in force
 * then, or from the end of the one it renews.
 */
export async function obtainGrant(
  { clientOf, send = (client, to, body) => client.post(to, body) }: Office,
  { clientId, ...wish }: GrantWish,
): Promise<Granted> {
  const officer = { id: 'it-02', name: '孙接入' };
  let application = await expectAnswer<Application>(
    send(clientOf(clientId), path, { ...wish, safeguards, officer }),
    201,
  );
  const { applicationId, ownerDepartmentCode } = application;
  const deciders: Readonly<Record<string, () => readonly [string, object, string]>> = {
    awaiting_owner: () => [
      deskOf(ownerDepartmentCode),
      { id: 'grants-03', name: '钱授权' },
      '依据充分,字段为办理所必需',
    ],
    awaiting_hub: () => ['hub-admin', { id: 'hub-05', name: '何数据' }, '确有必要'],
  };
  for (let decider = deciders[application.state]; decider !== undefined; decider = deciders[application.state]) {
    const [by, decidedBy, reason] = decider();
    const verdict = { decision: 'approve', reason, decisionReference, officer: decidedBy };
    application = await expectAnswer<Application>(
      send(clientOf(by), `${path}/${applicationId}/decisions`, verdict),
      200,
    );
  }
  const { grantId, history, state } = application;
  if (grantId === undefined) throw new Error(`the application of ${clientId} is ${state}, not granted`);
  const approvedBy = history.filter(({ step }) => step === 'approved').map((step) => step.clientId);
  return { applicationId, grantId, approvedBy };
}

/** Takes back what an earlier telling obtained, or had only applied for when it was stopped: then there is something to apply for. */
export async function giveBackGrants(clientOf: Office['clientOf']): Promise<void> {
  const admin = clientOf('hub-admin');
  const reason = { reason: '演示重新开始' };
  for (const state of ['awaiting_owner', 'awaiting_hub']) {
    const open = await all<Application>(admin, `${path}?state=${state}`);
    for (const { applicationId, clientId } of open.filter((each) => each.safeguards === safeguards)) {
      await expectAnswer(clientOf(clientId).post(`${path}/${applicationId}/withdrawals`, reason), 200);
    }
  }
  const grants = await all<{ grantId: string; state: string; decisionReference: string }>(
    admin,
    '/v1/grants?limit=200',
  );
  const earlier = grants.filter((each) => each.state === 'in_force' && each.decisionReference === decisionReference);
  for (const { grantId } of earlier) await expectAnswer(admin.post(`/v1/grants/${grantId}/revocations`, reason), 200);
}

async function all<T>(client: ApiClient, from: string): Promise<readonly T[]> {
  const items: T[] = [];
  for (let after = ''; ; ) {
    const page = await expectAnswer<{ items: T[]; next?: string }>(client.get(`${from}${after}`), 200);
    items.push(...page.items);
    if (page.next === undefined) return items;
    after = `&after=${encodeURIComponent(page.next)}`;
  }
}
