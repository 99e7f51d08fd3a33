import type { Database } from '../../db/database.ts';
import type { Keys } from '../../signing/key-store.ts';
import { recordKeyMonthsLeft } from '../../signing/record-keys.ts';
import type { RecordIn } from '../record.ts';
import { recordKeyEvents } from './key-events.ts';
import { sealMonths } from './seal-month.ts';

export interface AuditUpkeepDeps {
  readonly db: Database;
  readonly keys: Pick<Keys, 'hubKeys' | 'recordKeys'>;
  readonly recordIn: RecordIn;
  readonly now: () => Date;
  /** Published demo keys need no month keys. */
  readonly isDemo: boolean;
  readonly log: {
    info(facts: object, message: string): void;
    warn(facts: object, message: string): void;
    error(facts: object, message: string): void;
  };
}

export interface AuditUpkeep {
  /** At the start of a hub that serves: its keys are on record before it answers anybody. Months are sealed behind it. */
  begin(): Promise<void>;
  /** Every hour: seals the months that are due. Never rejects; what failed is logged and tried again. */
  seal(): Promise<void>;
  /** Waits for a seal under way. */
  settled(): Promise<void>;
}

const fewMonths = 3;

/** What the audit log needs done from time to time, by any process of the hub. */
export function auditUpkeep({ db, keys, recordIn, now, isDemo, log }: AuditUpkeepDeps): AuditUpkeep {
  let underWay: Promise<void> = Promise.resolve();
  const seal = async (): Promise<void> => {
    try {
      for (const [month, outcome] of await sealMonths({ db, recordIn, now })) {
        if (outcome === 'sealed') log.info({ month }, 'the records of the month are sealed');
        if (outcome === 'leaves_differ') {
          log.error({ month }, 'the month cannot be sealed: the log and the records differ; run certhub fsck');
        }
      }
    } catch (error) {
      log.error({ err: error }, 'months could not be sealed');
    }
  };
  const next = (): Promise<void> => {
    underWay = underWay.then(seal);
    return underWay;
  };
  return {
    begin: async () => {
      const recorded = await recordKeyEvents({ db, recordIn, now }, keys);
      if (recorded > 0) log.info({ keys: recorded }, 'keys that came into use or were retired are on record');
      const left = recordKeyMonthsLeft(keys.recordKeys, now());
      if (!isDemo && left < fewMonths) {
        log.warn(
          { months: left },
          'few months have record keys of their own: without, a month cannot be destroyed in backups; run certhub keys rotate --use records',
        );
      }
      void next();
    },
    seal: next,
    settled: () => underWay,
  };
}
