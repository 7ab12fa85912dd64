//! What is done with many files at once: locked and unlocked with a reason; deleted, after a look at what would go.

use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect};
use axum::routing::post;
use http::{Request, Response, StatusCode};

use super::FileWords;
use super::sought::{chosen, form_value};
use crate::domain::files::FilesRefusal;
use crate::domain::{Action, Lock, Refusal};
use crate::engine::{Chosen, DeletionPreview, DeletionReport, Error, FileName};
use crate::portal::form::Form;
use crate::portal::guard::Session;
use crate::portal::preferences::back;
use crate::portal::shell::{Shell, page};
use crate::portal::{Needs, Portal, Route, show};

/// Files of one go, as the engine has it.
const MOST: usize = 1000;
/// Files that a page names which were not done.
const NAMED: usize = 50;

/// What was not done, or only in part.
#[derive(Template)]
#[template(path = "files_done.html")]
struct DonePage {
    shell: Shell,
    w: &'static FileWords,
    title: &'static str,
    text: String,
    /// Files with why not.
    left: Vec<(String, String)>,
    back: String,
}

#[derive(Template)]
#[template(path = "files_delete.html")]
struct DeletePage {
    shell: Shell,
    w: &'static FileWords,
    preview: DeletionPreview,
    /// The AK to type.
    ak: String,
    /// What the form chose, as hidden fields.
    fields: Vec<(String, String)>,
    back: String,
    error: String,
}

pub(super) fn routes() -> Vec<Route> {
    let needs = Needs::Role(Action::ChangeFiles);
    vec![
        Route { path: "/files/lock", needs, pages: post(lock) },
        Route { path: "/files/unlock", needs, pages: post(unlock) },
        Route { path: "/files/delete", needs, pages: post(ask) },
        Route { path: "/files/delete/confirm", needs, pages: post(delete) },
    ]
}

async fn lock(State(portal): State<Arc<Portal>>, session: Session, request: Request<Body>) -> Response<Body> {
    set(&portal, &session, &Form::of_body(request).await, Lock::Locked).await
}

async fn unlock(State(portal): State<Arc<Portal>>, session: Session, request: Request<Body>) -> Response<Body> {
    set(&portal, &session, &Form::of_body(request).await, Lock::Open).await
}

async fn set(portal: &Portal, session: &Session, form: &Form, lock: Lock) -> Response<Body> {
    let shell = session.shell(portal);
    let (title, done) = match lock {
        Lock::Locked => (shell.say("没有锁定", "Nothing was locked"), "locked"),
        Lock::Open => (shell.say("没有解锁", "Nothing was unlocked"), "unlocked"),
    };
    let outcome = async {
        let names = names(portal, session, form, &shell).await?;
        Ok(portal.engine.lock_files(&session.signed.caller, &names, lock, form.get("reason")).await?)
    };
    let outcomes = match outcome.await {
        Ok(outcomes) => outcomes,
        Err(why) => return not_done(shell, form, title, why),
    };
    let all = outcomes.len();
    let left: Vec<(String, String)> = outcomes
        .into_iter()
        .filter_map(|(name, outcome)| {
            outcome.err().map(|_| (name.key, shell.say("已不存在", "is not there any more").to_owned()))
        })
        .collect();
    if left.is_empty() {
        let to = back(form.get("back"));
        let joint = if to.contains('?') { '&' } else { '?' };
        return Redirect::to(&format!("{to}{joint}done={done}")).into_response();
    }
    let count = all - left.len();
    let not = left.len();
    let text = shell.lang.say(format!("{count} 个已处理，{not} 个未处理。"), format!("{count} done, {not} not."));
    let title = shell.say("部分完成", "Done in part");
    let view = DonePage {
        w: FileWords::of(shell.lang),
        title,
        text,
        left: left.into_iter().take(NAMED).collect(),
        back: back(form.get("back")).to_owned(),
        shell,
    };
    page(StatusCode::OK, &view)
}

/// Why nothing was done.
enum Why {
    /// A field of the form.
    Form(String),
    Engine(Error),
}

impl From<Error> for Why {
    fn from(error: Error) -> Self {
        Self::Engine(error)
    }
}

fn read(portal: &Portal, form: &Form, shell: &Shell) -> Result<Chosen, Why> {
    let now = portal.engine.now().seconds();
    chosen(form, now, shell.zone_minutes, shell.lang).map_err(|misread| Why::Form(misread.text))
}

/// The chosen files by name.
async fn names(portal: &Portal, session: &Session, form: &Form, shell: &Shell) -> Result<Vec<FileName>, Why> {
    let filter = match read(portal, form, shell)? {
        Chosen::Names(names) => return Ok(names),
        Chosen::Matching(filter) => filter,
    };
    let (mut names, mut at) = (Vec::new(), Some(0));
    while let Some(from) = at {
        let found = portal.engine.find_files(&session.signed.caller, &filter, from, MOST).await?;
        let media = filter.media;
        names.extend(found.files.into_iter().map(|file| FileName { ak: file.ak, media, key: file.key }));
        if names.len() > MOST {
            return Err(Error::Refused(Refusal::Files(FilesRefusal::TooMany { most: MOST })).into());
        }
        at = found.next;
    }
    Ok(names)
}

