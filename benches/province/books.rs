//! What the books know of a year: counters, cameras, names, files that are gone, attempts of alerts, samples.

use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use kandian::books::{Books, BooksError, Key, Row};
use kandian::domain::billing::Day;
use kandian::world::World;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::index::Filled;
use super::{Anything, Opened, Size, account_name, chance};

/// Rows of one change.
const AT_ONCE: usize = 20_000;
const DAY_MS: i64 = 86_400_000;
/// +08:00
const ZONE_HOURS: i64 = 8;

macro_rules! tables {
    ($($name:ident $table:literal $key:ty,)*) => {$(
        #[derive(Serialize, Deserialize)]
        #[serde(transparent)]
        struct $name(Value);

        impl From<Value> for $name {
            fn from(value: Value) -> Self {
                Self(value)
            }
        }

        impl Row for $name {
            const TABLE: &'static str = $table;
            type Key = $key;
        }
    )*};
}

tables! {
    Hours "stat_hours" (u64, u64),
    Days "stat_days" (u64, u64),
    Months "stat_months" (u64, u64),
    Used "stat_used" (u64, u64),
    CameraDays "camera_days" (u64, u64),
    Cameras "cameras" u64,
    Names "camera_names" u64,
    Gone "gone" (u64, (u64, u64)),
    GoneFiles "gone_files" (u64, (u64, u64)),
    GoneTotal "gone_total" u64,
    Attempts "alert_attempts" (u64, u64),
    Notes "alert_notes" u64,
    Reasons "lock_reasons" u64,
    Samples "samples" (u64, u64),
    Sampled "sampled_accounts" u64,
    SampledUntil "sampled_until" u64,
}

/// Writes rows of a kind, many a change.
fn write<R: Row + From<Value>>(books: &Books, rows: impl Iterator<Item = (R::Key, Value)>) -> Anything<()>
where
    R::Key: Key,
{
    let mut rows = rows.peekable();
    while rows.peek().is_some() {
        books.change(|changes| {
            for (key, value) in rows.by_ref().take(AT_ONCE) {
                changes.put(&key, &R::from(value))?;
            }
            Ok::<_, BooksError>(())
        })?;
    }
    Ok(())
}

