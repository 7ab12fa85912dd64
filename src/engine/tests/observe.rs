//! What the box knows about itself: counters, cameras, files that are gone, forecasts, alerts' attempts.

use std::time::Duration;

use super::rig::*;
use crate::domain::{AtTheEnd, Lock, Role};
use crate::engine::observe::{GoneQuery, Period, Seen, SpaceQuery, TopBy};
use crate::engine::types::Who;
use crate::engine::{Caller, Engine, observe};

const GB: u64 = 100_000;

fn operator() -> Caller {
    Caller::operator()
}

fn why(key: &str) -> GoneQuery {
    GoneQuery { key: Some(key.to_owned()), most: 100, ..GoneQuery::default() }
}

fn user(engine: &Engine, role: Role, account: Option<&str>) -> Caller {
    let account = account.map(|name| engine.inner.store.catalog.read().names[name]);
    Caller::new(Who::User { name: "li".into(), role, account })
}

fn camera(engine: &Engine, ak: &str) -> Caller {
    let sub_account = engine.sub_account_for(&operator(), crate::domain::Action::SeeSpace, ak).unwrap().id;
    Caller::new(Who::Camera { sub_account })
}

#[test]
fn counters_are_written_down_and_survive_a_restart() {
    let rig = Rig::new(1, GB);
    runtime().block_on(async {
        let engine = rig.open().unwrap();
        open_account(&engine, 10).await;
        let sub = open_sub(&engine, 5).await;
        let (rec, pic) = (bucket(&engine, sub.record_bucket.as_str()), bucket(&engine, sub.picture_bucket.as_str()));
        put(&engine, &rec, "a", &[1; 1000], true, Lock::Open, 1000).await.unwrap();
        put(&engine, &pic, "b", &[1; 10], true, Lock::Open, 10).await.unwrap();
        read(&engine, &rec, "a").await.unwrap();
        engine.refused(Some(sub.access_key.as_str()), "QuotaExceeded");
        engine.refused(Some("NOBODY"), "InvalidAccessKeyId");
        let before = engine.statistics(&operator(), None, Period::Day, TopBy::Bytes).await.unwrap();
        assert_eq!((before.total.uploads(), before.total.bytes_in), (2, 1010), "it is not written yet, and shown");
        assert_eq!(before.growth.used_bytes, 1010);
        engine.close().await.unwrap();

        let engine = rig.open().unwrap();
        let all = engine.statistics(&operator(), None, Period::Day, TopBy::Bytes).await.unwrap();
        assert_eq!((all.total.recordings, all.total.pictures, all.total.bytes_in), (1, 1, 1010));
        assert_eq!((all.total.downloads, all.total.bytes_out), (1, 1000));
        assert_eq!(all.total.refused(), 2);
        assert_eq!(all.points.len(), 24);
        let name = ACCOUNT.parse().unwrap();
        for period in [Period::Day, Period::Month, Period::Year] {
            let one = engine.statistics(&operator(), Some(&name), period, TopBy::Bytes).await.unwrap();
            assert_eq!((one.total.uploads(), one.total.refused()), (2, 1), "{period:?}");
            assert_eq!(one.top_cameras[0].who, sub.access_key.as_str());
        }
        assert_eq!(all.top_accounts[0].who, ACCOUNT);
        assert_eq!(all.top_accounts[0].bytes_in, 1010);
        assert_eq!(all.total, before.total, "the same as before it was written");
        engine.close().await.unwrap();
    });
}

#[test]
fn a_minute_of_many_cameras_is_written_in_several_changes_and_nothing_is_left() {
    const CAMERAS: u64 = 700;
    let rig = Rig::new(12, GB);
    runtime().block_on(async {
        let engine = rig.open().unwrap();
        open_account(&engine, 100_000).await;
        for number in 0..CAMERAS {
            let sub = open_sub(&engine, 1).await;
            for _ in 0..=number % 3 {
                engine.refused(Some(sub.access_key.as_str()), "QuotaExceeded");
            }
        }
        observe::flush_now(&engine);
        let gathered = engine.inner.observe.gathered_now(&engine);
        assert_eq!(gathered, 0, "everything is in the books");
        // One camera of each third was refused once, twice, three times.
        let refused = (0..CAMERAS).map(|number| number % 3 + 1).sum::<u64>();
        let all = engine.statistics(&operator(), None, Period::Day, TopBy::Bytes).await.unwrap();
        assert_eq!(all.total.refused(), refused);
        engine.close().await.unwrap();
        let engine = rig.open().unwrap();
        let all = engine.statistics(&operator(), None, Period::Month, TopBy::Bytes).await.unwrap();
        assert_eq!(all.total.refused(), refused);
        engine.close().await.unwrap();
    });
}

