import { randomBytes, randomUUID } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import { demoTypes } from '../../src/cli/demo/certificates.ts';
import { expectAnswer } from '../../src/cli/demo/load.ts';
import { idNumberOf } from '../../src/cli/demo/people.ts';
import { assembleHub } from '../../src/hub.ts';
import { assembleCore } from '../../src/hub-core.ts';
import type { SealSigner } from '../../src/signing/key-store.ts';
import { issueSdJwt, type SdJwtInput } from '../../src/signing/sd-jwt-issue.ts';
import type { Signer } from '../../src/signing/signer.ts';
import { composeCertificateIdentifier } from '../../src/verification/identifiers.ts';
import { filterSdJwt } from '../../src/verification/sd-jwt.ts';
import { pushOf } from '../support/demo-samples.ts';
import { exampleKeys } from '../support/start-hub.ts';
import { type Expected, logsAreClean, refusing } from './refuses.ts';
import {
  certificateIn,
  type NewSeal,
  newSeal,
  newType,
  type OperationId,
  publicSecurity,
  reviewer,
  samples,
} from './samples.ts';
import { startWorld, type World } from './world.ts';

const world = await startWorld(t);
for (const clientId of ['psb-issuer', 'civil-affairs-issuer', 'hub-admin']) await world.client(clientId).token();
const admin = world.client('hub-admin');

const civilAffairs = '11999900100000067J';
const card = pushOf(demoTypes.residentIdCard);
const clerk = { id: 'canary-clerk', name: '金丝雀官' };
/** A person of these tests only; the name must never come back. */
const holder = { type: '111', number: idNumberOf('1990-03-07', 1), name: '金丝雀' };
const sound: Readonly<Record<string, unknown>> = {
  ...card.body,
  certificateNumber: 'canary-card-1',
  holders: [holder],
  fields: { ...card.body.fields, name: '金丝雀', idNumber: holder.number, address: '金丝雀路1号' },
  officer: clerk,
};
const { fields } = sound as { fields: Record<string, unknown> };
const marriage = { ...pushOf(demoTypes.marriage).body };
const wrongLast = (text: string): string => `${text.slice(0, -1)}${text.endsWith('1') ? '2' : '1'}`;
const identifierOf = (
  serial: string,
  version = 1,
  issuerCode = publicSecurity,
  typeCode: string = card.body.certificateTypeCode,
) => composeCertificateIdentifier({ typeCode, issuerCode, serial, version });

type Case = readonly [what: string, changes: Record<string, unknown>, expected: Expected];

