//! Everything is held against the model, and what is seen is taken as what is.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::StreamExt;
use kandian::domain::{AtTheEnd, Lock};
use kandian::engine::{BucketRef, Caller, Engine, ListQuery, Result, loops};

use super::chance::{Digest, content};
use super::model::{Alarm, File, Files, KINDS, Model, Slot, Sub, sum};
use super::rig::{ACCOUNT, PASSWORD, Rig, bucket, is_refused, platform};
use super::tally::Tally;
use super::uploads::key;

/// All of a file.
pub async fn read(engine: &Engine, bucket: &BucketRef, name: &str) -> Result<Vec<u8>> {
    let reader = engine.open_object(&Caller::operator(), bucket, &key(name)).await?;
    let size = reader.info.size.get();
    let mut out = Vec::new();
    let mut stream = Box::pin(reader.read(0..size));
    while let Some(piece) = stream.next().await {
        out.extend_from_slice(&piece?);
    }
    Ok(out)
}

/// Holds the outbox and what the platform was told against the model.
pub async fn see_alerts(engine: &Engine, rig: &Rig, model: &mut Model, tally: &mut Tally) -> Result<()> {
    let letters = std::mem::take(&mut rig.platform.state().letters);
    for letter in &letters {
        let sub = model.subs.iter().find(|sub| sub.ak == letter.ak);
        let named = sub.is_some_and(|sub| sub.sk == letter.sk);
        assert!(named || model.strays, "a letter about nobody's key: {letter:?}");
        assert_eq!((letter.account.as_str(), letter.password.as_str()), (ACCOUNT, PASSWORD), "who it is from");
        if letter.taken {
            tally.delivered += 1;
            *model.taken.entry((letter.ak.clone(), letter.kind)).or_default() += 1;
        } else {
            tally.undelivered += 1;
        }
    }
    let seen: BTreeMap<u64, Alarm> = engine
        .alerts(&Caller::operator(), 1000)
        .await?
        .into_iter()
        .map(|view| (view.id, Alarm { ak: view.ak, kind: view.alert, state: view.state }))
        .collect();
    for (id, before) in &model.alarms {
        let now = seen.get(id).unwrap_or_else(|| panic!("alert {id} is gone: {before:?}"));
        assert_eq!((&now.ak, now.kind), (&before.ak, before.kind), "alert {id} is another");
        let may = before.state == "pending" || before.state == now.state;
        assert!(may, "alert {id} was {} and is {}", before.state, now.state);
    }
    // None out of nothing: what is said to be delivered was taken, and what was taken is there.
    let count = |ak: &str, kind: &str, state: &dyn Fn(&str) -> bool| {
        seen.values().filter(|alarm| alarm.ak == ak && alarm.kind == kind && state(alarm.state)).count() as u64
    };
    for (ak, kind) in model.taken.keys() {
        assert!(count(ak, kind, &|_| true) > 0, "a letter about no alert: {kind} of {ak}");
    }
    for alarm in seen.values() {
        let taken = model.taken.get(&(alarm.ak.clone(), alarm.kind)).copied().unwrap_or(0);
        let delivered = count(&alarm.ak, alarm.kind, &|state| state == "delivered");
        assert!(delivered <= taken, "{} of {} was delivered to nobody", alarm.kind, alarm.ak);
    }
    for sub in model.subs.iter().filter(|sub| sub.open == (true, false)) {
        for (alert, kind) in KINDS.into_iter().enumerate() {
            let raised = count(&sub.ak, kind, &|_| true);
            let (least, exactly) = (sub.raised[alert], sub.episodes.is_some());
            assert!(raised >= least, "{kind} of {}: {raised} alerts of {least}", sub.ak);
            assert!(!exactly || raised == least, "{kind} of {}: {raised} alerts, and {least} were called for", sub.ak);
        }
    }
    model.alarms = seen;
    Ok(())
}

