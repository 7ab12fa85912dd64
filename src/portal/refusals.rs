//! Every no in the words of the pages: what is wrong, and what would be right, in Chinese and in English. One table for
//! each kind of no, and none has a line for the rest: what is new does not compile until it is said here.

use super::show;
use super::text::Lang;
use crate::domain::billing::{BillingRefusal, TariffFault};
use crate::domain::files::FilesRefusal;
use crate::domain::ids::BadName;
use crate::domain::users::{PasswordFault, UserRefusal};
use crate::domain::{AlertRefusal, Gigabytes, Refusal, limits};
use crate::engine::Error;
use crate::wire::sheet::CrmFault;

/// A no that can be said on a page.
pub(super) trait No {
    /// Its sentence.
    fn said(&self, lang: Lang) -> String;
}

/// What was typed in a field and cannot be read. Where what stands there is short, it comes along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Typed {
    /// No whole number.
    Number(String),
    /// No amount of money.
    Amount(String),
    /// No day.
    Day(String),
    /// A line that is no tier of a tariff.
    Tier(String),
    /// A name, or another thing that the domain reads.
    Bad(BadName),
    /// None of a list's choices: no browser sends that.
    Choice,
}

impl From<BadName> for Typed {
    fn from(bad: BadName) -> Self {
        Self::Bad(bad)
    }
}

impl No for Error {
    fn said(&self, lang: Lang) -> String {
        match self {
            Self::Refused(refusal) => refusal.said(lang),
            Self::Busy(_) => {
                let (zh, en) = (
                    "系统繁忙，未做任何更改；请稍后重试。",
                    "Busy just now; nothing was changed. Try again in a moment.",
                );
                lang.say(zh, en).to_owned()
            }
            Self::NoRoom => {
                let (zh, en) = (
                    "磁盘已满，未做任何更改；请先腾出空间（删除文件仍可进行）。",
                    "The disk is full; nothing was changed. Make room first: files can still be deleted.",
                );
                lang.say(zh, en).to_owned()
            }
            Self::Unavailable(why) if *why == crate::engine::UNREADABLE => {
                let (zh, en) = (
                    "存放该文件的磁盘无法读取；请联系运维人员。",
                    "The disk that holds this file cannot be read; ask operations staff.",
                );
                lang.say(zh, en).to_owned()
            }
            Self::Unavailable(_) => {
                let (zh, en) = (
                    "系统处于抢救模式：有磁盘故障，只提供读取，未做任何更改；请联系运维人员。",
                    "The appliance is in salvage mode: a disk fails. It can be read; nothing was changed. Ask operations staff.",
                );
                lang.say(zh, en).to_owned()
            }
            Self::Broken(why) => {
                tracing::error!(why = %why, "a page broke");
                let (zh, en) =
                    ("服务器出错，原因已记入日志；请联系运维人员。", "Something broke; the server's log says what.");
                lang.say(zh, en).to_owned()
            }
        }
    }
}