/** What is wrong with the content of a certificate, whichever operation brings it. */
const contents: readonly Case[] = [
  [
    'check digit of an ID number',
    { holders: [{ ...holder, number: wrongLast(holder.number) }] },
    [422, 'invalid_id_number', '/holders/0/number'],
  ],
  [
    'ID number of a day that never was',
    { holders: [{ ...holder, number: '990000199002300012' }] },
    [422, 'invalid_id_number', '/holders/0/number'],
  ],
  [
    'ID number of 15 digits',
    { holders: [{ ...holder, number: '990000900307001' }] },
    [422, 'invalid_id_number', '/holders/0/number'],
  ],
  [
    'check digit of a USCC',
    { holders: [{ type: '001', number: '91999900MA0000015M', name: '金丝雀公司' }] },
    [422, 'invalid_uscc', '/holders/0/number'],
  ],
  [
    'holder type that nobody knows',
    { holders: [{ ...holder, type: '222' }] },
    [422, 'invalid_holder_type', '/holders/0/type'],
  ],
  [
    'company that holds an ID card',
    { holders: [{ type: '001', number: '91999900MA0000015N', name: '金丝雀公司' }] },
    [422, 'holder_kind_mismatch', '/holders/0/type'],
  ],
  [
    'two holders where one belongs',
    { holders: [holder, { ...holder, number: idNumberOf('1991-01-01', 1) }] },
    [422, 'holder_count_mismatch', '/holders'],
  ],
  [
    'day that never was',
    { certificateEffectiveDate: '2023-02-29' },
    [400, 'contract_violation', '/certificateEffectiveDate'],
  ],
  ['13th month', { certificateIssuedDate: '2023-13-01' }, [400, 'contract_violation', '/certificateIssuedDate']],
  ['day in another form', { certificateIssuedDate: '20230101' }, [400, 'contract_violation', '/certificateIssuedDate']],
  [
    'issued in the future',
    { certificateIssuedDate: '2999-01-01' },
    [422, 'dates_out_of_order', '/certificateIssuedDate'],
  ],
  [
    'expires before it takes effect',
    {
      certificateEffectiveDate: '2024-01-02',
      certificateIssuedDate: '2024-01-02',
      certificateExpiringDate: '2024-01-01',
    },
    [422, 'dates_out_of_order', '/certificateExpiringDate'],
  ],
  [
    'expires before it was issued',
    {
      certificateEffectiveDate: '2019-01-01',
      certificateIssuedDate: '2024-01-02',
      certificateExpiringDate: '2024-01-01',
    },
    [422, 'dates_out_of_order', '/certificateExpiringDate'],
  ],
  [
    'longer than the type allows',
    { certificateExpiringDate: '2099-01-01' },
    [422, 'validity_mismatch', '/certificateExpiringDate'],
  ],
  ['unknown field', { fields: { ...fields, shoeSize: 42 } }, [422, 'field_unknown', '/fields/shoeSize']],
  [
    'unknown field named like a number',
    { fields: { ...fields, [`x${holder.number}`]: 1 } },
    [422, 'field_unknown', '/fields'],
  ],
  ['unknown field named like a person', { fields: { ...fields, 金丝雀: 1 } }, [422, 'field_unknown', '/fields']],
  ['field missing', { fields: { ...fields, address: undefined } }, [422, 'field_missing', '/fields/address']],
  [
    'number for an ID number in a field',
    { fields: { ...fields, idNumber: Number(holder.number.slice(0, 17)) } },
    [422, 'field_invalid', '/fields/idNumber'],
  ],
  [
    'field too long',
    { fields: { ...fields, address: '金丝雀'.repeat(70) } },
    [422, 'field_invalid', '/fields/address'],
  ],
  ['field empty', { fields: { ...fields, name: '' } }, [422, 'field_invalid', '/fields/name']],
  ['value outside the list', { fields: { ...fields, sex: '金丝雀' } }, [422, 'field_invalid', '/fields/sex']],
  [
    'day that never was in a field',
    { fields: { ...fields, birthDate: '1990-02-30' } },
    [422, 'field_invalid', '/fields/birthDate'],
  ],
  ['object where text belongs', { fields: { ...fields, name: { 金丝雀: 1 } } }, [422, 'field_invalid', '/fields/name']],
  [
    'department with a wrong check digit',
    { certificateIssuingAuthorityCode: '11999900100000016B' },
    [422, 'invalid_uscc', '/certificateIssuingAuthorityCode'],
  ],
  [
    'another department as issuer',
    { certificateIssuingAuthorityCode: civilAffairs },
    [403, 'wrong_department', '/certificateIssuingAuthorityCode'],
  ],
  [
    'related certificate with a wrong check character',
    { relatedCertificateIdentifier: wrongLast(identifierOf('CANARY')) },
    [422, 'invalid_certificate_identifier', '/relatedCertificateIdentifier'],
  ],
];

/** What is wrong with the names under which it is pushed. */
const names: readonly Case[] = [
  [
    'check digit of a type code',
    { certificateTypeCode: '11999900100000016B001' },
    [422, 'invalid_certificate_type_code', '/certificateTypeCode'],
  ],
  [
    'type nobody registered',
    { certificateTypeCode: `${publicSecurity}999` },
    [404, 'certificate_type_unknown', '/certificateTypeCode'],
  ],
  [
    'type of another department',
    { certificateTypeCode: demoTypes.marriage },
    [403, 'type_not_allowed', '/certificateTypeCode'],
  ],
  [
    'check character of an identifier',
    { certificateIdentifier: wrongLast(identifierOf('CANARY')) },
    [422, 'invalid_certificate_identifier', '/certificateIdentifier'],
  ],
  [
    'version 000',
    { certificateIdentifier: identifierOf('CANARY').replace('.001.', '.000.') },
    [422, 'invalid_certificate_identifier', '/certificateIdentifier'],
  ],
  [
    'identifier of another issuer',
    { certificateIdentifier: identifierOf('CANARY', 1, civilAffairs) },
    [422, 'identifier_mismatch', '/certificateIdentifier'],
  ],
  [
    'identifier of another type',
    { certificateIdentifier: identifierOf('CANARY', 1, publicSecurity, demoTypes.residencePermit) },
    [422, 'identifier_mismatch', '/certificateIdentifier'],
  ],
];

