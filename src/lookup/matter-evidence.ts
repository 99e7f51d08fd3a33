import { RecordedRefusal } from '../audit/record.ts';
import { fieldsOf, type Matter, type MatterMaterial, partyOf } from '../catalogue/matter.ts';
import { openRow } from '../certificates/certificate-row.ts';
import { readUnsealed } from '../certificates/read-certificates.ts';
import { Refusal } from '../errors.ts';
import { applicationFor, type Grant, permit, type Wanted } from '../grants/grant.ts';
import type { OpenTicket } from '../grants/use-ticket.ts';
import type { Call } from '../ids.ts';
import type { Holder } from '../verification/identifiers.ts';
import type { Gather } from './find-out.ts';
import { type Answer, type LookupDeps, lookUp } from './lookup.ts';
import { type DayAsked, judgeMaterial, type MaterialFinding } from './matter-finding.ts';
import type { Parties } from './matter-parties.ts';
import { ticketUnder } from './matter-tickets.ts';
import { grantsToApplyFor, type LookupType, missingCode } from './permitted-types.ts';
import type { Purpose } from './question.ts';

/** One lookup that a check made. */
export type Looked =
  | {
      readonly ok: true;
      readonly answer: Answer;
      readonly wanted: Wanted;
      /** The ticket of the check that it was made under; its use is still to be taken. */
      readonly under: OpenTicket | undefined;
    }
  | { readonly ok: false; readonly recordId: string };

/** What a check asks about: one material of a party. */
export interface AskedMaterial {
  readonly material: MatterMaterial;
  readonly party: string;
  readonly holder: Holder;
  readonly type: LookupType;
  readonly wanted: Wanted;
  /** The ticket of the check that is for it. */
  readonly under?: OpenTicket;
}

/** For whom and why materials are asked for. */
export interface MaterialsAsked {
  readonly matter: Matter;
  readonly parties: Parties;
  readonly purpose: Pick<Purpose, 'matterCode' | 'legalBasis'>;
  readonly call: Pick<Call, 'at'>;
}

export interface EvidenceInput extends MaterialsAsked {
  readonly purpose: Purpose;
  readonly asked: DayAsked;
  /** The tickets that the check quotes, in the order of the matter's parties. */
  readonly tickets: readonly OpenTicket[];
  readonly call: Call;
}

/** Looks up materials of one check. */
export interface Gatherer extends Gather<AskedMaterial> {
  /** Every lookup so far, when it is over. */
  looked(): Promise<readonly Looked[]>;
}

/** Finds out what a material asks for. Refuses `matter_invalid` when type or fields are in the catalogue no more. */
export async function askedMaterial(
  { findType }: Pick<LookupDeps, 'findType'>,
  { matter, parties, purpose, call }: MaterialsAsked,
  { material, pointer }: { readonly material: MatterMaterial; readonly pointer: string },
): Promise<AskedMaterial> {
  const { certificateTypeCode } = material;
  const party = partyOf(matter, material)?.code ?? '';
  const holder = parties.get(party);
  const type = await findType(certificateTypeCode);
  const fields = fieldsOf(material);
  if (holder === undefined) throw new Refusal('matter_invalid', { pointer, rule: 'party_unknown' });
  if (type === undefined) throw new Refusal('matter_invalid', { pointer, rule: 'type_unknown' });
  if (!fields.every((field) => type.fieldNames.includes(field))) {
    throw new Refusal('matter_invalid', { pointer, rule: 'field_unknown' });
  }
  const wanted: Wanted = {
    certificateTypeCode,
    level: fields.length > 0 ? 'fields' : 'compare',
    ...(fields.length > 0 && { fields }),
    matterCode: purpose.matterCode,
    legalBasis: purpose.legalBasis,
    at: call.at,
  };
  return { material, party, holder, type, wanted };
}

/** The material as it is asked for under a ticket of the check, where one is for it. */
export function quoting(asked: AskedMaterial, { tickets, purpose }: EvidenceInput): AskedMaterial {
  const { holder, wanted } = asked;
  const under = ticketUnder(tickets, { purpose, holder, wanted });
  return under === undefined ? asked : { ...asked, under, wanted: { ...wanted, hasTicket: true } };
}

