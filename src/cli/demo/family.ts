import {
  type DemoPush,
  householdRegisterOf,
  marriageOf,
  realEstateOf,
  residencePermitOf,
  residentIdCardOf,
  socialInsuranceOf,
} from './certificates.ts';
import { companyOf, type Person, personOf } from './people.ts';

/** A family of the demo city and its acquaintances; nobody else in the story or the city is one of them. */
export interface Family {
  /** Head of the household, father of the child. */
  readonly head: Person;
  /** Not in the register of the city yet. */
  readonly spouse: Person;
  readonly child: Person;
  /** A nephew, who is in no household register here. */
  readonly nephew: Person;
  /** A worker without a home of his own. */
  readonly tenant: Person;
}

/** The same people in every telling. */
export function storyFamily(): Family {
  const parents = [1985, 1992] as const;
  const children = [2018, 2019] as const;
  const head = personOf(60_003, parents);
  return {
    head,
    spouse: personOf(60_001, parents),
    child: { ...personOf(60_104, children), name: `${head.name.slice(0, 1)}雨桐`, address: head.address },
    nephew: { ...personOf(60_103, children), address: head.address },
    tenant: personOf(60_005, parents),
  };
}

/** A certificate and the key under which it is issued once, however often the story is told. */
export interface StoryCertificate {
  readonly key: string;
  readonly push: DemoPush;
}

/**
 * Everything that is on file about them, as issuers would have it on that day: what grows old is issued anew each month. Whoever
 * applies finds nothing to bring on paper but what only paper proves.
 * @param today yyyy-mm-dd
 */
export function familyCertificates(family: Family, today: string): readonly StoryCertificate[] {
  const { head, spouse, child, nephew, tenant } = family;
  const number = '990001';
  const registered = (member: Person, relationship: string, key: string): StoryCertificate => ({
    key,
    push: householdRegisterOf(member, { head, relationship, number: `${number}-${key}` }),
  });
  return [
    { key: 'card-head', push: residentIdCardOf(head, { number: `${number}1`, issued: '2021-03-01' }) },
    { key: 'card-spouse', push: residentIdCardOf(spouse, { number: `${number}2`, issued: '2020-08-12' }) },
    { key: 'card-nephew', push: residentIdCardOf(nephew, { number: `${number}3`, issued: '2025-02-17' }) },
    { key: 'card-tenant', push: residentIdCardOf(tenant, { number: `${number}4`, issued: '2019-11-05' }) },
    registered(head, '户主', 'page-head'),
    registered(child, child.sex === '男' ? '子' : '女', 'page-child'),
    { key: 'home', push: realEstateOf([head], { number }) },
    { key: 'marriage', push: marriageOf(head, spouse, number) },
    ...thisMonths(tenant, today),
  ];
}

/** A permit that is two years old and what was paid up to the month before, for whichever month it is told. */
function thisMonths(tenant: Person, today: string): readonly StoryCertificate[] {
  const month = today.slice(0, 7);
  const monthsAgo = (months: number): string => {
    const count = Number(month.slice(0, 4)) * 12 + Number(month.slice(5)) - 1 - months;
    return `${Math.floor(count / 12)}-${String((count % 12) + 1).padStart(2, '0')}`;
  };
  const number = `990001-${month}`;
  return [
    {
      key: `permit-${month}`,
      push: residencePermitOf(tenant, {
        number,
        issued: `${monthsAgo(24)}-01`,
        expires: `${monthsAgo(-24)}-28`,
      }),
    },
    {
      key: `insurance-${month}`,
      push: socialInsuranceOf(tenant, {
        number,
        issued: `${month}-01`,
        expires: `${monthsAgo(-6)}-28`,
        employer: companyOf(7),
        periodTo: monthsAgo(1),
        months: 58,
        contributionBase: '7800.00',
      }),
    },
  ];
}