/// Holds some buckets against the model, and takes what is seen as what is.
async fn observe(
    engine: &Engine,
    buckets: &[String],
    files: &mut Files,
    may_loop: bool,
    tally: &mut Tally,
    digest: &mut Digest,
) {
    let operator = Caller::operator();
    let mut seen = BTreeMap::new();
    for (media, name) in buckets.iter().enumerate() {
        let target = bucket(engine, name);
        let query = ListQuery { max: 1000, ..ListQuery::default() };
        for info in engine.list(&operator, &target, query).await.expect("a list").objects {
            let bytes = read(engine, &target, info.key.as_str()).await;
            let bytes = bytes.unwrap_or_else(|e| panic!("{} cannot be read: {e}", info.key));
            let opened = engine.open_object(&operator, &target, &info.key).await;
            let checksum = opened.expect("it was read").checksum.clone();
            digest.text(info.key.as_str());
            digest.add(info.id.get());
            seen.insert((media, info.key.as_str().to_owned()), (info, bytes, checksum));
        }
    }
    let passed_over = |at: &(usize, String)| files.get(at).is_some_and(|slot| slot.relocked);
    let left = seen.iter().filter(|(at, (info, ..))| info.lock == Lock::Open && !passed_over(at));
    let oldest_left = left.map(|(at, (info, ..))| (info.created, at.clone())).min();
    for (at, slot) in files.iter_mut() {
        let found = seen.remove(at);
        let state = match &found {
            None => {
                if !slot.may.contains(&None) {
                    let unlocked = slot.may.iter().any(|f| f.as_ref().is_some_and(|f| f.lock == Lock::Open));
                    assert!(may_loop && unlocked, "{at:?} is gone, and may only be {:?}", slot.may);
                    if let (Some(created), Some((oldest, older))) = (slot.created, &oldest_left) {
                        assert!(created <= *oldest, "{at:?} was overwritten before {older:?}, which is older");
                    }
                    tally.overwritten += 1;
                }
                None
            }
            Some((info, bytes, checksum)) => {
                let same = |may: &&Option<File>| {
                    may.as_ref().is_some_and(|file| {
                        file.lock == info.lock
                            && file.size() == bytes.len() as u64
                            && file.bytes() == *bytes
                            && file.checksum() == *checksum
                    })
                };
                let may = slot.may.iter().find(same);
                let may = may.unwrap_or_else(|| {
                    let (lock, size, may) = (info.lock, bytes.len(), &slot.may);
                    panic!("{at:?} has {size} bytes, {lock:?}, {checksum:?}, and may only be {may:?}")
                });
                may.clone()
            }
        };
        *slot = Slot { may: vec![state], created: found.map(|(info, ..)| info.created), relocked: false };
    }
    assert!(seen.is_empty(), "files that nobody stored: {:?}", seen.keys());
    files.retain(|_, slot| slot.may != [None]);
}

/// Holds the own buckets against the model.
async fn verify_own(engine: &Engine, rig: &Rig, model: &mut Model, tally: &mut Tally, digest: &mut Digest) {
    let administrator = rig.administrator(engine).expect("the administration key is known");
    let mut used = Some(0);
    for own in &mut model.own {
        let there = engine.bucket(&administrator, &own.name).is_ok();
        assert!(if there { own.there.0 } else { own.there.1 }, "{} is there: {there}", own.name);
        own.there = (there, !there);
        if there {
            observe(engine, std::slice::from_ref(&own.name), &mut own.files, false, tally, digest).await;
            let files: u64 = own.files.values().flat_map(|s| &s.may[0]).map(File::size).sum();
            used = used.zip(own.parts).map(|(used, parts)| used + parts + files);
        }
    }
    model.own.retain(|own| own.there.0);
    let seen = engine.buckets(&administrator).expect("a list");
    let seen = seen.into_iter().filter(|b| b.media.is_none()).count();
    assert_eq!(seen, model.own.len(), "own buckets that nobody made");
    let account = engine.account(&Caller::operator(), &ACCOUNT.parse().expect("a name")).await;
    let account = account.expect("the account is there");
    assert!(used.is_none_or(|used| used == account.own_bytes), "{used:?} and {}", account.own_bytes);
    assert_eq!(account.own_buckets, model.own.len() as u64, "own buckets counted");
    for own in &mut model.own {
        if own.parts.is_none() {
            let target = bucket(engine, &own.name);
            for info in engine.list_multipart(&administrator, &target, "").await.expect("a list") {
                let aborted = engine.abort_multipart(&administrator, &target, &info.key, info.id).await;
                aborted.expect("it can be given up");
            }
            own.parts = Some(0);
        }
    }
}

