import type { Entry } from '../audit/entry.ts';
import type { Call } from '../ids.ts';
import type { AnyPaperDemand } from './forgetting.ts';
import type { PaperDemandKeys } from './paper-demand-row.ts';
import { partyKeys } from './paper-demand-store.ts';

/**
 * The entry of something that happened to a demand. Of kind `registry`: no certificate left, and what a person may know of a demand the
 * person finds by asking for demands. Auditors find it by everybody concerned.
 */
export function paperDemandEntry(
  keys: Pick<PaperDemandKeys, 'holderKey'>,
  demand: AnyPaperDemand,
  { action, outcome, call, detail, officer }: Pick<Entry, 'action' | 'outcome' | 'detail' | 'officer'> & { call: Call },
): Entry {
  const { caller, requestId, at } = call;
  const { paperDemandId, departmentCode, state } = demand;
  const entry = {
    kind: 'registry',
    action,
    outcome,
    caller: { clientId: caller.clientId, department: caller.department, keyId: caller.keyId },
    ...(officer !== undefined && { officer }),
    requestId,
    at,
  } as const;
  if ('forgottenAt' in demand) return { ...entry, detail: { paperDemandId, departmentCode, state, forgotten: true } };
  const { matterCode, caseNumber, legalBasis } = demand;
  const isPurpose = caseNumber !== undefined && legalBasis !== undefined;
  return {
    ...entry,
    ...(isPurpose && { purpose: { matterCode, caseNumber, legalBasis } }),
    subjects: partyKeys(keys, demand),
    detail: {
      paperDemandId,
      departmentCode,
      state,
      ...(outcome === 'done' && { steps: demand.history.length }),
      ...(!isPurpose && { matterCode, ...(caseNumber !== undefined && { caseNumber }) }),
      ...(detail as object | undefined),
    },
  };
}
