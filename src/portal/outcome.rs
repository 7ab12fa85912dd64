//! What became of an attempt to deliver an alert, in the language of the page.

use super::text::Lang;

/// What an attempt to deliver an alert came to, in the page's words; what is not known is told as it was written.
pub(super) fn outcome(lang: Lang, text: &str) -> String {
    if lang == Lang::En {
        return text.to_owned();
    }
    let known = match text {
        "delivered" => "已送达",
        "the sub-account is closed" => "子账户已关闭",
        "the account has no alert URL" => "账户没有告警回调地址",
        "the connection was refused" => "连接被拒绝",
        "the connection was reset" => "连接被重置",
        "the host cannot be reached" => "主机不可达",
        "the connection timed out" => "连接超时",
        "the host cannot be found or connected to" => "找不到主机或无法连接",
        "the connection broke" => "连接中断",
        "the connection was closed without an answer" => "对方未应答即断开",
        "the answer is not HTTP" => "应答不是 HTTP",
        "the answer is over 64 KiB" => "应答超过 64 KiB",
        "the connection broke in the middle of the answer" => "应答中途断开",
        "the answer is empty" => "应答为空",
        "the answer has no Result" => "应答中没有 Result",
        "the answer is not a SOAP Envelope" => "应答不是 SOAP Envelope",
        "the Result of the answer is not an int" => "应答的 Result 不是整数",
        "the platform answered with a Fault" => "平台应答 Fault",
        "the alert URL is not a URL" => "告警回调地址不是 URL",
        "https is not supported yet for alert URLs" => "告警回调暂不支持 https",
        _ => "",
    };
    if !known.is_empty() {
        return known.to_owned();
    }
    if let Some(number) = text.strip_prefix("the platform answered Result ").or(text.strip_prefix("Result ")) {
        return format!("平台返回 Result {number}");
    }
    if let Some(ms) = text.strip_prefix("no answer within ") {
        return format!("{ms} 内没有应答");
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_is_told_in_the_language_of_the_page() {
        assert_eq!(outcome(Lang::Zh, "the platform answered Result 2"), "平台返回 Result 2");
        assert_eq!(outcome(Lang::Zh, "no answer within 700 ms"), "700 ms 内没有应答");
        assert_eq!(outcome(Lang::Zh, "HTTP 500"), "HTTP 500");
        assert_eq!(outcome(Lang::En, "delivered"), "delivered");
    }
}
