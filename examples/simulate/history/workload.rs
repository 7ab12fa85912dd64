//! What cameras, platforms and operators do in a history, one thing after another.

use std::time::Duration;

use kandian::domain::{AtTheEnd, Lock, Refusal, Secret};
use kandian::engine::{AccountChanges, Caller, Chore, Engine, Error, NewAccount, Result};

use super::chance::{Chance, Digest};
use super::model::{Change, File, Model, Slot, Sub};
use super::outbox::Manner;
use super::rig::{Rig, bucket, gigabytes, is_full, is_refused, platform};
use super::tally::Tally;
use super::uploads::key;
use super::verify::{read, see_alerts};

/// A stretch of a history between two starts.
pub struct Run<'a> {
    pub rig: &'a Rig,
    pub engine: &'a Engine,
    pub model: &'a mut Model,
    pub chance: &'a mut Chance,
    pub tally: &'a mut Tally,
    pub digest: &'a mut Digest,
    /// How many keys a bucket has, most.
    pub names: u64,
    /// Whether each step is told.
    pub verbose: bool,
}

impl Run<'_> {
    /// Counts what an operation came to; whether the store goes on.
    pub(super) fn ends<T>(&mut self, result: &Result<T>) -> bool {
        if self.verbose {
            println!("    {:?}", result.as_ref().map(|_| ()).map_err(ToString::to_string));
        }
        match result {
            Ok(_) => self.tally.acknowledged += 1,
            Err(error) if is_refused(error) || is_full(error) => self.tally.refused += 1,
            Err(_) => {
                self.tally.unknown += 1;
                return false;
            }
        }
        true
    }

    /// Some cameras overwrite, and some have much space.
    pub async fn prepare(&mut self) {
        if self.chance.one_in(2) {
            self.set_loop(1).await;
        }
        if self.chance.one_in(4) {
            self.resize(0, 40).await;
        }
    }

    /// Up to so many steps, until the store stops.
    pub async fn steps(&mut self, most: u64) {
        for number in 0..most {
            let pause = if self.chance.one_in(24) { 5_000 } else { 1 + self.chance.below(20) };
            self.rig.clock.advance(Duration::from_millis(pause));
            let goes_on = self.step().await;
            self.digest.add(u64::from(goes_on));
            self.digest.add(self.rig.disk.ops());
            if self.verbose {
                for line in self.rig.disk.told() {
                    println!("      {line}");
                }
                println!("  step {number}: goes on: {goes_on}, {} operations of the disk", self.rig.disk.ops());
            }
            if !goes_on || self.rig.disk.is_cut() {
                return;
            }
        }
    }

    /// One operation; whether the store goes on.
    async fn step(&mut self) -> bool {
        let open: Vec<usize> =
            (0..self.model.subs.len()).filter(|&i| self.model.subs[i].open == (true, false)).collect();
        if open.is_empty() {
            return self.open_sub().await;
        }
        let at = *self.chance.pick(&open);
        let what = self.chance.below(100);
        if self.verbose {
            println!("  {what} of sub-account {at}");
        }
        let goes_on = match what {
            0..30 => self.put(at).await,
            30..38 => self.put_many(at).await,
            38..43 => self.own().await,
            43..53 => self.multipart(at).await,
            53..61 => self.lock(at).await,
            61..69 => self.delete(at).await,
            69..71 => self.clear(at).await,
            71..76 => self.set_loop(at).await,
            76..79 => {
                let space = *self.chance.pick(&[1, 1, 2, 2, 3, 40]);
                self.resize(at, space).await
            }
            79 => self.close_sub(at).await,
            80 => self.open_sub().await,
            81..86 => self.deliver().await,
            86..89 => self.get(at).await,
            89 => self.rot(at).await,
            90 => self.account().await,
            91 => self.expire().await,
            92..95 => self.chores().await,
            95..97 => {
                let result = self.engine.settle().await;
                self.ends(&result)
            }
            _ => {
                let result = self.engine.checkpoint().await;
                self.ends(&result)
            }
        };
        let finish = self.chance.one_in(2);
        goes_on && (!finish || self.overwrite(at).await) && self.agrees(at).await
    }

    /// The counters of a sub-account are those of the model, as far as that knows.
    async fn agrees(&mut self, at: usize) -> bool {
        let sub = &mut self.model.subs[at];
        if sub.open != (true, false) {
            return true;
        }
        let Ok(view) = self.engine.sub_account_view(&Caller::operator(), &sub.ak).await else { return false };
        self.digest.add(view.used_bytes);
        assert_eq!(view.reserved_bytes, 0, "bytes are held by nobody");
        // What an overwrite has taken since is seen when it is done.
        if let Some(used) = sub.used().filter(|_| !sub.may_loop()) {
            assert_eq!(view.used_bytes, used, "bytes used");
            let locked = |file: &&File| file.lock == Lock::Locked;
            let locked: u64 = sub.files.values().filter_map(Slot::surely).filter(locked).map(File::size).sum();
            assert_eq!(view.locked_bytes, locked, "bytes locked");
        }
        if let Some(episodes) = sub.episodes {
            for (kind, open) in super::model::KINDS.into_iter().zip(episodes) {
                assert_eq!(view.episodes.contains(&kind), open, "the episode of {kind} of {}", sub.ak);
            }
        }
        if self.chance.one_in(8) {
            return see_alerts(self.engine, self.rig, self.model, self.tally).await.is_ok();
        }
        true
    }

    async fn open_sub(&mut self) -> bool {
        if self.model.subs.iter().filter(|s| s.open.0).count() >= 4 {
            return true;
        }
        let space = 2;
        let Ok(platform) = platform(self.engine) else { return false };
        let result = self.engine.open_sub_account(&platform, gigabytes(space)).await;
        match &result {
            Ok(opened) => self.model.subs.push(Sub::new(opened, space)),
            Err(_) => self.model.strays = true,
        }
        self.ends(&result)
    }

    fn some_file(&mut self, at: usize) -> Option<(usize, String)> {
        let keys: Vec<_> = self.model.subs[at].files.keys().cloned().collect();
        if keys.is_empty() { None } else { Some(self.chance.pick(&keys).clone()) }
    }

    /// A file that is surely there is read, and is what was stored.
    async fn get(&mut self, at: usize) -> bool {
        let Some((media, name)) = self.some_file(at) else { return true };
        let sub = &self.model.subs[at];
        let bytes = read(self.engine, &bucket(self.engine, &sub.buckets[media]), &name).await;
        let slot = &sub.files[&(media, name.clone())];
        match bytes {
            Ok(bytes) => {
                let right = slot.may.iter().flatten().any(|file| file.bytes() == bytes);
                assert!(right, "{name} was served with other bytes than any that were stored");
                true
            }
            Err(Error::Refused(Refusal::NoFile)) => {
                let gone = slot.may.contains(&None) || sub.may_loop();
                assert!(gone, "{name} is not there any more");
                true
            }
            // A disk that cannot read says so; nothing wrong has left.
            Err(_) => true,
        }
    }

    /// A byte on a disk turns into another: no file is served with it. Then it turns back.
    async fn rot(&mut self, at: usize) -> bool {
        let disk = &*self.rig.world.disk;
        let volumes = self.rig.config.storage.volumes.iter().filter_map(|dir| disk.list(dir).ok()).flatten();
        let volumes: Vec<_> = volumes.filter(|path| path.extension().is_some_and(|end| end == "kdv")).collect();
        if volumes.is_empty() {
            return true;
        }
        let path = self.chance.pick(&volumes).clone();
        let from = self.chance.below(100_000);
        let found = disk.open(&path).and_then(|file| file.next_data(4096 + from));
        let Ok(Some(place)) = found else { return true };
        let rotten = || self.rig.disk.rot(&path, place).expect("the file is there");
        rotten();
        for ((media, name), slot) in &self.model.subs[at].files {
            let target = bucket(self.engine, &self.model.subs[at].buckets[*media]);
            if let Ok(bytes) = read(self.engine, &target, name).await {
                let right = slot.may.iter().flatten().any(|file| file.bytes() == bytes);
                assert!(right, "{name} was served with a byte that had rotted");
            }
        }
        rotten();
        true
    }

    async fn lock(&mut self, at: usize) -> bool {
        let Some((_, name)) = self.some_file(at) else { return true };
        let lock = if self.chance.one_in(3) { Lock::Locked } else { Lock::Open };
        let (engine, gigabyte) = (self.engine, self.rig.scale.gigabyte);
        let sub = &mut self.model.subs[at];
        let Ok(platform) = platform(engine) else { return false };
        let Ok(named) = engine.sub_account(&platform, &sub.ak, &sub.sk) else { return false };
        let loops = sub.may_loop();
        let other = |file: &File| file.lock != lock;
        let slots = || [0, 1].map(|media| sub.files.get(&(media, name.clone()))).into_iter().flatten();
        let changes = slots().any(|slot| slot.surely().is_some_and(other));
        let may_change = slots().any(|slot| slot.may.iter().flatten().any(other));
        let result = engine.lock_sub_account_file(&platform, &named, &name, lock).await;
        for media in [0, 1] {
            let Some(slot) = sub.files.get_mut(&(media, name.clone())) else { continue };
            slot.relocked = true;
            // An overwrite may have taken it before.
            if loops && !slot.is_surely_locked() && !slot.may.contains(&None) {
                slot.may.push(None);
            }
            let locked = |file: &Option<File>| file.clone().map(|file| File { lock, ..file });
            match &result {
                Ok(()) => slot.may = slot.may.iter().map(locked).collect(),
                Err(error) if is_refused(error) => {}
                Err(_) => slot.may.extend(slot.may.clone().iter().map(locked)),
            }
        }
        match &result {
            Ok(()) if changes => sub.evaluate(gigabyte, Change::default()),
            Ok(()) if !may_change => {}
            Err(error) if is_refused(error) => {}
            _ => sub.doubt(),
        }
        self.ends(&result)
    }

    async fn delete(&mut self, at: usize) -> bool {
        let Some((media, name)) = self.some_file(at) else { return true };
        let gigabyte = self.rig.scale.gigabyte;
        let sub = &mut self.model.subs[at];
        let target = bucket(self.engine, &sub.buckets[media]);
        let result = self.engine.delete(&Caller::operator(), &target, &key(&name)).await;
        let slot = sub.slot(media, &name);
        assert!(!(result.is_ok() && slot.is_surely_locked()), "a locked file was deleted: {name}");
        let (there, may_be) = (slot.surely().map(File::size), slot.may.iter().any(Option::is_some));
        slot.deleted(&result);
        match (&result, there) {
            (Ok(()), Some(size)) => sub.evaluate(gigabyte, Change { lowered: size > 0, ..Change::default() }),
            // What is not there is deleted without a change.
            (Ok(()), None) if !may_be => {}
            (Err(error), _) if is_refused(error) => {}
            _ => sub.doubt(),
        }
        self.ends(&result)
    }

    async fn clear(&mut self, at: usize) -> bool {
        let (engine, gigabyte) = (self.engine, self.rig.scale.gigabyte);
        let sub = &mut self.model.subs[at];
        let Ok(platform) = platform(engine) else { return false };
        let Ok(named) = engine.sub_account(&platform, &sub.ak, &sub.sk) else { return false };
        let result = engine.clear_sub_account_files(&platform, &named).await;
        sub.cleared |= result.as_ref().err().is_none_or(|error| !is_refused(error));
        for slot in sub.files.values_mut() {
            let unlocked = |file: &Option<File>| file.as_ref().is_some_and(|f| f.lock == Lock::Open);
            match &result {
                Ok(()) => {
                    for file in &mut slot.may {
                        if unlocked(file) {
                            *file = None;
                        }
                    }
                    slot.may.dedup();
                }
                Err(error) if is_refused(error) => {}
                Err(_) => {
                    if slot.may.iter().any(unlocked) {
                        slot.may.push(None);
                    }
                }
            }
        }
        match &result {
            // Above its threshold by locked files alone, it is told of when something changes next.
            Ok(()) => match (sub.used(), sub.granted(gigabyte)) {
                (Some(used), Some(granted)) if used * 100 <= granted * 80 => {
                    sub.episodes = sub.episodes.map(|_| [false, false]);
                }
                _ => sub.doubt(),
            },
            Err(error) if is_refused(error) => {}
            Err(_) => sub.doubt(),
        }
        self.ends(&result)
    }

    async fn set_loop(&mut self, at: usize) -> bool {
        let at_the_end = if self.chance.one_in(2) { AtTheEnd::Overwrite } else { AtTheEnd::Stop };
        let (engine, gigabyte) = (self.engine, self.rig.scale.gigabyte);
        let sub = &mut self.model.subs[at];
        let Ok(platform) = platform(engine) else { return false };
        let Ok(named) = engine.sub_account(&platform, &sub.ak, &sub.sk) else { return false };
        let changes = sub.at_the_end != [at_the_end];
        let sure = sub.at_the_end.len() == 1 && !sub.looped;
        sub.looped = sub.may_loop();
        let result = engine.set_sub_account_space_policy(&platform, &named, at_the_end).await;
        match &result {
            Ok(()) => sub.at_the_end = vec![at_the_end],
            Err(_) => sub.at_the_end.push(at_the_end),
        }
        if result.is_ok() && sure && changes {
            sub.episodes = sub.episodes.map(|_| [false, false]);
        }
        if changes || !sure || result.is_err() {
            sub.evaluate(gigabyte, Change::default());
        }
        self.ends(&result)
    }

    async fn resize(&mut self, at: usize, space: u32) -> bool {
        let (engine, gigabyte) = (self.engine, self.rig.scale.gigabyte);
        let sub = &mut self.model.subs[at];
        let Ok(platform) = platform(engine) else { return false };
        let Ok(named) = engine.sub_account(&platform, &sub.ak, &sub.sk) else { return false };
        let result = engine.modify_sub_account_space(&platform, &named, gigabytes(space)).await;
        match &result {
            Ok(()) => {
                let lowered = sub.spaces.iter().all(|before| *before < space);
                sub.spaces = vec![space];
                sub.evaluate(gigabyte, Change { lowered, ..Change::default() });
            }
            Err(error) if is_refused(error) => {}
            Err(_) => {
                sub.spaces.push(space);
                sub.doubt();
            }
        }
        self.ends(&result)
    }

    async fn close_sub(&mut self, at: usize) -> bool {
        let engine = self.engine;
        let sub = &mut self.model.subs[at];
        let Ok(platform) = platform(engine) else { return false };
        let Ok(named) = engine.sub_account(&platform, &sub.ak, &sub.sk) else { return false };
        let result = engine.close_sub_account(&platform, &named).await;
        match &result {
            Ok(()) => sub.open = (false, true),
            Err(_) => sub.open.1 = true,
        }
        self.ends(&result)
    }

    /// The outbox is gone through once, for a platform in some mood.
    async fn deliver(&mut self) -> bool {
        let manner = *self.chance.pick(&[Manner::Deaf, Manner::Fails, Manner::Takes, Manner::Takes]);
        self.rig.platform.state().manner = manner;
        let result = self.engine.tick(Chore::Deliver).await;
        let seen = see_alerts(self.engine, self.rig, self.model, self.tally).await;
        result.is_ok() && seen.is_ok()
    }

    async fn chores(&mut self) -> bool {
        let chore = *self.chance.pick(&[Chore::Overwrite, Chore::Purge, Chore::Punch]);
        self.engine.tick(chore).await.is_ok()
    }

    /// A week passes in which nobody went on with what he had begun.
    async fn expire(&mut self) -> bool {
        if !self.chance.one_in(4) {
            return true;
        }
        self.rig.clock.advance(Duration::from_secs(8 * 86_400));
        let result = self.engine.tick(Chore::Expire).await;
        for sub in &mut self.model.subs {
            match &result {
                Ok(_) => {
                    let freed = sub.multiparts.iter().any(|multi| !multi.parts.is_empty());
                    sub.multiparts.clear();
                    // What was freed by several at once is looked at anew.
                    if freed {
                        sub.doubt();
                    }
                }
                Err(_) => {
                    sub.multiparts.iter_mut().for_each(|multi| multi.unsure = true);
                    sub.doubt();
                }
            }
        }
        for own in &mut self.model.own {
            own.parts = if result.is_ok() { Some(0) } else { None };
        }
        result.is_ok()
    }

    /// Another account is opened, changed or closed.
    async fn account(&mut self) -> bool {
        let operator = Caller::operator();
        let name = format!("extra-{}", self.chance.below(2));
        let parsed = name.parse().expect("a name");
        let space = 1 + u32::try_from(self.chance.below(9)).unwrap_or(0);
        let may = self.model.accounts.entry(name).or_insert_with(|| vec![None]);
        if may.contains(&None) {
            let new = NewAccount {
                name: parsed,
                password: Some(Secret::new("another")),
                space: gigabytes(space),
                alert_url: None,
                max_sub_accounts: None,
            };
            let result = self.engine.open_account(&operator, new).await;
            match &result {
                Ok(_) => *may = vec![Some(space)],
                Err(error) if is_refused(error) => may.retain(Option::is_some),
                Err(_) => may.push(Some(space)),
            }
            return self.ends(&result);
        }
        let (result, then) = if self.chance.one_in(2) {
            let changes = AccountChanges { space: Some(gigabytes(space)), ..AccountChanges::default() };
            (self.engine.modify_account(&operator, &parsed, changes).await.map(|_| ()), Some(space))
        } else {
            (self.engine.close_account(&operator, &parsed).await, None)
        };
        match &result {
            Ok(()) => *may = vec![then],
            Err(error) if is_refused(error) => {}
            Err(_) => may.push(then),
        }
        self.ends(&result)
    }
}
