//! A disk that can lose power: a FUSE file system with one file, `disk.img`, for a loop device to stand on.
//!
//! `cargo run --example cutting_disk -- MOUNT_POINT MIB` mounts it (as root; fusermount is not needed) and takes
//! commands from its standard input, a line each; it answers each with a line of JSON and ends with its input:
//!
//! - `cut FILE MODE SEED AFTER` makes another file of what a power cut would leave at the AFTERth write from now (0: at
//!   once): everything that was flushed (FUSE's fsync, which the loop driver sends for a flush), and of what was written
//!   since what MODE (`lose`, `keep`, `prefix`, `subset`, `torn`) and SEED say. FILE goes on as if nothing had been. A cut
//!   can be written to, and cut.
//! - `remove FILE` forgets a cut.
//! - `lie FILE` makes flushes of FILE do nothing any more, so that a harness can be seen to find it out.
//! - `counts FILE` says how often was written, discarded and flushed.

mod dice;
mod files;
mod pages;

use std::io::{self, BufRead, Write};
use std::sync::Arc;

use fuser::{Config, MountOption};
use serde_json::{Value, json};

use files::{Disks, Files};
use pages::Mode;

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let size = |mib: String| mib.parse::<usize>().ok()?.checked_mul(1 << 20);
    let (Some(mount_point), Some(bytes)) = (arguments.next(), arguments.next().and_then(size)) else {
        return Err(io::Error::other("usage: cutting_disk MOUNT_POINT MIB"));
    };
    let disks = Disks::new("disk.img", bytes);
    let mut config = Config::default();
    config.mount_options = vec![MountOption::FSName("cutting_disk".to_owned()), MountOption::RW];
    let mounted = fuser::spawn_mount(Files(Arc::clone(&disks)), mount_point, &config)?;
    let mut out = io::stdout().lock();
    writeln!(out, "{}", json!({ "file": "disk.img" }))?;
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
        ["cut", file, mode, seed, after] => {
            let (mode, seed, after) = (Mode::named(mode)?, seed.parse().ok()?, after.parse().ok()?);
            let (file, left) = disks.cut(file, mode, seed, after)?;
            Some(json!({ "file": file, "writes": left.writes, "lost": left.lost, "torn": left.torn }))
        }
        ["remove", file] => disks.remove(file).then(|| json!({ "removed": file })),
        ["lie", file] => disks.lie(file).then(|| json!({ "lies": file })),
        ["counts", file] => {
            let counts = disks.counts(file)?;
            Some(json!({ "writes": counts.writes, "discards": counts.discards, "flushes": counts.flushes }))
        }
        _ => None,
    }
}
