//! Power cuts at any operation, in recovery too, and the index made anew: what was acknowledged
//! is there, what was not is whole or absent.

use std::collections::BTreeMap;

use bytes::Bytes as Buf;

use super::rig::{
    ACCOUNT, Chance, Rig, administrator, assert_sound, bucket, content, gigabytes, is_refused, key, new_object,
    open_account, open_sub, platform, put, read, runtime, seeds, sub_ref, swept,
};
use crate::domain::{AtTheEnd, Checksum, ChecksumKind, ChecksumPlan, ChecksumType, Lock, Timestamp, UploadId};
use crate::engine::{Caller, Completion, Engine, Finish, ListQuery, NamedPart, NewObject, Result, loops};
use crate::wire::s3_checksum::{self, Hasher};
use crate::world::fake::Fate;

/// 8 MiB in a GB: a sub-account of 2 fills soon, and holds a part of 5 MiB.
const GB: u64 = 8 << 20;
const FATES: [Fate; 4] = [Fate::LoseAll, Fate::KeepAll, Fate::Random, Fate::Torn];

/// A file as it may be: pieces by seed and length.
#[derive(Clone, Debug, PartialEq)]
struct File {
    pieces: Vec<(u64, usize)>,
    /// The checksum with which it was uploaded in parts, a piece a part.
    plan: Option<ChecksumPlan>,
    lock: Lock,
}

/// One key: every state in which it may be found.
#[derive(Clone, Debug)]
struct Slot {
    may: Vec<Option<File>>,
    created: Option<Timestamp>,
    /// Its lock was changed since it was looked at last: an overwrite may have passed it over.
    relocked: bool,
}

#[derive(Clone, Debug)]
struct Multipart {
    upload: UploadId,
    media: usize,
    name: String,
    plan: Option<ChecksumPlan>,
    /// Acknowledged parts: number to tag, seed and length.
    parts: BTreeMap<u16, (String, u64, usize)>,
    /// A part, a completion or an abort has an unknown end.
    unsure: bool,
}

#[derive(Clone, Debug)]
struct Sub {
    ak: String,
    sk: String,
    buckets: [String; 2],
    spaces: Vec<u32>,
    at_the_end: Vec<AtTheEnd>,
    /// It looped at some time since it was looked at last.
    looped: bool,
    /// Whether it may be open, whether it may be closed.
    open: (bool, bool),
    files: BTreeMap<(usize, String), Slot>,
    multiparts: Vec<Multipart>,
}

/// An own bucket of the account, by name; a name may be deleted and made again.
#[derive(Clone, Debug)]
struct Own {
    name: String,
    /// Whether it may be there, whether it may be gone.
    there: (bool, bool),
    files: BTreeMap<(usize, String), Slot>,
    /// Bytes of parts of uploads under way; `None` where they are not known.
    parts: Option<u64>,
}

#[derive(Default)]
struct Model {
    subs: Vec<Sub>,
    own: Vec<Own>,
    /// Sub-accounts whose opening has an unknown end.
    strays: bool,
}

/// The checksums with which uploads in parts are begun.
const PLANS: [Option<ChecksumPlan>; 3] = [
    None,
    Some(ChecksumPlan { kind: ChecksumKind::Crc32, covers: ChecksumType::Composite }),
    Some(ChecksumPlan { kind: ChecksumKind::Crc64Nvme, covers: ChecksumType::FullObject }),
];

fn sum(kind: ChecksumKind, data: &[u8]) -> Checksum {
    let mut hasher = Hasher::new(kind);
    hasher.update(data);
    hasher.finish()
}

/// The checksum that a file must have: of its bytes, or of its pieces' digests.
fn checksum_of(file: &File) -> Option<Checksum> {
    let plan = file.plan?;
    if plan.covers == ChecksumType::FullObject {
        return Some(sum(plan.kind, &bytes_of(file)));
    }
    let digests: Vec<u8> =
        file.pieces.iter().flat_map(|&(seed, len)| sum(plan.kind, &content(seed, len)).digest).collect();
    Some(Checksum { parts: u16::try_from(file.pieces.len()).unwrap(), ..sum(plan.kind, &digests) })
}