await t.test('bad certificates are refused by name, wherever they come in, and nothing is stored', async (t) => {
  const returned = await certificateIn(world, 'returned');
  const valid = await certificateIn(world, 'valid');
  const refuses = await refusing(world);
  const send = (operationId: OperationId, [what, changes, expected]: Case, certificateIdentifier?: string) =>
    refuses(
      t,
      what,
      {
        operationId,
        ...(certificateIdentifier !== undefined && { params: { certificateIdentifier } }),
        body: { ...sound, ...changes },
      },
      expected,
    );
  for (const bad of contents) {
    await send('pushCertificate', bad);
    await send('correctCertificate', bad, returned);
    await send('reviseCertificate', bad, valid);
  }
  for (const bad of names) await send('pushCertificate', bad);
  const mismatch = (member: string): Expected => [422, 'identifier_mismatch', `/${member}`];
  const other = { certificateTypeCode: demoTypes.residencePermit };
  await send('correctCertificate', ['another type', other, mismatch('certificateTypeCode')], returned);
  const named = { certificateIdentifier: valid };
  await send('correctCertificate', ['another certificate', named, mismatch('certificateIdentifier')], returned);
  await send('reviseCertificate', ['its own version again', named, mismatch('certificateIdentifier')], valid);
  const third = { certificateIdentifier: identifierOf(valid.split('.')[7] ?? '', 3) };
  await send('reviseCertificate', ['a version left out', third, mismatch('certificateIdentifier')], valid);

  const pair = (changes: Record<string, unknown>) =>
    ({ operationId: 'pushCertificate', as: 'civil-affairs-issuer', body: { ...marriage, ...changes } }) as const;
  const [one, two] = marriage.holders;
  await refuses(t, 'the same holder twice', pair({ holders: [one, one] }), [422, 'holder_duplicate', '/holders/1']);
  const narrow = {
    ...one,
    number: Array.from(one?.number ?? '', (digit) => String.fromCharCode(digit.charCodeAt(0) + 0xfee0)).join(''),
  };
  await refuses(t, 'the same holder in another spelling', pair({ holders: [one, narrow] }), [
    422,
    'holder_duplicate',
    '/holders/1',
  ]);
  await refuses(t, 'one holder where two belong', pair({ holders: [one] }), [422, 'holder_count_mismatch', '/holders']);
  await refuses(t, 'three', pair({ holders: [one, two, holder] }), [422, 'holder_count_mismatch', '/holders']);
  await refuses(t, 'an end where there is none', pair({ certificateExpiringDate: '2030-01-01' }), [
    422,
    'validity_mismatch',
    '/certificateExpiringDate',
  ]);
  const { certificateExpiringDate: _end, ...endless } = { ...pushOf(demoTypes.residencePermit).body };
  await refuses(t, 'no end where there is one', { operationId: 'pushCertificate', body: endless }, [
    422,
    'validity_mismatch',
    '/certificateExpiringDate',
  ]);
});