/// Holds the uploads in parts of a sub-account against the model; gives the bytes of their parts.
async fn verify_multiparts(engine: &Engine, sub: &mut Sub) -> u64 {
    let operator = Caller::operator();
    let mut used = 0;
    for multi in std::mem::take(&mut sub.multiparts) {
        let target = bucket(engine, &sub.buckets[multi.media]);
        let listed = engine.list_parts(&operator, &target, &key(&multi.name), multi.upload, 0, 100).await;
        let parts = match listed {
            Ok(page) => page.parts,
            Err(error) => {
                assert!(multi.unsure && is_refused(&error), "upload {:?} is lost: {error}", multi.upload);
                continue;
            }
        };
        let tags: BTreeMap<u16, _> =
            parts.iter().map(|p| (p.number, (p.etag.to_string(), p.checksum.clone()))).collect();
        for (number, (tag, seed, len)) in &multi.parts {
            let stored = (tag.clone(), multi.plan.map(|plan| sum(plan.kind, &content(*seed, *len))));
            assert!(multi.unsure || tags.get(number) == Some(&stored), "part {number} is lost");
        }
        if multi.unsure {
            // What came of it is not known; giving it up must work.
            let gone = engine.abort_multipart(&operator, &target, &key(&multi.name), multi.upload).await;
            gone.unwrap_or_else(|e| panic!("abort: {e}"));
        } else {
            used += parts.iter().map(|p| p.size.get()).sum::<u64>();
            assert_eq!(tags.len(), multi.parts.len(), "more parts than were stored");
            sub.multiparts.push(multi);
        }
    }
    // Uploads whose beginning was not acknowledged.
    for media in [0, 1] {
        let target = bucket(engine, &sub.buckets[media]);
        for info in engine.list_multipart(&operator, &target, "").await.expect("a list") {
            if !sub.multiparts.iter().any(|m| m.upload == info.id) {
                let aborted = engine.abort_multipart(&operator, &target, &info.key, info.id).await;
                aborted.expect("it can be given up");
            }
        }
    }
    used
}

async fn verify_sub(engine: &Engine, rig: &Rig, sub: &mut Sub, tally: &mut Tally, digest: &mut Digest) {
    let operator = Caller::operator();
    let view = engine.sub_account_view(&operator, &sub.ak).await.expect("it is there");
    assert!(sub.spaces.contains(&view.space_gb), "space {} of {:?}", view.space_gb, sub.spaces);
    sub.spaces = vec![view.space_gb];
    let right = sub.at_the_end.iter().any(|&e| loops(e) == view.loops);
    assert!(right, "loops: {}, may {:?}", view.loops, sub.at_the_end);
    let may_loop = sub.may_loop();
    observe(engine, &sub.buckets, &mut sub.files, may_loop, tally, digest).await;
    sub.looped = false;
    sub.at_the_end = vec![if view.loops { AtTheEnd::Overwrite } else { AtTheEnd::Stop }];
    assert_eq!(view.recordings + view.pictures, sub.files.len() as u64, "files counted");
    let files: u64 = sub.files.values().flat_map(|s| &s.may[0]).map(File::size).sum();
    let used = files + verify_multiparts(engine, sub).await;
    let view = engine.sub_account_view(&operator, &sub.ak).await.expect("it is there");
    assert_eq!(view.used_bytes, used, "bytes counted");
    assert_eq!(view.reserved_bytes, 0, "bytes held");
    // An episode that the present state calls for is open.
    let granted = u64::from(view.space_gb) * rig.scale.gigabyte;
    let due = [used * 100 > granted * 80, used >= granted && used > 0];
    let mut episodes = [false; 2];
    for (alert, kind) in KINDS.into_iter().enumerate() {
        episodes[alert] = view.episodes.contains(&kind);
        let told = episodes[alert] || view.loops || sub.cleared;
        assert!(told || !due[alert], "{used} of {granted} are used, and no episode of {kind}");
    }
    sub.episodes = Some(episodes).filter(|_| !view.loops);
}