impl No for Refusal {
    fn said(&self, lang: Lang) -> String {
        let say = |zh: &str, en: &str| lang.say(zh, en).to_owned();
        let bytes = |number: &crate::domain::Bytes| show::bytes(number.get());
        match self {
            Self::NoAccount => say("没有这个账户。", "There is no account of this name."),
            Self::Slow { seconds } => UserRefusal::Slow { seconds: *seconds }.said(lang),
            Self::WrongPassword => say("账户密码错误。", "The account's password is wrong."),
            Self::Suspended => say(
                "账户已停用，其密码和密钥暂不可用；文件保持不变。",
                "The account is suspended: its password and keys are not taken; its files stay as they are.",
            ),
            Self::AccountExists => say("账户名已被使用，请换一个。", "An account of this name exists already; choose another."),
            Self::AccountSpace { free } => lang.say(
                format!("账户剩余可分配空间只有 {free}，请填写不超过它的空间。"),
                format!("The account has {free} left to hand out; ask for no more than that."),
            ),
            Self::HandedOut { handed_out } => lang.say(
                format!("已分配给子账户或被自有存储桶占用的空间为 {handed_out}，账户总空间不能小于它。"),
                format!("{handed_out} are handed out to sub-accounts or in the account's own buckets; the space cannot be less."),
            ),
            Self::TooManySubAccounts { most } => lang.say(
                format!("账户的子账户数已达上限 {most} 个。"),
                format!("The account has its most sub-accounts, {most}."),
            ),
            Self::NoSubAccount => say("没有这个子账户，请核对 AK。", "There is no sub-account with this access key."),
            Self::WrongSecret => say("SK 错误。", "The secret key is wrong."),
            Self::LoopMode => say(
                "该子账户为循环覆盖模式，会自动覆盖最旧的文件，不能清空。",
                "The sub-account overwrites its oldest files by itself (loop mode); it is not cleared.",
            ),
            Self::NothingToClear => say("没有可删除的文件。", "There is no file to delete."),
            Self::NoFile => say("没有这个文件，可能已被删除或覆盖。", "There is no such file; it may be deleted or overwritten."),
            Self::PageTooLarge => say("一页最多 10,000 个文件，请减小每页数量。", "A page has at most 10,000 files; ask for fewer."),
            Self::NoBucket => say("没有这个存储桶。", "There is no such bucket."),
            Self::BucketIsYours => say("存储桶已存在，且属于本账户。", "The bucket exists already and is yours."),
            Self::BucketExists => say("存储桶名已被使用，请换一个。", "The bucket exists already; choose another name."),
            Self::TooManyBuckets { most } => lang.say(
                format!("账户的自有存储桶已达上限 {most} 个。"),
                format!("The account has its most buckets of its own, {most}."),
            ),
            Self::BucketNotEmpty => say("存储桶不为空，请先删除其中的文件。", "The bucket is not empty; delete its files first."),
            Self::NoKey => say("没有这个 AK。", "This access key is not known."),
            Self::Forbidden => say("没有权限进行此操作。", "You may not do that."),
            Self::Locked => say("文件已锁定，请先解锁。", "The file is locked; unlock it first."),
            Self::Full { granted } => lang.say(
                format!("空间 {} 已写满。", bytes(granted)),
                format!("The space of {} is full.", bytes(granted)),
            ),
            Self::LargerThanTheSpace { granted } => lang.say(
                format!("上传的文件比整个空间 {} 还大。", bytes(granted)),
                format!("The upload is larger than the whole space of {}.", bytes(granted)),
            ),
            Self::TooLarge => say("上传的文件超过 S3 允许的大小。", "The upload is larger than S3 allows."),
            Self::NoUpload => say("没有这个分段上传，可能已完成或取消。", "There is no such multipart upload; it may be over."),
            Self::BadPart { number } => lang.say(
                format!("第 {number} 段没有上传，或其标签不符。"),
                format!("Part {number} was not uploaded, or its tag is another."),
            ),
            Self::PartOrder => say("分段没有按升序排列。", "The parts are not in ascending order."),
            Self::PartTooSmall { number } => lang.say(
                format!("第 {number} 段小于 5 MB，且不是最后一段。"),
                format!("Part {number} is smaller than 5 MB and not the last."),
            ),
            Self::NoPartChecksum { kind, number } => lang.say(
                format!("上传使用 {kind} 校验和，但第 {number} 段没有给出。"),
                format!("The upload has {kind} checksums, and none was given for part {number}."),
            ),
            Self::OtherChecksum { expected, actual } => lang.say(
                format!("校验和类型不符：应为 {expected}，收到 {actual}。"),
                format!("The checksum's type is another: {expected} is expected, {actual} came."),
            ),
            Self::BadChecksum { kind } => {
                lang.say(format!("{kind} 校验和与内容不符。"), format!("The {kind} checksum is not that of the content."))
            }
            Self::OtherSize { said, real } => lang.say(
                format!("声明的大小为 {} 字节，实际为 {} 字节。", show::count(*said), show::count(*real)),
                format!("{} bytes were announced, {} came.", show::count(*said), show::count(*real)),
            ),
            Self::Precondition => say("请求的条件不成立，文件可能已改变。", "A condition of the request does not hold; the file may have changed."),
            Self::BadDigest => say("收到的内容与 Content-MD5 不符，请重新上传。", "What came does not match Content-MD5; send it again."),
            Self::WrongLength => say("收到的内容长度与声明的不符，请重新上传。", "What came is not as long as announced; send it again."),
            Self::Alert(AlertRefusal::NoAlertUrl) => say(
                "账户没有告警回调地址，请先在“设置”中填写。",
                "The account has no alert URL; enter one in its settings first.",
            ),
            Self::Alert(AlertRefusal::NoIdle) => say(
                "未启用 alerts.notify_idle：此类告警从不发送。",
                "The setting alerts.notify_idle is off: this alert is never sent.",
            ),
            Self::User(refusal) => refusal.said(lang),
            Self::Files(refusal) => refusal.said(lang),
            Self::Billing(refusal) => refusal.said(lang),
        }
    }
}