#[test]
fn what_gathers_counts_once_whether_it_is_written_or_not_and_a_time_without_the_box_is_a_gap() {
    let rig = Rig::new(8, GB);
    runtime().block_on(async {
        let engine = rig.open().unwrap();
        open_account(&engine, 10).await;
        let sub = open_sub(&engine, 5).await;
        let rec = bucket(&engine, sub.record_bucket.as_str());
        observe::flush_now(&engine);
        for hour in 0..50_u8 {
            put(&engine, &rec, &format!("f{hour}"), &[1; 100], true, Lock::Open, 100).await.unwrap();
            if hour % 2 == 0 {
                observe::flush_now(&engine);
            }
            let total = engine.statistics(&operator(), None, Period::Month, TopBy::Bytes).await.unwrap().total;
            assert_eq!(total.recordings, u64::from(hour) + 1);
            rig.clock.advance(Duration::from_secs(3600));
        }
        let day = engine.statistics(&operator(), None, Period::Day, TopBy::Uploads).await.unwrap();
        assert_eq!((day.total.recordings, day.over.recordings), (23, 23), "the hour that begins has none");
        assert_eq!(day.before.unwrap().recordings, 23);
        assert!(day.points.iter().all(|point| point.measured));
        assert_eq!((day.growth.used_bytes, day.top_accounts[0].uploads), (5000, 23));
        engine.delete(&operator(), &rec, &key("f0")).await.unwrap();
        let gone = engine.statistics(&operator(), None, Period::Day, TopBy::Bytes).await.unwrap();
        assert_eq!((gone.total.deleted, gone.total.deleted_bytes, gone.growth.used_bytes), (1, 100, 4900));
        engine.close().await.unwrap();

        // A day of rest.
        rig.clock.advance(Duration::from_secs(86_400));
        let engine = rig.open().unwrap();
        let day = engine.statistics(&operator(), None, Period::Day, TopBy::Bytes).await.unwrap();
        assert_eq!(day.points.iter().filter(|point| point.measured).count(), 1, "the hour that is under way");
        observe::flush_now(&engine);
        let month = engine.statistics(&operator(), None, Period::Month, TopBy::Bytes).await.unwrap();
        assert_eq!((month.total.recordings, month.before), (50, None));
        let used = month.growth.days;
        assert_eq!(used.last().unwrap().used_bytes, Some(4900));
        assert!(used.len() >= 3 && used[0].used_bytes.is_some(), "{used:?}");
        let year = engine.statistics(&operator(), None, Period::Year, TopBy::Bytes).await.unwrap();
        assert_eq!((year.total.recordings, year.points.len(), year.top_accounts.len()), (50, 12, 1));
        assert_eq!((year.top_accounts[0].who.as_str(), year.top_accounts[0].closed), (ACCOUNT, false));
        // What was counted stays when the account is closed.
        engine.sample().await.unwrap();
        engine.close_account(&operator(), &ACCOUNT.parse().unwrap()).await.unwrap();
        let year = engine.statistics(&operator(), None, Period::Year, TopBy::Bytes).await.unwrap();
        assert_eq!((year.total.recordings, year.growth.used_bytes), (50, 0));
        assert_eq!((year.top_accounts[0].who.as_str(), year.top_accounts[0].closed), (ACCOUNT, true));
        assert!(year.top_cameras[0].closed);
        engine.close().await.unwrap();
    });
}

#[test]
fn the_overview_is_for_those_who_see_the_whole_box() {
    let rig = Rig::new(9, GB);
    runtime().block_on(async {
        let engine = rig.open().unwrap();
        open_account(&engine, 10).await;
        let sub = open_sub(&engine, 5).await;
        let rec = bucket(&engine, sub.record_bucket.as_str());
        observe::flush_now(&engine);
        rig.clock.advance(Duration::from_secs(60));
        put(&engine, &rec, "a", &[1; 6000], true, Lock::Open, 6000).await.unwrap();
        let all = engine.overview(&operator()).await.unwrap();
        assert_eq!((all.ingest.bytes, all.ingest.files, all.ingest.within_ms), (6000, 1, 60_000));
        assert_eq!((all.ingest.hours.len(), all.growth.used_bytes, all.silent), (24, 6000, 0));
        assert!(all.healthy && all.to_issue.is_none() && all.alerts_open == 0);
        engine.checkpoint().await.unwrap();
        let staff = user(&engine, Role::Auditor, None);
        assert_eq!(engine.overview(&staff).await.unwrap().checkpoint_ms, Some(engine.now().millis()));
        assert!(engine.overview(&user(&engine, Role::Province, Some(ACCOUNT))).await.is_err());
        engine.close().await.unwrap();
    });
}