/// Holds everything against the model after a start. `anew`: the index was made anew, so that what is due is raised again
/// and what has come to its end is forgotten. `settled`: first all is done that waits to be done.
pub async fn verify(
    (engine, rig): (&Engine, &Rig),
    model: &mut Model,
    (anew, settled): (bool, bool),
    tally: &mut Tally,
    digest: &mut Digest,
) {
    tally.verified += 1;
    let operator = Caller::operator();
    if settled {
        engine.settle().await.unwrap_or_else(|e| panic!("settle: {e}"));
    }
    let check = engine.check(&operator).await.expect("a check");
    assert!(check.violations.is_empty(), "{:#?}", check.violations);
    let scrub = engine.scrub(&operator).await.expect("a scrub");
    assert!(scrub.damaged.is_empty(), "{:#?}", scrub.damaged);
    let platform = platform(engine).expect("the account is there, and its password");
    for sub in &mut model.subs {
        let there = engine.sub_account(&platform, &sub.ak, &sub.sk).is_ok();
        assert!(if there { sub.open.0 } else { sub.open.1 }, "sub-account {} is open: {there}", sub.ak);
        sub.open = (there, !there);
    }
    if anew {
        model.alarms.clear();
        model.taken.clear();
        rig.platform.state().letters.clear();
        model.subs.iter_mut().for_each(|sub| sub.raised = [0, 0]);
        model.subs.iter_mut().for_each(Sub::doubt);
    }
    see_alerts(engine, rig, model, tally).await.expect("the outbox can be read");
    for sub in model.subs.iter_mut().filter(|sub| sub.open.0) {
        verify_sub(engine, rig, sub, tally, digest).await;
    }
    verify_own(engine, rig, model, tally, digest).await;
    verify_accounts(engine, model).await;
    // Uploads that were given up just now may have ended an episode.
    let episodes: Vec<_> = model.subs.iter_mut().map(|sub| sub.episodes.take()).collect();
    see_alerts(engine, rig, model, tally).await.expect("the outbox can be read");
    model.subs.iter_mut().zip(episodes).for_each(|(sub, episodes)| sub.episodes = episodes);
    for sub in model.subs.iter_mut().filter(|sub| sub.open.0) {
        let of = |kind: &'static str| {
            let alarms: Vec<&Alarm> = model.alarms.values().filter(|a| a.ak == sub.ak && a.kind == kind).collect();
            (alarms.len() as u64, alarms.last().map(|alarm| alarm.state))
        };
        for (alert, kind) in KINDS.into_iter().enumerate() {
            let (raised, last) = of(kind);
            sub.raised[alert] = raised;
            let open = sub.episodes.is_some_and(|episodes| episodes[alert]);
            let told = last.is_some_and(|state| state != "withdrawn");
            assert!(!open || told, "the episode of {kind} of {} is open, and its alert is {last:?}", sub.ak);
        }
    }
    model.subs.retain(|sub| sub.open.0 || model.alarms.values().any(|alarm| alarm.ak == sub.ak));
    let all = engine.sub_accounts(&operator, &ACCOUNT.parse().expect("a name")).await.expect("a list");
    let known: BTreeSet<&str> = model.subs.iter().filter(|sub| sub.open.0).map(|sub| sub.ak.as_str()).collect();
    let stray = all.iter().any(|view| !known.contains(view.ak.as_str()));
    assert!(!stray || model.strays, "sub-accounts that nobody opened");
}

async fn verify_accounts(engine: &Engine, model: &mut Model) {
    for (name, may) in &mut model.accounts {
        let found = engine.account(&Caller::operator(), &name.parse().expect("a name")).await;
        let space = found.ok().map(|view| view.space_gb);
        assert!(may.contains(&space), "account {name} has {space:?} GB, and may only have {may:?}");
        *may = vec![space];
    }
}