impl No for UserRefusal {
    fn said(&self, lang: Lang) -> String {
        let say = |zh: &str, en: &str| lang.say(zh, en).to_owned();
        match self {
            Self::WrongSignIn => say("用户名或密码错误。", "The user name or the password is wrong."),
            Self::CodeNeeded => {
                say("请填写验证器应用显示的动态验证码。", "Enter the code that the authenticator app shows.")
            }
            Self::WrongCode => say(
                "动态验证码错误或已使用，请等待下一个。",
                "The code is wrong or was used already; wait for the next one.",
            ),
            Self::Slow { seconds } => lang.say(
                format!("尝试次数过多，请在 {} 后重试。", show::duration(*seconds, lang)),
                format!("Too many failures; try again in {}.", show::duration(*seconds, lang)),
            ),
            Self::NoSession => say(
                "没有这个会话，可能已结束；请重新登录。",
                "There is no such session; it may be over. Sign in again.",
            ),
            Self::WrongSetupCode => say(
                "设置码错误；服务器启动时会在终端打印。",
                "The setup code is wrong; the server prints it when it starts.",
            ),
            Self::SetUp => say("系统已完成首次设置，请直接登录。", "The appliance is set up already; sign in."),
            Self::NoUser => say("没有这个用户。", "There is no user of this name."),
            Self::UserExists => {
                say("用户名已被使用，请换一个。", "A user of this name exists already; choose another.")
            }
            Self::WeakPassword(fault) => match fault {
                PasswordFault::Length => say("密码须为 10 至 256 个字符。", "A password has 10 to 256 characters."),
                PasswordFault::HasName => say("密码不能包含用户名。", "A password does not contain the user's name."),
                PasswordFault::Common => say(
                    "密码过于常见，请换一个不易猜到的。",
                    "This password is one that everybody tries first; choose another.",
                ),
            },
            Self::AccountOfRole => say(
                "省级管理员和查看员须属于一个账户，业务管理和审计员不属于任何账户。",
                "Users of the roles province and viewer belong to one account, those of operations and auditor to none.",
            ),
            Self::LastOperations => say(
                "这是最后一个可以登录的业务管理用户；请先添加另一个。",
                "This is the last user of the role operations who can sign in; add another one first.",
            ),
        }
    }
}

impl No for FilesRefusal {
    fn said(&self, lang: Lang) -> String {
        let say = |zh: &str, en: &str| lang.say(zh, en).to_owned();
        match self {
            Self::TooMany { most } => {
                let most = show::count(u64::try_from(*most).unwrap_or(u64::MAX));
                lang.say(
                    format!("符合条件的文件超过 {most} 个，请缩短时间范围。"),
                    format!("More than {most} files match; choose a shorter time."),
                )
            }
            Self::TooLarge { most } => {
                let most = show::bytes(most.get());
                lang.say(
                    format!("所选文件合计超过 {most}，请分次下载。"),
                    format!("The files are more than {most} together; download fewer at a time."),
                )
            }
            Self::NotConfirmed => say(
                "输入的不是该摄像机的 AK，未做任何更改。",
                "What was typed is not the camera's access key; nothing was changed.",
            ),
            Self::NoReason => say("请填写原因，1 至 200 个字符。", "Give a reason of 1 to 200 characters."),
            Self::NothingChosen => say("没有选择文件。", "No file is chosen."),
        }
    }
}

