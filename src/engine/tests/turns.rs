//! One key with many connections, and what is left for another.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::rig::{Rig, administrator, bucket, key, open_account, open_sub, put};
use crate::domain::{Lock, ObjectId};
use crate::engine::types::Who;
use crate::engine::{BucketRef, Caller, Engine, Error, ListQuery};

fn camera(bucket: &BucketRef) -> Caller {
    Caller::new(Who::Camera { sub_account: bucket.owner })
}

fn is_busy<T>(result: &crate::engine::Result<T>) -> bool {
    matches!(result, Err(Error::Busy(_)))
}

async fn begin(rig: &Rig) -> (Engine, BucketRef, BucketRef) {
    let engine = rig.open().unwrap();
    open_account(&engine, 1000).await;
    let (one, two) = (open_sub(&engine, 100).await, open_sub(&engine, 100).await);
    let (one, two) = (bucket(&engine, one.record_bucket.as_str()), bucket(&engine, two.record_bucket.as_str()));
    (engine, one, two)
}

#[tokio::test]
async fn a_key_has_as_many_turns_as_it_leaves_and_gives_them_back() {
    let mut rig = Rig::new(1, 8 << 20);
    rig.config.s3.max_requests = 16;
    rig.config.s3.max_requests_per_key = 6;
    let (engine, one, two) = begin(&rig).await;
    let (greedy, quiet) = (camera(&one), camera(&two));
    let take = |caller: &Caller| (0..50).map_while(|_| engine.turn(caller).ok()).collect::<Vec<_>>();
    let all = take(&greedy);
    assert_eq!(all.len(), 6, "its own limit");
    assert_eq!(take(&quiet).len(), 5, "as many as are left then: 10, of which it leaves half");
    assert_eq!(take(&administrator(&engine, super::rig::ACCOUNT)).len(), 5, "another key, not its account's cameras");
    assert!(is_busy(&engine.turn(&greedy)));
    drop(all);
    assert_eq!(take(&greedy).len(), 6);
    assert_eq!(engine.turns_taken(), (0, 0, 0));
    // In force at once, for those who come.
    let mut config = rig.config.clone();
    config.s3.max_requests_per_key = 3;
    engine.reload(&config);
    assert_eq!(take(&greedy).len(), 3);
}

#[tokio::test]
async fn memory_is_shared_as_turns_are() {
    let mut rig = Rig::new(2, 8 << 20);
    rig.config.s3.buffer_memory = 100;
    let (engine, one, two) = begin(&rig).await;
    let mut first = engine.turn(&camera(&one)).unwrap();
    let mut second = engine.turn(&camera(&one)).unwrap();
    first.fill(30).unwrap();
    second.fill(20).unwrap();
    assert!(is_busy(&first.fill(1)), "half is the most of one key, in however many requests");
    let mut other = engine.turn(&camera(&two)).unwrap();
    other.fill(25).unwrap();
    drop(second);
    first.fill(7).unwrap();
    assert_eq!(engine.turns_taken(), (2, 62, 2));
    drop((first, other));
    assert_eq!(engine.turns_taken(), (0, 0, 0));
}

/// How many of the greedy key's files were committed between `after` and `before`.
async fn committed_between(engine: &Engine, bucket: &BucketRef, after: ObjectId, before: ObjectId) -> usize {
    let (mut count, mut from) = (0, String::new());
    loop {
        let query = ListQuery { max: 1000, after: from, ..ListQuery::default() };
        let page = engine.list(&Caller::operator(), bucket, query).await.unwrap();
        count += page.objects.iter().filter(|info| info.id > after && info.id < before).count();
        match page.next {
            Some(next) => from = next,
            None => return count,
        }
    }
}

/// On one thread: what is sent to the committer is sent in the order in which the tasks were woken, so that the
/// distance has a bound and not only a likelihood.
#[tokio::test]
async fn nobody_waits_behind_more_than_the_most_of_another_key() {
    const MOST: usize = 8;
    let mut rig = Rig::new(3, 8 << 20);
    rig.config.s3.max_requests_per_key = MOST as u64;
    let (engine, one, two) = begin(&rig).await;
    let over = Arc::new(AtomicBool::new(false));
    let (stored, refused) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let connections: Vec<_> = (0..200)
        .map(|connection| {
            let (engine, one, over) = (engine.clone(), one.clone(), Arc::clone(&over));
            let (stored, refused) = (Arc::clone(&stored), Arc::clone(&refused));
            tokio::spawn(async move {
                let mut number = 0;
                while !over.load(Ordering::Relaxed) {
                    let Ok(_turn) = engine.turn(&camera(&one)) else {
                        refused.fetch_add(1, Ordering::Relaxed);
                        tokio::task::yield_now().await;
                        continue;
                    };
                    let name = format!("{connection}-{number}");
                    put(&engine, &one, &name, b"greedy", true, Lock::Open, 10).await.unwrap();
                    stored.fetch_add(1, Ordering::Relaxed);
                    number += 1;
                }
            })
        })
        .collect();
    for number in 0..50 {
        // Long enough for the greedy one to be at its most.
        while stored.load(Ordering::Relaxed) < (number + 1) * 20 {
            tokio::task::yield_now().await;
        }
        let name = format!("quiet-{number}");
        let _turn = engine.turn(&camera(&two)).unwrap();
        let newest = newest(&engine, &one).await;
        put(&engine, &two, &name, b"quiet", true, Lock::Open, 10).await.unwrap();
        let mine = engine.open_object(&Caller::operator(), &two, &key(&name)).await.unwrap().info.id;
        let before_me = committed_between(&engine, &one, newest, mine).await;
        assert!(before_me <= 2 * MOST, "{before_me} of the greedy key's came first");
    }
    over.store(true, Ordering::Relaxed);
    for connection in connections {
        connection.await.unwrap();
    }
    assert!(refused.load(Ordering::Relaxed) > 0, "it was greedy");
    assert_eq!(engine.turns_taken(), (0, 0, 0));
    engine.close().await.unwrap();
}

/// The newest file of a bucket.
async fn newest(engine: &Engine, bucket: &BucketRef) -> ObjectId {
    let (mut newest, mut from) = (ObjectId::new(0), String::new());
    loop {
        let query = ListQuery { max: 1000, after: from, ..ListQuery::default() };
        let page = engine.list(&Caller::operator(), bucket, query).await.unwrap();
        newest = page.objects.iter().map(|info| info.id).max().map_or(newest, |id| newest.max(id));
        match page.next {
            Some(next) => from = next,
            None => return newest,
        }
    }
}
