//! Disks that can lose power: a FUSE file system with files `disk-0.img` and so on, for loop devices to stand on.
//!
//! `cargo run --example cutting_disk -- MOUNT_POINT MIB…` mounts it (as root; fusermount is not needed) and takes
//! commands from its standard input, a line each; it answers each with a line of JSON and ends with its input:
//!
//! - `cut FILE,… MODE SEED AFTER` makes other files of what a power cut would leave at the AFTERth write from now (0: at
//!   once): everything that was flushed (FUSE's fsync, which the loop driver sends for a flush), and of what was written
//!   since what MODE (`lose`, `keep`, `prefix`, `subset`, `torn`, or `any`, on each disk another) and SEED say. The disks
//!   go on as if nothing had been. What a cut left can be written to, and cut.
//! - `remove FILE` forgets a cut.
//! - `lie FILE` makes flushes of FILE do nothing any more, so that a harness can be seen to find it out.
//! - `fail FILE WHAT` makes all `reads`, `writes` or `flushes` of FILE fail with EIO from now on; `nothing` heals it.
//! - `counts FILE` says how often was written, discarded and flushed.

mod dice;
mod files;
mod pages;

use std::io::{self, BufRead, Write};
use std::sync::Arc;

use fuser::{Config, MountOption};
use serde_json::{Value, json};

use files::{Disks, Files};
use pages::{Left, Mode, Part};

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let size = |mib: String| mib.parse::<usize>().ok()?.checked_mul(1 << 20);
    let (Some(mount_point), Some(sizes)) = (arguments.next(), arguments.map(size).collect::<Option<Vec<usize>>>())
    else {
        return Err(io::Error::other("usage: cutting_disk MOUNT_POINT MIB…"));
    };
    let disks = Disks::new(&sizes);
    let mut config = Config::default();
    config.mount_options = vec![MountOption::FSName("cutting_disk".to_owned()), MountOption::RW];
    let mounted = fuser::spawn_mount(Files(Arc::clone(&disks)), mount_point, &config)?;
    let mut out = io::stdout().lock();
    writeln!(out, "{}", json!({ "disks": sizes.len() }))?;
    for line in io::stdin().lock().lines() {
        let answer = obey(&disks, &line?).unwrap_or_else(|| json!({ "error": "no such command or file" }));
        writeln!(out, "{answer}")?;
    }
    drop(mounted);
    Ok(())
}

/// Does what a line says; nothing where it says nothing that can be done.
fn obey(disks: &Disks, line: &str) -> Option<Value> {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words[..] {
        ["cut", files, mode, seed, after] => {
            let files: Vec<&str> = files.split(',').collect();
            let mode = if mode == "any" { None } else { Some(Mode::named(mode)?) };
            let made = disks.cut(&files, mode, seed.parse().ok()?, after.parse().ok()?)?;
            let sum = |of: fn(&Left) -> usize| made.iter().map(|(_, left)| of(left)).sum::<usize>();
            let (writes, lost, torn) = (sum(|left| left.writes), sum(|left| left.lost), sum(|left| left.torn));
            let files: Vec<&String> = made.iter().map(|(file, _)| file).collect();
            Some(json!({ "files": files, "writes": writes, "lost": lost, "torn": torn }))
        }
        ["remove", file] => disks.remove(file).then(|| json!({ "removed": file })),
        ["lie", file] => disks.lie(file).then(|| json!({ "lies": file })),
        ["fail", file, what] => {
            let what = if what == "nothing" { None } else { Some(Part::named(what)?) };
            disks.fail(file, what).then(|| json!({ "fails": file }))
        }
        ["counts", file] => {
            let counts = disks.counts(file)?;
            Some(json!({ "writes": counts.writes, "discards": counts.discards, "flushes": counts.flushes }))
        }
        _ => None,
    }
}
