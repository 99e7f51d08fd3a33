import type { DepartmentCode } from '../ids.ts';
import type { MatterDefinition } from './matter.ts';
import {
  identity,
  type Materials,
  type MatterDepartments,
  materials,
  person,
  proof,
  words,
} from './starter-materials.ts';
import { exitEntry, householdRegistration } from './starter-matters-police.ts';

/** Six years old on the day, and not older than sixteen: whoever turns sixteen on it is still let in. */
const schoolAge = [
  { field: 'birthDate', is: 'at_most', monthsBefore: 72 },
  { field: 'birthDate', is: 'at_least', monthsBefore: 192 },
] as const;

const schoolEnrolment = (departmentCode: DepartmentCode, make: Materials): MatterDefinition => ({
  matterCode: 'school-enrolment',
  name: words('义务教育入学', 'Enrolment in compulsory education'),
  departmentCode,
  conditions: words(
    '年满六周岁、未满十六周岁,监护人在本市居住的适龄儿童、少年',
    'Children from six to sixteen years of age whose guardian lives in the city',
  ),
  parties: [
    person('guardian', '监护人(申请人)', 'Guardian (applicant)'),
    person('child', '入学儿童', 'Child', ['guardian']),
  ],
  requirements: [
    identity(make.idCard({ fields: ['name', 'idNumber'] }), words('监护人身份', 'Identity of the guardian')),
    proof(
      'guardianship',
      words('监护关系', 'Guardianship'),
      words(
        '《中华人民共和国义务教育法》关于父母或者其他法定监护人送适龄儿童入学的规定',
        'The Compulsory Education Law, on parents and other legal guardians sending children to school',
      ),
      {
        alternatives: [
          [
            make.householdRegister({
              of: 'child',
              fields: ['name', 'relationshipToHead'],
              conditions: [{ field: 'headIdNumber', is: 'same_as_party', party: 'guardian' }],
            }),
          ],
        ],
      },
    ),
    proof(
      'age',
      words('义务教育年龄(六周岁至十六周岁)', 'Age of compulsory education (six to sixteen years)'),
      words(
        '《中华人民共和国义务教育法》关于适龄儿童、少年和年满六周岁的儿童入学的规定',
        'The Compulsory Education Law, on children of school age and the enrolment of those who are six years old',
      ),
      {
        alternatives: [
          [make.householdRegister({ of: 'child', conditions: schoolAge })],
          [make.idCard({ of: 'child', conditions: schoolAge })],
        ],
      },
    ),
    proof(
      'residence',
      words('本市居住', 'Residence in the city'),
      words(
        '《中华人民共和国义务教育法》关于就近入学和在居住地平等接受义务教育的规定',
        'The Compulsory Education Law, on schooling near home and equal schooling at the place of residence',
      ),
      {
        alternatives: [
          [make.realEstate({ fields: ['location'] })],
          [
            make.residencePermit({
              fields: ['currentAddress'],
              conditions: [{ field: 'certificateIssuedDate', is: 'at_most', monthsBefore: 6 }],
            }),
          ],
          [make.householdRegister({ fields: ['registeredAddress'] })],
        ],
        laterDays: 30,
      },
    ),
    proof(
      'vaccination',
      words('预防接种', 'Vaccination'),
      words(
        '《中华人民共和国疫苗管理法》关于儿童入学时查验预防接种证的规定',
        'The Vaccine Administration Law, on inspecting the vaccination booklet when a child enters school',
      ),
      {
        paper: {
          issuedBy: words('儿童居住地预防接种单位', 'Vaccination unit at the place of residence of the child'),
          howToObtain: words(
            '持儿童预防接种证到居住地社区卫生服务中心查验,当场出具查验证明',
            'Take the vaccination booklet to the community health centre, which inspects it and issues the proof at once',
          ),
        },
        declaration: words(
          '本人承诺儿童已按国家免疫规划接种,未接种的将在开学后一个月内补种。',
          'I declare that the child is vaccinated as the national programme says, or will be within a month after school begins.',
        ),
      },
    ),
  ],
});

