//! What the fake disk promises.

use super::*;
use crate::world::disk::{read_file, replace_file};

const WHOLE: u64 = 1 << 30;

fn disk() -> FakeDisk {
    let disk = FakeDisk::new(WHOLE);
    disk.create_dir_all(Path::new("/d")).unwrap();
    disk
}

fn durable(disk: &FakeDisk, name: &str, data: &[u8]) -> Arc<dyn DiskFile> {
    let file = disk.create(Path::new(name)).unwrap();
    file.write_all_at(data, 0).unwrap();
    file.sync_data().unwrap();
    disk.sync_dir(Path::new("/d")).unwrap();
    file
}

fn content(disk: &FakeDisk, name: &str) -> Option<Vec<u8>> {
    read_file(disk, Path::new(name)).unwrap()
}

fn is_eio<T>(result: io::Result<T>) -> bool {
    result.err().and_then(|error| error.raw_os_error()) == Some(EIO)
}

#[test]
fn what_was_written_is_read_and_what_was_not_is_zeros() {
    let disk = disk();
    let file = disk.create(Path::new("/d/a")).unwrap();
    file.write_all_at(b"abc", 10_000).unwrap();
    assert_eq!(file.len().unwrap(), 10_003);
    let mut out = [1; 5];
    file.read_exact_at(&mut out, 9_998).unwrap();
    assert_eq!(&out, b"\0\0abc");
    assert_eq!(file.read_exact_at(&mut out, 9_999).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    assert!(!file.read_cached_at(&mut out, 9_999).unwrap());
    assert!(file.read_cached_at(&mut out, 9_998).unwrap());
    disk.set_cold(true);
    assert!(!file.read_cached_at(&mut out, 9_998).unwrap());
}

#[test]
fn names_follow_the_rules_of_a_file_system() {
    let disk = disk();
    let kind = |result: io::Result<Arc<dyn DiskFile>>| result.unwrap_err().kind();
    assert_eq!(kind(disk.open(Path::new("/d/a"))), io::ErrorKind::NotFound);
    assert_eq!(kind(disk.create(Path::new("/nowhere/a"))), io::ErrorKind::NotFound);
    drop(disk.create(Path::new("/d/a")).unwrap());
    assert_eq!(kind(disk.create(Path::new("/d/a"))), io::ErrorKind::AlreadyExists);
    assert_eq!(kind(disk.create(Path::new("/d/./a"))), io::ErrorKind::AlreadyExists);
    disk.create_dir_all(Path::new("/d/sub/dir")).unwrap();
    let mut listed = disk.list(Path::new("/d")).unwrap();
    listed.sort();
    assert_eq!(listed, [Path::new("/d/a"), Path::new("/d/sub")]);
    disk.rename(Path::new("/d/a"), Path::new("/d/sub/b")).unwrap();
    assert_eq!(disk.list(Path::new("/d")).unwrap(), [Path::new("/d/sub")]);
    disk.remove(Path::new("/d/sub/b")).unwrap();
    assert_eq!(disk.remove(Path::new("/d/sub/b")).unwrap_err().kind(), io::ErrorKind::NotFound);
    assert!(disk.list(Path::new("/none")).is_err() && disk.sync_dir(Path::new("/none")).is_err());
}

#[test]
fn a_power_cut_takes_what_was_not_synced_and_leaves_what_was() {
    let disk = disk();
    let file = durable(&disk, "/d/a", b"old");
    file.write_all_at(b"new", 0).unwrap();
    file.set_len(2).unwrap();
    disk.crash(0, Fate::LoseAll);
    assert_eq!(content(&disk, "/d/a").unwrap(), b"old");
    let file = disk.open(Path::new("/d/a")).unwrap();
    file.write_all_at(b"new", 0).unwrap();
    disk.crash(0, Fate::KeepAll);
    assert_eq!(content(&disk, "/d/a").unwrap(), b"new");
}

#[test]
fn handles_from_before_a_power_cut_are_dead() {
    let disk = disk();
    let file = durable(&disk, "/d/a", b"old");
    disk.crash(0, Fate::KeepAll);
    assert!(is_eio(file.len()) && is_eio(file.write_all_at(b"x", 0)) && is_eio(file.sync_data()));
    let again = disk.open(Path::new("/d/a")).unwrap();
    drop(file);
    assert_eq!(again.len().unwrap(), 3);
}

#[test]
fn a_name_is_durable_only_after_its_directory_was_synced() {
    let disk = disk();
    let file = disk.create(Path::new("/d/a")).unwrap();
    file.write_all_at(b"x", 0).unwrap();
    file.sync_data().unwrap();
    disk.crash(0, Fate::LoseAll);
    assert_eq!(content(&disk, "/d/a"), None);
    assert_eq!(disk.space(Path::new("/d")).unwrap(), (WHOLE, WHOLE));

    durable(&disk, "/d/a", b"one");
    disk.rename(Path::new("/d/a"), Path::new("/d/b")).unwrap();
    disk.crash(0, Fate::LoseAll);
    assert_eq!((content(&disk, "/d/a").as_deref(), content(&disk, "/d/b")), (Some(&b"one"[..]), None));

    disk.remove(Path::new("/d/a")).unwrap();
    disk.crash(0, Fate::LoseAll);
    assert_eq!(content(&disk, "/d/a").as_deref(), Some(&b"one"[..]));
    disk.remove(Path::new("/d/a")).unwrap();
    disk.sync_dir(Path::new("/d")).unwrap();
    disk.crash(0, Fate::LoseAll);
    assert_eq!(content(&disk, "/d/a"), None);
}

#[test]
fn a_rename_between_directories_is_durable_in_both_or_in_neither() {
    for (synced, from, to) in [("/d", "/d/a", "/e/a"), ("/e", "/d/a", "/e/a")] {
        let disk = disk();
        disk.create_dir_all(Path::new("/e")).unwrap();
        durable(&disk, from, b"one");
        disk.rename(Path::new(from), Path::new(to)).unwrap();
        disk.rename(Path::new(to), Path::new("/d/c")).unwrap();
        disk.rename(Path::new("/d/c"), Path::new(to)).unwrap();
        disk.sync_dir(Path::new(synced)).unwrap();
        disk.crash(0, Fate::LoseAll);
        assert_eq!((content(&disk, from), content(&disk, to).as_deref()), (None, Some(&b"one"[..])));
    }
}

#[test]
fn a_name_that_was_taken_by_another_file_does_not_come_back() {
    let disk = disk();
    disk.create_dir_all(Path::new("/e")).unwrap();
    drop(disk.create(Path::new("/d/a")).unwrap());
    let other = disk.create(Path::new("/e/b")).unwrap();
    other.write_all_at(b"b", 0).unwrap();
    other.sync_data().unwrap();
    disk.rename(Path::new("/e/b"), Path::new("/d/a")).unwrap();
    disk.sync_dir(Path::new("/e")).unwrap();
    disk.crash(0, Fate::KeepAll);
    assert_eq!(content(&disk, "/d/a").as_deref(), Some(&b"b"[..]));
}

#[test]
fn a_random_fate_is_a_subset_and_the_seed_repeats_it() {
    let run = |seed| {
        let disk = disk();
        let file = durable(&disk, "/d/a", &[0; 64]);
        for at in 0..64 {
            file.write_all_at(&[1], at).unwrap();
        }
        disk.crash(seed, Fate::Random);
        content(&disk, "/d/a").unwrap()
    };
    let kept: usize = run(3).iter().map(|byte| usize::from(*byte)).sum();
    assert!((16..48).contains(&kept), "{kept}");
    assert_eq!(run(3), run(3));
    assert_ne!(run(3), run(4));
}

#[test]
fn a_torn_write_leaves_whole_sectors_old_or_new() {
    let mut both = false;
    for seed in 0..50 {
        let disk = disk();
        let file = durable(&disk, "/d/a", &[1; 8192]);
        file.write_all_at(&[2; 6000], 100).unwrap();
        disk.crash(seed, Fate::Torn);
        let found = content(&disk, "/d/a").unwrap();
        assert!(found[..100].iter().chain(&found[6100..]).all(|byte| *byte == 1));
        let sectors: Vec<&[u8]> = found[512..5632].chunks(512).collect();
        assert!(sectors.iter().all(|sector| sector.iter().all(|byte| *byte == sector[0])));
        both |= sectors.iter().any(|sector| sector[0] == 1) && sectors.iter().any(|sector| sector[0] == 2);
    }
    assert!(both, "no seed tore the write");
}

#[test]
fn a_power_cut_asks_about_each_operation() {
    let disk = disk();
    let file = durable(&disk, "/d/a", b"old");
    file.write_all_at(b"n", 0).unwrap();
    file.write_all_at(b"w", 2).unwrap();
    disk.rename(Path::new("/d/a"), Path::new("/d/b")).unwrap();
    let mut asked = Vec::new();
    disk.power_cut(|unsynced| {
        asked.push(unsynced.kind.clone());
        if matches!(unsynced.kind, UnsyncedKind::Write { at: 0, .. }) { Survival::Lost } else { Survival::Kept }
    });
    let write = |at| UnsyncedKind::Write { at, len: 1 };
    assert_eq!(asked, [write(0), write(2), UnsyncedKind::Renamed]);
    assert_eq!(content(&disk, "/d/b").unwrap(), b"olw");
}

#[test]
fn space_is_what_is_written_or_set_aside_and_not_punched() {
    let disk = FakeDisk::new(10 * PAGE);
    let free = |disk: &FakeDisk| disk.space(Path::new("/")).unwrap().1 / PAGE;
    let file = disk.create(Path::new("/a")).unwrap();
    file.allocate(0, 8 * PAGE).unwrap();
    assert_eq!((free(&disk), file.len().unwrap()), (2, 8 * PAGE));
    file.write_all_at(&[1; 4096], PAGE).unwrap();
    assert_eq!(free(&disk), 2);
    let error = file.write_all_at(&[1; 4096 * 3], 8 * PAGE).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    assert_eq!(file.len().unwrap(), 8 * PAGE);
    file.punch(PAGE, 2 * PAGE).unwrap();
    assert_eq!((free(&disk), file.disk_usage().unwrap()), (4, 6 * PAGE));
    file.write_all_at(&[1; 4096 * 3], 8 * PAGE).unwrap();
    file.set_len(PAGE / 2).unwrap();
    assert_eq!(free(&disk), 9);
    disk.remove(Path::new("/a")).unwrap();
    assert_eq!(free(&disk), 9);
    drop(file);
    assert_eq!(free(&disk), 10);
}

#[test]
fn after_the_cut_everything_fails_and_nothing_is_changed() {
    let disk = disk();
    let file = durable(&disk, "/d/a", b"old");
    let before = disk.ops();
    disk.fail_after(1);
    file.write_all_at(b"n", 0).unwrap();
    assert!(disk.is_cut());
    assert!(is_eio(file.write_all_at(b"e", 1)) && is_eio(file.sync_data()) && is_eio(file.len()));
    assert!(is_eio(disk.open(Path::new("/d/a"))) && is_eio(disk.list(Path::new("/d"))));
    assert_eq!(disk.ops(), before + 1);
    disk.crash(0, Fate::KeepAll);
    assert!(!disk.is_cut());
    assert_eq!(content(&disk, "/d/a").unwrap(), b"nld");
}

#[test]
fn a_failed_sync_drops_the_writes_and_the_next_success_does_not_bring_them_back() {
    let disk = disk();
    let file = durable(&disk, "/d/a", b"old");
    disk.fail_sync_once("/a");
    file.write_all_at(b"new", 0).unwrap();
    assert!(is_eio(file.sync_data()));
    file.sync_data().unwrap();
    assert_eq!(content(&disk, "/d/a").unwrap(), b"new");
    disk.crash(0, Fate::KeepAll);
    assert_eq!(content(&disk, "/d/a").unwrap(), b"old");
}

#[test]
fn reads_fail_where_they_were_told_to_and_a_byte_rots() {
    let disk = disk();
    let file = durable(&disk, "/d/a", &[0; 100]);
    disk.fail_reads("/a", 50..60);
    let mut out = [0; 10];
    assert!(is_eio(file.read_exact_at(&mut out, 45)) && is_eio(file.read_exact_at(&mut out, 59)));
    assert!(!file.read_cached_at(&mut out, 45).unwrap());
    file.read_exact_at(&mut out, 40).unwrap();
    file.read_exact_at(&mut out, 60).unwrap();
    disk.mend();
    disk.rot(Path::new("/d/a"), 52).unwrap();
    file.read_exact_at(&mut out, 45).unwrap();
    assert_eq!(out.iter().filter(|byte| **byte != 0).count(), 1);
    disk.crash(0, Fate::LoseAll);
    assert_eq!(content(&disk, "/d/a").unwrap().iter().filter(|byte| **byte != 0).count(), 1);
}

#[test]
fn a_replaced_file_is_the_old_or_the_new_one_whole_wherever_the_power_is_cut() {
    let (old, new) = ([1; 5000], [2; 9000]);
    let mut seen = [false; 2];
    for cut in 0..20 {
        for (seed, fate) in [(0, Fate::LoseAll), (0, Fate::KeepAll)]
            .into_iter()
            .chain((0..40).flat_map(|seed| [(seed, Fate::Random), (seed, Fate::Torn)]))
        {
            let disk = disk();
            replace_file(&disk, Path::new("/d/key"), &old).unwrap();
            disk.fail_after(cut);
            let done = replace_file(&disk, Path::new("/d/key"), &new).is_ok();
            disk.crash(seed, fate);
            let found = content(&disk, "/d/key").unwrap();
            assert!(found == old || found == new, "cut {cut}, seed {seed}, {fate:?}: {} bytes", found.len());
            assert!(!done || found == new, "cut {cut}, seed {seed}, {fate:?}: done, and not there");
            seen[usize::from(found == new)] = true;
            replace_file(&disk, Path::new("/d/key"), &old).unwrap();
        }
    }
    assert_eq!(seen, [true, true]);
}

#[test]
fn a_replacement_that_forgets_to_sync_is_caught() {
    let mut caught = false;
    for seed in 0..20 {
        let disk = disk();
        replace_file(&disk, Path::new("/d/key"), &[1; 5000]).unwrap();
        let file = disk.create(Path::new("/d/key.new")).unwrap();
        file.write_all_at(&[2; 5000], 0).unwrap();
        disk.rename(Path::new("/d/key.new"), Path::new("/d/key")).unwrap();
        disk.sync_dir(Path::new("/d")).unwrap();
        disk.crash(seed, Fate::Torn);
        let found = content(&disk, "/d/key").unwrap();
        caught |= found != [1; 5000] && found != [2; 5000];
    }
    assert!(caught);
}

#[test]
fn a_kill_leaves_what_was_written_and_a_power_cut_after_it_what_was_synced() {
    let disk = disk();
    let file = durable(&disk, "/d/a", b"old");
    file.write_all_at(b"new", 0).unwrap();
    disk.kill();
    assert!(is_eio(file.len()), "a handle of the process that was killed");
    assert_eq!(content(&disk, "/d/a").unwrap(), b"new");
    disk.crash(0, Fate::LoseAll);
    assert_eq!(content(&disk, "/d/a").unwrap(), b"old");
}

#[test]
fn an_operation_that_fails_leaves_some_of_what_it_was_to_do_and_the_next_is_well() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..40 {
        let disk = disk();
        let file = durable(&disk, "/d/a", &[0; 2048]);
        file.write_all_at(&[1; 2048], 0).unwrap();
        disk.fail_operation(0, seed);
        assert!(is_eio(file.sync_data()));
        // It lies: what was unsynced at the failure is clean, and never written.
        file.sync_data().unwrap();
        assert_eq!(content(&disk, "/d/a").unwrap(), [1; 2048], "it is read all the same");
        disk.crash(seed, Fate::KeepAll);
        let ones = content(&disk, "/d/a").unwrap().iter().filter(|byte| **byte == 1).count();
        assert!(ones.is_multiple_of(512), "torn within a sector");
        seen.insert(ones);
        assert_eq!((disk.faults().syncs, disk.faults().writes), (1, 0));
    }
    assert!(seen.contains(&0) && seen.contains(&2048) && seen.len() > 3, "{seen:?}");
}