fn bytes_of(file: &File) -> Vec<u8> {
    file.pieces.iter().flat_map(|&(seed, len)| content(seed, len)).collect()
}

impl Sub {
    fn new(opened: &crate::engine::OpenedSubAccount, space: u32) -> Self {
        Self {
            ak: opened.access_key.as_str().to_owned(),
            sk: opened.secret.expose().to_owned(),
            buckets: [opened.record_bucket.as_str().to_owned(), opened.picture_bucket.as_str().to_owned()],
            spaces: vec![space],
            at_the_end: vec![AtTheEnd::Stop],
            looped: false,
            open: (true, false),
            files: BTreeMap::new(),
            multiparts: Vec::new(),
        }
    }

    fn slot(&mut self, media: usize, name: &str) -> &mut Slot {
        slot(&mut self.files, media, name)
    }

    fn may_loop(&self) -> bool {
        self.looped || self.at_the_end.contains(&AtTheEnd::Overwrite)
    }

    /// An upload of `file` ended so.
    fn stored(&mut self, media: usize, name: &str, file: File, result: &Result<crate::engine::Stored>) {
        self.slot(media, name).stored(file, result);
    }
}

fn slot<'f>(files: &'f mut BTreeMap<(usize, String), Slot>, media: usize, name: &str) -> &'f mut Slot {
    files.entry((media, name.to_owned())).or_insert_with(|| Slot { may: vec![None], created: None, relocked: false })
}

impl Slot {
    fn stored(&mut self, file: File, result: &Result<crate::engine::Stored>) {
        match result {
            Ok(stored) => *self = Self { may: vec![Some(file)], created: Some(stored.created), relocked: false },
            Err(error) if is_refused(error) => {}
            Err(_) => {
                self.may.push(Some(file));
                self.created = None;
            }
        }
    }
}

struct Run<'a> {
    engine: &'a Engine,
    model: &'a mut Model,
    chance: &'a mut Chance,
}

/// Whether the world still stands after this.
fn stands<T>(result: &Result<T>) -> bool {
    match result {
        Ok(_) => true,
        Err(error) => is_refused(error),
    }
}

