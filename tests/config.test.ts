import fc from 'fast-check';
import t from 'tap';
import { ConfigError, readConfig, settings } from '../src/config.ts';

const goodNode = { nodeVersion: '24.22.1' };

const faultsOf = (env: Record<string, string>, nodeVersion = goodNode.nodeVersion): readonly string[] => {
  try {
    readConfig(env, { nodeVersion });
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.faults;
  }
};

await t.test('an empty environment is a safe production hub on loopback', async (t) => {
  const config = readConfig({}, goodNode);
  t.match(config, {
    mode: 'production',
    host: '127.0.0.1',
    port: 8470,
    issuer: 'http://127.0.0.1:8470',
    databaseUrl: undefined,
    dataDir: '.certhub',
    keysDir: '.certhub/keys',
    cityTimeZone: 'Asia/Shanghai',
    tokenTtlSeconds: 600,
    trustedProxies: [],
  });
  t.strictSame(
    config.warnings.map((each) => /embedded/.test(each)),
    [true],
    'and says that it stands on the embedded database',
  );
  t.strictSame(
    readConfig(Object.fromEntries(settings.map(({ name }) => [name, ''])), goodNode),
    config,
    'empty is absent',
  );
});

await t.test('values are read', async (t) => {
  const config = readConfig(
    {
      CERTHUB_MODE: 'demo',
      CERTHUB_PORT: '9000',
      CERTHUB_DATA_DIR: '/srv/certhub',
      CERTHUB_TRUSTED_PROXIES: '10.0.0.0/8, ::1 192.0.2.7',
      CERTHUB_ISSUER: 'https://certs.city.example/',
      CERTHUB_PREPARED_STATEMENTS: 'off',
      UNRELATED: 'x',
    },
    goodNode,
  );
  t.match(config, {
    mode: 'demo',
    port: 9000,
    keysDir: '/srv/certhub/keys',
    trustedProxies: ['10.0.0.0/8', '::1', '192.0.2.7'],
    issuer: 'https://certs.city.example',
    preparedStatements: false,
  });
  t.equal(readConfig({ CERTHUB_PORT: '9000' }, goodNode).issuer, 'http://127.0.0.1:9000');
});

await t.test('every fault is reported at once, and each refuses', async (t) => {
  const bad: Record<string, string> = {
    CERTHUB_MODE: 'prod',
    CERTHUB_PORT: '0',
    CERTHUB_ISSUER: 'https://city.example/hub',
    CERTHUB_BEHIND_TLS: 'yes',
    CERTHUB_TRUSTED_PROXIES: '10.0.0.0/33',
    DATABASE_URL: 'mysql://secret@host/db',
    CERTHUB_DATABASE_CONNECTIONS: '1e2',
    CERTHUB_LOG_LEVEL: 'verbose',
    CERTHUB_TOKEN_TTL_SECONDS: '901',
    CERTHUB_CITY_TIME_ZONE: 'Mars/Olympus',
  };
  const faults = faultsOf(bad);
  t.strictSame(new Set(faults.map((fault) => fault.split(' ')[0])), new Set(Object.keys(bad)));
  t.notMatch(faults.join(), 'secret', 'a secret is not repeated');
  for (const [name, value] of Object.entries(bad)) t.equal(faultsOf({ [name]: value }).length, 1, `${name}=${value}`);
  for (const value of ['0.0.0.0/0', '::/0', '10.0.0.0/', '10.0.0', 'proxy.local', '10.0.0.0/8/8', '::1/129']) {
    t.equal(faultsOf({ CERTHUB_TRUSTED_PROXIES: value }).length, 1, `trusted proxies ${value}`);
  }
  for (const value of [
    'ftp://a',
    'a',
    'https://u:p@city.example',
    'https://city.example/?a',
    'https://city.example/#a',
  ]) {
    t.equal(faultsOf({ CERTHUB_ISSUER: value }).length, 1, `issuer ${value}`);
  }
  t.equal(faultsOf({ CERTHUB_DATA_DIR: 'a\0b' }).length, 1, 'NUL');
  t.equal(faultsOf({ CERTHUB_PORT: 'x', CERTHUB_HOST: '0.0.0.0' }).length, 2, 'contradictions stand beside faults');
});

await t.test('an unknown variable is refused with the nearest name', async (t) => {
  t.strictSame(faultsOf({ CERTHUB_TOKEN_TTL: '60' }), [
    'CERTHUB_TOKEN_TTL is not a setting; the nearest is CERTHUB_TOKEN_TTL_SECONDS',
  ]);
  t.match(faultsOf({ CERTHUB_HOTS: 'x' })[0], /nearest is CERTHUB_HOST$/);
  t.match(faultsOf({ CERTHUB_PORT_FILE: 'x' })[0], /nearest is CERTHUB_PORT$/, 'only secrets come in files');
});

