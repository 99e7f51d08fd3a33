/** Something an operator has to put right before a command or the hub can run. The message says how. */
export class NotReady extends Error {
  override readonly name = 'NotReady';
}
