import type { CertificateTypeCode, DepartmentCode } from '../ids.ts';
import type { JsonObject } from '../verification/encoding.ts';
import type { CertificateTypeDefinition, FieldClass, FieldDefinition } from './certificate-type.ts';

/** The departments that own and issue the starter types, by USCC. */
export interface StarterDepartments {
  readonly publicSecurity: string;
  readonly marketRegulation: string;
  readonly humanResources: string;
  readonly taxation: string;
  readonly naturalResources: string;
  readonly civilAffairs: string;
}

/** The departments of `keys-example/departments.json`. */
export const exampleDepartments: StarterDepartments = {
  publicSecurity: '11999900100000016A',
  marketRegulation: '119999001000000245',
  humanResources: '119999001000000320',
  taxation: '11999900100000040T',
  naturalResources: '11999900100000059P',
  civilAffairs: '11999900100000067J',
};

const text = (maxLength: number): JsonObject => ({ type: 'string', minLength: 1, maxLength });
const shaped = (pattern: string, maxLength: number): JsonObject => ({ type: 'string', pattern, maxLength });
const oneOf = (...values: string[]): JsonObject => ({ type: 'string', enum: values });
const day: JsonObject = { type: 'string', format: 'date' };
const month = shaped('^[0-9]{4}-(?:0[1-9]|1[0-2])$', 7);
const year = shaped('^[0-9]{4}$', 4);
const sex = oneOf('男', '女');
const uscc = shaped('^[0-9A-HJ-NPQRTUWXY]{18}$', 18);
const idNumber = shaped('^[0-9]{17}[0-9X]$', 18);
/** Yuan with two decimals as text: binary fractions have no place in a tax record. */
const money = shaped('^(?:0|[1-9][0-9]{0,14})\\.[0-9]{2}$', 18);
const count = (maximum: number): JsonObject => ({ type: 'integer', minimum: 0, maximum });

type Row = readonly [
  name: string,
  zh: string,
  en: string,
  schema: JsonObject,
  fieldClass: FieldClass,
  optional?: 'optional',
];

const fields = (...rows: readonly Row[]): FieldDefinition[] =>
  rows.map(([name, zh, en, schema, fieldClass, optional]) => ({
    name,
    label: { zh, en },
    schema,
    class: fieldClass,
    required: optional === undefined,
  }));

const residentIdCard = fields(
  ['name', '姓名', 'Name', text(50), 'internal'],
  ['sex', '性别', 'Sex', sex, 'internal'],
  ['ethnicity', '民族', 'Ethnicity', text(20), 'sensitive'],
  ['birthDate', '出生日期', 'Date of birth', day, 'internal'],
  ['address', '住址', 'Address', text(200), 'sensitive'],
  ['idNumber', '公民身份号码', 'Citizen ID number', idNumber, 'sensitive'],
  ['issuingAuthority', '签发机关', 'Issuing authority', text(100), 'public'],
);

const businessLicence = fields(
  ['companyName', '名称', 'Name', text(100), 'public'],
  ['unifiedSocialCreditCode', '统一社会信用代码', 'Unified social credit code', uscc, 'public'],
  ['entityType', '类型', 'Type of entity', text(60), 'public'],
  ['legalRepresentative', '法定代表人', 'Legal representative', text(50), 'internal'],
  ['registeredCapital', '注册资本(元)', 'Registered capital (yuan)', money, 'public', 'optional'],
  ['establishedDate', '成立日期', 'Date of establishment', day, 'public'],
  ['domicile', '住所', 'Domicile', text(200), 'public'],
  ['businessScope', '经营范围', 'Scope of business', text(2_000), 'public'],
  ['registrationAuthority', '登记机关', 'Registration authority', text(100), 'public'],
);

const residencePermit = fields(
  ['name', '姓名', 'Name', text(50), 'internal'],
  ['sex', '性别', 'Sex', sex, 'internal'],
  ['birthDate', '出生日期', 'Date of birth', day, 'internal'],
  ['registeredResidence', '户籍地址', 'Registered permanent residence', text(200), 'sensitive'],
  ['currentAddress', '居住地址', 'Current address', text(200), 'sensitive'],
  ['residenceReason', '居住事由', 'Reason of residence', oneOf('合法稳定就业', '合法稳定住所', '连续就读'), 'internal'],
  ['firstIssuedDate', '首次签发日期', 'First issued on', day, 'internal', 'optional'],
);

