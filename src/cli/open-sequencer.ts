import { readFileSync } from 'node:fs';
import type { Logger } from 'pino';
import type { Witnessing } from '../audit/log/publish.ts';
import { type Sequencer, startSequencer } from '../audit/log/sequencer.ts';
import { logKeys } from '../audit/log/sign-checkpoint.ts';
import type { Config } from '../config.ts';
import { connect } from '../db/database.ts';
import type { Keys } from '../signing/key-store.ts';
import { type LogPolicy, parseLogPolicy, quorumNeeds } from '../verification/log-policy.ts';
import { NotReady } from './not-ready.ts';

export interface OpenedSequencer {
  readonly sequencer: Sequencer;
  /** Stops the sequencer and its connections. */
  readonly close: () => Promise<void>;
}

/** Starts the sequencer as the settings say, over connections of its own. Throws NotReady for a witness policy that cannot be used. */
export function openSequencer(
  { config, keys, log }: { readonly config: Config; readonly keys: Keys; readonly log: Logger },
  url: string,
): OpenedSequencer {
  const witnessing = readWitnessing(config, keys, log);
  const db = connect({
    url,
    max: 2,
    statementTimeoutMs: 10_000,
    applicationName: 'certhub sequencer',
    prepared: config.preparedStatements,
  });
  const { logOrigin: origin, checkpointMs } = config;
  const sequencer = startSequencer({ db, keys, origin, checkpointMs, witnessing, say: log, now: () => new Date() });
  return {
    sequencer,
    close: async () => {
      await sequencer.stop();
      await db.close();
    },
  };
}

function readWitnessing(config: Config, keys: Keys, log: Logger): Witnessing | undefined {
  if (config.witnessPolicy === undefined) return undefined;
  const policy = readPolicy(config.witnessPolicy);
  const ours = logKeys(keys, config.logOrigin).map(({ text }) => text);
  if (policy.logs.length > 0 && !policy.logs.some(({ key }) => ours.includes(key.text))) {
    log.warn(
      { code: 'policy_without_this_log' },
      'the witness policy names other logs, not this one: who verifies with it will refuse',
    );
  }
  const askable = policy.witnesses.filter(({ url }) => url !== undefined).length;
  if (askable < quorumNeeds(policy)) {
    throw new NotReady(
      `CERTHUB_WITNESS_POLICY: the quorum needs ${quorumNeeds(policy)} witnesses, and ${askable} have an address in it`,
    );
  }
  return { policy, down: config.witnessDown };
}

function readPolicy(file: string): LogPolicy {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    throw new NotReady('CERTHUB_WITNESS_POLICY names a file that cannot be read');
  }
  const policy = parseLogPolicy(text);
  if (!policy.ok) throw new NotReady(`CERTHUB_WITNESS_POLICY, line ${policy.line}: ${policy.reason}`);
  return policy.value;
}