impl Run<'_> {
    fn size(&mut self) -> usize {
        let most = match self.chance.below(16) {
            0 => 1,
            1..5 => 3_000,
            5..8 => 70_000,
            8..15 => 300_000,
            _ => 3_500_000,
        };
        usize::try_from(self.chance.below(most)).unwrap()
    }

    /// One operation; whether the store goes on.
    async fn step(&mut self) -> bool {
        let open: Vec<usize> = (0..self.model.subs.len()).filter(|&i| self.model.subs[i].open.0).collect();
        if open.is_empty() {
            return self.open_sub().await;
        }
        let at = *self.chance.pick(&open);
        match self.chance.below(100) {
            0..36 => self.put(at).await,
            36..46 => self.put_many(at).await,
            46..52 => self.own(at).await,
            52..62 => self.multipart(at).await,
            62..72 => self.lock(at).await,
            72..82 => self.delete(at).await,
            82..85 => self.clear(at).await,
            85..89 => self.set_loop(at).await,
            89..92 => self.resize(at).await,
            92..93 => self.close_sub(at).await,
            93..95 => self.open_sub().await,
            95..98 => stands(&self.engine.settle().await),
            _ => stands(&self.engine.checkpoint().await),
        }
    }

    async fn open_sub(&mut self) -> bool {
        if self.model.subs.iter().filter(|s| s.open.0).count() >= 4 {
            return true;
        }
        let space = 2;
        let result = self.engine.open_sub_account(&platform(self.engine), gigabytes(space)).await;
        match &result {
            Ok(opened) => self.model.subs.push(Sub::new(opened, space)),
            Err(_) => self.model.strays = true,
        }
        stands(&result)
    }

    async fn put(&mut self, at: usize) -> bool {
        let (media, name) = (self.chance.index(2), format!("f{}", self.chance.below(24)));
        let file = File {
            pieces: vec![(self.chance.next(), self.size())],
            plan: None,
            lock: if self.chance.one_in(12) { Lock::Locked } else { Lock::Open },
        };
        let data = bytes_of(&file);
        let (known, step) = (!self.chance.one_in(4), *self.chance.pick(&[7_777, 65_536, 400_000]));
        let sub = &mut self.model.subs[at];
        let target = bucket(self.engine, &sub.buckets[media]);
        let result = swept(self.engine, put(self.engine, &target, &name, &data, known, file.lock, step)).await;
        let before = sub.slot(media, &name).clone();
        let locked = before.may.iter().all(|f| f.as_ref().is_some_and(|f| f.lock == Lock::Locked));
        assert!(!(locked && result.is_ok()), "a locked file was replaced: {name}");
        sub.stored(media, &name, file, &result);
        stands(&result)
    }

    /// Several at once, so that they share a group.
    async fn put_many(&mut self, at: usize) -> bool {
        let count = 2 + self.chance.below(5);
        let mut uploads = Vec::new();
        let first = self.chance.below(24);
        for n in 0..count {
            let (media, name) = (self.chance.index(2), format!("f{}", (first + n) % 24));
            let size = self.size().min(200_000);
            uploads.push((
                media,
                name,
                File { pieces: vec![(self.chance.next(), size)], plan: None, lock: Lock::Open },
            ));
        }
        let engine = self.engine;
        let sub = &mut self.model.subs[at];
        let buckets = [bucket(engine, &sub.buckets[0]), bucket(engine, &sub.buckets[1])];
        let all = uploads.iter().map(|(media, name, file)| {
            let target = &buckets[*media];
            async move { put(engine, target, name, &bytes_of(file), true, Lock::Open, 65_536).await }
        });
        let results = swept(engine, futures_util::future::join_all(all)).await;
        for ((media, name, file), result) in uploads.into_iter().zip(&results) {
            sub.stored(media, &name, file, result);
        }
        results.iter().all(stands)
    }

    async fn multipart(&mut self, at: usize) -> bool {
        let operator = Caller::operator();
        let engine = self.engine;
        let under_way = self.model.subs[at].multiparts.len();
        if under_way == 0 || self.chance.one_in(4) {
            let (media, name) = (self.chance.index(2), format!("f{}", self.chance.below(24)));
            let plan = *self.chance.pick(&PLANS);
            let sub = &mut self.model.subs[at];
            let target = bucket(engine, &sub.buckets[media]);
            let new = NewObject { checksum: plan, ..new_object(&name, None, Lock::Open) };
            let result = engine.create_multipart(&operator, &target, new).await;
            if let Ok(upload) = &result {
                let parts = BTreeMap::new();
                sub.multiparts.push(Multipart { upload: *upload, media, name, plan, parts, unsure: false });
            }
            return stands(&result);
        }
        let which = self.chance.index(under_way);
        let what = self.chance.below(8);
        let number = *self.chance.pick(&[1, 2]);
        let (seed, known) = (self.chance.next(), self.chance.one_in(2));
        let size = if number == 1 && self.chance.one_in(4) { 5 << 20 } else { self.size() };
        let sub = &mut self.model.subs[at];
        let target = bucket(engine, &sub.buckets[sub.multiparts[which].media]);
        let multi = &mut sub.multiparts[which];
        let name = key(&multi.name);
        match what {
            0..4 => {
                let data = content(seed, size);
                let length = known.then_some(size as u64);
                let upload = multi.upload;
                let checksum = multi.plan.map(|plan| sum(plan.kind, &data));
                let result = swept(engine, async {
                    let mut part = engine.put_part(&operator, &target, &name, upload, number, length).await?;
                    for piece in data.chunks(200_000) {
                        part.write(Buf::copy_from_slice(piece)).await?;
                    }
                    part.finish(Finish { md5: None, checksum }).await
                })
                .await;
                match &result {
                    Ok(stored) => {
                        multi.parts.insert(number, (stored.etag.to_string(), seed, size));
                    }
                    Err(error) => multi.unsure |= !is_refused(error),
                }
                stands(&result)
            }
            4..7 => {
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
                let result = engine.complete_multipart(&operator, &target, &name, multi.upload, said).await;
                let pieces = multi.parts.values().map(|&(_, seed, len)| (seed, len)).collect();
                let (media, name) = (multi.media, multi.name.clone());
                match &result {
                    Ok(_) => {
                        sub.multiparts.remove(which);
                    }
                    Err(error) => multi.unsure |= !is_refused(error),
                }
                sub.stored(media, &name, File { pieces, plan, lock: Lock::Open }, &result);
                stands(&result)
            }
            _ => {
                let result = engine.abort_multipart(&operator, &target, &name, multi.upload).await;
                match &result {
                    Ok(()) => {
                        sub.multiparts.remove(which);
                    }
                    Err(error) => multi.unsure |= !is_refused(error),
                }
                stands(&result)
            }
        }
    }

    fn some_file(&mut self, at: usize) -> Option<(usize, String)> {
        let keys: Vec<_> = self.model.subs[at].files.keys().cloned().collect();
        if keys.is_empty() { None } else { Some(self.chance.pick(&keys).clone()) }
    }

    async fn lock(&mut self, at: usize) -> bool {
        let Some((_, name)) = self.some_file(at) else { return true };
        let lock = if self.chance.one_in(3) { Lock::Locked } else { Lock::Open };
        let engine = self.engine;
        let sub = &mut self.model.subs[at];
        let named = sub_ref(engine, &sub.ak, &sub.sk).unwrap();
        let result = engine.lock_sub_account_file(&platform(engine), &named, &name, lock).await;
        for media in [0, 1] {
            let Some(slot) = sub.files.get_mut(&(media, name.clone())) else { continue };
            slot.relocked = true;
            let locked = |file: &Option<File>| file.clone().map(|file| File { lock, ..file });
            match &result {
                Ok(()) => slot.may = slot.may.iter().map(locked).collect(),
                Err(error) if is_refused(error) => {}
                Err(_) => slot.may.extend(slot.may.clone().iter().map(locked)),
            }
        }
        stands(&result)
    }

    async fn delete(&mut self, at: usize) -> bool {
        let Some((media, name)) = self.some_file(at) else { return true };
        let sub = &mut self.model.subs[at];
        let target = bucket(self.engine, &sub.buckets[media]);
        let result = self.engine.delete(&Caller::operator(), &target, &key(&name)).await;
        let slot = sub.slot(media, &name);
        match &result {
            Ok(()) => {
                let locked = slot.may.iter().all(|f| f.as_ref().is_some_and(|f| f.lock == Lock::Locked));
                assert!(!locked, "a locked file was deleted: {name}");
                *slot = Slot { may: vec![None], created: None, relocked: false };
            }
            Err(error) if is_refused(error) => {}
            Err(_) => slot.may.push(None),
        }
        stands(&result)
    }

    async fn clear(&mut self, at: usize) -> bool {
        let engine = self.engine;
        let sub = &mut self.model.subs[at];
        let named = sub_ref(engine, &sub.ak, &sub.sk).unwrap();
        let result = engine.clear_sub_account_files(&platform(engine), &named).await;
        for slot in sub.files.values_mut() {
            let unlocked = |file: &Option<File>| file.as_ref().is_some_and(|f| f.lock == Lock::Open);
            match &result {
                Ok(()) => {
                    for file in &mut slot.may {
                        if unlocked(file) {
                            *file = None;
                        }
                    }
                }
                Err(error) if is_refused(error) => {}
                Err(_) => {
                    if slot.may.iter().any(unlocked) {
                        slot.may.push(None);
                    }
                }
            }
        }
        stands(&result)
    }

    async fn set_loop(&mut self, at: usize) -> bool {
        let at_the_end = if self.chance.one_in(2) { AtTheEnd::Overwrite } else { AtTheEnd::Stop };
        let engine = self.engine;
        let sub = &mut self.model.subs[at];
        let named = sub_ref(engine, &sub.ak, &sub.sk).unwrap();
        sub.looped = sub.may_loop();
        let result = engine.set_sub_account_space_policy(&platform(engine), &named, at_the_end).await;
        match &result {
            Ok(()) => sub.at_the_end = vec![at_the_end],
            Err(_) => sub.at_the_end.push(at_the_end),
        }
        stands(&result)
    }

    async fn resize(&mut self, at: usize) -> bool {
        let space = *self.chance.pick(&[1, 2, 3]);
        let engine = self.engine;
        let sub = &mut self.model.subs[at];
        let named = sub_ref(engine, &sub.ak, &sub.sk).unwrap();
        let result = engine.modify_sub_account_space(&platform(engine), &named, gigabytes(space)).await;
        match &result {
            Ok(()) => sub.spaces = vec![space],
            Err(error) if is_refused(error) => {}
            Err(_) => sub.spaces.push(space),
        }
        stands(&result)
    }

    /// Something with a bucket of the account's own.
    async fn own(&mut self, seed: usize) -> bool {
        let engine = self.engine;
        let administrator = administrator(engine, ACCOUNT);
        let name = format!("own-{}", self.chance.below(3));
        let Some(which) = self.model.own.iter().position(|own| own.name == name) else {
            let result = engine.create_bucket(&administrator, name.parse().unwrap()).await;
            let there = (true, result.is_err());
            self.model.own.push(Own { name, there, files: BTreeMap::new(), parts: Some(0) });
            return stands(&result);
        };
        let what = self.chance.below(8);
        let file = File { pieces: vec![(self.chance.next() ^ seed as u64, self.size())], plan: None, lock: Lock::Open };
        let object = format!("f{}", self.chance.below(4));
        let own = &mut self.model.own[which];
        let target = bucket(engine, &own.name);
        match what {
            0..4 => {
                let data = bytes_of(&file);
                let result = put(engine, &target, &object, &data, what < 3, Lock::Open, 65_536).await;
                slot(&mut own.files, 0, &object).stored(file, &result);
                stands(&result)
            }
            4 => {
                let result = engine.delete(&administrator, &target, &key(&object)).await;
                let slot = slot(&mut own.files, 0, &object);
                match &result {
                    Ok(()) => *slot = Slot { may: vec![None], created: None, relocked: false },
                    Err(error) if is_refused(error) => {}
                    Err(_) => slot.may.push(None),
                }
                stands(&result)
            }
            5 => {
                let name = key(&object);
                let result = async {
                    let new = new_object(&object, None, Lock::Open);
                    let upload = engine.create_multipart(&administrator, &target, new).await?;
                    let mut part = engine.put_part(&administrator, &target, &name, upload, 1, None).await?;
                    part.write(Buf::from(bytes_of(&file))).await?;
                    part.finish(Finish::default()).await
                }
                .await;
                own.parts = match &result {
                    Ok(_) => own.parts.map(|bytes| bytes + file.pieces[0].1 as u64),
                    Err(_) => None,
                };
                stands(&result)
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
                stands(&result)
            }
        }
    }

    async fn close_sub(&mut self, at: usize) -> bool {
        let engine = self.engine;
        let sub = &mut self.model.subs[at];
        let named = sub_ref(engine, &sub.ak, &sub.sk).unwrap();
        let result = engine.close_sub_account(&platform(engine), &named).await;
        match &result {
            Ok(()) => sub.open = (false, true),
            Err(_) => sub.open.1 = true,
        }
        stands(&result)
    }
}

