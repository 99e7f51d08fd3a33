/** A command could not do its work: exit code 1. The message says why and holds no data. */
export class CommandFailed extends Error {
  override readonly name = 'CommandFailed';
}
