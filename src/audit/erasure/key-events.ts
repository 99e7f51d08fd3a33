import { createHash } from 'node:crypto';
import type { Database } from '../../db/database.ts';
import { transaction } from '../../db/transaction.ts';
import type { HubKey, Keys } from '../../signing/key-store.ts';
import { canonicalJson } from '../../verification/canonical-json.ts';
import { memberOf } from '../body-values.ts';
import { recordKinds } from '../entry.ts';
import { type NotPublished, type PublishedProofDeps, whyNotPublished } from '../log/published-proof.ts';
import { openRecord, type RecordKeys } from '../open-record.ts';
import type { RecordIn } from '../record.ts';
import { recordColumns } from '../store.ts';
import { monthEnd } from './erasure.ts';

export interface KeyEventDeps {
  readonly db: Database;
  readonly recordIn: RecordIn;
  readonly now: () => Date;
}

/** Something that happened to a key and is to be in the log once. */
interface KeyEvent {
  readonly kid: string;
  readonly state: 'active' | 'retired' | 'destroyed';
  readonly action: 'keyIntroduced' | 'keyRetired' | 'keyDestroyed';
  readonly detail: unknown;
}

/**
 * Leaves a record (kind key_event) of every hub key that is in use or retired and of every destroyed month key, unless there is one:
 * actions `keyIntroduced`, `keyRetired` (detail `{kid, use, suite, thumbprint, from, until}`, thumbprint per RFC 7638) and `keyDestroyed`
 * (detail `{kid, month, kind}`). Record and row are one transaction; of processes that start together one leaves it. Answers how many.
 */
export async function recordKeyEvents(deps: KeyEventDeps, keys: Pick<Keys, 'hubKeys' | 'recordKeys'>): Promise<number> {
  const events = [
    ...keys.hubKeys.map(hubKeyEvent),
    ...keys.recordKeys
      .filter(({ state }) => state === 'destroyed')
      .map(({ month, kind }) => destroyedEvent({ month, kind })),
  ];
  const known = new Set(
    (await deps.db.kysely.selectFrom('key_events').select(['kid', 'state']).execute()).map(
      ({ kid, state }) => `${kid} ${state}`,
    ),
  );
  let recorded = 0;
  for (const event of events) {
    if (!known.has(`${event.kid} ${event.state}`) && (await recordOnce(deps, event))) recorded += 1;
  }
  return recorded;
}

/** The destruction of a month key, recorded before it happens; false when it is on record already. */
export const recordDestruction = (
  deps: KeyEventDeps,
  destroyed: { readonly month: string; readonly kind: string; readonly erasureId: string },
): Promise<boolean> => recordOnce(deps, destroyedEvent(destroyed));

type MonthKey = { readonly month: string; readonly kind: string };
const kidOf = ({ month, kind }: MonthKey): string => `record-${month}-${kind}`;

/** Whether key_events says that a month key was destroyed. It proves nothing. */
export async function isDestructionNoted({ db }: Pick<KeyEventDeps, 'db'>, key: MonthKey): Promise<boolean> {
  const row = await db.kysely
    .selectFrom('key_events')
    .select('kid')
    .where('kid', '=', kidOf(key))
    .where('state', '=', 'destroyed')
    .executeTakeFirst();
  return row !== undefined;
}

/** Why the destruction of a month key is not proved. */
export type DestructionFault =
  | { readonly code: 'no_record'; readonly kid: string }
  | { readonly code: 'not_published'; readonly recordId: string; readonly reason: NotPublished };

/** Looks for the record that says a month key was destroyed: the hub's own, and published. Undefined when there is one. */
export async function destructionFault(
  deps: PublishedProofDeps & { readonly keys: RecordKeys },
  key: MonthKey,
): Promise<DestructionFault | undefined> {
  const kid = kidOf(key);
  let fault: DestructionFault = { code: 'no_record', kid };
  // Few: one for each key there ever was.
  const rows = await deps.db.kysely
    .selectFrom('records')
    .select([...recordColumns])
    .where('kind', '=', recordKinds.key_event)
    .where('action', '=', 'keyDestroyed')
    .where('recorded_at', '>=', monthEnd(key.month))
    .execute();
  for (const row of rows) {
    const opened = openRecord(deps.keys, row);
    const said = opened.state === 'whole' ? memberOf(opened.opened.body['detail'], 'kid') : undefined;
    if (said !== kid) continue;
    const reason = await whyNotPublished(deps, row);
    if (reason === undefined) return undefined;
    fault = { code: 'not_published', recordId: row.record_id, reason };
  }
  return fault;
}

const destroyedEvent = (key: { month: string; kind: string; erasureId?: string }): KeyEvent => {
  const kid = kidOf(key);
  return { kid, state: 'destroyed', action: 'keyDestroyed', detail: { kid, ...key } };
};

const hubKeyEvent = ({ kid, use, suite, state, from, until, jwk }: HubKey): KeyEvent => ({
  kid,
  state,
  action: state === 'active' ? 'keyIntroduced' : 'keyRetired',
  detail: { kid, use, suite, thumbprint: jwkThumbprint(jwk), from, until },
});

function recordOnce({ db, recordIn, now }: KeyEventDeps, { kid, state, action, detail }: KeyEvent): Promise<boolean> {
  return transaction(db, async (trx) => {
    const at = now();
    // Who comes second waits at the primary key, then finds it done.
    const won = await trx
      .insertInto('key_events')
      .values({ kid, state, recorded_at: at })
      .onConflict((conflict) => conflict.columns(['kid', 'state']).doNothing())
      .returning('kid')
      .executeTakeFirst();
    if (won === undefined) return false;
    await recordIn(trx, { kind: 'key_event', action, outcome: 'done', requestId: `key-${kid}`, at, detail });
    return true;
  });
}

/** JWK thumbprint with SHA-256, base64url (RFC 7638; for Ed25519 RFC 8037): over the required members alone, in order of name. */
export function jwkThumbprint(jwk: HubKey['jwk']): string {
  const members =
    { EC: ['crv', 'kty', 'x', 'y'], OKP: ['crv', 'kty', 'x'], RSA: ['e', 'kty', 'n'] }[jwk.kty ?? ''] ?? [];
  const required = Object.fromEntries(members.map((name) => [name, jwk[name]]));
  return createHash('sha256').update(canonicalJson(required)).digest('base64url');
}
