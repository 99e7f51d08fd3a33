import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import t from 'tap';
import {
  asDepartmentCode,
  certificateCheckCharacter,
  checkHolder,
  citizenCheckCharacter,
  composeCertificateIdentifier,
  hasOrganisationCheck,
  holderKind,
  holderTypes,
  isCertificateIdentifier,
  isCertificateTypeCode,
  isCitizenId,
  isUscc,
  normaliseHolderNumber,
  parseCertificateIdentifier,
  usccCheckCharacter,
} from '../../src/verification/identifiers.ts';

type Vectors = {
  readonly uscc: readonly string[];
  readonly citizenId: readonly string[];
  readonly typeCode: readonly string[];
  readonly certificateIdentifier: readonly string[];
};
const load = (path: string): Vectors =>
  JSON.parse(readFileSync(new URL(`../vectors/${path}`, import.meta.url), 'utf8')) as Vectors;
const judges = {
  uscc: isUscc,
  citizenId: isCitizenId,
  typeCode: isCertificateTypeCode,
  certificateIdentifier: isCertificateIdentifier,
} as const;
const kinds = Object.keys(judges) as (keyof Vectors)[];

await t.test('every valid vector is accepted, every invalid one refused', (t) => {
  for (const kind of kinds) {
    for (const text of load('valid/identifiers.json')[kind]) t.ok(judges[kind](text), text);
    for (const file of ['check-character', 'date', 'shape']) {
      for (const text of load(`invalid/${file}.json`)[kind]) t.notOk(judges[kind](text), `${file}: ${text}`);
    }
  }
  t.end();
});

await t.test('worked examples of the standards', (t) => {
  t.equal(usccCheckCharacter('11100000000013338'), 'W');
  t.equal(usccCheckCharacter('1110000000001333'), undefined);
  t.equal(usccCheckCharacter('1110000000001333I'), undefined);
  t.equal(citizenCheckCharacter('11010519491231002'), 'X');
  t.equal(citizenCheckCharacter('1101051949123100X'), undefined);
  t.equal(certificateCheckCharacter('11100000000013338W01111430000006122244L20230000403001'), 'U');
  t.equal(certificateCheckCharacter('a'), undefined);
  t.equal(hasOrganisationCheck('11999900100000010P'), false, 'a warning only');
  t.ok(isUscc('11999900100000010P'));
  t.equal(asDepartmentCode('11999900100000016A'), '11999900100000016A');
  t.equal(asDepartmentCode('11999900100000016B'), undefined);
  t.end();
});

await t.test('a certificate identifier is read into its parts and composed again', (t) => {
  const text = '1.2.156.3005.2.11999900100000016A001.11999900100000016A.00000000000000000001.002.S';
  const parts = {
    typeCode: '11999900100000016A001',
    issuerCode: '11999900100000016A',
    serial: '00000000000000000001',
    version: 2,
  };
  t.match(parseCertificateIdentifier(text), {
    ok: true,
    value: {
      ...parts,
      identifier: text,
      versionText: '002',
      issuerKind: 'uscc',
      series: '11999900100000016A001.11999900100000016A.00000000000000000001',
    },
  });
  t.equal(composeCertificateIdentifier(parts), text);
  t.match(parseCertificateIdentifier('1.2.156.3005.2.11100000MB03271699022.340100.000000016.001.9'), {
    ok: true,
    value: { issuerKind: 'region' },
  });
  const refused = [
    ['1.2.156.3005.2.11999900100000016A001.11999900100000016A.00000000000000000001.001.V', 'check_character'],
    ['1.2.156.3005.2.11999900100000016A001.11999900100000016A.0000000000000000000a.001.U', 'shape'],
    ['', 'shape'],
    [`${text}\n`, 'shape'],
  ] as const;
  for (const [each, reason] of refused) t.strictSame(parseCertificateIdentifier(each), { ok: false, reason });
  const withCheck = (type: string, issuer: string, version: string): string =>
    `1.2.156.3005.2.${type}.${issuer}.1.${version}.${certificateCheckCharacter(`${type}${issuer}1${version}`) ?? ''}`;
  t.match(parseCertificateIdentifier(withCheck('11999900100000016B001', '11999900100000016A', '001')), {
    reason: 'type_code',
  });
  t.match(parseCertificateIdentifier(withCheck('11999900100000016A001', '11999900100000016B', '001')), {
    reason: 'issuer_code',
  });
  t.match(parseCertificateIdentifier(withCheck('11999900100000016A001', '11999900100000016A', '000')), {
    reason: 'version',
  });
  for (const change of [
    { version: 0 },
    { version: 1000 },
    { version: 1.5 },
    { serial: '' },
    { serial: 'a' },
    { issuerCode: '340100' },
    { typeCode: 'x' },
  ]) {
    t.throws(() => composeCertificateIdentifier({ ...parts, ...change }), RangeError);
  }
  t.end();
});

