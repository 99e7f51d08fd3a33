import type { Entry } from '../../src/audit/entry.ts';
import type { ErasureTarget } from '../../src/audit/erasure/erasure.ts';
import type { ClientId, DepartmentCode } from '../../src/ids.ts';

type StepEntry = Partial<Entry> & Pick<Entry, 'kind' | 'action' | 'outcome' | 'detail'>;

/**
 * What is recorded of an erasure: proposed, approved twice by the rules, executed. `leafIndex`: where the log has the record that it is
 * of. Without the register, which proves nothing: for tests of who believes these records.
 */
export function erasureEntries(
  erasureId: string,
  target: ErasureTarget,
  leafIndex?: number,
): readonly [proposed: StepEntry, approved: StepEntry, approvedAgain: StepEntry, executed: StepEntry] {
  const step = (name: string, action: string, more: object = {}): StepEntry => ({
    kind: 'erasure',
    action,
    outcome: 'done',
    subjects: [],
    detail: { erasureId, step: name, target, ...more },
  });
  const by = (id: string, department: string): Partial<Entry> => ({
    caller: { clientId: `client-${id}` as ClientId, department: department as DepartmentCode, keyId: 'k1' },
    officer: { id: `officer-${id}`, name: '审计员' },
  });
  const approver = { roles: ['auditor'], registeredAt: '2020-01-01T00:00:00.000Z' };
  return [
    { ...step('proposed', 'proposeErasure'), ...by('a', '11999900100000112K') },
    { ...step('approved', 'approveErasure', { approver }), ...by('b', '11999900100000016A') },
    { ...step('approved', 'approveErasure', { approver }), ...by('c', '11999900100000075D') },
    step('executed', 'executeErasure', leafIndex === undefined ? {} : { leafIndex }),
  ];
}
