/**
 * Who may see what, said a second time from the contract's words, naively and without the hub's code: the tests of invariant 2 compare
 * the hub with it. Times are milliseconds.
 */

export type AskedLevel = 'compare' | 'fields';
export const bases = ['statutory_duty', 'own_application', 'delegated'] as const;
export type Basis = (typeof bases)[number];

export interface KnownGrant {
  readonly grantId: string;
  readonly clientId: string;
  readonly typeCode: string;
  readonly level: AskedLevel;
  readonly fields: readonly string[];
  readonly matters: readonly string[];
  readonly legalBases: readonly Basis[];
  readonly from: number;
  readonly until: number;
  readonly isSuspended: boolean;
  readonly isRevoked: boolean;
  readonly ticketRequired: boolean;
  readonly secrecyDays: number;
}

export interface KnownTicket {
  readonly secret: string;
  readonly clientId: string;
  readonly matterCode: string;
  readonly caseNumber: string;
  readonly officer: { readonly id: string; readonly name: string };
  readonly legalBasis: Basis;
  readonly level: AskedLevel;
  readonly holder: string;
  readonly types: readonly { readonly typeCode: string; readonly fields: readonly string[] }[];
  readonly uses: number;
  readonly used: number;
  readonly expiresAt: number;
  readonly isRevoked: boolean;
}

export type Status = 'valid' | 'not_yet_valid' | 'expired' | 'suspended' | 'revoked' | 'superseded';

export interface KnownCertificate {
  readonly identifier: string;
  readonly typeCode: string;
  readonly holder: string;
  readonly status: Status;
  /** Every field that can be granted and that it has. */
  readonly values: Readonly<Record<string, unknown>>;
}

export interface AskedType {
  readonly typeCode: string;
  readonly fields?: readonly string[];
  readonly compare?: Readonly<Record<string, unknown>>;
}

export interface AskedQuestion {
  readonly clientId: string;
  readonly matterCode: string;
  readonly caseNumber: string;
  readonly officer: { readonly id: string; readonly name: string };
  readonly legalBasis: Basis;
  readonly secretUntil?: number;
  readonly level: AskedLevel;
  /** One of both. */
  readonly about: { readonly holder: string } | { readonly identifier: string; readonly typeCode: string };
  readonly types?: readonly AskedType[];
  /** Its secret. */
  readonly ticket?: string;
  readonly at: number;
}

export interface Shape {
  readonly type: string;
  readonly format?: string;
}

/** Everything that an answer depends on. */
export interface Known {
  /** Type code → names of all fields that can be granted. */
  readonly types: ReadonlyMap<string, readonly string[]>;
  /** Type code → JSON type and format of its fields; whatever is not there may be anything. */
  readonly shapes?: ReadonlyMap<string, Readonly<Record<string, Shape>>>;
  /** Oldest first. */
  readonly grants: readonly KnownGrant[];
  readonly tickets: readonly KnownTicket[];
  readonly certificates: readonly KnownCertificate[];
}

export interface Left {
  readonly identifier: string;
  readonly grantId: string;
  readonly status: Status;
  readonly fields?: Readonly<Record<string, unknown>>;
  readonly compared?: Readonly<Record<string, boolean>>;
}

export type Verdict = { readonly refused: string } | { readonly left: readonly Left[] };

const day = 86_400_000;

/** What a question must be told. */
export function verdictOf(known: Known, question: AskedQuestion): Verdict {
  const { at, secretUntil } = question;
  if (secretUntil !== undefined && (secretUntil <= at || secretUntil > at + 3650 * day)) {
    return { refused: 'release_invalid' };
  }
  const ticket = known.tickets.find(({ secret }) => secret === question.ticket);
  const misuse = question.ticket === undefined ? undefined : ticketRefusal(ticket, question);
  if (misuse !== undefined) return { refused: misuse };
  const ofClient = known.grants.filter(({ clientId }) => clientId === question.clientId);
  const named = namedTypes(question, ticket);
  const asked = named ?? [...new Set(ofClient.map(({ typeCode }) => typeCode))].map((typeCode) => ({ typeCode }));
  const wrong = asked
    .map((type) => unknownIn(known, type) ?? impossibleIn(known, type))
    .find((each) => each !== undefined);
  if (wrong !== undefined) return { refused: wrong };
  const judged = asked.map((type) => ({ type, ...judgeType(ofClient, type, question) }));
  // Asked for everything, what is not granted is not meant, unless only a ticket or openness is missing.
  const meant =
    named === undefined
      ? judged.filter(({ miss }) => [undefined, 'secrecy_not_granted', 'ticket_required'].includes(miss))
      : judged;
  if (meant.length === 0) return { refused: 'grant_required' };
  const missed = meant.find(({ miss }) => miss !== undefined)?.miss;
  if (missed !== undefined) return { refused: missed };
  return {
    left: known.certificates
      .filter((certificate) => isAbout(question, certificate))
      .flatMap((certificate) => {
        const found = meant.find(({ type }) => type.typeCode === certificate.typeCode);
        return found?.grant === undefined ? [] : [leaves(certificate, found.type, found.grant, question)];
      }),
  };
}

