//! Files, alerts and the audit log, by the step that uploads, a start and a rebuild use.

use std::path::Path;

use kandian::domain::{
    AccountId, Alert, AlertId, AtTheEnd, GigabyteSize, Lock, Media, Metadata, ObjectId, Rules, SubAccountId, Timestamp,
    UploadId, VolumeId,
};
use kandian::store::event::Event;
use kandian::store::index::apply::{Apply, Settings};
use kandian::store::index::rows::{AlertRow, AlertState, Row, SubAccountRow};
use kandian::store::index::{self, bucket_of, definitions, keys, meta};
use kandian::store::volume::record::{Header, Kind, VERSION};
use kandian::wire::china_time;
use kandian::world::os::SystemDisk;
use redb::{Database, ReadableDatabase, ReadableTable};

use super::{Anything, Opened, Size, chance};

/// Files of one transaction.
const AT_ONCE: u64 = 50_000;
const DAYS: i64 = 30;
const ZONE_MINUTES: i32 = 480;
/// In the name of one file of the biggest camera, and in one line of the audit log.
pub const NEEDLE: &str = "wangjiangting";
/// Days that the audit log and the alerts reach back.
const PAST_DAYS: i64 = 90;

/// What a camera does.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub recordings: u64,
    pub pictures: u64,
    /// GB.
    pub space: u64,
    pub loops: bool,
    /// Nothing has come from it for five days.
    pub silent: bool,
}

/// What became of it.
#[derive(Clone, Debug)]
pub struct Filled {
    pub id: u64,
    pub account: u64,
    pub plan: Plan,
    pub recordings: u64,
    pub pictures: u64,
    pub bytes: u64,
    /// Commits of locked files.
    pub locked: Vec<u64>,
    /// Key of the newest recording.
    pub last_recording: String,
    pub last_ms: i64,
    /// The number of the newest alert, of the last camera only.
    pub last_alert: u64,
}

/// What camera `number` does. The first has a fiftieth of all files, the second as many recordings a day as are looked
/// at one by one (`engine::media::day`), the others share the rest.
pub fn plan(number: u64, size: &Size) -> Plan {
    let biggest = size.files / 50;
    let dense = (1990 * 30 * 3 / 2).min(size.files / 50);
    let others = (size.files - biggest - dense) / (size.cameras - 2);
    let files = match number {
        0 => biggest,
        1 => dense,
        // Whoever is left over has the remainder.
        2 => size.files - biggest - dense - others * (size.cameras - 3),
        _ => others,
    };
    let pictures = files / 3;
    let recordings = files - pictures;
    // Recordings are of 8 MiB in the middle.
    let needed = (recordings * 8 + pictures / 5).div_ceil(1024).max(1);
    // Three of a hundred are above 90 %, the others anywhere below.
    let space = match (number, chance(number) % 100) {
        (0 | 1, _) => needed * 3 / 2,
        (_, 0..3) => needed.max(2),
        (_, rest) => needed * 3 / 2 + needed * rest / 10,
    };
    let loops = number < 2 || (space > needed * 5 / 4 && number.is_multiple_of(2));
    Plan { recordings, pictures, space, loops, silent: number % 50 == 7 }
}

fn settings() -> Settings {
    Settings { rules: Rules::default(), gigabyte: GigabyteSize::STANDARD, notify_idle: false }
}

/// Where the writing is.
struct Pen<'d> {
    db: &'d Database,
    seq: u64,
}

impl Pen<'_> {
    /// One transaction of changes; each takes the next sequence.
    fn write(&mut self, work: impl FnOnce(&mut Apply<'_>, &mut u64) -> Anything<()>) -> Anything<()> {
        let txn = index::begin_durable(self.db)?;
        let mut apply = Apply::new(&txn, settings())?;
        work(&mut apply, &mut self.seq)?;
        apply.finish(self.seq)?;
        txn.commit()?;
        Ok(())
    }
}

