//! The engine on a disk that forgets, fails, fills and rots, held against a model of what was
//! acknowledged. `KANDIAN_SEEDS=n` runs more seeds.

mod audit;
mod billing;
mod crash;
mod expiry;
mod faults;
mod own_buckets;
mod rig;
mod space;
mod survive;
mod turns;
mod users;
