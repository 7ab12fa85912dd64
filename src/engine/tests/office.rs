//! What the office does with accounts: suspends them, looks at what a close would take, reads the audit log.

use std::path::Path;
use std::time::Duration;

use super::rig::{
    ACCOUNT, PASSWORD, Rig, administrator, assert_sound, bucket, open_account, open_sub, put, read, runtime,
};
use crate::domain::{AccountId, AccountName, Gigabytes, Lock, Refusal, Role, Secret};
use crate::engine::types::Who;
use crate::engine::{
    AccountContents, AuditEntry, AuditPage, AuditQuery, AuditVerdict, Caller, Engine, Error, NewAccount, NewUser,
};
use crate::store::index;

fn named(name: &str) -> AccountName {
    name.parse().unwrap()
}

fn user(engine: &Engine, name: &str, role: Role, account: Option<&str>) -> Caller {
    let account: Option<AccountId> = account.map(|name| engine.account_id(&named(name)).unwrap());
    Caller::new(Who::User { name: name.into(), role, account })
}

async fn another_account(engine: &Engine, name: &str) {
    let new = NewAccount {
        name: named(name),
        password: Some(Secret::new(PASSWORD)),
        space: Gigabytes::new(10).unwrap(),
        alert_url: None,
        max_sub_accounts: None,
    };
    engine.open_account(&Caller::operator(), new).await.unwrap();
}

fn suspended<T>(done: crate::engine::Result<T>) -> bool {
    matches!(done, Err(Error::Refused(Refusal::Suspended)))
}

#[test]
fn a_suspended_account_is_refused_by_password_and_by_every_key_and_its_files_stay() {
    let rig = Rig::new(1, 8 << 20);
    let engine = rig.open().unwrap();
    let office = Caller::operator();
    let sub = runtime().block_on(async {
        another_account(&engine, "gx").await;
        open_account(&engine, 100).await;
        let sub = open_sub(&engine, 1).await;
        let (admin, _) = engine.account_key(&office, &named(ACCOUNT)).await.unwrap();
        let (other, _) = engine.account_key(&office, &named("gx")).await.unwrap();
        let target = bucket(&engine, sub.record_bucket.as_str());
        put(&engine, &target, "a", b"kept", true, Lock::Open, 1).await.unwrap();

        let province = user(&engine, "p", Role::Province, Some(ACCOUNT));
        assert!(matches!(
            engine.suspend_account(&province, &named(ACCOUNT), true).await,
            Err(Error::Refused(Refusal::Forbidden))
        ));
        let since = engine.now().millis();
        let view = engine.suspend_account(&office, &named(ACCOUNT), true).await.unwrap();
        assert_eq!(view.suspended_ms, Some(since));
        rig.clock.advance(Duration::from_secs(60));
        let again = engine.suspend_account(&office, &named(ACCOUNT), true).await.unwrap();
        assert_eq!(again.suspended_ms, Some(since), "the first time stands");

        assert!(suspended(engine.credential(sub.access_key.as_str(), None)));
        assert!(suspended(engine.credential(admin.as_str(), None)));
        assert!(engine.credential(other.as_str(), None).unwrap().is_some());
        assert!(suspended(engine.sign_in(ACCOUNT, PASSWORD)));
        assert!(matches!(engine.sign_in(ACCOUNT, "wrong"), Err(Error::Refused(Refusal::WrongPassword))));
        assert!(engine.sign_in("gx", PASSWORD).is_ok());
        assert_eq!(read(&engine, &target, "a").await.unwrap(), b"kept");
        assert!(engine.account(&province, &named(ACCOUNT)).await.is_ok());
        assert_sound(&engine, "while it is suspended").await;
        engine.close().await.unwrap();
        sub
    });
    // It is in the journal: neither a restart nor a rebuild forgets it.
    rig.lose_index();
    rig.rebuild().unwrap();
    let engine = rig.open().unwrap();
    runtime().block_on(async {
        assert!(suspended(engine.credential(sub.access_key.as_str(), None)));
        let view = engine.suspend_account(&office, &named(ACCOUNT), false).await.unwrap();
        assert_eq!(view.suspended_ms, None);
        assert!(engine.credential(sub.access_key.as_str(), None).unwrap().is_some());
    });
}

