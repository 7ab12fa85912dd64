//! The engine on a disk that forgets, fails, fills and rots, held against a model of what was
//! acknowledged. `KANDIAN_SEEDS=n` runs more seeds.

mod audit;
mod billing;
mod crash;
mod expiry;
mod faults;
mod media;
mod observe;
mod office;
mod own_buckets;
mod rig;
mod space;
mod survive;
mod turns;
mod users;

/// An engine on a world of its own, for the tests of a face. Nobody takes its alerts.
pub(crate) fn on_a_fake_world(seed: u64) -> super::Engine {
    rig::Rig::new(seed, 1 << 30).open().unwrap()
}
