//! What an operator has when a box is dead: volumes alone, a backup, or an index that is lost.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bytes::Bytes as Buf;
use sha2::{Digest as _, Sha256};

use super::faults::find;
use super::rig::{
    ACCOUNT, Rig, administrator, assert_sound, bucket, content, key, new_object, open_account, open_sub, put, read,
    runtime, sub_ref,
};
use crate::domain::{AtTheEnd, Lock, Metadata};
use crate::engine::{
    BucketRef, Caller, Completion, Engine, Error, Extract, ExtractReport, Finish, NamedPart, NewObject, SALVAGE,
    UNREADABLE,
};
use crate::store::index::definitions;
use crate::store::index::rows::{Row, Stats};
use crate::world::disk::read_file;
use crate::world::fake::Fate;

const GB: u64 = 64 << 20;
const BACKUP: &str = "/backups/one";

/// A box in which there is some of everything.
struct Shop {
    rig: Rig,
    engine: Option<Engine>,
    /// The buckets for recordings of two cameras, one for pictures, and one of the account's own.
    buckets: [String; 4],
    /// A camera's key.
    ak: String,
    /// What is in them.
    files: BTreeMap<(usize, String), Vec<u8>>,
}

async fn multipart(engine: &Engine, target: &BucketRef, name: &str, parts: &[&[u8]]) {
    let operator = Caller::operator();
    let upload = engine.create_multipart(&operator, target, new_object(name, None, Lock::Open)).await.unwrap();
    let mut named = Vec::new();
    for (number, bytes) in (1..).zip(parts) {
        let mut part = engine.put_part(&operator, target, &key(name), upload, number, None).await.unwrap();
        part.write(Buf::copy_from_slice(bytes)).await.unwrap();
        let stored = part.finish(Finish::default()).await.unwrap();
        named.push(NamedPart { number, etag: stored.etag.to_string(), checksums: Vec::new() });
    }
    let said = Completion { parts: named, ..Completion::default() };
    engine.complete_multipart(&operator, target, &key(name), upload, said).await.unwrap();
}

impl Shop {
    async fn new(seed: u64) -> Self {
        let rig = Rig::new(seed, GB);
        let engine = rig.open().unwrap();
        open_account(&engine, 100).await;
        engine.account_key(&Caller::operator(), &ACCOUNT.parse().unwrap()).await.unwrap();
        let (one, two) = (open_sub(&engine, 10).await, open_sub(&engine, 7).await);
        let loops = sub_ref(&engine, two.access_key.as_str(), two.secret.expose()).unwrap();
        let platform = super::rig::platform(&engine);
        engine.set_sub_account_space_policy(&platform, &loops, AtTheEnd::Overwrite).await.unwrap();
        engine.create_bucket(&administrator(&engine, ACCOUNT), "own-things".parse().unwrap()).await.unwrap();
        let names = [&one.record_bucket, &two.record_bucket, &one.picture_bucket].map(|name| name.as_str().to_owned());
        let [a, b, c] = names;
        let buckets = [a, b, c, "own-things".to_owned()];
        let ak = one.access_key.as_str().to_owned();
        let mut shop = Self { rig, engine: Some(engine), buckets, ak, files: BTreeMap::new() };
        let lengths = [0, 10, 4_000, 70_000, 300_000, 3_000_000];
        for (n, len) in (0_u64..).zip(lengths) {
            shop.put(0, &format!("2014-03-28/file {n}.mp4"), n, len).await;
        }
        for (n, name) in (10_u64..).zip(["../../etc/passwd", "/abs", "a", "a/b", "A", "x//y", &"long".repeat(100)]) {
            shop.put(1, name, n, 5_000).await;
        }
        for (at, name, seed) in [(2, "picture", 30), (3, "own file", 31), (0, "to be locked", 32), (0, "replaced", 33)]
        {
            shop.put(at, name, seed, 2_000).await;
        }
        shop.put(0, "replaced", 34, 90_000).await;
        let (first, second) = (content(40, 5_300_000), content(41, 333));
        multipart(shop.engine(), &shop.bucket(0), "in parts", &[&first, &second]).await;
        shop.files.insert((0, "in parts".to_owned()), [first, second].concat());
        shop.put(0, "to be deleted", 35, 80_000).await;
        shop.delete(0, "to be deleted").await;
        shop.lock(0, "to be locked").await;
        shop
    }