#[test]
fn what_a_close_would_take_is_counted_and_the_close_takes_it() {
    runtime().block_on(async {
        let engine = Rig::new(2, 8 << 20).open().unwrap();
        let office = Caller::operator();
        open_account(&engine, 100).await;
        let contents = engine.account_contents(&office, &named(ACCOUNT)).await.unwrap();
        assert_eq!(contents, AccountContents::default());
        let sub = open_sub(&engine, 1).await;
        open_sub(&engine, 1).await;
        engine.account_key(&office, &named(ACCOUNT)).await.unwrap();
        let admin = administrator(&engine, ACCOUNT);
        engine.create_bucket(&admin, "own".parse().unwrap()).await.unwrap();
        put(&engine, &bucket(&engine, sub.record_bucket.as_str()), "a", b"four", true, Lock::Locked, 1).await.unwrap();
        put(&engine, &bucket(&engine, sub.picture_bucket.as_str()), "b", b"sixsix", true, Lock::Open, 1).await.unwrap();
        put(&engine, &bucket(&engine, "own"), "c", b"one", true, Lock::Open, 1).await.unwrap();
        let contents = engine.account_contents(&office, &named(ACCOUNT)).await.unwrap();
        let counted = AccountContents {
            sub_accounts: 2,
            own_buckets: 1,
            files: 3,
            bytes: 13,
            locked_files: 1,
            locked_bytes: 4,
            oldest_ms: contents.oldest_ms,
            last_upload_ms: contents.last_upload_ms,
        };
        assert_eq!(contents, counted);
        // Files have the time of their upload, to the second.
        let newest = contents.last_upload_ms.unwrap();
        assert!(contents.oldest_ms.is_some_and(|oldest| oldest <= newest && newest - oldest < 1000));
        let province = user(&engine, "p", Role::Province, Some(ACCOUNT));
        assert!(engine.account_contents(&province, &named(ACCOUNT)).await.is_err());
        engine.close_account(&office, &named(ACCOUNT)).await.unwrap();
        engine.settle().await.unwrap();
        assert_eq!(engine.status(&office).await.unwrap().files, 0, "locked files too");
    });
}

fn say(engine: &Engine, who: &str, what: &str, target: &str) {
    let (who, what, target) = (who.to_owned(), what.to_owned(), target.to_owned());
    engine.audit(AuditEntry { who, from: "10.0.0.1".to_owned(), what, target, outcome: "ok".to_owned() });
}

fn targets(page: &AuditPage) -> Vec<&str> {
    page.lines.iter().map(|line| line.entry.target.as_str()).collect()
}

fn all() -> AuditQuery {
    AuditQuery { most: 100, ..AuditQuery::default() }
}

#[test]
fn the_audit_log_is_asked_by_who_what_target_and_time_and_comes_in_pages() {
    runtime().block_on(async {
        let rig = Rig::new(3, 8 << 20);
        let engine = rig.open().unwrap();
        let office = Caller::operator();
        for number in 0..5 {
            say(&engine, if number % 2 == 0 { "even" } else { "odd" }, "CloseAccount", &format!("t{number}"));
            engine.checkpoint().await.unwrap();
            rig.clock.advance(Duration::from_secs(10));
        }
        let at = async |query| engine.audit_page(&office, query).await.unwrap();
        assert_eq!(targets(&at(all()).await), ["t4", "t3", "t2", "t1", "t0"]);
        assert_eq!(at(all()).await.next, None);
        assert_eq!(targets(&at(AuditQuery { who: "odd".to_owned(), ..all() }).await), ["t3", "t1"]);
        assert_eq!(at(AuditQuery { who: "od".to_owned(), ..all() }).await.lines.len(), 0);
        assert_eq!(at(AuditQuery { what: "closeacc".to_owned(), ..all() }).await.lines.len(), 5);
        assert_eq!(targets(&at(AuditQuery { target: "T3".to_owned(), ..all() }).await), ["t3"]);
        let third = at(all()).await.lines[2].at_ms;
        let time = crate::domain::Timestamp::from_millis(third);
        assert_eq!(targets(&at(AuditQuery { from: Some(time), ..all() }).await), ["t4", "t3", "t2"]);
        assert_eq!(targets(&at(AuditQuery { until: Some(time), ..all() }).await), ["t1", "t0"]);
        let first = at(AuditQuery { most: 2, ..all() }).await;
        assert_eq!(targets(&first), ["t4", "t3"]);
        let second = at(AuditQuery { most: 2, before: first.next, ..all() }).await;
        assert_eq!(targets(&second), ["t2", "t1"]);
        let last = at(AuditQuery { most: 2, before: second.next, ..all() }).await;
        assert_eq!((targets(&last), last.next), (vec!["t0"], None));
    });
}

