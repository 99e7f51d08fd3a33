import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { type CosignAnswer, cosignCheckpoint } from '../../src/audit/log/cosign-checkpoint.ts';
import { openWitnessStore, type WitnessStore, type WitnessStoreInput } from '../../src/audit/log/witness-store.ts';
import { cosign, type NoteKey, newNoteKey, signNote } from '../../src/signing/note-sign.ts';
import { openNote, type VerifierKey } from '../../src/verification/signed-note.ts';
import { bodyOf, checkpointText, type SmallLog, smallLog, verifierOf } from './witness-log.ts';

const origin = 'hub.example.gov/log';
const emptyRoot = createHash('sha256').digest();
const fileOf = (name: string): string => `${createHash('sha256').update(name).digest('hex')}.state`;

interface World {
  readonly folder: string;
  readonly key: NoteKey;
  readonly log: SmallLog;
  store: WitnessStore;
  readonly clock: { seconds: number };
  readonly ask: (body: string | Uint8Array, logs?: readonly VerifierKey[]) => Promise<CosignAnswer>;
  readonly seen: (name?: string) => number | undefined;
  /** Closes the memory and opens it again, as a restart does. */
  readonly reopen: (input?: Partial<WitnessStoreInput>) => Promise<void>;
}

async function world(t: Test, given: Partial<WitnessStoreInput> = {}): Promise<World> {
  const folder = join(t.testdir(), 'memory');
  const key = newNoteKey('example.gov/witness', 4).key;
  const open = (input: Partial<WitnessStoreInput> = {}) =>
    openWitnessStore({ folder, keys: [verifierOf(key.vkey)], ...input });
  const log = smallLog(origin);
  const clock = { seconds: 1_800_000_000 };
  const made: World = {
    folder,
    key,
    log,
    store: await open(given),
    clock,
    ask: (body, logs = [log.verifier]) =>
      cosignCheckpoint(
        { store: made.store, by: key, logs, now: () => new Date(clock.seconds++ * 1000) },
        typeof body === 'string' ? Buffer.from(body) : body,
      ),
    seen: (name = origin) => made.store.last(fileOf(name).slice(0, 64))?.size,
    reopen: async (input) => {
      await made.store.close();
      made.store = await open(input);
    },
  };
  t.teardown(() => made.store.close());
  return made;
}

const status = (answer: CosignAnswer): number | string =>
  answer.kind === 'refused' ? answer.status : answer.kind === 'cosigned' ? 200 : answer.kind;

await t.test('a log grows: every step is cosigned over a state that is on disk', async (t) => {
  const { ask, log, key, folder, seen } = await world(t);
  let time = 0;
  for (const [from, to] of [
    [0, 0],
    [0, 1],
    [1, 2],
    [2, 7],
    [7, 8],
    [8, 300],
    [300, 300],
  ] as const) {
    const answer = await ask(log.body(from, to));
    if (answer.kind !== 'cosigned') throw new Error(`${from} to ${to}: ${JSON.stringify(answer)}`);
    const opened = openNote(log.note(to) + answer.lines, [verifierOf(key.vkey), log.verifier]);
    t.equal(opened.ok && opened.value.verified.length, 2, `${from} to ${to}: log and witness`);
    const fresh = (opened.ok && opened.value.verified.find((each) => each.time !== undefined)?.time) || 0;
    t.ok(fresh > time, 'with a fresh time');
    time = fresh;
    t.match(readFileSync(join(folder, fileOf(origin)), 'utf8'), answer.lines);
    t.equal(seen(), to);
  }
  t.notOk(readdirSync(folder).some((name) => name.endsWith('.tmp')));
});

await t.test('a checkpoint that anybody submits again costs one write a second', async (t) => {
  let writes = 0;
  const { ask, log, clock } = await world(t, {
    replace: (from, to) => {
      writes++;
      return rename(from, to);
    },
  });
  const first = await ask(log.body(0, 5));
  const before = writes;
  for (let again = 0; again < 20; again++) {
    clock.seconds--;
    t.strictSame(await ask(log.body(5, 5)), first);
  }
  t.equal(writes, before);
  t.match(await ask(log.body(5, 5)), { kind: 'cosigned', size: 5 });
  t.equal(writes, before + 1, 'in another second a fresh time, kept');
});