const affordableHousing = (departmentCode: DepartmentCode, make: Materials): MatterDefinition => ({
  matterCode: 'affordable-housing',
  name: words('保障性住房申请', 'Application for affordable housing'),
  departmentCode,
  conditions: words(
    '在本市稳定居住和就业、收入和住房在规定标准以下的居民',
    'Residents with stable residence and work in the city whose income and housing are below the set limits',
  ),
  parties: [person('applicant', '申请人', 'Applicant')],
  requirements: [
    identity(make.idCard({ fields: ['name', 'idNumber'] }), words('申请人身份', 'Identity of the applicant')),
    proof(
      'residence',
      words('本市户籍或居住满一年', 'Registered in the city, or resident for a year'),
      words(
        '国务院和本市关于保障性住房供应对象的规定',
        'National and municipal rules on who is entitled to affordable housing',
      ),
      {
        alternatives: [
          [make.householdRegister({ fields: ['registeredAddress'] })],
          [
            make.residencePermit({
              fields: ['currentAddress'],
              conditions: [{ field: 'certificateIssuedDate', is: 'at_most', monthsBefore: 12 }],
            }),
          ],
        ],
      },
    ),
    proof(
      'work',
      words('稳定就业', 'Stable work'),
      words(
        '国务院和本市关于保障性住房供应对象的规定',
        'National and municipal rules on who is entitled to affordable housing',
      ),
      {
        alternatives: [
          [
            make.socialInsurance({
              conditions: [
                { field: 'insuredStatus', is: 'equal', value: '参保缴费' },
                { field: 'pensionMonths', is: 'at_least', value: 12 },
                { field: 'periodTo', is: 'at_least', monthsBefore: 6 },
              ],
            }),
          ],
          [
            make.employment({
              conditions: [
                { field: 'registrationKind', is: 'one_of', value: ['就业登记', '灵活就业登记', '自主创业登记'] },
              ],
            }),
            make.taxPayment({ conditions: [{ field: 'taxYear', is: 'at_least', monthsBefore: 24 }] }),
          ],
        ],
      },
    ),
    proof(
      'income',
      words('收入在标准以下', 'Income below the limit'),
      words(
        '国务院和本市关于保障性住房收入标准的规定',
        'National and municipal rules on the income limit of affordable housing',
      ),
      {
        alternatives: [
          [make.socialInsurance({ conditions: [{ field: 'contributionBase', is: 'at_most', value: '12000.00' }] })],
          [
            make.taxPayment({
              conditions: [
                { field: 'taxYear', is: 'at_least', monthsBefore: 24 },
                { field: 'totalPaid', is: 'at_most', value: '6000.00' },
              ],
            }),
          ],
        ],
        declaration: words(
          '本人承诺家庭收入未超过本市规定的标准,所报情况属实。',
          'I declare that the income of my household is within the limit of the city and that what I state is true.',
        ),
      },
    ),
    proof(
      'home',
      words('家庭住房状况', 'Housing of the household'),
      words('国务院和本市关于保障性住房住房困难标准的规定', 'National and municipal rules on housing need'),
      {
        paper: {
          issuedBy: words('不动产登记机构', 'Real-estate registration office'),
          howToObtain: words(
            '申请人持身份证到不动产登记大厅或自助机查询,当场打印不动产登记资料查询结果',
            'Ask at the real-estate registration hall or its machines with the ID card; the result is printed at once',
          ),
        },
        laterDays: 10,
      },
    ),
  ],
});

/** The four matters the city named first. They hold nothing that a city could not change by registering its own version. */
export function starterMatters(departments: MatterDepartments): readonly MatterDefinition[] {
  const make = materials(departments);
  const { education, housing, publicSecurity } = departments;
  return [
    schoolEnrolment(education as DepartmentCode, make),
    affordableHousing(housing as DepartmentCode, make),
    householdRegistration(publicSecurity as DepartmentCode, make),
    exitEntry(publicSecurity as DepartmentCode, make),
  ];
}
