import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { registerDemo } from '../../src/cli/demo/registry.ts';
import { type OpenedSequencer, openSequencer } from '../../src/cli/open-sequencer.ts';
import { connectPools } from '../../src/db/pools.ts';
import { openLog } from '../../src/http/log.ts';
import { assembleHub } from '../../src/hub.ts';
import { assembleCore } from '../../src/hub-core.ts';
import { exampleKeys, testConfig } from '../support/start-hub.ts';

/**
 * A hub in a process of its own for measuring: `server.ts URL recording|silent [SEQUENCER-URL]`. `silent` leaves out the insert of
 * records and nothing else; it exists here alone. Prints its port and runs until it is told to stop. `sequence on` and `sequence off`
 * on standard input begin and end the writing of the log in this process; each is answered by a line.
 */
const [url = '', mode, sequencerUrl = ''] = process.argv.slice(2);
const pools = connectPools({ url, max: 6, statementTimeoutMs: 10_000, applicationName: `bench ${mode ?? ''}` });
const core = await assembleCore({
  config: testConfig({ CERTHUB_RATE_LIMIT_PER_MINUTE: '1000000' }),
  ...pools,
  keys: exampleKeys,
  log: openLog({ level: 'warn' }),
  now: () => new Date(),
  ...(mode === 'silent' && { insertAll: async () => undefined }),
});
await registerDemo(core);
const hub = await assembleHub(core, { docs: false });
await hub.app.listen({ host: '127.0.0.1', port: 0 });
process.stdout.write(`${(hub.app.server.address() as AddressInfo).port}\n`);

let sequencing: OpenedSequencer | undefined;
const sequence = async (wanted: string): Promise<void> => {
  await sequencing?.close();
  sequencing = wanted === 'on' ? openSequencer(core, sequencerUrl) : undefined;
  process.stdout.write(`${wanted}\n`);
};
createInterface({ input: process.stdin }).on('line', (line) => void sequence(line.replace('sequence ', '')));

process.once('SIGTERM', () => {
  void hub.drain(2_000).then(async () => {
    await sequencing?.close();
    await core.close();
    await pools.close();
    process.exit(0);
  });
});