impl No for BillingRefusal {
    fn said(&self, lang: Lang) -> String {
        let say = |zh: &str, en: &str| lang.say(zh, en).to_owned();
        match self {
            Self::BadTariff { why } => why.said(lang),
            Self::TariffExists => say(
                "该资费在同一天已有一个版本，请换一个生效日。",
                "A version of this tariff begins on this day already; choose another first day.",
            ),
            Self::NoTariff => say("没有这个资费。", "There is no tariff of this name."),
            Self::Locked { month, account } => lang.say(
                format!("{account} 的 {month} 账期已出账，其依据不能再更改；请选择之后的日期，或登记调整。"),
                format!(
                    "{month} of {account} is issued: what it was made from cannot be changed any more. Choose a later \
                     day, or enter a correction."
                ),
            ),
            Self::NotOver { month } => lang.say(
                format!("{month} 尚未结束，次月方可出账。"),
                format!("{month} is not over yet; it can be issued once it is."),
            ),
            Self::Issued => say("账单已出账，不能重复出账。", "The statement is issued already."),
            Self::NoStatement => say("没有这份账单。", "There is no such statement."),
            Self::Settled => say("账单已结清，不能再更改。", "The statement is settled; nothing is changed any more."),
            Self::BadAdjustment => say(
                "调整须有 1 至 200 个字符的原因，金额不能为 0。",
                "A correction has a reason of 1 to 200 characters, and an amount that is not 0.",
            ),
            Self::TooLarge => say("金额超出可表示的范围。", "An amount is larger than can be written."),
        }
    }
}

impl No for TariffFault {
    fn said(&self, lang: Lang) -> String {
        let (zh, en) = match self {
            Self::Name => (
                "资费名称须为 1 至 64 个字符，首尾不能有空格。",
                "A tariff's name has 1 to 64 characters, and no white space at its ends.",
            ),
            Self::Ends => ("失效日须晚于生效日。", "It ends before it begins; the end is a later day."),
            Self::Minimum => {
                ("每月最低消费须在 0 至 1,000,000,000 元之间。", "The minimum is from 0 to 1,000,000,000 元.")
            }
            Self::Price => {
                ("每 GB·月单价须在 0 至 1,000,000 元之间。", "A price of a GB-month is from 0 to 1,000,000 元.")
            }
            Self::Package => ("套餐最多包含 4,294,967,295 GB。", "A package has at most 4,294,967,295 GB."),
            Self::PackagePrice => {
                ("套餐月费须在 0 至 1,000,000,000 元之间。", "A package costs from 0 to 1,000,000,000 元.")
            }
            Self::TierCount => ("阶梯须有 1 至 20 级。", "There are 1 to 20 tiers."),
            Self::TierOrder => (
                "阶梯上限须逐级递增，且最后一级没有上限（写 *）。",
                "Tiers end in ascending order, and the last one has no end (write *).",
            ),
        };
        lang.say(zh, en).to_owned()
    }
}

