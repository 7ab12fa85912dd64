//! ZIP archives, written in one pass: stored members, sizes and CRC behind each (data descriptors), ZIP64 where a
//! number needs it. PKWARE's APPNOTE 6.3.10.
//!
//! Nothing is asked back of what was written, so an archive can go straight to a client. Absent: compression, which
//! recordings do not have any use for, and reading.

use std::collections::HashSet;

/// Numbers from here on need ZIP64.
const LIMIT: u64 = 0xffff_ffff;
const MEMBERS_LIMIT: u64 = 0xffff;
/// Sizes come behind the member (bit 3), names are UTF-8 (bit 11).
const FLAGS: u16 = 1 << 3 | 1 << 11;
/// The version that knows ZIP64.
const VERSION: u16 = 45;

/// A member that is being written.
#[derive(Debug)]
struct Member {
    name: String,
    /// DOS date and time.
    stamp: u32,
    at: u64,
    /// Whether its sizes take 8 bytes.
    wide: bool,
    crc: u32,
    size: u64,
}

/// An archive that is being written: gives the bytes that stand around the members' own.
#[derive(Debug, Default)]
pub struct Archive {
    members: Vec<Member>,
    at: u64,
}

impl Archive {
    /// What stands in front of a member's bytes. `size` is what is expected; `stamp` is of [`dos_time`].
    pub fn begin(&mut self, name: &str, size: u64, stamp: u32) -> Vec<u8> {
        let wide = size >= LIMIT;
        let mut out = Vec::with_capacity(64 + name.len());
        out.extend(0x0403_4b50_u32.to_le_bytes());
        out.extend(VERSION.to_le_bytes());
        out.extend(FLAGS.to_le_bytes());
        out.extend(0_u16.to_le_bytes());
        out.extend(stamp.to_le_bytes());
        out.extend(0_u32.to_le_bytes());
        let sizes = if wide { u32::MAX } else { 0 };
        out.extend(sizes.to_le_bytes());
        out.extend(sizes.to_le_bytes());
        out.extend(short(name.len()).to_le_bytes());
        out.extend(if wide { 20_u16 } else { 0 }.to_le_bytes());
        out.extend(name.as_bytes());
        if wide {
            out.extend([1, 0, 16, 0]);
            out.extend([0; 16]);
        }
        self.members.push(Member { name: name.to_owned(), stamp, at: self.at, wide, crc: 0, size: 0 });
        self.at += out.len() as u64;
        out
    }

    /// What stands behind the bytes of the member begun last: how many they were, and their CRC-32.
    pub fn end(&mut self, size: u64, crc: u32) -> Vec<u8> {
        let mut out = Vec::with_capacity(24);
        let Some(member) = self.members.last_mut() else { return out };
        (member.size, member.crc) = (size, crc);
        out.extend(0x0807_4b50_u32.to_le_bytes());
        out.extend(crc.to_le_bytes());
        for _ in 0..2 {
            if member.wide {
                out.extend(size.to_le_bytes());
            } else {
                out.extend(clipped(size).to_le_bytes());
            }
        }
        self.at += size + out.len() as u64;
        out
    }

    /// The directory at the end.
    pub fn finish(self) -> Vec<u8> {
        let mut out = Vec::new();
        for member in &self.members {
            let mut wide = Vec::new();
            for number in [member.size, member.size, member.at] {
                if number >= LIMIT {
                    wide.extend(number.to_le_bytes());
                }
            }
            out.extend(0x0201_4b50_u32.to_le_bytes());
            // Made on Unix, so that the mode below counts.
            out.extend((3 << 8 | VERSION).to_le_bytes());
            out.extend(VERSION.to_le_bytes());
            out.extend(FLAGS.to_le_bytes());
            out.extend(0_u16.to_le_bytes());
            out.extend(member.stamp.to_le_bytes());
            out.extend(member.crc.to_le_bytes());
            out.extend(clipped(member.size).to_le_bytes());
            out.extend(clipped(member.size).to_le_bytes());
            out.extend(short(member.name.len()).to_le_bytes());
            out.extend(if wide.is_empty() { 0 } else { short(wide.len() + 4) }.to_le_bytes());
            // No comment, first disk, no internal attributes.
            out.extend([0; 6]);
            out.extend((0o100_644_u32 << 16).to_le_bytes());
            out.extend(clipped(member.at).to_le_bytes());
            out.extend(member.name.as_bytes());
            if !wide.is_empty() {
                out.extend([1, 0]);
                out.extend(short(wide.len()).to_le_bytes());
                out.extend(wide);
            }
        }
        let (count, size, at) = (self.members.len() as u64, out.len() as u64, self.at);
        if count >= MEMBERS_LIMIT || size >= LIMIT || at >= LIMIT {
            out.extend(0x0606_4b50_u32.to_le_bytes());
            out.extend(44_u64.to_le_bytes());
            out.extend(VERSION.to_le_bytes());
            out.extend(VERSION.to_le_bytes());
            out.extend([0; 8]);
            for number in [count, count, size, at] {
                out.extend(number.to_le_bytes());
            }
            out.extend(0x0706_4b50_u32.to_le_bytes());
            out.extend(0_u32.to_le_bytes());
            out.extend((at + size).to_le_bytes());
            out.extend(1_u32.to_le_bytes());
        }
        out.extend(0x0605_4b50_u32.to_le_bytes());
        out.extend([0; 4]);
        let members = u16::try_from(count).unwrap_or(u16::MAX);
        out.extend(members.to_le_bytes());
        out.extend(members.to_le_bytes());
        out.extend(clipped(size).to_le_bytes());
        out.extend(clipped(at).to_le_bytes());
        out.extend(0_u16.to_le_bytes());
        out
    }
}

