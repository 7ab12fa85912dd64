//! The yardstick: what this machine can do at best, by the plainest means, in the same run.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use md5::{Digest, Md5};
use serde_json::{Value, json};

use super::{Operation, number};

/// How long each of the three is measured.
const EACH: Duration = Duration::from_secs(2);
/// The file that is written into, over and over; not all of a small disk.
const FILE_BYTES: u64 = 1 << 30;
/// No group is larger, whatever the size of its objects: a committer's memory is bounded too.
const GROUP_BYTES_MAX: u64 = 64 << 20;

/// Bytes a second that the machine can do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    /// Written and durable, one writer, one sync a group.
    pub(super) disk: f64,
    /// MD5 of one core.
    pub(super) md5: f64,
    /// From memory through loopback sockets without a copy in the server.
    pub(super) get: f64,
}

impl Limit {
    /// What an upload cannot beat with one core for MD5.
    pub(super) fn put(&self) -> f64 {
        self.disk.min(self.md5)
    }

    pub(super) fn line(&self, operation: Operation) -> String {
        match operation {
            Operation::Get => format!("sendfile {:.0} MB/s", self.get / 1e6),
            _ => format!("disk {:.0} MB/s, MD5 {:.0} MB/s", self.disk / 1e6, self.md5 / 1e6),
        }
    }

    pub(super) fn json(&self) -> Value {
        let megabytes = |bytes: f64| bytes / 1e6;
        json!({
            "disk_mb_per_s": megabytes(self.disk),
            "md5_mb_per_s": megabytes(self.md5),
            "put_mb_per_s": megabytes(self.put()),
            "get_mb_per_s": megabytes(self.get),
        })
    }
}

/// Measures in a file of this directory, with objects of this size and so many at a time.
pub(super) fn measure(dir: &Path, size: u64, connections: usize) -> io::Result<Limit> {
    let path = dir.join(format!("kandian-bench-limit-{}", std::process::id()));
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
    // The file lives as long as its handle, so nothing is left whatever happens.
    std::fs::remove_file(&path)?;
    let size = size.clamp(1, GROUP_BYTES_MAX);
    let disk = disk(&file, size, connections as u64, EACH)?;
    Ok(Limit { disk, md5: md5(EACH / 4), get: get(&file, size, connections, EACH)? })
}

/// One sequential writer into a preallocated file, one sync for each group of objects.
fn disk(file: &File, size: u64, connections: u64, during: Duration) -> io::Result<f64> {
    match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, FILE_BYTES) {
        Ok(()) | Err(rustix::io::Errno::OPNOTSUPP) => {}
        Err(error) => return Err(error.into()),
    }
    let mut object = vec![0x5a; usize::try_from(size).map_err(io::Error::other)?];
    let group = connections.clamp(1, (GROUP_BYTES_MAX / size).max(1));
    let (mut at, mut written, started) = (0, 0_u64, Instant::now());
    while started.elapsed() < during {
        for _ in 0..group {
            if at + size > FILE_BYTES {
                at = 0;
            }
            for (block, bytes) in (written / 4096..).zip(object.chunks_exact_mut(4096)) {
                bytes[..8].copy_from_slice(&block.to_le_bytes());
            }
            file.write_all_at(&object, at)?;
            at += size;
            written += size;
        }
        file.sync_data()?;
    }
    Ok(number(written) / started.elapsed().as_secs_f64())
}

fn md5(during: Duration) -> f64 {
    let data = vec![0x5a; 1 << 20];
    let (mut hasher, mut hashed, started) = (Md5::new(), 0_u64, Instant::now());
    while started.elapsed() < during {
        hasher.update(&data);
        hashed += data.len() as u64;
    }
    std::hint::black_box(hasher.finalize());
    number(hashed) / started.elapsed().as_secs_f64()
}

/// Pairs of threads, one asking, one answering with `sendfile` from the page cache.
fn get(file: &File, size: u64, connections: usize, during: Duration) -> io::Result<f64> {
    let pairs = std::thread::available_parallelism()?.get().min(connections.max(1));
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    let over = AtomicBool::new(false);
    file.write_all_at(&vec![0x5a; usize::try_from(size).map_err(io::Error::other)?], 0)?;
    std::thread::scope(|scope| {
        let mut askers = Vec::new();
        let started = Instant::now();
        for _ in 0..pairs {
            let client = TcpStream::connect(address)?;
            let (server, _) = listener.accept()?;
            scope.spawn(move || send_what_is_asked_for(server, file, size));
            askers.push(scope.spawn(|| ask(client, size, &over)));
        }
        std::thread::sleep(during);
        over.store(true, Ordering::Relaxed);
        let mut received = 0;
        for asker in askers {
            received += asker.join().map_err(|_| io::Error::other("a thread of the yardstick panicked"))??;
        }
        Ok(number(received) / started.elapsed().as_secs_f64())
    })
}

/// One byte asks for one object; the end of the connection ends it.
fn send_what_is_asked_for(mut socket: TcpStream, file: &File, size: u64) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let mut question = [0];
    while socket.read(&mut question)? > 0 {
        let mut at = 0;
        while at < size {
            let left = usize::try_from(size - at).map_err(io::Error::other)?;
            if rustix::fs::sendfile(&socket, file, Some(&mut at), left)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
    Ok(())
}

fn ask(mut socket: TcpStream, size: u64, over: &AtomicBool) -> io::Result<u64> {
    socket.set_nodelay(true)?;
    let mut buffer = vec![0; 256 << 10];
    let mut received = 0;
    while !over.load(Ordering::Relaxed) {
        socket.write_all(&[1])?;
        let mut left = size;
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(buffer.len()).min(buffer.len());
            let read = socket.read(&mut buffer[..most])? as u64;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            left -= read;
        }
        received += size;
    }
    Ok(received)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_yardstick_measures_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let file = tempfile::tempfile().unwrap();
        let during = Duration::from_millis(50);
        let limit = Limit {
            disk: disk(&file, 65_536, 4, during).unwrap(),
            md5: md5(during),
            get: get(&file, 65_536, 2, during).unwrap(),
        };
        assert!(limit.disk > 1e5 && limit.md5 > 1e6 && limit.get > 1e6, "{limit:?}");
        assert!(limit.put() <= limit.md5 && limit.put() <= limit.disk);
        assert!(measure(&dir.path().join("none"), 1, 1).is_err());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
