//! Disks that fail, fill and rot; and the crashes that are too rare for chance to meet.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes as Buf;

use super::rig::{Rig, assert_sound, bucket, content, key, new_object, open_account, open_sub, put, read, runtime};
use crate::config::Reserve;
use crate::domain::{ChecksumKind, ChecksumPlan, ChecksumType, Lock, Refusal};
use crate::engine::{BucketRef, Caller, Chore, Completion, Engine, Error, Finish, NamedPart, NewObject};
use crate::store::committer::{Command, Decide};
use crate::store::event::Event;
use crate::wire::s3_checksum::{self, Hasher};
use crate::world::Threads;
use crate::world::fake::{Fate, Survival, UnsyncedKind};

const GB: u64 = 64 << 20;

/// An engine with one sub-account, and its record bucket's name.
pub(super) async fn begin(rig: &Rig) -> (Engine, String) {
    let engine = rig.open().unwrap();
    open_account(&engine, 100).await;
    let sub = open_sub(&engine, 10).await;
    (engine, sub.record_bucket.as_str().to_owned())
}

pub(super) async fn store(
    engine: &Engine,
    bucket: &BucketRef,
    name: &str,
    seed: u64,
    len: usize,
) -> crate::engine::Result<()> {
    put(engine, bucket, name, &content(seed, len), true, Lock::Open, 100_000).await.map(|_| ())
}

/// Every file is there with the bytes of its number.
pub(super) async fn all_there(engine: &Engine, name: &str, files: &[(String, u64, usize)], when: &str) {
    let bucket = bucket(engine, name);
    for (file, seed, len) in files {
        let bytes = read(engine, &bucket, file).await.unwrap_or_else(|e| panic!("{when}: {file}: {e}"));
        assert!(bytes == content(*seed, *len), "{when}: {file} has other bytes");
    }
    assert_sound(engine, when).await;
}

fn a_sync_fails(suffix: &str, power_goes_too: bool) {
    let when = format!("sync of {suffix} failed, power cut: {power_goes_too}");
    let runtime = runtime();
    let rig = Rig::new(1, GB);
    let (engine, name) = runtime.block_on(begin(&rig));
    let mut files = Vec::new();
    runtime.block_on(async {
        let target = bucket(&engine, &name);
        for n in 0..6_u64 {
            let len = usize::try_from(n * 60_000).unwrap();
            store(&engine, &target, &format!("f{n}"), n, len).await.unwrap();
            files.push((format!("f{n}"), n, len));
        }
        rig.disk.fail_sync_once(suffix);
        // Replaces a file that was acknowledged: should the new one be lost, the old one must stand.
        let replaced = store(&engine, &target, "f5", 99, 200_000).await;
        let deleted = engine.delete(&Caller::operator(), &target, &key("nothing is there")).await;
        let locked = engine.create_multipart(&Caller::operator(), &target, new_object("m", None, Lock::Open)).await;
        let made_durable = engine.checkpoint().await;
        assert!(replaced.is_err() || deleted.is_err() || locked.is_err() || made_durable.is_err(), "{when}");
        if replaced.is_ok() {
            files[5] = ("f5".to_owned(), 99, 200_000);
        }
        let after = store(&engine, &target, "after", 1, 10).await;
        assert!(matches!(after, Err(Error::Unavailable(_))), "{when}: it goes on: {after:?}");
        assert!(!engine.failed().await.is_empty());
        assert!(engine.close().await.is_err());
        if replaced.is_err() {
            // Not acknowledged: either may be found, but whole.
            files.remove(5);
        }
    });
    drop(engine);
    if power_goes_too {
        rig.disk.crash(1, Fate::LoseAll);
    }
    let engine = rig.open().unwrap();
    runtime.block_on(async {
        all_there(&engine, &name, &files, &when).await;
        let target = bucket(&engine, &name);
        read(&engine, &target, "f5").await.unwrap();
        engine.settle().await.unwrap();
        store(&engine, &target, "new", 7, 300_000).await.unwrap();
        files.push(("new".to_owned(), 7, 300_000));
    });
    rig.disk.crash(2, Fate::LoseAll);
    drop(engine);
    let engine = rig.open().unwrap();
    runtime.block_on(async {
        all_there(&engine, &name, &files, &format!("{when}, and a power cut later")).await;
        read(&engine, &bucket(&engine, &name), "f5").await.unwrap();
    });
}