await t.test('every refusal has its status and leaves the memory as it was', async (t) => {
  const { ask, log, folder } = await world(t);
  t.equal(status(await ask(log.body(0, 5))), 200);
  const before = readFileSync(join(folder, fileOf(origin)));
  const fork = smallLog(origin, { history: 'b', key: log.key });
  const stranger = smallLog(origin);
  const other = smallLog('other.example.gov/log');
  const text = checkpointText(origin, 7, log.root(7));
  const wrongLine = log.note(7).replace(/(?<=— \S+ .{20})./, (each) => (each === 'A' ? 'B' : 'A'));
  const path = log.path(5, 7);
  const cases: readonly (readonly [string, string, number])[] = [
    ['a log it does not witness', other.body(0, 1), 404],
    ['no signature of the log', bodyOf(5, path, stranger.note(7)), 403],
    ['a signature of the log that is wrong', bodyOf(5, path, wrongLine), 403],
    ['signed by a log of another name', bodyOf(5, path, signNote(other.key, text)), 403],
    ['an old size above the new one', bodyOf(6, [], log.note(5)), 400],
    ['a smaller size', bodyOf(3, [], log.note(3)), 409],
    ['a smaller size as if it grew', bodyOf(2, log.path(2, 4), log.note(4)), 409],
    ['an old size that was not seen', log.body(4, 7), 409],
    ['as if it were the first', log.body(0, 7), 409],
    ['nothing, as if it were the first', log.body(0, 0), 409],
    ['the same size with another root', bodyOf(5, [], fork.note(5)), 422],
    ['a fork with its own proof', fork.body(5, 7), 422],
    ['a fork with the proof of the log', bodyOf(5, path, fork.note(7)), 422],
    ['no proof', bodyOf(5, [], log.note(7)), 422],
    ['a proof that is too short', bodyOf(5, path.slice(1), log.note(7)), 422],
    ['a proof that is too long', bodyOf(5, [...path, emptyRoot], log.note(7)), 422],
    ['a proof in another order', bodyOf(5, [...path].reverse(), log.note(7)), 422],
    ['a proof of what needs none', bodyOf(5, [emptyRoot], log.note(5)), 422],
  ];
  for (const [name, body, expected] of cases) {
    const answer = await ask(body);
    t.equal(status(answer), expected, name);
    if (expected === 409) t.match(answer, { size: 5 }, 'which tells the size');
    t.same(readFileSync(join(folder, fileOf(origin))), before, `${name}: nothing changed`);
  }
  t.equal(status(await ask(log.body(5, 7), [])), 404, 'no log at all');
});

await t.test('the first checkpoint: any root above nothing, one root of nothing, no proof', async (t) => {
  const { ask, log, seen } = await world(t);
  t.equal(status(await ask(bodyOf(0, [], signNote(log.key, checkpointText(origin, 0, log.root(1)))))), 422);
  t.equal(status(await ask(bodyOf(0, [emptyRoot], log.note(3)))), 422);
  t.match(await ask(log.body(1, 3)), { status: 409, size: 0 });
  t.equal(seen(), undefined, 'nothing is remembered of refusals');
  t.equal(status(await ask(log.body(0, 0))), 200);
  t.equal(status(await ask(bodyOf(0, [], signNote(log.key, checkpointText(origin, 0, log.root(1)))))), 422);
  t.equal(status(await ask(log.body(0, 3))), 200);
});