/** What the question names, by itself, by its certificate or by its ticket; undefined when it asks for what there is. */
function namedTypes({ about, level, types }: AskedQuestion, ticket: KnownTicket | undefined) {
  const named: readonly AskedType[] | undefined =
    types ?? ('identifier' in about ? [{ typeCode: about.typeCode }] : undefined);
  if (ticket === undefined) return named;
  return (named ?? ticket.types.map(({ typeCode }): AskedType => ({ typeCode }))).map((type): AskedType => {
    if (level === 'compare' || type.fields !== undefined) return type;
    return { ...type, fields: ticket.types.find(({ typeCode }) => typeCode === type.typeCode)?.fields ?? [] };
  });
}

function unknownIn(known: Known, type: AskedType): string | undefined {
  const names = known.types.get(type.typeCode);
  if (names === undefined) return 'certificate_type_unknown';
  return mentioned(type).every((name) => names.includes(name)) ? undefined : 'field_unknown';
}

/** A value to compare that the field can never have. */
function impossibleIn(known: Known, { typeCode, compare = {} }: AskedType): string | undefined {
  const shapes = known.shapes?.get(typeCode) ?? {};
  const isPossible = ([name, value]: [string, unknown]): boolean => {
    const { type, format } = shapes[name] ?? { type: 'any' };
    if (type === 'any') return true;
    if (type === 'integer') return Number.isInteger(value);
    if (type === 'array') return Array.isArray(value);
    return typeof value === type && (format !== 'date' || /^\d{4}-\d{2}-\d{2}$/.test(String(value)));
  };
  return Object.entries(compare).every(isPossible) ? undefined : 'field_invalid';
}

const isAbout = ({ about }: AskedQuestion, { identifier, holder, status }: KnownCertificate): boolean =>
  'identifier' in about ? identifier === about.identifier : holder === about.holder && status !== 'superseded';

const mentioned = ({ fields, compare }: AskedType): readonly string[] => fields ?? Object.keys(compare ?? {});

/** Why a question may not be asked under a ticket. */
function ticketRefusal(ticket: KnownTicket | undefined, question: AskedQuestion): string | undefined {
  if (ticket === undefined || ticket.clientId !== question.clientId) return 'ticket_unknown';
  if (ticket.isRevoked || question.at >= ticket.expiresAt) return 'ticket_expired';
  if (ticket.used >= ticket.uses) return 'ticket_used_up';
  const isFor = (['matterCode', 'caseNumber', 'legalBasis'] as const).every((name) => ticket[name] === question[name]);
  const isOfOfficer = (['id', 'name'] as const).every((name) => ticket.officer[name] === question.officer[name]);
  const isSameHolder = 'holder' in question.about && question.about.holder === ticket.holder;
  const isWithin = (question.types ?? []).every((type) => isTypeWithin(ticket, type));
  const isNoHigher = question.level === 'compare' || ticket.level === 'fields';
  return [isFor, isOfOfficer, isSameHolder, isWithin, isNoHigher].includes(false) ? 'ticket_mismatch' : undefined;
}

function isTypeWithin(ticket: KnownTicket, type: AskedType): boolean {
  const allowed = ticket.types.find(({ typeCode }) => typeCode === type.typeCode);
  return allowed !== undefined && mentioned(type).every((name) => allowed.fields.includes(name));
}

/** From a full yes to a full no. The nearest miss of all grants is the reason of a refusal. */
const misses = [
  undefined,
  'secrecy_not_granted',
  'ticket_required',
  'grant_suspended',
  'grant_revoked',
  'grant_expired',
  'grant_required',
] as const;
type Miss = (typeof misses)[number];

function judgeType(
  ofClient: readonly KnownGrant[],
  type: AskedType,
  question: AskedQuestion,
): { readonly miss: Miss; readonly grant?: KnownGrant } {
  const each = ofClient.map((grant) => ({ grant, miss: missOf(grant, type, question) }));
  const miss = misses.find((one) => each.some((judged) => judged.miss === one) || one === 'grant_required');
  if (miss !== undefined) return { miss };
  let widest: KnownGrant | undefined;
  for (const judged of each) {
    if (judged.miss !== undefined) continue;
    if (widest === undefined || judged.grant.fields.length > widest.fields.length) widest = judged.grant;
  }
  return { miss, ...(widest !== undefined && { grant: widest }) };
}