const householdRegister = fields(
  ['name', '姓名', 'Name', text(50), 'internal'],
  ['sex', '性别', 'Sex', sex, 'internal'],
  ['birthDate', '出生日期', 'Date of birth', day, 'internal'],
  ['householdNumber', '户号', 'Household number', text(30), 'internal'],
  ['householdType', '户别', 'Kind of household', oneOf('家庭户', '集体户'), 'internal'],
  [
    'relationshipToHead',
    '与户主关系',
    'Relationship to the head',
    oneOf('户主', '配偶', '子', '女', '孙子女', '父母', '祖父母', '兄弟姐妹', '其他'),
    'internal',
  ],
  ['headIdNumber', '户主公民身份号码', 'ID number of the head', idNumber, 'sensitive'],
  ['registeredAddress', '户籍地址', 'Registered address', text(200), 'sensitive'],
);

const socialInsuranceRecord = fields(
  ['name', '姓名', 'Name', text(50), 'internal'],
  ['insuredStatus', '参保状态', 'Insurance status', oneOf('参保缴费', '暂停缴费', '终止参保'), 'internal'],
  ['employerName', '单位名称', 'Employer', text(100), 'internal', 'optional'],
  ['periodFrom', '缴费起始年月', 'Paid from (month)', month, 'internal'],
  ['periodTo', '缴费终止年月', 'Paid to (month)', month, 'internal'],
  ['pensionMonths', '养老保险累计缴费月数', 'Months of pension insurance', count(1_200), 'internal'],
  ['medicalMonths', '医疗保险累计缴费月数', 'Months of medical insurance', count(1_200), 'internal'],
  ['unemploymentMonths', '失业保险累计缴费月数', 'Months of unemployment insurance', count(1_200), 'internal'],
  ['contributionBase', '缴费基数(元)', 'Contribution base (yuan)', money, 'sensitive'],
);

const employmentRegistration = fields(
  ['name', '姓名', 'Name', text(50), 'internal'],
  ['sex', '性别', 'Sex', sex, 'internal'],
  [
    'education',
    '文化程度',
    'Education',
    oneOf('小学', '初中', '高中', '中专', '大专', '本科', '硕士', '博士', '其他'),
    'internal',
  ],
  [
    'registrationKind',
    '登记类别',
    'Kind of registration',
    oneOf('就业登记', '失业登记', '灵活就业登记', '自主创业登记'),
    'internal',
  ],
  ['employerName', '用人单位', 'Employer', text(100), 'internal', 'optional'],
  ['occupation', '职业(工种)', 'Occupation', text(60), 'internal', 'optional'],
  ['registeredDate', '登记日期', 'Registered on', day, 'internal'],
  ['supportRecipient', '就业困难人员', 'Entitled to employment support', { type: 'boolean' }, 'sensitive'],
);

const taxPaymentRecord = fields(
  ['taxpayerName', '纳税人名称', 'Taxpayer', text(100), 'internal'],
  ['taxYear', '所属年度', 'Tax year', year, 'internal'],
  ['totalPaid', '实缴税额合计(元)', 'Total tax paid (yuan)', money, 'sensitive'],
  [
    'items',
    '税款明细',
    'Items',
    {
      type: 'array',
      minItems: 1,
      maxItems: 60,
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['taxKind', 'periodFrom', 'periodTo', 'amount'],
        properties: { taxKind: text(40), periodFrom: day, periodTo: day, amount: money },
      },
    },
    'sensitive',
  ],
  ['taxAuthority', '主管税务机关', 'Competent tax authority', text(100), 'public'],
);

const realEstateTitle = fields(
  ['unitNumber', '不动产单元号', 'Real-estate unit number', shaped('^[0-9A-Z]{28}$', 28), 'internal'],
  ['location', '坐落', 'Location', text(200), 'internal'],
  ['ownership', '共有情况', 'Kind of ownership', oneOf('单独所有', '共同共有', '按份共有'), 'internal'],
  ['rightKind', '权利类型', 'Kind of right', text(60), 'internal'],
  ['rightNature', '权利性质', 'Nature of the right', text(60), 'internal'],
  ['landUse', '用途', 'Use', text(60), 'internal'],
  ['floorArea', '房屋建筑面积(平方米)', 'Floor area (m²)', money, 'internal'],
  ['useTerm', '使用期限', 'Term of use', text(100), 'internal', 'optional'],
  ['mortgaged', '是否抵押', 'Mortgaged', { type: 'boolean' }, 'sensitive'],
  ['note', '附记', 'Notes', text(1_000), 'sensitive', 'optional'],
);