#[test]
fn a_disk_that_dies_takes_its_directory_with_it_until_it_is_mended() {
    let disk = disk();
    disk.create_dir_all(Path::new("/other")).unwrap();
    let file = durable(&disk, "/d/a", b"old");
    let other = disk.create(Path::new("/other/b")).unwrap();
    disk.die_after(Path::new("/d"), 1);
    other.write_all_at(b"x", 0).unwrap();
    assert!(
        is_eio(file.write_all_at(b"new", 0))
            && is_eio(disk.open(Path::new("/d/a")))
            && is_eio(disk.space(Path::new("/d")))
    );
    other.sync_data().unwrap();
    disk.mend();
    assert_eq!(content(&disk, "/d/a").unwrap(), b"old");
    assert_eq!(disk.faults().dead, 3);
}

#[test]
fn a_fork_has_what_was_shown_and_goes_its_own_way() {
    let disk = disk();
    let file = durable(&disk, "/d/a", b"old");
    file.write_all_at(b"new", 0).unwrap();
    let fork = disk.fork();
    fork.crash(0, Fate::LoseAll);
    assert_eq!(content(&fork, "/d/a").unwrap(), b"new");
    fork.remove(Path::new("/d/a")).unwrap();
    assert_eq!((content(&disk, "/d/a").unwrap(), content(&fork, "/d/a")), (b"new".to_vec(), None));
}
