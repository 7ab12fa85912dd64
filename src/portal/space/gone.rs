//! 文件为什么不在了？ Each file that went with its cause in words; without a name, what went together.

use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::State;
use http::{Request, Response, StatusCode};

use super::super::Portal;
use super::super::form::Form;
use super::super::guard::Session;
use super::super::shell::{Pager, Shell, page};
use super::super::show::{self, Html};
use super::super::text::Lang;
use crate::domain::{Action, Refusal};
use crate::engine::Error;
use crate::engine::observe::{GoneBatch, GoneFile, GoneFound, GoneQuery, ThereFile};
use crate::wire::china_time::{self, Edge};

/// Rows on a page.
const PAGE: u64 = 50;

/// A file that is there.
struct There {
    key: String,
    text: String,
    href: Option<String>,
}

/// A file that is gone.
struct Gone {
    key: String,
    tone: &'static str,
    word: &'static str,
    text: String,
    ak: String,
    bucket: String,
    size: u64,
    made: Html,
}

/// Files that went together.
struct Batch {
    when: Html,
    tone: &'static str,
    word: &'static str,
    by: String,
    ak: String,
    bucket: String,
    files: u64,
    bytes: u64,
    oldest: Html,
    newest: Html,
}

#[derive(Template)]
#[template(path = "space_gone.html")]
struct View {
    shell: Shell,
    space_word: &'static str,
    /// Whether names of files may be asked for.
    names: bool,
    key: String,
    ak: String,
    from: String,
    to: String,
    problem: String,
    /// What people call the camera.
    camera: String,
    there: Vec<There>,
    files: Vec<Gone>,
    batches: Vec<Batch>,
    /// Whether the files only have the key in their names.
    part: bool,
    cut: bool,
    known_from: Html,
    pager: Pager,
}

pub(super) async fn show_page(
    State(portal): State<Arc<Portal>>,
    session: Session,
    request: Request<Body>,
) -> Response<Body> {
    let shell = session.shell(&portal);
    let form = Form::of_query(request.uri().query());
    let caller = &session.signed.caller;
    let cut = |name: &str| form.get(name).chars().take(1024).collect::<String>();
    let (key, ak) = (cut("key"), cut("ak"));
    let zone = shell.zone_minutes;
    let mut problem = String::new();
    let mut edge = |name, edge| match form.get(name) {
        "" => None,
        text => match china_time::parse(text, edge, zone) {
            Ok(seconds) => Some(seconds.saturating_mul(1000).saturating_add(if edge == Edge::End { 999 } else { 0 })),
            Err(_) => {
                shell.say("日期无法识别", "That is no date").clone_into(&mut problem);
                None
            }
        },
    };
    let (from_ms, to_ms) = (edge("from", Edge::Start), edge("to", Edge::End));
    let asked_page: u64 = form.get("page").parse().unwrap_or(1).max(1);
    let skip = usize::try_from((asked_page - 1).saturating_mul(PAGE)).unwrap_or(usize::MAX);
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let most = usize::try_from(PAGE).unwrap_or(50);
    let mut query = GoneQuery { ak: some(&ak), bucket: None, key: some(&key), from_ms, to_ms, skip, most };
    let (mut part, mut found) = (false, GoneFound::default());
    if problem.is_empty() {
        match portal.engine.why_gone(caller, query.clone()).await {
            Ok(answer) => found = answer,
            Err(Error::Refused(Refusal::NoSubAccount)) => {
                let no = "没有这个 AK 的子账户，也没有它的记录。";
                shell
                    .say(no, "There is no sub-account of this AK, and nothing is known of one.")
                    .clone_into(&mut problem);
            }
            Err(error) => return shell.failed(&error),
        }
        if !key.is_empty() && problem.is_empty() && found.there.is_empty() && found.total == 0 {
            part = true;
            query.key = Some(format!("*{key}*"));
            found = match portal.engine.why_gone(caller, query).await {
                Ok(answer) => answer,
                Err(error) => return shell.failed(&error),
            };
        }
    }
    let camera = match ak.is_empty() {
        true => String::new(),
        // Of a closed one there is no name any more.
        false => portal.engine.camera(caller, &ak).await.map_or_else(
            |_| String::new(),
            |camera| {
                [camera.name, camera.place].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" · ")
            },
        ),
    };
    let has = |path: &'static str| portal.paths.contains(&path);
    let players = [has("/recordings/play"), has("/pictures/show")];
    let one = session.signed.role.of_one_account();
    let view = View {
        space_word: if one { shell.t.space_own } else { shell.t.space_all },
        names: shell.may(Action::SeeFiles),
        from: form.get("from").chars().take(10).collect(),
        to: form.get("to").chars().take(10).collect(),
        there: found.there.iter().map(|file| there(&shell, file, players)).collect(),
        files: found.files.iter().map(|file| gone(&shell, file)).collect(),
        batches: found.batches.iter().map(|one| batch(&shell, one)).collect(),
        cut: found.cut,
        known_from: shell.time(if problem.is_empty() { Some(found.known_from_ms) } else { None }),
        pager: Pager::new(&shell.here, asked_page, found.total, PAGE),
        key,
        ak,
        problem,
        camera,
        part,
        shell,
    };
    page(StatusCode::OK, &view)
}

