import type { ProblemWords } from './words.ts';

/** Problems of the request itself: who calls, what it looks like, whether the hub can answer. */
export const requestWords = {
  invalid_client: {
    status: 401,
    title: { en: 'Client not recognised', zh: '接入系统身份未通过' },
    detail: {
      en: 'The client is unknown or disabled, or its assertion is not signed by one of its registered keys, has expired, names another audience or was used before.',
      zh: '接入系统未注册或已停用，或者客户端断言未用其登记的密钥签名、已过期、受众不符或已被使用过。',
    },
    next: {
      en: 'Make a fresh assertion: typ client-authentication+jwt, iss and sub your client id, aud the issuer as a single string, exp at most 60 seconds ahead, a new jti; check the clock and the key id.',
      zh: '请重新生成断言：typ 为 client-authentication+jwt，iss 与 sub 均为系统标识，aud 为本平台 issuer 单一字符串，exp 不超过 60 秒，jti 每次不同；并核对时钟与密钥编号。',
    },
  },
  invalid_request: {
    status: 400,
    title: { en: 'Token request incomplete', zh: '令牌请求不完整' },
    detail: {
      en: 'A parameter of the token request is missing, repeated or malformed.',
      zh: '令牌请求缺少参数、参数重复或格式有误。',
    },
    next: {
      en: 'Send grant_type, client_assertion_type and client_assertion once each, as a form.',
      zh: '请以表单方式提交 grant_type、client_assertion_type、client_assertion，各出现一次。',
    },
  },
  unsupported_grant_type: {
    status: 400,
    title: { en: 'Grant type not supported', zh: '不支持的授权方式' },
    detail: { en: 'Only client_credentials is supported.', zh: '仅支持 client_credentials 方式。' },
    next: {
      en: 'Send grant_type=client_credentials with a client assertion.',
      zh: '请使用 grant_type=client_credentials 并附客户端断言。',
    },
  },
  token_missing: {
    status: 401,
    title: { en: 'Access token missing', zh: '缺少访问令牌' },
    detail: {
      en: 'This operation needs an access token, and the request carried none.',
      zh: '此操作需要访问令牌，而请求中没有。',
    },
    next: {
      en: 'Get a token from /oauth/token and send it as Authorization: Bearer.',
      zh: '请从 /oauth/token 获取令牌，并以 Authorization: Bearer 方式提交。',
    },
  },
  token_invalid: {
    status: 401,
    title: { en: 'Access token not accepted', zh: '访问令牌无效' },
    detail: {
      en: 'The access token was not issued by this hub, was changed, or is meant for another environment.',
      zh: '访问令牌不是本平台签发、已被改动，或属于其他环境。',
    },
    next: {
      en: "Get a new token from this hub's /oauth/token; check that tokens of test and production are kept apart.",
      zh: '请从本平台 /oauth/token 重新获取令牌，并确认测试与生产环境的令牌没有混用。',
    },
  },
  token_expired: {
    status: 401,
    title: { en: 'Access token expired', zh: '访问令牌已过期' },
    detail: {
      en: 'The access token was valid for some minutes, which are over.',
      zh: '访问令牌的有效期只有数分钟，现已过期。',
    },
    next: {
      en: 'Get a new token from /oauth/token and repeat the call.',
      zh: '请从 /oauth/token 重新获取令牌后重试。',
    },
  },
  client_disabled: {
    status: 401,
    title: { en: 'Client or key no longer in force', zh: '接入系统或密钥已停用' },
    detail: {
      en: 'The client was disabled, or the key behind this token was revoked, after the token was issued.',
      zh: '令牌签发之后，该接入系统被停用，或其密钥被吊销。',
    },
    next: {
      en: "Ask the hub's administrator why; with a revoked key, obtain a token with a key in force.",
      zh: '请向平台管理员了解原因；如密钥已吊销，请改用有效密钥获取令牌。',
    },
  },
  role_required: {
    status: 403,
    title: { en: 'Role not held', zh: '缺少所需角色' },
    detail: {
      en: 'Your client does not hold a role that may call this operation; context.required lists the roles.',
      zh: '贵系统没有调用此操作的角色；所需角色见 context.required。',
    },
    next: {
      en: "Use a client with one of these roles, or ask the hub's administrator to assign it.",
      zh: '请使用具备该角色的接入系统，或请平台管理员授予。',
    },
  },
  malformed_json: {
    status: 400,
    title: { en: 'Body is not JSON', zh: '请求体不是合法的 JSON' },
    detail: {
      en: 'The body cannot be read as JSON, is empty, or is nested too deeply.',
      zh: '请求体不能按 JSON 解析、为空，或嵌套层次过深。',
    },
    next: {
      en: 'Send one JSON object in UTF-8, nested at most 32 levels.',
      zh: '请以 UTF-8 发送一个 JSON 对象，嵌套不超过 32 层。',
    },
  },
  duplicate_key: {
    status: 400,
    title: { en: 'Name given twice', zh: 'JSON 中有重复的名称' },
    detail: {
      en: 'An object in the body has the same name twice; which value counts would be a guess.',
      zh: '请求体中某个对象的名称重复出现，无法确定以哪个值为准。',
    },
    next: { en: 'Send every name once.', zh: '请确保每个名称只出现一次。' },
  },
  forbidden_character: {
    status: 400,
    title: { en: 'Character not allowed', zh: '含有不允许的字符' },
    detail: {
      en: 'The body holds a NUL character, a mark that changes the direction of writing, half of a surrogate pair, or bytes that are not UTF-8.',
      zh: '请求体含有 NUL 字符、改变文字方向的控制符、不成对的代理字符，或不是 UTF-8 编码。',
    },
    next: {
      en: 'Check how your system reads and encodes text, then send the body as UTF-8.',
      zh: '请检查贵系统的文本编码，以 UTF-8 重新发送。',
    },
  },
  body_too_large: {
    status: 413,
    title: { en: 'Body too large', zh: '请求体过大' },
    detail: { en: 'The body is larger than this operation takes.', zh: '请求体超过此操作允许的大小。' },
    next: {
      en: 'Split the request, or leave out what the contract does not need.',
      zh: '请拆分请求，或去掉接口不需要的内容。',
    },
  },
  unsupported_media_type: {
    status: 415,
    title: { en: 'Media type not accepted', zh: '不支持的内容类型' },
    detail: {
      en: 'The Content-Type is not exactly one that this operation takes; context.allowed lists them.',
      zh: 'Content-Type 不是此操作接受的类型；可用类型见 context.allowed。',
    },
    next: {
      en: 'Send the listed media type, with no parameter other than charset=utf-8.',
      zh: '请使用所列类型，除 charset=utf-8 外不要附加参数。',
    },
  },
  unsupported_content_encoding: {
    status: 415,
    title: { en: 'Compressed bodies not accepted', zh: '不接受压缩的请求体' },
    detail: { en: 'The hub never decompresses what it is sent.', zh: '平台不对请求体解压。' },
    next: {
      en: 'Send the body as it is, without Content-Encoding.',
      zh: '请直接发送原文，不要使用 Content-Encoding。',
    },
  },
  contract_violation: {
    status: 400,
    title: { en: 'Request differs from the contract', zh: '请求不符合接口约定' },
    detail: {
      en: 'A part of the request breaks a rule of the contract; context says where (in, pointer) and which rule.',
      zh: '请求的某一部分不符合接口约定；位置（in、pointer）和规则见 context。',
    },
    next: {
      en: 'Compare the request with the description of this operation at /docs and send it again.',
      zh: '请对照 /docs 中此操作的说明修改后重新发送。',
    },
  },
  number_for_identifier: {
    status: 400,
    title: { en: 'Identifier sent as a JSON number', zh: '标识号码以数字类型发送' },
    detail: {
      en: 'An identifier was sent as a JSON number. Long numbers are rounded on the way and would name another person, so nothing was looked up.',
      zh: '标识号码以 JSON 数字发送。长数字会被舍入，可能变成他人的号码，因此未作任何查询。',
    },
    next: {
      en: 'Send every identifier as a string in quotation marks; check that no step of your system turns it into a number.',
      zh: '请将所有号码以带引号的字符串发送，并检查贵系统中没有任何环节把它转换为数字。',
    },
  },
  purpose_missing: {
    status: 400,
    title: { en: 'Purpose missing', zh: '缺少用证事由' },
    detail: {
      en: 'Every use of a certificate needs its purpose: matter, case number, officer and legal basis.',
      zh: '每次用证都须写明用证事由：办事事项、办件编号、经办人和用证依据。',
    },
    next: {
      en: 'Add purpose with matterCode, caseNumber, officer and legalBasis.',
      zh: '请补充 purpose，包括 matterCode、caseNumber、officer 和 legalBasis。',
    },
  },
  not_found: {
    status: 404,
    title: { en: 'Nothing at this address', zh: '地址不存在' },
    detail: { en: 'The hub has no operation at this path.', zh: '平台在此路径上没有任何操作。' },
    next: { en: 'Check the path against /docs.', zh: '请对照 /docs 核对路径。' },
  },
  method_not_allowed: {
    status: 405,
    title: { en: 'Method not allowed', zh: '不支持的请求方法' },
    detail: {
      en: 'The path exists, but not with this method; the Allow header lists the methods it has.',
      zh: '路径存在，但不支持此方法；可用方法见响应头 Allow。',
    },
    next: { en: 'Use one of the listed methods.', zh: '请使用所列方法。' },
  },
  malformed_request: {
    status: 400,
    title: { en: 'Not a proper HTTP request', zh: '不是规范的 HTTP 请求' },
    detail: {
      en: 'The request line, a header or the length of the body breaks the rules of HTTP.',
      zh: '请求行、请求头或请求体长度不符合 HTTP 规范。',
    },
    next: {
      en: 'Check the client library and any proxy between you and the hub.',
      zh: '请检查客户端程序库以及中间的代理。',
    },
  },
  header_too_large: {
    status: 431,
    title: { en: 'Headers too large', zh: '请求头过大' },
    detail: { en: 'The headers together are larger than the hub reads.', zh: '请求头总长度超过平台允许的大小。' },
    next: {
      en: 'Send only the headers the operation needs; an access token of this hub is far smaller.',
      zh: '请只发送所需的请求头；本平台的访问令牌远小于此限。',
    },
  },
  request_timeout: {
    status: 408,
    title: { en: 'Request took too long to arrive', zh: '请求接收超时' },
    detail: { en: 'The request did not arrive completely in the time allowed.', zh: '请求未能在规定时间内完整到达。' },
    next: {
      en: 'Check the network and send the request again; a write keeps its Idempotency-Key.',
      zh: '请检查网络后重新发送；写操作请沿用原 Idempotency-Key。',
    },
  },
  rate_limited: {
    status: 429,
    title: { en: 'Too many requests', zh: '请求过于频繁' },
    detail: {
      en: 'More requests came from your address than this operation takes.',
      zh: '来自贵方地址的请求超过了此操作的频次限制。',
    },
    next: {
      en: 'Wait for the seconds given in Retry-After; keep and reuse a token until shortly before it expires.',
      zh: '请按 Retry-After 所示秒数等待；令牌到期前请重复使用，不必每次获取。',
    },
  },
  database_unavailable: {
    status: 503,
    title: { en: 'Database not reachable', zh: '数据库暂不可用' },
    detail: {
      en: 'The hub cannot reach its database; nothing was changed or disclosed.',
      zh: '平台暂时无法访问数据库；未作任何变更，也未提供任何数据。',
    },
    next: {
      en: 'Try again after the time in Retry-After; a write keeps its Idempotency-Key.',
      zh: '请按 Retry-After 所示时间后重试；写操作请沿用原 Idempotency-Key。',
    },
  },
  record_unavailable: {
    status: 503,
    title: { en: 'Audit record could not be written', zh: '审计记录无法写入' },
    detail: {
      en: 'Every access is recorded before its answer leaves. The record could not be written, so nothing was disclosed.',
      zh: '每次访问都须先留下审计记录再答复。由于记录无法写入，未提供任何数据。',
    },
    next: {
      en: "Try again after the time in Retry-After; if it goes on, tell the hub's operator.",
      zh: '请按 Retry-After 所示时间后重试；如持续出现，请联系平台运维人员。',
    },
  },
  log_unwitnessed: {
    status: 503,
    title: { en: 'Audit log not witnessed', zh: '审计日志未获见证' },
    detail: {
      en: 'No quorum of witnesses has confirmed the audit log for longer than this hub may go on without. Until they do nothing is disclosed.',
      zh: '审计日志超过规定时间未获足够见证方确认；在恢复见证之前，本平台不提供任何数据。',
    },
    next: {
      en: "Tell the hub's operator, who has to bring back the witnesses or the sequencer; then send the lookup again.",
      zh: '请联系平台运维人员恢复见证或日志排序服务，恢复后重新提交查询。',
    },
  },
  shutting_down: {
    status: 503,
    title: { en: 'This process is shutting down', zh: '服务进程正在停止' },
    detail: {
      en: 'This process of the hub finishes what it has begun and takes nothing new.',
      zh: '该服务进程只处理已受理的请求，不再受理新请求。',
    },
    next: {
      en: 'Send the request again on a new connection; another process answers.',
      zh: '请使用新连接重新发送，由其他进程处理。',
    },
  },
  internal_error: {
    status: 500,
    title: { en: 'Fault inside the hub', zh: '平台内部故障' },
    detail: {
      en: "Something failed inside the hub that is not your request's fault.",
      zh: '平台内部出现故障，与请求内容无关。',
    },
    next: {
      en: 'Try again later; when you report it, give the requestId.',
      zh: '请稍后重试；报障时请提供 requestId。',
    },
  },
} as const satisfies Readonly<Record<string, ProblemWords>>;