await t.test('invariant 8: a push that comes twice', async (t) => {
  const key = randomUUID();
  const body = { ...sound, certificateIdentifier: identifierOf('TWICE0000000001') };
  const first = await world.client('psb-issuer').post('/v1/certificates', body, key);
  t.equal(first.status, 201);
  const before = await world.snapshot();
  const again = await world.client('psb-issuer').post('/v1/certificates', body, key);
  t.strictSame([again.status, again.body], [201, first.body], 'the same key and body: the same answer');
  const reordered = Object.fromEntries(Object.entries(body).reverse());
  t.strictSame(
    (await world.client('psb-issuer').post('/v1/certificates', reordered, key)).body,
    first.body,
    'in any order',
  );
  const after = await world.snapshot();
  t.strictSame(after.tables, before.tables, 'and nothing changed');
  t.equal(after.records - before.records, 2, 'invariant 1: each of these answers has its own record');
  const refuses = await refusing(world);
  const push = (body: Record<string, unknown>, idempotencyKey = randomUUID()) =>
    ({ operationId: 'pushCertificate', body, headers: { 'idempotency-key': idempotencyKey } }) as const;
  await refuses(t, 'another body under the same key', push({ ...body, certificateNumber: 'canary-2' }, key), [
    422,
    'idempotency_conflict',
  ]);
  const { certificateIdentifier } = body;
  const review = {
    operationId: 'reviewCertificate',
    params: { certificateIdentifier },
    body: { decision: 'approve', officer: reviewer },
    headers: { 'idempotency-key': key },
  } as const;
  await refuses(t, 'another operation under the same key', review, [422, 'idempotency_conflict']);
  await refuses(t, 'the same certificate under another key', push(body), [409, 'certificate_exists']);
  await refuses(
    t,
    'its next version before it is sealed',
    push({ ...body, certificateIdentifier: identifierOf('TWICE0000000001', 2) }),
    [409, 'wrong_state'],
  );

  const officer = { id: 'r', name: 'r' };
  const client = world.client('psb-issuer');
  const path = `/v1/certificates/${certificateIdentifier}`;
  await expectAnswer(client.post(`${path}/reviews`, { decision: 'approve', officer }), 200);
  await expectAnswer(client.post(`${path}/seals`, {}), 200);
  const refusesSealed = await refusing(world);
  await refusesSealed(t, 'the current version once it is sealed', push(body), [409, 'version_outdated']);
  const next = await expectAnswer<{ certificateIdentifier: string }>(
    client.post(`${path}/versions`, { ...sound }),
    201,
  );
  t.equal(next.certificateIdentifier, identifierOf('TWICE0000000001', 2));
  const refusesNow = await refusing(world);
  await refusesNow(t, 'a version older than the current', push(body), [409, 'version_outdated']);
  await refusesNow(
    t,
    'a revision of an older version',
    { operationId: 'reviseCertificate', params: { certificateIdentifier }, body: { ...sound } },
    [409, 'version_outdated'],
  );
});

await t.test('reviews, seals and status changes out of turn', async (t) => {
  const inState: Record<string, string> = {};
  for (const state of ['pending_review', 'returned', 'approved', 'valid', 'suspended', 'revoked'] as const) {
    inState[state] = await certificateIn(world, state, { ...card, body: { ...card.body, officer: clerk } });
  }
  const refuses = await refusing(world);
  const officer = { id: 'canary-reviewer', name: '金丝雀官' };
  const bodies = {
    reviewCertificate: { decision: 'approve', officer },
    sealCertificate: {},
    changeCertificateStatus: { action: 'suspend', reason: '金丝雀缘由' },
    correctCertificate: sound,
    reviseCertificate: sound,
  } as const;
  type Moving = keyof typeof bodies;
  const about = (
    operationId: Moving,
    certificateIdentifier: string,
    body: Record<string, unknown> = bodies[operationId],
    as = 'psb-issuer',
  ) => ({ operationId, params: { certificateIdentifier }, body, as }) as const;
  const allowed: Record<Moving, readonly string[]> = {
    reviewCertificate: ['pending_review'],
    sealCertificate: ['approved'],
    changeCertificateStatus: ['valid'],
    correctCertificate: ['pending_review', 'returned'],
    reviseCertificate: ['valid', 'suspended'],
  };
  for (const operationId of Object.keys(bodies) as Moving[]) {
    for (const [state, identifier] of Object.entries(inState)) {
      if (allowed[operationId].includes(state)) continue;
      const code = `${operationId} ${state}`.match(/^seal.* (pending_review|returned)$/)
        ? 'review_required'
        : 'wrong_state';
      await refuses(t, `when ${state}`, about(operationId, identifier), [409, code]);
    }
  }
  const at = (state: string): string => inState[state] ?? '';
  for (const [action, states] of [
    ['suspend', ['pending_review', 'approved', 'suspended', 'revoked']],
    ['resume', ['pending_review', 'approved', 'valid', 'revoked']],
    ['revoke', ['pending_review', 'approved', 'revoked']],
  ] as const) {
    for (const state of states) {
      const body = { action, reason: '金丝雀缘由', ...(action === 'revoke' && { revocationReason: 'cancelled' }) };
      await refuses(t, `${action} when ${state}`, about('changeCertificateStatus', at(state), body), [
        409,
        'wrong_state',
      ]);
    }
  }
  const pending = at('pending_review');
  const valid = at('valid');
  const review = (body: Record<string, unknown>, expected: Expected) =>
    refuses(t, 'review', about('reviewCertificate', pending, body), expected);
  await review({ decision: 'approve', officer: clerk }, [403, 'reviewer_must_differ', '/officer/id']);
  await review({ decision: 'return', officer: clerk, reason: '金丝雀缘由' }, [
    403,
    'reviewer_must_differ',
    '/officer/id',
  ]);
  await review({ decision: 'approve', officer: { ...clerk, id: ' CANARY-CLERK ' } }, [
    400,
    'contract_violation',
    '/officer/id',
  ]);
  // U+2060, which nobody sees.
  await review({ decision: 'approve', officer: { ...clerk, id: `${clerk.id}\u2060` } }, [
    403,
    'reviewer_must_differ',
    '/officer/id',
  ]);
  await review({ decision: 'approve', officer: { ...clerk, id: 'CANARY-CLERK' } }, [
    403,
    'reviewer_must_differ',
    '/officer/id',
  ]);
  await review({ decision: 'approve', officer: { ...clerk, id: 'canary-clerk' } }, [
    403,
    'reviewer_must_differ',
    '/officer/id',
  ]);
  await review({ decision: 'return', officer }, [422, 'reason_missing', '/reason']);
  await review({ decision: 'reject', officer }, [400, 'contract_violation', '/decision']);
  const change = (body: Record<string, unknown>, expected: Expected) =>
    refuses(t, 'status change', about('changeCertificateStatus', valid, { reason: '金丝雀缘由', ...body }), expected);
  await change({ action: 'revoke' }, [422, 'revocation_reason_missing', '/revocationReason']);
  await change({ action: 'revoke', revocationReason: 'canary' }, [400, 'contract_violation', '/revocationReason']);
  await change({ action: 'suspend', revocationReason: 'cancelled' }, [400, 'contract_violation', '/revocationReason']);
  await change({ action: 'destroy' }, [400, 'contract_violation', '/action']);
});

