import type { Handlers } from '../http/handlers.ts';
import { type CatalogueFile, exportCatalogue } from './catalogue-file.ts';
import { type ImportDeps, importCatalogue } from './import-catalogue.ts';

type FileBody = Awaited<ReturnType<Handlers['exportCatalogue']>>['body'];
type ImportedBody = Awaited<ReturnType<Handlers['importCatalogue']>>['body'];

/** Handlers of the catalogue as one file. */
export function catalogueFileHandlers(
  deps: Parameters<typeof exportCatalogue>[0] & ImportDeps & Parameters<typeof importCatalogue>[0],
): Pick<Handlers, 'exportCatalogue' | 'importCatalogue'> {
  return {
    exportCatalogue: async ({ receivedAt }) => ({
      status: 200,
      // Definitions came through the contract, and go out as they came.
      body: (await exportCatalogue(deps, { at: receivedAt })) as unknown as FileBody,
    }),
    importCatalogue: async ({ caller, requestId, receivedAt, body, headers }) => {
      const { dryRun = false, ...file } = body;
      const answer = await importCatalogue(deps, {
        call: { caller, requestId, at: receivedAt },
        idempotencyKey: headers['idempotency-key'],
        // The codes in it are checked before anything is done with them.
        file: file as unknown as CatalogueFile,
        dryRun,
      });
      return { status: 200, body: answer.body as ImportedBody };
    },
  };
}