await t.test('hostile bodies are refused, and never an exception', async (t) => {
  const { ask, log, seen } = await world(t);
  t.equal(status(await ask(log.body(0, 5))), 200);
  const good = log.body(5, 7);
  const note = log.note(7);
  const path = log.path(5, 7);
  const huge = (size: string): string => bodyOf(5, path, signNote(log.key, checkpointText(origin, size, log.root(7))));
  const bad: readonly (readonly [string, string | Uint8Array])[] = [
    ['nothing', ''],
    ['no old size', good.slice(good.indexOf('\n') + 1)],
    ['a word for a size', good.replace('old 5', 'old five')],
    ['a size with a zero in front', good.replace('old 5', 'old 05')],
    ['a negative size', good.replace('old 5', 'old -5')],
    ['a size above 2^53', good.replace('old 5', 'old 9007199254740993')],
    ['a size of a thousand digits', good.replace('old 5', `old ${'9'.repeat(1_000)}`)],
    ['a size in another notation', good.replace('old 5', 'old 5e0')],
    ['two spaces', good.replace('old 5', 'old  5')],
    ['CRLF', good.replaceAll('\n', '\r\n')],
    ['NUL in the head', good.replace('old 5', 'old 5\0')],
    ['NUL in the note', good.replace(origin, `${origin}\0`)],
    ['a byte order mark', `\ufeff${good}`],
    ['invalid UTF-8', Buffer.concat([Buffer.from(good), Buffer.of(0xff, 0x0a)])],
    [
      '64 proof lines',
      bodyOf(
        5,
        Array.from({ length: 64 }, () => emptyRoot),
        note,
      ),
    ],
    ['a short hash', bodyOf(5, [emptyRoot.subarray(1)], note)],
    ['a hash without padding', good.replace('=\n', '\n')],
    ['no empty line', good.replace('\n\n', '\n')],
    ['a note without signatures', bodyOf(5, path, checkpointText(origin, 7, log.root(7)))],
    ['a size in the note above 2^53', huge('9007199254740993')],
    ['a size in the note with a zero in front', huge('07')],
    ['a root that is no hash', bodyOf(5, path, signNote(log.key, `${origin}\n7\nAAAA\n`))],
    ['a hundred and one signatures', bodyOf(5, path, note + `${note.split('\n\n')[1]}`.repeat(100))],
    ['a megabyte of proof', `old 5\n${'A'.repeat(1_000_000)}\n\n${note}`],
    ['two megabytes', `${good}${'— a AAAAAAAA\n'.repeat(150_000)}`],
  ];
  for (const [name, body] of bad) {
    const answer = await ask(body);
    t.match(answer, { kind: 'refused', status: 400 }, name);
  }
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 300 }), fc.nat(), async (noise, at) => {
      const spoilt = Buffer.from(good);
      spoilt.set(noise.subarray(0, spoilt.length), at % Math.max(1, spoilt.length - noise.length));
      fc.pre(!spoilt.equals(Buffer.from(good)));
      const answer = await ask(spoilt);
      if (answer.kind !== 'refused') throw new Error('cosigned');
    }),
    { seed: 20261122, numRuns: 300 },
  );
  t.equal(seen(), 5);
});

await t.test('fifty submissions at once: the memory never goes back, and nothing beside it is cosigned', async (t) => {
  const { ask, log, folder, reopen, seen } = await world(t);
  t.equal(status(await ask(log.body(0, 1))), 200);
  const fork = smallLog(origin, { history: 'b', key: log.key });
  const sizes = Array.from({ length: 50 }, (_, at) => 2 + at);
  // All claim to continue size 1; the log and its fork alternate. Exactly one can be right.
  const answers = await Promise.all(
    sizes.map((size) => ask(size % 2 === 0 ? log.body(1, size) : bodyOf(1, fork.path(1, size), fork.note(size)))),
  );
  const won = answers.filter((answer) => answer.kind === 'cosigned');
  t.equal(won.length, 1, 'one of fifty');
  t.equal(seen(), won[0]?.kind === 'cosigned' ? won[0].size : undefined);
  // Each goes on from wherever the memory is, until its own size is in: the state on disk only ever grows.
  const observed: number[] = [];
  await Promise.all(
    sizes.map(async (size) => {
      for (;;) {
        const from = seen() ?? 0;
        if (from >= size + 100) return;
        const answer = await ask(log.body(from, size + 100));
        if (answer.kind !== 'cosigned') continue;
        observed.push(Number(readFileSync(join(folder, fileOf(origin)), 'utf8').split('\n')[3]));
        return;
      }
    }),
  );
  t.same(
    observed,
    [...observed].sort((one, other) => one - other),
    `${observed.length} steps, none back`,
  );
  t.equal(seen(), 151);
  await reopen();
  t.equal(seen(), 151, 'and after a restart');
});

