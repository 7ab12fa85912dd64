//! 空间管理 and 空间监控 over the API: spaces of accounts and sub-accounts, forecasts, and why files are gone.

use axum::extract::{RawQuery, State};
use http::Method;

use super::billing::{field, number, written};
use super::door::By;
use super::refusal::No;
use super::routes::{Answered, Control, ok};
use super::statistics::file;
use super::table::{Field, Gives, Needs, Route};
use crate::domain::Action;
use crate::engine::observe::{GoneQuery, SpaceQuery, SpaceSort, SpaceState};

/// Rows of a page, where the query does not say, and at most.
const PAGE: usize = 100;
const PAGE_MAX: usize = 1000;
/// Lines of a CSV.
const LINES_MAX: usize = 100_000;

const ASKED: &[Field] = &[
    ("account", "string?", "of this account alone"),
    ("state", "string?", "all, above, full, loops, stops or locked; all"),
    ("sort", "string?", "full, kept, used, name or next; full"),
    ("find", "string?", "with this in AK, name or place; of accounts in the name"),
    ("above_percent", "integer?", "only those used above so many percent"),
    ("skip", "integer?", "leave out so many; 0"),
    ("most", "integer?", "at most so many, 1 to 1000; 100"),
    ("as", "string?", "of sub-accounts: json or csv, which has all of them; json"),
];

/// The routes, for the table.
pub(super) fn routes() -> Vec<Route> {
    let (see, get) = (Needs::Role(Action::SeeSpace), Method::GET);
    vec![
        Route::new(get.clone(), "/api/v1/space", see, "sub-accounts' spaces, sorted, a page", spaces)
            .takes(ASKED)
            .gives(Gives::One(&[
                ("total", "integer", "how many there are"),
                ("rows", "array", "ak, name, place, account, *_bytes, loop, bytes_per_day, full_ms, window_ms, overwrites, above, full, overwrite_ms, oldest_ms"),
                ("sums", "object", "all of the account or the box, as of accounts"),
                ("warn_percent", "integer", "above so many percent one is warned"),
            ])),
        Route::new(get.clone(), "/api/v1/space/accounts", see, "accounts' spaces, sorted, a page", accounts)
            .takes(ASKED)
            .gives(Gives::One(&[
                ("total", "integer", "how many there are"),
                ("rows", "array", "account, suspended, space_bytes, handed_out_bytes, own_bytes, over, and the sums of its sub-accounts"),
                ("warn_percent", "integer", "above so many percent one is warned"),
            ])),
        Route::new(get.clone(), "/api/v1/space/forecast", see, "what is to be expected of a sub-account", forecast)
            .takes(&[("ak", "string", "S3AK")])
            .gives(Gives::One(&[
                ("ak", "string", "S3AK"),
                ("bytes_per_day", "integer?", "uploaded a day over the last seven days, bytes"),
                ("oldest_ms", "integer?", "when its oldest unlocked file was made, ms since 1970"),
                ("kept_ms", "integer?", "how far back it reaches now, ms"),
                ("window_ms", "integer?", "how far back it will reach once it overwrites, ms"),
                ("full_ms", "integer?", "when it is full, or begins to overwrite, ms since 1970"),
                ("loop", "boolean", "whether the oldest files are overwritten"),
                ("overwrite_ms", "integer?", "when the next overwrite is expected, ms since 1970"),
                ("overwrite_bytes", "integer", "bytes that it will free"),
                ("overwrite_files", "integer", "files that it will delete"),
                ("overwrite_upto_ms", "integer?", "they were made up to then (FileDate), ms since 1970"),
                ("overwrite_more", "boolean", "whether it takes more files than were counted"),
            ])),
        Route::new(get.clone(), "/api/v1/space/days", see, "the last 30 days of a sub-account", days)
            .takes(&[("ak", "string", "S3AK")])
            .gives(Gives::One(&[
                ("ak", "string", "S3AK"),
                ("days", "array", "at_ms, recordings, pictures, bytes_in, overwritten, deleted; the oldest first"),
            ])),
        Route::new(
            get.clone(),
            "/api/v1/space/box",
            Needs::Everywhere(Action::SeeOverview),
            "what is to be expected of the box",
            of_the_box,
        )
        .gives(Gives::One(&[
            ("capacity_bytes", "integer", "what the disks hold at most, less their reserves"),
            ("promised_bytes", "integer", "space of all accounts"),
            ("handed_out_bytes", "integer", "space of all sub-accounts"),
            ("used_bytes", "integer", "stored, bytes"),
            ("left_bytes", "integer", "what uploads may still take of the disks, bytes"),
            ("bytes_in_per_day", "integer", "uploaded a day over the last seven days, bytes"),
            ("growth_per_day", "integer", "less what was overwritten and deleted"),
            ("full_ms", "integer?", "when the disks are full, ms since 1970"),
            ("bytes_in_now", "integer", "uploaded this hour and the one before"),
            ("silent", "integer", "cameras gone silent"),
        ])),
        Route::new(
            get,
            "/api/v1/gone",
            see,
            "why files are gone: one by its key (for who may see files), or those of a time in batches without keys",
            gone,
        )
        .takes(&[
            ("ak", "string?", "of this camera, closed ones too"),
            ("bucket", "string?", "of this bucket"),
            ("key", "string?", "a key; TEXT* begins so, *TEXT* has it anywhere"),
            ("from_ms", "integer?", "gone from then on, ms since 1970"),
            ("to_ms", "integer?", "gone until then, ms since 1970"),
            ("skip", "integer?", "leave out so many; 0"),
            ("most", "integer?", "at most so many, 1 to 1000; 100"),
        ])
        .gives(Gives::One(&[
            ("there", "array", "where a whole key was asked for: files of this name that there are now"),
            ("files", "array", "ak, bucket, key, size, created_ms, gone_ms, why (overwrite, clear, asked, closed, replaced), by"),
            ("batches", "array", "where no key was asked for: ak, bucket, why, by, files, bytes, from_ms, until_ms, oldest_ms, newest_ms"),
            ("total", "integer", "how many were found"),
            ("cut", "boolean", "whether the search came to its bound: there may be more"),
            ("known_from_ms", "integer", "what went before is not known, ms since 1970"),
        ])),
    ]
}

