import { citizenCheckCharacter, usccCheckCharacter } from '../../verification/identifiers.ts';

/** A person nobody is: region 990000 does not exist. */
export interface Person {
  readonly name: string;
  readonly sex: '男' | '女';
  readonly birthDate: string;
  readonly idNumber: string;
  readonly address: string;
}

/** A company nobody owns: region 999900 does not exist. */
export interface Company {
  readonly name: string;
  readonly uscc: string;
  readonly legalRepresentative: string;
  readonly establishedDate: string;
  readonly domicile: string;
}

/** Numbers that look random and are the same on every run (mulberry32). Never for anything secret. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** One of a list. */
export const oneOf = <T>(random: () => number, list: readonly T[]): T => {
  const found = list[Math.floor(random() * list.length)];
  if (found === undefined) throw new RangeError('nothing to choose from');
  return found;
};

/** A day between two years, as yyyy-mm-dd; never after the 28th, so that every month has it. */
export const someDay = (random: () => number, fromYear: number, toYear: number): string => {
  const number = (least: number, most: number): number => least + Math.floor(random() * (most - least + 1));
  const two = (value: number): string => String(value).padStart(2, '0');
  return `${number(fromYear, toYear)}-${two(number(1, 12))}-${two(number(1, 28))}`;
};

const surnames = Array.from('赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨朱秦尤许何吕施张孔曹严华金魏陶姜');
const givenNames = {
  男: ['伟', '志强', '建国', '晓东', '俊杰', '浩然', '子轩', '文博', '海涛', '明远', '立新', '嘉豪'],
  女: ['芳', '秀英', '丽娜', '晓燕', '雨桐', '思琪', '欣怡', '婉清', '佳慧', '雪梅', '若曦', '静怡'],
} as const;
const roads = ['示范大道', '海棠路', '青石巷', '滨江东路', '学府街', '望湖路', '民安里', '新桥街'];
const trades = ['软件', '餐饮管理', '建筑工程', '物流', '生物科技', '文化传媒', '机械制造', '园林景观'];

const addressOf = (random: () => number): string =>
  `示范市${oneOf(random, ['东城区', '西湖区', '高新区', '港口区'])}${oneOf(random, roads)}${1 + Math.floor(random() * 200)}号`;

/** The ID number (GB 11643) with a right check character. `sequence` 0 to 999; odd for men. */
export function idNumberOf(birthDate: string, sequence: number): string {
  const body = `990000${birthDate.replaceAll('-', '')}${String(sequence).padStart(3, '0')}`;
  return `${body}${citizenCheckCharacter(body) ?? ''}`;
}

/** Person number `index` of the demo city; two of the same index are equal. */
export function personOf(index: number, age: readonly [number, number] = [1955, 2004]): Person {
  const random = seeded(1_000 + index);
  const sex = random() < 0.5 ? '男' : '女';
  const birthDate = someDay(random, age[0], age[1]);
  const half = (index * 2 + (sex === '男' ? 1 : 0)) % 1_000;
  return {
    name: `${oneOf(random, surnames)}${oneOf(random, givenNames[sex])}`,
    sex,
    birthDate,
    idNumber: idNumberOf(birthDate, half),
    address: addressOf(random),
  };
}

/** Company number `index` of the demo city, index below 1,000,000. */
export function companyOf(index: number): Company {
  const random = seeded(9_000_000 + index);
  const body = `91999900MA${String(index).padStart(7, '0')}`;
  return {
    name: `示范市${oneOf(random, surnames)}${oneOf(random, ['氏', '记', '源', '泰'])}${oneOf(random, trades)}有限公司`,
    uscc: `${body}${usccCheckCharacter(body) ?? ''}`,
    legalRepresentative: `${oneOf(random, surnames)}${oneOf(random, givenNames.男)}`,
    establishedDate: someDay(random, 2005, 2023),
    domicile: addressOf(random),
  };
}
