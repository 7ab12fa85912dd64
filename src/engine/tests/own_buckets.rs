//! Buckets that an account's administration key makes: whose they are, what they take, how they go.

use bytes::Bytes as Buf;

use super::rig::{
    ACCOUNT, Rig, administrator, assert_sound, content, gigabytes, key, new_object, open_account, open_sub, platform,
    put, read, runtime, sub_ref,
};
use crate::domain::{BucketName, Bytes, Lock, Refusal, Secret};
use crate::engine::{AccountChanges, AccountView, Caller, Engine, Error, Finish, NewAccount, Result};
use crate::store::committer::Command;
use crate::store::event::Event;

const GB: u64 = 1 << 20;

fn name(text: &str) -> BucketName {
    text.parse().unwrap()
}

/// The refusal; everything else is a panic.
fn refusal<T>(result: Result<T>) -> Refusal {
    match result {
        Err(Error::Refused(refusal)) => refusal,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it was allowed"),
    }
}

async fn account(engine: &Engine) -> AccountView {
    engine.account(&Caller::operator(), &ACCOUNT.parse().unwrap()).await.unwrap()
}

/// A box with an account of 10 GB of 1 MiB, and its administration key.
async fn begin(seed: u64) -> (Rig, Engine, Caller) {
    let rig = Rig::new(seed, GB);
    let engine = rig.open().unwrap();
    open_account(&engine, 10).await;
    let administrator = administrator(&engine, ACCOUNT);
    (rig, engine, administrator)
}

#[test]
fn a_bucket_of_ones_own_is_made_once_seen_by_its_account_alone_and_deleted_when_empty() {
    runtime().block_on(async {
        let (_rig, engine, admin) = begin(1).await;
        let sub = open_sub(&engine, 1).await;
        let other = NewAccount {
            name: "other".parse().unwrap(),
            password: Some(Secret::new("x")),
            space: gigabytes(10),
            alert_url: None,
            max_sub_accounts: None,
        };
        engine.open_account(&Caller::operator(), other).await.unwrap();
        let stranger = administrator(&engine, "other");
        engine.create_bucket(&admin, name("mine")).await.unwrap();
        engine.create_bucket(&admin, name("mine")).await.unwrap();
        assert_eq!(account(&engine).await.own_buckets, 1);
        assert_eq!(refusal(engine.create_bucket(&stranger, name("mine")).await), Refusal::BucketExists);
        assert_eq!(refusal(engine.bucket(&stranger, "mine")), Refusal::Forbidden);
        assert_eq!(refusal(engine.bucket(&admin, "others")), Refusal::NoBucket);
        let again = engine.create_bucket(&admin, sub.record_bucket.clone()).await;
        assert_eq!(refusal(again), Refusal::BucketIsYours);
        let seen: Vec<_> = engine.buckets(&admin).unwrap().into_iter().map(|b| b.name.to_string()).collect();
        assert_eq!(seen, ["mine", sub.picture_bucket.as_str(), sub.record_bucket.as_str()]);
        assert!(engine.buckets(&stranger).unwrap().is_empty());
        assert_eq!(refusal(engine.create_bucket(&Caller::operator(), name("operators")).await), Refusal::Forbidden);

        let mine = engine.bucket(&admin, "mine").unwrap();
        put(&engine, &mine, "a", b"bytes", true, Lock::Locked, 10).await.unwrap();
        assert_eq!(refusal(engine.delete_bucket(&admin, &mine).await), Refusal::BucketNotEmpty);
        assert_eq!(refusal(engine.delete(&admin, &mine, &key("a")).await), Refusal::Locked);
        engine.set_lock(&admin, &mine, &key("a"), Lock::Open).await.unwrap();
        engine.delete(&admin, &mine, &key("a")).await.unwrap();
        engine.delete_bucket(&admin, &mine).await.unwrap();
        assert_eq!(refusal(engine.delete_bucket(&admin, &mine).await), Refusal::NoBucket);
        assert_eq!(refusal(engine.bucket(&admin, "mine")), Refusal::NoBucket);
        let camera = engine.bucket(&admin, sub.record_bucket.as_str()).unwrap();
        assert_eq!(refusal(engine.delete_bucket(&admin, &camera).await), Refusal::Forbidden);
        assert_sound(&engine, "at the end").await;
    });
}

