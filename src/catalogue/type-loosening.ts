import type { CertificateTypeDefinition, FieldClass } from './certificate-type.ts';

/**
 * Where the next version would let its owner decide alone on what the hub or the province has decided on with it so far, as a JSON
 * pointer: a field leaves the class `sensitive` that it had in the last version that has it, or decisions leave the province. Undefined
 * when it does not.
 * @param earlier Versions of the type, oldest first.
 */
export function loosenedAt(
  earlier: readonly CertificateTypeDefinition[],
  { fields, decidedBy }: CertificateTypeDefinition,
): string | undefined {
  if (earlier.at(-1)?.decidedBy === 'province' && decidedBy !== 'province') return '/decidedBy';
  // A field that was dropped meanwhile still has its class: sealed certificates still have the field.
  const classes = new Map<string, FieldClass>(
    earlier.flatMap((version) => version.fields.map((field) => [field.name, field.class] as const)),
  );
  const index = fields.findIndex((field) => field.class !== 'sensitive' && classes.get(field.name) === 'sensitive');
  return index < 0 ? undefined : `/fields/${index}/class`;
}