/// Holds some buckets against the model, and takes what is seen as what is.
async fn observe(
    engine: &Engine,
    buckets: &[String],
    files: &mut BTreeMap<(usize, String), Slot>,
    may_loop: bool,
    when: &str,
) {
    let operator = Caller::operator();
    let mut seen = BTreeMap::new();
    for (media, name) in buckets.iter().enumerate() {
        let target = bucket(engine, name);
        let query = ListQuery { max: 1000, ..ListQuery::default() };
        for info in engine.list(&operator, &target, query).await.unwrap().objects {
            let bytes = read(engine, &target, info.key.as_str()).await;
            let bytes = bytes.unwrap_or_else(|e| panic!("{when}: {} cannot be read: {e}", info.key));
            let checksum = engine.open_object(&operator, &target, &info.key).await.unwrap().checksum.clone();
            seen.insert((media, info.key.as_str().to_owned()), (info, bytes, checksum));
        }
    }
    let passed_over = |at: &(usize, String)| files.get(at).is_some_and(|slot| slot.relocked);
    let left = seen.iter().filter(|(at, (info, ..))| info.lock == Lock::Open && !passed_over(at));
    let oldest_left = left.map(|(_, (info, ..))| info.created).min();
    for (at, slot) in files.iter_mut() {
        let found = seen.remove(at);
        let state = match &found {
            None => {
                let may_be_gone = slot.may.contains(&None);
                if !may_be_gone {
                    let unlocked = slot.may.iter().any(|f| f.as_ref().is_some_and(|f| f.lock == Lock::Open));
                    assert!(may_loop && unlocked, "{when}: {at:?} is gone, and may only be {:?}", slot.may);
                    if let (Some(created), Some(oldest)) = (slot.created, oldest_left) {
                        assert!(created <= oldest, "{when}: {at:?} was overwritten before an older one");
                    }
                }
                None
            }
            Some((info, bytes, checksum)) => {
                let same = |may: &&Option<File>| {
                    may.as_ref().is_some_and(|file| {
                        file.lock == info.lock && bytes_of(file) == *bytes && checksum_of(file) == *checksum
                    })
                };
                let may = slot.may.iter().find(same);
                let may = may.unwrap_or_else(|| {
                    let size = bytes.len();
                    let (lock, may) = (info.lock, &slot.may);
                    panic!("{when}: {at:?} has {size} bytes, {lock:?}, {checksum:?}, and may only be {may:?}")
                });
                may.clone()
            }
        };
        *slot = Slot { may: vec![state], created: found.map(|(info, ..)| info.created), relocked: false };
    }
    assert!(seen.is_empty(), "{when}: files that nobody stored: {:?}", seen.keys());
    files.retain(|_, slot| slot.may != [None]);
}