/// Fills the index of a closed store.
pub fn fill(data: &Path, size: &Size, opened: &[Opened], say: &impl Fn(&str)) -> Anything<Vec<Filled>> {
    let db = index::open_database(&SystemDisk, &data.join("index.redb"), 2 << 30, false)?;
    let mut filled = cameras(&db, size, opened)?;
    let seq = index::meta_u64(&db.begin_read()?.open_table(definitions::meta)?, meta::SEQ)?.ok_or("no sequence")?;
    let mut pen = Pen { db: &db, seq };
    pen.write(|apply, seq| {
        for one in filled.iter().filter(|one| one.plan.loops) {
            *seq += 1;
            apply.begin(*seq, size.now);
            let sub_account = SubAccountId::new(one.id);
            apply.event(&Event::SetAtTheEnd { sub_account, at_the_end: AtTheEnd::Overwrite })?;
        }
        Ok(())
    })?;
    let mut done = 0;
    for (number, one) in (0_u64..).zip(&mut filled) {
        for media in [Media::Recording, Media::Picture] {
            let count = if media == Media::Recording { one.recordings } else { one.pictures };
            for first in (0..count).step_by(usize::try_from(AT_ONCE)?) {
                let upto = count.min(first + AT_ONCE);
                pen.write(|apply, seq| files(apply, seq, number, one, media, first..upto, size))?;
            }
            done += count;
        }
        if number % 1000 == 0 {
            say(&format!("{done} files"));
        }
    }
    alerts(&mut pen, size, opened, &mut filled)?;
    audit(&mut pen, size, opened)?;
    Ok(filled)
}

/// The cameras as they were opened.
fn cameras(db: &Database, size: &Size, opened: &[Opened]) -> Anything<Vec<Filled>> {
    let txn = db.begin_read()?;
    let mut of = std::collections::HashMap::new();
    for entry in txn.open_table(definitions::sub_accounts)?.iter()? {
        let (key, value) = entry?;
        let row = SubAccountRow::decode(value.value())?;
        of.insert(row.ak.to_string(), (u64::from_be_bytes(key.value().try_into()?), row.account.get()));
    }
    let one = |(number, camera): (u64, &Opened)| {
        let (id, account) = *of.get(&camera.ak).ok_or("a camera that is not in the index")?;
        let plan = plan(number, size);
        Ok(Filled {
            id,
            account,
            plan,
            recordings: plan.recordings,
            pictures: plan.pictures,
            bytes: 0,
            locked: Vec::new(),
            last_recording: String::new(),
            last_ms: 0,
            last_alert: 0,
        })
    };
    (0..).zip(opened).map(one).collect()
}

/// Some files of a camera, which follow one another evenly over the days.
fn files(
    apply: &mut Apply<'_>,
    seq: &mut u64,
    number: u64,
    one: &mut Filled,
    media: Media,
    which: std::ops::Range<u64>,
    size: &Size,
) -> Anything<()> {
    let count = if media == Media::Recording { one.recordings } else { one.pictures };
    let days = if one.plan.silent { DAYS - 5 } else { DAYS };
    let (span, begun) = (days * 86_400_000, size.now.millis() - DAYS * 86_400_000);
    let bucket = bucket_of(SubAccountId::new(one.id), media);
    for at in which {
        *seq += 1;
        // A picture comes two seconds after its recording.
        let shift = i64::try_from(chance(number) % 60_000)? + if media == Media::Picture { 2000 } else { 0 } - 120_000;
        let created = begun + span * i64::try_from(at + 1)? / i64::try_from(count)? + shift;
        let (mixed, extension) = (chance(number << 32 | at), if media == Media::Recording { "mp4" } else { "jpg" });
        let payload = match media {
            Media::Recording => (4 << 20) + mixed % (8 << 20),
            Media::Picture => (100 << 10) + mixed % (200 << 10),
        };
        let lock = if mixed % 100 == 0 { Lock::Locked } else { Lock::Open };
        let time = china_time::format(created.div_euclid(1000), ZONE_MINUTES).replace(['-', ' '], "/");
        let rare = if number == 0 && at == count / 2 { format!("-{NEEDLE}") } else { String::new() };
        let key = format!("{}-{at:06}{rare}.{extension}", time.replace(':', ""));
        if media == Media::Recording {
            one.last_recording.clone_from(&key);
        }
        one.last_ms = one.last_ms.max(created);
        one.bytes += payload;
        if lock == Lock::Locked {
            one.locked.push(*seq);
        }
        let mut md5 = [0; 16];
        md5[..8].copy_from_slice(&mixed.to_be_bytes());
        let header = Header {
            version: VERSION,
            kind: Kind::Object,
            lock,
            header_len: 4096,
            nonce: [7; 16],
            id: ObjectId::new(*seq),
            bucket,
            payload_len: payload,
            created: Timestamp::from_millis(created),
            md5,
            parts: 0,
            upload: UploadId::new(0),
            volume: VolumeId::new(1),
            offset: 4096 + *seq * 8192,
            size: payload,
            first: ObjectId::new(*seq),
            group: *seq - 1,
            checksum: None,
            key: key.parse().map_err(|_| "a key")?,
            metadata: Metadata::default(),
            blocks: Vec::new(),
            segments: Vec::new(),
        };
        apply.begin(*seq, header.created);
        apply.record(&header)?;
    }
    Ok(())
}

