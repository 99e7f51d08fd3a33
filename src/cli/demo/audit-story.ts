import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Reply } from '../api-client.ts';
import { run as auditVerify } from '../audit-verify.ts';
import { expectAnswer } from './load.ts';
import type { StoryDeps } from './story.ts';

export interface AuditedStory extends StoryDeps {
  readonly idNumber: string;
  /** The lookup whose answer lies in `answer.json`. */
  readonly recordId: string;
  readonly url: string;
  /** Whom to believe: keys of the log and its witness. */
  readonly policyFile: string | undefined;
}

const assert: (condition: boolean, claim: string) => asserts condition = (condition, claim) => {
  if (!condition) throw new Error(`the story went wrong: ${claim}`);
};

/** What the auditor and the person concerned can do with the records, offline and without trusting the hub. */
export async function tellAuditStory(deps: AuditedStory): Promise<void> {
  await searchStep(deps);
  await proofStep(deps);
  await wholeLogStep(deps);
  await citizenStep(deps);
}

async function searchStep({ clientOf, tell, idNumber, recordId }: AuditedStory): Promise<void> {
  tell.step('Every step above left a record; the auditor sees who asked what, and why', '以上每一步都有审计记录');
  const auditor = clientOf('audit-office');
  const page = await expectAnswer<{ items: { recordId: string; action: string; outcome: string; state: string }[] }>(
    tell.call(auditor, 'POST', '/v1/audit/searches', {
      reason: '例行抽查',
      holder: { type: '111', number: idNumber },
      limit: 20,
    }),
    200,
  );
  const seen = page.items.map(({ action, outcome }) => `${action}:${outcome}`);
  for (const step of ['lookUp:answered', 'pushCertificate:done', 'sealCertificate:done']) {
    assert(seen.includes(step), `the records show ${step}`);
  }
  assert(
    page.items.every(({ state }) => state === 'whole'),
    'none was touched',
  );
  const one = await expectAnswer<{ record: { body: { officer: { name: string } } } }>(
    tell.call(auditor, 'POST', `/v1/audit/records/${recordId}/readings`, { reason: '核查这次调用' }),
    200,
  );
  assert(one.record.body.officer.name.length > 0, 'the officer is named');
}

async function proofStep({ anyone, tell, folder, recordId, policyFile }: AuditedStory): Promise<void> {
  tell.step('One record is proved, offline: log, signature and witness', '离线证明一条记录:日志、签名与见证');
  const proof = await published(() => anyone.get(`/log/proof/${recordId}`));
  const [proofFile, answerFile] = [join(folder, 'record.tlog-proof'), join(folder, 'answer.json')];
  writeFileSync(proofFile, proof);
  await verify({ tell, policyFile }, [proofFile, '--answer', answerFile], 'the proof holds');
}

async function wholeLogStep({ tell, folder, url, anyone, policyFile }: AuditedStory): Promise<void> {
  tell.step(
    'The whole log is checked from its first leaf, against a checkpoint kept before',
    '从第一片叶起核对整个日志',
  );
  const kept = join(folder, 'checkpoint');
  writeFileSync(kept, await published(() => anyone.get('/log/checkpoint')));
  await verify({ tell, policyFile }, ['--log', `${url}/log`, '--checkpoint', kept], 'nothing was rewritten');
}

async function citizenStep({ clientOf, tell, idNumber }: AuditedStory): Promise<void> {
  tell.step('The person sees who looked, and at what', '本人可见谁查过、看了什么');
  const report = await expectAnswer<{ items: { about?: string; outcome?: string; sentence: { zh: string } }[] }>(
    tell.call(clientOf('citizen-portal'), 'POST', '/v1/access-reports', {
      holder: { type: '111', number: idNumber },
      statement: { authenticatedBy: '实名认证三级', sessionReference: 'demo' },
      limit: 5,
    }),
    200,
  );
  for (const { sentence } of report.items) tell.line(`   ${sentence.zh}`);
  assert(
    report.items.some(({ about, outcome }) => about === 'lookup' && outcome === 'answered'),
    'the lookups are told',
  );
}

/** Within about a second of its record everything can be proved; the first seconds of a new hub included. */
async function published(get: () => Promise<Reply>): Promise<string> {
  for (let attempt = 0; ; attempt += 1) {
    const { status, body } = await get();
    if (status === 200) return String(body);
    assert(attempt < 100, `the log answers with ${status}`);
    await sleep(200);
  }
}

async function verify(
  { tell, policyFile }: Pick<AuditedStory, 'tell' | 'policyFile'>,
  argv: readonly string[],
  claim: string,
): Promise<void> {
  if (policyFile === undefined) return;
  const all = [...argv, '--policy', policyFile];
  tell.command(`certhub audit verify ${all.join(' ')}`);
  const code = await auditVerify(all, { stdout: tell.output, stderr: tell.output, env: {} });
  assert(code === 0, claim);
}