    fn engine(&self) -> &Engine {
        self.engine.as_ref().unwrap()
    }

    fn bucket(&self, at: usize) -> BucketRef {
        bucket(self.engine(), &self.buckets[at])
    }

    async fn put(&mut self, at: usize, name: &str, seed: u64, len: usize) {
        let bytes = content(seed, len);
        put(self.engine(), &self.bucket(at), name, &bytes, true, Lock::Open, 100_000).await.unwrap();
        self.files.insert((at, name.to_owned()), bytes);
    }

    async fn delete(&mut self, at: usize, name: &str) {
        self.engine().delete(&Caller::operator(), &self.bucket(at), &key(name)).await.unwrap();
        self.files.remove(&(at, name.to_owned()));
    }

    async fn lock(&self, at: usize, name: &str) {
        self.engine().set_lock(&Caller::operator(), &self.bucket(at), &key(name), Lock::Locked).await.unwrap();
    }

    /// The power goes, and the box with it.
    fn die(&mut self) {
        self.engine = None;
        self.rig.disk.crash(1, Fate::LoseAll);
    }

    async fn close(&mut self) {
        self.engine().close().await.unwrap();
        self.engine = None;
    }

    /// Everything is there, with its bytes, and nothing else.
    async fn all_there(&self, when: &str) {
        for ((at, name), bytes) in &self.files {
            let found = read(self.engine(), &self.bucket(*at), name).await;
            assert!(found.unwrap_or_else(|e| panic!("{when}: {name}: {e}")) == *bytes, "{when}: {name}");
        }
        let there = self.engine().status(&Caller::operator()).await.unwrap().files;
        assert_eq!(there, self.files.len() as u64, "{when}");
        assert_sound(self.engine(), when).await;
    }

    fn extract(&self, what: Extract) -> ExtractReport {
        let volumes = self.rig.config.storage.volumes.clone();
        let to = if what.to.as_os_str().is_empty() { PathBuf::from("/out") } else { what.to.clone() };
        Engine::extract(&self.rig.world, &Extract { volumes, to, ..what }, |_, _| {}).unwrap()
    }

    fn lose(&self, files: &[&str]) {
        for file in files {
            self.rig.world.disk.remove(Path::new(file)).unwrap();
        }
        for dir in ["/data", "/data/volumes/journal"] {
            self.rig.world.disk.sync_dir(Path::new(dir)).unwrap();
        }
    }

    fn lose_the_journal(&self) {
        for file in self.rig.world.disk.list(Path::new("/data/volumes/journal")).unwrap() {
            self.rig.world.disk.remove(&file).unwrap();
        }
    }

    fn restore(&self, force: bool) -> crate::engine::Result<crate::engine::RestoreReport> {
        Engine::restore(&self.rig.world, &self.rig.config, Path::new(BACKUP), force)
    }
}

const DATA: [&str; 3] = ["/data/index.redb", "/data/books.redb", "/data/master.key"];

/// Every row that says what the box holds: files, owners, dates, locks, accounts, keys, uploads, counters.
fn everything(engine: &Engine) -> Vec<(&'static str, Vec<u8>, Vec<u8>)> {
    let view = engine.inner.store.view().unwrap();
    let mut all = Vec::new();
    for (name, definition) in [
        ("accounts", definitions::accounts),
        ("sub_accounts", definitions::sub_accounts),
        ("own_buckets", definitions::own_buckets),
        ("objects", definitions::objects),
        ("by_time", definitions::by_time),
        ("time_counts", definitions::time_counts),
        ("unlocked", definitions::unlocked),
        ("segments", definitions::segments),
        ("uploads", definitions::uploads),
        ("parts", definitions::parts),
        ("marks", definitions::marks),
        ("audit", definitions::audit),
        ("stats", definitions::stats),
    ] {
        view.each(definition, |key, value| {
            let value = if name == "stats" {
                // What is counted of the past (overwrites) is not in the volumes.
                let stats = Stats::decode(value)?;
                format!("{:?}", (stats.files, stats.bytes, stats.locked_files, stats.parts_bytes, stats.last_upload))
                    .into_bytes()
            } else {
                value.to_vec()
            };
            all.push((name, key.to_vec(), value));
            Ok(())
        })
        .unwrap();
    }
    all
}

