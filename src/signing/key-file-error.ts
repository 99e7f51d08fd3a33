/** A keys directory that cannot be used. The message names the file and the reason, never a secret. */
export class KeyFileError extends Error {
  override readonly name = 'KeyFileError';
  readonly file: string;
  constructor(file: string, reason: string, options?: ErrorOptions) {
    super(`${file}: ${reason}`, options);
    this.file = file;
  }
}
