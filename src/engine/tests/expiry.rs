//! Multipart uploads that nobody goes on with, and completions that nobody asks for any more.

use std::time::Duration;

use bytes::Bytes as Buf;

use super::rig::{Rig, assert_sound, bucket, content, key, new_object, open_account, open_sub, runtime};
use crate::domain::{Lock, Refusal, UploadId};
use crate::engine::reconcilers::expire;
use crate::engine::{BucketRef, Caller, Completion, Engine, Error, Finish, NamedPart};

const DAY: Duration = Duration::from_secs(86_400);

async fn begin_upload(engine: &Engine, bucket: &BucketRef, name: &str) -> UploadId {
    engine.create_multipart(&Caller::operator(), bucket, new_object(name, None, Lock::Open)).await.unwrap()
}

async fn part(engine: &Engine, bucket: &BucketRef, name: &str, upload: UploadId, number: u16) -> String {
    let operator = Caller::operator();
    let mut part = engine.put_part(&operator, bucket, &key(name), upload, number, Some(200_000)).await.unwrap();
    part.write(Buf::from(content(u64::from(number), 200_000))).await.unwrap();
    part.finish(Finish::default()).await.unwrap().etag.to_string()
}

async fn open_uploads(engine: &Engine, bucket: &BucketRef) -> Vec<String> {
    let all = engine.list_multipart(&Caller::operator(), bucket, "").await.unwrap();
    all.into_iter().map(|info| info.key.to_string()).collect()
}

#[test]
fn an_upload_without_progress_is_given_up_and_one_that_goes_on_lives() {
    let rig = Rig::new(1, 8 << 20);
    let engine = rig.open().unwrap();
    runtime().block_on(async {
        open_account(&engine, 10).await;
        let sub = open_sub(&engine, 1).await;
        let target = bucket(&engine, sub.record_bucket.as_str());
        let used = async || {
            let view = engine.sub_account_view(&Caller::operator(), sub.access_key.as_str()).await.unwrap();
            (view.used_bytes, view.reserved_bytes)
        };
        let dead = begin_upload(&engine, &target, "dead").await;
        part(&engine, &target, "dead", dead, 1).await;
        begin_upload(&engine, &target, "empty").await;
        let slow = begin_upload(&engine, &target, "slow").await;
        rig.clock.advance(6 * DAY);
        part(&engine, &target, "slow", slow, 1).await;
        expire(&engine).await.unwrap();
        assert_eq!(open_uploads(&engine, &target).await, ["dead", "empty", "slow"], "a day is left");
        rig.clock.advance(DAY);
        expire(&engine).await.unwrap();
        assert_eq!(open_uploads(&engine, &target).await, ["slow"]);
        assert_eq!(used().await, (200_000, 0), "the space is given back");
        let late = engine.put_part(&Caller::operator(), &target, &key("dead"), dead, 2, Some(1)).await;
        assert!(matches!(late.map(|_| ()), Err(Error::Refused(Refusal::NoUpload))));
        // Its last sign of life counts, however long ago it was begun.
        rig.clock.advance(5 * DAY);
        part(&engine, &target, "slow", slow, 2).await;
        rig.clock.advance(6 * DAY);
        expire(&engine).await.unwrap();
        assert_eq!(open_uploads(&engine, &target).await, ["slow"]);
        rig.clock.advance(DAY);
        expire(&engine).await.unwrap();
        assert_eq!(used().await, (0, 0));
        engine.settle().await.unwrap();
        assert_eq!(engine.status(&Caller::operator()).await.unwrap().trash, 0, "and the disk's too");
        assert_sound(&engine, "at the end").await;
    });
}

#[test]
fn a_completion_is_answered_alike_for_a_day_and_then_forgotten_but_its_file_is_not() {
    let rig = Rig::new(2, 8 << 20);
    let engine = rig.open().unwrap();
    runtime().block_on(async {
        open_account(&engine, 10).await;
        let sub = open_sub(&engine, 1).await;
        let target = bucket(&engine, sub.record_bucket.as_str());
        let upload = begin_upload(&engine, &target, "m").await;
        let etag = part(&engine, &target, "m", upload, 1).await;
        let again = async || {
            let parts = vec![NamedPart { number: 1, etag: etag.clone(), checksums: Vec::new() }];
            let said = Completion { parts, ..Completion::default() };
            let done = engine.complete_multipart(&Caller::operator(), &target, &key("m"), upload, said).await;
            done.map(|stored| stored.etag)
        };
        let first = again().await.unwrap();
        rig.clock.advance(DAY - Duration::from_secs(1));
        expire(&engine).await.unwrap();
        assert_eq!(again().await.unwrap(), first);
        rig.clock.advance(Duration::from_secs(1));
        expire(&engine).await.unwrap();
        assert!(matches!(again().await, Err(Error::Refused(Refusal::NoUpload))));
        let data = super::rig::read(&engine, &target, "m").await.unwrap();
        assert_eq!(data, content(1, 200_000));
        assert_sound(&engine, "at the end").await;
    });
}
