// `npm run check`: everything that can be said about the code without running it. Each step is a claim; all are tried,
// and the exit status tells whether all hold.
import { spawnSync } from 'node:child_process';
import { delimiter, resolve } from 'node:path';
import { performance } from 'node:perf_hooks';

const claims = [
  ['contract and generated types agree', 'openapi-typescript openapi/certhub.yaml -o src/http/contract.gen.ts --check'],
  ['the table of permissions says what the contract says', 'node .ci/permissions.mjs --check'],
  ['the contract is well-formed OpenAPI', 'redocly lint --config .redocly.yaml openapi/certhub.yaml'],
  ['every file is formatted and its imports are in order', 'biome check .'],
  ['everything compiles, and what must not compile does not', 'tsc -p tests/tsconfig.json --noEmit'],
  ['the linter finds nothing', 'oxlint --type-aware --deny-warnings src tests'],
  ['no folder reaches where it may not', 'depcruise --config .dependency-cruiser.cjs src'],
  ['no file, export or package is unused', 'knip --config .knip.json --no-config-hints'],
];

const root = resolve(import.meta.dirname, '..');
const env = {
  ...process.env,
  PATH: resolve(root, 'node_modules/.bin') + delimiter + process.env.PATH,
  REDOCLY_TELEMETRY: 'off',
  REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true',
};

let failed = 0;
for (const [claim, command] of claims) {
  const began = performance.now();
  const { status, stdout, stderr, error } = spawnSync(command, { cwd: root, env, shell: true, encoding: 'utf8' });
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  console.log(`${status === 0 ? 'ok    ' : 'not ok'} ${claim} (${seconds} s)`);
  if (status !== 0) {
    failed += 1;
    console.log(`       ${command}\n${stdout ?? ''}${stderr ?? ''}${error?.message ?? ''}`);
  }
}
console.log(failed === 0 ? `all ${claims.length} claims hold` : `${failed} of ${claims.length} claims do not hold`);
process.exitCode = failed === 0 ? 0 : 1;