const marriageCertificate = fields(
  ['registeredDate', '登记日期', 'Registered on', day, 'internal'],
  ['registrationOffice', '婚姻登记机关', 'Registration office', text(100), 'public'],
  ['husbandName', '男方姓名', 'Husband', text(50), 'sensitive'],
  ['wifeName', '女方姓名', 'Wife', text(50), 'sensitive'],
  ['note', '备注', 'Note', text(200), 'sensitive', 'optional'],
);

/**
 * The types the city named first, and the household register, which ties a child to its family. A type's code is its owner's USCC and a number; both can be replaced by registering
 * the city's own definitions under their national codes.
 */
export function starterTypes(departments: StarterDepartments): readonly CertificateTypeDefinition[] {
  const define = (
    owner: string,
    number: string,
    zh: string,
    en: string,
    rest: Pick<
      CertificateTypeDefinition,
      'holderKind' | 'holderCount' | 'fields' | 'validity' | 'reviewRequired' | 'category'
    >,
  ): CertificateTypeDefinition => ({
    // Checked by `checkDefinition` like every other definition.
    certificateTypeCode: `${owner}${number}` as CertificateTypeCode,
    name: { zh, en },
    ownerDepartmentCode: owner as DepartmentCode,
    allowedIssuers: [{ departmentCode: owner as DepartmentCode }],
    // By their codes: the city's own departments define and issue them.
    definingAuthorityLevel: 'municipal',
    issuingAuthorityLevel: 'municipal',
    ...rest,
  });
  const { publicSecurity, marketRegulation, humanResources, taxation, naturalResources, civilAffairs } = departments;
  const one = { min: 1, max: 1 };
  const person = { holderKind: 'person', holderCount: one } as const;
  const permanent = { kind: 'permanent' } as const;
  return [
    define(publicSecurity, '001', '居民身份证', 'Resident ID card', {
      ...person,
      fields: residentIdCard,
      validity: { kind: 'either', maxMonths: 240 },
      category: 'licence',
      reviewRequired: true,
    }),
    define(publicSecurity, '002', '居住证', 'Residence permit', {
      ...person,
      fields: residencePermit,
      validity: { kind: 'limited', maxMonths: 60 },
      category: 'licence',
      reviewRequired: true,
    }),
    define(publicSecurity, '003', '居民户口簿', 'Household register', {
      ...person,
      fields: householdRegister,
      validity: permanent,
      category: 'licence',
      reviewRequired: true,
    }),
    define(marketRegulation, '001', '营业执照', 'Business licence', {
      holderKind: 'organisation',
      holderCount: one,
      fields: businessLicence,
      validity: { kind: 'either', maxMonths: 600 },
      category: 'licence',
      reviewRequired: true,
    }),
    define(humanResources, '001', '社会保险参保缴费记录', 'Social-insurance payment record', {
      ...person,
      fields: socialInsuranceRecord,
      validity: { kind: 'either', maxMonths: 12 },
      category: 'proof',
      reviewRequired: false,
    }),
    define(humanResources, '002', '就业创业登记', 'Employment registration', {
      ...person,
      fields: employmentRegistration,
      validity: { kind: 'either', maxMonths: 120 },
      category: 'proof',
      reviewRequired: true,
    }),
    define(taxation, '001', '纳税记录(完税证明)', 'Tax payment record', {
      holderKind: 'mixed',
      holderCount: one,
      fields: taxPaymentRecord,
      validity: permanent,
      category: 'proof',
      reviewRequired: false,
    }),
    define(naturalResources, '001', '不动产权证书', 'Real-estate title', {
      holderKind: 'mixed',
      holderCount: { min: 1, max: 20 },
      fields: realEstateTitle,
      validity: permanent,
      category: 'licence',
      reviewRequired: true,
    }),
    define(civilAffairs, '001', '结婚证', 'Marriage certificate', {
      holderKind: 'person',
      holderCount: { min: 2, max: 2 },
      fields: marriageCertificate,
      validity: permanent,
      category: 'licence',
      reviewRequired: true,
    }),
  ];
}
