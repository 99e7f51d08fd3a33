import type { Transaction } from 'kysely';
import type { RecordIn } from '../audit/record.ts';
import type { Database } from '../db/database.ts';
import { bump, hold } from '../db/fresh.ts';
import type { Tables } from '../db/tables.ts';
import type { Write, WriteAnswer } from '../db/write.ts';
import { Refusal } from '../errors.ts';
import { type Call, type GrantId, newId, type Officer } from '../ids.ts';
import {
  type ApplicableType,
  type ApplicationStep,
  approved,
  beginsAt,
  checkScope,
  ended,
  endOf,
  type GrantApplication,
  type GrantScope,
  grantOf,
  judgeDecider,
  maySeeApplication,
  widerPart,
} from './application.ts';
import { type ApplicationStoreDeps, findApplication, lockApplication, updateApplication } from './application-store.ts';
import type { Grant } from './grant.ts';
import { insertGrant, lockGrant } from './store.ts';

export interface DecideDeps extends ApplicationStoreDeps {
  readonly write: Write;
  readonly recordIn: RecordIn;
  readonly db: Pick<Database, 'kysely'>;
  /** Roles of a registered, enabled client; undefined when there is none. */
  readonly rolesOf: (clientId: string) => Promise<readonly string[] | undefined>;
  /** As it is now; within a transaction, as that sees it. */
  readonly findType: (certificateTypeCode: string, trx?: Transaction<Tables>) => Promise<ApplicableType | undefined>;
  /** When a decision that becomes pending at that moment is late. */
  readonly dueAfter: (at: Date) => Date;
}

/** What an official of the owner department, or of the hub, decides. */
export interface ApplicationVerdict {
  readonly applicationId: string;
  readonly decision: 'approve' | 'refuse';
  /** Absent: everything that stands. */
  readonly allowed?: GrantScope;
  readonly reason: string;
  readonly decisionReference: string;
  readonly officer: Officer;
}

/** Whose decision it is. */
export interface DecisionKind {
  readonly operation: 'decideGrantApplication' | 'enterProvinceDecision';
  /** Why this caller may not make it now. */
  readonly judge: (application: GrantApplication, caller: Call['caller']) => Refusal | undefined;
  readonly steps: {
    readonly approve: Extract<ApplicationStep['step'], 'approved' | 'approved_by_province'>;
    readonly refuse: Extract<ApplicationStep['step'], 'refused' | 'refused_by_province'>;
  };
}

const ownDecision: DecisionKind = {
  operation: 'decideGrantApplication',
  judge: judgeDecider,
  steps: { approve: 'approved', refuse: 'refused' },
};

/** What the registry says of the client while the decision is made. */
interface Facts {
  readonly roles: readonly string[] | undefined;
}

/**
 * Decides on an application, or enters what was decided elsewhere; the last approval it needs makes the grant in the same transaction.
 * Of two deciders at once one waits for the other's row and then finds it is not its turn. Refuses `application_unknown`, `application_closed` (context.state: not this
 * caller's turn), `decider_must_differ` (context.rule: same_department, same_client), `decision_wider`, `grant_invalid`, and what is
 * gone since it was applied for: `client_unknown`, `certificate_type_unknown`, `certificate_type_retired`, `field_unknown`.
 */