#[test]
fn a_province_reads_of_its_own_password_keys_and_users_and_of_nobody_elses() {
    runtime().block_on(async {
        let engine = Rig::new(4, 8 << 20).open().unwrap();
        let office = Caller::operator();
        another_account(&engine, "gx").await;
        open_account(&engine, 100).await;
        let sub = open_sub(&engine, 1).await;
        let (other_key, _) = engine.account_key(&office, &named("gx")).await.unwrap();
        let people = [
            ("li", Some(ACCOUNT)),
            ("wang", Some("gx")),
            ("ops", None),
            ("gx", Some(ACCOUNT)),
            ("operator", Some(ACCOUNT)),
        ];
        for (name, account) in people {
            let role = if account.is_some() { Role::Province } else { Role::Operations };
            let password = Some(Secret::new("correct horse battery"));
            let new = NewUser { name: name.parse().unwrap(), role, account: account.map(named), password };
            engine.add_user(&office, new).await.unwrap();
        }
        for who in
            [ACCOUNT, sub.access_key.as_str(), "li", "gx", other_key.as_str(), "wang", "ops", "operator", "stranger"]
        {
            say(&engine, who, "Test", who);
        }
        engine.checkpoint().await.unwrap();
        let asked = AuditQuery { what: "Test".to_owned(), ..all() };
        let li = user(&engine, "li", Role::Province, Some(ACCOUNT));
        let seen = engine.audit_page(&li, asked.clone()).await.unwrap();
        assert_eq!(targets(&seen), ["li", sub.access_key.as_str(), ACCOUNT]);
        let auditor = user(&engine, "a", Role::Auditor, None);
        assert_eq!(engine.audit_page(&auditor, asked.clone()).await.unwrap().lines.len(), 9);
        let viewer = user(&engine, "v", Role::Viewer, Some(ACCOUNT));
        assert!(engine.audit_page(&viewer, asked).await.is_err());
        assert!(engine.verify_audit(&li).await.is_err());
    });
}

#[test]
fn a_line_that_was_changed_or_taken_away_is_found() {
    let rig = Rig::new(5, 8 << 20);
    let verdict = |rig: &Rig| {
        let engine = rig.open().unwrap();
        runtime().block_on(async {
            let verdict = engine.verify_audit(&Caller::operator()).await.unwrap();
            engine.close().await.unwrap();
            verdict
        })
    };
    let engine = rig.open().unwrap();
    let numbers: Vec<u64> = runtime().block_on(async {
        for number in 0..4 {
            say(&engine, "somebody", "Test", &format!("t{number}"));
        }
        engine.checkpoint().await.unwrap();
        let page = engine.audit_page(&Caller::operator(), all()).await.unwrap();
        engine.close().await.unwrap();
        page.lines.iter().rev().map(|line| line.number).collect()
    });
    assert_eq!(verdict(&rig), AuditVerdict { lines: 4, broken_at: None, cut_off: false });

    let tamper = |number: u64, change: &dyn Fn(Vec<u8>) -> Option<Vec<u8>>| {
        let db = index::open_database(&*rig.world.disk, Path::new("/data/index.redb"), 1 << 20, false).unwrap();
        let txn = index::begin_durable(&db).unwrap();
        let mut table = txn.open_table(index::definitions::audit).unwrap();
        let key = number.to_be_bytes();
        let old = table.remove(key.as_slice()).unwrap().unwrap().value().to_vec();
        if let Some(new) = change(old.clone()) {
            table.insert(key.as_slice(), new.as_slice()).unwrap();
        }
        drop(table);
        txn.commit().unwrap();
        old
    };
    let old = tamper(numbers[1], &|mut line| {
        let last = line.len() - 3;
        line[last] ^= 1;
        Some(line)
    });
    assert_eq!(verdict(&rig), AuditVerdict { lines: 4, broken_at: Some(numbers[1]), cut_off: false });
    tamper(numbers[1], &|_| Some(old.clone()));
    assert_eq!(verdict(&rig).broken_at, None);
    tamper(numbers[1], &|_| None);
    assert_eq!(verdict(&rig), AuditVerdict { lines: 3, broken_at: Some(numbers[2]), cut_off: false });
    tamper(numbers[3], &|_| None);
    assert_eq!(verdict(&rig), AuditVerdict { lines: 2, broken_at: Some(numbers[2]), cut_off: true });
}
