import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type EmbeddedServer, startEmbedded } from '../../src/db/embedded.ts';

/** Tests that ask for durability share a second cluster, with fsync on. */
export type Kind = 'fast' | 'durable';

const checkout = createHash('sha256')
  .update(`${import.meta.dirname} ${process.getuid?.()}`)
  .digest('hex')
  .slice(0, 10);

/** The cluster all tests of this checkout share; it is made once and kept, so that later runs start in a fraction of a second. */
const dataDir = (kind: Kind): string => join(tmpdir(), `certhub-tests-${checkout}-${kind}`);

/** Starts or joins the shared cluster; `heldFor`: the process it must outlive. */
export const sharedCluster = (kind: Kind, heldFor?: number): Promise<EmbeddedServer> =>
  startEmbedded({
    dataDir: dataDir(kind),
    settings: {
      max_connections: '300',
      autovacuum_naptime: '1h',
      ...(kind === 'fast'
        ? { fsync: 'off', full_page_writes: 'off', synchronous_commit: 'on', max_wal_size: '4GB' }
        : {}),
    },
    ...(heldFor === undefined ? {} : { heldFor }),
  });
