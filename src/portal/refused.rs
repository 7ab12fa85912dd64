//! Why something was not done, in the language of the page.

use super::text::Lang;
use crate::domain::users::UserRefusal;
use crate::domain::{AlertRefusal, Refusal};
use crate::engine::Error;

/// The engine's no in words. A refusal that no page meets is told as the API tells it.
pub(super) fn words(lang: Lang, error: &Error) -> String {
    match (lang, error) {
        (Lang::Zh, Error::Refused(refusal)) => chinese(refusal).unwrap_or_else(|| refusal.to_string()),
        (Lang::Zh, Error::Busy(_)) => "系统繁忙，请稍后重试".to_owned(),
        (_, Error::Broken(_)) => lang.say("系统内部错误，未完成", "Something broke; it was not done").to_owned(),
        (Lang::En, _) => error.to_string(),
    }
}

fn chinese(refusal: &Refusal) -> Option<String> {
    let text = match refusal {
        Refusal::NoAccount => "没有这个账户".to_owned(),
        Refusal::AccountExists => "已有同名账户".to_owned(),
        Refusal::Suspended => "账户已暂停".to_owned(),
        Refusal::AccountSpace { free } => format!("账户只剩 {free} 可分配"),
        Refusal::HandedOut { handed_out } => {
            format!("已有 {handed_out} 分配给子账户或被自有存储桶占用，总空间不能更小")
        }
        Refusal::TooManySubAccounts { most } => format!("子账户数已达上限 {most}"),
        Refusal::NoSubAccount => "没有这个子账户".to_owned(),
        Refusal::NoFile => "没有找到".to_owned(),
        Refusal::Forbidden => "您的角色不能这样做".to_owned(),
        Refusal::Locked => "文件已锁定".to_owned(),
        Refusal::NothingToClear => "没有可删除的文件".to_owned(),
        Refusal::LoopMode => "子账户处于循环覆盖模式".to_owned(),
        Refusal::Alert(AlertRefusal::NoAlertUrl) => "账户没有告警回调地址，请先在“设置”中填写".to_owned(),
        Refusal::Alert(AlertRefusal::NoIdle) => "未启用 alerts.notify_idle：此类告警从不发送".to_owned(),
        Refusal::User(UserRefusal::UserExists) => "已有同名用户".to_owned(),
        Refusal::User(UserRefusal::NoUser) => "没有这个用户".to_owned(),
        Refusal::User(UserRefusal::LastOperations) => "这是最后一个业务管理用户".to_owned(),
        Refusal::User(UserRefusal::AccountOfRole) => {
            "省级管理员和查看员必须属于一个账户，业务管理和审计员不属于账户".to_owned()
        }
        _ => return None,
    };
    Some(text)
}

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
    fn a_no_is_told_in_the_language_of_the_page() {
        let error = Error::Refused(Refusal::AccountExists);
        assert_eq!(words(Lang::Zh, &error), "已有同名账户");
        assert_eq!(words(Lang::En, &error), "an account of this name exists already");
        assert_eq!(outcome(Lang::Zh, "the platform answered Result 2"), "平台返回 Result 2");
        assert_eq!(outcome(Lang::Zh, "no answer within 700 ms"), "700 ms 内没有应答");
        assert_eq!(outcome(Lang::Zh, "HTTP 500"), "HTTP 500");
        assert_eq!(outcome(Lang::En, "delivered"), "delivered");
    }
}
