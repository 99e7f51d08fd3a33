import { type GrantApplication, type GrantScope, isOverdue } from './application.ts';

const scopeBody = ({ validUntil, fields, matters, legalBases, ...rest }: GrantScope) => ({
  ...rest,
  fields: [...fields],
  matters: [...matters],
  legalBases: [...legalBases],
  ...(validUntil !== undefined && { validUntil: validUntil.toISOString() }),
});

/** An application as its form for the province says it, seen at that moment. */
export function formBody(application: GrantApplication, at: Date) {
  const { wanted, allowed, createdAt, dueAt, history, ...rest } = application;
  return {
    ...rest,
    wanted: scopeBody(wanted),
    ...(allowed !== undefined && { allowed: scopeBody(allowed) }),
    createdAt: createdAt.toISOString(),
    dueAt: dueAt.toISOString(),
    overdue: isOverdue(application, at),
    history: history.map((step) => ({ ...step, at: step.at.toISOString() })),
  };
}

/** An application as the contract words it; `deciders`: departments that have somebody who can decide. */
export const applicationBody = (application: GrantApplication, at: Date, deciders: ReadonlySet<string>) => ({
  ...formBody(application, at),
  ownerCanDecide: deciders.has(application.ownerDepartmentCode),
});
