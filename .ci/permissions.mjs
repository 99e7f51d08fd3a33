// Who may call what, as a table made from the contract (x-roles, x-limits): openapi/permissions.md. With --check it writes nothing and
// fails when the table is not what the contract says.
import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parse } from 'yaml';

const root = resolve(import.meta.dirname, '..');
const file = resolve(root, 'openapi/permissions.md');
const { paths, components } = parse(readFileSync(resolve(root, 'openapi/certhub.yaml'), 'utf8'));
const roles = components.schemas.Role.enum;
const codes = components.schemas.ProblemCode.enum;
const reaches = {
  own_client: 'own client',
  own_department: 'own department',
  other_clients: 'other clients',
  other_departments: 'other departments',
};

function fail(message) {
  console.error(message);
  process.exit(1);
}

function cell(id, allowed, limits, role) {
  if (!allowed.includes(role)) return '–';
  const limit = limits[role];
  if (limit === undefined) return 'all';
  const reach = reaches[limit.to] ?? fail(`${id}: x-limits of ${role} reaches ${limit.to}`);
  if (limit.else !== 'nothing' && !codes.includes(limit.else)) fail(`${id}: no problem has the code ${limit.else}`);
  return `${reach}, else ${limit.else === 'nothing' ? 'nothing' : `\`${limit.else}\``}`;
}

const methods = ['get', 'put', 'post', 'delete', 'patch'];
const operations = Object.entries(paths).flatMap(([path, item]) =>
  methods.filter((method) => item[method] !== undefined).map((method) => ({ path, method, ...item[method] })),
);
const lines = operations.map(({ operationId, path, method, security, ...more }) => {
  const { 'x-roles': allowed = [], 'x-limits': limits = {} } = more;
  const stray = Object.keys(limits).find((role) => !allowed.includes(role));
  if (stray !== undefined) fail(`${operationId}: x-limits speaks of ${stray}, which x-roles leaves out`);
  const cells =
    security.length === 0
      ? roles.map(() => 'everybody')
      : roles.map((role) => cell(operationId, allowed, limits, role));
  return `| ${[operationId, `\`${method.toUpperCase()} ${path}\``, ...cells].join(' | ')} |`;
});

const text = `# Who may call what

Made from \`certhub.yaml\` by \`npm run gen\`; a test asks every cell of a running hub.

- \`–\`: refused with \`role_required\`. Without a token, or with a bad one: \`token_missing\`, \`token_invalid\`. \`everybody\`: takes no token.
- \`all\`: whatever client and department it concerns.
- \`own client\`: only what belongs to the calling client: its grants, applications, tickets, reports and records, and what its grants open.
- \`own department\`: only what the department of the calling client answers for: certificates it issues and reports about them, certificate
  types that it owns with their grants and applications, matters that it handles, demands that it has or should meet, paper that it
  demands.
- \`other clients\`, \`other departments\`: only what somebody else asked for; nobody decides on a request of their own.
- \`else\`: what is told of everything else: a problem code, the same for what is not there at all where it stands after \`own\`, or
  \`nothing\`, where it is left out of the answer, or where no request can name it.

| operation | request | ${roles.join(' | ')} |
|${' --- |'.repeat(roles.length + 2)}
${lines.join('\n')}
`;

if (!process.argv.includes('--check')) writeFileSync(file, text);
else if (readFileSync(file, 'utf8') !== text) fail('openapi/permissions.md is not what the contract says: npm run gen');