#[test]
fn a_volume_that_cannot_be_synced_stops_the_store_and_loses_nothing() {
    a_sync_fails(".kdv", true);
    a_sync_fails(".kdv", false);
}

#[test]
fn a_journal_that_cannot_be_synced_stops_the_store_and_loses_nothing() {
    a_sync_fails(".kdj", true);
    a_sync_fails(".kdj", false);
}

#[test]
fn an_index_that_cannot_be_synced_stops_the_store_and_loses_nothing() {
    a_sync_fails("index.redb", true);
}

#[test]
fn a_full_disk_is_busy_and_deleting_makes_room() {
    let runtime = runtime();
    let rig = Rig::new(2, GB);
    rig.disk.set_capacity(60 << 20);
    let (engine, name) = runtime.block_on(begin(&rig));
    runtime.block_on(async {
        let target = bucket(&engine, &name);
        let mut files = Vec::new();
        let refused = loop {
            let n = files.len() as u64;
            let len = if n.is_multiple_of(3) { 60_000 } else { 1_200_000 };
            match store(&engine, &target, &format!("f{n}"), n, len).await {
                Ok(()) => files.push((format!("f{n}"), n, len)),
                Err(error) => break error,
            }
            assert!(n < 1000, "it never fills");
        };
        assert!(matches!(refused, Error::NoRoom), "{refused}");
        assert!(files.len() > 20, "room for {} files only", files.len());
        all_there(&engine, &name, &files, "full").await;
        let small = store(&engine, &target, "small", 5, 100_000).await;
        assert!(small.is_ok() || matches!(small, Err(Error::NoRoom)));
        for (file, ..) in files.drain(..10) {
            engine.delete(&Caller::operator(), &target, &key(&file)).await.unwrap();
        }
        engine.settle().await.unwrap();
        store(&engine, &target, "again", 6, 1_200_000).await.unwrap();
        files.push(("again".to_owned(), 6, 1_200_000));
        all_there(&engine, &name, &files, "after deleting").await;
        engine.close().await.unwrap();
    });
}

#[test]
fn a_disk_that_somebody_else_has_filled_is_read_cleared_overwritten_and_started_on() {
    let runtime = runtime();
    let rig = Rig::new(4, GB);
    let (engine, name) = runtime.block_on(begin(&rig));
    let mut files = Vec::new();
    let fill = || {
        let (total, free) = rig.world.disk.space(Path::new("/data")).unwrap();
        rig.disk.set_capacity(total - free);
    };
    runtime.block_on(async {
        let target = bucket(&engine, &name);
        for n in 0..60 {
            store(&engine, &target, &format!("f{n}"), n, 60_000).await.unwrap();
            files.push((format!("f{n}"), n, 60_000));
        }
        engine.checkpoint().await.unwrap();
        fill();
        // Nothing of this finds room; it is done all the same, in what is held back for it.
        for (file, ..) in files.drain(..10) {
            engine.delete(&Caller::operator(), &target, &key(&file)).await.unwrap();
        }
        engine.checkpoint().await.unwrap();
        fill();
        for (file, ..) in files.drain(..10) {
            engine.delete(&Caller::operator(), &target, &key(&file)).await.unwrap();
        }
        engine.checkpoint().await.unwrap();
        let refused = store(&engine, &target, "new", 1, 60_000).await.unwrap_err();
        assert!(matches!(refused, Error::NoRoom), "{refused}");
        all_there(&engine, &name, &files, "full").await;
        fill();
        rig.disk.crash(1, Fate::LoseAll);
        let _ = engine.close().await;
    });
    fill();
    let engine = rig.open().unwrap();
    runtime.block_on(async {
        all_there(&engine, &name, &files, "after a start on a full disk").await;
        let target = bucket(&engine, &name);
        engine.delete(&Caller::operator(), &target, &key(&files.remove(0).0)).await.unwrap();
        rig.disk.set_capacity(1 << 30);
        engine.settle().await.unwrap();
        store(&engine, &target, "again", 6, 60_000).await.unwrap();
        files.push(("again".to_owned(), 6, 60_000));
        all_there(&engine, &name, &files, "with room again").await;
        engine.close().await.unwrap();
    });
}

