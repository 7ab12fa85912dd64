//! The yardstick: a bare server that does what must be done and nothing else, over the same HTTP, for the same client,
//! in the same run.
//!
//! Uploads are appended to one preallocated file with `O_DIRECT`, hashed with MD5, and acknowledged after an
//! `fdatasync` that all uploads share which wait for it. Downloads come from the page cache. A thread a connection, an
//! index in memory. No signature is looked at, nothing can be found again after a start, nothing is ever freed.

mod log;
mod serve;

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use super::Limit;
use log::Log;

/// What the server preallocates: more than a round writes, and not all of a small disk.
const FILE_BYTES: u64 = 8 << 30;

/// The reference server in a process of its own, so that its CPU time can be told from the client's.
pub(super) struct Reference {
    child: Child,
    pub(super) address: String,
}

impl Reference {
    /// Starts one with its file in `dir`.
    pub(super) fn start(dir: &Path, limit: Limit, buffered: bool) -> io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["bench", &format!("--limit={}", limit.name()), "--serve-reference"]).arg(dir);
        if buffered {
            command.arg("--buffered");
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut address = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut address)?;
        }
        let reference = Self { child, address: address.trim().to_owned() };
        if reference.address.is_empty() {
            return Err(io::Error::other("the reference server does not start"));
        }
        Ok(reference)
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        // Its file has no name any more, so there is nothing that it must finish; and nobody is left to be told.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Is the reference server until standard input ends, which it does with whoever started it.
pub(super) fn run(dir: &Path, limit: Limit, buffered: bool) -> io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    writeln!(io::stdout(), "{}", listener.local_addr()?)?;
    let log = Arc::new(Log::create(dir, FILE_BYTES, buffered)?);
    std::thread::spawn(move || serve::serve(&listener, &log, limit));
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

#[cfg(test)]
mod tests;
