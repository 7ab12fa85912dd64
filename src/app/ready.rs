//! `DATA/listen.json`: where the server listens, while it does.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::world::Disk;
use crate::world::disk::replace_file;

/// Where each listener really is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listening {
    pub(super) s3: SocketAddr,
    pub(super) soap: SocketAddr,
    pub(super) portal: SocketAddr,
    pub(super) metrics: SocketAddr,
}

pub(super) fn listen_json(data_dir: &Path) -> PathBuf {
    data_dir.join("listen.json")
}

/// Says that the server is ready; a reader sees the whole file or none.
pub(super) fn announce(disk: &dyn Disk, data_dir: &Path, at: &Listening) -> io::Result<()> {
    let text = json!({
        "s3": at.s3.to_string(),
        "soap": at.soap.to_string(),
        "portal": at.portal.to_string(),
        "metrics": at.metrics.to_string(),
        "pid": std::process::id(),
    });
    replace_file(disk, &listen_json(data_dir), format!("{text}\n").as_bytes())
}

/// Takes the announcement back; where there is none, nothing happens.
pub(super) fn take_back(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    match disk.remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