/** What one grant lacks for one type of a question; undefined when it covers it. */
function missOf(grant: KnownGrant, type: AskedType, question: AskedQuestion): Miss {
  const isMeant = [
    grant.typeCode === type.typeCode,
    question.level === 'compare' || grant.level === 'fields',
    grant.matters.includes(question.matterCode),
    grant.legalBases.includes(question.legalBasis),
    mentioned(type).every((name) => grant.fields.includes(name)),
  ];
  if (isMeant.includes(false)) return 'grant_required';
  if (grant.isRevoked) return 'grant_revoked';
  if (question.at < grant.from) return 'grant_required';
  if (question.at >= grant.until) return 'grant_expired';
  if (grant.isSuspended) return 'grant_suspended';
  if (needsTicket(grant, question) && question.ticket === undefined) return 'ticket_required';
  return isSecrecyAllowed(grant, question) ? undefined : 'secrecy_not_granted';
}

/** A delegation names two parties, and only a ticket says who the second is. */
const needsTicket = ({ ticketRequired }: KnownGrant, { legalBasis }: AskedQuestion): boolean =>
  ticketRequired || legalBasis === 'delegated';

const isSecrecyAllowed = ({ secrecyDays }: KnownGrant, { at, secretUntil }: AskedQuestion): boolean =>
  secretUntil === undefined || (secretUntil > at && secretUntil <= at + secrecyDays * day);

function leaves(
  { identifier, status, values }: KnownCertificate,
  { fields, compare }: AskedType,
  { grantId, fields: granted }: KnownGrant,
  { level }: AskedQuestion,
): Left {
  const told = { identifier, grantId, status };
  if (status !== 'valid') return told;
  if (level === 'fields') {
    const names = (fields ?? granted).filter((name) => name in values);
    return { ...told, fields: Object.fromEntries(names.map((name) => [name, values[name]])) };
  }
  if (compare === undefined) return told;
  const compared = Object.entries(compare).map(([name, value]) => [
    name,
    name in values && JSON.stringify(values[name]) === JSON.stringify(value),
  ]);
  return { ...told, compared: Object.fromEntries(compared) as Record<string, boolean> };
}

/** What of an answer goes beyond what its grant says; empty when nothing does. Says nothing of what is missing. */
export const excess = (known: Known, question: AskedQuestion, left: readonly Left[]): string[] =>
  left.flatMap((each) => {
    const grant = known.grants.find(({ grantId }) => grantId === each.grantId);
    const certificate = known.certificates.find(({ identifier }) => identifier === each.identifier);
    if (grant === undefined || certificate === undefined) return [`${each.identifier} left without a grant`];
    const ticket = known.tickets.find(({ secret }) => secret === question.ticket);
    const names = [...Object.keys(each.fields ?? {}), ...Object.keys(each.compared ?? {})];
    return [
      ...beyondGrant(grant, question, { certificate, names, isOpen: each.fields !== undefined }),
      ...(ticket === undefined ? [] : beyondTicket(ticket, { certificate, names })),
      ...(needsTicket(grant, question) && ticket === undefined ? ['no ticket'] : []),
    ].map((what) => `${each.identifier} exceeds ${each.grantId}: ${what}`);
  });

function beyondGrant(
  grant: KnownGrant,
  question: AskedQuestion,
  { certificate, names, isOpen }: { certificate: KnownCertificate; names: readonly string[]; isOpen: boolean },
): string[] {
  const { at, secretUntil = at } = question;
  const isWithin = {
    client: grant.clientId === question.clientId,
    type: grant.typeCode === certificate.typeCode,
    level: grant.level === 'fields' || !isOpen,
    fields: names.every((name) => grant.fields.includes(name)),
    matter: grant.matters.includes(question.matterCode),
    'legal basis': grant.legalBases.includes(question.legalBasis),
    validity: grant.from <= at && at < grant.until,
    standing: !grant.isSuspended && !grant.isRevoked,
    secrecy: secretUntil <= at + grant.secrecyDays * day,
    'a certificate in force': certificate.status === 'valid' || names.length === 0,
  };
  return Object.entries(isWithin).flatMap(([what, isTrue]) => (isTrue ? [] : [what]));
}

function beyondTicket(
  ticket: KnownTicket,
  { certificate, names }: { readonly certificate: KnownCertificate; readonly names: readonly string[] },
): string[] {
  const allowed = ticket.types.find(({ typeCode }) => typeCode === certificate.typeCode)?.fields ?? [];
  return [
    ...(ticket.holder === certificate.holder ? [] : ['holder of the ticket']),
    ...(names.every((name) => allowed.includes(name)) ? [] : ['fields of the ticket']),
  ];
}
