import { startEmbedded } from '../../src/db/embedded.ts';

// A process of its own for tests: starts or joins the cluster of argv[2] with the binaries of argv[3], prints one line of JSON,
// and stops in order when its standard input ends.
const [, , dataDir = '', binaries] = process.argv;
try {
  const server = await startEmbedded({ dataDir, ...(binaries === undefined ? {} : { binaries }) });
  console.log(
    JSON.stringify({ pid: server.pid, adopted: server.adopted, ownerUrl: server.urls.owner, uid: process.getuid?.() }),
  );
  process.stdin.resume().once('end', () => {
    void server.stop().then(() => process.exit(0));
  });
} catch (error) {
  console.log(JSON.stringify({ error: error instanceof Error ? error.message : 'unknown' }));
  process.exit(1);
}