await t.test('logs do not wait for each other and keep their own memory', async (t) => {
  const made = await world(t);
  const { ask, log } = made;
  const others = Array.from({ length: 8 }, (_, at) => smallLog(`log${at}.example.gov`));
  const logs = [log, ...others].map(({ verifier }) => verifier);
  const answers = await Promise.all(others.map((other, at) => ask(other.body(0, at + 1), logs)));
  t.ok(answers.every(({ kind }) => kind === 'cosigned'));
  t.equal(readdirSync(made.folder).filter((name) => name.endsWith('.state')).length, 8);
  await made.reopen();
  t.same(
    others.map((other) => made.seen(other.origin)),
    [1, 2, 3, 4, 5, 6, 7, 8],
  );
});

await t.test('a log that leaves the policy and comes back finds its memory, and a new key of it too', async (t) => {
  const { ask, log, reopen } = await world(t);
  t.equal(status(await ask(log.body(0, 5))), 200);
  await reopen();
  t.equal(status(await ask(log.body(5, 6), [])), 404, 'while it is out');
  await reopen();
  t.match(await ask(log.body(0, 6)), { status: 409, size: 5 });
  const rotated = smallLog(origin);
  t.match(await ask(rotated.body(0, 6), [rotated.verifier]), { status: 409, size: 5 });
  t.equal(status(await ask(rotated.body(5, 6), [rotated.verifier, log.verifier])), 200, 'the same history, a new key');
});

await t.test('a clock that stands before the last cosignature: no statement about the past', async (t) => {
  const { ask, log, clock, seen } = await world(t);
  t.equal(status(await ask(log.body(0, 5))), 200);
  clock.seconds -= 60;
  t.equal(status(await ask(log.body(5, 6))), 'clock_behind');
  t.equal(seen(), 5);
  clock.seconds += 120;
  t.equal(status(await ask(log.body(5, 6))), 200);
});

await t.test('a damaged, missing, forged or exchanged memory is refused, never taken for nothing', async (t) => {
  const made = await world(t);
  const { ask, log, folder, key } = made;
  const other = smallLog('other.example.gov/log');
  const logs = [log.verifier, other.verifier];
  t.equal(status(await ask(log.body(0, 5), logs)), 200);
  t.equal(status(await ask(other.body(0, 3), logs)), 200);
  await made.store.close();
  const kept = join(folder, '..', 'kept');
  cpSync(folder, kept, { recursive: true });
  const file = join(folder, fileOf(origin));
  const whole = readFileSync(file, 'utf8');
  const sealed = (note: string): string =>
    `certhub-witness-state/1\nsha256 ${createHash('sha256').update(note).digest('hex')}\n${note}`;
  const smaller = checkpointText(origin, 2, log.root(2));
  const foreign = newNoteKey('example.gov/witness', 4).key;
  const spoil: readonly (readonly [string, () => void, RegExp])[] = [
    ['cut short', () => truncateSync(file, whole.length - 10), /is damaged/],
    ['empty', () => truncateSync(file, 0), /is damaged/],
    ['one bit', () => writeFileSync(file, whole.replace('\n5\n', '\n4\n')), /is damaged/],
    ['longer', () => writeFileSync(file, `${whole}\n`), /is damaged/],
    [
      'a checksum over a smaller size',
      () => writeFileSync(file, sealed(whole.split('\n').slice(2).join('\n').replace('\n5\n', '\n4\n'))),
      /not signed/,
    ],
    ['a smaller size of the log without us', () => writeFileSync(file, sealed(log.note(2))), /not signed/],
    [
      'cosigned by another key',
      () => writeFileSync(file, sealed(log.note(2) + cosign(foreign, smaller, 1))),
      /not signed/,
    ],
    ['the memory of another log', () => cpSync(join(folder, fileOf(other.origin)), file), /another log/],
    ['gone', () => rmSync(file), /is gone/],
    ['the list cut short', () => truncateSync(join(folder, 'origins'), 20), /origins: is damaged/],
  ];
  for (const [name, change, expected] of spoil) {
    change();
    await t.rejects(openWitnessStore({ folder, keys: [verifierOf(key.vkey)] }), { message: expected }, name);
    t.notOk(
      readdirSync(folder).some((each) => each.startsWith('lock-')),
      'and the folder is free again',
    );
    rmSync(folder, { recursive: true });
    cpSync(kept, folder, { recursive: true });
  }
  await t.rejects(openWitnessStore({ folder, keys: [verifierOf(foreign.vkey)] }), { message: /not signed/ });
  await made.reopen({ keys: [verifierOf(foreign.vkey), verifierOf(key.vkey)] });
  t.equal(made.seen(), 5, 'under a new key, when the former one is named');
});

