//! The rules that the compiler does not know: who may name whom, and what is written nowhere.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What only some places may write, and why nobody else.
const POWERS: [(&str, &[&str]); 8] = [
    // Store and books alone know that there is a database.
    ("redb::", &["src/store/", "src/books/", "src/world/paged.rs"]),
    // What a power cut can harm goes through `world`; the others read /proc and their own input, make sockets, write a
    // download (or man pages) where whoever asked for it wants it, read a file that the operator names, or are strangers with files of
    // their own.
    (
        "std::fs",
        &[
            "src/world/os.rs",
            "src/app/",
            "src/cli/billing.rs",
            "src/cli/bundle/",
            "src/cli/doctor.rs",
            "src/cli/generate.rs",
            "src/cli/save.rs",
            "src/telemetry/file.rs",
            "src/telemetry/process.rs",
            "src/tls/files.rs",
            "src/sim/",
            "src/bench/",
        ],
    ),
    // The shop on paper, bytes and settings do not wait. What a line in the log is about is a value of the task.
    (
        "tokio::",
        &[
            "src/store/",
            "src/engine/",
            "src/http/",
            "src/s3/",
            "src/soap/",
            "src/api/",
            "src/portal/",
            "src/app/",
            "src/cli/",
            "src/tls/",
            "src/sim/",
            "src/bench/",
            "src/telemetry/about.rs",
        ],
    ),
    // Who speaks TLS, and whom it believes, is decided in one room.
    ("rustls::", &["src/tls/"]),
    // Below the planes there is no HTTP.
    ("axum::", &["src/http/", "src/s3/", "src/soap/", "src/api/", "src/portal/", "src/app/"]),
    // A test sets the clock; nobody may go round it.
    ("SystemTime", &["src/world/os.rs"]),
    ("rustix::", &["src/world/os.rs", "src/bench/reference/"]),
    // Who says so has to have come through a socket of mode 0600, or holds the closed store.
    ("Caller::operator", &["src/api/", "src/app/", "src/cli/"]),
];

const LONG_FILE_LINES: usize = 600;