#[test]
fn a_file_that_is_gone_is_told_with_its_cause_and_who_asked() {
    let rig = Rig::new(2, GB);
    runtime().block_on(async {
        let engine = rig.open().unwrap();
        open_account(&engine, 10).await;
        let sub = open_sub(&engine, 1).await;
        let rec = bucket(&engine, sub.record_bucket.as_str());
        let admin = engine.account_key(&operator(), &ACCOUNT.parse().unwrap()).await.unwrap().0;
        for n in 0..8 {
            put(&engine, &rec, &format!("f{n}"), &[n; 10_000], true, Lock::Open, 10_000).await.unwrap();
            rig.clock.advance(Duration::from_secs(60));
        }
        put(&engine, &rec, "f7", &[9; 9_000], true, Lock::Open, 9_000).await.unwrap();
        engine.delete(&administrator(&engine, ACCOUNT), &rec, &key("f6")).await.unwrap();
        let found = sub_ref(&engine, sub.access_key.as_str(), sub.secret.expose()).unwrap();
        engine.set_sub_account_space_policy(&platform(&engine), &found, AtTheEnd::Overwrite).await.unwrap();
        for n in 10..14 {
            put(&engine, &rec, &format!("f{n}"), &[n; 10_000], true, Lock::Open, 10_000).await.unwrap();
            engine.settle().await.unwrap();
        }
        observe::flush_now(&engine);

        let asked = engine.why_gone(&operator(), why("f6")).await.unwrap().files;
        assert_eq!((asked[0].why.as_str(), asked[0].by.as_deref()), ("asked", Some(admin.as_str())));
        assert_eq!((asked[0].size, asked[0].bucket.as_str()), (10_000, sub.record_bucket.as_str()));
        let replaced = engine.why_gone(&operator(), why("f7")).await.unwrap().files;
        assert_eq!((replaced[0].why.as_str(), replaced[0].size), ("replaced", 10_000));
        let overwritten = engine.why_gone(&operator(), why("f0")).await.unwrap().files;
        assert_eq!(overwritten[0].why, "overwrite");
        assert!(overwritten[0].gone_ms > overwritten[0].created_ms);
        assert!(engine.why_gone(&operator(), why("f13")).await.unwrap().files.is_empty(), "it is there");
        let all = engine.why_gone(&operator(), why("f*")).await.unwrap().files;
        let statistics = engine.statistics(&operator(), None, Period::Day, TopBy::Bytes).await.unwrap().total;
        assert_eq!(all.len() as u64, statistics.overwritten + statistics.deleted);
        assert!(statistics.overwritten > 0 && statistics.deleted == 2);

        rig.clock.advance(Duration::from_secs(1));
        engine.close_sub_account(&platform(&engine), &found).await.unwrap();
        engine.settle().await.unwrap();
        observe::flush_now(&engine);
        let mut query = why("f13");
        query.ak = Some(sub.access_key.as_str().to_owned());
        let closed = engine.why_gone(&operator(), query).await.unwrap().files;
        assert_eq!((closed[0].why.as_str(), closed[0].bucket.as_str()), ("closed", sub.record_bucket.as_str()));
        let batches = engine.why_gone(&operator(), GoneQuery { most: 9, ..GoneQuery::default() }).await.unwrap();
        assert_eq!(batches.batches[0].why, "closed");

        // After 180 days nothing is known any more, and the closed camera is forgotten with it.
        rig.clock.advance(Duration::from_secs(181 * 86_400));
        observe::flush_now(&engine);
        assert!(engine.why_gone(&operator(), why("f*")).await.unwrap().files.is_empty());
        let mut query = why("f13");
        query.ak = Some(sub.access_key.as_str().to_owned());
        observe::flush_now(&engine);
        assert!(engine.why_gone(&operator(), query).await.is_err());
        engine.close().await.unwrap();
    });
}