await t.test('a memory changed under a running witness stops it for that log', async (t) => {
  const { ask, log, folder } = await world(t);
  const other = smallLog('other.example.gov/log');
  const logs = [log.verifier, other.verifier];
  t.equal(status(await ask(log.body(0, 2), logs)), 200);
  const file = join(folder, fileOf(origin));
  const older = readFileSync(file);
  t.equal(status(await ask(log.body(2, 5), logs)), 200);
  const newer = readFileSync(file);
  writeFileSync(file, older);
  await t.rejects(ask(log.body(2, 4), logs), { message: /changed by somebody else/ });
  rmSync(file);
  await t.rejects(ask(log.body(0, 4), logs), { message: /changed by somebody else/ });
  t.equal(status(await ask(other.body(0, 1), logs)), 200, 'the others go on');
  writeFileSync(file, newer);
  t.equal(status(await ask(log.body(5, 6), logs)), 200, 'as it was: on it goes');
});

await t.test('a write that fails is not answered with a cosignature', async (t) => {
  let fail: 'before' | 'after' | undefined;
  const made = await world(t, {
    replace: async (from, to) => {
      if (fail === 'before') throw new Error('disk');
      await rename(from, to);
      if (fail === 'after') throw new Error('disk');
    },
  });
  const { ask, log, reopen, seen, folder } = made;
  t.equal(status(await ask(log.body(0, 2))), 200);
  fail = 'after';
  await t.rejects(ask(log.body(2, 5)), { message: 'disk' });
  fail = undefined;
  await t.rejects(ask(log.body(2, 4)), { message: /unknown whether/ }, 'until a restart has looked');
  await reopen();
  t.match(await ask(log.body(2, 4)), { status: 409, size: 5 }, 'it had been written');
  await reopen({ replace: () => Promise.reject(new Error('disk')) });
  await t.rejects(ask(log.body(5, 6)), { message: 'disk' });
  await reopen();
  t.equal(seen(), 5, 'it had not');
  // A folder that is no longer there: nothing can be prepared, and nothing is unsure.
  renameSync(folder, `${folder}-away`);
  await t.rejects(ask(log.body(5, 6)));
  renameSync(`${folder}-away`, folder);
  t.equal(status(await ask(log.body(5, 6))), 200);
});

await t.test('a witness whose folder was taken over cosigns nothing more', async (t) => {
  const { ask, log, folder, seen } = await world(t);
  t.equal(status(await ask(log.body(0, 2))), 200);
  for (const name of readdirSync(folder)) if (name.startsWith('lock-')) rmSync(join(folder, name));
  await t.rejects(ask(log.body(2, 5)), { message: /taken over/ });
  t.equal(seen(), 2);
});

await t.test('the memory itself refuses to go back, whoever asks', async (t) => {
  const { ask, log, key, store } = await world(t);
  t.equal(status(await ask(log.body(0, 5))), 200);
  const keep = (note: string) => store.exclusively(origin, (_seen, keepNote) => keepNote(note));
  const cosigned = (size: number, root: Uint8Array, time: number): string => {
    const text = checkpointText(origin, size, root);
    return signNote(log.key, text) + cosign(key, text, time);
  };
  const later = 1_900_000_000;
  await t.rejects(keep(cosigned(4, log.root(4), later)), { message: /go back/ });
  await t.rejects(keep(cosigned(5, log.root(4), later)), { message: /go back/ });
  await t.rejects(keep(cosigned(6, log.root(6), 1_000)), { message: /go back/ });
  await t.rejects(keep(log.note(6)), { message: /not a cosigned/ });
  await t.rejects(store.exclusively('other', (_seen, keepNote) => keepNote(cosigned(6, log.root(6), later))));
  t.ok(existsSync(join(t.testdirName, 'memory', fileOf(origin))));
  t.equal(status(await ask(log.body(5, 6))), 200);
});
