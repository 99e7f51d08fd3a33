/** The same sentence in both languages of the hub. */
export interface Bilingual {
  readonly en: string;
  readonly zh: string;
}

/** What a caller is told for one code: what happened, and what to do next. */
export interface ProblemWords {
  readonly status: number;
  readonly title: Bilingual;
  readonly detail: Bilingual;
  readonly next: Bilingual;
}
