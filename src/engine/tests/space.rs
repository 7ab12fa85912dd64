//! Quota, overwrite and alerts of section 3 and 8.1, held against the table of the reading.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::rig::{
    Chance, Rig, assert_sound, bucket, content, gigabytes, is_refused, key, open_account, open_sub, platform, put,
    runtime, seeds, sub_ref, swept,
};
use crate::domain::{AtTheEnd, Lock, ObjectId, Refusal, Timestamp, limits};
use crate::engine::{BucketRef, Caller, Engine, Error, ListQuery, OpenedSubAccount, SubAccountView};

/// One file as a list shows it.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    created: Timestamp,
    id: ObjectId,
    size: u64,
    lock: Lock,
}

struct Camera<'a> {
    engine: &'a Engine,
    sub: OpenedSubAccount,
    buckets: [BucketRef; 2],
}

impl<'a> Camera<'a> {
    async fn open(engine: &'a Engine, space: u32) -> Self {
        let sub = open_sub(engine, space).await;
        let buckets = [bucket(engine, sub.record_bucket.as_str()), bucket(engine, sub.picture_bucket.as_str())];
        Self { engine, sub, buckets }
    }

    async fn put(&self, media: usize, name: &str, len: usize, lock: Lock) -> crate::engine::Result<()> {
        let data = content(len as u64, len);
        swept(self.engine, put(self.engine, &self.buckets[media], name, &data, true, lock, 65_536)).await.map(|_| ())
    }

    async fn delete(&self, media: usize, name: &str) {
        self.engine.delete(&Caller::operator(), &self.buckets[media], &key(name)).await.unwrap();
    }

    async fn lock(&self, name: &str, lock: Lock) {
        let named = sub_ref(self.engine, self.sub.access_key.as_str(), self.sub.secret.expose()).unwrap();
        match self.engine.lock_sub_account_file(&platform(self.engine), &named, name, lock).await {
            // An overwrite was quicker.
            Ok(()) | Err(Error::Refused(Refusal::NoFile)) => {}
            Err(other) => panic!("{name}: {other}"),
        }
    }

    async fn at_the_end(&self, at_the_end: AtTheEnd) {
        let named = sub_ref(self.engine, self.sub.access_key.as_str(), self.sub.secret.expose()).unwrap();
        self.engine.set_sub_account_space_policy(&platform(self.engine), &named, at_the_end).await.unwrap();
    }

    async fn resize(&self, space: u32) {
        let named = sub_ref(self.engine, self.sub.access_key.as_str(), self.sub.secret.expose()).unwrap();
        self.engine.modify_sub_account_space(&platform(self.engine), &named, gigabytes(space)).await.unwrap();
    }

    async fn clear(&self) {
        let named = sub_ref(self.engine, self.sub.access_key.as_str(), self.sub.secret.expose()).unwrap();
        self.engine.clear_sub_account_files(&platform(self.engine), &named).await.unwrap();
    }

    async fn view(&self) -> SubAccountView {
        self.engine.sub_account_view(&Caller::operator(), self.sub.access_key.as_str()).await.unwrap()
    }

    /// Both buckets, oldest first.
    async fn files(&self) -> Vec<Seen> {
        let mut all = Vec::new();
        for bucket in &self.buckets {
            let query = ListQuery { max: 1000, ..ListQuery::default() };
            let page = self.engine.list(&Caller::operator(), bucket, query).await.unwrap();
            assert!(page.next.is_none());
            all.extend(page.objects.into_iter().map(|info| Seen {
                created: info.created,
                id: info.id,
                size: info.size.get(),
                lock: info.lock,
            }));
        }
        all.sort_by_key(|file| (file.created, file.id));
        all
    }

    /// Alerts so far, oldest first: kind and state.
    async fn alerts(&self) -> Vec<(&'static str, &'static str)> {
        let mut all = self.engine.alerts(&Caller::operator(), 1000).await.unwrap();
        all.reverse();
        all.into_iter().map(|alert| (alert.alert, alert.state)).collect()
    }
}