#[test]
fn a_camera_is_silent_after_three_of_its_gaps_and_has_a_name() {
    let rig = Rig::new(3, GB);
    runtime().block_on(async {
        let engine = rig.open().unwrap();
        open_account(&engine, 10).await;
        let sub = open_sub(&engine, 5).await;
        let ak = sub.access_key.as_str();
        let rec = bucket(&engine, sub.record_bucket.as_str());
        let seen = Seen { signature: "v4", agent: Some("cam/1"), date: Some(engine.now()), by_host: false };
        for n in 0..6 {
            rig.clock.advance(Duration::from_secs(1200));
            engine.seen(&camera(&engine, ak), Seen { date: Some(engine.now().plus(Duration::from_secs(90))), ..seen });
            put(&engine, &rec, &format!("f{n}"), &[n; 100], true, Lock::Open, 100).await.unwrap();
        }
        let view = engine.camera(&operator(), ak).await.unwrap();
        assert_eq!((view.signature.as_str(), view.agent.as_str(), view.skew_ms), ("v4", "cam/1", Some(90_000)));
        assert_eq!((view.cadence_s, view.silent_after_s, view.addressing), (Some(1200), Some(3600), "path"));
        rig.clock.advance(Duration::from_secs(3600));
        assert!(engine.silent_cameras(&operator()).await.unwrap().is_empty());
        rig.clock.advance(Duration::from_secs(1));
        engine.name_camera(&user(&engine, Role::Province, Some(ACCOUNT)), ak, " 东门 ", "南京\n路").await.unwrap();
        let silent = engine.silent_cameras(&operator()).await.unwrap();
        assert_eq!(
            (silent[0].name.as_str(), silent[0].place.as_str(), silent[0].silent_ms),
            ("东门", "南京路", 3_601_000)
        );
        engine.refused(Some(ak), "RequestTimeTooSkewed");
        let silent = engine.silent_cameras(&operator()).await.unwrap();
        assert_eq!(silent[0].refused.as_deref(), Some("RequestTimeTooSkewed"));
        engine.close().await.unwrap();

        let engine = rig.open().unwrap();
        let view = engine.camera(&operator(), ak).await.unwrap();
        assert_eq!((view.name.as_str(), view.cadence_s), ("东门", Some(1200)), "it is known after a restart");
        assert_eq!(engine.sub_account_view(&operator(), ak).await.unwrap().name, "东门");
        put(&engine, &rec_again(&engine, &sub), "g", &[0; 100], true, Lock::Open, 100).await.unwrap();
        assert!(engine.silent_cameras(&operator()).await.unwrap().is_empty());
        engine.close().await.unwrap();
    });
}

fn rec_again(engine: &Engine, sub: &crate::engine::OpenedSubAccount) -> crate::engine::BucketRef {
    bucket(engine, sub.record_bucket.as_str())
}

#[test]
fn the_next_overwrite_is_told_before_it_comes() {
    let rig = Rig::new(4, GB);
    runtime().block_on(async {
        let engine = rig.open().unwrap();
        open_account(&engine, 10).await;
        let sub = open_sub(&engine, 1).await;
        let (ak, rec) = (sub.access_key.as_str(), bucket(&engine, sub.record_bucket.as_str()));
        let found = sub_ref(&engine, ak, sub.secret.expose()).unwrap();
        engine.set_sub_account_space_policy(&platform(&engine), &found, AtTheEnd::Overwrite).await.unwrap();
        let mut firsts = Vec::new();
        for n in 0..8 {
            firsts.push(put(&engine, &rec, &format!("f{n}"), &[n; 10_000], true, Lock::Open, 10_000).await.unwrap());
            rig.clock.advance(Duration::from_secs(6 * 3600));
        }
        let forecast = engine.forecast(&operator(), ak).await.unwrap();
        // 80,000 bytes within two days: 10,000 are left to the line of 90,000.
        assert_eq!(forecast.bytes_per_day, Some(40_000));
        let due = forecast.overwrite_ms.unwrap() - engine.now().millis();
        assert_eq!(due, 6 * 3_600_000);
        assert!(forecast.overwrite_files >= 1);
        let last = usize::try_from(forecast.overwrite_files).unwrap() - 1;
        assert_eq!(forecast.overwrite_upto_ms, Some(firsts[last].created.millis()));
        assert_eq!(forecast.oldest_ms, Some(firsts[0].created.millis()));
        // What was told is what goes.
        put(&engine, &rec, "g0", &[7; 10_001], true, Lock::Open, 10_001).await.unwrap();
        engine.settle().await.unwrap();
        observe::flush_now(&engine);
        let gone = engine.why_gone(&operator(), why("f*")).await.unwrap().files;
        assert_eq!(gone.len() as u64, forecast.overwrite_files);
        let page = engine.spaces(&operator(), SpaceQuery { most: 10, ..SpaceQuery::default() }).await.unwrap();
        assert_eq!((page.total, page.rows[0].ak.as_str(), page.rows[0].overwrites), (1, ak, 1));
        let growth = engine.box_forecast(&operator()).await.unwrap();
        // 90,001 bytes within two days.
        assert!((44_000..=45_001).contains(&growth.bytes_in_per_day) && growth.left_bytes > 0, "{growth:?}");
        engine.close().await.unwrap();
    });
}

