import { sharedCluster } from './cluster.ts';
import { dropLeftovers, ensureTemplate, removeLeftoverClusters } from './database.ts';

// Runs once before all tests. The server stays up until the test runner (our parent) has run after.ts, or is gone.
// A fault here is told but fails nothing: tests without a database can do without, the others meet it again in `testDatabase`.
try {
  await removeLeftoverClusters();
  const server = await sharedCluster('fast', process.ppid);
  await dropLeftovers(server.superuserUrl);
  await ensureTemplate(server);
} catch (error) {
  console.error('no test database:', error instanceof Error ? error.message : error);
}
