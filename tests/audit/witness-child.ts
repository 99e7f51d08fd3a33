import { readFileSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { cosignCheckpoint } from '../../src/audit/log/cosign-checkpoint.ts';
import { openWitnessStore } from '../../src/audit/log/witness-store.ts';
import { loadNoteKey } from '../../src/signing/note-key-file.ts';
import { verifierOf } from './witness-log.ts';

// `<folder> <key file> <log's vkey> <body file> <before|after>`: a witness that is killed at the rename of its state.
const [, , folder = '', keyFile = '', log = '', bodyFile = '', when] = process.argv;
const by = loadNoteKey(keyFile, 4);
const store = await openWitnessStore({
  folder,
  keys: [verifierOf(by.vkey)],
  replace: async (from, to) => {
    if (when === 'after') await rename(from, to);
    process.kill(process.pid, 'SIGKILL');
    // The signal may take a moment: nothing more happens until then.
    await new Promise(() => undefined);
  },
});
const now = (): Date => new Date();
await cosignCheckpoint({ store, by, logs: [verifierOf(log)], now }, readFileSync(bodyFile));