#[test]
fn a_rebuild_brings_everything_back_row_by_row() {
    runtime().block_on(async {
        let mut shop = Shop::new(1).await;
        let target = shop.bucket(1);
        let upload =
            shop.engine().create_multipart(&Caller::operator(), &target, new_object("open", None, Lock::Open)).await;
        let (engine, upload) = (shop.engine(), upload.unwrap());
        let mut part = engine.put_part(&Caller::operator(), &target, &key("open"), upload, 3, None).await.unwrap();
        part.write(Buf::from(content(50, 100_000))).await.unwrap();
        part.finish(Finish::default()).await.unwrap();
        let metadata = Metadata(vec![("content-type".to_owned(), b"video/mp4".to_vec())]);
        let new = NewObject { metadata, ..new_object("locked when put", Some(4), Lock::Locked) };
        let mut put = engine.put(&Caller::operator(), &target, new).await.unwrap();
        put.write(Buf::from_static(b"clip")).await.unwrap();
        put.finish(Finish::default()).await.unwrap();
        shop.files.insert((1, "locked when put".to_owned()), b"clip".to_vec());
        shop.engine().settle().await.unwrap();
        let before = everything(shop.engine());
        assert!(before.len() > 60);
        shop.close().await;
        shop.rig.lose_index();
        shop.rig.rebuild().unwrap();
        shop.engine = Some(shop.rig.open().unwrap());
        let after = everything(shop.engine());
        for (was, is) in before.iter().zip(&after) {
            assert_eq!(was, is, "{}", String::from_utf8_lossy(&was.1));
        }
        assert_eq!(before.len(), after.len());
        shop.all_there("rebuilt").await;
    });
}

#[test]
fn the_volumes_of_a_dead_box_give_their_files_back_and_are_not_touched() {
    runtime().block_on(async {
        let mut shop = Shop::new(2).await;
        shop.die();
        shop.lose(&DATA);
        let disk = &*shop.rig.world.disk;
        let before: Vec<_> = shop.rig.volumes().iter().map(|path| read_file(disk, path).unwrap()).collect();
        let report = shop.extract(Extract::default());
        let after: Vec<_> = shop.rig.volumes().iter().map(|path| read_file(disk, path).unwrap()).collect();
        assert!(before == after);
        assert_eq!(report.damaged, [], "{report:?}");
        assert_eq!((report.objects, report.names_known), (shop.files.len() as u64, true));
        assert_eq!(report.bytes, shop.files.values().map(|bytes| bytes.len() as u64).sum::<u64>());
        assert_eq!(report.replaced_or_deleted, 2);
        // `../../etc/passwd`, `/abs`, `A` or `a`, `x//y`, the long one, and `a/b` where `a` is a file.
        assert_eq!(report.renamed, 6);
        let index = read_file(disk, Path::new("/out/index.csv")).unwrap().unwrap();
        let mut reader = csv::Reader::from_reader(index.as_slice());
        let heads = reader.headers().unwrap().clone();
        let column = |name: &str| heads.iter().position(|head| head == name).unwrap();
        let mut found = BTreeMap::new();
        for line in reader.records() {
            let line = line.unwrap();
            let text = |name: &str| line[column(name)].to_owned();
            assert_eq!((text("account").as_str(), text("state").as_str()), (ACCOUNT, "whole"));
            assert_eq!(text("locked") == "true", text("key") == "to be locked");
            let path = Path::new("/out").join(text("path"));
            let bytes = read_file(disk, &path).unwrap().unwrap();
            assert_eq!(text("sha256"), hex::encode(Sha256::digest(&bytes)));
            let at = shop.buckets.iter().position(|name| *name == text("bucket")).unwrap();
            found.insert((at, text("key")), bytes);
        }
        assert!(found == shop.files, "other files");
        let plain = format!("/out/{}/2014-03-28/file 3.mp4", shop.buckets[0]);
        assert!(read_file(disk, Path::new(&plain)).unwrap().is_some());
        let again =
            Extract { volumes: shop.rig.config.storage.volumes.clone(), to: "/out".into(), ..Extract::default() };
        assert!(Engine::extract(&shop.rig.world, &again, |_, _| {}).is_err(), "it wrote over what was there");
        let some = Extract { to: "/some".into(), bucket: Some("own-things".to_owned()), ..Extract::default() };
        assert_eq!(shop.extract(some).objects, 1);
        let none = Extract { to: "/none".into(), account: Some("another".to_owned()), ..Extract::default() };
        assert_eq!(shop.extract(none).objects, 0);
    });
}

