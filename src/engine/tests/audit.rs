//! What a key changes for good has its line in the audit log, written with the change.

use super::rig::{ACCOUNT, Rig, administrator, assert_sound, bucket, key, open_account, open_sub, put, runtime};
use crate::domain::{Lock, Refusal};
use crate::engine::types::Who;
use crate::engine::{AuditEntry, Caller, DeleteCondition, Engine, Error};

async fn lines(engine: &Engine) -> Vec<AuditEntry> {
    let mut log = engine.audit_log(&Caller::operator(), 1000).await.unwrap();
    log.reverse();
    log.into_iter().map(|(_, entry)| entry).collect()
}

#[test]
fn holds_deletions_and_buckets_have_a_line_each_and_what_changes_nothing_has_none() {
    let mut rig = Rig::new(1, 8 << 20);
    rig.config.s3.allow_delete = true;
    let engine = rig.open().unwrap();
    runtime().block_on(async {
        open_account(&engine, 100).await;
        let sub = open_sub(&engine, 1).await;
        let (_, secret) = engine.account_key(&Caller::operator(), &ACCOUNT.parse().unwrap()).await.unwrap();
        let target = bucket(&engine, sub.record_bucket.as_str());
        let admin = administrator(&engine, ACCOUNT).seen_at(Some("10.0.0.9:4711".parse().unwrap()));
        let camera = Caller::new(Who::Camera { sub_account: target.owner });
        for name in ["a", "b", "c", "d, \"e\""] {
            put(&engine, &target, name, b"x", true, Lock::Open, 1).await.unwrap();
        }
        engine.set_lock(&camera, &target, &key("a"), Lock::Locked).await.unwrap();
        engine.set_lock(&camera, &target, &key("a"), Lock::Locked).await.unwrap();
        assert!(matches!(engine.delete(&admin, &target, &key("a")).await, Err(Error::Refused(Refusal::Locked))));
        engine.delete(&camera, &target, &key("b")).await.unwrap();
        engine.delete(&camera, &target, &key("b")).await.unwrap();
        let any = |name: &str| (key(name), DeleteCondition::default());
        let doomed = ["a", "c", "c", "d, \"e\"", "none"].map(any).to_vec();
        let outcomes = engine.delete_many(&admin, &target, doomed).await;
        assert!(matches!(outcomes[0], Err(Error::Refused(Refusal::Locked))));
        assert!(outcomes[1..].iter().all(Result::is_ok));
        engine.set_lock(&admin, &target, &key("a"), Lock::Open).await.unwrap();
        engine.create_bucket(&admin, "own".parse().unwrap()).await.unwrap();
        engine.create_bucket(&admin, "own".parse().unwrap()).await.unwrap();
        let own = engine.bucket(&admin, "own").unwrap();
        engine.delete_bucket(&admin, &own).await.unwrap();
        let all = lines(&engine).await;
        let (camera, admin) = (sub.access_key.as_str(), administrator_key(&engine).await);
        let name = target.name.as_str();
        let seen: Vec<_> =
            all.iter().map(|l| (l.who.as_str(), l.from.as_str(), l.what.as_str(), l.target.clone())).collect();
        let there = "10.0.0.9:4711";
        assert_eq!(
            seen,
            [
                (camera, "-", "PutObjectLegalHold", format!("ON {name}/a")),
                (camera, "-", "DeleteObject", format!("{name}/b")),
                (&*admin, there, "DeleteObjects", format!("{name}: 2 files [\"c\",\"d, \\\"e\\\"\"]")),
                (&*admin, there, "PutObjectLegalHold", format!("OFF {name}/a")),
                (&*admin, there, "CreateBucket", "own".to_owned()),
                (&*admin, there, "DeleteBucket", "own".to_owned()),
            ]
        );
        assert!(!serde_json::to_string(&all).unwrap().contains(secret.expose()));
        assert_sound(&engine, "at the end").await;
        engine.close().await.unwrap();
    });
    // They come back with what they tell of.
    rig.lose_index();
    rig.rebuild().unwrap();
    let engine = rig.open().unwrap();
    runtime().block_on(async { assert_eq!(lines(&engine).await.len(), 6) });
}

async fn administrator_key(engine: &Engine) -> String {
    let (ak, _) = engine.account_key(&Caller::operator(), &ACCOUNT.parse().unwrap()).await.unwrap();
    ak.as_str().to_owned()
}

#[test]
fn a_line_costs_no_write_and_no_sync_of_its_own() {
    let mut rig = Rig::new(2, 8 << 20);
    rig.config.s3.allow_delete = true;
    let engine = rig.open().unwrap();
    runtime().block_on(async {
        open_account(&engine, 100).await;
        let sub = open_sub(&engine, 1).await;
        let target = bucket(&engine, sub.record_bucket.as_str());
        let camera = Caller::new(Who::Camera { sub_account: target.owner });
        let mut least = u64::MAX;
        for number in 0..5 {
            let name = key(&format!("{number}"));
            put(&engine, &target, name.as_str(), b"x", true, Lock::Open, 1).await.unwrap();
            engine.checkpoint().await.unwrap();
            let before = rig.disk.ops();
            engine.delete(&camera, &target, &name).await.unwrap();
            least = least.min(rig.disk.ops() - before);
        }
        assert_eq!(least, 2, "the journal is written once and synced once");
        assert_eq!(lines(&engine).await.len(), 5);
        engine.close().await.unwrap();
    });
}
