import type { Catalogue } from '../catalogue/catalogue.ts';
import type { CertificateType } from '../catalogue/certificate-type.ts';
import type { FreshView } from '../db/fresh.ts';
import type { Registry, Trust } from '../departments/registry.ts';
import { isRootInForce } from '../departments/trust.ts';
import type { HubKey } from '../signing/key-store.ts';
import { encodeBase64 } from '../verification/encoding.ts';
import {
  readTrustBundle,
  type TrustBundle,
  type TrustBundleDocument,
  trustBundleFormat,
} from '../verification/trust-bundle.ts';
import type { StatusLists } from './status-list.ts';
import { remembering } from './status-list-cache.ts';

/** A bundle to be given away is at most this old. */
const documentMaxAgeMs = 2_000;
/** A pinned root may end by the clock alone, without a change in the registry. */
const liveMaxAgeMs = 1_000;

export interface TrustBundleDeps {
  readonly registry: FreshView<Registry>;
  readonly trust: FreshView<Trust>;
  readonly catalogue: FreshView<Catalogue>;
  /** Every hub key, retired ones included: old answers stay verifiable. */
  readonly hubKeys: readonly HubKey[];
  readonly statusLists: Pick<StatusLists, 'forOffline'>;
  /** Base address of the hub without trailing slash. */
  readonly issuer: string;
  readonly now: () => Date;
  /** Milliseconds, monotonic; for tests of the memory. */
  readonly clock?: () => number;
}

/** What outsiders must believe to verify certificates of this hub. */
export interface TrustBundles {
  /** The document of `GET /v1/trust-bundle`, status lists for a week included; at most 2 s old. */
  document(): Promise<TrustBundleDocument>;
  /** The same without status lists, as read by the verifier, as fresh as the registry (1 s): for online verification. */
  live(): Promise<TrustBundle>;
}

/** Assembles trust bundles from the registry, the catalogue and the hub's public keys. */
export function trustBundles(deps: TrustBundleDeps): TrustBundles {
  const clock = deps.clock ?? (() => performance.now());
  const readSources = async (): Promise<Sources> => {
    const [registry, trust, catalogue] = await Promise.all([
      deps.registry.read(),
      deps.trust.read(),
      deps.catalogue.read(),
    ]);
    return { registry, trust, catalogue };
  };
  let latest: { readonly sources: Sources; readonly builtAt: number; readonly bundle: TrustBundle } | undefined;
  return {
    document: remembering(
      async () => {
        // the lists first: a certificate sealed in between is then missing from neither
        const statusLists = await deps.statusLists.forOffline();
        return composeTrustBundle(deps, { ...(await readSources()), statusLists });
      },
      { maxAgeMs: documentMaxAgeMs, clock },
    ),
    async live() {
      const sources = await readSources();
      const isSame =
        latest?.sources.registry === sources.registry &&
        latest.sources.trust === sources.trust &&
        latest.sources.catalogue === sources.catalogue;
      if (latest !== undefined && isSame && clock() - latest.builtAt < liveMaxAgeMs) return latest.bundle;
      // through the same strict reader as a file from outside, so that online and offline cannot judge differently
      const read = readTrustBundle(composeTrustBundle(deps, { ...sources, statusLists: [] }));
      if (!read.ok) throw new Error(`the registry does not make a trust bundle: ${read.pointer}`);
      latest = { sources, builtAt: clock(), bundle: read.value };
      return read.value;
    },
  };
}

interface Sources {
  readonly registry: Registry;
  readonly trust: Trust;
  readonly catalogue: Catalogue;
}

/** The document from its sources. Roots whose pin has ended are left out: nothing under them counts any more. */
export function composeTrustBundle(
  { issuer, hubKeys, now }: Pick<TrustBundleDeps, 'issuer' | 'hubKeys' | 'now'>,
  { registry, trust, catalogue, statusLists }: Sources & { readonly statusLists: readonly string[] },
): TrustBundleDocument {
  const at = now();
  const seals = [...trust.seals.values()];
  return {
    format: trustBundleFormat,
    issuer,
    createdAt: at.toISOString(),
    roots: trust.roots.filter((root) => isRootInForce(root, at)).map((root) => encodeBase64(root.der)),
    issuers: [...registry.departments.values()].map(({ code, name }) => ({
      department: code,
      name: { zh: name.zh, en: name.en },
      sealX509: seals
        .filter((seal) => seal.department === code)
        .map(({ sha256, chain, validFrom, validUntil, revokedAt }) => ({
          sha256,
          x509: encodeBase64(chain[0] ?? new Uint8Array()),
          from: wholeSecond(validFrom.getTime()),
          until: validUntil?.toISOString() ?? null,
          revokedAt: revokedAt?.toISOString() ?? null,
        })),
    })),
    types: catalogue.types.flatMap((newest) => versionsOf(catalogue, newest)),
    hubKeys: hubKeys.map(({ kid, use, jwk, from, until }) => ({
      kid,
      use,
      jwk,
      from: wholeSecond(Date.parse(from)),
      until,
    })),
    statusLists,
  };
}

/** Signatures name whole seconds: one made in the second in which its key was registered must not seem to precede it. */
const wholeSecond = (time: number): string => new Date(Math.floor(time / 1_000) * 1_000).toISOString();

/** The earliest time there is, for issuers listed without a beginning. */
const everSince = '1970-01-01T00:00:00.000Z';

/**
 * All versions of a type. A reader joins their allowed issuers, so those of a version end where the next begins:
 * a department dropped by the newest version may not seal any more, but what it sealed before still counts.
 */
function versionsOf(catalogue: Catalogue, newest: CertificateType): TrustBundleDocument['types'] {
  const versions: CertificateType[] = [];
  for (let version = 1; version <= newest.version; version++) {
    const found = catalogue.version(newest.certificateTypeCode, version)?.type;
    if (found !== undefined) versions.push(found);
  }
  return versions.map((type, index) => {
    const replacedAt = versions[index + 1]?.createdAt.getTime() ?? Infinity;
    return {
      code: type.certificateTypeCode,
      version: type.version,
      name: { zh: type.name.zh, en: type.name.en },
      allowedIssuers: type.allowedIssuers
        .map(({ departmentCode, from, until }) => ({
          department: departmentCode,
          from: from === undefined ? Date.parse(everSince) : Date.parse(from),
          until: Math.min(until === undefined ? Infinity : Date.parse(until), replacedAt),
        }))
        .filter((issuer) => issuer.from < issuer.until)
        .map((issuer) => ({
          department: issuer.department,
          from: wholeSecond(issuer.from),
          until: issuer.until === Infinity ? null : new Date(issuer.until).toISOString(),
        })),
    };
  });
}
