import type { Person } from './people.ts';
import type { Teller } from './teller.ts';

/** The grant to apply for, out of the reasons of a check. */
export interface Apply {
  readonly certificateTypeCode: string;
  readonly level: 'compare' | 'fields';
  readonly fields: readonly string[];
  readonly ownerDepartmentCode: string;
}
/** What a refusal, or a reason of a check, says to apply for: the body of the application, as far as the hub knows it. */
export interface ApplyFor {
  readonly certificateTypeCode: string;
  readonly wanted: Pick<Apply, 'level' | 'fields'>;
}
interface Requirement {
  readonly code: string;
  readonly name: { readonly zh: string };
  readonly outcome: string;
  readonly until?: string;
  readonly reasons: readonly {
    readonly code: string;
    readonly text: { readonly zh: string };
    readonly apply?: ApplyFor;
    readonly ownerDepartmentCode?: string;
  }[];
}
/** What a check of a matter answers, as far as the story looks. */
export interface Check {
  readonly complete: boolean;
  readonly requirements: readonly Requirement[];
  readonly evidence: readonly { readonly certificates: readonly { readonly sdJwt: string }[] }[];
  readonly notice?: {
    readonly text: { readonly zh: string };
    readonly items: readonly { readonly requirement: string }[];
  };
}

/** Whoever asks in the story, and on which legal basis. */
export const officer = { id: 'officer-27', name: '陈受理' } as const;
/** The person's own application. */
export const legalBasis = 'own_application';

/** Stops a story that went otherwise than told. */
export const assert: (condition: boolean, claim: string) => asserts condition = (condition, claim) => {
  if (!condition) throw new Error(`the story went wrong: ${claim}`);
};

/** A person as the holder of certificates. */
export const holderOf = ({ idNumber }: Person) => ({ type: '111', number: idNumber });

/** What the findings say to apply for, as one wish for each of these types. Alternatives of other types are left alone: less is enough. */
export function wishesOf({ requirements }: Check, types: readonly string[]): readonly Apply[] {
  const named = requirements.flatMap(({ reasons }) =>
    reasons.flatMap(({ apply, ownerDepartmentCode = '' }) => {
      if (apply === undefined) return [];
      const { certificateTypeCode, wanted } = apply;
      return [{ certificateTypeCode, ...wanted, ownerDepartmentCode }];
    }),
  );
  return types.flatMap((certificateTypeCode) => {
    const those = named.filter((each) => each.certificateTypeCode === certificateTypeCode);
    const [first] = those;
    if (first === undefined) return [];
    const level = those.some((each) => each.level === 'fields') ? 'fields' : 'compare';
    return [{ ...first, level, fields: [...new Set(those.flatMap(({ fields }) => fields))] }];
  });
}

/** One line for each requirement: what it is, how it stands, and why. */
export function tellOutcomes({ tell }: { readonly tell: Teller }, { requirements, complete }: Check): void {
  for (const { name, outcome, reasons } of requirements) {
    tell.line(`   ${outcome.padEnd(17)} ${name.zh}: ${reasons.map(({ text }) => text.zh).join(' ')}`);
  }
  tell.line(`   complete: ${String(complete)}`);
}

/** Stops the story unless every requirement stands as told. */
export function mustBe({ requirements }: Check, outcomes: Readonly<Record<string, string>>): void {
  const found = Object.fromEntries(requirements.map(({ code, outcome }) => [code, outcome]));
  assert(
    JSON.stringify(found) === JSON.stringify(outcomes),
    `expected ${JSON.stringify(outcomes)}, found ${JSON.stringify(found)}`,
  );
}