await t.test('certificates that are not there, or not one’s own', async (t) => {
  const valid = await certificateIn(world, 'valid');
  const pending = await certificateIn(world, 'pending_review');
  const refuses = await refusing(world);
  type Moving =
    | 'reviewCertificate'
    | 'sealCertificate'
    | 'changeCertificateStatus'
    | 'correctCertificate'
    | 'reviseCertificate';
  const bodies: Record<Moving, Record<string, unknown>> = {
    reviewCertificate: { decision: 'approve', officer: reviewer },
    sealCertificate: {},
    changeCertificateStatus: { action: 'suspend', reason: '金丝雀缘由' },
    correctCertificate: sound,
    reviseCertificate: sound,
  };
  const about = (operationId: Moving, certificateIdentifier: string, as = 'psb-issuer') =>
    ({ operationId, params: { certificateIdentifier }, body: bodies[operationId], as }) as const;
  const unknown = identifierOf('CANARYNOSUCH');
  for (const operationId of Object.keys(bodies) as Moving[]) {
    const typo = wrongLast(valid);
    await refuses(t, 'wrong check character', about(operationId, typo), [
      422,
      'invalid_certificate_identifier',
      '/certificateIdentifier',
    ]);
    await refuses(t, 'a certificate that does not exist', about(operationId, unknown), [404, 'certificate_unknown']);
    const told = [];
    for (const identifier of [valid, pending, unknown]) {
      const problem = await refuses(
        t,
        'by another department',
        about(operationId, identifier, 'civil-affairs-issuer'),
        [403, 'wrong_department'],
      );
      told.push({ ...problem, requestId: '' });
    }
    t.strictSame([told[1], told[2]], [told[0], told[0]], `${operationId}: the answer does not depend on what exists`);
  }
  for (const operationId of ['getCertificate', 'getCertificateHistory'] as const) {
    const ask = (certificateIdentifier: string) =>
      ({ operationId, params: { certificateIdentifier }, as: 'psb-issuer' }) as const;
    await refuses(t, 'a certificate that does not exist', ask(unknown), [404, 'certificate_unknown']);
    await refuses(t, 'wrong check character', ask(wrongLast(valid)), [
      422,
      'invalid_certificate_identifier',
      '/certificateIdentifier',
    ]);
  }
  for (const operationId of ['listCertificates', 'listGrants', 'listCertificateTypeDrafts'] as const) {
    const expected: Expected = [400, 'contract_violation', '/after'];
    await refuses(t, `a cursor nobody gave out: ${operationId}`, { operationId, query: 'after=canary' }, expected);
  }
  await refuses(t, 'a state nobody waits in', { operationId: 'listCertificates', query: 'state=canary' }, [
    400,
    'contract_violation',
    '/state',
  ]);
});

