//! The log in a file of its own, for boxes without a journal: bounded, by size and number, and opened anew when told,
//! so that `logrotate` may do it instead.
//!
//! A thread of its own writes. Where it cannot keep up, as on a disk that hangs, lines are left out and counted: no
//! request waits for the log.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// Lines that wait at most to be written.
const WAITING_MAX: usize = 8192;
/// The end waits no longer than this for a disk that hangs.
const FLUSH_MAX: Duration = Duration::from_secs(2);

/// Where the log goes, and how much of it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// The file.
    pub path: PathBuf,
    /// Another one is begun after so many bytes; 0: never.
    pub bytes: u64,
    /// Full ones that are kept beside it: `FILE.1` is the newest.
    pub keep: u32,
}

/// A log that is written to a file.
#[derive(Clone, Debug)]
pub(super) struct LogFile {
    told: SyncSender<Told>,
    left_out: Arc<AtomicU64>,
}

enum Told {
    Line(Vec<u8>),
    Reopen,
    /// Answers when everything before it is written.
    Flush(SyncSender<()>),
}

impl LogFile {
    /// Opens the file, behind what is in it, and starts the thread.
    pub(super) fn start(rotation: Rotation) -> io::Result<Self> {
        let roller = Roller::open(rotation)?;
        let (told, waiting) = sync_channel(WAITING_MAX);
        let left_out = Arc::new(AtomicU64::new(0));
        let of_thread = Arc::clone(&left_out);
        std::thread::Builder::new().name("log".to_owned()).spawn(move || write_down(roller, &waiting, &of_thread))?;
        Ok(Self { told, left_out })
    }

    /// Opens the file anew, where `logrotate` has moved it away.
    pub(super) fn reopen(&self) {
        // The thread ends with the process alone.
        let _ = self.told.try_send(Told::Reopen);
    }

    /// Waits until what was said is written, for a while.
    pub(super) fn flush(&self) {
        let (done, over) = sync_channel(1);
        if self.told.try_send(Told::Flush(done)).is_ok() {
            let _ = over.recv_timeout(FLUSH_MAX);
        }
    }
}

impl Write for LogFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.told.try_send(Told::Line(line.to_vec())).is_err() {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogFile {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

fn write_down(mut roller: Roller, waiting: &Receiver<Told>, left_out: &AtomicU64) {
    // A full disk is told once, on stderr, and not for each line.
    let mut complained = false;
    while let Ok(told) = waiting.recv() {
        let done = match told {
            Told::Line(line) => {
                let lost = left_out.swap(0, Ordering::Relaxed);
                let note = if lost > 0 { format!("{lost} lines of the log were left out\n") } else { String::new() };
                roller.write(note.as_bytes()).and_then(|()| roller.write(&line))
            }
            Told::Reopen => roller.reopen(),
            Told::Flush(done) => {
                let _ = done.send(());
                Ok(())
            }
        };
        match done {
            Ok(()) => complained = false,
            Err(error) if !complained => {
                complained = true;
                let _ = writeln!(io::stderr(), "the log {} cannot be written: {error}", roller.rotation.path.display());
            }
            Err(_) => {}
        }
    }
}

/// The file, and what lies beside it.
struct Roller {
    rotation: Rotation,
    file: File,
    written: u64,
}

impl Roller {
    fn open(rotation: Rotation) -> io::Result<Self> {
        let (file, written) = open(&rotation.path)?;
        Ok(Self { rotation, file, written })
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        let len = line.len() as u64;
        if self.rotation.bytes > 0 && self.written > 0 && self.written.saturating_add(len) > self.rotation.bytes {
            self.rotate()?;
        }
        self.file.write_all(line)?;
        self.written += len;
        Ok(())
    }

    fn reopen(&mut self) -> io::Result<()> {
        (self.file, self.written) = open(&self.rotation.path)?;
        Ok(())
    }