/// Holds the own buckets against the model.
async fn verify_own(engine: &Engine, model: &mut Model, when: &str) {
    let administrator = administrator(engine, ACCOUNT);
    let mut used = Some(0);
    for own in &mut model.own {
        let there = engine.bucket(&administrator, &own.name).is_ok();
        assert!(if there { own.there.0 } else { own.there.1 }, "{when}: {} is there: {there}", own.name);
        own.there = (there, !there);
        if there {
            observe(engine, std::slice::from_ref(&own.name), &mut own.files, false, when).await;
            let files: u64 = own.files.values().flat_map(|s| &s.may[0]).map(|f| bytes_of(f).len() as u64).sum();
            used = used.zip(own.parts).map(|(used, parts)| used + parts + files);
        }
    }
    model.own.retain(|own| own.there.0);
    let seen = engine.buckets(&administrator).unwrap().into_iter().filter(|b| b.media.is_none()).count();
    assert_eq!(seen, model.own.len(), "{when}: own buckets that nobody made");
    let account = engine.account(&Caller::operator(), &ACCOUNT.parse().unwrap()).await.unwrap();
    assert!(used.is_none_or(|used| used == account.own_bytes), "{when}: {used:?} and {}", account.own_bytes);
    assert_eq!(account.own_buckets, model.own.len() as u64, "{when}: own buckets counted");
    for own in &mut model.own {
        if own.parts.is_none() {
            let target = bucket(engine, &own.name);
            for info in engine.list_multipart(&administrator, &target, "").await.unwrap() {
                engine.abort_multipart(&administrator, &target, &info.key, info.id).await.unwrap();
            }
            own.parts = Some(0);
        }
    }
}

