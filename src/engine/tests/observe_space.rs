//! Spaces of accounts and sub-accounts, and what the past says of a file, as pages ask for them.

use std::time::Duration;

use super::rig::*;
use crate::domain::{AtTheEnd, Lock, Role};
use crate::engine::observe::{self, GoneQuery, SpaceQuery, SpaceSort, SpaceState};
use crate::engine::types::Who;
use crate::engine::{Caller, Engine, NewAccount};

const GB: u64 = 100_000;

fn user(engine: &Engine, role: Role, account: Option<&str>) -> Caller {
    let account = account.map(|name| engine.inner.store.catalog.read().names[name]);
    Caller::new(Who::User { name: "li".into(), role, account })
}

fn ask(sort: SpaceSort, state: SpaceState) -> SpaceQuery {
    SpaceQuery { sort, state, most: 10, ..SpaceQuery::default() }
}

async fn second_account(engine: &Engine) {
    let new = NewAccount {
        name: "hunan".parse().unwrap(),
        password: None,
        space: gigabytes(5),
        alert_url: None,
        max_sub_accounts: None,
    };
    engine.open_account(&Caller::operator(), new).await.unwrap();
}

#[test]
fn sub_accounts_are_sorted_by_what_will_happen_and_found_by_state_and_name() {
    let rig = Rig::new(41, GB);
    runtime().block_on(async {
        let engine = rig.open().unwrap();
        open_account(&engine, 20).await;
        second_account(&engine).await;
        let mut aks = Vec::new();
        // Granted, uploaded a step, loop: fast and stopping, slow and overwriting, empty, full.
        for (granted, size, loops) in [(4, 20_000, false), (2, 10_000, true), (3, 0, false), (1, 12_500, false)] {
            let sub = open_sub(&engine, granted).await;
            let found = sub_ref(&engine, sub.access_key.as_str(), sub.secret.expose()).unwrap();
            if loops {
                engine.set_sub_account_space_policy(&platform(&engine), &found, AtTheEnd::Overwrite).await.unwrap();
            }
            aks.push((sub.access_key.as_str().to_owned(), sub.record_bucket.as_str().to_owned(), size));
        }
        for step in 0..8 {
            for (_, name, size) in aks.iter().filter(|(.., size)| *size > 0) {
                let lock = if step == 0 && *size == 10_000 { Lock::Locked } else { Lock::Open };
                let body = vec![7; *size];
                put(&engine, &bucket(&engine, name), &format!("f{step}"), &body, true, lock, *size).await.unwrap();
            }
            rig.clock.advance(Duration::from_secs(6 * 3600));
        }
        let [fast, slow, empty, full] = [0, 1, 2, 3].map(|at: usize| aks[at].0.clone());
        let order = async |sort, state| {
            let page = engine.spaces(&Caller::operator(), ask(sort, state)).await.unwrap();
            page.rows.into_iter().map(|row| row.ak).collect::<Vec<_>>()
        };
        // A day: 80,000 of 240,000 left; 40,000 of 100,000 left to the line; nothing; none left.
        assert_eq!(order(SpaceSort::Full, SpaceState::All).await, [&full, &slow, &fast, &empty].map(String::clone));
        assert_eq!(order(SpaceSort::Used, SpaceState::All).await, [&full, &fast, &slow, &empty].map(String::clone));
        assert_eq!(order(SpaceSort::Next, SpaceState::Loops).await, std::slice::from_ref(&slow));
        assert_eq!(order(SpaceSort::Full, SpaceState::Full).await, std::slice::from_ref(&full));
        assert_eq!(order(SpaceSort::Full, SpaceState::Above).await, std::slice::from_ref(&full));
        assert_eq!(order(SpaceSort::Full, SpaceState::Locked).await, std::slice::from_ref(&slow));
        let mut names = vec![fast.clone(), slow.clone(), empty.clone(), full.clone()];
        names.sort();
        assert_eq!(order(SpaceSort::Name, SpaceState::All).await, names);

        engine.name_camera(&user(&engine, Role::Province, Some(ACCOUNT)), &slow, "=东门", "南京,路").await.unwrap();
        let found = SpaceQuery { find: "东".to_owned(), ..ask(SpaceSort::Name, SpaceState::All) };
        let page = engine.spaces(&Caller::operator(), found).await.unwrap();
        assert_eq!((page.total, page.rows[0].ak.as_str(), page.rows[0].oldest_ms.is_some()), (1, slow.as_str(), true));
        let sums = &page.sums;
        assert_eq!((sums.cameras, sums.looping, sums.above, sums.full), (4, 1, 1, 1), "whatever was asked for");
        assert_eq!((sums.used_bytes, sums.locked_bytes), (340_000, 10_000));
        let csv = String::from_utf8(page.to_csv()).unwrap();
        assert!(csv.starts_with('\u{feff}') && csv.contains("\"'=东门\",\"南京,路\""), "no cell is a formula: {csv}");
        assert_eq!(csv.lines().count(), 2);
        let second = SpaceQuery { skip: 1, most: 2, ..ask(SpaceSort::Full, SpaceState::All) };
        let page = engine.spaces(&Caller::operator(), second).await.unwrap();
        assert_eq!((page.total, page.rows.len(), &page.rows[0].ak), (4, 2, &slow));

        let accounts = engine.account_spaces(&Caller::operator(), ask(SpaceSort::Full, SpaceState::All)).await.unwrap();
        assert_eq!((accounts.total, accounts.rows[0].account.as_str()), (2, ACCOUNT));
        let row = &accounts.rows[0];
        assert_eq!((row.space_bytes, row.handed_out_bytes, row.over), (2_000_000, 1_000_000, false));
        assert_eq!((row.sums.cameras, row.sums.used_bytes), (4, 340_000));
        assert!(row.sums.full_ms.is_some_and(|ms| ms <= engine.now().millis()) && row.sums.kept_ms.is_some());
        let with_full =
            engine.account_spaces(&Caller::operator(), ask(SpaceSort::Name, SpaceState::Full)).await.unwrap();
        assert_eq!(with_full.total, 1, "hunan has none");

        let all = engine.forecasts(&Caller::operator(), &[slow.clone(), fast.clone()]).await.unwrap();
        let alone = engine.forecast(&Caller::operator(), &slow).await.unwrap();
        assert_eq!(all.iter().map(|one| &one.ak).collect::<Vec<_>>(), [&slow, &fast]);
        assert_eq!(
            (all[0].overwrite_files, all[0].overwrite_upto_ms),
            (alone.overwrite_files, alone.overwrite_upto_ms)
        );
        assert_eq!(all[0].overwrite_files, 4, "40,000 of its 200,000, and not the locked one");
        let days = engine.camera_days(&Caller::operator(), &[empty.clone(), fast.clone()]).await.unwrap();
        assert_eq!((days[0].days.len(), days[0].days.iter().map(|day| day.recordings).sum::<u64>()), (30, 0));
        assert_eq!(
            days[1].days.iter().map(|day| (day.recordings, day.bytes_in)).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1)),
            (8, 160_000)
        );
        observe::flush_now(&engine);
        let again = engine.camera_days(&Caller::operator(), std::slice::from_ref(&fast)).await.unwrap();
        assert_eq!(again[0].days, days[1].days, "written down or not, it is the same");
        let of = engine.box_forecast(&Caller::operator()).await.unwrap();
        assert_eq!((of.promised_bytes, of.handed_out_bytes, of.used_bytes), (2_500_000, 1_000_000, 340_000));
        assert!(of.capacity_bytes > 0);
        engine.close().await.unwrap();
    });
}