fn asked(query: Option<&str>) -> Result<SpaceQuery, No> {
    let word = |name, absent: &str| {
        let text = field(query, name);
        if text.is_empty() { absent.to_owned() } else { text }
    };
    let (account, percent) = (field(query, "account"), number(query, "above_percent", u8::MAX)?);
    Ok(SpaceQuery {
        account: (!account.is_empty()).then_some(account),
        sort: written::<SpaceSort>(&word("sort", SpaceSort::default().word()))?,
        state: written::<SpaceState>(&word("state", SpaceState::default().word()))?,
        find: field(query, "find"),
        above_percent: (percent <= 100).then_some(percent),
        skip: number(query, "skip", 0)?,
        most: most(query)?,
    })
}

fn most(query: Option<&str>) -> Result<usize, No> {
    match number(query, "most", PAGE)? {
        most @ 1..=PAGE_MAX => Ok(most),
        _ => Err(No::bad_request(format!("most must be from 1 to {PAGE_MAX}"))),
    }
}

fn ak(query: Option<&str>) -> Result<String, No> {
    let ak = field(query, "ak");
    if ak.is_empty() { Err(No::bad_request("ak is to be given")) } else { Ok(ak) }
}

pub(super) async fn spaces(State(control): State<Control>, By(caller): By, RawQuery(query): RawQuery) -> Answered {
    let mut asked = asked(query.as_deref())?;
    match field(query.as_deref(), "as").as_str() {
        "" | "json" => ok(&control.engine.spaces(&caller, asked).await?),
        "csv" => {
            (asked.skip, asked.most) = (0, LINES_MAX);
            let page = control.engine.spaces(&caller, asked).await?;
            Ok(file(page.to_csv(), "text/csv; charset=utf-8"))
        }
        other => Err(No::bad_request(format!("{other:?} is no format; there are json and csv"))),
    }
}

pub(super) async fn accounts(State(control): State<Control>, By(caller): By, RawQuery(query): RawQuery) -> Answered {
    ok(&control.engine.account_spaces(&caller, asked(query.as_deref())?).await?)
}

pub(super) async fn forecast(State(control): State<Control>, By(caller): By, RawQuery(query): RawQuery) -> Answered {
    ok(&control.engine.forecast(&caller, &ak(query.as_deref())?).await?)
}

pub(super) async fn days(State(control): State<Control>, By(caller): By, RawQuery(query): RawQuery) -> Answered {
    ok(&control.engine.camera_days(&caller, &[ak(query.as_deref())?]).await?.first())
}

pub(super) async fn of_the_box(State(control): State<Control>, By(caller): By) -> Answered {
    ok(&control.engine.box_forecast(&caller).await?)
}

pub(super) async fn gone(State(control): State<Control>, By(caller): By, RawQuery(query): RawQuery) -> Answered {
    let query = query.as_deref();
    let text = |name| Some(field(query, name)).filter(|text| !text.is_empty());
    let time = |name| Ok::<_, No>(Some(number(query, name, i64::MIN)?).filter(|ms| *ms != i64::MIN));
    let asked = GoneQuery {
        ak: text("ak"),
        bucket: text("bucket"),
        key: text("key"),
        from_ms: time("from_ms")?,
        to_ms: time("to_ms")?,
        skip: number(query, "skip", 0)?,
        most: most(query)?,
    };
    ok(&control.engine.why_gone(&caller, asked).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_of_spaces_is_read_or_refused() {
        let all = asked(Some("account=%E6%B1%9F&sort=kept&state=loops&find=a&above_percent=80&skip=5&most=7")).unwrap();
        assert_eq!((all.account.as_deref(), all.sort, all.state), (Some("江"), SpaceSort::Kept, SpaceState::Loops));
        assert_eq!((all.find.as_str(), all.above_percent, all.skip, all.most), ("a", Some(80), 5, 7));
        assert_eq!((asked(None).unwrap().most, asked(None).unwrap().above_percent), (PAGE, None));
        for bad in ["sort=x", "state=x", "most=0", "most=1001", "skip=-1", "above_percent=x"] {
            assert!(asked(Some(bad)).is_err(), "{bad}");
        }
    }
}