#[test]
fn every_room_names_only_the_rooms_that_the_map_allows() {
    let map = map();
    let mut broken = Vec::new();
    for source in sources() {
        let Some(room) = source.room() else { continue };
        let allowed = map.get(&room).unwrap_or_else(|| panic!("{room} is not on the map of src/lib.rs"));
        for named in rooms_named(&source.text) {
            if named != room && !allowed.contains(&named) {
                broken.push(format!("{} names {named}", source.name));
            }
        }
        if source.climbs_out() {
            broken.push(format!("{} leaves its room by super::; say crate::", source.name));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_map_has_no_circles_and_no_plane_sees_another() {
    let map = map();
    for (room, allowed) in &map {
        let mut reached: BTreeSet<&String> = allowed.iter().collect();
        while let Some(more) = reached.iter().flat_map(|r| &map[*r]).find(|r| !reached.contains(r)) {
            reached.insert(more);
        }
        assert!(!reached.contains(room), "{room} is reached from itself");
        let never: &[&str] = match room.as_str() {
            "s3" => &["soap", "api", "portal", "store", "books", "vault"],
            "soap" => &["s3", "api", "portal", "store", "books", "vault"],
            "api" => &["s3", "soap", "portal", "store", "books", "vault"],
            "portal" => &["s3", "soap", "api", "store", "books", "vault"],
            "tls" => &["engine", "store", "config", "http"],
            "sim" | "bench" => &["engine", "store", "books", "vault", "s3", "soap", "api", "portal", "app", "cli"],
            "app" | "cli" => &["store", "books", "vault"],
            _ => continue,
        };
        // What the engine names is its own affair; a face must not name it itself.
        for other in never {
            assert!(!allowed.contains(*other), "{room} may name {other}");
        }
    }
    for stranger in ["sim", "bench"] {
        assert!(!map[stranger].iter().any(|room| map[room].contains("engine")), "{stranger} comes near the engine");
    }
}

#[test]
fn no_room_is_missing_from_the_map_or_from_the_page() {
    let map: BTreeSet<String> = map().into_keys().collect();
    let mut there = BTreeSet::new();
    for entry in std::fs::read_dir(root().join("src")).unwrap() {
        let path = entry.unwrap().path();
        there.insert(path.file_stem().unwrap().to_string_lossy().into_owned());
    }
    there.remove("lib");
    there.remove("main");
    assert_eq!(map, there, "left: the map of src/lib.rs, right: src");
    let page = read(&root().join("docs/architecture.md"));
    for room in map {
        assert!(page.contains(&format!("`{room}`")), "docs/architecture.md says nothing of {room}");
    }
    let main = read(&root().join("src/main.rs"));
    assert_eq!(main.matches("kandian::").count(), main.matches("kandian::cli::").count(), "main names more than cli");
}

#[test]
fn what_is_dangerous_is_written_only_where_it_belongs() {
    let mut broken = Vec::new();
    for source in sources() {
        for (word, places) in POWERS {
            if source.shipped.contains(word) && !places.iter().any(|place| source.name.starts_with(place)) {
                broken.push(format!("{} writes {word}", source.name));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn nothing_that_ships_unwraps() {
    let broken: Vec<_> = sources().into_iter().filter(|s| s.shipped.contains(".unwrap()")).map(|s| s.name).collect();
    assert!(broken.is_empty(), "{broken:?}");
}

#[test]
fn every_page_that_is_referred_to_exists() {
    let mut missing = BTreeSet::new();
    for (name, text) in files() {
        for at in text.match_indices("docs/").map(|(at, _)| at) {
            // `docs/` at the end of an address or of another path is not ours.
            if text[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || "/._-".contains(c)) {
                continue;
            }
            let page: String =
                text[at..].chars().take_while(|c| c.is_ascii_alphanumeric() || "/._-".contains(*c)).collect();
            if page.ends_with(".md") && !root().join(&page).is_file() {
                missing.insert(format!("{name} refers to {page}"));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn no_file_names_a_place_of_one_machine() {
    let places = ["work", "root", "tmp/wt"].map(|place| format!("/{place}"));
    let mut broken = Vec::new();
    for (name, text) in files() {
        for place in &places {
            for (at, _) in text.match_indices(place.as_str()) {
                let before = text[..at].chars().next_back();
                let after = text[at + place.len()..].chars().next();
                let inside = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
                let part_of_a_path = before.is_some_and(|c| c.is_ascii_alphanumeric() || "._-/}*".contains(c));
                if !part_of_a_path && !inside(after) {
                    broken.push(format!("{name}:{} {place}", text[..at].lines().count()));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// Not a rule: a list, for whoever runs it with `--nocapture`.
#[test]
fn long_files_are_listed() {
    for source in sources() {
        let lines = source.text.lines().count();
        if lines > LONG_FILE_LINES {
            println!("{}: {lines} lines", source.name);
        }
    }
}

#[test]
fn the_reader_of_sources_sees_code_and_nothing_else() {
    let text = "/* redb:: /* nested */ */ fn a<'a>() { '\"'; '{'; \"redb:: \\\" }\"; r#\"tokio::\"#; x(); }\n\
                // axum::\n#[cfg(test)]\nmod tests { fn b() { \"}\"; y.unwrap(); } }\n\
                #[cfg(test)]\nuse z;\nfn c() { kept(); }\n";
    let shipped = without_tests(&code_of(text));
    for gone in ["redb", "tokio", "axum", "unwrap", "use z"] {
        assert!(!shipped.contains(gone), "{gone}: {shipped}");
    }
    for there in ["fn a<'a>()", "x();", "fn c() { kept(); }"] {
        assert!(shipped.contains(there), "{there}: {shipped}");
    }
    let named = rooms_named("use crate::store::Store; use crate::{http, engine::{Engine, crate_x}}; mycrate::no");
    assert_eq!(named.into_iter().collect::<Vec<_>>(), ["engine", "http", "store"]);
}

// === what is read ===

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The map of `src/lib.rs`: its lines `room → room room`.
fn map() -> BTreeMap<String, BTreeSet<String>> {
    let text = read(&root().join("src/lib.rs"));
    let lines = text.lines().filter_map(|line| line.strip_prefix("//! ")?.split_once('→'));
    lines
        .flat_map(|(rooms, allowed)| {
            let allowed: BTreeSet<_> = allowed.split_whitespace().map(str::to_owned).collect();
            rooms.split_whitespace().map(|room| (room.to_owned(), allowed.clone())).collect::<Vec<_>>()
        })
        .collect()
}

/// A Rust file of `src`.
struct Source {
    /// From the repository's root, with `/`.
    name: String,
    text: String,
    /// Code that is in the binary: no comments, no literals, no tests.
    shipped: String,
}

impl Source {
    fn room(&self) -> Option<String> {
        let inside = self.name.strip_prefix("src/")?;
        let room = inside.split('/').next()?.trim_end_matches(".rs");
        (room != "lib" && room != "main").then(|| room.to_owned())
    }

    /// Whether a chain of `super::` ends at the crate itself.
    fn climbs_out(&self) -> bool {
        let inside = self.name.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
        let depth = inside.split('/').count();
        self.shipped.contains(&"super::".repeat(depth))
    }
}

fn sources() -> Vec<Source> {
    let rust = files().into_iter().filter(|(name, _)| name.starts_with("src/") && name.ends_with(".rs"));
    let read = rust.map(|(name, text)| {
        let is_test = name.ends_with("/tests.rs") || name.contains("/tests/");
        let shipped = if is_test { String::new() } else { without_tests(&code_of(&text)) };
        Source { name, text, shipped }
    });
    let read: Vec<_> = read.collect();
    assert!(read.len() > 100, "the sources were not found");
    read
}

/// Every text file of the repository that is ours, by name.
fn files() -> Vec<(String, String)> {
    let (mut out, mut to_see) = (Vec::new(), vec![PathBuf::from(root())]);
    while let Some(dir) = to_see.pop() {
        for entry in std::fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
            let last = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                let made = [
                    ".git",
                    ".cache",
                    "target",
                    "node_modules",
                    "__pycache__",
                    "data",
                    "fuzz/target",
                    "fuzz/artifacts",
                ];
                let not_ours = made.contains(&&*name) || ["node_modules", "__pycache__"].contains(&&*last);
                if !not_ours && !path.is_symlink() {
                    to_see.push(path);
                }
            } else if name != ".git"
                && name != "Cargo.lock"
                && let Ok(text) = std::fs::read_to_string(&path)
            {
                out.push((name, text));
            }
        }
    }
    out.sort();
    out
}

/// The rooms that `crate::…` names, comments and tests too.
fn rooms_named(text: &str) -> BTreeSet<String> {
    let word = |text: &str| -> String { text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect() };
    let mut out = BTreeSet::new();
    for (at, found) in text.match_indices("crate::") {
        if text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = &text[at + found.len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let (mut depth, mut begins) = (0, true);
            for (at, c) in group.char_indices() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => begins = true,
                    c if c.is_whitespace() => {}
                    _ if begins => {
                        out.insert(word(&group[at..]));
                        begins = false;
                    }
                    _ => {}
                }
            }
        } else {
            out.insert(word(rest));
        }
    }
    out.remove("");
    out
}

/// The text with comments and what is in literals taken out.
fn code_of(text: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(c) = rest.chars().next() {
        let skip = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if let Some(len) = raw_string(rest, out.chars().next_back()) {
            len
        } else if c == '"' {
            out.push_str("\"\"");
            quoted(rest)
        } else if c == '\'' {
            char_literal(rest)
        } else {
            0
        };
        if skip == 0 {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            rest = &rest[skip..];
        }
    }
    out
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

fn raw_string(text: &str, before: Option<char>) -> Option<usize> {
    if before.is_some_and(|c| c.is_alphanumeric() && c != 'b' || c == '_') {
        return None;
    }
    let hashes = text.strip_prefix('r')?.chars().take_while(|c| *c == '#').count();
    text[1 + hashes..].strip_prefix('"')?;
    let begin = hashes + 2;
    let end = format!("\"{}", "#".repeat(hashes));
    Some(text[begin..].find(&end).map_or(text.len(), |at| begin + at + end.len()))
}

fn quoted(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of `'x'` or `'\…'`; 0 for a lifetime.
fn char_literal(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match (chars.next(), chars.next(), chars.next()) {
        (Some((_, '\\')), Some(_), Some((at, _))) => text[at..].find('\'').map_or(text.len(), |end| at + end + 1),
        (Some(_), Some((at, '\'')), _) => at + 1,
        _ => 0,
    }
}

/// Code (see [`code_of`]) without the items that `#[cfg(test)]` stands before.
fn without_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let (mut out, mut rest) = (String::new(), code);
    while let Some(at) = rest.find(MARK) {
        out.push_str(&rest[..at]);
        rest = &rest[at + MARK.len()..];
        rest = &rest[item(rest)..];
    }
    out + rest
}

/// Where the item that begins the text ends: behind its `;`, `,` or `}`, outside of all brackets.
fn item(text: &str) -> usize {
    let mut depth = 0_i32;
    for (at, c) in text.char_indices() {
        match c {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => {
                depth -= 1;
                if depth == 0 && c == '}' || depth < 0 {
                    return at + usize::from(depth == 0);
                }
            }
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    text.len()
}