fn part(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn there(shell: &Shell, file: &ThereFile, [plays, shows]: [bool; 2]) -> There {
    let made = show::moment(file.created_ms, shell.zone_minutes);
    let size = show::bytes(file.size);
    let mut text = match shell.lang {
        Lang::Zh => format!("这个文件没有被删除：{made} 上传，{size}。"),
        Lang::En => format!("This file is not gone: uploaded {made}, {size}."),
    };
    if file.locked {
        text.push_str(shell.say("已锁定，不会被覆盖。", " It is locked and will not be overwritten."));
    }
    let path = match file.kind {
        "recording" if plays => Some("/recordings/play"),
        "picture" if shows => Some("/pictures/show"),
        _ => None,
    };
    let href = path.map(|path| format!("{path}?ak={}&key={}", part(&file.ak), part(&file.key)));
    There { key: file.key.clone(), text, href }
}

/// The tone and the word of a cause.
fn cause(lang: Lang, why: &str) -> (&'static str, &'static str) {
    match why {
        "overwrite" => ("warn", lang.say("循环覆盖", "Overwritten")),
        "clear" => ("bad", lang.say("清空", "Cleared")),
        "closed" => ("bad", lang.say("销户", "Closed")),
        "replaced" => ("info", lang.say("被取代", "Replaced")),
        _ => ("bad", lang.say("删除", "Deleted")),
    }
}

/// Who asked, in words.
fn asker(lang: Lang, by: &str) -> String {
    match (by, by.strip_prefix("platform "), by.strip_prefix("user ")) {
        ("operator", ..) => lang.say("本机管理命令", "the operator").to_owned(),
        (_, Some(name), _) => format!("{} {name}", lang.say("平台", "the platform")),
        (_, _, Some(name)) => format!("{} {name}", lang.say("用户", "user")),
        (by, None, None) => format!("{} {by}", lang.say("密钥", "access key")),
    }
}

/// What became of a file, in a sentence. Who asked is not noted of everything; the audit log has it.
fn sentence(lang: Lang, why: &str, when: &str, by: Option<&str>) -> String {
    let what = match why {
        "overwrite" => lang.say(
            "被循环覆盖：空间将满，它是当时最旧的未锁定文件之一，为新录像腾出了空间",
            "overwritten: the space was nearly full, and it was among the oldest files that were not locked",
        ),
        "clear" => lang.say(
            "随子账户清空（7.9）被删除：未锁定的文件全部删除",
            "deleted when its sub-account was cleared (7.9): all that was not locked went",
        ),
        "closed" => lang.say(
            "随子账户或存储桶关闭被删除：锁定的文件也一并删除",
            "deleted when its sub-account or bucket was closed: locked files went too",
        ),
        "replaced" => lang.say("被同名文件的新上传取代", "replaced by another upload of the same name"),
        _ => lang.say("被删除", "deleted"),
    };
    let who = by.map(|by| asker(lang, by));
    match (lang, who) {
        (Lang::Zh, Some(who)) => format!("{when} {what}（操作者：{who}）。"),
        (Lang::Zh, None) => format!("{when} {what}。"),
        (Lang::En, Some(who)) => format!("{when}: {what} (by {who})."),
        (Lang::En, None) => format!("{when}: {what}."),
    }
}

fn gone(shell: &Shell, file: &GoneFile) -> Gone {
    let (tone, word) = cause(shell.lang, &file.why);
    let when = show::moment(file.gone_ms, shell.zone_minutes);
    Gone {
        key: file.key.clone(),
        tone,
        word,
        text: sentence(shell.lang, &file.why, &when, file.by.as_deref()),
        ak: file.ak.clone(),
        bucket: file.bucket.clone(),
        size: file.size,
        made: shell.time(file.created_ms),
    }
}

fn batch(shell: &Shell, batch: &GoneBatch) -> Batch {
    let (tone, word) = cause(shell.lang, &batch.why);
    Batch {
        when: shell.time(batch.until_ms),
        tone,
        word,
        by: batch.by.as_deref().map(|by| asker(shell.lang, by)).unwrap_or_default(),
        ak: batch.ak.clone(),
        bucket: batch.bucket.clone(),
        files: batch.files,
        bytes: batch.bytes,
        oldest: shell.time(batch.oldest_ms),
        newest: shell.time(batch.newest_ms),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_is_told_in_words_with_who_asked() {
        for why in ["overwrite", "clear", "closed", "replaced", "asked"] {
            for lang in [Lang::Zh, Lang::En] {
                let told = sentence(lang, why, "2026-11-25 10:00:00", Some("platform jiangsu"));
                assert!(told.contains("2026-11-25 10:00:00"), "{told}");
                assert!(told.contains("jiangsu"), "{told}");
            }
        }
        assert_eq!(asker(Lang::En, "user li"), "user li");
        assert_eq!(asker(Lang::En, "AKX"), "access key AKX");
        assert_eq!(asker(Lang::Zh, "operator"), "本机管理命令");
    }
}