interface Sealing {
  readonly payload: Record<string, unknown>;
  readonly disclosures: Record<string, unknown>;
}
interface Changes {
  readonly payload?: Record<string, unknown>;
  readonly claims?: Record<string, unknown>;
  readonly without?: string;
  readonly signer?: Signer;
  readonly decoys?: number;
  readonly random?: SdJwtInput['randomBytes'];
}
const depositedBy = (department: string): SealSigner => {
  const signer = exampleKeys.sealSigner(department);
  if (signer === undefined) throw new Error('no seal');
  return signer;
};

/** An issuer's own software: signs what the hub shows under `sealing`, or something else. */
async function sealOwn(sealing: Sealing, changes: Changes = {}): Promise<string> {
  const { without, signer = depositedBy(publicSecurity), decoys = 0, random } = changes;
  const issued = await issueSdJwt({
    signer,
    payload: { ...sealing.payload, iat: Math.floor(Date.now() / 1000), ...changes.payload },
    fields: Object.entries({ ...sealing.disclosures, ...changes.claims }).filter(([name]) => name !== without),
    decoys,
    ...(random !== undefined && { randomBytes: random }),
  });
  return filterSdJwt(`${issued.header}.${issued.payload}.${issued.signature}`, [...issued.disclosures.values()]);
}

/** What an issuer must sign for a certificate that is approved. */
async function sealingOf(certificateIdentifier: string): Promise<Sealing> {
  const { sealing } = await expectAnswer<{ sealing: Sealing }>(
    world.client('psb-issuer').get(`/v1/certificates/${certificateIdentifier}`),
    200,
  );
  return sealing;
}
const planted = { ...card, body: { ...card.body, ...(sound as Pick<typeof card.body, 'holders' | 'fields'>) } };
const day = 86_400_000;
const registerSeal = ({ chain }: NewSeal, rest: Record<string, unknown> = {}) =>
  expectAnswer<{ sha256: string }>(admin.post(`/v1/departments/${publicSecurity}/seal-x509`, { chain, ...rest }), 201);

