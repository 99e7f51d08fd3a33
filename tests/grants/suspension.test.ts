import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import type { Reply } from '../../src/cli/api-client.ts';
import { demoTypes } from '../../src/cli/demo/certificates.ts';
import { expectAnswer } from '../../src/cli/demo/load.ts';
import { personOf } from '../../src/cli/demo/people.ts';
import { testDatabase } from '../support/database.ts';
import { startHub } from '../support/start-hub.ts';
import { byNumber, certificateUpTo, clientsOf, codeOf, grant, permitOf, question } from '../support/workload.ts';

const person = personOf(7);
const types = [{ certificateTypeCode: demoTypes.residencePermit }];
const promisedMs = 1_000;

await t.test('invariant 2: a suspension holds on the other process within a second, and so does its end', async (t) => {
  const database = await testDatabase(t);
  const a = await startHub(t, { database });
  const b = await startHub(t, { database, register: false });
  const [onA, onB] = [clientsOf(a), clientsOf(b)];
  await certificateUpTo(onA('psb-issuer'), permitOf(person, 'JZ-7'), 'sealed');
  const path = `/v1/grants/${await grant(onA)}`;
  const ask = (): Promise<Reply> => onB('school-enrolment').post('/v1/lookups', question(byNumber(person), { types }));
  const until = async (status: number): Promise<void> => {
    const deadline = performance.now() + 30_000;
    while ((await ask()).status !== status) {
      if (performance.now() > deadline) throw new Error(`never answered ${status}`);
      await sleep(20);
    }
  };
  await until(200);
  for (let round = 0; round < 3; round += 1) {
    const answers: number[] = [];
    const codes = new Set<string | undefined>();
    let refusals = 0;
    const asker = async (): Promise<void> => {
      const deadline = performance.now() + 30_000;
      while (refusals < 20 && performance.now() < deadline) {
        const asked = performance.now();
        const reply = await ask();
        if (reply.status === 200) answers.push(asked);
        else {
          codes.add(codeOf(reply));
          refusals += 1;
        }
        await sleep(5);
      }
    };
    const askers = Promise.all([asker(), asker(), asker()]);
    while (answers.length < 5) await sleep(5);
    await expectAnswer(onA('psb-grants').post(`${path}/suspensions`, { reason: '异常用证核查' }), 200);
    const suspendedAt = performance.now();
    t.equal(
      codeOf(await onA('school-enrolment').post('/v1/lookups', question(byNumber(person), { types }))),
      'grant_suspended',
      'at once where it was done',
    );
    await askers;
    const milliseconds = Math.max(0, Math.max(...answers) - suspendedAt);
    t.comment(`answered ${answers.length} times, last asked ${milliseconds.toFixed(0)} ms after the suspension`);
    t.strictSame([...codes], ['grant_suspended']);
    t.ok(milliseconds <= promisedMs, `${milliseconds.toFixed(0)} ms`);
    await expectAnswer(onA('psb-grants').post(`${path}/resumptions`, { reason: '核查结束' }), 200);
    const resumedAt = performance.now();
    await until(200);
    t.ok(performance.now() - resumedAt <= promisedMs + 1_000, 'resumed');
  }
});
