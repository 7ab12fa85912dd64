//! Files as a province's administrators use them.

use std::time::Duration;

use futures_util::StreamExt;

use super::rig::{ACCOUNT, Rig, bucket, is_refused, open_account, open_sub, put, runtime};
use crate::domain::files::Part;
use crate::domain::{Lock, Media, Role};
use crate::engine::types::Who;
use crate::engine::{Caller, Chosen, Engine, FileFilter, FileName, Reading};

fn user(engine: &Engine, role: Role) -> Caller {
    let account = engine.inner.store.catalog.read().names[ACCOUNT];
    Caller::new(Who::User { name: "wang".into(), role, account: role.of_one_account().then_some(account) })
}

fn name(ak: &str, key: &str) -> FileName {
    FileName { ak: ak.to_owned(), media: Media::Recording, key: key.to_owned() }
}

/// Twenty clips, one in five minutes, and a camera that has them; its AK.
async fn clips(rig: &Rig, engine: &Engine) -> String {
    open_account(engine, 100).await;
    let opened = open_sub(engine, 50).await;
    let records = bucket(engine, opened.record_bucket.as_str());
    for n in 0..20 {
        rig.clock.advance(Duration::from_secs(300));
        put(engine, &records, &format!("a/{n:02}.mp4"), &[n; 100], true, Lock::Open, 100).await.unwrap();
    }
    opened.access_key.as_str().to_owned()
}

#[test]
fn files_are_found_by_time_lock_and_name_page_by_page() {
    runtime().block_on(async {
        let rig = Rig::new(1, 1 << 20);
        let engine = rig.open().unwrap();
        let ak = clips(&rig, &engine).await;
        let province = user(&engine, Role::Province);
        let all = FileFilter::of(&ak, Media::Recording);
        let first = engine.find_files(&province, &all, 0, 15).await.unwrap();
        assert_eq!((first.in_time, first.files.len(), first.next), (20, 15, Some(15)));
        assert_eq!(first.files[0].key, "a/19.mp4", "the newest comes first");
        let second = engine.find_files(&province, &all, 15, 15).await.unwrap();
        assert_eq!((second.files.len(), second.next), (5, None));
        let named = FileFilter { name: "/1".to_owned(), ..all.clone() };
        let named = engine.find_files(&province, &named, 0, 4).await.unwrap();
        assert_eq!((named.files.len(), named.next), (4, Some(4)));
        // An hour in the middle.
        let at = engine.now().seconds();
        let hour = FileFilter { from: Some(at - 3600), to: Some(at - 1), ..all.clone() };
        assert_eq!(engine.find_files(&province, &hour, 0, 100).await.unwrap().files.len(), 12);
        let edges = vec![at - 6000, at - 3000, at + 1];
        assert_eq!(engine.files_by_day(&province, &ak, Media::Recording, edges).await.unwrap(), [9, 11]);
        // Beside each other.
        let file = engine.file(&province, &ak, Media::Recording, "a/07.mp4").await.unwrap();
        let [before, after] = engine.neighbours(&province, &file).await.unwrap();
        assert_eq!([before.unwrap().key, after.unwrap().key], ["a/06.mp4", "a/08.mp4"]);
        let second = file.created_ms.div_euclid(1000) - 10;
        let [before, here, after] = engine.files_around(&province, &ak, Media::Recording, second).await.unwrap();
        assert_eq!([before, here, after].map(|file| file.unwrap().key), ["a/06.mp4", "a/07.mp4", "a/08.mp4"]);
        engine.close().await.unwrap();
    });
}