#[test]
fn space_is_seen_in_ones_own_account_and_names_of_files_by_those_who_see_files() {
    let rig = Rig::new(42, GB);
    runtime().block_on(async {
        let engine = rig.open().unwrap();
        open_account(&engine, 10).await;
        second_account(&engine).await;
        let sub = open_sub(&engine, 1).await;
        let ak = sub.access_key.as_str().to_owned();
        let rec = bucket(&engine, sub.record_bucket.as_str());
        put(&engine, &rec, "shop/a.mp4", &[1; 10], true, Lock::Open, 10).await.unwrap();
        put(&engine, &rec, "shop/b.mp4", &[1; 10], true, Lock::Open, 10).await.unwrap();
        engine.delete(&Caller::operator(), &rec, &key("shop/a.mp4")).await.unwrap();
        let [own, stranger] = [ACCOUNT, "hunan"].map(|name| user(&engine, Role::Province, Some(name)));
        let [staff, auditor] = [Role::Operations, Role::Auditor].map(|role| user(&engine, role, None));
        let of = |account: &str| SpaceQuery { account: Some(account.to_owned()), most: 9, ..SpaceQuery::default() };
        for caller in [&staff, &auditor, &own] {
            assert_eq!(engine.spaces(caller, of(ACCOUNT)).await.unwrap().total, 1);
            assert_eq!(engine.account_spaces(caller, of(ACCOUNT)).await.unwrap().total, 1);
            assert!(engine.forecasts(caller, std::slice::from_ref(&ak)).await.is_ok());
            assert!(engine.camera_days(caller, std::slice::from_ref(&ak)).await.is_ok());
        }
        assert_eq!(engine.account_spaces(&own, ask(SpaceSort::Name, SpaceState::All)).await.unwrap().total, 1);
        assert_eq!(engine.account_spaces(&staff, ask(SpaceSort::Name, SpaceState::All)).await.unwrap().total, 2);
        // Another account, and one that is not there, are the same to who may see neither.
        let forbidden = |error: crate::engine::Error| error.to_string();
        let there = forbidden(engine.spaces(&stranger, of(ACCOUNT)).await.unwrap_err());
        assert_eq!(there, forbidden(engine.spaces(&stranger, of("nobody")).await.unwrap_err()));
        assert!(engine.account_spaces(&stranger, of(ACCOUNT)).await.is_err());
        assert!(engine.forecasts(&stranger, std::slice::from_ref(&ak)).await.is_err());
        assert!(engine.camera_days(&stranger, std::slice::from_ref(&ak)).await.is_err());

        let why = |key: Option<&str>| GoneQuery { key: key.map(str::to_owned), most: 9, ..GoneQuery::default() };
        // At once, and after it was written down.
        for _ in 0..2 {
            let found = engine.why_gone(&own, why(Some("shop/a.mp4"))).await.unwrap();
            assert_eq!((found.total, found.files[0].why.as_str(), found.there.len()), (1, "asked", 0));
            let found = engine.why_gone(&own, why(Some("shop/b.mp4"))).await.unwrap();
            assert_eq!((found.total, found.there[0].kind, found.there[0].ak.as_str()), (0, "recording", ak.as_str()));
            assert_eq!(engine.why_gone(&own, why(Some("*A.MP*"))).await.unwrap().total, 1);
            assert_eq!(engine.why_gone(&own, why(None)).await.unwrap().batches[0].files, 1);
            assert_eq!(engine.why_gone(&staff, why(None)).await.unwrap().batches[0].files, 1, "a batch has no names");
            observe::flush_now(&engine);
        }
        for caller in [&staff, &auditor] {
            assert!(engine.why_gone(caller, why(Some("shop/a.mp4"))).await.is_err());
            assert!(engine.why_gone(caller, why(Some("*"))).await.is_err());
        }
        let theirs = engine.why_gone(&stranger, why(Some("shop/b.mp4"))).await.unwrap();
        assert!(theirs.there.is_empty() && theirs.files.is_empty());
        assert_eq!(engine.why_gone(&stranger, why(None)).await.unwrap().total, 0);
        let mut query = why(None);
        query.ak = Some(ak.clone());
        assert!(engine.why_gone(&stranger, query.clone()).await.is_err(), "a camera of another is not there");
        query.to_ms = Some(engine.now().millis() - 3_600_000);
        assert_eq!(engine.why_gone(&own, query.clone()).await.unwrap().total, 0);
        // A camera that was opened just now has no past, and is there.
        let fresh = open_sub(&engine, 1).await;
        query.ak = Some(fresh.access_key.as_str().to_owned());
        let found = engine.why_gone(&own, query).await.unwrap();
        assert_eq!(found.total, 0);
        assert!(found.known_from_ms > 0 && found.known_from_ms <= engine.now().millis());
        engine.close().await.unwrap();
    });
}
