import type { Receipt, Recorder } from '../audit/record.ts';
import type { ReportNames } from '../audit/report/access-item.ts';
import {
  type CertificateVersion,
  checkedIdentifier,
  ownIdentifier,
  readVersion,
} from '../certificates/certificate-version.ts';
import { Refusal } from '../errors.ts';
import type { Call, Caller } from '../ids.ts';
import type { ParsedCertificateIdentifier } from '../verification/identifiers.ts';
import { type AnsweredDeps, type AnsweredLookup, answeredLookups } from './answered-lookups.ts';
import type { FeedbackKeys } from './feedback-row.ts';

export interface PastUsersDeps extends AnsweredDeps {
  readonly keys: AnsweredDeps['keys'] & FeedbackKeys;
  readonly record: Recorder;
  readonly names: () => Promise<Pick<ReportNames, 'department' | 'system'>>;
}

export interface PastUsersQuery {
  readonly certificateIdentifier: string;
  /** Half-open range of the time of the answers. */
  readonly from?: Date;
  readonly until?: Date;
  readonly after?: string;
  readonly limit?: number;
}

/** A system that was answered with the certificate for a matter. Its own records say for which cases. */
export interface PastUser {
  readonly departmentCode: string;
  readonly clientId: string;
  readonly matterCode: string;
  readonly uses: number;
  readonly firstAt: Date;
  readonly lastAt: Date;
}
type Named = { readonly zh: string; readonly en: string } | undefined;

export interface PastUsersPage {
  readonly status: WithdrawnState;
  readonly items: readonly (PastUser & { readonly departmentName: Named; readonly systemName: Named })[];
  readonly erased: number;
  readonly tampered: number;
  readonly next?: string;
  readonly receipt: Receipt;
}

const withdrawn = ['suspended', 'revoked', 'superseded'] as const;
export type WithdrawnState = (typeof withdrawn)[number];

/** The state of a certificate that its past users should know of; undefined for every other. */
export const withdrawnState = (state: CertificateVersion['state']): WithdrawnState | undefined =>
  withdrawn.find((each) => each === state);

/**
 * Who was answered with a version of a certificate that is withdrawn by now, so that they can be told: for the department that issued
 * it and for auditors. Lookups under secrecy are left out until their release. Recorded before it is returned (invariant 1).
 * @throws Refusal `invalid_certificate_identifier`, `wrong_department`, `certificate_unknown`, `certificate_in_force`, `wrong_state`,
 *   `range_invalid`, `contract_violation`, `search_too_broad`, `stored_data_tampered`, `record_unavailable`
 */
export async function listPastUsers(deps: PastUsersDeps, query: PastUsersQuery, call: Call): Promise<PastUsersPage> {
  const { limit = 50 } = query;
  const identifier = identifierFor(call.caller, query.certificateIdentifier);
  const span = spanOf(query);
  const after = readCursor(query.after);
  const { rows, state } = await readVersion(deps.db.kysely, deps.keys.box, identifier);
  const status = withdrawnState(state);
  if (status === undefined) {
    throw state === 'valid' ? new Refusal('certificate_in_force') : new Refusal('wrong_state', { state });
  }
  const asked = { ...span, certificateIdentifier: identifier.identifier, releasedAt: call.at };
  const { lookups, erased, tampered } = await answeredLookups(deps, asked);
  const behind = usersOf(lookups).filter((user) => placeOf(user) > after);
  const page = behind.slice(0, limit);
  const names = await deps.names();
  const { clientId, department, keyId, roles } = call.caller;
  const receipt = await deps.record({
    kind: roles.includes('auditor') ? 'audit_read' : 'access',
    action: 'listPastUsers',
    outcome: 'answered',
    caller: { clientId, department, keyId },
    subjects: rows.map(({ holder_key }) => holder_key),
    certificates: [identifier.identifier],
    scope: { ...JSON.parse(JSON.stringify(span)), users: page.length },
    requestId: call.requestId,
    at: call.at,
  });
  const last = behind.length > limit ? page.at(-1) : undefined;
  return {
    status,
    items: page.map((user) => ({
      ...user,
      departmentName: names.department(user.departmentCode),
      systemName: names.system(user.clientId),
    })),
    erased,
    tampered,
    receipt,
    ...(last !== undefined && { next: Buffer.from(placeOf(last)).toString('base64url') }),
  };
}

/** Whose certificate it is stands in the identifier: others are refused in the same way whether or not there is one. */
const identifierFor = (caller: Caller, text: string): ParsedCertificateIdentifier =>
  caller.roles.includes('auditor') ? checkedIdentifier(text, '/certificateIdentifier') : ownIdentifier(text, caller);

function spanOf({ from, until }: PastUsersQuery): { readonly from?: Date; readonly until?: Date } {
  if (from !== undefined && until !== undefined && from >= until) throw new Refusal('range_invalid');
  return { ...(from !== undefined && { from }), ...(until !== undefined && { until }) };
}

/** Where a user stands in the list. A space is in none of the three, and before every character that is. */
const placeOf = ({ departmentCode, clientId, matterCode }: PastUser): string =>
  `${departmentCode} ${clientId} ${matterCode}`;

/** Without a cursor the empty place, behind which everything stands. */
function readCursor(text = ''): string {
  if (text === '') return '';
  const bytes = Buffer.from(text, 'base64url');
  const place = bytes.toString('utf8');
  if (bytes.toString('base64url') !== text || place.split(' ').length !== 3) {
    throw new Refusal('contract_violation', { pointer: '/after' });
  }
  return place;
}

/** Answers by system and matter, in a fixed order. Pure. */
export function usersOf(lookups: readonly AnsweredLookup[]): readonly PastUser[] {
  const users = new Map<string, PastUser>();
  for (const { at, ...who } of lookups) {
    const user = { ...who, uses: 1, firstAt: at, lastAt: at };
    const known = users.get(placeOf(user));
    if (known === undefined) users.set(placeOf(user), user);
    else {
      users.set(placeOf(user), {
        ...known,
        uses: known.uses + 1,
        firstAt: at < known.firstAt ? at : known.firstAt,
        lastAt: at > known.lastAt ? at : known.lastAt,
      });
    }
  }
  return [...users].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, user]) => user);
}
