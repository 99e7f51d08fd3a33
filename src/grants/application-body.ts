import { type GrantApplication, type GrantScope, isOverdue } from './application.ts';

const scopeBody = ({ validUntil, fields, matters, legalBases, ...rest }: GrantScope) => ({
  ...rest,
  fields: [...fields],
  matters: [...matters],
  legalBases: [...legalBases],
  ...(validUntil !== undefined && { validUntil: validUntil.toISOString() }),
});

/** An application as the contract words it, seen at that moment. */
export function applicationBody(application: GrantApplication, at: Date) {
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