fn not_done(shell: Shell, form: &Form, title: &'static str, why: Why) -> Response<Body> {
    let (status, text) = match why {
        Why::Form(text) => (StatusCode::BAD_REQUEST, text),
        Why::Engine(Error::Refused(Refusal::Files(refusal))) => (StatusCode::CONFLICT, shell.refusal(&refusal)),
        Why::Engine(error) => return shell.failed(&error),
    };
    let back = back(form.get("back")).to_owned();
    page(status, &DonePage { w: FileWords::of(shell.lang), title, text, left: Vec::new(), back, shell })
}

async fn ask(State(portal): State<Arc<Portal>>, session: Session, request: Request<Body>) -> Response<Body> {
    let form = Form::of_body(request).await;
    asked(&portal, &session, &form, String::new()).await
}

/// What would go, and the question.
async fn asked(portal: &Portal, session: &Session, form: &Form, error: String) -> Response<Body> {
    let shell = session.shell(portal);
    let title = shell.say("没有删除", "Nothing was deleted");
    let chosen = match read(portal, form, &shell) {
        Ok(chosen) => chosen,
        Err(why) => return not_done(shell, form, title, why),
    };
    let preview = match portal.engine.preview_deletion(&session.signed.caller, &chosen).await {
        Ok(preview) => preview,
        Err(error) => return not_done(shell, form, title, error.into()),
    };
    if preview.files == 0 {
        let text = match preview.locked {
            0 => shell.say("选中的文件都已不存在。", "None of these files is there any more."),
            _ => shell.say("选中的文件都已锁定，不会删除。", "All of these files are locked: none would go."),
        };
        return not_done(shell, form, title, Why::Form(text.to_owned()));
    }
    let (ak, fields) = match &chosen {
        Chosen::Matching(filter) => (filter.ak.clone(), filter_fields(form)),
        Chosen::Names(names) => (
            names.first().map(|name| name.ak.clone()).unwrap_or_default(),
            names.iter().map(|name| ("file".to_owned(), form_value(&name.ak, name.media, &name.key))).collect(),
        ),
    };
    let status = if error.is_empty() { StatusCode::OK } else { StatusCode::CONFLICT };
    let back = back(form.get("back")).to_owned();
    page(status, &DeletePage { w: FileWords::of(shell.lang), preview, ak, fields, back, error, shell })
}

/// The fields of a search, to be sent again.
fn filter_fields(form: &Form) -> Vec<(String, String)> {
    let mut fields = vec![("all".to_owned(), "1".to_owned())];
    for name in ["kind", "ak", "day", "from", "to", "lock", "name"] {
        fields.push((name.to_owned(), form.get(name).to_owned()));
    }
    fields
}

async fn delete(State(portal): State<Arc<Portal>>, session: Session, request: Request<Body>) -> Response<Body> {
    let form = Form::of_body(request).await;
    let shell = session.shell(&portal);
    let title = shell.say("没有删除", "Nothing was deleted");
    let chosen = match read(&portal, &form, &shell) {
        Ok(chosen) => chosen,
        Err(why) => return not_done(shell, &form, title, why),
    };
    let Ok(upto) = form.get("upto").parse::<u64>() else {
        // Nothing goes that nobody was shown.
        return asked(&portal, &session, &form, String::new()).await;
    };
    let done = portal.engine.delete_files(&session.signed.caller, &chosen, upto, form.get("confirm")).await;
    match done {
        Ok(report) => {
            let view = DonePage {
                w: FileWords::of(shell.lang),
                title: shell.say("已删除", "Deleted"),
                text: told(&shell, &report),
                left: Vec::new(),
                back: back(form.get("back")).to_owned(),
                shell,
            };
            page(StatusCode::OK, &view)
        }
        Err(Error::Refused(Refusal::Files(FilesRefusal::NotConfirmed))) => {
            let error = shell.say(
                "输入的不是这台摄像机的 AK，没有删除。",
                "That is not the camera's access key; nothing was deleted.",
            );
            asked(&portal, &session, &form, error.to_owned()).await
        }
        Err(error) => not_done(shell, &form, title, error.into()),
    }
}

fn told(shell: &Shell, report: &DeletionReport) -> String {
    let (files, bytes, kept) = (show::count(report.files), show::bytes(report.bytes), show::count(report.kept));
    shell.lang.say(
        format!("删除 {files} 个文件，共 {bytes}；保留 {kept} 个（已锁定，或在此期间有变化）。"),
        format!("{files} files, {bytes}, are deleted; {kept} stay, locked or changed meanwhile."),
    )
}
