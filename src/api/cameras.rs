//! Cameras: found and sorted a page at a time, what one does, what it is called, and what a change would take.

use axum::extract::{Path, RawQuery, State};
use bytes::Bytes;
use http::Method;
use serde_json::json;

use super::billing::{field, number};
use super::door::By;
use super::refusal::No;
use super::routes::{Answered, Control, ok, read};
use super::table::{Field, Gives, Needs, Route};
use super::types::NameCamera;
use crate::domain::{Action, AtTheEnd, account};
use crate::engine::SpaceChange;
use crate::engine::observe::CameraQuery;

/// Cameras of a page, where the query does not say.
const PAGE: usize = 100;
const PAGE_MAX: usize = 1000;

const GOES: &[Field] = &[
    ("files", "integer", "files that would go"),
    ("bytes", "integer", "their bytes"),
    ("first_ms", "integer?", "when the oldest of them was stored, ms since 1970"),
    ("last_ms", "integer?", "when the newest of them was stored, ms since 1970"),
    ("locked_files", "integer", "locked files: a close takes them too, nothing else does"),
    ("locked_bytes", "integer", "their bytes"),
    ("more", "boolean", "whether more go than were counted"),
];

/// The routes, for the table.
pub(super) fn routes() -> Vec<Route> {
    let (see, manage) = (Needs::Role(Action::SeeSpace), Needs::Role(Action::ManageSubAccounts));
    let get = || Method::GET;
    vec![
        Route::new(get(), "/api/v1/cameras", see, "cameras with their spaces, a page at a time", list)
            .takes(&[
                ("account", "string?", "of this account alone"),
                ("find", "string?", "with this in their name, place or AK"),
                ("state", "string?", "full, warned, silent, never or loop"),
                ("sort", "string?", "share, name, last, full or kept; share"),
                ("skip", "integer?", "leave out so many"),
                ("most", "integer?", "at most so many, 1 to 1000; 100"),
            ])
            .gives(Gives::One(&[
                ("total", "integer", "how many match"),
                ("silent", "integer", "how many are silent, of all"),
                ("rows", "array", "the page"),
            ])),
        Route::new(get(), "/api/v1/cameras/silent", see, "cameras gone silent, the longest first", silent)
            .gives(Gives::Many(&[("ak", "string", "S3AK"), ("since_ms", "integer", "its last upload, ms since 1970")])),
        Route::new(get(), "/api/v1/sub-accounts/{ak}/camera", see, "what a camera does and uses", camera),
        Route::new(Method::PUT, "/api/v1/sub-accounts/{ak}/name", manage, "give it a name and a place", name)
            .takes(&[("name", "string?", "its name"), ("place", "string?", "where it is")]),
        Route::new(
            get(),
            "/api/v1/sub-accounts/{ak}/preview/space",
            manage,
            "what another space, or another end of it, would take",
            preview_space,
        )
        .takes(&[("space_gb", "integer?", "the new space, GB"), ("loop", "boolean?", "whether the oldest would go")])
        .gives(Gives::One(GOES)),
        Route::new(get(), "/api/v1/sub-accounts/{ak}/preview/clear", manage, "what a clear would take", preview_clear)
            .gives(Gives::One(GOES)),
        Route::new(get(), "/api/v1/sub-accounts/{ak}/preview/close", manage, "what a close would take", preview_close)
            .gives(Gives::One(GOES)),
    ]
}

/// A word of a query that may be left out.
fn word<T: std::str::FromStr<Err = String>>(query: Option<&str>, name: &str) -> Result<Option<T>, No> {
    match field(query, name).as_str() {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(No::bad_request),
    }
}

async fn list(State(control): State<Control>, By(caller): By, RawQuery(query): RawQuery) -> Answered {
    let query = query.as_deref();
    let most = number(query, "most", PAGE)?;
    if !(1..=PAGE_MAX).contains(&most) {
        return Err(No::bad_request(format!("most must be from 1 to {PAGE_MAX}")));
    }
    let asked = CameraQuery {
        account: Some(field(query, "account")).filter(|name| !name.is_empty()),
        find: field(query, "find"),
        state: word(query, "state")?,
        sort: word(query, "sort")?.unwrap_or_default(),
        skip: number(query, "skip", 0)?,
        most,
    };
    ok(&control.engine.camera_page(&caller, asked).await?)
}

async fn silent(State(control): State<Control>, By(caller): By) -> Answered {
    ok(&control.engine.silent_cameras(&caller).await?)
}

async fn camera(State(control): State<Control>, By(caller): By, Path(ak): Path<String>) -> Answered {
    ok(&control.engine.camera(&caller, &ak).await?)
}

async fn name(State(control): State<Control>, By(caller): By, Path(ak): Path<String>, body: Bytes) -> Answered {
    let asked: NameCamera = read(&body)?;
    let done = control.engine.name_camera(&caller, &ak, &asked.name, &asked.place).await;
    control.audit(&caller, "NameCamera", &ak.chars().take(64).collect::<String>(), done)?;
    ok(&json!({"ak": ak, "name": asked.name, "place": asked.place}))
}

async fn preview_space(
    State(control): State<Control>,
    By(caller): By,
    Path(ak): Path<String>,
    RawQuery(query): RawQuery,
) -> Answered {
    let query = query.as_deref();
    let space = match number(query, "space_gb", 0)? {
        0 => None,
        number => Some(account::space(number).map_err(|bad| No::bad_request(bad.to_string()))?),
    };
    let at_the_end = match field(query, "loop").as_str() {
        "" => None,
        "true" => Some(AtTheEnd::Overwrite),
        "false" => Some(AtTheEnd::Stop),
        _ => return Err(No::bad_request("loop must be true or false")),
    };
    ok(&control.engine.preview_space(&caller, &ak, SpaceChange { space, at_the_end }).await?)
}

async fn preview_clear(State(control): State<Control>, By(caller): By, Path(ak): Path<String>) -> Answered {
    ok(&control.engine.preview_clear(&caller, &ak).await?)
}

async fn preview_close(State(control): State<Control>, By(caller): By, Path(ak): Path<String>) -> Answered {
    ok(&control.engine.preview_close(&caller, &ak).await?)
}
