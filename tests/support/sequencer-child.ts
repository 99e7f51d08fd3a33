import type { Step } from '../../src/audit/log/sequence.ts';
import { startSequencer } from '../../src/audit/log/sequencer.ts';
import { connect } from '../../src/db/database.ts';
import { parseLogPolicy } from '../../src/verification/log-policy.ts';
import { listener, logKeysOfTests, logOrigin } from './log.ts';

/** A sequencer in a process of its own, which dies without a word at the `nth` time that it comes to a step. */
export interface ChildOrders {
  readonly url: string;
  readonly at?: Step;
  readonly nth?: number;
  readonly policyText?: string;
  readonly leaseMs?: number;
  readonly batchRows?: number;
}

const orders = JSON.parse(process.argv[2] ?? '{}') as ChildOrders;
const { url, nth = 1, policyText, leaseMs = 3_000, batchRows = 2_048 } = orders;
const policy = policyText === undefined ? undefined : parseLogPolicy(policyText);
const db = connect({ url, max: 2, statementTimeoutMs: 5_000, applicationName: 'sequencer child' });
const { say, said } = listener();
let times = 0;
const sequencer = startSequencer({
  db,
  keys: logKeysOfTests,
  origin: logOrigin,
  now: () => new Date(),
  checkpointMs: 50,
  pollMs: 10,
  leaseMs,
  batchRows,
  say,
  witnessing: policy?.ok === true ? { policy: policy.value, down: 'hold', retryMs: 50 } : undefined,
  at: (step) => {
    if (step !== orders.at) return;
    times += 1;
    if (times === nth) process.kill(process.pid, 'SIGKILL');
  },
});
process.once('SIGTERM', () => void sequencer.stop().then(() => db.close()));
const halted = await sequencer.ended;
if (halted !== undefined) {
  process.stderr.write(`${halted.code}\n${JSON.stringify(said.slice(-3))}\n`);
  process.exit(3);
}
