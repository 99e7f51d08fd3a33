import { encodeStatusList, statusBits } from '../verification/status-list.ts';
import { signCompactJws } from './sd-jwt-issue.ts';
import type { Signer } from './signer.ts';

/** A status list to sign. Times are epoch seconds, `ttl` seconds. */
export interface StatusListInput {
  readonly signer: Signer;
  /** The list's own address: the `uri` that certificates name. */
  readonly uri: string;
  readonly iat: number;
  readonly exp: number;
  readonly ttl: number;
  /** The 2-bit entries, packed (`verification/status-list.ts`). */
  readonly bytes: Uint8Array;
}

/** Signs a Status List Token (draft-ietf-oauth-status-list, section 5.1): `typ` statuslist+jwt, `x5c` without the root. */
export const signStatusList = ({ signer, uri, iat, exp, ttl, bytes }: StatusListInput): Promise<string> =>
  signCompactJws({
    signer,
    typ: 'statuslist+jwt',
    payload: { sub: uri, iat, exp, ttl, status_list: { bits: statusBits, lst: encodeStatusList(bytes) } },
    includeX5c: true,
  });
