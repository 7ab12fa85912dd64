//! Every input that is kept for the fuzz targets, through the targets' own functions: what was found once stays found.

#[path = "../../fuzz/src/lib.rs"]
mod targets;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use targets::TARGETS;

/// Of the seeds of one target.
const SEEDS_MAX: usize = 50;
const SEED_BYTES_MAX: u64 = 200_000;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// The files of a directory of `fuzz/`, by name; none where it is not there.
fn inputs(kind: &str, target: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(fuzz().join(kind).join(target)) else { return Vec::new() };
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn every_kept_input_holds() {
    for (name, run) in TARGETS {
        let seeds = inputs("corpus", name);
        assert!(!seeds.is_empty(), "{name} has no corpus");
        for path in seeds.into_iter().chain(inputs("regressions", name)) {
            let data = std::fs::read(&path).unwrap();
            let outcome = std::panic::catch_unwind(|| run(&data));
            assert!(outcome.is_ok(), "{name} fails for {}", path.display());
        }
        run(b"");
    }
}

#[test]
fn a_corpus_is_small() {
    for (name, _) in TARGETS {
        let seeds = inputs("corpus", name);
        let bytes: u64 = seeds.iter().map(|path| path.metadata().unwrap().len()).sum();
        assert!(seeds.len() <= SEEDS_MAX && bytes <= SEED_BYTES_MAX, "{name}: {} files, {bytes} bytes", seeds.len());
    }
}

#[test]
fn each_target_has_its_program_and_each_directory_its_target() {
    let names: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names.len(), TARGETS.len());
    let manifest = std::fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    for name in &names {
        let program = std::fs::read_to_string(fuzz().join(format!("fuzz_targets/{name}.rs"))).unwrap();
        assert!(program.contains("fuzz_target!"), "{name}");
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name} is not in fuzz/Cargo.toml");
    }
    for kind in ["corpus", "regressions", "fuzz_targets"] {
        for entry in std::fs::read_dir(fuzz().join(kind)).into_iter().flatten() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            assert!(names.contains(&name), "{} is of no target", path.display());
        }
    }
}
