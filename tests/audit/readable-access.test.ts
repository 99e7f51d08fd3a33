import t from 'tap';
import type { Entry } from '../../src/audit/entry.ts';
import { type RecordBody, recordValues } from '../../src/audit/record-body.ts';
import { accessItem, type Reader, type ReportNames } from '../../src/audit/report/access-item.ts';
import { readableErased, readableTampered } from '../../src/audit/report/readable-access.ts';
import { composeCertificateIdentifier } from '../../src/verification/identifiers.ts';

const police = '11999900100000016A';
const civilAffairs = '11999900100000067J';
const education = '11999900100000075D';
const idCard = `${police}001`;
const marriage = `${civilAffairs}001`;
const certificate = (typeCode: string, issuerCode: string, serial: string): string =>
  composeCertificateIdentifier({ typeCode, issuerCode, serial, version: 1 });
const card = certificate(idCard, police, '00000000000000000001');
const marriageOfBoth = certificate(marriage, civilAffairs, '00000000000000000002');

const wife = Buffer.alloc(17, 1);
const husband = Buffer.alloc(17, 2);
const names: ReportNames = {
  department: (code) =>
    new Map([
      [education, { zh: '示范市教育局', en: 'Shifan Education Bureau' }],
      [police, { zh: '示范市公安局', en: 'Shifan Public Security Bureau' }],
    ]).get(code),
  system: (clientId) => (clientId === 'school' ? { zh: '入学报名系统', en: 'Enrolment system' } : undefined),
  type: (code) =>
    new Map([
      [idCard, { zh: '居民身份证', en: 'Resident identity card' }],
      [marriage, { zh: '结婚证', en: 'Marriage certificate' }],
    ]).get(code),
  field: (_type, name) =>
    new Map([
      ['name', { zh: '姓名', en: 'Name' }],
      ['birthDate', { zh: '出生日期', en: 'Date of birth' }],
    ]).get(name),
  matter: (code) =>
    code === 'school-enrolment' ? { zh: '义务教育入学', en: 'Enrolment in compulsory education' } : undefined,
};
const readerOf = (key: Buffer, holds: readonly string[] = []): Reader => ({
  isReader: (subject) => subject === key.toString('hex'),
  holds: (identifier) => holds.includes(identifier),
  names,
  day: (at) => at.toISOString().slice(0, 10),
});

const at = new Date('2026-11-22T08:00:00Z');
const bodyOf = (overrides: Partial<Entry> = {}): RecordBody => ({
  ...recordValues(
    {
      kind: 'access',
      action: 'lookUp',
      outcome: 'answered',
      caller: { clientId: 'school', department: education, keyId: 'k1' },
      officer: { id: 'officer-7', name: '经办人甲' },
      purpose: {
        matterCode: 'school-enrolment',
        caseNumber: 'RX-7',
        legalBasis: 'own_application',
        note: '金丝雀附注',
      },
      subjects: [wife],
      scope: {
        level: 'fields',
        by: 'holder',
        types: [{ certificateTypeCode: idCard, fields: ['name', 'birthDate', 'retired'], grantId: 'g' }],
      },
      certificates: [card],
      requestId: 'r',
      at,
      ...overrides,
    },
    at.toISOString(),
  ),
});
const sentence = (overrides: Partial<Entry> = {}, release: Date | null = null, reader = readerOf(wife)) => {
  const item = accessItem(bodyOf(overrides), release, reader);
  return [item.sentence.zh, item.sentence.en];
};

