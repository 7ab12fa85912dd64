//! The engine on a disk that forgets, fails, fills and rots, held against a model of what was
//! acknowledged. `KANDIAN_SEEDS=n` runs more seeds.

mod alerts;
mod audit;
mod billing;
mod expiry;
mod faults;
mod guesses;
mod left_behind;
mod media;
mod observe;
mod observe_space;
mod office;
mod own_buckets;
mod previews;
mod rescue;
mod rig;
mod rotation;
mod scrub;
mod space;
mod survive;
mod turns;
mod users;

pub(crate) use rig::{ACCOUNT, PASSWORD, content};

/// An engine on a world of its own, for the tests of a face. Nobody takes its alerts.
pub(crate) fn on_a_fake_world(seed: u64) -> super::Engine {
    rig::Rig::new(seed, 1 << 30).open().unwrap()
}

/// The same, and what makes the byte rot at which these begin on its disks.
pub(crate) fn on_disks_that_rot(seed: u64) -> (super::Engine, impl Fn(&[u8])) {
    let rig = rig::Rig::new(seed, 1 << 30);
    let engine = rig.open().unwrap();
    let rot = move |bytes: &[u8]| {
        let (path, at) = faults::find(&rig, bytes);
        rig.disk.rot(&path, at).unwrap();
    };
    (engine, rot)
}

/// A camera of a new account `jiangsu` with these recordings; its AK.
pub(crate) async fn camera_with(engine: &super::Engine, recordings: &[(&str, &[u8])]) -> String {
    rig::open_account(engine, 100).await;
    let opened = rig::open_sub(engine, 50).await;
    let bucket = rig::bucket(engine, opened.record_bucket.as_str());
    for (name, bytes) in recordings {
        rig::put(engine, &bucket, name, bytes, true, crate::domain::Lock::Open, bytes.len()).await.unwrap();
    }
    opened.access_key.as_str().to_owned()
}

/// A file of one byte.
pub(crate) async fn put_file(engine: &super::Engine, bucket: &str, name: &str, lock: crate::domain::Lock) {
    rig::put(engine, &rig::bucket(engine, bucket), name, b"x", true, lock, 1).await.unwrap();
}