await t.test('no single wrong character passes any of the checks', (t) => {
  const good = [
    ['11999900100000016A', isUscc, '0123456789ABCDEFGHJKLMNPQRTUWXY'],
    [
      '99000019000101018X',
      (text: string) => citizenCheckCharacter(text.slice(0, 17)) === text.charAt(17),
      '0123456789',
    ],
    [
      '1.2.156.3005.2.11999900100000016A001.11999900100000016A.00000000000000000001.001.U',
      isCertificateIdentifier,
      '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ',
    ],
  ] as const;
  for (const [text, judge, alphabet] of good) {
    const start = text.startsWith('1.2.') ? 15 : 0;
    const places = Array.from(text, (_, index) => index).filter(
      (index) => index >= start && text.charAt(index) !== '.',
    );
    const changed = places.flatMap((index) => {
      const others = alphabet.split('').filter((character) => character !== text.charAt(index));
      return others.map((character) => text.slice(0, index) + character + text.slice(index + 1));
    });
    t.ok(changed.length > 100);
    t.strictSame(changed.filter(judge), [], text);
  }
  t.end();
});

await t.test('composed identifiers are always readable', (t) => {
  const serial = fc.string({
    unit: fc.constantFrom(...'0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ'.split('')),
    minLength: 1,
    maxLength: 32,
  });
  fc.assert(
    fc.property(serial, fc.integer({ min: 1, max: 999 }), (each, version) => {
      const text = composeCertificateIdentifier({
        typeCode: '11999900100000016A001',
        issuerCode: '91999900MA0000015N',
        serial: each,
        version,
      });
      const read = parseCertificateIdentifier(text);
      return read.ok && read.value.serial === each && read.value.version === version;
    }),
    { seed: 20261122, numRuns: 300 },
  );
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary' }),
      (text) => !isCertificateIdentifier(text) && !isUscc(text) && !isCitizenId(text),
    ),
    { seed: 20261122 },
  );
  t.end();
});

await t.test('holders are checked by type and brought to one spelling', (t) => {
  t.equal(holderTypes.length, 16);
  t.equal(holderKind('111'), 'person');
  t.equal(holderKind('001'), 'organisation');
  t.equal(holderKind('70'), undefined);
  const person = { ok: true, holder: { type: '111', number: '99000019000101018X' } };
  t.strictSame(checkHolder({ type: '111', number: '99000019000101018x' }), person);
  t.strictSame(checkHolder({ type: '111', number: '９９００００１９０００１０１０１８ｘ' }), person);
  t.strictSame(checkHolder({ type: '001', number: '91999900ma0000015n' }), {
    ok: true,
    holder: { type: '001', number: '91999900MA0000015N' },
  });
  t.strictSame(checkHolder({ type: '414', number: 'e00000000' }), {
    ok: true,
    holder: { type: '414', number: 'E00000000' },
  });
  t.strictSame(checkHolder({ type: '114', number: '测字第0000001号' }), {
    ok: true,
    holder: { type: '114', number: '测字第0000001号' },
  });
  t.strictSame(checkHolder({ type: '111', number: '990000190001010017' }), { ok: false, code: 'invalid_id_number' });
  t.strictSame(checkHolder({ type: '111', number: ' 990000190001010016' }), { ok: false, code: 'invalid_id_number' });
  t.strictSame(checkHolder({ type: '111', number: '990000900101001' }), { ok: false, code: 'invalid_id_number' });
  t.strictSame(checkHolder({ type: '001', number: '11999900100000016B' }), { ok: false, code: 'invalid_uscc' });
  t.strictSame(checkHolder({ type: '414', number: '' }), { ok: false, code: 'invalid_id_number' });
  t.strictSame(checkHolder({ type: '414', number: 'E0\0' }), { ok: false, code: 'invalid_id_number' });
  t.strictSame(checkHolder({ type: '112', number: 'x' }), { ok: false, code: 'invalid_holder_type' });
  t.equal(normaliseHolderNumber('111', '①²'), '①²', 'only full-width forms are mapped');
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const once = normaliseHolderNumber('111', text);
      return normaliseHolderNumber('111', once) === once;
    }),
    { seed: 20261122 },
  );
  t.end();
});
