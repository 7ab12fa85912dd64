//! The words of the pages: tables of two columns. A page names a word; one that is missing in a language does not
//! compile. What every page has is in the table here; a set of pages has a table of its own beside it, and what is
//! said in one place only stands there by [`Lang::say`].

use http::HeaderMap;
use http::header::ACCEPT_LANGUAGE;

/// A language of the pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lang {
    /// Chinese, which is the first.
    Zh,
    /// English.
    En,
}

impl Lang {
    /// The language of a cookie's value, else that which the browser asks for first, else Chinese.
    pub(super) fn of(chosen: Option<&str>, headers: &HeaderMap) -> Self {
        match chosen {
            Some("zh") => return Self::Zh,
            Some("en") => return Self::En,
            _ => {}
        }
        let asked = headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        asked
            .split(',')
            .find_map(|one| match one.trim().get(..2) {
                Some(zh) if zh.eq_ignore_ascii_case("zh") => Some(Self::Zh),
                Some(en) if en.eq_ignore_ascii_case("en") => Some(Self::En),
                _ => None,
            })
            .unwrap_or(Self::Zh)
    }

    /// As in `<html lang>`.
    pub(super) fn code(self) -> &'static str {
        self.say("zh-CN", "en")
    }

    /// The words that every page has.
    pub(super) fn words(self) -> &'static Words {
        Words::of(self)
    }

    /// One of the two: a sentence that stands in one place.
    pub(super) fn say<T>(self, zh: T, en: T) -> T {
        match self {
            Self::Zh => zh,
            Self::En => en,
        }
    }
}

/// Makes a table of words: `words! { /// doc\n struct Name; word: "中文", "English"; … }`, then `Name::of(lang).word`.
macro_rules! words {
    ($(#[$doc:meta])* struct $name:ident; $($word:ident: $zh:literal, $en:literal;)*) => {
        $(#[$doc])*
        pub(super) struct $name { $(pub(super) $word: &'static str,)* }
        impl $name {
            /// The words of one language.
            pub(super) fn of(lang: $crate::portal::text::Lang) -> &'static Self {
                static ZH: $name = $name { $($word: $zh,)* };
                static EN: $name = $name { $($word: $en,)* };
                lang.say(&ZH, &EN)
            }
        }
    };
}

words! {
    /// What every page has.
    struct Words;
    product: "看店云存储", "Kandian";
    tagline: "看店录像与图片云存储", "Cloud storage for the shop's recordings and pictures";
    skip: "跳到正文", "Skip to content";
    menu: "菜单", "Menu";
    navigation: "主导航", "Main navigation";
    you_are_here: "当前位置", "You are here";
    language_to: "English", "中文";
    theme: "外观", "Appearance";
    theme_auto: "跟随系统", "As the system";
    theme_light: "浅色", "Light";
    theme_dark: "深色", "Dark";
    sign_in: "登录", "Sign in";
    sign_out: "退出登录", "Sign out";
    my_account: "我的账户", "My account";
    about: "关于", "About";
    overview: "总览", "Overview";
    accounts: "开户", "Accounts";
    space_all: "空间管理", "Space";
    space_own: "空间监控", "Space";
    billing: "费用结算", "Settlement";
    billing_own: "费用", "Charges";
    statistics: "统计分析", "Statistics";
    alerts: "告警", "Alerts";
    audit: "审计", "Audit";
    users: "用户", "Users";
    recordings: "录像检索", "Recordings";
    pictures: "图片", "Pictures";
    cameras: "子账户", "Sub-accounts";
    role_operations: "业务管理", "Operations";
    role_province: "省级管理员", "Province";
    role_viewer: "查看员", "Viewer";
    role_auditor: "审计员", "Auditor";
    used: "已用", "Used";
    locked: "已锁定", "Locked";
    reserved: "上传中", "Uploading";
    free: "剩余", "Free";
    above: "超出", "Above";
    of_total: "共", "of";
    never: "从未", "Never";
    none: "无", "None";
    saved: "已保存", "Saved";
    save: "保存", "Save";
    cancel: "取消", "Cancel";
    search: "搜索", "Search";
    filter: "筛选", "Filter";
    reset: "清除条件", "Clear filters";
    print: "打印", "Print";
    download_csv: "下载 CSV", "Download CSV";
    optional: "选填", "Optional";
    previous: "上一页", "Previous";
    next: "下一页", "Next";
    pages: "分页", "Pages";
    day_before: "前一天", "The day before";
    day_after: "后一天", "The day after";
    day: "日期", "Day";
    go: "查看", "Show";
    nothing_found: "没有符合条件的记录", "Nothing matches";
    what_goes: "将被删除的内容", "What goes";
    no_way_back: "此操作不可恢复。", "There is no way back.";
    type_name: "请输入以下名称以确认", "To confirm, type this name";
    as_table: "以表格查看", "As a table";
    time: "时间", "Time";
    refused: "没有权限", "Not allowed";
    refused_help: "您的角色不能查看此页。", "Your role may not see this page.";
    stale: "页面已过期", "The page is out of date";
    stale_help: "请返回并刷新后重试；未做任何更改。", "Go back, reload, and try again; nothing was changed.";
    not_found: "没有这个页面", "There is no such page";
    not_found_help: "地址可能有误，或对象已被删除。", "The address may be wrong, or what was there is gone.";
    back_home: "返回首页", "Back to the first page";
    error: "出错了", "Something went wrong";
    not_done: "未能完成", "Not done";
    type_name_wrong: "输入的名称不一致，未做任何更改", "That is another name; nothing was changed";
    server_time: "服务器时间", "Server time";
    version: "版本", "Version";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_comes_before_what_the_browser_asks_for_and_chinese_is_the_first() {
        let asking = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_LANGUAGE, http::HeaderValue::from_static(text));
            headers
        };
        assert_eq!(Lang::of(Some("en"), &asking("zh-CN,zh;q=0.9")), Lang::En);
        assert_eq!(Lang::of(None, &asking("en-GB,en;q=0.9,zh;q=0.1")), Lang::En);
        assert_eq!(Lang::of(None, &asking("de, ZH-TW")), Lang::Zh);
        assert_eq!(Lang::of(Some("tlh"), &asking("de")), Lang::Zh);
        assert_eq!(Lang::of(None, &HeaderMap::new()), Lang::Zh);
    }
}