#[test]
fn a_day_shows_what_is_recorded_locked_and_missing_and_a_full_day_by_slots() {
    runtime().block_on(async {
        let rig = Rig::new(2, 1 << 20);
        let engine = rig.open().unwrap();
        let ak = clips(&rig, &engine).await;
        let province = user(&engine, Role::Province);
        engine.lock_files(&province, &[name(&ak, "a/05.mp4")], Lock::Locked, "盗窃案").await.unwrap();
        let now = engine.now().seconds();
        let day = engine.day(&province, &ak, now - 10_000..now + 76_400).await.unwrap();
        assert_eq!((day.files, day.cadence, day.to, day.rolled_up), (20, Some(300), now, false));
        let seconds = |part| day.spans.iter().filter(|s| s.part == part).map(|s| s.to - s.from).sum::<i64>();
        assert_eq!((seconds(Part::Recorded), seconds(Part::Locked), seconds(Part::Missing)), (5700, 300, 4000));

        let opened = open_sub(&engine, 10).await;
        let records = bucket(&engine, opened.record_bucket.as_str());
        for n in 0..2100 {
            rig.clock.advance(Duration::from_secs(2));
            let lock = if n == 1000 { Lock::Locked } else { Lock::Open };
            put(&engine, &records, &format!("{n}"), b"x", true, lock, 1).await.unwrap();
        }
        let now = engine.now().seconds();
        let day = engine.day(&province, opened.access_key.as_str(), now - 50_000..now + 10).await.unwrap();
        assert_eq!((day.files, day.rolled_up), (2100, true));
        assert_eq!(day.spans.iter().map(|span| span.files).sum::<u64>(), 2100);
        assert_eq!(day.spans.iter().filter(|span| span.part == Part::Locked).count(), 1);
        engine.close().await.unwrap();
    });
}

#[test]
fn locks_have_reasons_and_a_deletion_takes_what_was_previewed_and_no_more() {
    runtime().block_on(async {
        let rig = Rig::new(3, 1 << 20);
        let engine = rig.open().unwrap();
        let ak = clips(&rig, &engine).await;
        let (province, viewer) = (user(&engine, Role::Province), user(&engine, Role::Viewer));
        let two = [name(&ak, "a/01.mp4"), name(&ak, "gone")];
        assert!(is_refused(&engine.lock_files(&viewer, &two, Lock::Locked, "x").await.unwrap_err()));
        assert!(is_refused(&engine.lock_files(&province, &two, Lock::Locked, "  ").await.unwrap_err()));
        let told = engine.lock_files(&province, &two, Lock::Locked, "取证").await.unwrap();
        assert!(told[0].1.is_ok() && told[1].1.is_err());
        let file = engine.file(&viewer, &ak, Media::Recording, "a/01.mp4").await.unwrap();
        let reason = file.reason.unwrap();
        assert_eq!((file.locked, reason.reason.as_str(), reason.who.as_str()), (true, "取证", "wang"));

        let all = Chosen::Matching(FileFilter::of(&ak, Media::Recording));
        assert!(is_refused(&engine.preview_deletion(&viewer, &all).await.unwrap_err()));
        let preview = engine.preview_deletion(&province, &all).await.unwrap();
        assert_eq!((preview.files, preview.bytes, preview.locked), (19, 1900, 1));
        // One that comes after the preview stays.
        let sub = engine.sub_account_view(&province, &ak).await.unwrap();
        put(&engine, &bucket(&engine, &sub.record_bucket), "new", b"new", true, Lock::Open, 9).await.unwrap();
        assert!(is_refused(&engine.delete_files(&province, &all, preview.upto, "another").await.unwrap_err()));
        let report = engine.delete_files(&province, &all, preview.upto, &ak).await.unwrap();
        assert_eq!((report.files, report.bytes, report.kept), (19, 1900, 1));
        let left = engine.find_files(&province, &FileFilter::of(&ak, Media::Recording), 0, 100).await.unwrap();
        assert_eq!(left.files.iter().map(|file| file.key.as_str()).collect::<Vec<_>>(), ["new", "a/01.mp4"]);
        engine.lock_files(&province, &two[..1], Lock::Open, "结案").await.unwrap();
        let file = engine.file(&viewer, &ak, Media::Recording, "a/01.mp4").await.unwrap();
        assert!(!file.locked && file.reason.is_none());
        let log = engine.audit_log(&Caller::operator(), 100).await.unwrap();
        let lines = |what: &str| log.iter().filter(|(_, line)| line.what == what && line.who == "wang").count();
        assert_eq!((lines("LockFiles"), lines("UnlockFiles"), lines("DeleteObjects")), (1, 1, 1));
        engine.close().await.unwrap();
    });
}

