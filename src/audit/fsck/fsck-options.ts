import type { Database } from '../../db/database.ts';
import type { EncryptionKeys, IndexKeys } from '../../signing/data-keys.ts';
import type { Keys } from '../../signing/key-store.ts';
import type { LogPolicy } from '../../verification/log-policy.ts';
import type { RecordKeys } from '../open-record.ts';
import type { RegistryNow } from './fsck-registry.ts';
import type { FsckState } from './fsck-state.ts';
import type { CheckedPage } from './fsck-strays.ts';

/** A check of tables that other folders own: pages, each from where the last one ended. */
export interface FurtherCheck {
  readonly name: string;
  readonly page: (after: string | null) => Promise<CheckedPage<string>>;
}

export interface FsckDeps {
  /** Under the service's role: nothing is changed. */
  readonly db: Database;
  readonly keys: RecordKeys &
    Pick<EncryptionKeys, 'box' | 'rowMac' | 'verifyRowMac'> &
    Pick<IndexKeys, 'searchKey'> &
    Pick<Keys, 'hubKeys'>;
  readonly now: () => Date;
  readonly registry?: (() => Promise<RegistryNow>) | undefined;
  readonly further?: readonly FurtherCheck[] | undefined;
}

export interface FsckOptions {
  /** The log's name as the settings say it; undefined: as the database says. */
  readonly origin?: string | undefined;
  readonly policy?: LogPolicy | undefined;
  /** Longest wait for a leaf before it is a finding; default 60 s. */
  readonly lateMs?: number | undefined;
  /** Longest time without a quorum of witnesses before it is a finding; default 1 h. */
  readonly witnessMs?: number | undefined;
  /** Months ('YYYY-MM') whose records are opened: from the first to before the second. Leaves and tree are always checked in whole. */
  readonly from?: string | undefined;
  readonly until?: string | undefined;
  /** Leaves of one batch; a multiple of 256. Default 2,560. */
  readonly batch?: number | undefined;
  /** To go on from; it is changed while the check runs. */
  readonly state?: FsckState | undefined;
  /** Told after every batch; the state may be stored then. */
  readonly progress?: ((state: FsckState) => void) | undefined;
  /** Stops after the batch under way; the state is good to go on from. */
  readonly signal?: AbortSignal | undefined;
}
