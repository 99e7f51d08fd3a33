import { exampleDepartments } from '../../catalogue/starter-types.ts';
import { type Company, companyOf, oneOf, type Person, personOf, seeded, someDay } from './people.ts';

/** What the demo pushes: which client pushes it, and the body. */
export interface DemoPush {
  readonly clientId: string;
  readonly body: PushBody;
  readonly reviewed: boolean;
}

export interface PushBody {
  readonly certificateTypeCode: string;
  readonly certificateNumber: string;
  readonly certificateIssuedDate: string;
  readonly certificateEffectiveDate: string;
  readonly certificateExpiringDate?: string;
  readonly holders: readonly { readonly type: string; readonly number: string; readonly name: string }[];
  readonly fields: Readonly<Record<string, unknown>>;
  readonly officer: { readonly id: string; readonly name: string };
}

const { publicSecurity, marketRegulation, humanResources, taxation, naturalResources, civilAffairs } =
  exampleDepartments;

/** The codes of the starter types in the demo city. */
export const demoTypes = {
  residentIdCard: `${publicSecurity}001`,
  residencePermit: `${publicSecurity}002`,
  householdRegister: `${publicSecurity}003`,
  businessLicence: `${marketRegulation}001`,
  socialInsurance: `${humanResources}001`,
  employment: `${humanResources}002`,
  taxPayment: `${taxation}001`,
  realEstate: `${naturalResources}001`,
  marriage: `${civilAffairs}001`,
} as const;

const clerk = { id: 'clerk-03', name: '周录入' } as const;
const holderOf = (person: Person) => ({ type: '111', number: person.idNumber, name: person.name });
const holderOfCompany = (company: Company) => ({ type: '001', number: company.uscc, name: company.name });
const addYears = (day: string, years: number): string => `${Number(day.slice(0, 4)) + years}${day.slice(4)}`;

interface Making {
  readonly number: string;
  readonly random: () => number;
}
type Maker = (index: number, making: Making) => DemoPush;

const push = (
  clientId: string,
  reviewed: boolean,
  body: Omit<PushBody, 'officer' | 'certificateEffectiveDate'> & { readonly certificateEffectiveDate?: string },
): DemoPush => ({
  clientId,
  reviewed,
  body: { certificateEffectiveDate: body.certificateIssuedDate, ...body, officer: clerk },
});

/** An ID card that is valid for twenty years. */
export const residentIdCardOf = (
  person: Person,
  {
    number,
    issued,
    ethnicity = '汉族',
  }: { readonly number: string; readonly issued: string; readonly ethnicity?: string },
): DemoPush =>
  push('psb-issuer', true, {
    certificateTypeCode: demoTypes.residentIdCard,
    certificateNumber: `ID${number}`,
    certificateIssuedDate: issued,
    certificateExpiringDate: addYears(issued, 20),
    holders: [holderOf(person)],
    fields: {
      name: person.name,
      sex: person.sex,
      ethnicity,
      birthDate: person.birthDate,
      address: person.address,
      idNumber: person.idNumber,
      issuingAuthority: '示范市公安局',
    },
  });

const residentIdCard: Maker = (index, { number, random }) => {
  const issued = someDay(random, 2016, 2024);
  const ethnicity = oneOf(random, ['汉族', '汉族', '汉族', '回族', '满族', '壮族']);
  return residentIdCardOf(personOf(index), { number, issued, ethnicity });
};

/** A residence permit for work, if no other reason is given. */
export const residencePermitOf = (
  person: Person,
  {
    number,
    issued,
    expires,
    reason = '合法稳定就业',
  }: { readonly number: string; readonly issued: string; readonly expires: string; readonly reason?: string },
): DemoPush =>
  push('psb-issuer', true, {
    certificateTypeCode: demoTypes.residencePermit,
    certificateNumber: `JZ${number}`,
    certificateIssuedDate: issued,
    certificateExpiringDate: expires,
    holders: [holderOf(person)],
    fields: {
      name: person.name,
      sex: person.sex,
      birthDate: person.birthDate,
      registeredResidence: '外省示例县示例镇8号',
      currentAddress: person.address,
      residenceReason: reason,
    },
  });