#[test]
fn nobody_sees_files_of_another_account_and_operations_see_none() {
    runtime().block_on(async {
        let rig = Rig::new(4, 1 << 20);
        let engine = rig.open().unwrap();
        let ak = clips(&rig, &engine).await;
        let another = crate::domain::AccountId::new(999);
        let stranger = Caller::new(Who::User { name: "li".into(), role: Role::Province, account: Some(another) });
        for caller in [stranger, user(&engine, Role::Operations), user(&engine, Role::Auditor)] {
            let filter = FileFilter::of(&ak, Media::Recording);
            assert!(engine.find_files(&caller, &filter, 0, 1).await.is_err());
            assert!(engine.day(&caller, &ak, 0..86_400).await.is_err());
            assert!(engine.file(&caller, &ak, Media::Recording, "a/01.mp4").await.is_err());
            assert!(engine.read_file(&caller, &ak, Media::Recording, "a/01.mp4", Reading::Play).await.is_err());
            assert!(engine.pack_files(&caller, &Chosen::Names(vec![name(&ak, "a/01.mp4")])).await.is_err());
            assert!(engine.pack_files(&caller, &Chosen::Matching(filter)).await.is_err());
        }
        engine.close().await.unwrap();
    });
}

#[test]
fn an_archive_is_whole_and_its_manifest_is_right() {
    runtime().block_on(async {
        let rig = Rig::new(5, 1 << 20);
        let engine = rig.open().unwrap();
        let ak = clips(&rig, &engine).await;
        let viewer = user(&engine, Role::Viewer);
        let packed = engine.pack_files(&viewer, &Chosen::Matching(FileFilter::of(&ak, Media::Recording))).await.unwrap();
        let pieces: Vec<_> = packed.stream.collect().await;
        let bytes: Vec<u8> = pieces.into_iter().flat_map(|piece| piece.unwrap().to_vec()).collect();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a.zip"), &bytes).unwrap();
        let script = "import zipfile,csv,io,hashlib\nz=zipfile.ZipFile('a.zip')\nassert z.testzip() is None\n\
                      z.extractall('.')\nrows=list(csv.DictReader(io.StringIO(z.read('manifest.csv').decode('utf-8-sig'))))\n\
                      assert all(hashlib.sha256(z.read(r['name'])).hexdigest()==r['sha256'] for r in rows)\nprint(len(rows))";
        let run = |program: &str, arguments: &[&str]| {
            let out = std::process::Command::new(program).args(arguments).current_dir(dir.path()).output().unwrap();
            assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
            String::from_utf8(out.stdout).unwrap()
        };
        assert_eq!(run("python3", &["-c", script]).trim(), "20");
        assert_eq!(run("sha256sum", &["-c", "SHA256SUMS"]).lines().count(), 20);
        // A player's many ranges are one line.
        for _ in 0..3 {
            engine.read_file(&viewer, &ak, Media::Recording, "a/01.mp4", Reading::Play).await.unwrap();
        }
        put(&engine, &bucket(&engine, &engine.sub_account_view(&viewer, &ak).await.unwrap().record_bucket), "z", b"", true, Lock::Open, 1)
            .await
            .unwrap();
        let log = engine.audit_log(&Caller::operator(), 100).await.unwrap();
        let lines = |what: &str| log.iter().filter(|(_, line)| line.what == what && line.who == "wang").count();
        assert_eq!((lines("PlayFile"), lines("DownloadFile")), (1, 20));
        engine.close().await.unwrap();
    });
}