#[test]
fn without_a_journal_buckets_are_numbers_and_a_backups_journal_names_them() {
    runtime().block_on(async {
        let mut shop = Shop::new(3).await;
        shop.engine().back_up(&Caller::operator(), Path::new(BACKUP), true).await.unwrap();
        shop.die();
        shop.lose_the_journal();
        let report = shop.extract(Extract { to: "/a".into(), ..Extract::default() });
        // What was deleted and not punched comes along: nothing says that it is gone.
        assert_eq!((report.names_known, report.objects), (false, shop.files.len() as u64 + 1));
        let bucket = shop.rig.world.disk.list(Path::new("/a")).unwrap();
        assert!(bucket.iter().all(|path| !path.to_string_lossy().contains(&shop.buckets[0])), "{bucket:?}");
        let named = Extract { to: "/b".into(), journal: Some(BACKUP.into()), ..Extract::default() };
        let report = shop.extract(named);
        assert_eq!((report.names_known, report.objects), (true, shop.files.len() as u64));
    });
}

#[test]
fn damaged_files_are_named_and_left_out_or_marked() {
    runtime().block_on(async {
        let mut shop = Shop::new(4).await;
        shop.put(1, "behind", 60, 10).await;
        shop.die();
        let rotten = content(5, 1_500_016);
        let (path, at) = find(&shop.rig, &rotten[1_500_000..]);
        shop.rig.disk.rot(&path, at).unwrap();
        let (path, at) = find(&shop.rig, &content(4, 64));
        shop.rig.disk.fail_reads(&path.to_string_lossy(), at..at + 1);
        let keys = |report: &ExtractReport| {
            let mut keys: Vec<_> = report.damaged.iter().filter_map(|flaw| flaw.key.clone()).collect();
            keys.sort();
            keys
        };
        let report = shop.extract(Extract { to: "/a".into(), ..Extract::default() });
        assert_eq!(keys(&report), ["2014-03-28/file 4.mp4", "2014-03-28/file 5.mp4"]);
        assert_eq!(report.objects, shop.files.len() as u64 - 2);
        let name = format!("{}/2014-03-28/file 5.mp4", shop.buckets[0]);
        let disk = &*shop.rig.world.disk;
        assert!(read_file(disk, &Path::new("/a").join(&name)).unwrap().is_none());
        let report = shop.extract(Extract { to: "/b".into(), with_damaged: true, ..Extract::default() });
        assert_eq!(keys(&report).len(), 2);
        let marked = read_file(disk, &Path::new("/b").join(name + ".damaged")).unwrap().unwrap();
        let whole = content(5, 3_000_000);
        let differ: Vec<_> = (0..whole.len()).filter(|&n| whole[n] != marked[n]).collect();
        assert_eq!(marked.len(), whole.len());
        let block = |n: usize| n / 65_536;
        assert!(!differ.is_empty() && differ.iter().all(|&n| block(n) == block(differ[0]) && marked[n] == 0));
    });
}

#[test]
fn a_backup_and_the_volumes_give_the_box_back_as_it_was_when_it_died() {
    runtime().block_on(async {
        let mut shop = Shop::new(5).await;
        shop.engine().settle().await.unwrap();
        let taken = shop.engine().back_up(&Caller::operator(), Path::new(BACKUP), true).await.unwrap();
        assert_eq!(taken.manifest.objects, shop.files.len() as u64);
        let again = shop.engine().back_up(&Caller::operator(), Path::new(BACKUP), true).await;
        assert!(again.unwrap_err().to_string().contains("holds a backup already"));
        shop.put(0, "after the backup", 70, 90_000).await;
        shop.put(0, "replaced", 71, 4_000).await;
        shop.delete(0, "2014-03-28/file 3.mp4").await;
        shop.lock(0, "2014-03-28/file 4.mp4").await;
        shop.engine().settle().await.unwrap();
        shop.delete(0, "2014-03-28/file 2.mp4").await;
        let late = open_sub(shop.engine(), 3).await;
        shop.buckets[2] = late.record_bucket.as_str().to_owned();
        shop.files.retain(|(at, _), _| *at != 2);
        shop.put(2, "of a late camera", 72, 3_000).await;
        shop.engine().checkpoint().await.unwrap();
        let before = everything(shop.engine());
        shop.die();
        shop.lose(&DATA);
        let report = shop.restore(false).unwrap();
        assert_eq!((report.journal, report.adopted, report.newer_objects), ("volumes", 0, 3));
        assert_eq!((report.missing_objects, report.in_missing_volumes), (2, 0));
        shop.engine = Some(shop.rig.open().unwrap());
        let after = everything(shop.engine());
        for (was, is) in before.iter().zip(&after) {
            assert_eq!(was, is, "{}", String::from_utf8_lossy(&was.1));
        }
        assert_eq!(before.len(), after.len());
        // The picture of the first camera is there too.
        shop.files.insert((3, "picture".to_owned()), Vec::new());
        assert_eq!(shop.engine().status(&Caller::operator()).await.unwrap().files, shop.files.len() as u64);
        let verdict = shop.engine().verify_audit(&Caller::operator()).await.unwrap();
        assert!(verdict.broken_at.is_none() && !verdict.cut_off && verdict.lines > 0, "{verdict:?}");
        assert_sound(shop.engine(), "restored").await;
    });
}

