import { randomBytes } from 'node:crypto';
import t from 'tap';
import type { CertificateBody } from '../../src/certificates/certificate-body.ts';
import { getCertificate } from '../../src/certificates/get-certificate.ts';
import { reviewCertificate } from '../../src/certificates/review-certificate.ts';
import { sealCertificate } from '../../src/certificates/seal-certificate.ts';
import { issueSdJwt, type SdJwtInput } from '../../src/signing/sd-jwt-issue.ts';
import type { Signer } from '../../src/signing/signer.ts';
import { filterSdJwt } from '../../src/verification/sd-jwt.ts';
import {
  callBy,
  change,
  citizen,
  createWorld,
  departments,
  fullTrust,
  idCardPush,
  keys,
  officerB,
  push,
  refusalOf,
} from './world.ts';

t.setTimeout(240_000);
const { publicSecurity, civilAffairs } = departments;
const world = await createWorld(t);
const { deps } = world;

const signerOf = (department: string): Signer => {
  const signer = keys.sealSigner(department);
  if (signer === undefined) throw new Error('no seal');
  return signer;
};

/** An issuer's own software: signs what the hub shows under `sealing`. */
async function sealOwn(
  { sealing }: CertificateBody,
  changes: {
    payload?: Record<string, unknown>;
    claims?: Record<string, unknown>;
    without?: string;
    signer?: Signer;
    decoys?: number;
    random?: SdJwtInput['randomBytes'];
  } = {},
): Promise<string> {
  if (sealing === undefined) throw new Error('nothing to seal');
  const { without, signer = signerOf(publicSecurity), decoys = 0, random } = changes;
  const claims = Object.entries({ ...sealing.disclosures, ...changes.claims }).filter(([name]) => name !== without);
  const issued = await issueSdJwt({
    signer,
    payload: { ...sealing.payload, iat: Math.floor(Date.now() / 1000), ...changes.payload },
    fields: claims,
    decoys,
    ...(random === undefined ? {} : { randomBytes: random }),
  });
  return filterSdJwt(`${issued.header}.${issued.payload}.${issued.signature}`, [...issued.disclosures.values()]);
}

async function approved(sequence: number): Promise<CertificateBody> {
  const { certificateIdentifier } = await push(world, idCardPush(citizen(sequence)));
  const review = { decision: 'approve', officer: officerB } as const;
  const answer = await reviewCertificate(deps, { ...change(publicSecurity), certificateIdentifier, review });
  return answer.body as CertificateBody;
}

await t.test('an issuer brings its own seal', async (t) => {
  const certificate = await approved(500);
  const { certificateIdentifier } = certificate;
  const sdJwt = await sealOwn(certificate);
  const sealed = await sealCertificate(deps, { ...change(publicSecurity), certificateIdentifier, sealing: { sdJwt } });
  t.match(sealed.body, { state: 'valid', sdJwt });
  const seen = await getCertificate(deps, { call: callBy(publicSecurity), certificateIdentifier });
  t.equal(seen.sdJwt, sdJwt, 'stored and given back byte by byte');
});

await t.test('a seal that says anything else is refused with every reason', async (t) => {
  const certificate = await approved(501);
  const other = await approved(502);
  const { certificateIdentifier } = certificate;
  const seal = (sdJwt: string) =>
    refusalOf(sealCertificate(deps, { ...change(publicSecurity), certificateIdentifier, sealing: { sdJwt } }));
  const soon = Math.floor(Date.now() / 1000);
  const sound = await sealOwn(certificate);
  const [jwt = '', ...rest] = sound.split('~');
  const [header = '', payload = '', signature = ''] = jwt.split('.');
  const otherPayload = (await sealOwn(certificate, { payload: { exp: 4_000_000_000 } })).split('.')[1] ?? '';
  const cases: [what: string, sdJwt: string, reason: string][] = [
    ['of another certificate', await sealOwn(other), 'payload_differs:certificateIdentifier'],
    ['with a longer validity', await sealOwn(certificate, { payload: { exp: 4_000_000_000 } }), 'payload_differs:exp'],
    [
      'with another status',
      await sealOwn(certificate, { payload: { status: { status_list: { idx: 1, uri: 'https://x.test/1' } } } }),
      'payload_differs:status',
    ],
    ['with an unknown clear member', await sealOwn(certificate, { payload: { note: 'x' } }), 'payload_member_unknown'],
    ['from the future', await sealOwn(certificate, { payload: { iat: soon + 600 } }), 'iat_implausible'],
    ['from before the push', await sealOwn(certificate, { payload: { iat: soon - 600 } }), 'iat_implausible'],
    ['with another value', await sealOwn(certificate, { claims: { address: '别处' } }), 'disclosure_differs:address'],
    ['with one claim more', await sealOwn(certificate, { claims: { shoeSize: 42 } }), 'disclosure_unexpected'],
    ['with one claim less', await sealOwn(certificate, { without: 'address' }), 'disclosure_missing:address'],
    ['with a hidden claim', await sealOwn(certificate, { decoys: 1 }), 'too_many_digests'],
    [
      'with short salts',
      await sealOwn(certificate, { random: (size) => randomBytes(Math.min(size, 8)) }),
      'salt_too_short:name',
    ],
    ['by another department', await sealOwn(certificate, { signer: signerOf(civilAffairs) }), 'x509_subject_mismatch'],
    [
      'with a signature of something else',
      [`${header}.${otherPayload}.${signature}`, ...rest].join('~'),
      'jws_signature',
    ],
    ['with a disclosure left out', filterSdJwt(jwt, rest.slice(1, -1)), 'disclosure_missing'],
    ['with a disclosure twice', filterSdJwt(jwt, [...rest.slice(0, -1), rest[0] ?? '']), 'disclosure_repeated'],
    ['with a key binding', `${sound}eyJhbGciOiJub25lIn0.e30.`, 'key_binding_unexpected'],
    ['without a form', `${payload}${payload}`, 'sd_jwt_shape'],
  ];
  for (const [what, sdJwt, reason] of cases) {
    const refusal = await seal(sdJwt);
    t.equal(refusal.code, 'sealed_certificate_invalid', what);
    const { reasons } = refusal.detail as { reasons: string[] };
    t.ok(
      reasons.some((each) => each.startsWith(reason)),
      `${what}: ${reasons.join()} has ${reason}`,
    );
    t.notMatch(JSON.stringify(refusal.detail), /990000|别处|测试/, `${what}: no value repeated`);
  }
  world.setTrust({ ...fullTrust, seals: new Map() });
  t.match(await seal(sound), { code: 'seal_key_missing' }, 'under an x509 certificate that nobody registered');
  world.setTrust(fullTrust);
  t.match(await seal(payload === '' ? '' : sound), { code: 'not refused' }, 'the sound one is still accepted');
});
