import swagger, { type FastifyStaticSwaggerOptions } from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';
import { Refusal, type RefusalCode } from '../errors.ts';
import type { Contract } from './contract.ts';
import { problems } from './problem.ts';

// Nothing from another host; styles may be inline because swagger-ui sets them on elements.
const docsPolicy =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; " +
  "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const pagePolicy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'";

/** Serves the contract at `/openapi.json`, readable docs at `/docs` and one page per problem code at `/problems/{code}`. */
export async function registerDocs(app: FastifyInstance, contract: Contract): Promise<void> {
  const document = JSON.stringify(contract);
  app.get('/openapi.json', async (_request, reply) =>
    reply.type('application/json; charset=utf-8').header('cache-control', 'public, max-age=60').send(document),
  );

  app.get<{ Params: { code: string } }>('/problems/:code', async (request, reply) => {
    const page = problemPage(request.params.code);
    if (page === undefined) throw new Refusal('not_found');
    return reply
      .type('text/html; charset=utf-8')
      .header('content-security-policy', pagePolicy)
      .header('cache-control', 'public, max-age=3600')
      .send(page);
  });

  // A scope of its own: swagger-ui's hooks and headers stay with its pages.
  await app.register(async (scope) => {
    // A copy, as swagger may write into it; its types stop at OpenAPI 3.0, which static mode does not mind.
    const specification = { document: JSON.parse(document) as unknown } as FastifyStaticSwaggerOptions['specification'];
    await scope.register(swagger, { mode: 'static', specification });
    await scope.register(swaggerUi, {
      routePrefix: '/docs',
      staticCSP: docsPolicy,
      theme: { title: 'certhub API' },
      uiConfig: { validatorUrl: null, deepLinking: true, docExpansion: 'list', defaultModelsExpandDepth: 0 },
    });
  });
}

/** A page for people about one code, Chinese first; undefined for a code that does not exist. */
function problemPage(code: string): string | undefined {
  if (!Object.hasOwn(problems, code)) return undefined;
  const { status, title, detail, next } = problems[code as RefusalCode];
  const part = (lang: string, name: string, words: readonly [string, string, string], label: string): string =>
    `<section lang="${lang}"><h2>${escape(words[0])}</h2><p>${escape(words[1])}</p>` +
    `<p><strong>${label}</strong> ${escape(words[2])}</p><p class="small">${name}</p></section>`;
  return (
    `<!doctype html><html lang="zh-CN"><head><meta charset="utf-8"><title>${escape(code)} · certhub</title>` +
    '<meta name="viewport" content="width=device-width, initial-scale=1"><style>' +
    'body{font:16px/1.6 system-ui,sans-serif;max-width:44rem;margin:3rem auto;padding:0 1rem;color:#1a1a1a}' +
    'h1{font:600 1.2rem ui-monospace,monospace}h2{font-size:1.1rem;margin-top:2rem}.small{color:#666;font-size:.85rem}' +
    `</style></head><body><h1>${escape(code)} · HTTP ${status}</h1>` +
    part('zh-CN', '中文', [title.zh, detail.zh, next.zh], '怎么办：') +
    part('en', 'English', [title.en, detail.en, next.en], 'What to do:') +
    '</body></html>'
  );
}

const escape = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