#[test]
fn a_backup_without_the_later_journal_keeps_the_files_of_those_whom_it_does_not_know() {
    runtime().block_on(async {
        let mut shop = Shop::new(6).await;
        shop.engine().settle().await.unwrap();
        shop.engine().back_up(&Caller::operator(), Path::new(BACKUP), true).await.unwrap();
        shop.put(0, "after the backup", 70, 90_000).await;
        shop.delete(0, "2014-03-28/file 3.mp4").await;
        shop.engine().settle().await.unwrap();
        let late = open_sub(shop.engine(), 3).await;
        let target = bucket(shop.engine(), late.record_bucket.as_str());
        put(shop.engine(), &target, "late", &content(72, 3_000), true, Lock::Open, 3_000).await.unwrap();
        shop.engine().create_bucket(&administrator(shop.engine(), ACCOUNT), "late-own".parse().unwrap()).await.unwrap();
        let own = bucket(shop.engine(), "late-own");
        put(shop.engine(), &own, "late own", &content(73, 200), true, Lock::Open, 3_000).await.unwrap();
        shop.engine().checkpoint().await.unwrap();
        shop.die();
        shop.lose(&DATA);
        shop.lose_the_journal();
        let report = shop.restore(false).unwrap();
        assert_eq!((report.journal, report.adopted, report.missing_objects), ("backup", 2, 1));
        shop.engine = Some(shop.rig.open().unwrap());
        let operator = Caller::operator();
        let name = report.adopted_by.unwrap();
        let adopted = shop.engine().account(&operator, &name.parse().unwrap()).await.unwrap();
        assert_eq!((adopted.files, adopted.own_files, adopted.sub_accounts), (1, 1, 1));
        let subs = shop.engine().sub_accounts(&operator, &name.parse().unwrap()).await.unwrap();
        let found = bucket(shop.engine(), &subs[0].record_bucket);
        assert_eq!(read(shop.engine(), &found, "late").await.unwrap(), content(72, 3_000));
        shop.engine().settle().await.unwrap();
        shop.close().await;
        shop.rig.lose_index();
        shop.rig.rebuild().unwrap();
        shop.engine = Some(shop.rig.open().unwrap());
        assert_eq!(
            read(shop.engine(), &bucket(shop.engine(), &subs[0].record_bucket), "late").await.unwrap().len(),
            3_000
        );
        for at in ["/late", "/late own"] {
            // So that the count of files is that of the list.
            shop.files.insert((9, at.to_owned()), Vec::new());
        }
        let there = shop.engine().status(&operator).await.unwrap().files;
        assert_eq!(there, shop.files.len() as u64);
        shop.files.retain(|(at, _), _| *at != 9);
        for ((at, name), bytes) in &shop.files {
            assert!(read(shop.engine(), &shop.bucket(*at), name).await.unwrap() == *bytes, "{name}");
        }
        assert_sound(shop.engine(), "restored and rebuilt").await;
    });
}