const residencePermit: Maker = (index, { number, random }) => {
  const reason = oneOf(random, ['合法稳定就业', '合法稳定住所', '连续就读']);
  return residencePermitOf(personOf(index), { number, issued: '2025-03-10', expires: '2029-03-09', reason });
};

/** The page of a household register about one of its members; the head's own page is that of the head. */
export const householdRegisterOf = (
  member: Person,
  { head, relationship, number }: { readonly head: Person; readonly relationship: string; readonly number: string },
): DemoPush =>
  push('psb-issuer', true, {
    certificateTypeCode: demoTypes.householdRegister,
    certificateNumber: `HK${number}`,
    certificateIssuedDate: '2022-04-01',
    holders: [holderOf(member)],
    fields: {
      name: member.name,
      sex: member.sex,
      birthDate: member.birthDate,
      householdNumber: `H${number}`,
      householdType: '家庭户',
      relationshipToHead: relationship,
      headIdNumber: head.idNumber,
      registeredAddress: head.address,
    },
  });

const businessLicence: Maker = (index, { number }) => {
  const company = companyOf(index);
  return push('market-issuer', true, {
    certificateTypeCode: demoTypes.businessLicence,
    certificateNumber: `YZ${number}`,
    certificateIssuedDate: company.establishedDate,
    certificateExpiringDate: addYears(company.establishedDate, 40),
    holders: [holderOfCompany(company)],
    fields: {
      companyName: company.name,
      unifiedSocialCreditCode: company.uscc,
      entityType: '有限责任公司(自然人投资或控股)',
      legalRepresentative: company.legalRepresentative,
      registeredCapital: '2000000.00',
      establishedDate: company.establishedDate,
      domicile: company.domicile,
      businessScope: '一般项目:技术服务、技术开发、技术咨询;货物进出口。',
      registrationAuthority: '示范市市场监督管理局',
    },
  });
};

/** What social insurance was paid, with a record that is good for somewhat less than a year. */
export const socialInsuranceOf = (
  person: Person,
  paid: {
    readonly number: string;
    readonly issued: string;
    readonly expires: string;
    readonly employer: Company;
    /** yyyy-mm */
    readonly periodTo: string;
    readonly months: number;
    readonly contributionBase: string;
  },
): DemoPush =>
  push('hrss-issuer', false, {
    certificateTypeCode: demoTypes.socialInsurance,
    certificateNumber: `SB${paid.number}`,
    certificateIssuedDate: paid.issued,
    certificateExpiringDate: paid.expires,
    holders: [holderOf(person)],
    fields: {
      name: person.name,
      insuredStatus: '参保缴费',
      employerName: paid.employer.name,
      periodFrom: '2019-01',
      periodTo: paid.periodTo,
      pensionMonths: paid.months,
      medicalMonths: paid.months,
      unemploymentMonths: Math.floor(paid.months / 2),
      contributionBase: paid.contributionBase,
    },
  });

const socialInsurance: Maker = (index, { number, random }) =>
  socialInsuranceOf(personOf(index), {
    number,
    issued: '2026-09-01',
    expires: '2027-08-31',
    employer: companyOf(index % 60),
    periodTo: '2026-08',
    months: 12 + Math.floor(random() * 200),
    contributionBase: `${6_000 + (index % 90) * 100}.00`,
  });