impl No for BadName {
    fn said(&self, lang: Lang) -> String {
        let say = |zh: &str, en: &str| lang.say(zh, en).to_owned();
        match self {
            Self::AccountLength(length) => lang.say(
                format!("账户名须为 1 至 64 个字符，现为 {length} 个。"),
                format!("An account name has 1 to 64 characters, this one {length}."),
            ),
            Self::AccountControl => say("账户名不能包含控制字符。", "An account name has no control characters."),
            Self::AccountEnds => say("账户名首尾不能有空格。", "An account name has no white space at its ends."),
            Self::AccessKey => {
                say("AK 由 1 至 128 个字母和数字组成。", "An access key has 1 to 128 letters and digits.")
            }
            Self::BucketLength(length) => lang.say(
                format!("存储桶名须为 3 至 63 个字符，现为 {length} 个。"),
                format!("A bucket name has 3 to 63 characters, this one {length}."),
            ),
            Self::BucketLetters => say(
                "存储桶名只能用小写字母、数字、“-”和“.”，各段以字母或数字开头和结尾，且不能是 IP 地址。",
                "A bucket name has lower-case letters, digits, “-” and “.”; each part between dots begins and ends with \
                 a letter or digit; it is no IP address.",
            ),
            Self::BucketReserved => {
                say("这样开头或结尾的存储桶名为 S3 保留。", "S3 keeps bucket names that begin or end so for itself.")
            }
            Self::UploadId => say("上传编号为 32 位十六进制数字。", "An upload id is 32 hexadecimal digits."),
            Self::KeyEmpty => say("文件名至少有一个字符。", "A file's name has at least one character."),
            Self::KeyLength(length) => lang.say(
                format!("文件名最多 {} 字节（UTF-8），现为 {length} 字节。", limits::OBJECT_KEY_BYTES_MAX),
                format!(
                    "A file's name has at most {} bytes of UTF-8, this one {length}.",
                    limits::OBJECT_KEY_BYTES_MAX
                ),
            ),
            Self::KeyCharacter(at) => lang.say(
                format!("文件名第 {at} 字节处的字符不能用 XML 1.0 表示。"),
                format!("Byte {at} of the file's name begins a character that XML 1.0 cannot carry."),
            ),
            Self::UserName => say(
                "用户名须为 1 至 64 个字符，只能用文字、数字和 . _ - @。",
                "A user name has 1 to 64 letters, digits and . _ - @.",
            ),
            Self::AccountPassword => say(
                "账户密码须为 1 至 256 个字符，不能有控制字符，首尾不能有空格。",
                "An account's password has 1 to 256 characters, none of them a control character, and no white space at \
                 its ends.",
            ),
            Self::Space(number) => lang.say(
                format!("空间须在 1 GB 至 {} 之间，现为 {number} GB。", Gigabytes::MAX),
                format!("A space is 1 GB to {}, this one {number} GB.", Gigabytes::MAX),
            ),
            Self::SubAccounts => say("子账户上限至少为 1。", "An account has at least 1 sub-account."),
            Self::CallbackText(_) => say(
                "命名空间、操作名和 SOAPAction 不能过长或含控制字符。",
                "Namespace, operation and SOAPAction are not that long and have no control characters.",
            ),
            Self::ElementName(text) => lang.say(
                format!("“{text}”不是不带前缀的 XML 元素名。"),
                format!("“{text}” is no name of an XML element (without a prefix)."),
            ),
            Self::AlertUrl(text) => lang.say(
                format!("“{text}”不能作为回调地址；请写成 http://10.1.2.3:8080/alert 的形式。"),
                format!("“{text}” cannot be called; write one like http://10.1.2.3:8080/alert."),
            ),
        }
    }
}

impl No for CrmFault {
    fn said(&self, lang: Lang) -> String {
        let say = |zh: &str, en: &str| lang.say(zh, en).to_owned();
        match self {
            Self::Encoding => say("文件既不是 UTF-8 也不是 GBK 编码。", "The file is neither UTF-8 nor GBK."),
            Self::NoCsv { line } => {
                lang.say(format!("第 {line} 行不是有效的 CSV。"), format!("Line {line} is no CSV."))
            }
            Self::NoAccounts => say("没有名为“账户”（或 account）的列。", "No column is named account (or 账户)."),
            Self::NoAmounts => say("没有名为“金额”（或 amount）的列。", "No column is named amount (or 金额)."),
            Self::NoAccount { line } => {
                lang.say(format!("第 {line} 行没有账户。"), format!("Line {line} has no account."))
            }
            Self::Amount { line, written } => lang.say(
                format!("第 {line} 行的“{written}”不是金额（元，最多三位小数）。"),
                format!("Line {line}: “{written}” is no amount in 元 with at most three digits behind the point."),
            ),
            Self::TooMany { most } => {
                lang.say(format!("文件超过 {most} 行。"), format!("The file has more than {most} rows."))
            }
        }
    }
}

