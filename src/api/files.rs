//! Files of a sub-account over the API, for the users of its account: 7.7 and 7.8, and deletion.

use axum::extract::{Path, RawQuery, State};
use bytes::Bytes;
use serde_json::json;

use super::billing::{field, number};
use super::door::By;
use super::refusal::No;
use super::routes::{Answered, Control, ok, read};
use super::types::{DeleteFiles, LockFile};
use crate::domain::{Action, Lock, Media, ObjectKey};
use crate::engine::{DeleteCondition, Search};

/// Files of a page, where the query does not say.
const PAGE: u64 = 100;
/// Files that go at one call, at most.
const DELETE_MOST: usize = 1000;

fn media(word: &str) -> Result<Media, No> {
    match word {
        "" | "recording" => Ok(Media::Recording),
        "picture" => Ok(Media::Picture),
        _ => Err(No::bad_request(format!("{word:?} is neither recording nor picture"))),
    }
}

pub(super) async fn search(
    State(control): State<Control>,
    By(caller): By,
    Path(ak): Path<String>,
    RawQuery(query): RawQuery,
) -> Answered {
    let query = query.as_deref();
    let sub = control.engine.sub_account_for(&caller, Action::SeeFiles, &ak)?;
    let seconds = |name| -> Result<Option<i64>, No> {
        let ms: i64 = number(query, name, i64::MIN)?;
        Ok((ms != i64::MIN).then(|| ms.div_euclid(1000)))
    };
    let search = Search {
        media: media(&field(query, "media"))?,
        from: seconds("from_ms")?,
        to: seconds("to_ms")?,
        page: number(query, "page", 1)?,
        page_size: number(query, "most", PAGE)?,
    };
    if search.page == 0 || search.page_size == 0 {
        return Err(No::bad_request("pages and their files count from 1"));
    }
    let page = control.engine.search_sub_account_files(&caller, &sub, search).await?;
    let file = |found: &crate::engine::FoundFile| {
        let info = &found.info;
        json!({
            "name": info.key.as_str(),
            "created_ms": info.created.millis(),
            "bytes": info.size.get(),
            "locked": info.lock == Lock::Locked,
        })
    };
    ok(&json!({"total": page.total, "files": page.files.iter().map(file).collect::<Vec<_>>()}))
}

pub(super) async fn lock(
    State(control): State<Control>,
    By(caller): By,
    Path(ak): Path<String>,
    body: Bytes,
) -> Answered {
    let asked: LockFile = read(&body)?;
    let sub = control.engine.sub_account_for(&caller, Action::ChangeFiles, &ak)?;
    let lock = if asked.locked { Lock::Locked } else { Lock::Open };
    let done = control.engine.lock_sub_account_file(&caller, &sub, &asked.name, lock).await;
    let what = if asked.locked { "LockFile" } else { "UnlockFile" };
    let reason: String = asked.reason.unwrap_or_default().chars().filter(|c| !c.is_control()).take(200).collect();
    let target: String = asked.name.chars().take(1024).collect();
    control.audit(&caller, what, format!("{ak} {target} {reason}").trim_end(), done)?;
    ok(&json!({"name": asked.name, "locked": asked.locked}))
}

pub(super) async fn delete(
    State(control): State<Control>,
    By(caller): By,
    Path(ak): Path<String>,
    body: Bytes,
) -> Answered {
    let asked: DeleteFiles = read(&body)?;
    if asked.names.is_empty() || asked.names.len() > DELETE_MOST {
        return Err(No::bad_request(format!("1 to {DELETE_MOST} files go at one call")));
    }
    control.engine.sub_account_for(&caller, Action::ChangeFiles, &ak)?;
    let view = control.engine.sub_account_view(&caller, &ak).await?;
    let name = match media(&asked.media)? {
        Media::Recording => view.record_bucket,
        Media::Picture => view.picture_bucket,
    };
    let bucket = control.engine.bucket(&caller, &name)?;
    let keys: Result<Vec<ObjectKey>, _> = asked.names.iter().map(|name| name.parse::<ObjectKey>()).collect();
    let keys = keys.map_err(|error| No::bad_request(error.to_string()))?;
    let doomed = keys.into_iter().map(|key| (key, DeleteCondition::default())).collect();
    let done = control.engine.delete_many(&caller, &bucket, doomed).await;
    let mut outcomes = Vec::with_capacity(done.len());
    for (name, outcome) in asked.names.iter().zip(done) {
        let word = outcome.as_ref().map_or_else(ToString::to_string, |()| "deleted".to_owned());
        control.engine.audit_by(&caller, "DeleteFile", &format!("{ak} {name}"), &outcome);
        outcomes.push(json!({"name": name, "deleted": outcome.is_ok(), "outcome": word}));
    }
    ok(&outcomes)
}