await t.test('secrets come from files', async (t) => {
  const url = 'postgresql://certhub_service:p%40ss@db:5432/certhub?sslmode=verify-full';
  const read = (env: Record<string, string>, content: string) =>
    readConfig(env, { ...goodNode, readSecret: (path) => (path === '/run/secrets/db' ? content : '') });
  const config = read({ DATABASE_URL_FILE: '/run/secrets/db' }, `${url}\n`);
  t.equal(config.databaseUrl, url);
  t.match(config.warnings, [/CERTHUB_SEQUENCER_DATABASE_URL is not set/], 'nobody would write the log');
  t.throws(() => read({ DATABASE_URL_FILE: '/run/secrets/db', DATABASE_URL: url }, url), { message: /given twice/ });
  t.throws(() => read({ DATABASE_URL_FILE: '/run/secrets/db' }, '\n'), { message: /is empty/ });
  const dir = t.testdir({ url: `${url}\n` });
  t.equal(readConfig({ DATABASE_URL_FILE: `${dir}/url` }, goodNode).databaseUrl, url);
  t.match(faultsOf({ DATABASE_URL_FILE: `${dir}/none` }), [
    /cannot be read from the file that DATABASE_URL_FILE names/,
  ]);
});

await t.test('contradictions are refused', async (t) => {
  const service = 'postgresql://certhub_service:a@db/certhub?sslmode=verify-full';
  const owner = 'postgresql://certhub_owner:b@db/certhub?sslmode=verify-full';
  const cases: [string, Record<string, string>, RegExp][] = [
    ['plain HTTP beyond loopback', { CERTHUB_HOST: '0.0.0.0' }, /^CERTHUB_HOST .*CERTHUB_BEHIND_TLS=on/],
    ['http issuer', { CERTHUB_ISSUER: 'http://certs.city.example' }, /^CERTHUB_ISSUER .*CERTHUB_BEHIND_TLS=on/],
    ['owner without service', { CERTHUB_MIGRATION_DATABASE_URL: owner }, /without DATABASE_URL/],
    [
      'one account for both',
      { CERTHUB_MIGRATION_DATABASE_URL: `${service}&a=1`, DATABASE_URL: service },
      /same account/,
    ],
  ];
  for (const [name, env, fault] of cases) t.match(faultsOf(env), [fault], name);
  t.strictSame(faultsOf({ DATABASE_URL: service, CERTHUB_MIGRATION_DATABASE_URL: owner }), []);
  t.strictSame(faultsOf({ CERTHUB_HOST: '0.0.0.0', CERTHUB_BEHIND_TLS: 'on' }), []);
  t.strictSame(faultsOf({ CERTHUB_HOST: '0.0.0.0', CERTHUB_MODE: 'demo' }), []);
  for (const host of ['::1', 'localhost', '127.0.0.2']) t.strictSame(faultsOf({ CERTHUB_HOST: host }), [], host);
});

await t.test('Node versions: refused, warned about, good', async (t) => {
  const warned = (nodeVersion: string, env: Record<string, string> = {}) =>
    readConfig(env, { nodeVersion }).warnings.some((each) => each.includes('CVE-2026-111497'));
  for (const version of ['20.20.2', '21.7.3', '23.11.0', '25.1.0']) {
    t.match(faultsOf({}, version), [/past its end of life/], version);
    t.ok(warned(version, { CERTHUB_ALLOW_OLD_NODE: 'on' }), `${version}, allowed`);
    t.ok(warned(version, { CERTHUB_MODE: 'demo' }), `${version}, demo`);
  }
  for (const version of ['22.23.3', '24.21.9', 'v26.10.0']) t.ok(warned(version), version);
  for (const version of ['22.23.4', '24.22.1', '24.23.0', '26.12.1', '27.0.0']) t.notOk(warned(version), version);
  t.match(faultsOf({ CERTHUB_ALLOW_OLD_NODE: 'on' }, '20.18.3'), [/older than 20.19/]);
});

await t.test('what is allowed but should be known is said', async (t) => {
  const warnings = (env: Record<string, string>) => readConfig(env, goodNode).warnings.join('\n');
  t.match(warnings({ DATABASE_URL: 'postgresql://a:b@db.city/c' }), /not encrypted/);
  t.match(warnings({ CERTHUB_MODE: 'demo', DATABASE_URL: 'postgresql://a:b@localhost/c' }), /synthetic people/);
  t.match(warnings({ CERTHUB_MODE: 'demo', CERTHUB_HOST: '0.0.0.0' }), /keys are published/);
  const both = {
    DATABASE_URL: 'postgresql://a@localhost/c',
    CERTHUB_MIGRATION_DATABASE_URL: 'postgresql://b@localhost/c',
  };
  t.match(warnings(both), /for `certhub migrate` and `certhub audit erase` alone/);
  t.match(warnings({ CERTHUB_BEHIND_TLS: 'on' }), /CERTHUB_TRUSTED_PROXIES is empty/);
});

await t.test('the table describes every setting', async (t) => {
  t.equal(new Set(settings.map(({ name }) => name)).size, settings.length);
  for (const { name, type, meaning } of settings) t.ok(type !== '' && meaning.endsWith('.'), name);
});

await t.test('any text gives settings or a ConfigError, never another error', async (t) => {
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.webUrl(),
    fc.ipV4(),
    fc.constantFrom('on', 'demo', '30', '::1/64'),
  );
  const env = fc.dictionary(fc.constantFrom(...settings.map(({ name }) => name)), text);
  fc.assert(
    fc.property(env, fc.string(), (given, nodeVersion) => {
      faultsOf(given, nodeVersion);
    }),
    { seed: 20_261_122, numRuns: 2_000 },
  );
  t.pass();
});
