//! What a service manager is told, where there is one (`sd_notify(3)`): ready, alive, stopping.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// Everything is open and answers.
pub(super) const READY: &str = "READY=1";
/// It still does.
pub(super) const ALIVE: &str = "WATCHDOG=1";
/// What is under way is being finished.
pub(super) const STOPPING: &str = "STOPPING=1";

/// Tells the service manager; without one, or where it does not listen, nothing happens.
pub(super) fn tell(what: &str) {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET") else { return };
    if let Err(error) = send(socket.as_bytes(), what) {
        tracing::debug!(%error, what, "the service manager was not told");
    }
}

fn send(socket: &[u8], what: &str) -> std::io::Result<()> {
    let address = match socket.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(socket))?,
    };
    UnixDatagram::unbound()?.send_to_addr(what.as_bytes(), &address).map(drop)
}

/// How often it wants to hear that we live: twice in the time that it waits. Never, where it does not ask.
pub(super) fn alive_every() -> Option<Duration> {
    let told = |name| std::env::var(name).ok();
    let others = told("WATCHDOG_PID").is_some_and(|pid| pid != std::process::id().to_string());
    if others {
        return None;
    }
    let micros: u64 = told("WATCHDOG_USEC")?.parse().ok().filter(|micros| *micros > 0)?;
    Some(Duration::from_micros(micros / 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_reaches_the_socket_by_path_and_by_name() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("notify");
        let by_path = UnixDatagram::bind(&path).expect("bound");
        let name = format!("kandian-test-{}", std::process::id());
        let by_name = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).expect("a name")).expect("bound");
        send(path.as_os_str().as_bytes(), READY).expect("sent");
        send(format!("@{name}").as_bytes(), STOPPING).expect("sent");
        let mut got = [0; 32];
        let read = by_path.recv(&mut got).expect("there");
        assert_eq!(&got[..read], b"READY=1");
        let read = by_name.recv(&mut got).expect("there");
        assert_eq!(&got[..read], b"STOPPING=1");
        assert!(send(b"/nowhere/at/all", READY).is_err());
    }
}
