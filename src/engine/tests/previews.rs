//! What a preview tells is what then goes.

use super::rig::*;
use crate::domain::{AtTheEnd, Lock, Refusal};
use crate::engine::observe::{CameraQuery, CameraState};
use crate::engine::{Caller, Engine, Error, Goes, SpaceChange};

const GB: u64 = 100_000;

fn operator() -> Caller {
    Caller::operator()
}

async fn held(engine: &Engine, ak: &str) -> (u64, u64) {
    let view = engine.sub_account_view(&operator(), ak).await.unwrap();
    (view.recordings + view.pictures, view.used_bytes)
}

fn space(gigabytes_wanted: u32) -> SpaceChange {
    SpaceChange { space: Some(gigabytes(gigabytes_wanted)), at_the_end: None }
}

#[test]
fn a_resize_a_loop_a_clear_and_a_close_take_what_their_previews_say() {
    for seed in seeds(4) {
        let rig = Rig::new(seed, GB);
        runtime().block_on(async {
            let engine = rig.open().unwrap();
            open_account(&engine, 20).await;
            let sub = open_sub(&engine, 10).await;
            let ak = sub.access_key.as_str();
            let named = sub_ref(&engine, ak, sub.secret.expose()).unwrap();
            let rec = bucket(&engine, sub.record_bucket.as_str());
            let mut chance = Chance(seed);
            let mut n = 0;
            while held(&engine, ak).await.1 < 930_000 {
                let size = usize::try_from(5_000 + chance.below(20_000)).unwrap();
                let lock = if chance.one_in(9) { Lock::Locked } else { Lock::Open };
                put(&engine, &rec, &format!("f{n:03}"), &content(n, size), true, lock, 65_536).await.unwrap();
                rig.clock.advance(std::time::Duration::from_secs(60));
                n += 1;
            }
            // Nothing goes where it does not loop; growing past the account is refused as 7.5 refuses it.
            let stops = engine.preview_space(&operator(), ak, space(2)).await.unwrap();
            assert_eq!((stops.goes.files, stops.full, stops.left_gb), (0, true, 18));
            let too_much = engine.preview_space(&operator(), ak, space(21)).await.unwrap_err();
            assert!(matches!(too_much, Error::Refused(Refusal::AccountSpace { free }) if free == gigabytes(20)));

            let told = async |before: (u64, u64), goes: &Goes| {
                engine.settle().await.unwrap();
                let after = held(&engine, ak).await;
                assert!(goes.files > 0 && goes.first_ms <= goes.last_ms, "seed {seed}");
                assert_eq!((before.0 - after.0, before.1 - after.1), (goes.files, goes.bytes), "seed {seed}");
            };
            let before = held(&engine, ak).await;
            let change = SpaceChange { space: None, at_the_end: Some(AtTheEnd::Overwrite) };
            let preview = engine.preview_space(&operator(), ak, change).await.unwrap();
            engine.set_sub_account_space_policy(&operator(), &named, AtTheEnd::Overwrite).await.unwrap();
            told(before, &preview.goes).await;

            let before = held(&engine, ak).await;
            let preview = engine.preview_space(&operator(), ak, space(5)).await.unwrap();
            engine.modify_sub_account_space(&operator(), &named, gigabytes(5)).await.unwrap();
            told(before, &preview.goes).await;
            assert_eq!(held(&engine, ak).await.1, preview.new_used_bytes);

            let looping = engine.preview_clear(&operator(), ak).await.unwrap_err();
            assert!(matches!(looping, Error::Refused(Refusal::LoopMode)));
            engine.set_sub_account_space_policy(&operator(), &named, AtTheEnd::Stop).await.unwrap();
            let before = held(&engine, ak).await;
            let goes = engine.preview_clear(&operator(), ak).await.unwrap();
            engine.clear_sub_account_files(&operator(), &named).await.unwrap();
            told(before, &goes).await;
            let nothing = engine.preview_clear(&operator(), ak).await.unwrap_err();
            assert!(matches!(nothing, Error::Refused(Refusal::NothingToClear)));

            // A close takes the locked ones.
            let goes = engine.preview_close(&operator(), ak).await.unwrap();
            assert_eq!((goes.files, goes.bytes), held(&engine, ak).await);
            assert_eq!(goes.files, goes.locked_files);
            engine.close_sub_account(&operator(), &named).await.unwrap();
            assert!(engine.preview_close(&operator(), ak).await.is_err());
            engine.close().await.unwrap();
        });
    }
}

#[test]
fn cameras_are_found_by_name_state_and_page() {
    let rig = Rig::new(7, GB);
    runtime().block_on(async {
        let engine = rig.open().unwrap();
        open_account(&engine, 20).await;
        for n in 0..5 {
            let sub = open_sub(&engine, 1).await;
            engine.name_camera(&operator(), sub.access_key.as_str(), &format!("门店 {n}"), "南京").await.unwrap();
            if n == 3 {
                let rec = bucket(&engine, sub.record_bucket.as_str());
                put(&engine, &rec, "a", &[1; 85_000], true, Lock::Open, 65_536).await.unwrap();
            }
        }
        let ask = async |query: CameraQuery| engine.camera_page(&operator(), query).await.unwrap();
        let all = ask(CameraQuery { most: 2, ..CameraQuery::default() }).await;
        assert_eq!((all.total, all.all, all.rows.len(), all.warned, all.never), (5, 5, 2, 1, 4));
        assert_eq!((all.rows[0].space.name.as_str(), all.rows[0].warned), ("门店 3", true), "the fullest first");
        assert!(all.rows[0].kept_ms.is_some() && all.rows[1].kept_ms.is_none());
        let found = ask(CameraQuery { find: "店 4".to_owned(), most: 9, ..CameraQuery::default() }).await;
        assert_eq!((found.total, found.rows[0].space.name.as_str()), (1, "门店 4"));
        let never = CameraQuery { state: Some(CameraState::Never), skip: 3, most: 9, ..CameraQuery::default() };
        let never = ask(never).await;
        assert_eq!((never.total, never.rows.len()), (4, 1));
        engine.close().await.unwrap();
    });
}