/// A box with one account, and a GB of so many bytes.
async fn begin(seed: u64, gigabyte: u64) -> (Rig, Engine) {
    let rig = Rig::new(seed, gigabyte);
    let engine = rig.open().unwrap();
    open_account(&engine, 1000).await;
    (rig, engine)
}

#[test]
fn an_overwrite_goes_by_short_steps_between_which_uploads_are_committed() {
    const SPACE: u64 = 1_000_000;
    const STEP: usize = limits::OVERWRITE_FILES_PER_STEP_MAX;
    runtime().block_on(async {
        let (_rig, engine) = begin(5, SPACE).await;
        let camera = Camera::open(&engine, 1).await;
        camera.at_the_end(AtTheEnd::Overwrite).await;
        for n in 0..901_u64 {
            let data = content(n, 1_000);
            put(&engine, &camera.buckets[0], &format!("f{n:03}"), &data, true, Lock::Open, 65_536).await.unwrap();
        }
        // A fifth of the space is to be freed: 200 files.
        let mut steps = Vec::new();
        while engine.inner.store.catalog.read().sub_accounts.values().any(|s| s.stats.sweep_left > 0) {
            let before = camera.files().await.len();
            crate::engine::reconcilers::sweep(&engine).await.unwrap();
            steps.push(before - camera.files().await.len());
            let between = format!("between{}", steps.len());
            put(&engine, &camera.buckets[1], &between, b"x", true, Lock::Open, 65_536).await.unwrap();
        }
        assert_eq!(steps, [STEP, STEP, STEP, 200 - 3 * STEP]);
    });
}

#[test]
fn an_overwrite_frees_its_share_oldest_first_and_no_more_than_a_file_over() {
    const SPACE: u64 = 1_000_000;
    const SHARE: u64 = SPACE / 5;
    let runtime = runtime();
    for seed in seeds(6) {
        let mut chance = Chance(seed);
        runtime.block_on(async {
            let (rig, engine) = begin(seed, SPACE).await;
            let camera = Camera::open(&engine, 1).await;
            camera.at_the_end(AtTheEnd::Overwrite).await;
            let mut overwrites = 0;
            for n in 0..60 {
                let when = format!("seed {seed}, upload {n}");
                // The clock of a server may stand, or go back: then the order of commits decides.
                if chance.one_in(2) {
                    rig.clock.advance(Duration::from_millis(500));
                }
                let before = camera.files().await;
                let size = if chance.one_in(10) { chance.below(600_000) } else { chance.below(120_000) };
                let lock = if chance.one_in(20) { Lock::Locked } else { Lock::Open };
                let name = format!("f{n}");
                let used: u64 = before.iter().map(|f| f.size).sum();
                let stored =
                    camera.put(usize::from(chance.one_in(2)), &name, usize::try_from(size).unwrap(), lock).await;
                while engine.inner.store.catalog.read().sub_accounts.values().any(|s| s.stats.sweep_left > 0) {
                    crate::engine::reconcilers::sweep(&engine).await.unwrap();
                }
                let after = camera.files().await;
                let view = camera.view().await;
                assert_eq!(view.used_bytes, after.iter().map(|f| f.size).sum::<u64>(), "{when}");
                assert!(view.used_bytes + view.reserved_bytes <= SPACE, "{when}: above the space");
                let gone: Vec<&Seen> = before.iter().filter(|f| !after.contains(f)).collect();
                let unlocked: Vec<&Seen> = before.iter().filter(|f| f.lock == Lock::Open).collect();
                assert_eq!(gone, unlocked[..gone.len()], "{when}: not the oldest unlocked ones");
                let nothing_left = after.iter().all(|f| f.lock == Lock::Locked);
                let freed: u64 = gone.iter().map(|f| f.size).sum();
                let times = view.overwrites - overwrites;
                overwrites = view.overwrites;
                match &stored {
                    Ok(()) => {}
                    Err(Error::Refused(Refusal::Full { .. })) => {
                        assert!(
                            nothing_left || view.locked_bytes + size > SPACE,
                            "{when}: refused, and room could be made"
                        );
                    }
                    Err(other) => panic!("{when}: {other}"),
                }
                let over = (used + size).saturating_sub(SPACE);
                let due = over > 0 || (used + size) * 100 > SPACE * 90;
                assert!(!due || times > 0 || stored.is_err(), "{when}: no overwrite at {used} + {size}");
                if times == 0 {
                    assert_eq!(freed, 0, "{when}: deleted without an overwrite");
                } else if !nothing_left {
                    assert!(freed >= SHARE, "{when}: freed {freed}");
                    // The last of each overwrite may be over by a file, which is less than the largest.
                    let most =
                        times * gone.iter().map(|f| f.size).max().unwrap_or(0) + (times - 1) * SHARE + SHARE.max(over);
                    assert!(freed < most.max(1), "{when}: {times} overwrites freed {freed}");
                    if let (1, Some(last)) = (times, gone.last()) {
                        assert!(freed - last.size < SHARE.max(over), "{when}: one file less would have been enough");
                    }
                }
                if chance.one_in(25) && stored.is_ok() {
                    camera.lock(&name, Lock::Locked).await;
                }
            }
            assert!(overwrites > 3, "seed {seed}: {overwrites} overwrites");
            assert!(
                !camera.alerts().await.contains(&("full", "pending")) || camera.view().await.locked_bytes > SPACE / 2
            );
            engine.settle().await.unwrap();
            assert_sound(&engine, &format!("seed {seed}")).await;
            engine.close().await.unwrap();
        });
    }
}