/// Where in which volume these bytes lie.
pub(super) fn find(rig: &Rig, needle: &[u8]) -> (PathBuf, u64) {
    for path in rig.volumes() {
        let file = rig.world.disk.open(&path).unwrap();
        let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
        file.read_exact_at(&mut bytes, 0).unwrap();
        if let Some(at) = bytes.windows(needle.len()).position(|w| w == needle) {
            return (path, at as u64);
        }
    }
    panic!("the bytes are in no volume");
}

#[test]
fn rot_is_never_served_and_scrub_names_the_file() {
    let runtime = runtime();
    let rig = Rig::new(3, GB);
    let (engine, name) = runtime.block_on(begin(&rig));
    runtime.block_on(async {
        let target = bucket(&engine, &name);
        for (n, len) in [(0, 5_000), (1, 300_000), (2, 3_000_000), (3, 70_000), (4, 60_000)] {
            store(&engine, &target, &format!("f{n}"), n, len).await.unwrap();
        }
        // In the first block, in a later one, in a later record, and in a header.
        for (n, offset) in [(0, 4_000), (1, 250_000), (2, 2_500_000)] {
            let bytes = content(n, offset + 16);
            let (path, at) = find(&rig, &bytes[offset..]);
            rig.disk.rot(&path, at).unwrap();
        }
        for n in 0..3_u64 {
            assert!(read(&engine, &target, &format!("f{n}")).await.is_err(), "f{n} was served");
        }
        // A header that was read lately is known: its file is served on, and the scrub looks at the disk all the same.
        assert_eq!(read(&engine, &target, "f4").await.unwrap(), content(4, 60_000));
        for n in 3..5 {
            let (path, at) = find(&rig, &content(n, 64));
            rig.disk.rot(&path, at - 4096 + 200).unwrap();
        }
        assert!(read(&engine, &target, "f3").await.is_err());
        assert_eq!(read(&engine, &target, "f4").await.unwrap(), content(4, 60_000));
        let report = engine.scrub(&Caller::operator()).await.unwrap();
        let named: Vec<_> = report.damaged.iter().map(|d| (d.bucket.as_str(), d.key.as_str())).collect();
        assert_eq!(named, ["f0", "f1", "f2", "f3", "f4"].map(|file| (name.as_str(), file)));
        engine.close().await.unwrap();
    });
}

#[test]
fn a_reserve_that_is_changed_while_running_holds_at_once() {
    let runtime = runtime();
    let rig = Rig::new(6, GB);
    let (engine, name) = runtime.block_on(begin(&rig));
    runtime.block_on(async {
        let target = bucket(&engine, &name);
        let mut config = rig.config.clone();
        config.storage.reserve = Reserve::Bytes(512 << 20);
        engine.reload(&config);
        assert!(matches!(store(&engine, &target, "f", 1, 70_000).await, Err(Error::NoRoom)));
        engine.reload(&rig.config);
        store(&engine, &target, "f", 1, 70_000).await.unwrap();
        assert_eq!(read(&engine, &target, "f").await.unwrap(), content(1, 70_000));
        engine.close().await.unwrap();
    });
}