await t.test('a seal of the issuer that says anything else than it must', async (t) => {
  const identifier = await certificateIn(world, 'approved', planted);
  const sealing = await sealingOf(identifier);
  const another = await sealingOf(await certificateIn(world, 'approved', planted));
  const expired = await newSeal(publicSecurity, {
    notBefore: new Date(Date.now() - 100 * day),
    notAfter: new Date(Date.now() - day),
  });
  await registerSeal(expired, { validFrom: new Date(Date.now() - 50 * day).toISOString() });
  const ended = await newSeal(publicSecurity);
  await registerSeal(ended, {
    validFrom: new Date(Date.now() - 50 * day).toISOString(),
    validUntil: new Date(Date.now() - day).toISOString(),
  });
  const withdrawn = await newSeal(publicSecurity);
  const { sha256 } = await registerSeal(withdrawn);
  await expectAnswer(
    admin.post(`/v1/departments/${publicSecurity}/seal-x509/${sha256}/revocations`, { reason: 'lost' }),
    200,
  );
  const later = await newSeal(publicSecurity);
  await registerSeal(later, { validFrom: new Date(Date.now() + day).toISOString() });
  const unregistered = await newSeal(publicSecurity);

  const soundOne = await sealOwn(sealing);
  const [jwt = '', ...disclosures] = soundOne.split('~');
  const [header = '', , signature = ''] = jwt.split('.');
  const swapped = (await sealOwn(sealing, { payload: { exp: 4_000_000_000 } })).split('.')[1] ?? '';
  const now = Math.floor(Date.now() / 1000);
  const refuses = await refusing(world);
  const seal = (what: string, sdJwt: string, expected: Expected) =>
    refuses(
      t,
      what,
      { operationId: 'sealCertificate', params: { certificateIdentifier: identifier }, body: { sdJwt } },
      expected,
    );

  const spoilt: readonly (readonly [what: string, sdJwt: string, reason: string])[] = [
    ['of another certificate', await sealOwn(another), 'payload_differs:certificateIdentifier'],
    ['valid for longer', await sealOwn(sealing, { payload: { exp: 4_000_000_000 } }), 'payload_differs:exp'],
    ['of another type', await sealOwn(sealing, { payload: { vct: 'urn:canary' } }), 'payload_differs:vct'],
    [
      'in another department’s name',
      await sealOwn(sealing, { payload: { iss: `urn:certhub:department:${civilAffairs}` } }),
      'payload_differs:iss',
    ],
    [
      'with another place for its status',
      await sealOwn(sealing, { payload: { status: { status_list: { idx: 1, uri: 'https://canary.test/1' } } } }),
      'payload_differs:status',
    ],
    ['with one clear member more', await sealOwn(sealing, { payload: { canary: '金丝雀' } }), 'payload_member_unknown'],
    ['made tomorrow', await sealOwn(sealing, { payload: { iat: now + 600 } }), 'iat_implausible'],
    ['made before the push', await sealOwn(sealing, { payload: { iat: now - 600 } }), 'iat_implausible'],
    [
      'with another value',
      await sealOwn(sealing, { claims: { address: '金丝雀路2号' } }),
      'disclosure_differs:address',
    ],
    ['with one claim more', await sealOwn(sealing, { claims: { canary: 42 } }), 'disclosure_unexpected'],
    ['with one claim less', await sealOwn(sealing, { without: 'address' }), 'disclosure_missing:address'],
    ['with a hidden claim', await sealOwn(sealing, { decoys: 1 }), 'too_many_digests'],
    [
      'with short salts',
      await sealOwn(sealing, { random: (size) => randomBytes(Math.min(size, 8)) }),
      'salt_too_short',
    ],
    ['by another department', await sealOwn(sealing, { signer: depositedBy(civilAffairs) }), 'x509_subject_mismatch'],
    [
      'with a signature of something else',
      [`${header}.${swapped}.${signature}`, ...disclosures].join('~'),
      'jws_signature',
    ],
    ['with a disclosure kept back', filterSdJwt(jwt, disclosures.slice(1, -1)), 'disclosure_missing'],
    [
      'with a disclosure twice',
      filterSdJwt(jwt, [...disclosures.slice(0, -1), disclosures[0] ?? '']),
      'disclosure_repeated',
    ],
    ['with a key binding', `${soundOne}eyJhbGciOiJub25lIn0.e30.`, 'key_binding_unexpected'],
    ['of no form at all', '金丝雀'.repeat(40), 'sd_jwt_shape'],
  ];
  for (const [what, sdJwt, reason] of spoilt) {
    const problem = await seal(what, sdJwt, [422, 'sealed_certificate_invalid']);
    const reasons = (problem.context?.['reasons'] ?? []) as string[];
    t.ok(
      reasons.some((each) => each.startsWith(reason)),
      `${what}: ${reasons.join()} has ${reason}`,
    );
  }
  const by = (own: NewSeal) => sealOwn(sealing, { signer: own.signer });
  await seal('with an x509 that expired', await by(expired), [409, 'seal_key_expired']);
  await seal('with an x509 whose registration ended', await by(ended), [409, 'seal_key_expired']);
  await seal('with an x509 that was withdrawn', await by(withdrawn), [409, 'seal_key_expired']);
  await seal('with an x509 registered for later', await by(later), [409, 'seal_key_missing']);
  await seal('with an x509 that nobody registered', await by(unregistered), [409, 'seal_key_missing']);
  const reply = await world.client('psb-issuer').post(`/v1/certificates/${identifier}/seals`, { sdJwt: soundOne });
  t.match(
    [reply.status, reply.body],
    [200, { state: 'valid', sdJwt: soundOne }],
    'after all that the sound one is taken',
  );
});