#[test]
fn a_box_that_is_lost_with_its_volumes_has_its_accounts_and_keys_again() {
    runtime().block_on(async {
        let mut shop = Shop::new(7).await;
        shop.engine().back_up(&Caller::operator(), Path::new(BACKUP), true).await.unwrap();
        let subs = shop.engine().sub_accounts(&Caller::operator(), &ACCOUNT.parse().unwrap()).await.unwrap();
        let key = shop.engine().sub_account_key(&Caller::operator(), &subs[0].ak).await.unwrap();
        shop.die();
        let other = Rig::new(70, GB);
        for path in shop.rig.world.disk.list(Path::new(BACKUP)).unwrap() {
            let bytes = read_file(&*shop.rig.world.disk, &path).unwrap().unwrap();
            other.world.disk.create_dir_all(Path::new(BACKUP)).unwrap();
            crate::world::disk::replace_file(&*other.world.disk, &path, &bytes).unwrap();
        }
        other.world.disk.create_dir_all(Path::new("/data")).unwrap();
        let report = Engine::restore(&other.world, &other.config, Path::new(BACKUP), false).unwrap();
        assert_eq!((report.objects, report.missing_objects), (0, shop.files.len() as u64));
        assert_eq!(report.in_missing_volumes, report.missing_objects);
        let engine = other.open().unwrap();
        let again = engine.sub_account_key(&Caller::operator(), &subs[0].ak).await.unwrap();
        assert_eq!(again.expose(), key.expose());
        let target = bucket(&engine, &subs[0].record_bucket);
        put(&engine, &target, "new", b"new", true, Lock::Open, 3).await.unwrap();
        assert_sound(&engine, "a new box").await;
        engine.close().await.unwrap();
    });
}

#[test]
fn a_restore_verifies_first_and_replaces_nothing_unless_told() {
    runtime().block_on(async {
        let mut shop = Shop::new(8).await;
        shop.engine().back_up(&Caller::operator(), Path::new(BACKUP), false).await.unwrap();
        shop.close().await;
        let said = shop.restore(false).unwrap_err().to_string();
        assert!(said.contains("--force"), "{said}");
        let report = shop.restore(true).unwrap();
        assert_eq!(report.kept_aside.len(), 2, "index and books; the key was not in the backup: {report:?}");
        shop.engine = Some(shop.rig.open().unwrap());
        shop.all_there("restored over itself").await;
        shop.close().await;
        shop.lose(&["/data/master.key"]);
        let said = shop.restore(true).unwrap_err().to_string();
        assert!(said.contains("master.key is missing"), "{said}");
        let disk = &shop.rig.world.disk;
        for name in disk.list(Path::new(BACKUP)).unwrap() {
            let len = disk.open(&name).unwrap().len().unwrap();
            shop.rig.disk.rot(&name, len / 2).unwrap();
            let said = shop.restore(true).unwrap_err().to_string();
            assert!(said.contains("damaged") || said.contains("manifest.json"), "{name:?}: {said}");
            shop.rig.disk.rot(&name, len / 2).unwrap();
        }
        let begun = Path::new("/backups/begun");
        disk.create_dir_all(begun).unwrap();
        let said = Engine::restore(&shop.rig.world, &shop.rig.config, begun, true).unwrap_err().to_string();
        assert!(said.contains("no backup"), "{said}");
    });
}

/// Reads what can be read; gives how many files are whole, and holds that none has other bytes.
async fn whole_files(shop: &Shop, unreadable: &mut Vec<String>) -> usize {
    let mut whole = 0;
    for ((at, name), bytes) in &shop.files {
        match read(shop.engine(), &shop.bucket(*at), name).await {
            Ok(found) => {
                assert!(found == *bytes, "{name} has other bytes");
                whole += 1;
            }
            Err(Error::Unavailable(why)) => {
                assert_eq!(why, UNREADABLE);
                unreadable.push(name.clone());
            }
            Err(error) => panic!("{name}: {error}"),
        }
    }
    whole
}

/// Nothing is stored, deleted, locked or opened, and each no says why.
async fn refuses_every_change(shop: &Shop, when: &str) {
    let (engine, operator, target) = (shop.engine(), Caller::operator(), shop.bucket(0));
    let file = key("2014-03-28/file 3.mp4");
    let outcomes = [
        put(engine, &target, "new", b"new", true, Lock::Open, 3).await.map(|_| ()),
        put(engine, &target, "long", &content(1, 300_000), false, Lock::Open, 70_000).await.map(|_| ()),
        engine.delete(&operator, &target, &file).await,
        engine.set_lock(&operator, &target, &file, Lock::Locked).await.map(|_| ()),
        engine.create_multipart(&operator, &target, new_object("m", None, Lock::Open)).await.map(|_| ()),
        engine.open_sub_account(&super::rig::platform(engine), super::rig::gigabytes(1)).await.map(|_| ()),
        engine.close_account(&operator, &ACCOUNT.parse().unwrap()).await,
    ];
    for (number, outcome) in outcomes.into_iter().enumerate() {
        assert!(matches!(outcome, Err(Error::Unavailable(SALVAGE))), "{when}: change {number}: {outcome:?}");
    }
    assert!(engine.status(&operator).await.unwrap().salvage.is_some(), "{when}");
}

