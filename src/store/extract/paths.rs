//! Under which name a file is written: its bucket and its key, where that is a name that every file system takes and
//! nothing else has, else a number beside it. A key never leads out of the directory.

use std::collections::HashSet;
use std::path::PathBuf;

/// Bytes of one name on the usual file systems, less room for what is put behind it.
const NAME_MAX: usize = 240;
/// Bytes of a whole path below the directory.
const PATH_MAX: usize = 1500;

/// The names that are taken. Names that differ only in case are one name, as on a disk of Windows or macOS.
#[derive(Debug)]
pub(super) struct Paths {
    files: HashSet<String>,
    dirs: HashSet<String>,
}

/// The list of what was written, at the top.
pub(super) const INDEX: &str = "index.csv";
/// Behind a bucket's name: where its files with numbers for names are.
const RENAMED: &str = ".renamed";

impl Default for Paths {
    fn default() -> Self {
        Self { files: HashSet::from([INDEX.to_owned()]), dirs: HashSet::new() }
    }
}

impl Paths {
    /// A name for a file, below the directory; `id` is a number that no other file has.
    pub(super) fn take(&mut self, bucket: &str, key: &str, id: u64) -> PathBuf {
        if let Some(path) = plain(bucket, key)
            && self.is_free(&path)
        {
            self.keep(&path);
            return path.into();
        }
        self.number(bucket, id)
    }

    /// The name of last resort: a number.
    pub(super) fn number(&mut self, bucket: &str, id: u64) -> PathBuf {
        let bucket = if is_plain(bucket) { bucket } else { "bucket" };
        PathBuf::from(format!("{bucket}{RENAMED}")).join(id.to_string())
    }

    fn is_free(&self, path: &str) -> bool {
        let folded = path.to_lowercase();
        let above = folded.match_indices('/').map(|(at, _)| &folded[..at]);
        !self.files.contains(&folded)
            && !self.dirs.contains(&folded)
            && above.into_iter().all(|dir| !self.files.contains(dir))
    }

    fn keep(&mut self, path: &str) {
        let folded = path.to_lowercase();
        for (at, _) in folded.match_indices('/') {
            self.dirs.insert(folded[..at].to_owned());
        }
        self.files.insert(folded);
    }
}

/// The path itself, where each of its names is an ordinary one.
fn plain(bucket: &str, key: &str) -> Option<String> {
    let path = format!("{bucket}/{key}");
    let bucket_is_plain = is_plain(bucket) && !bucket.ends_with(RENAMED);
    (path.len() <= PATH_MAX && bucket_is_plain && key.split('/').all(is_plain)).then_some(path)
}

fn is_plain(name: &str) -> bool {
    let odd = |c: char| c.is_control() || c == '\\' || c == ':';
    !name.is_empty()
        && name.len() <= NAME_MAX
        // Neither `.` nor `..`, nor what another system cuts off.
        && !name.ends_with(['.', ' '])
        && !name.starts_with(' ')
        && !name.contains(odd)
}

#[cfg(test)]
mod tests {
    use std::path::{Component, Path};

    use proptest::prelude::proptest;

    use super::*;

    fn path(paths: &mut Paths, key: &str, id: u64) -> String {
        paths.take("rec-a", key, id).to_string_lossy().into_owned()
    }

    #[test]
    fn an_ordinary_key_is_its_own_name_and_an_odd_one_gets_a_number() {
        let mut paths = Paths::default();
        assert_eq!(path(&mut paths, "2014-03-28/录像 1.mp4", 1), "rec-a/2014-03-28/录像 1.mp4");
        let long = "x".repeat(300);
        for (id, odd) in
            (2..).zip(["../etc/passwd", "/etc/passwd", "a//b", "a/./b", "a/", "..", "c:\\x", "a\nb", &long])
        {
            assert_eq!(path(&mut paths, odd, id), format!("rec-a.renamed/{id}"), "{odd:?}");
        }
    }

    #[test]
    fn no_two_files_share_a_name_and_none_is_a_directory_too() {
        let mut paths = Paths::default();
        assert_eq!(path(&mut paths, "a/b", 1), "rec-a/a/b");
        assert_eq!(path(&mut paths, "A/B", 2), "rec-a.renamed/2", "case");
        assert_eq!(path(&mut paths, "a", 3), "rec-a.renamed/3", "a directory already");
        assert_eq!(path(&mut paths, "a/b/c", 4), "rec-a.renamed/4", "below a file");
        assert_eq!(path(&mut paths, "a/c", 5), "rec-a/a/c");
        assert_eq!(paths.take("index.csv", "a", 6), Path::new("index.csv.renamed/6"), "the index is there");
        assert_eq!(paths.take("rec-a.renamed", "2", 7), Path::new("rec-a.renamed.renamed/7"));
    }

    proptest! {
        #[test]
        fn no_key_leads_out_of_the_directory(keys in proptest::collection::vec("[a-zA-Z./\\\\ :\u{0}\n]{1,12}", 1..20)) {
            let mut paths = Paths::default();
            let mut seen = HashSet::new();
            for (id, key) in (1..).zip(&keys) {
                let path = paths.take("b", key, id);
                assert!(path.components().all(|part| matches!(part, Component::Normal(_))), "{key:?}: {path:?}");
                assert!(Path::new("b").parent().is_some() && seen.insert(path.to_string_lossy().to_lowercase()));
            }
        }
    }
}
