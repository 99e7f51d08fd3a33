import type { Entry } from '../audit/entry.ts';
import type { Call } from '../ids.ts';
import type { PaperDemand } from './paper-demand.ts';
import { type PaperDemandKeys, partyKeys } from './paper-demand-store.ts';

/**
 * The entry of something that happened to a demand. Of kind `registry`: no certificate left, and what a person may know of a demand the
 * person finds by asking for demands. Auditors find it by everybody concerned.
 */
export function paperDemandEntry(
  keys: Pick<PaperDemandKeys, 'holderKey'>,
  demand: PaperDemand,
  { action, outcome, call, detail, officer }: Pick<Entry, 'action' | 'outcome' | 'detail' | 'officer'> & { call: Call },
): Entry {
  const { caller, requestId, at } = call;
  const { paperDemandId, departmentCode, matterCode, caseNumber, legalBasis, state } = demand;
  const isPurpose = caseNumber !== undefined && legalBasis !== undefined;
  return {
    kind: 'registry',
    action,
    outcome,
    caller: { clientId: caller.clientId, department: caller.department, keyId: caller.keyId },
    ...(officer !== undefined && { officer }),
    ...(isPurpose && { purpose: { matterCode, caseNumber, legalBasis } }),
    subjects: partyKeys(keys, demand),
    requestId,
    at,
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
