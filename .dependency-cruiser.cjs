/**
 * Who may import whom, as the design says: a folder may use the folders named after it, plus `errors.ts` and `ids.ts`.
 * Run by `npm run check`; `tests/repo.test.ts` asserts that it looked at every module and that planted breaches are found.
 */
const may = {
  verification: '',
  db: '',
  http: '',
  documents: 'verification',
  signing: 'verification',
  audit: 'db signing verification',
  catalogue: 'audit db verification',
  departments: 'audit db signing verification',
  grants: 'audit catalogue db departments verification',
  certificates: 'audit catalogue db departments documents signing verification',
  lookup: 'audit catalogue certificates db departments documents grants signing verification',
  exchange: 'audit catalogue certificates db departments grants signing verification',
  supervision: 'audit catalogue certificates db departments grants verification',
  federation: 'audit catalogue db departments signing verification',
};
const shared = '^src/(errors|ids)\\.ts$';
/** `routes.ts`, or `<part>-routes.ts` where a capability has two. */
const routes = '[/-]routes\\.ts$';
/** `departments.ts` and `departments/` alike. */
const place = (names) => `^src/(${names.join('|')})(\\.ts$|/)`;

const error = (name, comment, rule) => ({ name, comment, severity: 'error', ...rule });

const reaches = ([name, uses]) =>
  error(`${name}-reaches-out`, `${name} may use: ${uses || 'nothing of ours'}, errors.ts, ids.ts.`, {
    from: { path: place([name]), pathNot: routes },
    to: { path: '^src/', pathNot: [place([name, ...uses.split(' ').filter(Boolean)]), shared] },
  });

/** A module may be imported in the places named and nowhere else; `node_modules` paths and bare built-ins alike. */
const only = (name, comment, module, allowed) =>
  error(name, comment, { from: { path: '^src/', pathNot: allowed }, to: { path: module } });

module.exports = {
  forbidden: [
    ...Object.entries(may).map(reaches),
    error('unlisted-folder', 'A new folder needs a line in the table above and in the design.', {
      from: { path: '^src/[^/]+/', pathNot: [place([...Object.keys(may), 'cli', 'console'])] },
      to: {},
    }),
    error('shared-reaches-out', 'errors.ts, ids.ts and config.ts stand below everything.', {
      from: { path: '^src/(errors|ids|config)\\.ts$' },
      to: { path: '^src/' },
    }),
    error(
      'config-is-handed-in',
      'Settings are read once, by main.ts and the commands; everything else gets arguments.',
      {
        from: { path: '^src/', pathNot: '^src/(main\\.ts$|hub(-core|-facts|-handlers)?\\.ts$|cli/)' },
        to: { path: '^src/config\\.ts$' },
      },
    ),
    error('routes-translate-only', 'routes.ts sees its own folder, the types of the contract, errors.ts and ids.ts.', {
      from: { path: '^src/([^/]+)/.*routes\\.ts$' },
      to: { path: '^src/', pathNot: ['^src/$1/', '^src/http/(handlers|contract\\.gen)\\.ts$', shared] },
    }),
    error('routes-take-types-only', 'http/ knows no capability and no capability runs its code.', {
      from: { path: routes, pathNot: '^src/http/' },
      to: { path: '^src/http/', dependencyTypesNot: ['type-only'] },
    }),
    error('console-is-a-client', 'The console knows the contract and nothing else of ours.', {
      from: { path: '^src/console/' },
      to: { path: '^src/', pathNot: ['^src/console/', '^src/http/contract\\.gen\\.ts$'] },
    }),
    error('nobody-imports-the-top', 'main.ts and the commands are entrances; main.ts is the command `start`.', {
      from: { path: '^src/', pathNot: '^src/(main\\.ts$|cli/)' },
      to: { path: '^src/(main\\.ts$|cli/)' },
    }),
    error('hub-is-the-top', 'Only main.ts and the commands assemble a hub.', {
      from: { path: '^src/', pathNot: '^src/(main\\.ts$|hub(-core|-facts|-handlers)?\\.ts$|cli/)' },
      to: { path: '^src/hub(-core|-facts|-handlers)?\\.ts$' },
    }),
    error('source-needs-no-tests', 'What ships does not know its tests.', {
      from: { path: '^src/' },
      to: { path: '^tests/' },
    }),
    only('pg-in-db', 'Connections live in db/.', 'node_modules/(pg|pg-[^/]+|@types/pg)/', '^src/db/'),
    only(
      'fastify-in-http',
      'Capabilities know the contract, not the server.',
      'node_modules/(fastify|@fastify/[^/]+)/',
      ['^src/http/', routes],
    ),
    only(
      'forge-in-signing',
      'node-forge reads and writes PKCS#12; it never decides whether a signature is valid.',
      'node_modules/(node-forge|@types/node-forge)/',
      '^src/signing/',
    ),
    error('no-development-packages', 'A production installation has no development packages.', {
      from: { path: '^src/', pathNot: '^src/console/' },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'], pathNot: 'node_modules/@types/' },
    }),
    error('no-cycles', 'A cycle is one module in several files.', { from: {}, to: { circular: true } }),
    error('not-resolvable', 'A rule about a package never matches what was not resolved.', {
      from: {},
      to: { couldNotResolve: true },
    }),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
    },
  },
};