/// The books take nothing that would be lost at the end of salvage mode.
async fn refuses_to_write_down(shop: &Shop) {
    let named = shop.engine().name_camera(&Caller::operator(), &shop.ak, "gate", "").await;
    assert!(matches!(named, Err(Error::Unavailable(SALVAGE))), "{:?}", named.map(|_| ()));
}

#[test]
fn a_disk_that_fails_is_read_on_and_nothing_is_written_to_it() {
    runtime().block_on(async {
        let mut shop = Shop::new(9).await;
        shop.engine().checkpoint().await.unwrap();
        shop.put(1, "after the checkpoint", 80, 70_000).await;
        shop.rig.disk.fail_sync_once(".kdj");
        let locked = shop.engine().set_lock(&Caller::operator(), &shop.bucket(1), &key("a"), Lock::Locked).await;
        assert!(locked.is_err());
        shop.engine().failed().await;
        refuses_every_change(&shop, "stopped").await;
        assert_eq!(whole_files(&shop, &mut Vec::new()).await, shop.files.len());
        assert!(shop.engine().close().await.is_err());
        // What it still had to write, it has written.
        shop.engine = None;
        shop.rig.config.storage.salvage = true;
        let before = shop.rig.disk.ops();
        shop.engine = Some(shop.rig.open().unwrap());
        let at_start = shop.rig.disk.ops();
        assert_eq!(at_start, before, "a start wrote something");
        shop.engine().start();
        refuses_every_change(&shop, "salvage").await;
        refuses_to_write_down(&shop).await;
        let taken = shop.engine().back_up(&Caller::operator(), Path::new(BACKUP), true).await.unwrap();
        assert_eq!(taken.manifest.objects, shop.files.len() as u64);
        let before = before + (shop.rig.disk.ops() - at_start);
        assert_eq!(whole_files(&shop, &mut Vec::new()).await, shop.files.len());
        shop.close().await;
        assert_eq!(shop.rig.disk.ops(), before, "something was written");
    });
}

#[test]
fn salvage_makes_an_index_in_memory_where_the_one_on_the_disk_cannot_be_used() {
    runtime().block_on(async {
        let mut shop = Shop::new(10).await;
        shop.close().await;
        shop.rig.disk.fail_reads("index.redb", 0..u64::MAX);
        shop.rig.disk.fail_reads("books.redb", 0..u64::MAX);
        assert!(shop.rig.open().is_err());
        shop.rig.config.storage.salvage = true;
        let before = shop.rig.disk.ops();
        shop.engine = Some(shop.rig.open().unwrap());
        assert_eq!(whole_files(&shop, &mut Vec::new()).await, shop.files.len());
        refuses_every_change(&shop, "from the volumes").await;
        shop.close().await;
        assert_eq!(shop.rig.disk.ops(), before, "something was written");
    });
}

#[test]
fn salvage_serves_the_files_of_the_disk_that_reads_and_names_the_others() {
    runtime().block_on(async {
        let mut shop = Shop::new(11).await;
        shop.close().await;
        let second = shop.rig.volumes().into_iter().find(|path| path.starts_with("/data/second")).unwrap();
        shop.rig.disk.fail_reads(&second.to_string_lossy(), 0..u64::MAX);
        assert!(shop.rig.open().is_err());
        shop.rig.config.storage.salvage = true;
        shop.engine = Some(shop.rig.open().unwrap());
        let mut unreadable = Vec::new();
        let whole = whole_files(&shop, &mut unreadable).await;
        assert!(whole > 5 && unreadable.len() > 5, "{whole} {unreadable:?}");
        shop.close().await;
    });
}