const employment: Maker = (index, { number, random }) => {
  const person = personOf(index);
  return push('hrss-issuer', true, {
    certificateTypeCode: demoTypes.employment,
    certificateNumber: `JY${number}`,
    certificateIssuedDate: '2024-07-01',
    holders: [holderOf(person)],
    fields: {
      name: person.name,
      sex: person.sex,
      education: oneOf(random, ['高中', '大专', '本科', '硕士']),
      registrationKind: '就业登记',
      employerName: companyOf(index % 60).name,
      registeredDate: '2024-07-01',
      supportRecipient: random() < 0.05,
    },
  });
};

const taxPayment: Maker = (index, { number }) => {
  const person = personOf(index);
  return push('tax-issuer', false, {
    certificateTypeCode: demoTypes.taxPayment,
    certificateNumber: `WS${number}`,
    certificateIssuedDate: '2026-01-15',
    holders: [holderOf(person)],
    fields: {
      taxpayerName: person.name,
      taxYear: '2025',
      totalPaid: '3650.20',
      items: [{ taxKind: '个人所得税', periodFrom: '2025-01-01', periodTo: '2025-12-31', amount: '3650.20' }],
      taxAuthority: '示范市税务局',
    },
  });
};

/** The title of the home of its first owner. */
export const realEstateOf = (
  owners: readonly [Person, ...Person[]],
  { number, mortgaged = false }: { readonly number: string; readonly mortgaged?: boolean },
): DemoPush =>
  push('realestate-issuer', true, {
    certificateTypeCode: demoTypes.realEstate,
    certificateNumber: `示(2021)示范市不动产权第${number}号`,
    certificateIssuedDate: '2021-06-18',
    holders: owners.map(holderOf),
    fields: {
      unitNumber: `990000001001GB${number.padStart(14, '0').slice(-14)}`,
      location: owners[0].address,
      ownership: owners.length > 1 ? '共同共有' : '单独所有',
      rightKind: '国有建设用地使用权/房屋所有权',
      rightNature: '出让/市场化商品房',
      landUse: '城镇住宅用地/住宅',
      floorArea: '89.60',
      mortgaged,
    },
  });

const realEstate: Maker = (index, { number }) => {
  const [one, other] = [personOf(index), personOf(index + 1)];
  return realEstateOf(index % 3 === 0 ? [one, other] : [one], { number, mortgaged: index % 4 === 0 });
};

/** A marriage certificate of two holders. */
export const marriageOf = (one: Person, other: Person, number: string): DemoPush =>
  push('civil-affairs-issuer', true, {
    certificateTypeCode: demoTypes.marriage,
    certificateNumber: `J990000-2018-${number}`,
    certificateIssuedDate: '2018-05-20',
    holders: [holderOf(one), holderOf(other)],
    fields: {
      registeredDate: '2018-05-20',
      registrationOffice: '示范市民政局婚姻登记处',
      husbandName: one.name,
      wifeName: other.name,
    },
  });

const marriage: Maker = (index, { number }) => marriageOf(personOf(index), personOf(index + 1), number);

/** How the types share the city's certificates; marriages and titles take a person and the next one. */
const makers: readonly (readonly [maker: Maker, share: number])[] = [
  [residentIdCard, 6],
  [residencePermit, 2],
  [businessLicence, 3],
  [socialInsurance, 4],
  [employment, 2],
  [taxPayment, 2],
  [realEstate, 2],
  [marriage, 1],
];
/** The makers in turn, so that neighbours in the list are of different types. */
const round = Array.from({ length: 6 }, (_, turn) => makers.filter(([, share]) => share > turn)).flatMap((turn) =>
  turn.map(([maker]) => maker),
);

/**
 * That many certificates of the demo city, the same on every run. Four in a row are one person's, of four types; person 0 is kept
 * for the story, odd persons are spouses and co-owners.
 */
export function demoPushes(count: number): readonly DemoPush[] {
  return Array.from({ length: count }, (_, i) => {
    const maker = round[i % round.length];
    if (maker === undefined) throw new RangeError('no maker');
    return maker(2 + 2 * Math.floor(i / 4), { number: String(700_000 + i), random: seeded(50_000 + i) });
  });
}
