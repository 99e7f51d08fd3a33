import { countFindings } from '../audit/fsck/fsck-findings.ts';
import type { FsckState } from '../audit/fsck/fsck-state.ts';

/** Where progress is written; a terminal gets a bar in place, anything else a line now and then. */
type Out = { readonly write: (text: string) => unknown; readonly isTTY?: boolean };

const barEveryMs = 150;
const lineEveryMs = 5_000;
const barWidth = 30;

/** Shows how far a self-check has come. `end` takes the bar away. */
export function fsckProgress(out: Out): { readonly show: (state: FsckState) => void; readonly end: () => void } {
  const onTerminal = out.isTTY === true;
  let [last, lastRows, shown, step] = [performance.now(), 0, false, ''];
  return {
    show: (state) => {
      const now = performance.now();
      if (now - last < (onTerminal ? barEveryMs : lineEveryMs) && state.step === step) return;
      if (!onTerminal && now - last < lineEveryMs) return;
      const rows = state.step === step ? state.rows - lastRows : state.rows;
      const perSecond = Math.round((rows / Math.max(1, now - last)) * 1000);
      [last, lastRows, step] = [now, state.rows, state.step];
      const text = lineOf(state, perSecond, onTerminal);
      out.write(onTerminal ? `\r\x1b[2K${text}` : `${text}\n`);
      shown = onTerminal;
    },
    end: () => {
      if (shown) out.write('\r\x1b[2K');
      shown = false;
    },
  };
}

function lineOf(state: FsckState, perSecond: number, withBar: boolean): string {
  const { step, rows, position, leaves } = state;
  const found = countFindings(state.findings);
  const share = step === 'leaves' && leaves > 0 ? position / leaves : undefined;
  const filled = Math.floor((share ?? 0) * barWidth);
  const bar = withBar && share !== undefined ? `[${'#'.repeat(filled)}${'.'.repeat(barWidth - filled)}] ` : '';
  const percent = share === undefined ? `${rows} rows` : `${(100 * share).toFixed(1)} % of ${leaves} leaves`;
  return `${step} ${bar}${percent}, ${perSecond}/s, ${found === 0 ? 'no findings' : `${found} findings`}`;
}
