/**
 * What must not compile. `tsc -p tests` fails when a line below stops being an error: then a promise that the types made is gone.
 */
import { type Receipt, RecordedRefusal, type Recorder } from '../src/audit/record.ts';
import type { RefusalCode } from '../src/errors.ts';
import type { Handlers } from '../src/http/handlers.ts';
import type { ClientId, RecordId } from '../src/ids.ts';
import type { Answer } from '../src/lookup/lookup.ts';

declare const record: Recorder;
declare const entry: Parameters<Recorder>[0];
declare const recordId: RecordId;
declare const clientId: ClientId;
declare const handlers: Handlers;
declare const sentences: Record<RefusalCode, string>;

// compiles: the same with its receipt
export const recorded: Answer = { answer: '', certificates: [], receipt: await record(entry) };

// invariant 1: no answer without its record
// @ts-expect-error -- an answer without a receipt
export const unrecorded: Answer = { answer: '', certificates: [] };

// @ts-expect-error -- a receipt written as a literal
export const invented: Receipt = { recordId, commitment: new Uint8Array(32), recordedAt: new Date(0) };

// @ts-expect-error -- the forgotten await: a promise of a receipt is none
export const tooEarly: Answer = { answer: '', certificates: [], receipt: record(entry) };

// @ts-expect-error -- a refusal that no record precedes
export const unrecordedRefusal = new RecordedRefusal('grant_required');

// @ts-expect-error -- a refusal before its record is committed
export const refusedTooEarly = new RecordedRefusal('grant_required', record(entry));

const { lookUp: _lookUp, ...incompleteHandlers } = handlers;
// @ts-expect-error -- an operation of the contract without a handler
export const withoutLookUp: Handlers = incompleteHandlers;

const { grant_required: _sentence, ...incompleteSentences } = sentences;
// @ts-expect-error -- a refusal without its words
export const withoutWords: Record<RefusalCode, string> = incompleteSentences;

// @ts-expect-error -- a code that no table knows
export const unknownCode = new RecordedRefusal('because', await record(entry));

// @ts-expect-error -- one kind of id where another belongs
export const mistaken: RecordId = clientId;
