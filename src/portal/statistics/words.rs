//! What S3's codes mean, in words.

use crate::portal::text::Lang;

/// A code in words; one that has none is told as it is.
pub(in crate::portal) fn refusal(lang: Lang, code: &str) -> String {
    let (zh, en) = match code {
        "AccessDenied" | "AccessForbidden" => ("没有权限", "Not allowed"),
        "AccountProblem" => ("账户已暂停", "Account suspended"),
        "AuthorizationHeaderMalformed" | "AuthorizationQueryParametersError" => ("签名格式错误", "Malformed signature"),
        "BadDigest" | "InvalidDigest" | "XAmzContentSHA256Mismatch" => ("校验和不符", "Checksum differs"),
        "EntityTooLarge" => ("文件过大", "File too large"),
        "IncompleteBody" => ("上传中断", "Upload broken off"),
        "InternalError" => ("内部错误", "Internal error"),
        "InvalidAccessKeyId" => ("未知密钥", "Unknown key"),
        "InvalidRange" => ("范围无效", "Range not there"),
        "MissingContentLength" => ("缺少长度", "No length"),
        "NoSuchBucket" => ("没有这个桶", "No such bucket"),
        "NoSuchKey" => ("没有这个文件", "No such file"),
        "NoSuchUpload" => ("没有这个分段上传", "No such upload"),
        "NotImplemented" | "MethodNotAllowed" => ("不支持的操作", "Not supported"),
        "PreconditionFailed" => ("条件不满足", "Precondition failed"),
        "QuotaExceeded" => ("空间已满", "Space full"),
        "RequestTimeTooSkewed" => ("时钟偏差过大", "Clock is off"),
        "RequestTimeout" => ("上传超时", "Upload too slow"),
        "SignatureDoesNotMatch" => ("签名错误", "Wrong signature"),
        "SlowDown" => ("请求过快", "Too many at once"),
        "MalformedXML" | "InvalidArgument" | "InvalidRequest" | "BadRequest" => ("请求有误", "Bad request"),
        other => return other.to_owned(),
    };
    lang.say(zh, en).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_without_a_word_is_told_as_it_is() {
        assert_eq!(refusal(Lang::En, "QuotaExceeded"), "Space full");
        assert_eq!(refusal(Lang::Zh, "QuotaExceeded"), "空间已满");
        assert_eq!(refusal(Lang::Zh, "KeyTooLongError"), "KeyTooLongError");
    }
}