impl No for Typed {
    fn said(&self, lang: Lang) -> String {
        match self {
            Self::Number(text) => lang.say(
                format!("“{text}”不是 0 至 {} 的整数。", show::count(u64::from(u32::MAX))),
                format!("“{text}” is no whole number from 0 to {}.", show::count(u64::from(u32::MAX))),
            ),
            Self::Amount(text) => lang.say(
                format!("“{text}”不是金额；请以元为单位，最多三位小数，如 12.345。"),
                format!("“{text}” is no amount; write 元 with at most three digits behind the point, like 12.345."),
            ),
            Self::Day(text) => lang.say(
                format!("“{text}”不是日期；请写成 2026-11-25 的形式。"),
                format!("“{text}” is no day; write one like 2026-11-25."),
            ),
            Self::Tier(text) => lang.say(
                format!("“{text}”不是一级阶梯；每行写“上限GB 单价”，末行写“* 单价”。"),
                format!("“{text}” is no tier; write “GB price” on each line, “* price” on the last."),
            ),
            Self::Bad(bad) => bad.said(lang),
            Self::Choice => lang.say("请从列表中选择。", "Choose one of the list.").to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::users::{UserName, check_password};
    use crate::domain::{AccountName, Bytes, account};

    /// Whether a sentence is Chinese: words of Latin letters are units and names in it, not more.
    fn is_chinese(text: &str) -> bool {
        let han = text.chars().filter(|c| ('\u{4e00}'..='\u{9fff}').contains(c)).count();
        han >= 4 && text.ends_with('。')
    }

    fn is_english(text: &str) -> bool {
        text.ends_with('.') && text.chars().next().is_some_and(|c| !c.is_lowercase())
    }

    #[test]
    fn a_no_is_told_in_the_language_of_the_page() {
        let error = Error::Refused(Refusal::AccountExists);
        assert_eq!(error.said(Lang::Zh), "账户名已被使用，请换一个。");
        assert_eq!(error.said(Lang::En), "An account of this name exists already; choose another.");
    }

    #[test]
    fn a_no_is_said_in_both_languages_with_its_values() {
        let name: UserName = "zhangsan".parse().unwrap();
        let free = Gigabytes::new(7).unwrap();
        let granted = Bytes::new(3 << 30);
        let locked = BillingRefusal::Locked { month: "2026-10".parse().unwrap(), account: "江苏".to_owned() };
        let nos: Vec<(Box<dyn No>, &[&str])> = vec![
            (Box::new(Refusal::AccountSpace { free }), &["7 GB"]),
            (Box::new(Refusal::HandedOut { handed_out: free }), &["7 GB"]),
            (Box::new(Refusal::TooManySubAccounts { most: 12 }), &["12"]),
            (Box::new(Refusal::Full { granted }), &["3 GB"]),
            (Box::new(Error::Refused(Refusal::LargerThanTheSpace { granted })), &["3 GB"]),
            (Box::new(Refusal::PartTooSmall { number: 9 }), &["9", "5 MB"]),
            (Box::new(Refusal::OtherSize { said: 1000, real: 2000 }), &["1,000", "2,000"]),
            (Box::new(Refusal::User(UserRefusal::Slow { seconds: 90 })), &["1", "30"]),
            (Box::new(check_password(&name, "short").unwrap_err()), &["10", "256"]),
            (Box::new(Refusal::Files(FilesRefusal::TooMany { most: 10_000 })), &["10,000"]),
            (Box::new(Refusal::Billing(locked)), &["2026-10", "江苏"]),
            (Box::new(TariffFault::TierCount), &["1", "20"]),
            (Box::new("a".repeat(65).parse::<AccountName>().unwrap_err()), &["64", "65"]),
            (Box::new(account::space(0).unwrap_err()), &["1 GB", "0 GB"]),
            (Box::new(account::alert_url("ftp://x").unwrap_err()), &["ftp://x", "http://10.1.2.3:8080/alert"]),
            (Box::new(CrmFault::Amount { line: 3, written: "1,x".to_owned() }), &["3", "1,x"]),
            (Box::new(Typed::from(BadName::AccountEnds)), &[]),
            (Box::new(Typed::Number("-4".to_owned())), &["-4", "4,294,967,295"]),
            (Box::new(Typed::Amount("1.2345".to_owned())), &["1.2345"]),
            (Box::new(Typed::Day("2026-02-30".to_owned())), &["2026-02-30"]),
            (Box::new(Error::Busy("a secret of the engine's")), &[]),
            (Box::new(Error::NoRoom), &[]),
            (Box::new(Error::Broken("/var/lib/kandian".into())), &[]),
            (Box::new(Error::Unavailable(crate::engine::SALVAGE)), &[]),
            (Box::new(Error::Unavailable(crate::engine::UNREADABLE)), &[]),
        ];
        for (no, values) in nos {
            let (zh, en) = (no.said(Lang::Zh), no.said(Lang::En));
            assert!(is_chinese(&zh), "{zh}");
            assert!(is_english(&en), "{en}");
            for value in values {
                assert!(zh.contains(value) && en.contains(value), "{value}: {zh} {en}");
            }
            assert!(!en.contains("secret") && !en.contains("/var"), "{en}");
        }
    }
}