#[test]
fn sixty_four_writers_never_pass_the_space_and_none_is_refused() {
    const SPACE: u64 = 4 << 20;
    let runtime = runtime();
    runtime.block_on(async {
        let (_rig, engine) = begin(64, SPACE).await;
        let camera = Camera::open(&engine, 1).await;
        camera.at_the_end(AtTheEnd::Overwrite).await;
        engine.start();
        let done = Arc::new(AtomicBool::new(false));
        let watching = tokio::spawn({
            let (engine, done) = (engine.clone(), Arc::clone(&done));
            async move {
                let mut most = 0;
                while !done.load(Ordering::Acquire) {
                    let taken = engine
                        .inner
                        .store
                        .catalog
                        .read()
                        .sub_accounts
                        .values()
                        .map(|s| s.stats.used() + s.reserved)
                        .max();
                    most = most.max(taken.unwrap_or(0));
                    assert!(most <= SPACE, "used and reserved are {most}");
                    tokio::time::sleep(Duration::from_micros(200)).await;
                }
                most
            }
        });
        let writers = (0..64_u64).map(|writer| {
            let (engine, buckets) = (engine.clone(), camera.buckets.clone());
            tokio::spawn(async move {
                let mut chance = Chance(writer);
                for n in 0..12 {
                    let len = usize::try_from(chance.below(100_000)).unwrap();
                    let target = &buckets[usize::from(chance.one_in(2))];
                    let known = !chance.one_in(8);
                    let name = format!("w{writer}-{n}");
                    put(&engine, target, &name, &content(writer, len), known, Lock::Open, 20_000)
                        .await
                        .unwrap_or_else(|e| panic!("writer {writer}, file {n} of {len} bytes: {e}"));
                }
            })
        });
        for writer in futures_util::future::join_all(writers).await {
            writer.unwrap();
        }
        done.store(true, Ordering::Release);
        let most = watching.await.unwrap();
        assert!(most > SPACE / 2, "it never came near: {most}");
        assert!(camera.view().await.overwrites > 2);
        assert_eq!(camera.alerts().await, []);
        assert_eq!(camera.view().await.reserved_bytes, 0);
        assert_sound(&engine, "64 writers").await;
        engine.close().await.unwrap();
    });
}

