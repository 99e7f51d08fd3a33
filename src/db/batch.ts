/** Items go in one by one and are flushed together. */
export interface Coalescer<I, O> {
  /** Resolves when the batch holding the item was flushed; rejects with the reason its flush failed. */
  (item: I): Promise<O>;
  /** Items not flushed yet, the batch under way included. */
  readonly pending: number;
  /** Waits until everything given so far is flushed or has failed. */
  drain(): Promise<void>;
  /** Refuses further items, then drains. */
  stop(): Promise<void>;
}

export interface CoalesceOptions {
  /** Items of one flush at most. */
  readonly maxBatch: number;
  /**
   * Whether an error blames an item, so that the halves of the batch are tried again until the item stands alone. Only for errors
   * after which nothing of the batch was kept. Any other error, a lost connection above all, rejects the whole batch.
   * Default: never.
   */
  readonly isPoison?: (error: unknown) => boolean;
  /** What a further item is refused with after `stop`. */
  readonly stopped?: () => Error;
}

interface Waiting<I, O> {
  readonly item: I;
  readonly resolve: (value: O) => void;
  readonly reject: (reason: unknown) => void;
}

/**
 * Gathers what is asked for at once into batches: one flush is under way at a time, and the next begins when it has returned, with
 * what arrived meanwhile. No timer: an idle system adds no delay, a busy one makes larger batches.
 * `flush` answers one result per item, in order.
 */
export function coalesce<I, O>(
  flush: (items: I[]) => Promise<O[]>,
  { maxBatch, isPoison = () => false, stopped: stoppedError = () => new Error('stopped') }: CoalesceOptions,
): Coalescer<I, O> {
  if (!Number.isInteger(maxBatch) || maxBatch < 1) throw new RangeError('maxBatch must be a positive integer');
  const queue: Waiting<I, O>[] = [];
  let running: Promise<void> | undefined;
  let underWay = 0;
  let isStopped = false;

  const flushBatch = async (batch: readonly Waiting<I, O>[]): Promise<void> => {
    let results: O[];
    try {
      results = await flush(batch.map(({ item }) => item));
      if (results.length !== batch.length)
        throw new Error(`flush answered ${results.length} results to ${batch.length} items`);
    } catch (error) {
      if (batch.length === 1 || !isPoison(error)) {
        for (const { reject } of batch) reject(error);
        return;
      }
      const middle = batch.length >> 1;
      await flushBatch(batch.slice(0, middle));
      await flushBatch(batch.slice(middle));
      return;
    }
    for (const [index, { resolve }] of batch.entries()) resolve(results[index] as O);
  };

  const work = async (): Promise<void> => {
    // Callers of the same turn of the event loop share the first batch.
    await Promise.resolve();
    while (queue.length > 0) {
      const batch = queue.splice(0, maxBatch);
      underWay = batch.length;
      await flushBatch(batch);
      underWay = 0;
    }
    running = undefined;
  };

  const add = (item: I): Promise<O> => {
    if (isStopped) return Promise.reject(stoppedError());
    return new Promise<O>((resolve, reject) => {
      queue.push({ item, resolve, reject });
      running ??= work();
    });
  };
  const drain = async (): Promise<void> => {
    while (running !== undefined) await running;
  };
  return Object.defineProperty(
    Object.assign(add, {
      drain,
      stop: () => {
        isStopped = true;
        return drain();
      },
    }),
    'pending',
    { get: () => queue.length + underWay },
  ) as unknown as Coalescer<I, O>;
}
