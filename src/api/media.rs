//! Files of a sub-account as its users work with them: found, looked at, played, downloaded one or many, locked with a
//! reason, deleted after a preview. The operator may the same at the control socket: whoever has the box has its disks,
//! and the audit log says what was asked. `files` has the older routes.

use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use bytes::Bytes;
use http::{HeaderMap, Method, Response};
use serde_json::{Value, json};

use super::billing::{field, number};
use super::door::By;
use super::refusal::No;
use super::routes::{Answered, Control, ok, read};
use super::table::{Field, Gives, Needs, Route};
use super::types::{ChooseFiles, DeleteChosen, LockFiles};
use crate::domain::{Action, Lock, Media};
use crate::engine::{Chosen, FileFilter, FileName, Reading};
use crate::wire::file_head;
use crate::wire::media::{Info, codec_name};

/// Files of a page, where the query does not say.
const PAGE: usize = 100;
/// The longest that is looked at as a day, seconds: one with an hour more.
const DAY_MAX: i64 = 25 * 3600;

const CHOSEN: &[Field] = &[
    ("kind", "string?", "recording or picture; recording"),
    ("names", "array?", "1 to 1000 names; or all with what it is narrowed by"),
    ("all", "boolean?", "all that match the fields below"),
    ("from_ms", "integer?", "not before this, ms since 1970; to the second"),
    ("to_ms", "integer?", "not after this, ms since 1970; to the second"),
    ("locked", "boolean?", "only locked ones, or only others"),
    ("name", "string?", "only names with this in them, in either case"),
];

/// The routes, for the table.
pub(super) fn routes() -> Vec<Route> {
    let (see, change) = (Needs::Role(Action::SeeFiles), Needs::Role(Action::ChangeFiles));
    let (get, post) = (Method::GET, Method::POST);
    vec![
        Route::new(get.clone(), "/api/v1/sub-accounts/{ak}/files/find", see, "find files, the newest first", find)
            .takes(&[
                ("kind", "string?", "recording or picture; recording"),
                ("from_ms", "integer?", "not before this, ms since 1970; to the second"),
                ("to_ms", "integer?", "not after this, ms since 1970; to the second"),
                ("locked", "boolean?", "only locked ones, or only others"),
                ("name", "string?", "only names with this in them, in either case"),
                ("at", "integer?", "next of the page before"),
                ("most", "integer?", "files of a page, 1 to 500; 100"),
            ])
            .gives(Gives::One(&[
                ("in_time", "integer", "files of the time, whatever their lock and name"),
                (
                    "files",
                    "array",
                    "ak, kind, key, size (bytes), created_ms (FileDate), etag, locked, reason (reason, who, at_ms)",
                ),
                ("next", "integer?", "where to go on; absent at the end. A page may be empty and not the last"),
            ])),
        Route::new(get.clone(), "/api/v1/sub-accounts/{ak}/files/info", see, "one file, with what its bytes are", info)
            .takes(&[("kind", "string?", "recording or picture; recording"), ("key", "string", "its name")])
            .gives(Gives::One(&[
                ("file", "object", "as find gives it"),
                ("container", "string", "MP4, MPEG-TS, MPEG-PS, FLV, …"),
                ("content_type", "string?", "under which it is given in place; absent where it is only downloaded"),
                ("video", "string?", "the video's codec"),
                ("audio", "string?", "the sound's codec"),
                ("codecs", "array", "both as people call them"),
                ("duration_ms", "integer?", "how long it plays, ms"),
                ("width", "integer?", "pixels"),
                ("height", "integer?", "pixels"),
                ("obstacle", "string?", "why browsers do not play it: container, codec, no_directory, unknown"),
            ])),
        Route::new(
            get.clone(),
            "/api/v1/sub-accounts/{ak}/files/day",
            see,
            "a day of recordings: what is recorded, locked, missing",
            day,
        )
        .takes(&[
            ("from_ms", "integer", "its beginning, ms since 1970; to the second"),
            ("to_ms", "integer?", "its end, 25 hours later at most; 24 hours later"),
        ])
        .gives(Gives::One(&[
            ("from", "integer", "its first second, Unix"),
            ("to", "integer", "the second after its last, or now"),
            ("files", "integer", "files in it"),
            ("spans", "array", "from, to, part (recorded, locked, missing), files, first"),
            ("cadence", "integer?", "the usual distance of uploads, seconds"),
            ("rolled_up", "boolean", "whether it was counted by slots of 256 seconds"),
        ])),
        Route::new(
            post.clone(),
            "/api/v1/sub-accounts/{ak}/files/locks",
            change,
            "lock or unlock files, with the reason",
            locks,
        )
        .takes(&[
            ("kind", "string?", "recording or picture; recording"),
            ("names", "array", "1 to 1000 names"),
            ("locked", "boolean", "whether they are to be locked"),
            ("reason", "string", "why, 1 to 200 characters"),
        ])
        .gives(Gives::Many(&[
            ("name", "string", "which"),
            ("done", "boolean", "whether it is as asked now"),
            ("outcome", "string", "what came of it"),
        ])),
        Route::new(
            post.clone(),
            "/api/v1/sub-accounts/{ak}/files/preview-deletion",
            change,
            "what deleting these would take",
            preview,
        )
        .takes(CHOSEN)
        .gives(Gives::One(&[
            ("files", "integer", "files that would go"),
            ("bytes", "integer", "their bytes"),
            ("first_ms", "integer?", "FileDate of the oldest, ms since 1970"),
            ("last_ms", "integer?", "FileDate of the newest, ms since 1970"),
            ("locked", "integer", "locked files that stay"),
            ("upto", "integer", "for the deletion: what came after this preview stays"),
        ])),
        Route::new(
            post.clone(),
            "/api/v1/sub-accounts/{ak}/files/confirm-deletion",
            change,
            "delete what was previewed and is not locked",
            delete,
        )
        .takes(&[
            ("kind", "string?", "recording or picture; recording"),
            ("names", "array?", "as previewed"),
            ("all", "boolean?", "as previewed"),
            ("from_ms", "integer?", "as previewed"),
            ("to_ms", "integer?", "as previewed"),
            ("locked", "boolean?", "as previewed"),
            ("name", "string?", "as previewed"),
            ("upto", "integer", "upto of the preview"),
            ("typed", "string", "the camera's AK once more, for it is meant"),
        ])
        .gives(Gives::One(&[
            ("files", "integer", "files that went"),
            ("bytes", "integer", "their bytes"),
            ("kept", "integer", "files that stay: locked, or replaced meanwhile"),
        ])),
        Route::new(
            get,
            "/api/v1/sub-accounts/{ak}/media",
            see,
            "a file's bytes; Range, If-Range, If-None-Match as of HTTP",
            bytes_of,
        )
        .takes(&[
            ("kind", "string?", "recording or picture; recording"),
            ("key", "string", "its name"),
            ("as", "string?", "download: to be kept, and not looked at"),
        ])
        .gives(Gives::Bytes("application/octet-stream")),
        Route::new(
            post,
            "/api/v1/sub-accounts/{ak}/zip",
            see,
            "files as one ZIP with a manifest of SHA-256 sums: 1000 files and 64 GB at most",
            zip,
        )
        .takes(CHOSEN)
        .gives(Gives::Bytes("application/zip")),
    ]
}

