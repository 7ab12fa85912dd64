//! What `docs/security.md` promises and no other test holds: that the page is honest, that nothing is shipped that
//! anybody could know, and that the build is the one that the rules want.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

/// Every file below `dir` of the repository with one of these ends.
fn files(dir: &str, ends: &[&str]) -> Vec<PathBuf> {
    let (mut found, mut open) = (Vec::new(), vec![root().join(dir)]);
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                if !path.ends_with("node_modules") {
                    open.push(path);
                }
            } else if path.extension().is_some_and(|end| ends.iter().any(|wanted| end == *wanted)) {
                found.push(path);
            }
        }
    }
    found
}

/// The texts between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

fn is_name(text: &str) -> bool {
    text.len() > 7
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && text.contains('_')
}

#[test]
fn every_test_type_and_file_that_the_page_of_security_names_is_there() {
    let page = read("docs/security.md");
    let mut sources = String::new();
    for path in ["src", "tests"].iter().flat_map(|dir| files(dir, &["rs", "py"])) {
        sources += &std::fs::read_to_string(path).unwrap();
    }
    let mut missing = BTreeSet::new();
    let (mut tests, mut rules) = (0, 0);
    for row in page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| rule")) {
        rules += 1;
        let held_by = row.rsplit(" | ").next().unwrap();
        assert!(quoted(held_by).count() > 0, "nothing holds: {row}");
        for name in quoted(held_by) {
            let there = if name.contains('/') || name.ends_with(".toml") {
                root().join(name).exists()
            } else if is_name(name) {
                tests += 1;
                sources.contains(&format!("fn {name}(")) || sources.contains(&format!("def {name}("))
            } else {
                let last = name.rsplit("::").next().unwrap();
                ["struct", "enum", "trait", "type", "const", "mod", "fn"]
                    .iter()
                    .any(|kind| sources.contains(&format!("{kind} {last}")))
                    || read("Cargo.toml").contains(name)
            };
            if !there {
                missing.insert(name.to_owned());
            }
        }
    }
    assert!(missing.is_empty(), "docs/security.md names what is not there: {missing:?}");
    assert!(rules > 40 && tests > 60, "{rules} rules, {tests} tests");
}

#[test]
fn the_program_ships_no_secret_that_anybody_could_know() {
    let program = std::fs::read(env!("CARGO_BIN_EXE_kandian")).unwrap();
    // As text, whose search is quick where nothing is optimised.
    let program = String::from_utf8_lossy(&program);
    let has = |wanted: &str| program.contains(wanted);
    assert!(has("kandian"), "it is the program that is looked at");
    let known = [
        "minioadmin",
        "changeme",
        "PRIVATE KEY-----\nMI",
        "PRIVATE KEY-----\r\nMI",
        "KDMASTER\x01\0\0\0",
        "$argon2id$v=19$m=19456,t=2,p=1$",
        "kandian123",
        "Kandian@",
    ];
    for text in known {
        assert!(!has(text), "{text}");
    }
    // An access key of Amazon's form is nobody's but an example's.
    for (at, _) in program.match_indices("AKIA") {
        let rest = program.as_bytes()[at + 4..].iter().take(16);
        assert!(!rest.into_iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()), "an access key");
    }
}

#[test]
fn what_is_shipped_counts_with_checks_and_outlives_a_panic() {
    let manifest = read("Cargo.toml");
    let release = manifest.split("[profile.release]").nth(1).unwrap().split("\n[").next().unwrap();
    assert!(release.contains("overflow-checks = true"));
    assert!(!manifest.contains("panic = \"abort\""), "a panic ends one connection, not the server");
    assert!(manifest.contains("unsafe_code = \"deny\"") && manifest.contains("unwrap_used = \"deny\""));
}

#[test]
fn no_header_says_where_a_request_comes_from() {
    for path in files("src", &["rs"]) {
        let text = std::fs::read_to_string(&path).unwrap().to_lowercase();
        for header in ["x-forwarded-for", "x-real-ip", "header::forwarded", "\"forwarded\""] {
            assert!(!text.contains(header), "{} reads {header}", path.display());
        }
    }
}

#[test]
fn unsafe_code_stands_in_one_place() {
    for path in files("src", &["rs"]) {
        let text = std::fs::read_to_string(&path).unwrap();
        let there = text.lines().any(|line| {
            let line = line.trim_start();
            !line.starts_with("//") && (line.contains("unsafe {") || line.contains("unsafe fn"))
        });
        assert!(!there || path.starts_with(root().join("src/md5")), "{}", path.display());
    }
}

#[test]
fn what_is_monitored_is_numbers_and_listens_on_the_loopback() {
    let shipped = read("appliance.toml");
    let metrics = shipped.split("[metrics]").nth(1).unwrap();
    assert!(metrics.lines().any(|line| line.starts_with("listen = \"127.0.0.1:")), "{metrics}");
}