#[test]
fn where_one_disk_is_dead_the_others_take_uploads_and_its_files_are_there_when_it_is_back() {
    runtime().block_on(async {
        let mut shop = Shop::new(12).await;
        shop.engine().settle().await.unwrap();
        shop.close().await;
        shop.rig.config.storage.offline = vec!["/data/second".into()];
        shop.engine = Some(shop.rig.open().unwrap());
        let mut unreadable = Vec::new();
        let whole = whole_files(&shop, &mut unreadable).await;
        assert!(whole > 5 && unreadable.len() > 5, "{whole} {unreadable:?}");
        for n in 0..20 {
            shop.put(1, &format!("meanwhile {n}"), 100 + n, 70_000 * usize::from(n % 2 == 0) + 100).await;
        }
        let doomed = shop.files.keys().find(|(at, name)| *at == 0 && unreadable.contains(name)).unwrap().1.clone();
        shop.delete(0, &doomed).await;
        shop.engine().settle().await.unwrap();
        let disks = shop.engine().status(&Caller::operator()).await.unwrap().disks;
        assert_eq!((disks[0].state, disks[1].state), ("ok", "failed"));
        let mut again = Vec::new();
        assert_eq!(whole_files(&shop, &mut again).await + again.len(), shop.files.len());
        shop.close().await;
        let said = shop.rig.rebuild().unwrap_err().to_string();
        assert!(said.contains("storage.offline"), "{said}");
        shop.rig.config.storage.offline.clear();
        shop.engine = Some(shop.rig.open().unwrap());
        shop.engine().settle().await.unwrap();
        shop.all_there("the disk is back").await;
        shop.close().await;
        shop.rig.lose_index();
        shop.rig.rebuild().unwrap();
        shop.engine = Some(shop.rig.open().unwrap());
        shop.all_there("rebuilt").await;
    });
}

#[test]
fn a_disk_that_fails_while_others_are_well_is_read_on_and_they_take_the_uploads() {
    runtime().block_on(async {
        let mut shop = Shop::new(13).await;
        shop.engine().checkpoint().await.unwrap();
        shop.put(1, "after the checkpoint", 80, 70_000).await;
        shop.put(1, "and on the other disk", 81, 70_000).await;
        let second = shop.rig.volumes().into_iter().rfind(|path| path.starts_with("/data/second")).unwrap();
        shop.rig.disk.fail_sync_once(&second.to_string_lossy());
        for n in 0..4 {
            let sent = content(90 + n, 2_000);
            // What was there before stands where this is not acknowledged.
            let name = format!("2014-03-28/file {n}.mp4");
            if put(shop.engine(), &shop.bucket(0), &name, &sent, true, Lock::Open, 3_000).await.is_ok() {
                shop.files.insert((0, name), sent);
            }
        }
        shop.engine().failed().await;
        let (failing, acknowledged) = (shop.engine().failing_disks(), shop.engine().acknowledged());
        assert_eq!(failing, [Path::new("/data/second")]);
        assert!(shop.engine().close().await.is_err());
        shop.engine = None;
        shop.rig.config.storage.read_only = failing;
        shop.engine = Some(shop.rig.open_after(acknowledged).unwrap());
        assert_eq!(whole_files(&shop, &mut Vec::new()).await, shop.files.len());
        for n in 0..20 {
            shop.put(1, &format!("meanwhile {n}"), 100 + n, 70_000 * usize::from(n % 2 == 0) + 100).await;
        }
        shop.delete(0, "2014-03-28/file 5.mp4").await;
        shop.delete(0, "2014-03-28/file 4.mp4").await;
        shop.engine().settle().await.unwrap();
        assert_eq!(shop.rig.volumes().into_iter().rfind(|path| path.starts_with("/data/second")), Some(second));
        // What is on the disk is what was synced.
        shop.engine().checkpoint().await.unwrap();
        shop.die();
        shop.rig.config.storage.read_only.clear();
        for rebuilt in [false, true] {
            shop.engine = Some(shop.rig.open().unwrap());
            shop.engine().settle().await.unwrap();
            assert_eq!(whole_files(&shop, &mut Vec::new()).await, shop.files.len(), "rebuilt: {rebuilt}");
            for gone in ["2014-03-28/file 5.mp4", "2014-03-28/file 4.mp4"] {
                assert!(
                    read(shop.engine(), &shop.bucket(0), gone).await.is_err(),
                    "{gone} came back; rebuilt: {rebuilt}"
                );
            }
            assert_sound(shop.engine(), "the disk is well again").await;
            shop.close().await;
            shop.rig.lose_index();
            shop.rig.rebuild().unwrap();
        }
    });
}
