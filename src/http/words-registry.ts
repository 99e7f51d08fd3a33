import type { ProblemWords } from './words.ts';

/** Problems of identifiers, retries, departments, clients, keys and certificate types. */
export const registryWords = {
  invalid_id_number: {
    status: 422,
    title: { en: 'ID number does not check', zh: '公民身份号码校验不通过' },
    detail: {
      en: 'The citizen ID number has a wrong length, date or check digit.',
      zh: '公民身份号码的长度、出生日期或校验码有误。',
    },
    next: {
      en: 'Read the number again from the document; do not correct the last character by hand.',
      zh: '请对照证件重新录入，不要手工修改末位校验码。',
    },
  },
  invalid_uscc: {
    status: 422,
    title: { en: 'Unified social credit code does not check', zh: '统一社会信用代码校验不通过' },
    detail: {
      en: 'The unified social credit code has a wrong length, character or check character (GB 32100).',
      zh: '统一社会信用代码的长度、字符或校验码有误（GB 32100）。',
    },
    next: {
      en: 'Read the code again from the licence; it has 18 characters and neither I, O, S, V nor Z.',
      zh: '请对照证照重新录入；代码共 18 位，不含 I、O、S、V、Z。',
    },
  },
  invalid_certificate_identifier: {
    status: 422,
    title: { en: 'Certificate identifier does not check', zh: '电子证照标识校验不通过' },
    detail: {
      en: 'The certificate identifier is not built as GB/T 36904 says, or its check character is wrong.',
      zh: '电子证照标识不符合 GB/T 36904 的构成，或校验位有误。',
    },
    next: {
      en: 'Copy the whole identifier, with version and check character, as the hub gave it.',
      zh: '请完整复制平台给出的标识，包括版本号和校验位。',
    },
  },
  invalid_certificate_type_code: {
    status: 422,
    title: { en: 'Certificate type code does not check', zh: '证照类型代码校验不通过' },
    detail: {
      en: 'The certificate type code is not a valid code of the defining authority followed by three digits (GB/T 36902).',
      zh: '证照类型代码应为定义机构的统一社会信用代码加三位数字（GB/T 36902），现不符合。',
    },
    next: {
      en: 'Take the code from the catalogue, /v1/certificate-types.',
      zh: '请从证照目录 /v1/certificate-types 中选取代码。',
    },
  },
  invalid_holder_type: {
    status: 422,
    title: { en: 'Holder type not known', zh: '持证主体代码类型未知' },
    detail: {
      en: 'The hub does not know this holder type (GB/T 36903), or cannot look holders of this type up.',
      zh: '平台不识别该持证主体代码类型（GB/T 36903），或不支持按此类型调用。',
    },
    next: {
      en: 'Use 111 for a citizen ID number or 001 for a unified social credit code.',
      zh: '公民身份号码请用 111，统一社会信用代码请用 001。',
    },
  },
  idempotency_key_missing: {
    status: 400,
    title: { en: 'Idempotency-Key missing', zh: '缺少 Idempotency-Key' },
    detail: {
      en: 'A write needs an Idempotency-Key, so that a retry has one effect only.',
      zh: '写操作须带 Idempotency-Key，以保证重试只生效一次。',
    },
    next: {
      en: 'Make a random key for each intended change and send the same key with every retry of it.',
      zh: '请为每次变更生成一个随机值，重试时使用同一个值。',
    },
  },
  idempotency_conflict: {
    status: 422,
    title: { en: 'Idempotency-Key used for another request', zh: 'Idempotency-Key 已用于其他请求' },
    detail: {
      en: 'This key was used before by your client with a different request.',
      zh: '贵系统此前已将该值用于另一内容不同的请求。',
    },
    next: {
      en: 'Use a new key for a new change; to retry, send exactly the first request.',
      zh: '新的变更请使用新值；如为重试，请原样发送首次请求。',
    },
  },
  idempotency_in_flight: {
    status: 409,
    title: { en: 'Same request still running', zh: '相同请求正在处理' },
    detail: {
      en: 'The first request with this Idempotency-Key has not finished yet.',
      zh: '使用该 Idempotency-Key 的首次请求尚未完成。',
    },
    next: {
      en: 'Wait a second and retry with the same key; you will get the answer of the first.',
      zh: '请稍候用同一个值重试，将得到首次请求的结果。',
    },
  },
  department_unknown: {
    status: 404,
    title: { en: 'Department not registered', zh: '部门未登记' },
    detail: { en: 'The hub has no department with this code.', zh: '平台没有该代码对应的部门。' },
    next: { en: 'Check the code, or register the department first.', zh: '请核对代码，或先登记该部门。' },
  },
  department_exists: {
    status: 409,
    title: { en: 'Department already registered', zh: '部门已登记' },
    detail: { en: 'A department with this code is registered already.', zh: '该代码对应的部门已经登记。' },
    next: { en: 'Use the registered department; nothing was changed.', zh: '请直接使用已登记的部门；本次未作变更。' },
  },
  client_unknown: {
    status: 404,
    title: { en: 'Client not registered', zh: '接入系统未注册' },
    detail: { en: 'The hub has no client with this id.', zh: '平台没有该标识对应的接入系统。' },
    next: {
      en: 'Check the id in the list of clients, or register the client first.',
      zh: '请在接入系统列表中核对标识，或先注册。',
    },
  },
  client_exists: {
    status: 409,
    title: { en: 'Client id already taken', zh: '接入系统标识已被使用' },
    detail: { en: 'A client with this id is registered already.', zh: '该标识已被注册。' },
    next: {
      en: 'Choose another id; to change a key, add it to the existing client.',
      zh: '请另选标识；如需更换密钥，请在已有系统下添加。',
    },
  },
  client_key_unknown: {
    status: 404,
    title: { en: 'Key not registered', zh: '密钥未登记' },
    detail: { en: 'This client has no key with this id.', zh: '该接入系统没有此编号的密钥。' },
    next: { en: 'Read the client and use the kid of one of its keys.', zh: '请查询该系统，使用其密钥的 kid。' },
  },
  client_key_invalid: {
    status: 422,
    title: { en: 'Key not acceptable', zh: '密钥不符合要求' },
    detail: {
      en: 'The key is not a public P-256 or Ed25519 key, carries private parts, or does not lie on its curve.',
      zh: '该密钥不是 P-256 或 Ed25519 公钥、含有私钥成分，或不在曲线上。',
    },
    next: {
      en: 'Export the public half as a JWK and register that; never send a private key.',
      zh: '请导出公钥的 JWK 后登记，切勿发送私钥。',
    },
  },
  client_key_exists: {
    status: 409,
    title: { en: 'Key already registered', zh: '密钥已登记' },
    detail: {
      en: 'This key or key id is registered already; a key belongs to one client only.',
      zh: '该密钥或其编号已被登记；一个密钥只能属于一个接入系统。',
    },
    next: { en: 'Generate a new key pair for this client.', zh: '请为该系统生成新的密钥对。' },
  },
  seal_x509_invalid: {
    status: 422,
    title: { en: 'Seal certificate (X.509) not accepted', zh: '签章证书未通过校验' },
    detail: {
      en: 'The chain does not lead to a registered trust root, the leaf does not name the department, may not sign, or is outside its validity.',
      zh: '证书链不能上溯到已登记的信任根，或末级证书未载明该部门、不具签名用途、不在有效期内。',
    },
    next: {
      en: 'Send the leaf first, then its intermediates; check the department code in organizationIdentifier and the key usage.',
      zh: '请按末级在前、中间证书在后的顺序提交，并核对 organizationIdentifier 中的部门代码和密钥用途。',
    },
  },
  seal_x509_exists: {
    status: 409,
    title: { en: 'Seal certificate (X.509) already registered', zh: '签章证书已登记' },
    detail: { en: 'This seal certificate is registered already.', zh: '该签章证书已经登记。' },
    next: { en: 'Use the registered one; nothing was changed.', zh: '请直接使用已登记的证书；本次未作变更。' },
  },
  seal_x509_unknown: {
    status: 404,
    title: { en: 'Seal certificate (X.509) not registered', zh: '签章证书未登记' },
    detail: {
      en: 'This department has no seal certificate with this fingerprint.',
      zh: '该部门没有此指纹对应的签章证书。',
    },
    next: {
      en: "Read the department's seal certificates and use the sha256 of one of them.",
      zh: '请查询该部门的签章证书，使用其 sha256。',
    },
  },
  trust_root_invalid: {
    status: 422,
    title: { en: 'Trust root not accepted', zh: '信任根未通过校验' },
    detail: {
      en: 'The X.509 certificate is not a self-signed certificate authority, is outside its validity, or uses a key that is too weak.',
      zh: '该证书不是自签名的 CA 证书、不在有效期内，或密钥强度不足。',
    },
    next: {
      en: 'Send the root certificate itself as DER in base64, not an intermediate or a leaf.',
      zh: '请提交根证书本身（DER，base64），不要提交中间证书或末级证书。',
    },
  },
  trust_root_exists: {
    status: 409,
    title: { en: 'Trust root already registered', zh: '信任根已登记' },
    detail: { en: 'This trust root is registered already.', zh: '该信任根已经登记。' },
    next: { en: 'Nothing is left to do; nothing was changed.', zh: '无需再登记；本次未作变更。' },
  },
  certificate_type_exists: {
    status: 409,
    title: { en: 'Certificate type already registered', zh: '证照类型已登记' },
    detail: {
      en: 'The newest version of this certificate type says the same already.',
      zh: '该证照类型的最新版本内容与此相同。',
    },
    next: { en: 'Nothing is left to do; nothing was changed.', zh: '无需再登记；本次未作变更。' },
  },
  certificate_type_invalid: {
    status: 422,
    title: { en: 'Definition of the certificate type is not sound', zh: '证照类型定义有误' },
    detail: {
      en: "What is wrong stands in context.rule: name_reserved, name_repeated, min_above_max, permanent_has_no_limit, empty_period, or what is wrong with a field's schema.",
      zh: '原因见 context.rule：name_reserved 为字段名系保留名或写法不合规，name_repeated 为字段名重复，min_above_max 为下限大于上限，permanent_has_no_limit 为长期有效不得设期限，empty_period 为期间为空；其他为字段模式有误。',
    },
    next: {
      en: 'Correct the part that context names and register the type again.',
      zh: '请按 context 所示修改后重新登记。',
    },
  },
} as const satisfies Readonly<Record<string, ProblemWords>>;