#[test]
fn own_buckets_and_sub_accounts_share_the_accounts_space_to_the_byte() {
    runtime().block_on(async {
        let (_rig, engine, admin) = begin(2).await;
        let platform = platform(&engine);
        let sub = open_sub(&engine, 7).await;
        engine.create_bucket(&admin, name("one")).await.unwrap();
        engine.create_bucket(&admin, name("two")).await.unwrap();
        let (one, two) = (engine.bucket(&admin, "one").unwrap(), engine.bucket(&admin, "two").unwrap());
        let megabyte = content(1, 1 << 20);
        put(&engine, &one, "a", &megabyte, true, Lock::Open, 300_000).await.unwrap();
        put(&engine, &two, "a", &megabyte[1..], false, Lock::Open, 300_000).await.unwrap();
        // 3 GB were left; 2 GB less a byte are taken.
        assert_eq!(engine.query_user_space(&platform).await.unwrap().free, gigabytes(1));
        let granted = Bytes::new(3 * GB);
        let too_long = engine.put(&admin, &two, new_object("b", Some(GB + 2), Lock::Open)).await.map(|_| ());
        assert_eq!(refusal(too_long), Refusal::Full { granted });
        let never = engine.put(&admin, &two, new_object("b", Some(3 * GB + 1), Lock::Open)).await.map(|_| ());
        assert_eq!(refusal(never), Refusal::LargerThanTheSpace { granted });
        // What an upload has reserved is not handed out, and comes back when it is given up.
        let upload = engine.put(&admin, &two, new_object("b", Some(2), Lock::Open)).await.unwrap();
        assert_eq!(engine.query_user_space(&platform).await.unwrap().free, gigabytes(0));
        let none = Refusal::AccountSpace { free: gigabytes(0) };
        assert_eq!(refusal(engine.open_sub_account(&platform, gigabytes(1)).await), none);
        let named = sub_ref(&engine, sub.access_key.as_str(), sub.secret.expose()).unwrap();
        let wider = engine.modify_sub_account_space(&platform, &named, gigabytes(8)).await;
        assert_eq!(refusal(wider), Refusal::AccountSpace { free: gigabytes(7) });
        let shrink = AccountChanges { space: Some(gigabytes(9)), ..AccountChanges::default() };
        let shrunk = engine.modify_account(&Caller::operator(), &ACCOUNT.parse().unwrap(), shrink.clone()).await;
        assert_eq!(refusal(shrunk), Refusal::HandedOut { handed_out: gigabytes(10) });
        drop(upload);
        engine.modify_sub_account_space(&platform, &named, gigabytes(8)).await.unwrap();
        assert_eq!(engine.query_user_space(&platform).await.unwrap().free, gigabytes(0));
        let full = engine.put(&admin, &one, new_object("c", Some(2), Lock::Open)).await.map(|_| ());
        assert_eq!(refusal(full), Refusal::Full { granted: Bytes::new(2 * GB) });
        put(&engine, &one, "c", b"x", true, Lock::Open, 1).await.unwrap();
        engine.delete(&admin, &one, &key("a")).await.unwrap();
        engine.modify_account(&Caller::operator(), &ACCOUNT.parse().unwrap(), shrink).await.unwrap();
        // Nobody is alarmed for it: the platform knows nothing of these buckets.
        assert!(engine.alerts(&Caller::operator(), 10).await.unwrap().is_empty());
        let view = account(&engine).await;
        assert_eq!((view.own_bytes, view.own_files, view.free_gb), (GB, 2, 0));
        assert_sound(&engine, "at the end").await;
    });
}

#[test]
fn what_is_being_handed_out_is_not_taken_by_an_upload_in_between() {
    runtime().block_on(async {
        let (_rig, engine, admin) = begin(3).await;
        engine.create_bucket(&admin, name("one")).await.unwrap();
        let one = engine.bucket(&admin, "one").unwrap();
        for _ in 0..30 {
            let platform = platform(&engine);
            let (grant, upload) = tokio::join!(
                engine.open_sub_account(&platform, gigabytes(10)),
                engine.put(&admin, &one, new_object("a", Some(1), Lock::Open)),
            );
            assert!(grant.is_err() || upload.is_err(), "11 GB of 10 were given");
            if let Ok(sub) = grant {
                let named = sub_ref(&engine, sub.access_key.as_str(), sub.secret.expose()).unwrap();
                engine.close_sub_account(&platform, &named).await.unwrap();
            }
        }
        assert_eq!(account(&engine).await.own_bytes, 0);
    });
}

#[test]
fn a_deleted_bucket_gives_up_its_uploads_and_its_name_begins_anew() {
    runtime().block_on(async {
        let (_rig, engine, admin) = begin(4).await;
        engine.create_bucket(&admin, name("one")).await.unwrap();
        let one = engine.bucket(&admin, "one").unwrap();
        let multi = engine.create_multipart(&admin, &one, new_object("m", None, Lock::Open)).await.unwrap();
        let mut part = engine.put_part(&admin, &one, &key("m"), multi, 1, Some(500_000)).await.unwrap();
        part.write(Buf::from(content(1, 500_000))).await.unwrap();
        part.finish(Finish::default()).await.unwrap();
        let mut late = engine.put(&admin, &one, new_object("late", Some(3), Lock::Open)).await.unwrap();
        late.write(Buf::from_static(b"abc")).await.unwrap();
        assert_eq!(account(&engine).await.own_bytes, 500_003);
        engine.delete_bucket(&admin, &one).await.unwrap();
        engine.create_bucket(&admin, name("one")).await.unwrap();
        assert_eq!(refusal(late.finish(Finish::default()).await), Refusal::NoBucket);
        assert_eq!(account(&engine).await.own_bytes, 0, "given back at once");
        let gone = engine.list_parts(&admin, &engine.bucket(&admin, "one").unwrap(), &key("m"), multi, 0, 10).await;
        assert_eq!(refusal(gone), Refusal::NoUpload);
        engine.settle().await.unwrap();
        assert_eq!(engine.status(&Caller::operator()).await.unwrap().trash, 0);
        assert_sound(&engine, "at the end").await;
    });
}

