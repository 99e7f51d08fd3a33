import type { WriteAnswer } from '../db/write.ts';
import type { Call } from '../ids.ts';
import { type GrantApplication, judgeEntry } from './application.ts';
import {
  type ApplicationVerdict,
  type DecideDeps,
  type DecisionKind,
  decideApplication,
} from './decide-application.ts';

const provinceDecision: DecisionKind = {
  operation: 'enterProvinceDecision',
  judge: judgeEntry,
  steps: { approve: 'approved_by_province', refuse: 'refused_by_province' },
};

/**
 * Enters what the province's hub decided on an application that was prepared for it; an approval makes the grant for the copies here,
 * never wider than what was prepared. Refuses as `decideApplication`; `application_closed` unless it is prepared.
 */
export const enterProvinceDecision = (
  deps: DecideDeps,
  verdict: ApplicationVerdict,
  call: Call & { readonly idempotencyKey: string },
  present: (application: GrantApplication) => WriteAnswer,
): Promise<WriteAnswer> => decideApplication(deps, verdict, call, present, provinceDecision);
