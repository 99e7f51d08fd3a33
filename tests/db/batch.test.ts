import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import t from 'tap';
import { coalesce } from '../../src/db/batch.ts';

const seed = { seed: 20_261_122, numRuns: 200 };
class Poison extends Error {}
const isPoison = (error: unknown): boolean => error instanceof Poison;

await t.test('every item is flushed exactly once, one flush at a time, and none resolves before its own', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.nat({ max: 5 }), { maxLength: 40 }),
      fc.integer({ min: 1, max: 7 }),
      fc.array(fc.nat({ max: 3 }), { minLength: 1, maxLength: 10 }),
      async (gaps, maxBatch, durations) => {
        const flushed: number[] = [];
        let underWay = 0;
        let flushes = 0;
        const add = coalesce<number, number>(
          async (items) => {
            underWay += 1;
            if (underWay > 1) throw new Error('two flushes at once');
            if (items.length === 0 || items.length > maxBatch) throw new Error('batch of a wrong size');
            for (let wait = durations[flushes++ % durations.length] ?? 0; wait > 0; wait--) await turn();
            flushed.push(...items);
            underWay -= 1;
            return items.map((item) => item * 2);
          },
          { maxBatch },
        );
        const all: Promise<void>[] = [];
        for (const [item, gap] of gaps.entries()) {
          for (let wait = gap; wait > 1; wait--) await turn();
          all.push(
            add(item).then((result) => {
              if (result !== item * 2) throw new Error('the result of another item');
              if (!flushed.includes(item)) throw new Error('resolved before its flush');
            }),
          );
        }
        await add.drain();
        if (add.pending !== 0) throw new Error('drained with items left');
        await Promise.all(all);
        return JSON.stringify(flushed) === JSON.stringify(gaps.map((_, item) => item));
      },
    ),
    seed,
  );
  t.pass('200 schedules');
});

await t.test('a poison item fails alone; every other is kept exactly once', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.boolean(), { minLength: 1, maxLength: 40 }), async (poisonous) => {
      const kept: number[] = [];
      const add = coalesce<number, number>(
        async (items) => {
          await turn();
          if (items.some((item) => poisonous[item])) throw new Poison();
          kept.push(...items);
          return items;
        },
        { maxBatch: 16, isPoison },
      );
      const results = await Promise.allSettled(poisonous.map((_, item) => add(item)));
      const good = poisonous.flatMap((bad, item) => (bad ? [] : [item]));
      return (
        JSON.stringify(kept) === JSON.stringify(good) &&
        results.every(({ status }, item) => (status === 'rejected') === poisonous[item])
      );
    }),
    seed,
  );
  t.pass('200 batches');
});

await t.test(
  'invariant 1: any other error rejects the whole batch, which is not tried again; later items are',
  async (t) => {
    let flushes = 0;
    const add = coalesce<number, number>(
      async (items) => {
        flushes += 1;
        await turn();
        if (flushes === 1) throw new Error('connection lost');
        return items;
      },
      { maxBatch: 10, isPoison },
    );
    const results = await Promise.allSettled([1, 2, 3].map((item) => add(item)));
    t.strictSame(
      results.map(({ status }) => status),
      ['rejected', 'rejected', 'rejected'],
    );
    t.equal(flushes, 1);
    t.equal(await add(4), 4);
    const short = coalesce<number, number>(async () => [], { maxBatch: 10 });
    await t.rejects(short(1), /0 results to 1 items/, 'an answer too short confirms nothing');
  },
);

await t.test('what comes at once goes at once; what comes meanwhile goes next; stop drains', async (t) => {
  const sizes: number[] = [];
  let open = () => undefined as void;
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  const add = coalesce<number, number>(
    async (items) => {
      sizes.push(items.length);
      await gate;
      return items;
    },
    { maxBatch: 4 },
  );
  const first = [1, 2].map((item) => add(item));
  await turn();
  const later = [3, 4, 5, 6, 7].map((item) => add(item));
  t.equal(add.pending, 7);
  const stopping = add.stop();
  await t.rejects(add(8), /stopped/);
  open();
  await stopping;
  t.strictSame(await Promise.all([...first, ...later]), [1, 2, 3, 4, 5, 6, 7]);
  t.strictSame(sizes, [2, 4, 1]);
  t.throws(() => coalesce(async (items: number[]) => items, { maxBatch: 0 }), RangeError);
});