fn number(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// What happened in a day, or an hour, of so many cameras.
fn counters(seed: u64, cameras: u64, hours: u64) -> Value {
    let some = |n: u64, of: u64| cameras * hours * of * (50 + chance(seed ^ n) % 100) / 2400;
    json!({
        "recordings": some(1, 22), "pictures": some(2, 11), "others": 0, "bytes_in": some(3, 22) * (8 << 20),
        "downloads": some(4, 3), "bytes_out": some(5, 3) * (8 << 20), "overwritten": some(6, 9),
        "overwritten_bytes": some(7, 9) * (8 << 20), "deleted": some(8, 1), "deleted_bytes": some(9, 1) * (8 << 20),
        "refusals": { "QuotaExceeded": some(10, 1), "SignatureDoesNotMatch": some(11, 1), "RequestTimeTooSkewed": some(12, 1) },
        "alerts_raised": some(13, 1) / 100, "alerts_delivered": some(14, 1) / 110, "alerts_given_up": some(15, 1) / 900,
    })
}

/// Fills the books of a closed store.
pub fn fill(world: &World, data: &Path, size: &Size, opened: &[Opened], filled: &[Filled]) -> Anything<()> {
    let books = Books::open(&*world.disk, data)?;
    let mut accounts: Vec<(u64, u64, u64)> = Vec::new();
    for one in filled {
        match accounts.iter_mut().find(|(id, ..)| *id == one.account) {
            Some((_, cameras, bytes)) => {
                *cameras += 1;
                *bytes += one.bytes;
            }
            None => accounts.push((one.account, 1, one.bytes)),
        }
    }
    statistics(&books, size, filled, &accounts)?;
    cameras(&books, size, opened, filled)?;
    gone(&books, size, opened, filled)?;
    alerts(&books, size, filled)?;
    let reasons = filled.iter().flat_map(|one| &one.locked);
    let reason = json!({ "reason": "交警调取，案件 2026-1123", "who": "li.na", "at_ms": size.now.millis() - DAY_MS });
    write::<Reasons>(&books, reasons.map(|id| (*id, reason.clone())))?;
    samples(&books, size, opened, filled, &accounts)
}

fn statistics(books: &Books, size: &Size, filled: &[Filled], accounts: &[(u64, u64, u64)]) -> Anything<()> {
    let everybody: Vec<(u64, u64)> =
        accounts.iter().map(|(id, cameras, _)| (*id, *cameras)).chain([(0, size.cameras)]).collect();
    let hour = number(size.now.millis() / 3_600_000);
    let hours = (hour - 60 * 24 + 1..=hour).flat_map(|hour| everybody.iter().map(move |of| (hour, *of)));
    write::<Hours>(books, hours.map(|(hour, (id, cameras))| ((hour, id), counters(hour ^ (id << 32), cameras, 1))))?;
    let today = number(size.now.millis() / 3_600_000 + ZONE_HOURS) / 24;
    let days = (today - 395..=today).flat_map(|day| everybody.iter().map(move |of| (day, *of)));
    write::<Days>(books, days.map(|(day, (id, cameras))| ((day, id), counters(day ^ (id << 32), cameras, 24))))?;
    let month = number(Day::new(i64::try_from(today).unwrap_or(0)).month().get());
    let year = (month - 35..=month).flat_map(|month| everybody.iter().map(move |of| (month, *of)));
    write::<Months>(
        books,
        year.map(|(month, (id, cameras))| ((month, id), counters(month ^ (id << 32), cameras, 730))),
    )?;
    let whole = accounts.iter().map(|(.., bytes)| bytes).sum();
    let bytes: Vec<(u64, u64)> = accounts.iter().map(|(id, _, bytes)| (*id, *bytes)).chain([(0, whole)]).collect();
    let days = (today - 300..today).flat_map(|day| bytes.iter().map(move |of| (day, *of)));
    let used = days.map(|(day, (id, bytes))| {
        let share = 300 - (today - day) + 150;
        ((day, id), json!({ "used": u64::try_from(u128::from(bytes) * u128::from(share) / 450).unwrap_or(0) }))
    });
    write::<Used>(books, used)?;
    let days = (today - 59..=today).flat_map(|day| filled.iter().map(move |one| (day, one)));
    let of = |one: &Filled| (one.recordings + one.pictures) / 1000 + 1;
    write::<CameraDays>(books, days.map(|(day, one)| ((day, one.id), counters(day ^ one.id, of(one), 24))))
}

fn cameras(books: &Books, size: &Size, opened: &[Opened], filled: &[Filled]) -> Anything<()> {
    let today = number(size.now.millis() / DAY_MS);
    let row = |(camera, one): (&Opened, &Filled)| {
        let a_day = (one.recordings / 30).max(1);
        let days = (today - 7..=today).map(
            |day| json!({ "day": day, "recordings": a_day, "pictures": one.pictures / 30, "bytes": a_day * (8 << 20), "refused": one.id % 7 }),
        );
        let gap = (86_400 / a_day).max(11);
        let refusal =
            (one.id % 9 == 0).then(|| json!({ "at_ms": one.last_ms + 60_000, "cause": "SignatureDoesNotMatch" }));
        let row = json!({
            "account": one.account, "ak": camera.ak, "record_bucket": camera.record_bucket,
            "picture_bucket": camera.picture_bucket, "last_upload_ms": one.last_ms, "last_refusal": refusal,
            "signature": if one.id % 3 == 0 { "v2" } else { "v4" }, "agent": "HiCamera/3.2.1 (firmware 20260401; aws-sdk-c)",
            "skew_ms": i64::try_from(chance(one.id) % 4000).unwrap_or(0) - 2000, "by_host": false,
            "gaps": vec![gap; 32], "anchor_ms": one.last_ms, "days": days.collect::<Vec<_>>(),
        });
        (one.id, row)
    };
    write::<Cameras>(books, opened.iter().zip(filled).map(row))?;
    let places = ["玄武区中山路", "鼓楼区湖南路", "秦淮区夫子庙", "建邺区奥体大街", "江宁区天元路"];
    let named = (0_u64..).zip(filled).filter(|(number, _)| number % 10 != 9);
    let name = |(at, one): (u64, &Filled)| {
        let name = if at == 2 { "望江亭东门".to_owned() } else { format!("{}号店收银台", 1000 + at) };
        let place = places[usize::try_from(at % 5).unwrap_or(0)];
        (one.id, json!({ "name": name, "place": format!("南京市{place}{}号", at % 400) }))
    };
    write::<Names>(books, named.map(name))
}

/// As `engine::observe::gone` packs them: numbers as LEB128, those with a sign zigzag.
fn packed(files: &[(String, u64, i64, i64)], from_ms: i64) -> String {
    fn put(out: &mut Vec<u8>, mut number: u64) {
        while number >= 0x80 {
            out.push(u8::try_from(number & 0x7f).unwrap_or(0) | 0x80);
            number >>= 7;
        }
        out.push(u8::try_from(number).unwrap_or(0));
    }
    let zigzag = |number: i64| ((number << 1) ^ (number >> 63)).cast_unsigned();
    let mut out = Vec::new();
    let (mut before, mut last): (&[u8], i64) = (&[], 0);
    for (key, bytes, created, when) in files {
        let shared = before.iter().zip(key.as_bytes()).take_while(|(a, b)| a == b).count();
        put(&mut out, shared as u64);
        put(&mut out, (key.len() - shared) as u64);
        out.extend_from_slice(&key.as_bytes()[shared..]);
        put(&mut out, *bytes);
        put(&mut out, zigzag(created - last));
        put(&mut out, zigzag(when - from_ms));
        (before, last) = (key.as_bytes(), *created);
    }
    BASE64_STANDARD_NO_PAD.encode(out)
}

/// Overwrites of 180 days: of the biggest camera one an hour, of the others that loop one in nine days.
fn gone(books: &Books, size: &Size, opened: &[Opened], filled: &[Filled]) -> Anything<()> {
    let mut total = 0;
    for (at, (camera, one)) in opened.iter().zip(filled).enumerate().filter(|(_, (_, one))| one.plan.loops) {
        let (batches, files) = if at == 0 { (180 * 24, 250) } else { (20, 30) };
        let each = 180 * DAY_MS / batches;
        let mut heads = Vec::new();
        let mut bodies = Vec::new();
        for batch in 0..batches {
            let until = size.now.millis() - 180 * DAY_MS + (batch + 1) * each - 600_000;
            let from = until - 50_000;
            let gone: Vec<_> = (0..files)
                .map(|file: i64| {
                    (format!("gone/{batch:05}/{file:04}.mp4"), 8 << 20, until - 31 * DAY_MS + file * 1000, from + file)
                })
                .collect();
            let body = packed(&gone, from);
            total += body.len() as u64 * 3 / 4;
            let key = (one.id, (number(until), 0));
            heads.push((
                key,
                json!({
                    "bucket": camera.record_bucket, "why": "overwrite", "by": null, "from_ms": from, "files": files,
                    "bytes": files * (8 << 20), "first": gone[0].0, "last": gone[gone.len() - 1].0,
                    "oldest_ms": gone[0].2, "newest_ms": gone[gone.len() - 1].2, "packed": body.len() * 3 / 4,
                }),
            ));
            bodies.push((key, json!({ "packed": body })));
        }
        write::<Gone>(books, heads.into_iter())?;
        write::<GoneFiles>(books, bodies.into_iter())?;
    }
    write::<GoneTotal>(books, [(0, json!({ "bytes": total, "cutoff_ms": 0 }))].into_iter())
}

fn alerts(books: &Books, size: &Size, filled: &[Filled]) -> Anything<()> {
    let last = filled.last().map_or(0, |one| one.last_alert);
    let request =
        format!("POST /notify HTTP/1.1\n\n<soap:Envelope><Account>{}</Account>{}", account_name(0), "x".repeat(700));
    let attempt = |number: u64| {
        let at_ms = size.now.millis() - i64::try_from(number).unwrap_or(0) * 777_600;
        let refused = number % 20 == 19;
        let row = json!({
            "at_ms": at_ms, "request": request, "status": if refused { None } else { Some(200) },
            "answer": "<Result>0</Result>", "outcome": if refused { "connection refused" } else { "delivered" },
            "delivered": !refused,
        });
        (last - number * 4, at_ms, row)
    };
    let rows = (0..size.alerts).map(attempt).map(|(id, at_ms, row)| ((id, number(at_ms) * 64 + 1), row));
    write::<Attempts>(books, rows)?;
    let noted = (0..size.alerts).filter(|number| number % 20 == 3).map(|number| last - number * 4);
    let said = json!({ "by": "zhang.wei", "at_ms": size.now.millis(), "text": "已电话通知省平台，正在扩容。" });
    write::<Notes>(books, noted.map(|id| (id, json!({ "acknowledged": said, "comments": [said, said] }))))
}

/// A year of hours, growing up to what there is now. The present hour is left to the server.
fn samples(
    books: &Books,
    size: &Size,
    opened: &[Opened],
    filled: &[Filled],
    accounts: &[(u64, u64, u64)],
) -> Anything<()> {
    let hour = size.now.millis() / 3_600_000 + ZONE_HOURS;
    for (id, cameras, bytes) in accounts {
        let space: u64 = filled.iter().filter(|one| one.account == *id).map(|one| one.plan.space).sum();
        let row = |back: i64| {
            let share = number(8760 - back) + 4380;
            let used = u64::try_from(u128::from(*bytes) * u128::from(share) / 13_140).unwrap_or(0);
            (
                (*id, number(hour - back)),
                json!({ "g": space * share / 13_140, "u": used, "f": cameras * 1000 * share / 13_140 }),
            )
        };
        write::<Samples>(books, (1..8760).rev().map(row))?;
        let of = opened.iter().zip(filled).find(|(_, one)| one.account == *id);
        let name = of.map(|(camera, _)| account_name(camera.account));
        write::<Sampled>(books, [(*id, json!({ "name": name, "first": hour - 8759 }))].into_iter())?;
    }
    write::<SampledUntil>(books, [(0, json!({ "hour": hour - 1 }))].into_iter())
}