/// Holds everything against the model after a start.
async fn verify(engine: &Engine, model: &mut Model, when: &str) {
    let operator = Caller::operator();
    engine.settle().await.unwrap_or_else(|e| panic!("{when}: settle: {e}"));
    assert_sound(engine, when).await;
    for sub in &mut model.subs {
        let there = sub_ref(engine, &sub.ak, &sub.sk).is_ok();
        assert!(if there { sub.open.0 } else { sub.open.1 }, "{when}: sub-account {} is open: {there}", sub.ak);
        sub.open = (there, !there);
        if !there {
            continue;
        }
        let view = engine.sub_account_view(&operator, &sub.ak).await.unwrap();
        assert!(sub.spaces.contains(&view.space_gb), "{when}: space {} of {:?}", view.space_gb, sub.spaces);
        sub.spaces = vec![view.space_gb];
        let right = sub.at_the_end.iter().any(|&e| loops(e) == view.loops);
        assert!(right, "{when}: loops: {}, may {:?}", view.loops, sub.at_the_end);
        let may_loop = sub.may_loop();
        observe(engine, &sub.buckets, &mut sub.files, may_loop, when).await;
        sub.looped = false;
        sub.at_the_end = vec![if view.loops { AtTheEnd::Overwrite } else { AtTheEnd::Stop }];
        let mut used: u64 = sub.files.values().flat_map(|s| &s.may[0]).map(|f| bytes_of(f).len() as u64).sum();
        assert_eq!(view.recordings + view.pictures, sub.files.len() as u64, "{when}: files counted");
        for multi in std::mem::take(&mut sub.multiparts) {
            let target = bucket(engine, &sub.buckets[multi.media]);
            let listed = engine.list_parts(&operator, &target, &key(&multi.name), multi.upload, 0, 100).await;
            let parts = match listed {
                Ok(page) => page.parts,
                Err(error) => {
                    assert!(multi.unsure && is_refused(&error), "{when}: upload {:?} is lost: {error}", multi.upload);
                    continue;
                }
            };
            used += parts.iter().map(|p| p.size.get()).sum::<u64>();
            let tags: BTreeMap<u16, _> =
                parts.iter().map(|p| (p.number, (p.etag.to_string(), p.checksum.clone()))).collect();
            for (number, (tag, seed, len)) in &multi.parts {
                let stored = (tag.clone(), multi.plan.map(|plan| sum(plan.kind, &content(*seed, *len))));
                assert!(multi.unsure || tags.get(number) == Some(&stored), "{when}: part {number} is lost");
            }
            if multi.unsure {
                // What came of it is not known; giving it up must work.
                let gone = engine.abort_multipart(&operator, &target, &key(&multi.name), multi.upload).await;
                gone.unwrap_or_else(|e| panic!("{when}: abort: {e}"));
                used -= parts.iter().map(|p| p.size.get()).sum::<u64>();
            } else {
                assert_eq!(tags.len(), multi.parts.len(), "{when}: more parts than were stored");
                sub.multiparts.push(multi);
            }
        }
        // Uploads whose beginning was not acknowledged.
        for media in [0, 1] {
            let target = bucket(engine, &sub.buckets[media]);
            for info in engine.list_multipart(&operator, &target, "").await.unwrap() {
                if !sub.multiparts.iter().any(|m| m.upload == info.id) {
                    engine.abort_multipart(&operator, &target, &info.key, info.id).await.unwrap();
                }
            }
        }
        let view = engine.sub_account_view(&operator, &sub.ak).await.unwrap();
        assert_eq!(view.used_bytes, used, "{when}: bytes counted");
        assert_eq!(view.reserved_bytes, 0, "{when}: bytes held");
    }
    verify_own(engine, model, when).await;
    model.subs.retain(|sub| sub.open.0);
    let all = engine.sub_accounts(&operator, &ACCOUNT.parse().unwrap()).await.unwrap();
    if model.strays {
        model.strays = false;
        // The platform that was not answered has no secret: it can never be used. Left alone.
    } else {
        assert!(all.len() >= model.subs.len(), "{when}: sub-accounts");
    }
}

