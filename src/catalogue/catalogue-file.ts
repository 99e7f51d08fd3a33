import type { Database } from '../db/database.ts';
import { transaction } from '../db/transaction.ts';
import {
  type Bilingual,
  type CertificateType,
  type CertificateTypeDefinition,
  definitionOf,
  isRetired,
  type TypeNote,
} from './certificate-type.ts';
import { type ReadDeps, readStanding } from './change-type.ts';
import { type Matter, type MatterDefinition, type MatterNote, matterDefinitionOf } from './matter.ts';

/** Name and version of the form of a catalogue file. */
const catalogueFormat = 'certhub-catalogue/1';

interface FileState {
  /** Where it was exported; an import makes the next version there. */
  readonly version: number;
  readonly state: 'published' | 'retired';
  /** Why it was retired, or published. */
  readonly reason?: string;
}
export interface FileType extends FileState {
  readonly definition: CertificateTypeDefinition;
  readonly migrationNote?: Bilingual;
}
export interface FileMatter extends FileState {
  readonly definition: MatterDefinition;
}

/** The whole catalogue as one file: the newest version of everything. */
export interface CatalogueFile {
  readonly format: typeof catalogueFormat;
  /** RFC 3339 UTC. */
  readonly exportedAt: string;
  readonly types: readonly FileType[];
  readonly matters: readonly FileMatter[];
}

const stateOf = (entry: CertificateType | Matter): FileState => ({
  version: entry.version,
  state: isRetired(entry) ? 'retired' : 'published',
  ...(entry.note?.reason !== undefined && { reason: entry.note.reason }),
});

/** What an entry of a file says beside its definition. */
export const noteOf = ({
  state,
  reason,
  migrationNote,
}: FileState & { readonly migrationNote?: Bilingual }): TypeNote & MatterNote => ({
  ...(state === 'retired' && { state }),
  ...(reason !== undefined && { reason }),
  ...(migrationNote !== undefined && { migrationNote }),
});

/** The catalogue of one moment, in order of the codes. */
export const exportCatalogue = (
  deps: ReadDeps & { readonly db: Pick<Database, 'kysely'> },
  { at }: { readonly at: Date },
): Promise<CatalogueFile> =>
  transaction(
    deps.db,
    async (trx) => {
      const { types, matters } = await readStanding(trx, deps);
      return {
        format: catalogueFormat,
        exportedAt: at.toISOString(),
        types: [...types.values()].map((type) => ({
          definition: definitionOf(type),
          ...stateOf(type),
          ...(type.note?.migrationNote !== undefined && { migrationNote: type.note.migrationNote }),
        })),
        matters: matters.map((matter) => ({ definition: matterDefinitionOf(matter), ...stateOf(matter) })),
      };
    },
    { isolation: 'repeatable read', readOnly: true },
  );
