import fc from 'fast-check';
import t from 'tap';
import { Refusal } from '../../src/errors.ts';
import { censor, looksPersonal, openLog } from '../../src/http/log.ts';

await t.test('invariant 5: personal numbers are censored wherever they stand in a line', async (t) => {
  const personal = [
    '990000199003074477',
    '99000019900307447X',
    '99000019900307447x',
    '990000 19900307 4477',
    '990000-19900307-4477',
    '990000900307447',
    '\uff19\uff19\uff10\uff10\uff10\uff10\uff11\uff19\uff19\uff10\uff10\uff13\uff10\uff17\uff14\uff14\uff17\uff17',
    '91999900000000001X',
    '91999900MA00000013',
    '13800138000',
    '8613800138000',
    '138 0013 8000',
    '138-0013-8000',
  ];
  for (const number of personal) {
    for (const line of [
      number,
      `"${number}"`,
      `Key (id_no)=(${number}) exists`,
      `/v1/x/${number}?a`,
      `a\\"${number}\\"`,
    ]) {
      t.notOk(censor(line).includes(number), line);
      t.ok(looksPersonal(line));
    }
  }
  const harmless = [
    '2026-11-22T08:00:00.123Z',
    '0199a000-0000-7000-8000-000000000000',
    'a3f5'.repeat(16),
    '"ms":12.3,"status":200',
    '1763798400000',
    'school-enrolment',
    '/v1/certificates/:certificateIdentifier',
  ];
  for (const text of harmless) t.equal(censor(text), text);
  fc.assert(
    fc.property(fc.string(), fc.string(), fc.constantFrom(...personal.slice(0, 5)), (before, after, number) => {
      return !censor(before + number + after).includes(number);
    }),
    { seed: 20261122 },
  );
});

await t.test('invariant 5: only allow-listed fields leave, and of an error only kind, code and place', async (t) => {
  const lines: string[] = [];
  const log = openLog({ level: 'info', write: (line) => lines.push(line) });
  const secret = 'Ouyang Nana';
  const cause = Object.assign(new Error(`inner ${secret}`), { code: '22021', detail: secret });
  const fault = Object.assign(new Error(`outer ${secret}\n    at ${secret} (x:1:1)x`, { cause }), {
    detail: secret,
    where: secret,
    parameters: [secret],
    code: secret,
  });
  log.error(
    { err: fault, code: 'internal_error', body: secret, url: `/x?name=${secret}`, holder: { name: secret } },
    'fault',
  );
  log.error(fault);
  log.warn({ err: fault });
  log.error({ err: { message: secret } }, 'odd');
  log.info(
    { err: new Refusal('grant_required', { secret }), requestId: 'r-1', clientId: 'c', nested: { a: secret } },
    'x',
  );
  log.info({ requestId: '990000199003074477' }, 'number 990000199003074477 in text');
  log.debug('below the level');
  const text = lines.join('');
  t.equal(lines.length, 6);
  t.notMatch(text, /Ouyang|Nana|990000/);
  const [first, , , , refusal] = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  t.match(first, {
    level: 'error',
    code: 'internal_error',
    msg: 'fault',
    err: { name: 'Error', cause: { code: '22021' } },
  });
  t.strictSame(Object.keys(first ?? {}).sort(), ['code', 'err', 'level', 'msg', 'time']);
  t.match(refusal, { requestId: 'r-1', clientId: 'c', err: { name: 'Refusal', code: 'grant_required' } });
  for (const line of lines) t.ok(line.endsWith('\n'));
});
