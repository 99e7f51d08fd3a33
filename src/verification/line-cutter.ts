/** Bytes that come in any pieces, cut into lines. */
export type LineCutter = {
  /** Takes the next piece; its buffer may be used again afterwards. */
  readonly feed: (chunk: Uint8Array) => void;
  /** Bytes behind the last line end. */
  readonly rest: () => number;
};

const lineEnd = 0x0a;

/**
 * Calls `line` with each line and its line end, in order; the bytes are its own for that call only. A line of more than `maxBytes`, in
 * whatever pieces it comes, is told by `tooLong`; nothing is told or held from there on.
 */
export function lineCutter(options: {
  readonly maxBytes: number;
  readonly line: (bytes: Buffer) => void;
  readonly tooLong: () => void;
}): LineCutter {
  const { maxBytes, line, tooLong } = options;
  let parts: Buffer[] = [];
  let held = 0;
  let isOver = false;

  const take = (end: Buffer): void => {
    const whole = held === 0 ? end : Buffer.concat([...parts, end]);
    parts = [];
    held = 0;
    isOver = whole.length > maxBytes;
    if (isOver) tooLong();
    else line(whole);
  };
  const keep = (rest: Buffer): void => {
    held += rest.length;
    isOver = held > maxBytes;
    if (isOver) {
      parts = [];
      held = 0;
      tooLong();
    } else parts.push(Buffer.from(rest));
  };

  return {
    feed: (chunk) => {
      const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
      let from = 0;
      for (let end = bytes.indexOf(lineEnd); end !== -1 && !isOver; end = bytes.indexOf(lineEnd, from)) {
        take(bytes.subarray(from, end + 1));
        from = end + 1;
      }
      if (from < bytes.length && !isOver) keep(bytes.subarray(from));
    },
    rest: () => held,
  };
}
