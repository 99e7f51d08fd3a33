import { sharedCluster } from './cluster.ts';
import { dropLeftovers, ensureTemplate, removeLeftoverClusters } from './database.ts';

// `hold <pid>`: the shared cluster stays up until `release <pid>`, or until process <pid> is gone and somebody stops it.
// A fault is told but fails nothing: tests without a database can do without, the others meet it again in `testDatabase`.
const [, , task, pid] = process.argv;
try {
  const server = await sharedCluster('fast', Number(pid));
  if (task === 'release') await server.stop();
  else {
    await removeLeftoverClusters();
    await dropLeftovers(server.superuserUrl);
    await ensureTemplate(server);
  }
} catch (error) {
  console.error('test database:', error instanceof Error ? error.message : error);
}