#[test]
fn nearly_full_is_said_once_an_episode_and_withdrawn_at_its_end() {
    runtime().block_on(async {
        let (_rig, engine) = begin(1, 1000).await;
        let camera = Camera::open(&engine, 1).await;
        camera.put(0, "a", 800, Lock::Open).await.unwrap();
        assert_eq!(camera.alerts().await, [], "80 % is not above 80 %");
        camera.put(1, "b", 10, Lock::Open).await.unwrap();
        camera.put(1, "c", 10, Lock::Open).await.unwrap();
        assert_eq!(camera.alerts().await, [("nearly_full", "pending")]);
        camera.delete(1, "b").await;
        camera.put(1, "b", 10, Lock::Open).await.unwrap();
        assert_eq!(camera.alerts().await, [("nearly_full", "pending")], "no new episode above 75 %");
        camera.delete(0, "a").await;
        assert_eq!(camera.alerts().await, [("nearly_full", "withdrawn")]);
        camera.put(0, "a", 790, Lock::Open).await.unwrap();
        assert_eq!(camera.alerts().await, [("nearly_full", "withdrawn"), ("nearly_full", "pending")]);
        camera.resize(2).await;
        assert_eq!(camera.alerts().await[1], ("nearly_full", "withdrawn"), "growing ends an episode");
        engine.close().await.unwrap();
    });
}

#[test]
fn full_is_said_at_the_whole_space_and_at_a_refusal_once_an_episode() {
    runtime().block_on(async {
        let (_rig, engine) = begin(2, 1000).await;
        let camera = Camera::open(&engine, 1).await;
        camera.put(0, "a", 500, Lock::Open).await.unwrap();
        for _ in 0..2 {
            let refused = camera.put(0, "b", 501, Lock::Open).await;
            assert!(matches!(refused, Err(Error::Refused(Refusal::Full { .. }))), "{refused:?}");
        }
        assert_eq!(camera.alerts().await, [("full", "pending")]);
        let never = camera.put(0, "c", 1001, Lock::Open).await;
        assert!(matches!(never, Err(Error::Refused(Refusal::LargerThanTheSpace { .. }))));
        camera.put(0, "c", 500, Lock::Open).await.unwrap();
        assert_eq!(camera.alerts().await, [("full", "pending"), ("nearly_full", "pending")]);
        camera.delete(0, "c").await;
        assert_eq!(camera.alerts().await, [("full", "withdrawn"), ("nearly_full", "withdrawn")]);
        camera.put(0, "c", 500, Lock::Open).await.unwrap();
        let raised = [("nearly_full", "pending"), ("full", "pending")];
        assert_eq!(camera.alerts().await[2..], raised, "100 % is full without a refusal");
        camera.lock("a", Lock::Locked).await;
        camera.clear().await;
        assert_eq!(camera.files().await.len(), 1, "the locked one is left");
        assert!(camera.alerts().await.iter().all(|(_, state)| *state == "withdrawn"));
        engine.close().await.unwrap();
    });
}