/** Another process of the hub, whose key folder holds another seal for the public security bureau. */
async function beside(t: Test, seal: SealSigner | undefined): Promise<World> {
  const { config, db, reservedDb, log, now } = world.hub.core;
  const keys = {
    ...exampleKeys,
    sealSigner: (department: string) => (department === publicSecurity ? seal : exampleKeys.sealSigner(department)),
  };
  const other = await assembleCore({ config, db, reservedDb, keys, log, now });
  const server = await assembleHub(other, { docs: false });
  await server.app.listen({ host: '127.0.0.1', port: 0 });
  t.teardown(async () => {
    await server.drain(2_000);
    await other.close();
  });
  const { port } = server.app.server.address() as AddressInfo;
  return { ...world, hub: { ...world.hub, url: `http://127.0.0.1:${port}` } };
}

await t.test('a seal with the deposited key: none, expired, withdrawn, of another department', async (t) => {
  const validity = { notBefore: new Date(Date.now() - 100 * day), notAfter: new Date(Date.now() - day) };
  const expired = await newSeal(publicSecurity, validity);
  await registerSeal(expired, { validFrom: new Date(Date.now() - 50 * day).toISOString() });
  const certificateIdentifier = await certificateIn(world, 'approved', planted);
  const deposited = (own: NewSeal, times: { notBefore: Date; notAfter: Date }): SealSigner => ({
    ...own.signer,
    department: publicSecurity,
    x5c: own.chain,
    x509: own.x509,
    ...times,
  });
  const bad = { operationId: 'sealCertificate', params: { certificateIdentifier }, body: {} } as const;
  for (const [what, seal, expected] of [
    ['without a key', undefined, [409, 'seal_key_missing']],
    ['with an expired x509', deposited(expired, validity), [409, 'seal_key_expired']],
    [
      'with a key nobody registered',
      deposited(await newSeal(publicSecurity), { notBefore: validity.notBefore, notAfter: new Date(Date.now() + day) }),
      [409, 'seal_key_missing'],
    ],
    ['with the key of another department', depositedBy(civilAffairs), [422, 'sealed_certificate_invalid']],
  ] as const) {
    const refuses = await refusing(await beside(t, seal));
    await refuses(t, what, bad, expected);
  }
  const { items } = await expectAnswer<{ items: { sha256: string }[] }>(
    admin.get(`/v1/departments/${publicSecurity}/seal-x509`),
    200,
  );
  const [first] = items;
  await expectAnswer(
    admin.post(`/v1/departments/${publicSecurity}/seal-x509/${first?.sha256 ?? ''}/revocations`, { reason: 'lost' }),
    200,
  );
  const refuses = await refusing(world);
  await refuses(t, 'after it was withdrawn', bad, [409, 'seal_key_expired']);
});

await t.test('a type that its issuer may no longer issue', async (t) => {
  const type = newType();
  await expectAnswer(admin.post('/v1/certificate-types', type), 201);
  const body = {
    ...sound,
    certificateTypeCode: type['certificateTypeCode'],
    certificateExpiringDate: undefined,
    fields: { note: '金丝雀' },
  };
  const { certificateIdentifier } = await expectAnswer<{ certificateIdentifier: string }>(
    world.client('psb-issuer').post('/v1/certificates', body),
    201,
  );
  const ended = [{ departmentCode: publicSecurity, from: '2020-01-01T00:00:00Z', until: '2021-01-01T00:00:00Z' }];
  await expectAnswer(
    world
      .client('psb-issuer')
      .post(`/v1/certificates/${certificateIdentifier}/reviews`, { decision: 'approve', officer: reviewer }),
    200,
  );
  await expectAnswer(admin.post('/v1/certificate-types', { ...type, allowedIssuers: ended }), 201);
  const refuses = await refusing(world);
  await refuses(t, 'push', { operationId: 'pushCertificate', body }, [403, 'type_not_allowed', '/certificateTypeCode']);
  await refuses(t, 'seal', { operationId: 'sealCertificate', params: { certificateIdentifier }, body: {} }, [
    403,
    'type_not_allowed',
  ]);
});

await t.test('after all that the hub is well, and its log holds nobody’s data', async (t) => {
  const { status } = await world.hub.anyone.get('/health/ready');
  t.equal(status, 200);
  const sample = await samples.pushCertificate(world);
  t.equal((await world.client('psb-issuer').post('/v1/certificates', sample.body)).status, 201);
  logsAreClean(t, world);
});