/** Gathers under the grants as they are now; a lookup asks for permission again, with its own eyes. */
export function gatherer(deps: LookupDeps, input: EvidenceInput, grants: readonly Grant[]): Gatherer {
  const { asked, purpose, call } = input;
  const lookups = new Map<string, Promise<Looked>>();
  const pushed = new Map<string, Promise<boolean>>();

  const lookUpOnce = ({ holder, wanted, under }: AskedMaterial): Promise<Looked> => {
    const { certificateTypeCode, fields, level } = wanted;
    const key = JSON.stringify([holder.type, holder.number, certificateTypeCode, fields?.toSorted()]);
    return once(lookups, key, async (): Promise<Looked> => {
      const types = [{ certificateTypeCode, ...(fields !== undefined && { fields }) }];
      try {
        const question = { purpose, level, holder, types };
        const answer = await lookUp(deps, question, call, under?.ticket);
        return { ok: true, answer, wanted, under };
      } catch (error) {
        // The day's quota says nothing about the certificate, and is no fault of the check.
        if (!(error instanceof RecordedRefusal) || error.code !== 'quota_exceeded') throw error;
        return { ok: false, recordId: error.receipt.recordId };
      }
    });
  };
  const look = async (each: AskedMaterial): Promise<MaterialFinding> => {
    const { material, party } = each;
    const { certificateTypeCode } = material;
    const looked = await lookUpOnce(each);
    if (!looked.ok) return { reason: { code: 'quota_used_up', party, certificateTypeCode } };
    const { certificates, receipt } = looked.answer;
    return { reason: judgeMaterial(material, { party, certificates, asked }), recordId: receipt.recordId };
  };
  const isPushed = ({ holder, material }: AskedMaterial): Promise<boolean> => {
    const issuers = material.issuedBy;
    const key = JSON.stringify([holder.type, holder.number, material.certificateTypeCode, issuers]);
    return once(pushed, key, async () => {
      const keys = deps.keys.holderKeys(holder.type, holder.number);
      const rows = await readUnsealed(deps.db, keys, material.certificateTypeCode);
      const day = asked.dayStart * 1_000;
      return rows.some((row) => {
        openRow(deps.keys.box, row);
        return (
          (issuers === undefined || issuers.some((code) => code === row.issuing_authority_code)) &&
          row.effective_from.getTime() <= day &&
          (row.expires_at === null || day < row.expires_at.getTime())
        );
      });
    });
  };
  return {
    lacking: ({ wanted, type, party }) => {
      const permitted = permit(grants, wanted);
      if (permitted.ok) return undefined;
      const { certificateTypeCode, level, fields } = wanted;
      if (permitted.code === 'ticket_required') {
        const ticketFor = { certificateTypeCode, level, ...(fields !== undefined && { fields }) };
        return { code: 'ticket_needed', party, certificateTypeCode, ticketFor };
      }
      const refusal = missingCode(permitted.code, type);
      const reason = { code: 'permission_missing' as const, party, certificateTypeCode, refusal };
      // Of a retired type nothing can be applied for; a grant that is suspended can still be resumed.
      if (type.isRetired === true) return reason;
      return { ...reason, apply: applicationFor(wanted, type), ownerDepartmentCode: type.ownerDepartmentCode };
    },
    look,
    settle: async (each) => {
      const found = await look(each);
      const { code } = found.reason;
      // Only where the lookup was answered: that an issuer has something pushed is for those alone who may see it once it is sealed.
      if (code === 'in_force' || code === 'quota_used_up' || !(await isPushed(each))) return found;
      const { party, material } = each;
      return { ...found, reason: { code: 'not_yet_sealed', party, certificateTypeCode: material.certificateTypeCode } };
    },
    looked: async () => {
      const settled = await Promise.allSettled(lookups.values());
      return settled.flatMap((each): readonly Looked[] => {
        if (each.status === 'fulfilled') return [each.value];
        return each.reason instanceof RecordedRefusal ? [{ ok: false, recordId: each.reason.receipt.recordId }] : [];
      });
    },
  };
}

/** The tickets under which something was looked up, each once, also where it was quoted for two parties who are one person. */
export const ticketsUsed = (looked: readonly Looked[]): readonly OpenTicket[] => [
  ...new Map(
    looked.flatMap((each) => (each.ok && each.under !== undefined ? [[each.under.ticket.ticketId, each.under]] : [])),
  ).values(),
];

/**
 * Asks for permission once more, for everything that is about to leave: a grant that was revoked, suspended or ended while the check was
 * under way answers nothing. What a certificate was read under has to stand itself; another grant does not take its place.
 * @throws Refusal as a lookup does
 */
export async function permitAgain(
  { grantsOf, findType }: Pick<LookupDeps, 'grantsOf' | 'findType'>,
  looked: readonly Looked[],
  { clientId, at }: { readonly clientId: string; readonly at: Date },
): Promise<void> {
  const grants = await grantsOf(clientId);
  for (const each of looked) {
    if (!each.ok) continue;
    const used = new Set(each.answer.certificates.map(({ grantId }) => grantId));
    const wanted = { ...each.wanted, at };
    const permitted = permit(used.size === 0 ? grants : grants.filter(({ grantId }) => used.has(grantId)), wanted);
    if (permitted.ok) continue;
    const type = await findType(wanted.certificateTypeCode);
    throw new Refusal(permitted.code, type === undefined ? {} : grantsToApplyFor([{ wanted, type }]));
  }
}

function once<T>(known: Map<string, Promise<T>>, key: string, ask: () => Promise<T>): Promise<T> {
  const before = known.get(key);
  if (before !== undefined) return before;
  const asked = ask();
  known.set(key, asked);
  return asked;
}