#[test]
fn the_scrub_in_the_background_finds_rot_by_itself() {
    let runtime = runtime();
    let mut rig = Rig::new(5, GB);
    rig.config.storage.scrub_rate = 64 << 20;
    let (engine, name) = runtime.block_on(begin(&rig));
    runtime.block_on(async {
        let target = bucket(&engine, &name);
        for (n, len) in [(0, 5_000), (1, 300_000), (2, 70_000)] {
            store(&engine, &target, &format!("f{n}"), n, len).await.unwrap();
        }
        let (path, at) = find(&rig, &content(1, 250_000)[249_000..]);
        rig.disk.rot(&path, at).unwrap();
        engine.start();
        let scrub = loop {
            let scrub = engine.status(&Caller::operator()).await.unwrap().scrub;
            if scrub.passes > 0 {
                break scrub;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        assert_eq!((scrub.objects, scrub.bytes, scrub.damaged), (2, 75_000, 1));
        engine.close().await.unwrap();
    });
}

#[test]
fn a_disk_that_cannot_be_read_at_a_start_loses_nothing() {
    let runtime = runtime();
    let rig = Rig::new(9, GB);
    let (engine, name) = runtime.block_on(begin(&rig));
    runtime.block_on(async {
        store(&engine, &bucket(&engine, &name), "f", 1, 300_000).await.unwrap();
    });
    let (path, at) = find(&rig, &content(1, 250_000)[200_000..]);
    rig.disk.crash(9, Fate::LoseAll);
    rig.disk.fail_reads(&path.to_string_lossy(), at..at + 1);
    assert!(rig.open().is_err(), "it started on a disk that cannot be read");
    rig.disk.mend();
    let engine = rig.open().unwrap();
    runtime.block_on(async {
        assert_eq!(read(&engine, &bucket(&engine, &name), "f").await.unwrap(), content(1, 300_000));
        engine.close().await.unwrap();
    });
}

#[test]
fn a_part_of_several_records_is_whole_after_a_power_cut() {
    let runtime = runtime();
    for rebuild in [false, true] {
        let rig = Rig::new(4, GB);
        let (engine, name) = runtime.block_on(begin(&rig));
        let data = content(8, 3_333_333);
        let operator = Caller::operator();
        let plan = ChecksumPlan { kind: ChecksumKind::Sha256, covers: ChecksumType::Composite };
        let (upload, part) = runtime.block_on(async {
            let target = bucket(&engine, &name);
            let new = NewObject { checksum: Some(plan), ..new_object("m", None, Lock::Open) };
            let upload = engine.create_multipart(&operator, &target, new).await.unwrap();
            for content in [&content(9, 2_000_000), &data] {
                let mut part = engine.put_part(&operator, &target, &key("m"), upload, 1, None).await.unwrap();
                assert_eq!(part.checksum_kind(), Some(plan.kind));
                let mut hasher = Hasher::new(plan.kind);
                hasher.update(content);
                part.write(Buf::copy_from_slice(content)).await.unwrap();
                part.finish(Finish { md5: None, checksum: Some(hasher.finish()) }).await.unwrap();
            }
            let page = engine.list_parts(&operator, &target, &key("m"), upload, 0, 10).await.unwrap();
            (upload, page.parts[0].clone())
        });
        let sum = part.checksum.expect("the part has its checksum");
        rig.disk.crash(0, Fate::LoseAll);
        drop(engine);
        if rebuild {
            rig.lose_index();
            rig.rebuild().unwrap();
        }
        let engine = rig.open().unwrap();
        runtime.block_on(async {
            let target = bucket(&engine, &name);
            let complete = |checksums| {
                let part = NamedPart { number: 1, etag: part.etag.to_string(), checksums };
                let said = Completion { parts: vec![part], ..Completion::default() };
                let (engine, target) = (&engine, &target);
                async move { engine.complete_multipart(&Caller::operator(), target, &key("m"), upload, said).await }
            };
            let refused = |result: crate::engine::Result<_>| match result {
                Err(Error::Refused(why)) => why,
                other => panic!("{other:?}"),
            };
            let bare = refused(complete(Vec::new()).await);
            assert_eq!(bare, Refusal::NoPartChecksum { kind: "sha256".to_owned(), number: 1 });
            let wrong = refused(complete(vec![(plan.kind, "AAAA".to_owned())]).await);
            assert_eq!(wrong, Refusal::BadPart { number: 1 });
            let named = vec![(plan.kind, s3_checksum::encode(&sum))];
            let stored = complete(named.clone()).await.unwrap();
            let whole = stored.checksum.expect("the object has its checksum");
            assert_eq!((whole.kind, whole.parts), (plan.kind, 1));
            assert_ne!(whole.digest, sum.digest);
            assert_eq!(complete(named).await.unwrap().checksum.as_ref(), Some(&whole), "asked again");
            let reader = engine.open_object(&operator, &target, &key("m")).await.unwrap();
            assert_eq!(reader.checksum.as_ref(), Some(&whole));
            assert_eq!(reader.part_checksum(0).await.unwrap(), Some(sum));
            assert_eq!(reader.part_checksum(1).await.unwrap(), None);
            drop(reader);
            engine.settle().await.unwrap();
            assert!(read(&engine, &target, "m").await.unwrap() == data);
            assert_sound(&engine, "completed after a start").await;
            engine.close().await.unwrap();
        });
    }
}

/// A file was replaced and its successor deleted; the power goes while both are being punched.
#[test]
fn a_deleted_file_does_not_come_back_as_its_predecessor() {
    let runtime = runtime();
    // In half of them before the index says durably that both are trash: then nothing may be punched.
    for (rebuild, settled) in [(false, true), (true, true), (false, false), (true, false)] {
        for cut in 0..25 {
            for kept in [0, 1] {
                let rig = Rig::new(5, GB);
                let (engine, name) = runtime.block_on(begin(&rig));
                runtime.block_on(async {
                    let target = bucket(&engine, &name);
                    for (n, file) in ["k", "between", "k", "behind"].into_iter().enumerate() {
                        store(&engine, &target, file, n as u64, 10_000).await.unwrap();
                        if n == 0 {
                            engine.checkpoint().await.unwrap();
                        }
                    }
                    engine.delete(&Caller::operator(), &target, &key("k")).await.unwrap();
                    rig.disk.fail_after(cut);
                    let _ = match settled {
                        true => engine.settle().await,
                        false => engine.tick(Chore::Punch).await.map(drop),
                    };
                });
                let mut punches = 0;
                rig.disk.power_cut(|operation| match operation.kind {
                    UnsyncedKind::Punch => {
                        punches += 1;
                        if punches % 2 == kept { Survival::Kept } else { Survival::Lost }
                    }
                    _ => Survival::Lost,
                });
                drop(engine);
                if rebuild {
                    rig.lose_index();
                    rig.rebuild().unwrap();
                }
                let engine = rig.open().unwrap();
                runtime.block_on(async {
                    let when = format!("cut {cut}, kept {kept}, rebuild {rebuild}, settled {settled}");
                    let target = bucket(&engine, &name);
                    let found = read(&engine, &target, "k").await;
                    assert!(matches!(found, Err(Error::Refused(Refusal::NoFile))), "{when}: it came back");
                    engine.settle().await.unwrap();
                    let files = [("between".to_owned(), 1, 10_000), ("behind".to_owned(), 3, 10_000)];
                    all_there(&engine, &name, &files, &when).await;
                });
            }
        }
    }
}

#[test]
fn a_missing_index_or_journal_is_said_and_what_to_do() {
    let runtime = runtime();
    let rig = Rig::new(6, GB);
    let (engine, _) = runtime.block_on(begin(&rig));
    runtime.block_on(engine.close()).unwrap();
    drop(engine);
    rig.lose_index();
    let said = rig.open().err().unwrap().to_string();
    assert!(said.contains("kandian index rebuild"), "{said}");
    let journal = rig.world.disk.list(std::path::Path::new("/data/volumes/journal")).unwrap();
    for file in journal {
        rig.world.disk.remove(&file).unwrap();
    }
    let said = rig.rebuild().err().unwrap().to_string();
    assert!(said.contains("journal"), "{said}");
}

#[test]
fn many_files_are_cleared_and_a_closed_sub_account_is_emptied_across_a_crash() {
    let runtime = runtime();
    let rig = Rig::new(7, GB);
    let engine = rig.open().unwrap();
    let operator = Caller::operator();
    let platform = runtime.block_on(async {
        open_account(&engine, 100).await;
        super::rig::platform(&engine)
    });
    let subs = runtime.block_on(async {
        let (cleared, closed) = (open_sub(&engine, 1).await, open_sub(&engine, 1).await);
        for sub in [&cleared, &closed] {
            let buckets = [bucket(&engine, sub.record_bucket.as_str()), bucket(&engine, sub.picture_bucket.as_str())];
            for n in 0..600_u64 {
                let lock = if n % 100 == 7 { Lock::Locked } else { Lock::Open };
                let target = &buckets[usize::from(n.is_multiple_of(3))];
                put(&engine, target, &format!("f{n}"), &content(n, 100), true, lock, 100).await.unwrap();
            }
            let multi =
                engine.create_multipart(&operator, &buckets[0], new_object("m", None, Lock::Open)).await.unwrap();
            let mut part = engine.put_part(&operator, &buckets[0], &key("m"), multi, 1, None).await.unwrap();
            part.write(Buf::from_static(b"a part of nothing")).await.unwrap();
            part.finish(Finish::default()).await.unwrap();
        }
        let named = super::rig::sub_ref(&engine, cleared.access_key.as_str(), cleared.secret.expose()).unwrap();
        engine.clear_sub_account_files(&platform, &named).await.unwrap();
        let view = engine.sub_account_view(&operator, cleared.access_key.as_str()).await.unwrap();
        assert_eq!((view.recordings + view.pictures, view.locked_files), (6, 6));
        let again = engine.clear_sub_account_files(&platform, &named).await;
        assert!(matches!(again, Err(Error::Refused(Refusal::NothingToClear))), "{again:?}");
        let named = super::rig::sub_ref(&engine, closed.access_key.as_str(), closed.secret.expose()).unwrap();
        engine.close_sub_account(&platform, &named).await.unwrap();
        assert!(engine.credential(closed.access_key.as_str(), None).unwrap().is_none(), "its key is dead at once");
        [cleared, closed]
    });
    rig.disk.crash(0, Fate::LoseAll);
    drop(engine);
    for rebuild in [false, true] {
        if rebuild {
            rig.lose_index();
            rig.rebuild().unwrap();
        }
        let engine = rig.open().unwrap();
        runtime.block_on(async {
            engine.settle().await.unwrap();
            engine.settle().await.unwrap();
            assert_sound(&engine, "after the purge").await;
            let status = engine.status(&operator).await.unwrap();
            assert_eq!((status.files, status.trash, status.sub_accounts), (6, 0, 1));
            let view = engine.sub_account_view(&operator, subs[0].access_key.as_str()).await.unwrap();
            assert_eq!((view.locked_files, view.used_bytes), (6, 617));
            engine.close().await.unwrap();
        });
    }
}

/// The power goes while a file is being replaced: of the new one the header reached the disk, and
/// not the bytes.
#[test]
fn a_cut_upload_does_not_replace_what_was_there() {
    let runtime = runtime();
    for rebuild in [false, true] {
        for cut in 0..14 {
            let rig = Rig::new(8, GB);
            let (engine, name) = runtime.block_on(begin(&rig));
            let stored = runtime.block_on(async {
                let target = bucket(&engine, &name);
                store(&engine, &target, "k", 1, 300_000).await.unwrap();
                rig.disk.fail_after(cut);
                store(&engine, &target, "k", 2, 300_000).await.is_ok()
            });
            rig.disk.power_cut(|operation| match operation.kind {
                UnsyncedKind::Write { len, .. } if len > 8192 => Survival::Lost,
                _ => Survival::Kept,
            });
            drop(engine);
            for _ in 0..2 {
                if rebuild {
                    rig.lose_index();
                    rig.rebuild().unwrap();
                }
                let engine = rig.open().unwrap();
                runtime.block_on(async {
                    let when = format!("cut {cut}, rebuild {rebuild}, stored {stored}");
                    engine.settle().await.unwrap();
                    // Not acknowledged, it may have happened all the same, but then wholly.
                    let target = bucket(&engine, &name);
                    let new = read(&engine, &target, "k").await.is_ok_and(|bytes| bytes == content(2, 300_000));
                    let seed = if stored || new { 2 } else { 1 };
                    all_there(&engine, &name, &[("k".to_owned(), seed, 300_000)], &when).await;
                    // The next group, after which nobody looks at the one before.
                    store(&engine, &bucket(&engine, &name), "other", 3, 10).await.unwrap();
                    engine.close().await.unwrap();
                });
            }
        }
    }
}

/// A group's journal is on the disk before its records: a power cut could keep what an overwrite took and lose the upload
/// in its group that had replaced an older file.
#[test]
fn an_overwrite_is_decided_upon_what_is_durable() {
    let mut rig = Rig::new(9, GB);
    // Whoever waits does the committer's work, so that both changes below are gathered for one group.
    rig.world.grain.threads = Threads::Callers;
    let engine = rig.open().unwrap();
    let store = &engine.inner.store;
    for settled in [false, true] {
        let before = store.bells.acknowledged.load(Ordering::Acquire);
        let decide: Decide = Box::new(|_| Ok(vec![Event::Audit { entry: b"{}".to_vec() }]));
        store.queue.send(Command::Change { decide, exclusive: false, settled: false, reply: None }).unwrap();
        let (bells, seen) = (Arc::clone(&store.bells), Arc::new(AtomicU64::new(0)));
        let saw = Arc::clone(&seen);
        let decide: Decide = Box::new(move |_| {
            saw.store(bells.acknowledged.load(Ordering::Acquire), Ordering::Release);
            Ok(Vec::new())
        });
        let change = |reply| Command::Change { decide, exclusive: false, settled, reply: Some(reply) };
        runtime().block_on(store.queue.ask(change)).unwrap();
        assert_eq!(seen.load(Ordering::Acquire) > before, settled);
    }
}

/// A sector that rots must not take a volume with it.
#[test]
fn a_volume_whose_first_sector_has_rotted_is_known_by_its_copy_and_mended() {
    let (runtime, rig) = (runtime(), Rig::new(10, GB));
    let (engine, name) = runtime.block_on(begin(&rig));
    let files: Vec<_> = (0..4_u64).map(|n| (format!("f{n}"), n, 40_000)).collect();
    runtime.block_on(async {
        for (file, seed, len) in &files {
            store(&engine, &bucket(&engine, &name), file, *seed, *len).await.unwrap();
        }
    });
    let volume = rig.volumes().remove(0);
    let copy = volume.with_extension("kdh");
    let (sector, zeros) = (rig.world.disk.open(&volume).unwrap(), [0; 4096]);
    let mut right = [0; 4096];
    sector.read_exact_at(&mut right, 0).unwrap();
    let is = |path: &Path| {
        let mut now = [0; 4096];
        rig.world.disk.open(path).unwrap().read_exact_at(&mut now, 0).unwrap();
        now == right
    };
    // While it runs: the scrub mends either, and names no file.
    for rotten in [&volume, &copy] {
        rig.world.disk.open(rotten).unwrap().write_all_at(&zeros, 0).unwrap();
        let report = runtime.block_on(engine.scrub(&Caller::operator())).unwrap();
        assert!(report.damaged.is_empty() && report.mended.len() == 1, "{report:?}");
        assert!(is(&volume) && is(&copy));
    }
    runtime.block_on(engine.close()).unwrap();
    drop(engine);
    // At a start: zeros there once had the whole volume removed, as one that was never finished.
    for rotten in [&volume, &copy] {
        rig.world.disk.open(rotten).unwrap().write_all_at(&zeros, 0).unwrap();
        let engine = rig.open().unwrap();
        assert!(is(&volume) && is(&copy));
        runtime.block_on(async {
            all_there(&engine, &name, &files, "after it rotted").await;
            engine.close().await.unwrap();
        });
    }
    // A store of before there were copies.
    rig.world.disk.remove(&copy).unwrap();
    drop(rig.open().unwrap());
    assert!(is(&copy));
    // Neither: it is refused in words, and nothing is removed.
    for rotten in [&volume, &copy] {
        rig.world.disk.open(rotten).unwrap().write_all_at(&zeros, 0).unwrap();
    }
    let said = rig.open().err().unwrap().to_string();
    assert!(said.contains("does not know it either"), "{said}");
    assert!(rig.volumes().contains(&volume));
}

/// Also of the last frame, which nothing follows: the index says that it was there.
#[test]
fn a_journal_that_has_rotted_is_made_anew_from_an_index_that_knows_it() {
    let (runtime, rig) = (runtime(), Rig::new(11, GB));
    let (engine, name) = runtime.block_on(begin(&rig));
    runtime.block_on(async {
        let target = bucket(&engine, &name);
        store(&engine, &target, "kept", 1, 1000).await.unwrap();
        store(&engine, &target, "gone", 2, 1000).await.unwrap();
        engine.delete(&Caller::operator(), &target, &key("gone")).await.unwrap();
        engine.close().await.unwrap();
    });
    drop(engine);
    let journal = || rig.world.disk.list(Path::new("/data/volumes/journal")).unwrap();
    let journal = || journal().into_iter().find(|path| path.extension().is_some_and(|kind| kind == "kdj")).unwrap();
    for back in [40, 400] {
        let file = rig.world.disk.open(&journal()).unwrap();
        // Behind the last frame there may be zeros.
        let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
        file.read_exact_at(&mut bytes, 0).unwrap();
        let end = bytes.iter().rposition(|&byte| byte != 0).unwrap();
        file.write_all_at(&[bytes[end - back] ^ 1], (end - back) as u64).unwrap();
        let engine = rig.open().unwrap();
        runtime.block_on(async {
            all_there(&engine, &name, &[("kept".to_owned(), 1, 1000)], "after it rotted").await;
            engine.close().await.unwrap();
        });
        drop(engine);
        rig.lose_index();
        let report = rig.rebuild().unwrap();
        assert_eq!((report.accounts, report.sub_accounts, report.objects), (1, 1, 1), "{back} bytes before the end");
        runtime.block_on(rig.open().unwrap().close()).unwrap();
    }
}