#[test]
fn a_looping_sub_account_is_silent_until_what_is_left_is_locked() {
    runtime().block_on(async {
        let (_rig, engine) = begin(3, 1000).await;
        let camera = Camera::open(&engine, 1).await;
        camera.at_the_end(AtTheEnd::Overwrite).await;
        for n in 0..30 {
            camera.put(n % 2, &format!("f{n}"), 100, Lock::Open).await.unwrap();
            engine.settle().await.unwrap();
        }
        camera.put(0, "whole", 1000, Lock::Open).await.unwrap();
        engine.settle().await.unwrap();
        assert_eq!(camera.alerts().await, [], "an overwrite is not an alarm");
        assert_eq!(camera.files().await.len(), 0, "above 90 % of one file, that file goes");
        for n in 0..9 {
            camera.put(0, &format!("l{n}"), 100, Lock::Locked).await.unwrap();
        }
        assert_eq!(camera.alerts().await, []);
        camera.put(0, "l9", 50, Lock::Locked).await.unwrap();
        engine.settle().await.unwrap();
        assert_eq!(camera.alerts().await, [("nearly_full", "pending")], "stuck above 90 %");
        camera.put(0, "small", 20, Lock::Open).await.unwrap();
        engine.settle().await.unwrap();
        assert_eq!(camera.alerts().await, [("nearly_full", "pending")], "once an episode");
        let refused = camera.put(0, "big", 300, Lock::Open).await;
        assert!(matches!(refused, Err(Error::Refused(Refusal::Full { .. }))), "{refused:?}");
        assert_eq!(camera.alerts().await, [("nearly_full", "pending"), ("full", "pending")]);
        for n in 0..10 {
            camera.lock(&format!("l{n}"), Lock::Open).await;
        }
        engine.settle().await.unwrap();
        assert_eq!(camera.alerts().await, [("nearly_full", "withdrawn"), ("full", "withdrawn")]);
        assert_sound(&engine, "stuck and free again").await;
        engine.close().await.unwrap();
    });
}

#[test]
fn turning_the_loop_on_when_full_overwrites_at_once_and_ends_the_episode() {
    runtime().block_on(async {
        let (_rig, engine) = begin(4, 1000).await;
        let camera = Camera::open(&engine, 1).await;
        for n in 0..10 {
            camera.put(0, &format!("f{n}"), 100, Lock::Open).await.unwrap();
        }
        assert_eq!(camera.alerts().await, [("nearly_full", "pending"), ("full", "pending")]);
        camera.at_the_end(AtTheEnd::Overwrite).await;
        assert_eq!(camera.alerts().await, [("nearly_full", "withdrawn"), ("full", "withdrawn")]);
        engine.settle().await.unwrap();
        assert_eq!(camera.view().await.used_bytes, 800);
        assert_eq!(camera.alerts().await.len(), 2);
        engine.close().await.unwrap();
    });
}

#[test]
fn a_smaller_space_overwrites_what_loops_and_fills_what_does_not() {
    runtime().block_on(async {
        let (_rig, engine) = begin(5, 1000).await;
        let (looping, stopping) = (Camera::open(&engine, 4).await, Camera::open(&engine, 4).await);
        looping.at_the_end(AtTheEnd::Overwrite).await;
        for n in 0..30 {
            looping.put(n % 2, &format!("f{n}"), 100, Lock::Open).await.unwrap();
            stopping.put(n % 2, &format!("f{n}"), 100, Lock::Open).await.unwrap();
        }
        looping.resize(2).await;
        engine.settle().await.unwrap();
        assert!(looping.view().await.used_bytes <= 1800, "{}", looping.view().await.used_bytes);
        assert!(looping.files().await.len() >= 14, "no more than needed went");
        assert_eq!(looping.alerts().await, []);
        stopping.resize(2).await;
        engine.settle().await.unwrap();
        assert_eq!(stopping.view().await.used_bytes, 3000);
        assert_eq!(stopping.alerts().await, [("nearly_full", "pending"), ("full", "pending")]);
        let refused = stopping.put(0, "more", 1, Lock::Open).await;
        assert!(refused.is_err_and(|e| is_refused(&e)));
        stopping.resize(4).await;
        assert!(stopping.alerts().await.iter().all(|(_, state)| *state == "withdrawn"));
        stopping.put(0, "more", 1, Lock::Open).await.unwrap();
        assert_sound(&engine, "resized").await;
        engine.close().await.unwrap();
    });
}

