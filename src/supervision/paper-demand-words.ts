import type { Bilingual } from '../catalogue/certificate-type.ts';
import type { Judgement, PaperDemandReason } from './paper-demand.ts';

/** Why paper was asked for, as the person reads it. */
export const reasonText: Readonly<Record<PaperDemandReason, Bilingual>> = {
  hub_unavailable: {
    zh: '办理部门称共享平台当时无法使用。',
    en: 'The office says that the hub could not be reached at the time.',
  },
  certificate_missing: {
    zh: '办理部门称平台上没有相应的电子证照。',
    en: 'The office says that the hub has no such certificate.',
  },
  certificate_wrong: {
    zh: '办理部门称相应的电子证照内容有误。',
    en: 'The office says that the certificate in the hub is wrong.',
  },
  certificate_unreadable: {
    zh: '办理部门称相应的电子证照无法读取。',
    en: 'The office says that the certificate in the hub cannot be read.',
  },
  person_prefers_paper: {
    zh: '办理部门称申请人自愿提交纸质材料。',
    en: 'The office says that the applicant prefers to bring paper.',
  },
  other: { zh: '办理部门说明了其他原因。', en: 'The office gives another reason.' },
};

/** What the hub judged, as the person reads it. */
export const judgementText: Readonly<Record<Judgement | 'concerns_others', Bilingual>> = {
  outside_matter: {
    zh: '该事项并不要求提供这项材料，办理部门不应索要。',
    en: 'The matter does not ask for this proof; the office should not have demanded it.',
  },
  retained_proof: {
    zh: '这项证明列入保留清单，目前只能以纸质形式提供，办理部门可以索要。',
    en: 'This is a retained proof that can only be given on paper for now; the office may demand it.',
  },
  could_supply: {
    zh: '平台当时可以提供这项材料，办理部门也有权调用，不应要求提交纸质件。',
    en: 'The hub could have supplied this proof and the office was permitted to look it up; paper should not have been demanded.',
  },
  could_supply_with_grant: {
    zh: '平台当时可以提供这项材料，但办理部门尚未取得用证授权；应由其申请授权，不应要求提交纸质件。',
    en: 'The hub could have supplied this proof, but the office lacks the grant; it should apply for the grant, not demand paper.',
  },
  could_not_supply: {
    zh: '平台当时没有符合条件的有效电子证照，无法提供这项材料。',
    en: 'The hub had no certificate in force that meets the conditions, so it could not have supplied this proof.',
  },
  not_judged: {
    zh: '根据登记的内容，平台无法判断当时能否提供这项材料。',
    en: 'From what was recorded the hub cannot tell whether it could have supplied this proof.',
  },
  concerns_others: {
    zh: '能否提供这项材料取决于他人的证照，因此不予告知；您仍可提出异议，由办理部门答复。',
    en: 'Whether the hub could have supplied this proof depends on the certificates of somebody else and is not told; you may contest the demand all the same.',
  },
};
