//! Uploads of a history: whole, several at once, in parts, and into buckets of the account's own.

use std::collections::BTreeMap;
use std::future::Future;

use bytes::Bytes as Buf;
use kandian::domain::{AtTheEnd, ChecksumKind, ChecksumPlan, ChecksumType, Lock, Metadata, ObjectKey, Refusal};
use kandian::engine::{
    BucketRef, Caller, Chore, Completion, Engine, Error, Finish, NamedPart, NewObject, PutCondition, Result, Stored,
};
use kandian::wire::s3_checksum;

use super::chance::content;
use super::model::{Change, File, Files, Multipart, Own, Slot, slot, sum};
use super::rig::{bucket, is_refused};
use super::workload::Run;

/// The checksums with which uploads in parts are begun.
const PLANS: [Option<ChecksumPlan>; 3] = [
    None,
    Some(ChecksumPlan { kind: ChecksumKind::Crc32, covers: ChecksumType::Composite }),
    Some(ChecksumPlan { kind: ChecksumKind::Crc64Nvme, covers: ChecksumType::FullObject }),
];

pub fn key(text: &str) -> ObjectKey {
    text.parse().expect("a key")
}

pub fn new_object(name: &str, length: Option<u64>, lock: Lock) -> NewObject {
    NewObject {
        key: key(name),
        length,
        metadata: Metadata::default(),
        lock,
        checksum: None,
        condition: PutCondition::default(),
    }
}

/// Uploads in pieces of `step` bytes.
async fn put(
    engine: &Engine,
    bucket: &BucketRef,
    name: &str,
    data: &[u8],
    known: bool,
    lock: Lock,
    step: usize,
) -> Result<Stored> {
    let length = known.then_some(data.len() as u64);
    let mut upload = engine.put(&Caller::operator(), bucket, new_object(name, length, lock)).await?;
    for piece in data.chunks(step.max(1)) {
        upload.write(Buf::copy_from_slice(piece)).await?;
    }
    upload.finish(Finish::default()).await
}

/// Runs `work` while overwrites are made beside it, as they are once the engine is started. Where they cannot be made
/// any more, nobody waits for them.
async fn swept<T>(engine: &Engine, work: impl Future<Output = T>) -> Option<T> {
    let sweeping = async {
        while engine.tick(Chore::Overwrite).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        done = work => Some(done),
        () = sweeping => None,
    }
}

fn cut_off<T>() -> Result<T> {
    Err(Error::Broken("the store stopped while it was waited for".into()))
}