#[test]
fn what_is_under_way_counts_and_comes_back_when_it_is_given_up() {
    runtime().block_on(async {
        let (_rig, engine) = begin(6, 1_000_000).await;
        let camera = Camera::open(&engine, 1).await;
        let operator = Caller::operator();
        let begun = super::rig::new_object("a", Some(700_000), Lock::Open);
        let upload = engine.put(&operator, &camera.buckets[0], begun).await.unwrap();
        assert_eq!(camera.view().await.reserved_bytes, 700_000);
        assert!(camera.put(0, "b", 400_000, Lock::Open).await.is_err_and(|e| is_refused(&e)));
        drop(upload);
        assert_eq!(camera.view().await.reserved_bytes, 0);
        camera.put(0, "b", 400_000, Lock::Open).await.unwrap();
        let new = super::rig::new_object("m", None, Lock::Open);
        let multi = engine.create_multipart(&operator, &camera.buckets[0], new).await.unwrap();
        let mut part =
            engine.put_part(&operator, &camera.buckets[0], &key("m"), multi, 1, Some(500_000)).await.unwrap();
        part.write(content(1, 500_000).into()).await.unwrap();
        part.finish(crate::engine::Finish::default()).await.unwrap();
        assert_eq!(camera.view().await.used_bytes, 900_000, "stored parts are used");
        assert!(camera.put(0, "c", 200_000, Lock::Open).await.is_err_and(|e| is_refused(&e)));
        engine.abort_multipart(&operator, &camera.buckets[0], &key("m"), multi).await.unwrap();
        assert_eq!(camera.view().await.used_bytes, 400_000);
        engine.settle().await.unwrap();
        assert_sound(&engine, "given up").await;
        engine.close().await.unwrap();
    });
}

#[test]
fn an_upload_of_unknown_length_that_cannot_fit_is_refused_and_not_left_waiting() {
    runtime().block_on(async {
        let (_rig, engine) = begin(7, 1_000_000).await;
        let camera = Camera::open(&engine, 1).await;
        camera.at_the_end(AtTheEnd::Overwrite).await;
        camera.put(0, "locked", 400_000, Lock::Locked).await.unwrap();
        let operator = Caller::operator();
        let start = std::time::Instant::now();
        let new = super::rig::new_object("a", None, Lock::Open);
        let mut upload = engine.put(&operator, &camera.buckets[0], new).await.unwrap();
        upload.write(content(1, 500_000).into()).await.unwrap();
        let more = swept(&engine, upload.write(content(1, 200_000).into())).await;
        assert!(matches!(more, Err(Error::Refused(Refusal::Full { .. }))), "{more:?}");
        let more = swept(&engine, upload.write(content(1, 600_000).into())).await;
        assert!(matches!(more, Err(Error::Refused(Refusal::LargerThanTheSpace { .. }))), "{more:?}");
        drop(upload);
        assert!(start.elapsed() < Duration::from_secs(20), "it waited");
        assert_eq!(camera.alerts().await, [("full", "pending")]);
        assert_eq!(camera.view().await.reserved_bytes, 0);
        engine.close().await.unwrap();
    });
}

#[test]
fn every_closed_sub_account_is_emptied_when_it_is_closed_not_every_other_one() {
    let rig = Rig::new(1, 8 << 20);
    let engine = rig.open().unwrap();
    runtime().block_on(async {
        open_account(&engine, 100).await;
        engine.start();
        for n in 0..6_u64 {
            let sub = open_sub(&engine, 1).await;
            let target = bucket(&engine, sub.record_bucket.as_str());
            put(&engine, &target, "f", &content(n, 1000), true, Lock::Open, 1000).await.unwrap();
            let named = sub_ref(&engine, sub.access_key.as_str(), sub.secret.expose()).unwrap();
            engine.close_sub_account(&platform(&engine), &named).await.unwrap();
            let is_empty = async {
                while !engine.inner.store.view().unwrap().closing().unwrap().is_empty() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            // Far below the timer that would find it without its bell.
            tokio::time::timeout(Duration::from_secs(30), is_empty).await.unwrap();
        }
        engine.close().await.unwrap();
    });
}