fn clipped(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn short(length: usize) -> u16 {
    u16::try_from(length).unwrap_or(u16::MAX)
}

/// `2014-03-28 14:30:05` as DOS writes it, to two seconds; before 1980, or unreadable, is the first of 1980.
pub fn dos_time(moment: &str) -> u32 {
    let numbers: Vec<u32> = moment.split(['-', ' ', ':']).filter_map(|part| part.parse().ok()).collect();
    match numbers[..] {
        [year @ 1980..=2107, month, day, hour, minute, second] => {
            ((year - 1980) << 25) | (month << 21) | (day << 16) | (hour << 11) | (minute << 5) | (second / 2)
        }
        _ => 1 << 21 | 1 << 16,
    }
}

/// Names of members that every system can unpack: relative, nothing that Windows refuses, none twice.
#[derive(Debug, Default)]
pub struct Names(HashSet<String>);

impl Names {
    /// A name for `key`, whose `/` are folders.
    pub fn name(&mut self, key: &str) -> String {
        let safe: Vec<String> = key.split('/').filter(|part| !part.is_empty()).map(safe_part).collect();
        let safe = if safe.is_empty() { "_".to_owned() } else { safe.join("/") };
        let dot = safe.rfind('.').filter(|&dot| dot > safe.rfind('/').map_or(0, |slash| slash + 1));
        let (stem, extension) = safe.split_at(dot.unwrap_or(safe.len()));
        let mut name = safe.clone();
        let mut number = 1_u32;
        // Windows does not tell capitals apart.
        while !self.0.insert(name.to_lowercase()) {
            number += 1;
            name = format!("{stem} ({number}){extension}");
        }
        name
    }
}

fn safe_part(part: &str) -> String {
    const DEVICES: [&str; 4] = ["con", "prn", "aux", "nul"];
    let mut safe: String =
        part.chars().map(|c| if c.is_control() || r#"<>:"\|?*"#.contains(c) { '_' } else { c }).collect();
    if let Some((at, _)) = safe.char_indices().nth(200) {
        // The end has the extension.
        let tail: String = part.chars().rev().take(20).collect::<Vec<_>>().into_iter().rev().collect();
        safe.truncate(at);
        safe.push('~');
        safe.extend(tail.chars().map(|c| if c.is_control() || r#"<>:"\|?*"#.contains(c) { '_' } else { c }));
    }
    // Windows drops dots and blanks at the end, and `..` leads elsewhere.
    if safe.ends_with(['.', ' ']) {
        safe.push('_');
    }
    let stem = safe.split('.').next().unwrap_or_default().trim_end().to_lowercase();
    let numbered = |word: &str| stem.strip_prefix(word).is_some_and(|rest| rest.len() == 1 && rest != "0");
    if DEVICES.contains(&stem.as_str()) || numbered("com") || numbered("lpt") {
        safe.insert(0, '_');
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn crc(bytes: &[u8]) -> u32 {
        u32::try_from(crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32IsoHdlc, bytes)).unwrap()
    }

    fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
        let (mut zip, mut names, mut out) = (Archive::default(), Names::default(), Vec::new());
        for (name, bytes) in members {
            out.extend(zip.begin(&names.name(name), bytes.len() as u64, dos_time("2014-03-28 14:30:06")));
            out.extend(*bytes);
            out.extend(zip.end(bytes.len() as u64, crc(bytes)));
        }
        out.extend(zip.finish());
        out
    }

    /// What Python's zipfile makes of an archive: names, sizes, and that every CRC is right.
    fn python(bytes: &[u8], script: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.zip");
        std::fs::write(&path, bytes).unwrap();
        let program =
            format!("import sys,zipfile\nz=zipfile.ZipFile(sys.argv[1])\nassert z.testzip() is None\n{script}");
        let run = std::process::Command::new("python3").arg("-c").arg(program).arg(&path).output().unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        if let Ok(run) = std::process::Command::new("unzip").arg("-tq").arg(&path).output() {
            assert!(run.status.success(), "unzip: {}", String::from_utf8_lossy(&run.stdout));
        }
        String::from_utf8(run.stdout).unwrap()
    }

    #[test]
    fn others_read_what_we_write() {
        let made =
            archive(&[("店/一.mp4", b"abc"), ("empty", b""), ("店/一.mp4", b"again"), ("a/b.TXT", &[7; 70_000])]);
        let told = python(&made, "for i in z.infolist(): print(i.filename,i.file_size,i.date_time)");
        let when = "(2014, 3, 28, 14, 30, 6)";
        let right = [("店/一.mp4", 3), ("empty", 0), ("店/一 (2).mp4", 5), ("a/b.TXT", 70_000)];
        assert_eq!(told, right.map(|(name, size)| format!("{name} {size} {when}\n")).concat());
    }

    #[test]
    fn seventy_thousand_members_take_zip64() {
        let names: Vec<String> = (0..70_000).map(|n| format!("{n}")).collect();
        let members: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), name.as_bytes())).collect();
        assert_eq!(python(&archive(&members), "print(len(z.namelist()),z.read('69999'))").trim(), "70000 b'69999'");
    }

    #[test]
    fn a_member_and_what_lies_behind_4_gib_take_zip64() {
        // A file with a hole: 5 GiB of zeros that take no room.
        use std::io::{Seek, SeekFrom, Write};
        const SIZE: u64 = 5 << 30;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("big.zip");
        let mut file = std::fs::File::create(&path).unwrap();
        let mut zip = Archive::default();
        file.write_all(&zip.begin("big", SIZE, 0x21_0000)).unwrap();
        file.seek(SeekFrom::Current(i64::try_from(SIZE).unwrap())).unwrap();
        file.write_all(&zip.end(SIZE, 0)).unwrap();
        file.write_all(&zip.begin("behind", 2, 0x21_0000)).unwrap();
        file.write_all(b"hi").unwrap();
        file.write_all(&zip.end(2, crc(b"hi"))).unwrap();
        file.write_all(&zip.finish()).unwrap();
        let program = "import sys,zipfile\nz=zipfile.ZipFile(sys.argv[1])\n\
                       print(z.getinfo('big').file_size,z.getinfo('behind').header_offset>2**32,z.read('behind'))";
        let run = std::process::Command::new("python3").arg("-c").arg(program).arg(&path).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&run.stdout).trim(), format!("{SIZE} True b'hi'"));
    }

    #[test]
    fn names_are_safe_on_windows_and_told_apart() {
        let mut names = Names::default();
        for (key, name) in [
            ("a/b.mp4", "a/b.mp4"),
            ("A/B.mp4", "A/B (2).mp4"),
            ("/etc/passwd", "etc/passwd"),
            ("../../x", ".._/.._/x"),
            ("c:\\x?*.jpg", "c__x__.jpg"),
            ("con.txt", "_con.txt"),
            ("COM1", "_COM1"),
            ("com10", "com10"),
            ("dot. ", "dot. _"),
            ("//", "_"),
            (".hidden", ".hidden"),
        ] {
            assert_eq!(names.name(key), name, "{key}");
        }
        assert_eq!(names.name(".hidden"), ".hidden (2)");
    }

    proptest! {
        #[test]
        fn no_name_leads_out_or_comes_twice(keys in proptest::collection::vec(any::<String>(), 1..20)) {
            let mut names = Names::default();
            let mut seen = HashSet::new();
            for key in keys {
                let name = names.name(&key);
                prop_assert!(!name.starts_with('/') && !name.contains('\\') && !name.contains('\0'), "{name:?}");
                prop_assert!(name.split('/').all(|part| part != ".." && part != "." && !part.is_empty()), "{name:?}");
                prop_assert!(seen.insert(name.to_lowercase()));
            }
        }
    }
}