#[test]
fn nobody_sees_of_another_account_or_beyond_its_role() {
    let rig = Rig::new(5, GB);
    runtime().block_on(async {
        let engine = rig.open().unwrap();
        open_account(&engine, 10).await;
        let other = crate::engine::NewAccount {
            name: "hunan".parse().unwrap(),
            password: None,
            space: gigabytes(5),
            alert_url: None,
            max_sub_accounts: None,
        };
        engine.open_account(&operator(), other).await.unwrap();
        let sub = open_sub(&engine, 1).await;
        let ak = sub.access_key.as_str();
        let rec = bucket(&engine, sub.record_bucket.as_str());
        put(&engine, &rec, "a", &[1; 10], true, Lock::Open, 10).await.unwrap();
        engine.delete(&operator(), &rec, &key("a")).await.unwrap();
        observe::flush_now(&engine);
        let own = user(&engine, Role::Province, Some(ACCOUNT));
        let stranger = user(&engine, Role::Province, Some("hunan"));
        let staff = user(&engine, Role::Operations, None);
        assert_eq!(engine.why_gone(&own, why("a")).await.unwrap().files.len(), 1);
        assert!(engine.why_gone(&stranger, why("a")).await.unwrap().files.is_empty());
        assert!(engine.why_gone(&staff, why("a")).await.is_err(), "operations staff see no recordings");
        assert!(engine.camera(&stranger, ak).await.is_err() && engine.camera(&own, ak).await.is_ok());
        assert!(engine.forecast(&stranger, ak).await.is_err());
        assert!(engine.name_camera(&stranger, ak, "x", "").await.is_err());
        assert!(engine.name_camera(&staff, ak, "x", "").await.is_err());
        assert_eq!(engine.cameras(&stranger, None, 0, 10).await.unwrap().0, 0);
        assert_eq!(engine.spaces(&stranger, SpaceQuery { most: 9, ..SpaceQuery::default() }).await.unwrap().total, 0);
        let theirs = engine.statistics(&stranger, None, Period::Day, TopBy::Bytes).await.unwrap().total;
        assert_eq!(theirs, observe::Counters::default());
        assert!(
            engine.statistics(&stranger, Some(&ACCOUNT.parse().unwrap()), Period::Day, TopBy::Bytes).await.is_err()
        );
        assert!(engine.box_forecast(&own).await.is_err() && engine.box_forecast(&staff).await.is_ok());
        assert!(
            engine
                .statistics(&user(&engine, Role::Viewer, Some(ACCOUNT)), None, Period::Day, TopBy::Bytes)
                .await
                .is_err()
        );
        engine.close().await.unwrap();
    });
}

#[test]
fn an_alert_keeps_its_attempts_and_what_people_say() {
    let rig = Rig::new(6, GB);
    runtime().block_on(async {
        let engine = rig.open().unwrap();
        engine.start();
        open_account(&engine, 10).await;
        let sub = open_sub(&engine, 1).await;
        let rec = bucket(&engine, sub.record_bucket.as_str());
        put(&engine, &rec, "a", &[1; 85_000], true, Lock::Open, 85_000).await.unwrap();
        let mut note = observe::NoteView::default();
        let mut id = 0;
        for _ in 0..500 {
            if let Some(alert) = engine.alerts(&operator(), 1).await.unwrap().first() {
                id = alert.id;
                note = engine.alert_note(&operator(), id).await.unwrap();
                if !note.attempts.is_empty() {
                    break;
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(note.attempts[0].outcome, "nobody is there");
        assert!(!note.attempts[0].delivered);
        let staff = user(&engine, Role::Operations, None);
        engine.acknowledge_alert(&staff, id, true).await.unwrap();
        engine.comment_on_alert(&staff, id, " 已联系省公司 ").await.unwrap();
        let note = engine.alert_note(&user(&engine, Role::Province, Some(ACCOUNT)), id).await.unwrap();
        assert_eq!(note.acknowledged.unwrap().by, "li");
        assert_eq!(note.comments[0].text, "已联系省公司");
        assert!(engine.comment_on_alert(&user(&engine, Role::Auditor, None), id, "x").await.is_err());
        assert!(engine.alert_note(&operator(), 999_999).await.is_err());
        engine.close().await.unwrap();
        let engine = rig.open().unwrap();
        let total = engine.statistics(&operator(), None, Period::Day, TopBy::Bytes).await.unwrap().total;
        assert_eq!(total.alerts_raised, 1);
        engine.close().await.unwrap();
    });
}
