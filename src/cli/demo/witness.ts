import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { cosignCheckpoint } from '../../audit/log/cosign-checkpoint.ts';
import { logKeys } from '../../audit/log/sign-checkpoint.ts';
import { openWitnessStore } from '../../audit/log/witness-store.ts';
import { openLog } from '../../http/log.ts';
import { buildWitnessServer } from '../../http/witness-server.ts';
import type { Keys } from '../../signing/key-store.ts';
import { loadNoteKey, writeNoteKey } from '../../signing/note-key-file.ts';
import { parseVerifierKey } from '../../verification/signed-note.ts';
import { witnessAnswer } from '../witness.ts';

export interface DemoWitness {
  /** The policy that hub and verifiers of the demo go by: this witness must have cosigned. */
  readonly policyFile: string;
  readonly close: () => Promise<void>;
}

/**
 * The audit office's witness, for the demo in the same process; in earnest another administration runs it elsewhere
 * (`certhub witness`). Its key and memory are kept in the folder, so that the demo can be run again.
 */
export async function startDemoWitness(input: {
  readonly folder: string;
  readonly keys: Keys;
  readonly logOrigin: string;
}): Promise<DemoWitness> {
  const { folder, keys, logOrigin } = input;
  mkdirSync(folder, { recursive: true });
  const keyFile = join(folder, 'witness.key');
  if (!existsSync(keyFile)) writeNoteKey(keyFile, 'audit-office.demo/witness', 4);
  const by = loadNoteKey(keyFile, 4);
  const own = parseVerifierKey(by.vkey);
  if (!own.ok) throw new Error(`${keyFile}: ${own.reason}`);
  const logs = logKeys(keys, logOrigin);
  const store = await openWitnessStore({ folder: join(folder, 'seen'), keys: [own.value] });
  const { app, drain } = await buildWitnessServer({
    log: openLog({ level: 'warn' }),
    lastCheckpoint: (originHash) => store.last(originHash)?.note,
    addCheckpoint: async (body) =>
      witnessAnswer(await cosignCheckpoint({ store, by, logs, now: () => new Date() }, body)),
  });
  await app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = app.server.address() as AddressInfo;
  const policyFile = join(folder, 'policy');
  const lines = [
    ...logs.map(({ text }) => `log ${text}`),
    `witness audit-office ${by.vkey} http://127.0.0.1:${port}`,
    'quorum audit-office',
  ];
  writeFileSync(policyFile, `${lines.join('\n')}\n`);
  return {
    policyFile,
    close: async () => {
      await drain(1_000);
      await store.close();
    },
  };
}