/// Alerts of the past, the oldest first; what the files have raised is delivered.
fn alerts(pen: &mut Pen<'_>, size: &Size, opened: &[Opened], filled: &mut [Filled]) -> Anything<()> {
    let mut raised = Vec::new();
    for entry in pen.db.begin_read()?.open_table(definitions::outbox)?.iter()? {
        let (key, value) = entry?;
        raised.push((u64::from_be_bytes(key.value().try_into()?), AlertRow::decode(value.value())?));
    }
    let begun = size.now.millis() - PAST_DAYS * 86_400_000;
    let mut last = 0;
    pen.write(|apply, seq| {
        for (id, row) in raised {
            *seq += 1;
            apply.begin(*seq, size.now);
            let row = AlertRow { state: AlertState::Delivered, attempts: 1, ..row };
            apply.event(&Event::PutAlert { id: AlertId::new(id), row })?;
        }
        for number in 0..size.alerts {
            *seq += 1;
            last = *seq * 4;
            let at = usize::try_from(chance(number ^ 0xa1e7) % opened.len() as u64)?;
            let state = match number % 20 {
                0 => AlertState::GivenUp,
                1 => AlertState::Withdrawn,
                2 => AlertState::Replaced,
                _ => AlertState::Delivered,
            };
            let time = begun + PAST_DAYS * 86_400_000 * i64::try_from(number)? / i64::try_from(size.alerts)?;
            let failed =
                (state == AlertState::GivenUp).then(|| "connect to 10.1.2.3:8080: connection refused".to_owned());
            let row = AlertRow {
                sub_account: SubAccountId::new(filled[at].id),
                account: AccountId::new(filled[at].account),
                ak: opened[at].ak.parse().map_err(|_| "an AK")?,
                alert: if number % 3 == 0 { Alert::Full } else { Alert::NearlyFull },
                raised: Timestamp::from_millis(time),
                state,
                attempts: if state == AlertState::GivenUp { 12 } else { 1 },
                next: Timestamp::from_millis(time),
                last: failed,
            };
            let table = match state {
                AlertState::Pending | AlertState::GivenUp => &mut apply.tables.outbox,
                _ => &mut apply.tables.alert_log,
            };
            table.insert(keys::alert(AlertId::new(last)).as_slice(), row.encode().as_slice())?;
        }
        Ok(())
    })?;
    if let Some(one) = filled.last_mut() {
        one.last_alert = last;
    }
    Ok(())
}

/// Lines of the audit log, the oldest first.
fn audit(pen: &mut Pen<'_>, size: &Size, opened: &[Opened]) -> Anything<()> {
    let begun = size.now.millis() - PAST_DAYS * 86_400_000;
    pen.write(|apply, seq| {
        for number in 0..size.audit_lines {
            *seq += 1;
            let mixed = chance(number ^ 0xadd17);
            let camera = &opened[usize::try_from(mixed % opened.len() as u64)?];
            let account = super::account_name(camera.account);
            let (who, what, target) = match number % 10 {
                0 => (account, "OpenSubAccount", format!("{} 20 GB", camera.ak)),
                1 => ("zhang.wei".to_owned(), "SignIn", "zhang.wei".to_owned()),
                2 | 3 => {
                    (account, "LockSubAccountFile", format!("{} 2026/11/01/{number:06}.mp4", camera.record_bucket))
                }
                4..8 => ("li.na".to_owned(), "PlayFile", format!("{} recording 2026/11/01/{number:06}.mp4", camera.ak)),
                _ => (camera.ak.clone(), "DeleteObject", format!("{}/2026/10/{number:06}.jpg", camera.picture_bucket)),
            };
            let target = if number == size.audit_lines / 2 { NEEDLE.to_owned() } else { target };
            let outcome = if number % 17 == 0 { "no such sub-account" } else { "ok" };
            let line = serde_json::json!({
                "who": who, "from": format!("10.2.{}.{}", mixed % 250, mixed / 250 % 250),
                "what": what, "target": target, "outcome": outcome,
            });
            let time = begun + PAST_DAYS * 86_400_000 * i64::try_from(number)? / i64::try_from(size.audit_lines)?;
            apply.begin(*seq, Timestamp::from_millis(time));
            apply.event(&Event::Audit { entry: serde_json::to_vec(&line)? })?;
        }
        Ok(())
    })
}