    /// Each gets the next number, the last one goes.
    fn rotate(&mut self) -> io::Result<()> {
        let path = &self.rotation.path;
        for number in (0..self.rotation.keep).rev() {
            let from = if number == 0 { path.clone() } else { numbered(path, number) };
            match std::fs::rename(from, numbered(path, number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        if self.rotation.keep == 0 {
            self.file.set_len(0)?;
        }
        self.reopen()
    }
}

fn open(path: &Path) -> io::Result<(File, u64)> {
    // It names accounts, keys and addresses: not for everybody on the machine.
    let file = OpenOptions::new().create(true).append(true).mode(0o640).open(path)?;
    let written = file.metadata()?.len();
    Ok((file, written))
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    PathBuf::from(name)
}

/// The last lines of a log, of as many of its files as that takes; the oldest line first. At most `bytes` of them.
pub fn last_lines(path: &Path, bytes: u64) -> io::Result<Vec<u8>> {
    use std::io::{Read, Seek, SeekFrom};
    let mut parts: Vec<Vec<u8>> = Vec::new();
    let mut left = bytes;
    for number in 0.. {
        let name = if number == 0 { path.to_owned() } else { numbered(path, number) };
        let mut file = match File::open(&name) {
            Ok(file) => file,
            Err(error) if number > 0 && error.kind() == io::ErrorKind::NotFound => break,
            Err(error) => return Err(error),
        };
        let len = file.metadata()?.len();
        let from = len.saturating_sub(left);
        file.seek(SeekFrom::Start(from))?;
        let mut part = Vec::new();
        file.take(left).read_to_end(&mut part)?;
        if from > 0 {
            // From the beginning of a line.
            let cut = part.iter().position(|byte| *byte == b'\n').map_or(part.len(), |at| at + 1);
            part.drain(..cut);
        }
        left = left.saturating_sub(len);
        parts.push(part);
        if left == 0 {
            break;
        }
    }
    parts.reverse();
    Ok(parts.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(path: &Path) -> String {
        std::fs::read_to_string(path).unwrap_or_default()
    }

    #[test]
    fn a_full_file_makes_room_for_the_next_and_the_oldest_goes() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a.log");
        std::fs::write(&path, "before\n").expect("writable");
        let mut roller = Roller::open(Rotation { path: path.clone(), bytes: 16, keep: 2 }).expect("opened");
        for n in 1..=8 {
            roller.write(format!("line {n}\n").as_bytes()).expect("written");
        }
        assert_eq!(text(&path), "line 8\n");
        assert_eq!(text(&numbered(&path, 1)), "line 6\nline 7\n");
        assert_eq!(text(&numbered(&path, 2)), "line 4\nline 5\n");
        assert!(!numbered(&path, 3).exists());
        assert_eq!(last_lines(&path, 1000).expect("read"), b"line 4\nline 5\nline 6\nline 7\nline 8\n");
        assert_eq!(last_lines(&path, 16).expect("read"), b"line 7\nline 8\n", "whole lines");
        assert!(last_lines(&dir.path().join("none"), 16).is_err());
    }

    #[test]
    fn nothing_is_kept_where_nothing_is_to_be() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a.log");
        let mut roller = Roller::open(Rotation { path: path.clone(), bytes: 8, keep: 0 }).expect("opened");
        for n in 1..=3 {
            roller.write(format!("line {n}\n").as_bytes()).expect("written");
        }
        assert_eq!((text(&path).as_str(), numbered(&path, 1).exists()), ("line 3\n", false));
    }

    #[test]
    fn what_was_moved_away_is_written_on_until_it_is_opened_anew() {
        let dir = tempfile::tempdir().expect("a directory");
        let (path, away) = (dir.path().join("a.log"), dir.path().join("a.log-20261130"));
        let log = LogFile::start(Rotation { path: path.clone(), bytes: 0, keep: 0 }).expect("started");
        let say = |line: &str| log.clone().write_all(line.as_bytes()).expect("sent");
        say("one\n");
        log.flush();
        std::fs::rename(&path, &away).expect("moved");
        say("two\n");
        log.reopen();
        say("three\n");
        log.flush();
        assert_eq!((text(&away), text(&path)), ("one\ntwo\n".to_owned(), "three\n".to_owned()));
    }
}
