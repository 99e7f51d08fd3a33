import type { Recorder, RecordIn } from '../audit/record.ts';
import type { CataloguedType, CatalogueView } from '../catalogue/catalogue.ts';
import type { Database } from '../db/database.ts';
import type { FreshView } from '../db/fresh.ts';
import type { Write } from '../db/write.ts';
import { Refusal } from '../errors.ts';
import type { Call } from '../ids.ts';
import type { SealSigner } from '../signing/key-store.ts';
import type { RowKeys } from './certificate-version.ts';
import type { SealTrust } from './seal-check.ts';

/** What the life of a certificate needs. */
export interface CertificateDeps {
  readonly db: Database;
  readonly write: Write;
  readonly record: Recorder;
  readonly recordIn: RecordIn;
  readonly keys: RowKeys & { sealSigner(department: string): SealSigner | undefined };
  readonly catalogue: CatalogueView;
  readonly trust: FreshView<SealTrust>;
  /** Public address of the hub without trailing slash: where status lists are published. */
  readonly issuer: string;
  /** IANA name: whose midnights begin and end a validity. */
  readonly cityTimeZone: string;
  /** Told of every row that somebody else than the hub wrote. */
  readonly tampered: (kind: string, id: string) => void;
}

/** Who changes a certificate, and under which Idempotency-Key. */
export interface ChangeRequest {
  readonly call: Call;
  readonly idempotencyKey: string;
}

/** The type version under which a certificate was pushed. Its rows are checked, so a version that is missing was taken away. */
export async function typeOf(
  catalogue: CatalogueView,
  row: { readonly certificate_type_code: string; readonly type_version: number },
): Promise<CataloguedType> {
  const found = (await catalogue.read()).version(row.certificate_type_code, row.type_version);
  if (found === undefined) throw new Refusal('certificate_type_unknown');
  return found;
}
