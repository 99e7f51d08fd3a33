import { sharedCluster } from './cluster.ts';

// Gives up what before.ts held for the test runner; the last run of this checkout to end stops the server.
try {
  const server = await sharedCluster('fast', process.ppid);
  await server.stop();
} catch (error) {
  console.error('test database not stopped:', error instanceof Error ? error.message : error);
}