fn media(word: &str) -> Result<Media, No> {
    match word {
        "" => Ok(Media::Recording),
        word => {
            Media::of_word(word).ok_or_else(|| No::bad_request(format!("{word:?} is neither recording nor picture")))
        }
    }
}

fn lock(locked: bool) -> Lock {
    if locked { Lock::Locked } else { Lock::Open }
}

impl ChooseFiles {
    /// The files that are meant, of a camera.
    fn of(self, ak: &str) -> Result<Chosen, No> {
        let media = media(&self.kind)?;
        match (self.names, self.all) {
            (Some(names), false) => Ok(Chosen::Names(named(ak, media, names))),
            (None, true) => Ok(Chosen::Matching(FileFilter {
                from: self.from_ms.map(|ms| ms.div_euclid(1000)),
                to: self.to_ms.map(|ms| ms.div_euclid(1000)),
                lock: self.locked.map(lock),
                name: self.name.unwrap_or_default(),
                ..FileFilter::of(ak, media)
            })),
            _ => Err(No::bad_request("either names, or \"all\": true, says which files are meant")),
        }
    }
}

fn named(ak: &str, media: Media, names: Vec<String>) -> Vec<FileName> {
    names.into_iter().map(|key| FileName { ak: ak.to_owned(), media, key }).collect()
}

async fn find(
    State(control): State<Control>,
    By(caller): By,
    Path(ak): Path<String>,
    RawQuery(query): RawQuery,
) -> Answered {
    let query = query.as_deref();
    let second = |name| -> Result<Option<i64>, No> {
        if field(query, name).is_empty() { Ok(None) } else { Ok(Some(number::<i64>(query, name, 0)?.div_euclid(1000))) }
    };
    let locked = match field(query, "locked").as_str() {
        "" => None,
        "true" => Some(Lock::Locked),
        "false" => Some(Lock::Open),
        _ => return Err(No::bad_request("locked must be true or false")),
    };
    let most = number(query, "most", PAGE)?;
    if !(1..=500).contains(&most) {
        return Err(No::bad_request("most must be from 1 to 500"));
    }
    let filter = FileFilter {
        from: second("from_ms")?,
        to: second("to_ms")?,
        lock: locked,
        name: field(query, "name"),
        ..FileFilter::of(&ak, media(&field(query, "kind"))?)
    };
    ok(&control.engine.find_files(&caller, &filter, number(query, "at", 0)?, most).await?)
}

