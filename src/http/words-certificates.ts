import type { ProblemWords } from './words.ts';

/** Problems in the life of a certificate. */
export const certificatesWords = {
  certificate_type_unknown: {
    status: 404,
    title: { en: 'Certificate type not in the catalogue', zh: '证照目录中没有此类型' },
    detail: { en: 'The catalogue has no certificate type with this code.', zh: '证照目录中没有该代码对应的类型。' },
    next: {
      en: 'Take the code from /v1/certificate-types, or ask the owner department to register the type.',
      zh: '请从 /v1/certificate-types 选取代码，或请主管部门登记该类型。',
    },
  },
  type_not_allowed: {
    status: 403,
    title: { en: 'Department may not issue this type', zh: '本部门无权制发此类证照' },
    detail: {
      en: 'Your department is not, or no longer, listed as an issuer of this certificate type.',
      zh: '贵部门不在该证照类型的制发部门之列，或授权已到期。',
    },
    next: {
      en: 'Ask the owner department of the type to list your department.',
      zh: '请联系该类型的主管部门办理制发授权。',
    },
  },
  holder_kind_mismatch: {
    status: 422,
    title: { en: 'Holder of the wrong kind', zh: '持证主体类别不符' },
    detail: {
      en: 'This certificate type is for persons or for organisations only, and a holder is of the other kind.',
      zh: '该证照类型仅面向自然人或仅面向法人和其他组织，而所报持证主体类别不符。',
    },
    next: { en: "Check the holder's type and the certificate type.", zh: '请核对持证主体的代码类型和证照类型。' },
  },
  holder_count_mismatch: {
    status: 422,
    title: { en: 'Wrong number of holders', zh: '持证主体数量不符' },
    detail: {
      en: 'The certificate has more or fewer holders than its type allows.',
      zh: '持证主体的数量不在该类型允许的范围内。',
    },
    next: { en: 'See holderCount of the certificate type.', zh: '请查看该证照类型的 holderCount。' },
  },
  holder_duplicate: {
    status: 422,
    title: { en: 'Holder listed twice', zh: '持证主体重复' },
    detail: { en: 'The same holder stands twice in the list.', zh: '同一持证主体在列表中出现两次。' },
    next: { en: 'List every holder once.', zh: '请确保每个持证主体只列一次。' },
  },
  field_unknown: {
    status: 422,
    title: { en: 'Field not defined', zh: '字段未定义' },
    detail: {
      en: 'A field is not defined by the certificate type; context names the place.',
      zh: '所报字段不在该证照类型的定义中；位置见 context。',
    },
    next: {
      en: 'Take the field names from the certificate type; they are case-sensitive.',
      zh: '请按证照类型定义填写字段名，注意大小写。',
    },
  },
  field_missing: {
    status: 422,
    title: { en: 'Required field missing', zh: '缺少必填字段' },
    detail: {
      en: 'A field that the certificate type requires is missing; context names it.',
      zh: '缺少该证照类型规定的必填字段；字段见 context。',
    },
    next: { en: 'Add the field.', zh: '请补充该字段。' },
  },
  field_invalid: {
    status: 422,
    title: { en: 'Field value not allowed', zh: '字段值不符合规则' },
    detail: {
      en: 'The value of a field breaks the rule of the certificate type; context names field and rule.',
      zh: '字段值不符合该证照类型的规则；字段和规则见 context。',
    },
    next: { en: 'Correct the value according to the certificate type.', zh: '请按证照类型的规则修改。' },
  },
  dates_out_of_order: {
    status: 422,
    title: { en: 'Dates out of order', zh: '日期先后有误' },
    detail: {
      en: 'The certificate would expire before it takes effect, or a date does not exist.',
      zh: '证照失效日期早于生效日期，或日期不存在。',
    },
    next: { en: 'Check the issued, effective and expiring dates.', zh: '请核对颁发日期、生效日期和失效日期。' },
  },
  validity_mismatch: {
    status: 422,
    title: { en: 'Validity not allowed for this type', zh: '有效期不符合类型规定' },
    detail: {
      en: 'The certificate type demands an expiring date, forbids one, or limits how long a certificate is valid.',
      zh: '该类型规定必须有失效日期、不得有失效日期，或对有效期长度有限制。',
    },
    next: { en: 'See validity of the certificate type.', zh: '请查看该证照类型的 validity 规定。' },
  },
  certificate_unknown: {
    status: 404,
    title: { en: 'Certificate not found', zh: '证照不存在' },
    detail: { en: 'Your department has no certificate with this identifier.', zh: '贵部门没有该标识对应的证照。' },
    next: { en: 'Check the identifier, version and check character included.', zh: '请核对标识，包括版本号和校验位。' },
  },
  certificate_exists: {
    status: 409,
    title: { en: 'Certificate already pushed', zh: '证照已存在' },
    detail: {
      en: 'A certificate with this identifier or number was pushed before.',
      zh: '该标识或证照编号对应的证照已经推送。',
    },
    next: {
      en: 'Correct the one that exists, or revise it if it is sealed.',
      zh: '请更正已有证照；如已签章，请提交新版本。',
    },
  },
  version_outdated: {
    status: 409,
    title: { en: 'Newer version exists', zh: '已有更新版本' },
    detail: {
      en: 'This certificate has a newer version; only the newest can be changed.',
      zh: '该证照已有新版本，只能对最新版本操作。',
    },
    next: {
      en: 'Read the history and use the identifier of the newest version.',
      zh: '请查询变更历史，使用最新版本的标识。',
    },
  },
  identifier_mismatch: {
    status: 422,
    title: { en: 'Identifier does not fit the certificate', zh: '标识与证照内容不一致' },
    detail: {
      en: 'Type, issuing authority or version in the identifier differ from what the request says.',
      zh: '标识中的类型、颁发机构或版本与请求内容不一致。',
    },
    next: {
      en: 'Correct either of them, or leave the identifier out and let the hub assign one.',
      zh: '请更正其一，或不填标识由平台赋码。',
    },
  },
  wrong_department: {
    status: 403,
    title: { en: 'Belongs to another department', zh: '属于其他部门' },
    detail: {
      en: 'You may act only on what belongs to your own department.',
      zh: '只能对本部门的证照和事项进行操作。',
    },
    next: { en: 'Ask the department named in the identifier to do it.', zh: '请由标识所示部门办理。' },
  },
  review_required: {
    status: 409,
    title: { en: 'Not reviewed yet', zh: '尚未审核' },
    detail: {
      en: 'Certificates of this type are reviewed before they are sealed, and this one is not approved.',
      zh: '该类证照须先审核后签章，而此证照尚未通过审核。',
    },
    next: { en: 'Have another officer approve it, then seal it.', zh: '请由另一经办人审核通过后再签章。' },
  },
  reason_missing: {
    status: 422,
    title: { en: 'Reason missing', zh: '缺少原因' },
    detail: {
      en: 'To return a certificate needs a reason that the pushing officer can act on.',
      zh: '退回证照时须写明原因，以便推送的经办人修改。',
    },
    next: { en: 'Add reason.', zh: '请填写 reason。' },
  },
  reviewer_must_differ: {
    status: 403,
    title: { en: 'Reviewer and pusher are the same officer', zh: '审核人与推送人相同' },
    detail: {
      en: 'The officer who pushed or last corrected a certificate must not review it.',
      zh: '推送或最后更正证照的经办人不得审核该证照。',
    },
    next: { en: 'Have another officer of the department review it.', zh: '请由本部门另一经办人审核。' },
  },
  revocation_reason_missing: {
    status: 422,
    title: { en: 'Kind of revocation missing', zh: '缺少撤销类别' },
    detail: {
      en: 'A revocation must say whether the certificate is cancelled in the normal course or was issued in error.',
      zh: '撤销证照须区分正常注销与错误签发。',
    },
    next: {
      en: 'Add revocationReason: cancelled or issued_in_error.',
      zh: '请填写 revocationReason：cancelled 或 issued_in_error。',
    },
  },
  wrong_state: {
    status: 409,
    title: { en: 'Not possible in this state', zh: '当前状态不允许此操作' },
    detail: {
      en: 'The certificate is in a state that does not allow this step; context names the state.',
      zh: '证照当前状态不允许此操作；状态见 context。',
    },
    next: {
      en: 'Read the certificate and its history, then choose a step its state allows.',
      zh: '请查询证照及其历史，选择当前状态允许的操作。',
    },
  },
  seal_key_missing: {
    status: 409,
    title: { en: 'No seal key deposited', zh: '未寄存签章密钥' },
    detail: {
      en: 'The hub holds no seal key of your department that is registered for use now.',
      zh: '平台没有贵部门当前可用的签章密钥。',
    },
    next: {
      en: 'Deposit a key and register its X.509 certificate (a deposited key counts from the next start of the hub), or bring your own seal with sdJwt.',
      zh: '请寄存密钥并登记其签章证书（寄存的密钥在平台下次启动时生效），或通过 sdJwt 提交自行签章的证照。',
    },
  },
  seal_key_expired: {
    status: 409,
    title: { en: 'Seal certificate (X.509) out of validity', zh: '签章证书不在有效期' },
    detail: {
      en: 'The seal certificate of your department has expired, is not valid yet or was withdrawn.',
      zh: '贵部门的签章证书已过期、尚未生效或已停用。',
    },
    next: {
      en: 'Register a new seal certificate; certificates sealed before stay valid.',
      zh: '请登记新的签章证书；此前签章的证照不受影响。',
    },
  },
  sealed_certificate_invalid: {
    status: 422,
    title: { en: 'Sealed certificate does not verify', zh: '签章验证不通过' },
    detail: {
      en: 'The SD-JWT you sealed does not verify, or does not say what was pushed and approved; context names the check.',
      zh: '所提交的 SD-JWT 签章验证不通过，或与已推送并审核的内容不一致；未通过的检查见 context。',
    },
    next: {
      en: 'Correct what context.reasons names: sign the payload shown under sealing with a registered seal key, one disclosure per field, and send it again.',
      zh: '请按 context.reasons 所示修改：使用已登记的签章密钥对 sealing 中的内容签名，每个字段一个披露项，重新提交。',
    },
  },
  status_list_unknown: {
    status: 404,
    title: { en: 'Status list not found', zh: '状态列表不存在' },
    detail: { en: 'The hub publishes no status list with this number.', zh: '平台没有发布该编号的状态列表。' },
    next: {
      en: 'Take the address from status.status_list.uri of a certificate.',
      zh: '请使用证照中 status.status_list.uri 给出的地址。',
    },
  },
} as const satisfies Readonly<Record<string, ProblemWords>>;
