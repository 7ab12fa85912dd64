//! Plays any number of histories of the store on a simulated disk that loses, reorders and tears what was not synced,
//! fails writes, reads and syncs, fills up, dies and loses its power in the middle of anything, recovery too.
//!
//!     cargo run --profile acceptance --example simulate -- --seeds 10000
//!     cargo run --profile acceptance --example simulate -- --seed 4711
//!
//! The second plays one seed and tells each step. `docs/reliability.md` says what is held against what.

mod history;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use clap::Parser;

use crate::history::Stage;
use crate::history::tally::Tally;

/// At least so many of a hundred seeds have to be cut in recovery.
const CUT_IN_RECOVERY_PERCENT: u64 = 10;
/// A run of fewer seeds says nothing of shares.
const SEEDS_FOR_SHARES: u64 = 200;
/// One seed in so many is played twice: it must have one history.
const TWICE_ONE_IN: u64 = 64;

/// Histories of the store on a simulated disk, by seeds.
#[derive(Parser)]
struct Said {
    /// How many seeds are played.
    #[arg(long, default_value_t = 10_000)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Threads; as many as the machine has cores where it is not said.
    #[arg(long)]
    jobs: Option<usize>,
    /// Ends after so many failing seeds: there is no more to learn.
    #[arg(long, default_value_t = 20)]
    failures: usize,
    /// Plays this one seed and tells what happens.
    #[arg(long)]
    seed: Option<u64>,
}

fn main() -> ExitCode {
    let said = Said::parse();
    if let Some(seed) = said.seed {
        let told = Stage::new().play(seed, true, true);
        println!("{}", told.tally);
        println!("digest {:016x}", told.digest.0);
        return ExitCode::SUCCESS;
    }
    let jobs = said.jobs.or_else(|| std::thread::available_parallelism().ok().map(Into::into)).unwrap_or(1);
    let (next, all, failed) = (AtomicU64::new(0), Mutex::new(Tally::default()), Mutex::new(Vec::new()));
    // Each failure is told once, with its seed.
    std::panic::set_hook(Box::new(|_| {}));
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                let stage = Stage::new();
                let mut tally = Tally::default();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= said.seeds || lock(&failed).len() >= said.failures {
                        break;
                    }
                    let seed = said.first + number;
                    match catch_unwind(AssertUnwindSafe(|| play(&stage, seed))) {
                        Ok(played) => tally.add(&played),
                        Err(panic) => {
                            println!("seed {seed} FAILED: {}", words(&*panic));
                            println!("  again, step by step: cargo run --profile acceptance --example simulate -- --seed {seed}");
                            lock(&failed).push(seed);
                        }
                    }
                    if number > 0 && number.is_multiple_of(50_000) {
                        println!("{number} seeds, {} s", began.elapsed().as_secs());
                    }
                }
                lock(&all).add(&tally);
            });
        }
    });
    let (tally, failed) = (lock(&all).clone(), lock(&failed).clone());
    println!("{tally}");
    println!("{} failed, {:.1} s on {jobs} threads", failed.len(), began.elapsed().as_secs_f64());
    if !failed.is_empty() {
        println!("failing seeds: {failed:?}");
        return ExitCode::FAILURE;
    }
    if said.seeds >= SEEDS_FOR_SHARES && tally.percent_cut_in_recovery() < CUT_IN_RECOVERY_PERCENT {
        println!("fewer than {CUT_IN_RECOVERY_PERCENT} % of the seeds were cut in recovery");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// One seed; now and then twice.
fn play(stage: &Stage, seed: u64) -> Tally {
    let twice = seed.is_multiple_of(TWICE_ONE_IN);
    let mut told = stage.play(seed, twice, false);
    if twice {
        let again = stage.play(seed, true, false);
        assert!(told.digest == again.digest, "it has two histories: {:?} and {:?}", told.digest, again.digest);
        told.tally.repeated = 1;
    }
    told.tally
}

fn lock<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// What a panic says.
fn words(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map_or_else(|| panic.downcast_ref::<&str>().copied().unwrap_or("a panic"), String::as_str)
}