async fn info(
    State(control): State<Control>,
    By(caller): By,
    Path(ak): Path<String>,
    RawQuery(query): RawQuery,
) -> Answered {
    let query = query.as_deref();
    let (media, key) = (media(&field(query, "kind"))?, field(query, "key"));
    let file = control.engine.file(&caller, &ak, media, &key).await?;
    let info = control.engine.file_info(&caller, &ak, media, &key).await?;
    let mut answer = inside(&info);
    answer["file"] = json!(file);
    ok(&answer)
}

/// What a file's bytes are.
fn inside(info: &Info) -> Value {
    use crate::wire::media::Obstacle;
    let obstacle = info.obstacle.map(|obstacle| match obstacle {
        Obstacle::Container => "container",
        Obstacle::Codec => "codec",
        Obstacle::NoDirectory => "no_directory",
        Obstacle::Unknown => "unknown",
    });
    json!({
        "container": info.container.name(),
        "content_type": info.container.content_type(),
        "video": info.video,
        "audio": info.audio,
        "codecs": info.video.iter().chain(&info.audio).map(|code| codec_name(code)).collect::<Vec<_>>(),
        "duration_ms": info.duration_ms,
        "width": info.size.map(|(width, _)| width),
        "height": info.size.map(|(_, height)| height),
        "obstacle": obstacle,
    })
}

async fn day(
    State(control): State<Control>,
    By(caller): By,
    Path(ak): Path<String>,
    RawQuery(query): RawQuery,
) -> Answered {
    let query = query.as_deref();
    if field(query, "from_ms").is_empty() {
        return Err(No::bad_request("from_ms says which day is meant"));
    }
    let from = number::<i64>(query, "from_ms", 0)?.div_euclid(1000);
    let to = number(query, "to_ms", from.saturating_add(86_400).saturating_mul(1000))?.div_euclid(1000);
    if from.abs() > 1 << 37 || to <= from || to - from > DAY_MAX {
        return Err(No::bad_request("a day ends after it begins, 25 hours later at most"));
    }
    ok(&control.engine.day(&caller, &ak, from..to).await?)
}

async fn locks(State(control): State<Control>, By(caller): By, Path(ak): Path<String>, body: Bytes) -> Answered {
    let asked: LockFiles = read(&body)?;
    let names = named(&ak, media(&asked.kind)?, asked.names);
    // Whose they are is said first, whatever is wrong with the rest.
    control.engine.sub_account_for(&caller, Action::ChangeFiles, &ak)?;
    let done = control.engine.lock_files(&caller, &names, lock(asked.locked), &asked.reason).await?;
    let word = if asked.locked { "locked" } else { "unlocked" };
    let outcome = |(file, done): &(FileName, crate::engine::Result<()>)| {
        let outcome = done.as_ref().map_or_else(ToString::to_string, |()| word.to_owned());
        json!({"name": file.key, "done": done.is_ok(), "outcome": outcome})
    };
    ok(&done.iter().map(outcome).collect::<Vec<_>>())
}

async fn preview(State(control): State<Control>, By(caller): By, Path(ak): Path<String>, body: Bytes) -> Answered {
    let chosen = read::<ChooseFiles>(&body)?.of(&ak)?;
    ok(&control.engine.preview_deletion(&caller, &chosen).await?)
}

async fn delete(State(control): State<Control>, By(caller): By, Path(ak): Path<String>, body: Bytes) -> Answered {
    let DeleteChosen { kind, names, all, from_ms, to_ms, locked, name, upto, typed } = read(&body)?;
    let chosen = ChooseFiles { kind, names, all, from_ms, to_ms, locked, name }.of(&ak)?;
    control.engine.sub_account_for(&caller, Action::ChangeFiles, &ak)?;
    ok(&control.engine.delete_files(&caller, &chosen, upto, &typed).await?)
}

async fn bytes_of(
    State(control): State<Control>,
    By(caller): By,
    Path(ak): Path<String>,
    RawQuery(query): RawQuery,
    method: Method,
    headers: HeaderMap,
) -> Answered {
    let query = query.as_deref();
    let media = media(&field(query, "kind"))?;
    let keep = match field(query, "as").as_str() {
        "" => false,
        "download" => true,
        _ => return Err(No::bad_request("as can only be download")),
    };
    let reading = if keep { Reading::Download } else { Reading::Play };
    let played = control.engine.read_file(&caller, &ak, media, &field(query, "key"), reading).await?;
    let head = file_head::answer(&headers, &played.file(), keep);
    let body = match head.bytes {
        Some(bytes) if method == Method::GET => Body::from_stream(played.bytes(bytes).await?),
        _ => Body::empty(),
    };
    let mut response = Response::new(body);
    (*response.status_mut(), *response.headers_mut()) = (head.status, head.headers);
    Ok(response)
}

async fn zip(State(control): State<Control>, By(caller): By, Path(ak): Path<String>, body: Bytes) -> Answered {
    let chosen = read::<ChooseFiles>(&body)?.of(&ak)?;
    let packed = control.engine.pack_files(&caller, &chosen).await?;
    let headers = file_head::made(&packed.name, "application/zip");
    let mut response = Response::new(Body::from_stream(packed.stream));
    *response.headers_mut() = headers;
    Ok(response)
}
