import type { AddressInfo } from 'node:net';
import type { Test } from 'tap';
import type { Sequencer } from '../../src/audit/log/sequencer.ts';
import { type ApiClient, apiClient } from '../../src/cli/api-client.ts';
import { demoClientKey, registerDemo } from '../../src/cli/demo/registry.ts';
import { openSequencer } from '../../src/cli/open-sequencer.ts';
import { type Config, readConfig } from '../../src/config.ts';
import type { Database } from '../../src/db/database.ts';
import { connectPools } from '../../src/db/pools.ts';
import { openLog } from '../../src/http/log.ts';
import type { ServerOptions } from '../../src/http/server.ts';
import { assembleHub, type Hub } from '../../src/hub.ts';
import { assembleCore, type Basis, type Core } from '../../src/hub-core.ts';
import { loadKeys } from '../../src/signing/key-store.ts';
import { type TestDatabase, testDatabase } from './database.ts';

export const exampleKeys = loadKeys('keys-example', { mode: 'demo' });

export interface TestHub {
  readonly url: string;
  readonly core: Core;
  readonly hub: Hub;
  readonly db: Database;
  readonly database: TestDatabase;
  readonly logLines: readonly string[];
  /** With `sequence: true`. */
  readonly sequencer: Sequencer | undefined;
  readonly client: (clientId: string) => ApiClient;
  /** Without a token. */
  anyone: ApiClient;
}

export interface StartOptions {
  readonly database?: TestDatabase;
  readonly env?: Record<string, string>;
  readonly options?: ServerOptions;
  readonly now?: () => Date;
  readonly insertAll?: (db: Database) => NonNullable<Basis['insertAll']>;
  /** False for a second hub on a database that is registered already. */
  readonly register?: boolean;
  /** True to run the sequencer too; default false. */
  readonly sequence?: boolean;
}

export const testConfig = (env: Record<string, string> = {}): Config =>
  readConfig(
    { CERTHUB_MODE: 'demo', CERTHUB_ISSUER: 'http://hub.test', CERTHUB_RATE_LIMIT_PER_MINUTE: '100000', ...env },
    { nodeVersion: process.versions.node },
  );

/** A hub on its own database with the demo's registry, listening on a port of its own, gone at teardown. */
export async function startHub(t: Test, settings: StartOptions = {}): Promise<TestHub> {
  const database = settings.database ?? (await testDatabase(t));
  const pools = connectPools({
    url: database.serviceUrl,
    max: 6,
    statementTimeoutMs: 5_000,
    applicationName: 'hub under test',
  });
  const { db, reservedDb } = pools;
  const logLines: string[] = [];
  const log = openLog({ level: 'debug', write: (line) => void logLines.push(line) });
  const core = await assembleCore({
    config: testConfig(settings.env),
    db,
    reservedDb,
    keys: exampleKeys,
    log,
    now: settings.now ?? (() => new Date()),
    ...(settings.insertAll !== undefined && { insertAll: settings.insertAll(reservedDb) }),
  });
  if (settings.register !== false) await registerDemo(core);
  const hub = await assembleHub(core, { docs: false, ...settings.options });
  await hub.app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = hub.app.server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;
  const opened =
    settings.sequence === true
      ? openSequencer({ config: core.config, keys: core.keys, log }, database.sequencerUrl)
      : undefined;
  t.teardown(async () => {
    await hub.drain(2_000);
    await core.close();
    await opened?.close();
    await pools.close();
  });
  const issuer = core.config.issuer;
  return {
    url,
    core,
    hub,
    db,
    database,
    logLines,
    sequencer: opened?.sequencer,
    client: (clientId) => apiClient({ url, issuer, clientId, key: demoClientKey(clientId) }),
    anyone: apiClient({ url, issuer, clientId: 'nobody' }),
  };
}