#[test]
fn own_buckets_come_back_after_a_start_and_from_a_rebuild_and_go_with_their_account() {
    let rig = Rig::new(5, GB);
    let runtime = runtime();
    let data = content(9, 200_000);
    let engine = rig.open().unwrap();
    runtime.block_on(async {
        open_account(&engine, 10).await;
        let admin = administrator(&engine, ACCOUNT);
        for bucket in ["kept", "gone"] {
            engine.create_bucket(&admin, name(bucket)).await.unwrap();
            let bucket = engine.bucket(&admin, bucket).unwrap();
            put(&engine, &bucket, "a", &data, true, Lock::Open, 65_536).await.unwrap();
        }
        let gone = engine.bucket(&admin, "gone").unwrap();
        engine.delete(&admin, &gone, &key("a")).await.unwrap();
        engine.delete_bucket(&admin, &gone).await.unwrap();
        engine.close().await.unwrap();
    });
    for rebuilt in [false, true] {
        if rebuilt {
            rig.lose_index();
            let report = rig.rebuild().unwrap();
            assert_eq!((report.objects, report.bytes), (1, 200_000));
        }
        let engine = rig.open().unwrap();
        runtime.block_on(async {
            let admin = administrator(&engine, ACCOUNT);
            engine.settle().await.unwrap();
            let kept = engine.bucket(&admin, "kept").unwrap();
            assert_eq!(read(&engine, &kept, "a").await.unwrap(), data, "rebuilt: {rebuilt}");
            assert_eq!(refusal(engine.bucket(&admin, "gone")), Refusal::NoBucket, "rebuilt: {rebuilt}");
            let view = account(&engine).await;
            assert_eq!((view.own_buckets, view.own_bytes, view.own_files), (1, 200_000, 1), "rebuilt: {rebuilt}");
            assert_sound(&engine, "after a start").await;
            engine.close().await.unwrap();
        });
    }
    let engine = rig.open().unwrap();
    runtime.block_on(async {
        engine.close_account(&Caller::operator(), &ACCOUNT.parse().unwrap()).await.unwrap();
        engine.settle().await.unwrap();
        let status = engine.status(&Caller::operator()).await.unwrap();
        assert_eq!((status.files, status.used_bytes, status.trash), (0, 0, 0));
        assert_sound(&engine, "after the account was closed").await;
        engine.close().await.unwrap();
    });
}

#[test]
fn a_store_of_the_first_format_is_read_and_brought_up_to_date() {
    let rig = Rig::new(6, GB);
    let runtime = runtime();
    let engine = rig.open().unwrap();
    runtime.block_on(async {
        open_account(&engine, 10).await;
        engine.close().await.unwrap();
    });
    drop(engine);
    rig.make_old();
    let engine = rig.open().unwrap();
    runtime.block_on(async {
        let admin = administrator(&engine, ACCOUNT);
        engine.create_bucket(&admin, name("mine")).await.unwrap();
        engine.close().await.unwrap();
    });
    drop(engine);
    let engine = rig.open().unwrap();
    assert_eq!(engine.buckets(&administrator(&engine, ACCOUNT)).unwrap().len(), 1);
    runtime.block_on(async { engine.close().await.unwrap() });
}

#[test]
fn an_index_made_anew_counts_nothing_for_an_own_bucket_that_was_deleted() {
    let (rig, runtime) = (Rig::new(7, GB), runtime());
    let engine = rig.open().unwrap();
    runtime.block_on(async {
        open_account(&engine, 10).await;
        let admin = administrator(&engine, ACCOUNT);
        engine.create_bucket(&admin, name("one")).await.unwrap();
        let one = engine.bucket(&admin, "one").unwrap();
        let multi = engine.create_multipart(&admin, &one, new_object("m", None, Lock::Open)).await.unwrap();
        engine.delete_bucket(&admin, &one).await.unwrap();
        // Only its deletion, and what comes after that, is in the journal now.
        engine.inner.store.queue.ask(Command::Compact).await.unwrap();
        engine.change(false, move |_| Ok(vec![Event::AbortUpload { bucket: one.id, upload: multi }])).await.unwrap();
        engine.close().await.unwrap();
    });
    drop(engine);
    rig.lose_index();
    rig.rebuild().unwrap();
    let engine = rig.open().unwrap();
    runtime.block_on(async {
        engine.settle().await.unwrap();
        assert_sound(&engine, "after a rebuild").await;
    });
}