export async function decideApplication(
  deps: DecideDeps,
  verdict: ApplicationVerdict,
  call: Call & { readonly idempotencyKey: string },
  present: (application: GrantApplication) => WriteAnswer,
  { operation, judge, steps }: DecisionKind = ownDecision,
): Promise<WriteAnswer> {
  const { caller, idempotencyKey, at } = call;
  const { applicationId, decision, reason, decisionReference, officer } = verdict;
  const content = { ...verdict, allowed: JSON.parse(JSON.stringify(verdict.allowed ?? null)) as unknown };
  return deps.write(
    { caller, operation, idempotencyKey, content },
    {
      prepare: () => factsOf(deps, verdict),
      apply: async (trx, facts) => {
        const found = await lockApplication(trx, deps, applicationId);
        if (found === undefined || !maySeeApplication(caller, found)) throw new Refusal('application_unknown');
        const refusal = judge(found, caller);
        if (refusal !== undefined) throw refusal;
        const step = {
          at,
          departmentCode: caller.department,
          clientId: caller.clientId,
          reason,
          decisionReference,
        };
        const decided =
          decision === 'refuse'
            ? ended(found, 'refused', { ...step, step: steps.refuse })
            : await approve({ trx, deps, facts, verdict, found }, { ...step, step: steps.approve });
        await updateApplication(trx, deps, decided);
        await deps.recordIn(trx, {
          kind: 'registry',
          action: operation,
          outcome: 'done',
          caller: { clientId: caller.clientId, department: caller.department, keyId: caller.keyId },
          officer,
          ...(decision === 'approve' && { scope: JSON.parse(JSON.stringify(decided.allowed)) }),
          requestId: call.requestId,
          at,
          detail: {
            applicationId,
            steps: decided.history.length,
            applicant: found.clientId,
            certificateTypeCode: found.certificateTypeCode,
            decision,
            state: decided.state,
            reason,
            decisionReference,
            ...(decided.grantId !== undefined && { grantId: decided.grantId }),
          },
        });
        return present(decided);
      },
    },
  );
}

/** Read before the transaction: an application's client never changes, and whether it still counts is a question of now. */
async function factsOf(deps: DecideDeps, { applicationId, decision, allowed }: ApplicationVerdict): Promise<Facts> {
  if (decision === 'refuse' && allowed !== undefined) {
    throw new Refusal('contract_violation', { pointer: '/allowed', rule: 'refused' });
  }
  const found = await findApplication(deps.db.kysely, deps, applicationId);
  if (found === undefined) throw new Refusal('application_unknown');
  return { roles: await deps.rolesOf(found.clientId) };
}

interface Approval {
  readonly trx: Transaction<Tables>;
  readonly deps: DecideDeps;
  readonly facts: Facts;
  readonly verdict: ApplicationVerdict;
  readonly found: GrantApplication;
}

/** The application after this approval; with the grant on file when it was the last one needed. */
async function approve(
  { trx, deps, facts, verdict, found }: Approval,
  step: ApplicationStep,
): Promise<GrantApplication> {
  const { at } = step;
  const begins = beginsAt(await renewedBy(trx, deps, found), at);
  // From here on no type changes in a way that breaks a grant, so that what is asked now holds when this is committed.
  await hold(trx, 'grants');
  const type = soundType(facts, found, await deps.findType(found.certificateTypeCode, trx));
  const standing = found.allowed ?? found.wanted;
  const allowed = verdict.allowed ?? standing;
  const wider = widerPart(allowed, standing, { begins, at });
  if (wider !== undefined) throw new Refusal('decision_wider', { pointer: `/allowed${wider}` });
  checkScope(allowed, type, { begins, at }, verdict.allowed === undefined ? undefined : '/allowed');
  const next = approved(found, allowed, type, { step, nextDueAt: deps.dueAfter(at) });
  if (next.state !== 'granted') return next;
  const validUntil = endOf(allowed, { begins, at });
  const grant = grantOf(next, allowed, { grantId: newId<GrantId>(), validUntil, begins, at });
  await insertGrant(trx, deps.keys, grant);
  await bump(trx, 'grants');
  return { ...next, grantId: grant.grantId };
}

/** Whether a grant can still be made: the client may use it, and the owner still is who it was. */
function soundType(
  { roles }: Facts,
  { ownerDepartmentCode }: GrantApplication,
  type: ApplicableType | undefined,
): ApplicableType {
  if (roles === undefined) throw new Refusal('client_unknown');
  if (!roles.includes('consumer')) throw new Refusal('grant_invalid', { rule: 'not_a_consumer' });
  if (type === undefined) throw new Refusal('certificate_type_unknown');
  if (type.isRetired === true) throw new Refusal('certificate_type_retired');
  if (type.ownerDepartmentCode !== ownerDepartmentCode) throw new Refusal('grant_invalid', { rule: 'owner_changed' });
  return type;
}

const renewedBy = async (
  trx: Transaction<Tables>,
  { keys }: DecideDeps,
  { renews }: GrantApplication,
): Promise<Grant | undefined> => (renews === undefined ? undefined : lockGrant(trx, keys, renews));
