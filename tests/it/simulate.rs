//! The simulator's histories, some of them with every run of the tests: `scripts/test` plays 10,000 more, optimised.
//! `KANDIAN_SEEDS=n` plays n seeds, `KANDIAN_SEED=s` begins with seed s.

#[path = "../../examples/simulate/history/mod.rs"]
mod history;

use self::history::Stage;
use self::history::tally::Tally;

/// Seeds that once failed, and what was wrong. Where the workload changes, a seed is another history: what it showed has a
/// test of its own, where it is named as one.
const FAILED_ONCE: [(u64, &str); 7] = [
    (5409, "a_volume_whose_name_is_on_no_disk_is_named_durably_before_anything_is_put_into_it"),
    (2257, "an index made anew is asked for no event that it has passed over"),
    (112_960, "an_index_made_anew_counts_nothing_for_an_own_bucket_that_was_deleted"),
    (171_031, "an_overwrite_is_decided_upon_what_is_durable"),
    (781_376, "what_has_rotted_of_what_the_index_knows_is_no_crash_and_is_passed_over"),
    (213_804, "a_database_whose_sync_failed_has_a_length_that_it_had_after_any_power_cut"),
    (286_123, "the model: a deletion and a lock that change nothing tell of nothing that a clear has left"),
];

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(usual)
}

#[test]
fn what_was_acknowledged_is_there_after_any_crash_and_what_was_not_is_whole_or_absent() {
    let first = number("KANDIAN_SEED", 0);
    let seeds = first..first + number("KANDIAN_SEEDS", 40);
    let stage = Stage::new();
    let mut tally = Tally::default();
    for seed in seeds.chain(FAILED_ONCE.map(|(seed, _)| seed)) {
        // A panic below says what; this says where.
        println!("seed {seed}");
        tally.add(&stage.play(seed, false, false).tally);
    }
    println!("{tally}");
    assert!(tally.cuts > 0 && tally.verified > 0 && tally.acknowledged > 0, "nothing happened: {tally}");
}

#[test]
fn a_seed_has_one_history() {
    let (one, other) = (Stage::new(), Stage::new());
    for seed in 0..4 {
        let first = one.play(seed, true, false).digest;
        assert_eq!(first, other.play(seed, true, false).digest, "seed {seed}");
        assert_ne!(first, other.play(seed + 1, true, false).digest, "seed {seed} and the next");
    }
}
