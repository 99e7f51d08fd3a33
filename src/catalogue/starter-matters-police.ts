import type { DepartmentCode } from '../ids.ts';
import type { MatterDefinition } from './matter.ts';
import { identity, identityGround, type Materials, person, proof, words } from './starter-materials.ts';

/** 户口迁入. */
export const householdRegistration = (departmentCode: DepartmentCode, make: Materials): MatterDefinition => ({
  matterCode: 'household-registration',
  name: words('户口迁入(夫妻投靠)', 'Moving into the household of a spouse'),
  departmentCode,
  conditions: words(
    '配偶在本市有合法稳定住所并同意其落户的人员',
    'Persons whose spouse has a lawful and stable home in the city and agrees',
  ),
  parties: [
    person('applicant', '迁入人(申请人)', 'Who moves (applicant)'),
    person('host', '接收户户主', 'Head of the household', ['applicant']),
  ],
  requirements: [
    identity(
      make.idCard({ fields: ['name', 'idNumber', 'address'] }),
      words('迁入人身份', 'Identity of the applicant'),
    ),
    proof('host-identity', words('户主身份', 'Identity of the head'), identityGround, {
      alternatives: [[make.idCard({ of: 'host', fields: ['name', 'idNumber'] })]],
    }),
    proof(
      'marriage',
      words('夫妻关系', 'Marriage'),
      words(
        '《中华人民共和国户口登记条例》关于办理迁入登记的规定',
        'The Regulations on Household Registration, on registering who moves in',
      ),
      {
        alternatives: [
          [
            make.marriage({
              fields: ['registeredDate'],
              conditions: [{ field: 'certificateHolders', is: 'same_as_party', party: 'host' }],
            }),
          ],
        ],
      },
    ),
    proof(
      'home',
      words('合法稳定住所', 'Lawful and stable home'),
      words(
        '国务院关于户籍制度改革的意见和本市落户规定',
        'National opinions on the reform of household registration and the rules of the city',
      ),
      { alternatives: [[make.realEstate({ of: 'host', fields: ['location', 'landUse'] })]] },
    ),
    proof(
      'migration',
      words('户口迁移证', 'Migration certificate'),
      words(
        '《中华人民共和国户口登记条例》关于凭迁移证件申报迁入登记的规定',
        'The Regulations on Household Registration, on registering with a migration certificate',
      ),
      {
        paper: {
          issuedBy: words('迁出地公安机关', 'Public security organ of the place of departure'),
          howToObtain: words(
            '凭准予迁入证明到迁出地派出所办理;跨省通办地区可由迁入地派出所网上核验',
            'At the police station of the place of departure, with the permit to move in; where provinces cooperate, the police station of arrival checks it online',
          ),
        },
        laterDays: 30,
      },
    ),
  ],
  produces: [make.householdRegister().certificateTypeCode],
});

/** 出入境证件办理. */
export const exitEntry = (departmentCode: DepartmentCode, make: Materials): MatterDefinition => ({
  matterCode: 'exit-entry',
  name: words('出入境证件办理', 'Issue of an exit-entry document'),
  departmentCode,
  conditions: words('申请普通护照的中国公民', 'Chinese citizens who apply for an ordinary passport'),
  parties: [person('applicant', '申请人', 'Applicant')],
  requirements: [
    identity(
      make.idCard({ fields: ['name', 'sex', 'birthDate', 'idNumber'], issuedBy: [departmentCode] }),
      words('申请人身份', 'Identity of the applicant'),
    ),
    proof(
      'place',
      words('在本市申请的依据', 'Ground for applying in the city'),
      words('《中华人民共和国护照法》关于申请普通护照的规定', 'The Passport Law, on applying for an ordinary passport'),
      {
        alternatives: [
          [make.householdRegister()],
          [make.residencePermit()],
          [
            make.socialInsurance({
              conditions: [
                { field: 'insuredStatus', is: 'equal', value: '参保缴费' },
                { field: 'pensionMonths', is: 'at_least', value: 6 },
              ],
            }),
          ],
        ],
        declaration: words(
          '本人承诺在本市居住,所留住址和联系方式属实。',
          'I declare that I live in the city and that the address I gave is true.',
        ),
      },
    ),
    proof(
      'photo',
      words('出入境证件相片', 'Photograph'),
      words(
        '《中华人民共和国护照法》关于提交近期免冠照片的规定',
        'The Passport Law, on handing in a recent photograph',
      ),
      {
        paper: {
          issuedBy: words('出入境证件相片采集点', 'Registered photographer'),
          howToObtain: words(
            '在相片采集点或办证大厅自助机拍摄,当场取得检测合格回执',
            'Have it taken by a registered photographer or a machine in the hall; the receipt comes at once',
          ),
        },
      },
    ),
    proof(
      'consent',
      words('所在单位意见', 'Opinion of the employer'),
      words(
        '《中华人民共和国护照法》关于国家工作人员提交相关证明的规定',
        'The Passport Law, on the proofs that state functionaries hand in',
      ),
      {
        paper: {
          issuedBy: words('所在工作单位或者上级主管单位', 'Employer or its superior'),
          howToObtain: words(
            '登记备案人员向单位人事部门提出,由其按管理权限出具意见',
            'Registered functionaries ask the personnel office, which gives the opinion',
          ),
        },
        declaration: words(
          '本人承诺不属于登记备案的国家工作人员。',
          'I declare that I am not a registered state functionary.',
        ),
      },
    ),
  ],
});