await t.test('a lookup reads as who, why, what and with which outcome, in both languages', async (t) => {
  t.strictSame(
    sentence(),
    [
      '示范市教育局（入学报名系统）为办理事项“义务教育入学”（办件“RX-7”），依据“本人办事”，查看了您的“居民身份证”中的“姓名”、“出生日期”、“retired”。',
      'Shifan Education Bureau (Enrolment system), for the matter "Enrolment in compulsory education" (case "RX-7") and on the basis of your own application, saw "Name", "Date of birth" and "retired" of your "Resident identity card".',
    ],
    'a field that no type knows any more is called by its name',
  );
  const compare = { level: 'compare', by: 'holder', types: [{ certificateTypeCode: idCard, fields: ['name'] }] };
  t.strictSame(sentence({ scope: compare }), [
    '示范市教育局（入学报名系统）为办理事项“义务教育入学”（办件“RX-7”），依据“本人办事”，就您的“居民身份证”比对了“姓名”，只得到“是”或“否”的答复。',
    'Shifan Education Bureau (Enrolment system), for the matter "Enrolment in compulsory education" (case "RX-7") and on the basis of your own application, compared "Name" with your "Resident identity card" and was told yes or no, not the values.',
  ]);
  t.strictSame(sentence({ detail: { notInForce: [card] } }), [
    '示范市教育局（入学报名系统）为办理事项“义务教育入学”（办件“RX-7”），依据“本人办事”，得知您的“居民身份证”的状态，没有看到其内容。',
    'Shifan Education Bureau (Enrolment system), for the matter "Enrolment in compulsory education" (case "RX-7") and on the basis of your own application, learned the status of your "Resident identity card", none of its content.',
  ]);
  t.strictSame(sentence({ certificates: [] }), [
    '示范市教育局（入学报名系统）为办理事项“义务教育入学”（办件“RX-7”），依据“本人办事”，查询您的“居民身份证”，没有查到。',
    'Shifan Education Bureau (Enrolment system), for the matter "Enrolment in compulsory education" (case "RX-7") and on the basis of your own application, asked about your "Resident identity card". Nothing was found.',
  ]);
  t.strictSame(sentence({ outcome: 'refused', code: 'grant_required', certificates: [], scope: { types: null } }), [
    '示范市教育局（入学报名系统）为办理事项“义务教育入学”（办件“RX-7”），依据“本人办事”，申请查询您的证照，被平台拒绝，没有得到任何信息。',
    'Shifan Education Bureau (Enrolment system), for the matter "Enrolment in compulsory education" (case "RX-7") and on the basis of your own application, asked about your certificates. The hub refused; it learned nothing.',
  ]);
  t.strictSame(sentence({ outcome: 'failed', code: 'stored_data_tampered', certificates: [] }), [
    '示范市教育局（入学报名系统）为办理事项“义务教育入学”（办件“RX-7”），依据“本人办事”，查询您的“居民身份证”，查询未能完成，没有得到任何信息。',
    'Shifan Education Bureau (Enrolment system), for the matter "Enrolment in compulsory education" (case "RX-7") and on the basis of your own application, asked about your "Resident identity card". The question failed; it learned nothing.',
  ]);
  const older = { matterCode: 'of-old', caseNumber: 'RX-7', legalBasis: 'own_application' } as const;
  const [inChinese, inEnglish] = sentence({ purpose: older });
  t.match(inChinese, /为办理事项“of-old”（/, 'a matter that nobody registered is called by its code');
  t.match(inEnglish, /, for the matter "of-old" \(case/);
  const named = accessItem(bodyOf(), null, readerOf(wife)).purpose;
  t.equal(named?.matterCode, 'school-enrolment', 'the item keeps the code');
  const secrecy = { releaseAt: '2026-12-01T00:00:00.000Z', legalGround: '监察法第二十八条' };
  const [zh, en] = sentence({ detail: { secrecy } }, new Date(secrecy.releaseAt));
  t.ok(zh?.endsWith('此次查询依据“监察法第二十八条”保密至2026-12-01。'));
  t.ok(en?.endsWith(' This was under secrecy until 2026-12-01, on the ground of "监察法第二十八条".'));
});

await t.test('whatever else can concern a person reads as well', async (t) => {
  const issuer = { clientId: 'psb-issuer', department: police, keyId: 'k1' };
  const life = (step: string) =>
    ({ kind: 'certificate', action: 'x', outcome: 'done', caller: issuer, detail: { step } }) as const;
  const cases: [string, Partial<Entry>, [string, string]][] = [
    [
      'sealed',
      life('sealed'),
      [
        '示范市公安局签发了您的“居民身份证”。',
        'Your "Resident identity card" was issued by Shifan Public Security Bureau.',
      ],
    ],
    [
      'revoked',
      life('revoked'),
      [
        '示范市公安局注销了您的“居民身份证”。',
        'Your "Resident identity card" was revoked by Shifan Public Security Bureau.',
      ],
    ],
    [
      'pushed',
      life('pushed'),
      [
        '示范市公安局登记了您的“居民身份证”，尚未签发。',
        'Your "Resident identity card" was registered by Shifan Public Security Bureau; it is not issued yet.',
      ],
    ],
    [
      'a step of another time',
      life('new'),
      [
        '示范市公安局变更了您的“居民身份证”。',
        'Your "Resident identity card" was changed by Shifan Public Security Bureau.',
      ],
    ],
    [
      'verified',
      {
        action: 'verify',
        caller: undefined,
        officer: undefined,
        purpose: undefined,
        scope: { mode: 'answer' },
      } as unknown as Partial<Entry>,
      ['有人在线核验了您的“居民身份证”。', 'Somebody verified your "Resident identity card" online.'],
    ],
    [
      'read by its issuer',
      { action: 'getCertificate', caller: issuer },
      [
        '示范市公安局作为发证部门查看了您的“居民身份证”。',
        'Shifan Public Security Bureau, which issues such certificates, read your "Resident identity card".',
      ],
    ],
    [
      'an audit',
      { kind: 'audit_read', action: 'searchRecords' },
      [
        '示范市教育局（入学报名系统）在审计监督中检索了与您有关的记录。',
        'Shifan Education Bureau (Enrolment system) searched records concerning you, as a supervisor of the use of certificates.',
      ],
    ],
    [
      'a report',
      { kind: 'audit_read', action: 'getAccessReport' },
      [
        '您通过示范市教育局（入学报名系统）查看了本报告。',
        'You read this report, through Shifan Education Bureau (Enrolment system).',
      ],
    ],
    [
      'a report for a child',
      { kind: 'audit_read', action: 'getAccessReport', detail: { onBehalfOf: { basis: 'guardian' } } },
      [
        '您的监护人通过示范市教育局（入学报名系统）查看了本报告。',
        'Your guardian read this report, through Shifan Education Bureau (Enrolment system).',
      ],
    ],
  ];
  for (const [what, overrides, expected] of cases) t.strictSame(sentence(overrides), expected, what);
  t.strictSame(readableErased('2026-01-02', '2026-11-22'), {
    zh: '2026-01-02有一条与您有关的记录，其内容已于2026-11-22依法清除，日志中仍留有凭证。',
    en: 'A record concerning you was made on 2026-01-02. Its content was lawfully erased on 2026-11-22; the log still holds its place.',
  });
  t.strictSame(readableTampered('2026-01-02'), {
    zh: '2026-01-02有一条与您有关的记录无法显示：存储的内容未通过校验，情况已上报。',
    en: 'A record of 2026-01-02 concerning you cannot be shown: what is stored fails its check. This has been reported.',
  });
});

await t.test('what belongs to other people never shows: the other holder, officers, free texts', async (t) => {
  const shared: Partial<Entry> = {
    subjects: [wife, husband],
    certificates: [card, marriageOfBoth],
    scope: {
      level: 'fields',
      by: 'holder',
      types: [
        { certificateTypeCode: idCard, fields: ['name'] },
        { certificateTypeCode: marriage, fields: ['birthDate'] },
      ],
    },
    detail: { reason: '金丝雀理由', secrecyRefused: { legalGround: '金丝雀' } },
  };
  const hers = accessItem(bodyOf(shared), null, readerOf(wife, [card, marriageOfBoth]));
  t.match(hers, { purpose: { caseNumber: 'RX-7' }, seen: [{ certificateIdentifier: card }, {}], asked: [{}, {}] });
  const his = accessItem(bodyOf(shared), null, readerOf(husband, [marriageOfBoth]));
  t.strictSame(his, {
    about: 'lookup',
    action: 'lookUp',
    outcome: 'answered',
    department: { departmentCode: education, name: names.department(education) },
    seen: [
      {
        certificateIdentifier: marriageOfBoth,
        certificateTypeCode: marriage,
        name: names.type(marriage),
        seen: 'fields',
        fields: [{ name: 'birthDate', title: names.field('', 'birthDate') }],
      },
    ],
    sentence: {
      zh: '示范市教育局在办理该证照其他持证主体的事项时，查看了您的“结婚证”中的“出生日期”。',
      en: 'Shifan Education Bureau, in a matter of another holder of the certificate, saw "Date of birth" of your "Marriage certificate".',
    },
  });
  const nowhere = accessItem(bodyOf(shared), null, readerOf(husband));
  t.equal(nowhere.seen, undefined, 'a certificate of which nobody knows whose it is stays away');
  t.match(nowhere.sentence.zh, /查看了您的证照。$/);
  const byIdentifier = bodyOf({
    ...shared,
    certificates: [marriageOfBoth],
    scope: { level: 'fields', by: 'identifier' },
  });
  for (const [who, key] of [
    ['wife', wife],
    ['husband', husband],
  ] as const) {
    const item = accessItem(byIdentifier, null, readerOf(key, [marriageOfBoth]));
    t.equal(item.purpose, undefined, `asked by identifier, the matter may be the other's: ${who}`);
  }
  for (const item of [hers, his, nowhere]) {
    t.notMatch(JSON.stringify(item), /金丝雀|经办人|officer/, 'no officer and no free text');
  }
  t.notMatch(JSON.stringify(his), /RX-7|school-enrolment|入学|居民身份证/, 'nothing of her affair');
});