/// Opens again, with power cuts in between.
fn reopen(rig: &Rig, chance: &mut Chance, when: &str) -> Engine {
    for _ in 0..3 {
        if !chance.one_in(3) {
            break;
        }
        rig.disk.fail_after(chance.below(40));
        let opened = rig.open();
        rig.disk.crash(chance.next(), *chance.pick(&FATES));
        drop(opened);
    }
    rig.open().unwrap_or_else(|e| panic!("{when}: it does not open: {e}"))
}

fn cut_and_come_back(seed: u64, rounds: u64, rebuilds: bool) {
    let runtime = runtime();
    let mut chance = Chance(seed);
    let rig = Rig::new(seed, GB);
    let mut model = Model::default();
    let mut engine = rig.open().unwrap();
    runtime.block_on(async {
        open_account(&engine, 1000).await;
        for _ in 0..3 {
            model.subs.push(Sub::new(&open_sub(&engine, 2).await, 2));
        }
    });
    for round in 0..rounds {
        let when = format!("seed {seed}, round {round}");
        let started = chance.one_in(4);
        let cut = chance.below(300);
        runtime.block_on(async {
            if started {
                engine.start();
            }
            rig.disk.fail_after(cut);
            let mut run = Run { engine: &engine, model: &mut model, chance: &mut chance };
            for _ in 0..120 {
                rig.clock.advance(std::time::Duration::from_millis(1));
                if !run.step().await {
                    break;
                }
            }
        });
        let fate = *chance.pick(&FATES);
        let when = format!("{when}, {fate:?} after {cut} operations");
        rig.disk.crash(chance.next(), fate);
        // What is left of the old engine finds no disk any more.
        let _ = runtime.block_on(engine.close());
        if rebuilds && chance.one_in(2) {
            rig.lose_index();
            if chance.one_in(3) {
                rig.disk.fail_after(chance.below(60));
                let _ = rig.rebuild();
                rig.disk.crash(chance.next(), *chance.pick(&FATES));
            }
            rig.rebuild().unwrap_or_else(|e| panic!("{when}: rebuild: {e}"));
            engine = rig.open().unwrap_or_else(|e| panic!("{when}: after a rebuild: {e}"));
        } else {
            engine = reopen(&rig, &mut chance, &when);
        }
        runtime.block_on(verify(&engine, &mut model, &when));
    }
    runtime.block_on(engine.close()).unwrap();
    let engine = rig.open().unwrap();
    runtime.block_on(verify(&engine, &mut model, &format!("seed {seed}, after a good end")));
    runtime.block_on(engine.close()).unwrap();
}

#[test]
fn what_was_acknowledged_is_there_after_any_power_cut() {
    for seed in seeds(6) {
        cut_and_come_back(seed, 4, false);
    }
}

#[test]
fn the_index_is_made_anew_from_volumes_and_journal() {
    for seed in seeds(5) {
        cut_and_come_back(1_000_000 + seed, 4, true);
    }
}