impl Run<'_> {
    fn size(&mut self) -> usize {
        let most = match self.chance.below(32) {
            0 => 1,
            1..20 => self.rig.scale.file_max / 8,
            20..30 => self.rig.scale.file_max,
            30 => 70_000,
            _ if self.rig.scale.parts => 3_500_000,
            _ => 140_000,
        };
        usize::try_from(self.chance.below(most)).unwrap_or(0)
    }

    fn name(&mut self) -> (usize, String) {
        (self.chance.index(2), format!("f{}", self.chance.below(self.names)))
    }

    pub(super) async fn put(&mut self, at: usize) -> bool {
        let (media, name) = self.name();
        let lock = if self.chance.one_in(12) { Lock::Locked } else { Lock::Open };
        let file = File::whole(self.chance.word(), self.size(), lock);
        if self.verbose {
            println!("    {name} of {media}: {file:?}");
        }
        let data = file.bytes();
        let (known, step) = (!self.chance.one_in(4), *self.chance.pick(&[7_777, 65_536, 400_000]));
        let (engine, gigabyte) = (self.engine, self.rig.scale.gigabyte);
        let sub = &mut self.model.subs[at];
        let target = bucket(engine, &sub.buckets[media]);
        let (used, granted, stops) = (sub.used(), sub.granted(gigabyte), sub.stops());
        let before = sub.slot(media, &name).clone();
        let uploaded = swept(engine, put(engine, &target, &name, &data, known, lock, step)).await;
        let result = uploaded.unwrap_or_else(cut_off);
        assert!(!(before.is_surely_locked() && result.is_ok()), "a locked file was replaced: {name}");
        if let (Some(used), Some(granted), true) = (used, granted, stops) {
            let fits = used + file.size() <= granted;
            match &result {
                Ok(_) => assert!(fits, "{} bytes more than are granted: {used} of {granted} were used", file.size()),
                Err(Error::Refused(Refusal::Full { .. } | Refusal::LargerThanTheSpace { .. })) => {
                    assert!(!fits, "{} bytes were refused: {used} of {granted} were used", file.size());
                }
                Err(_) => {}
            }
        }
        let lowered = before.surely().is_some_and(|old| old.size() > file.size());
        sub.slot(media, &name).stored(file, &result);
        self.settled(at, &result, lowered)
    }

    /// What an upload means for the space; whether the store goes on.
    fn settled(&mut self, at: usize, result: &Result<Stored>, lowered: bool) -> bool {
        let gigabyte = self.rig.scale.gigabyte;
        let sub = &mut self.model.subs[at];
        match result {
            Ok(_) => sub.evaluate(gigabyte, Change { lowered, ..Change::default() }),
            Err(Error::Refused(Refusal::Full { .. })) => {
                sub.evaluate(gigabyte, Change { refused: true, ..Change::default() });
            }
            Err(error) if is_refused(error) => {}
            // Before it was cut it may have been refused, and that written down.
            Err(_) => sub.doubt(),
        }
        self.ends(result)
    }

    /// Several at once, so that they share a group.
    pub(super) async fn put_many(&mut self, at: usize) -> bool {
        // No key twice: which of two would come last, nobody knows.
        let count = (2 + self.chance.below(4)).min(self.names);
        let mut uploads = Vec::new();
        let first = self.chance.below(self.names);
        for n in 0..count {
            let (media, name) = (self.chance.index(2), format!("f{}", (first + n) % self.names));
            let size = self.size().min(200_000);
            uploads.push((media, name, File::whole(self.chance.word(), size, Lock::Open)));
        }
        let engine = self.engine;
        let sub = &mut self.model.subs[at];
        let buckets = [bucket(engine, &sub.buckets[0]), bucket(engine, &sub.buckets[1])];
        let all = uploads.iter().map(|(media, name, file)| {
            let target = &buckets[*media];
            async move { put(engine, target, name, &file.bytes(), true, Lock::Open, 65_536).await }
        });
        let results = swept(engine, futures_util::future::join_all(all)).await;
        let results = results.unwrap_or_else(|| uploads.iter().map(|_| cut_off()).collect());
        for ((media, name, file), result) in uploads.into_iter().zip(&results) {
            sub.slot(media, &name).stored(file, result);
        }
        // In which order they came, nobody knows.
        sub.doubt();
        let mut goes_on = true;
        for result in &results {
            goes_on &= self.ends(result);
        }
        goes_on
    }

    pub(super) async fn multipart(&mut self, at: usize) -> bool {
        let operator = Caller::operator();
        let engine = self.engine;
        let under_way = self.model.subs[at].multiparts.len();
        if under_way == 0 || self.chance.one_in(4) {
            let (media, name) = self.name();
            let plan = *self.chance.pick(&PLANS);
            let sub = &mut self.model.subs[at];
            let target = bucket(engine, &sub.buckets[media]);
            let new = NewObject { checksum: plan, ..new_object(&name, None, Lock::Open) };
            let result = engine.create_multipart(&operator, &target, new).await;
            if let Ok(upload) = &result {
                let parts = BTreeMap::new();
                sub.multiparts.push(Multipart { upload: *upload, media, name, plan, parts, unsure: false });
            }
            return self.ends(&result);
        }
        let which = self.chance.index(under_way);
        match self.chance.below(8) {
            0..4 => self.part(at, which).await,
            4..7 => self.complete(at, which).await,
            _ => {
                let gigabyte = self.rig.scale.gigabyte;
                let sub = &mut self.model.subs[at];
                let multi = &mut sub.multiparts[which];
                let target = bucket(engine, &sub.buckets[multi.media]);
                let result = engine.abort_multipart(&operator, &target, &key(&multi.name), multi.upload).await;
                match &result {
                    Ok(()) => {
                        let freed: usize = multi.parts.values().map(|(.., len)| *len).sum();
                        sub.multiparts.remove(which);
                        sub.evaluate(gigabyte, Change { lowered: freed > 0, ..Change::default() });
                    }
                    Err(error) if is_refused(error) => {}
                    Err(_) => {
                        multi.unsure = true;
                        sub.doubt();
                    }
                }
                self.ends(&result)
            }
        }
    }

    async fn part(&mut self, at: usize, which: usize) -> bool {
        let engine = self.engine;
        let operator = Caller::operator();
        let number = *self.chance.pick(&[1, 2]);
        let (seed, known) = (self.chance.word(), self.chance.one_in(2));
        let large = self.rig.scale.parts && number == 1 && self.chance.one_in(4);
        let size = if large { 5 << 20 } else { self.size() };
        let sub = &mut self.model.subs[at];
        let multi = &mut sub.multiparts[which];
        let target = bucket(engine, &sub.buckets[multi.media]);
        let (name, upload) = (key(&multi.name), multi.upload);
        let data = content(seed, size);
        let length = known.then_some(size as u64);
        let checksum = multi.plan.map(|plan| sum(plan.kind, &data));
        let uploaded = swept(engine, async {
            let mut part = engine.put_part(&operator, &target, &name, upload, number, length).await?;
            for piece in data.chunks(200_000) {
                part.write(Buf::copy_from_slice(piece)).await?;
            }
            part.finish(Finish { md5: None, checksum }).await
        })
        .await;
        let result = uploaded.unwrap_or_else(cut_off);
        let mut lowered = false;
        match &result {
            Ok(stored) => {
                let old = multi.parts.insert(number, (stored.etag.to_string(), seed, size));
                lowered = old.is_some_and(|(.., len)| len > size);
            }
            Err(error) => multi.unsure |= !is_refused(error),
        }
        self.settled(at, &result, lowered)
    }

    async fn complete(&mut self, at: usize, which: usize) -> bool {
        let engine = self.engine;
        let sub = &mut self.model.subs[at];
        let multi = &mut sub.multiparts[which];
        let target = bucket(engine, &sub.buckets[multi.media]);
        let plan = multi.plan;
        let named = |(number, (etag, seed, len)): (&u16, &(String, u64, usize))| NamedPart {
            number: *number,
            etag: etag.clone(),
            checksums: plan
                .map(|plan| (plan.kind, s3_checksum::encode(&sum(plan.kind, &content(*seed, *len)))))
                .into_iter()
                .collect(),
        };
        let parts: Vec<_> = multi.parts.iter().map(named).collect();
        if parts.is_empty() {
            return true;
        }
        let said = Completion { parts, ..Completion::default() };
        let name = multi.name.clone();
        let result = engine.complete_multipart(&Caller::operator(), &target, &key(&name), multi.upload, said).await;
        let pieces = multi.parts.values().map(|&(_, seed, len)| (seed, len)).collect();
        let media = multi.media;
        match &result {
            Ok(_) => {
                sub.multiparts.remove(which);
            }
            Err(error) => multi.unsure |= !is_refused(error),
        }
        let file = File { pieces, plan, lock: Lock::Open };
        let lowered = sub.slot(media, &name).surely().is_some_and(|old| old.size() > file.size());
        sub.slot(media, &name).stored(file, &result);
        self.settled(at, &result, lowered)
    }

    /// Something with a bucket of the account's own.
    pub(super) async fn own(&mut self) -> bool {
        let engine = self.engine;
        let Ok(administrator) = self.rig.administrator(engine) else { return false };
        let name = format!("own-{}", self.chance.below(3));
        let Some(which) = self.model.own.iter().position(|own| own.name == name) else {
            let result = engine.create_bucket(&administrator, name.parse().expect("a name")).await;
            // What was refused is not there.
            if result.as_ref().err().is_none_or(|error| !is_refused(error)) {
                let there = (true, result.is_err());
                self.model.own.push(Own { name, there, files: Files::new(), parts: Some(0) });
            }
            return self.ends(&result);
        };
        let what = self.chance.below(8);
        let file = File::whole(self.chance.word(), self.size(), Lock::Open);
        let object = format!("f{}", self.chance.below(4));
        let own = &mut self.model.own[which];
        let target = bucket(engine, &own.name);
        match what {
            0..4 => {
                let result = put(engine, &target, &object, &file.bytes(), what < 3, Lock::Open, 65_536).await;
                slot(&mut own.files, 0, &object).stored(file, &result);
                self.ends(&result)
            }
            4 => {
                let result = engine.delete(&administrator, &target, &key(&object)).await;
                slot(&mut own.files, 0, &object).deleted(&result);
                self.ends(&result)
            }
            5 => {
                let name = key(&object);
                let result = async {
                    let new = new_object(&object, None, Lock::Open);
                    let upload = engine.create_multipart(&administrator, &target, new).await?;
                    let mut part = engine.put_part(&administrator, &target, &name, upload, 1, None).await?;
                    part.write(Buf::from(file.bytes())).await?;
                    part.finish(Finish::default()).await
                }
                .await;
                own.parts = match &result {
                    Ok(_) => own.parts.map(|bytes| bytes + file.size()),
                    Err(_) => None,
                };
                self.ends(&result)
            }
            _ => {
                let surely_full = own.files.values().any(|slot| !slot.may.contains(&None));
                let result = engine.delete_bucket(&administrator, &target).await;
                match &result {
                    Ok(()) => {
                        assert!(!surely_full, "{} was deleted with files in it", own.name);
                        self.model.own.remove(which);
                    }
                    Err(error) if is_refused(error) => {}
                    Err(_) => own.there.1 = true,
                }
                self.ends(&result)
            }
        }
    }

    /// After a change of a sub-account that overwrites: all of it is done, and held against the rules.
    pub(super) async fn overwrite(&mut self, at: usize) -> bool {
        let engine = self.engine;
        let sub = &self.model.subs[at];
        if sub.open != (true, false) || sub.at_the_end != [AtTheEnd::Overwrite] || sub.used().is_none() {
            return true;
        }
        for _ in 0..64 {
            match engine.tick(Chore::Overwrite).await {
                Ok(true) => {}
                Ok(false) => return self.after_overwrite(at).await,
                Err(_) => return false,
            }
        }
        panic!("an overwrite does not come to its end");
    }

    /// The oldest unlocked files are gone, and no others; what is left is at most 90 %, or locked.
    async fn after_overwrite(&mut self, at: usize) -> bool {
        let engine = self.engine;
        let gigabyte = self.rig.scale.gigabyte;
        let sub = &mut self.model.subs[at];
        let mut left = BTreeMap::new();
        for media in [0, 1] {
            let query = kandian::engine::ListQuery { max: 1000, ..Default::default() };
            let Ok(page) = engine.list(&Caller::operator(), &bucket(engine, &sub.buckets[media]), query).await else {
                return false;
            };
            left.extend(page.objects.into_iter().map(|info| ((media, info.key.as_str().to_owned()), info)));
        }
        let unlocked = || left.iter().filter(|(_, info)| info.lock == Lock::Open);
        let passed_over = |at: &(usize, String)| sub.files.get(at).is_some_and(|slot| slot.relocked);
        let oldest = unlocked().filter(|(at, _)| !passed_over(at)).map(|(_, info)| info.created).min();
        let any_unlocked = unlocked().next().is_some();
        let mut gone = 0;
        for (at, slot) in &mut sub.files {
            slot.relocked = false;
            let Some(file) = slot.surely() else { continue };
            if left.contains_key(at) {
                continue;
            }
            assert!(file.lock == Lock::Open, "an overwrite took {at:?}, which is locked");
            if let (Some(created), Some(oldest)) = (slot.created, oldest) {
                assert!(created <= oldest, "an overwrite took {at:?} before an older one");
            }
            *slot = Slot::empty();
            gone += 1;
        }
        self.tally.overwritten += gone;
        let used = sub.used().expect("it was known, and is");
        if let Some(granted) = sub.granted(gigabyte) {
            assert!(!any_unlocked || used * 100 <= granted * 90, "{used} of {granted} are used after an overwrite");
        }
        true
    }
}
