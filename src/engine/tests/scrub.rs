//! The scrub: how far it is, across a restart.

use std::time::Duration;

use super::rig::{Rig, bucket, content, open_account, open_sub, put, runtime};
use crate::domain::Lock;
use crate::engine::{Caller, Engine, ScrubView};

const FILES: u64 = 40;

async fn view(engine: &Engine) -> ScrubView {
    engine.status(&Caller::operator()).await.unwrap().scrub
}

/// Waits until the scrub in the background is as far as that.
async fn until(engine: &Engine, far: impl Fn(&ScrubView) -> bool) -> ScrubView {
    loop {
        let now = view(engine).await;
        if far(&now) {
            return now;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn a_scrub_in_the_background_goes_on_behind_a_restart_where_it_was() {
    let (runtime, mut rig) = (runtime(), Rig::new(1, 64 << 20));
    // It rests for seconds after each MiB, and ends there when it is asked to.
    rig.config.storage.scrub_rate = 200_000;
    let engine = rig.open().unwrap();
    let first = runtime.block_on(async {
        open_account(&engine, 10).await;
        let sub = open_sub(&engine, 10).await;
        let target = bucket(&engine, sub.record_bucket.as_str());
        for n in 0..FILES {
            put(&engine, &target, &format!("f{n}"), &content(n, 100_000), true, Lock::Open, 100_000).await.unwrap();
        }
        engine.start();
        until(&engine, |scrub| scrub.objects > 0).await;
        engine.close().await.unwrap();
        view(&engine).await
    });
    assert!(first.objects < FILES && first.passes == 0, "{first:?}");
    drop(engine);
    rig.config.storage.scrub_rate = u64::MAX;
    let engine = rig.open().unwrap();
    runtime.block_on(async {
        engine.start();
        let scrub = until(&engine, |scrub| scrub.passes > 0).await;
        assert_eq!(scrub.objects, FILES - first.objects, "since the restart: none twice, none passed over");
        assert_eq!(scrub.last.map(|pass| (pass.objects, pass.bytes)), Some((FILES, FILES * 100_000)), "in the pass");
        engine.close().await.unwrap();
    });
}
