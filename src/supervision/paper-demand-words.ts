import type { Bilingual } from '../catalogue/certificate-type.ts';
import type { Judgement, PaperDemand, PaperDemandReason } from './paper-demand.ts';

type JudgementText =
  | Exclude<Judgement, 'outside_matter'>
  | 'concerns_others'
  | 'outside_as_told'
  | 'outside_as_recorded'
  | 'outside_retired';

const said: Readonly<Record<PaperDemandReason, Bilingual>> = {
  hub_unavailable: { zh: '共享平台当时无法使用', en: 'the hub could not be reached at the time' },
  certificate_missing: { zh: '平台上没有相应的电子证照', en: 'the hub has no such certificate' },
  certificate_wrong: { zh: '相应的电子证照内容有误', en: 'the certificate in the hub is wrong' },
  certificate_unreadable: { zh: '相应的电子证照无法读取', en: 'the certificate in the hub cannot be read' },
  person_prefers_paper: { zh: '申请人自愿提交纸质材料', en: 'the applicant prefers to bring paper' },
  other: { zh: '另有原因', en: 'there is another reason' },
};

/** Why paper was asked for, as the person reads it: said by the office, or only reported of it. */
export function reasonText(reason: PaperDemandReason, reportedBy: PaperDemand['reportedBy']): Bilingual {
  const { zh, en } = said[reason];
  return reportedBy === 'office'
    ? { zh: `办理部门称${zh}。`, en: `The office says that ${en}.` }
    : { zh: `据反映，办理部门称${zh}。`, en: `According to the report, the office said that ${en}.` };
}

/** What the hub judged, as the person reads it; `outside_matter` by what it rests on. */
export const judgementText: Readonly<Record<JudgementText, Bilingual>> = {
  outside_as_told: {
    zh: '按您所述，该事项并不要求提供这项材料，办理部门不应索要。',
    en: 'As you described it, the matter does not ask for this proof; the office should not have demanded it.',
  },
  outside_as_recorded: {
    zh: '按登记的描述，该事项并不要求提供这项材料，办理部门不应索要。',
    en: 'As it was described, the matter does not ask for this proof; the office should not have demanded it.',
  },
  outside_retired: {
    zh: '该事项当时已停用，不再要求任何证明，办理部门不应索要。',
    en: 'The matter was retired by then and asks for no proof any more; the office should not have demanded it.',
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
