//! A server for one run: this very program, in a directory that goes with it.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::domain::Secret;
use crate::sim::client::{Endpoint, Platform};
use crate::tls::Trust;

const START: Duration = Duration::from_secs(30);
const ACCOUNT: &str = "bench";

/// A running server; stopped, and its directory removed, on drop.
pub(super) struct OwnServer {
    child: Child,
    account: Value,
    // Last, so that it goes when the server is gone.
    _home: Home,
}

struct Home(PathBuf);

impl OwnServer {
    /// Starts a server under `dir` and opens an account of this many GB.
    pub(super) fn start(binary: Option<PathBuf>, dir: &Path, space: u32, tls: bool) -> io::Result<Self> {
        let binary = binary.map_or_else(std::env::current_exe, Ok)?;
        let home = Home::make(dir)?;
        let config = home.0.join("appliance.toml");
        std::fs::write(&config, configuration(&home.0, tls)?)?;
        let log = File::create(home.0.join("log"))?;
        let child = Command::new(&binary)
            .args(["serve", "--config"])
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let mut server = Self { child, account: Value::Null, _home: home };
        server.wait_until_ready()?;
        server.account = open_account(&binary, &config, space)?;
        Ok(server)
    }

    fn wait_until_ready(&mut self) -> io::Result<()> {
        let listen = self._home.0.join("data/listen.json");
        let started = Instant::now();
        while !listen.try_exists()? {
            let ended = self.child.try_wait()?;
            if ended.is_some() || started.elapsed() > START {
                let log = std::fs::read_to_string(self._home.0.join("log")).unwrap_or_default();
                let what = ended.map_or_else(|| "is not ready".to_owned(), |status| format!("ended: {status}"));
                return Err(io::Error::other(format!("the server {what}\n{}", log.trim_end())));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The platform of its one account.
    pub(super) fn platform(&self) -> io::Result<Platform> {
        let field = |name: &str| {
            let missing = || io::Error::other(format!("`account open` answers without {name}"));
            self.account.get(name).and_then(Value::as_str).ok_or_else(missing)
        };
        let trust = Trust::anybody().map_err(io::Error::other)?;
        Ok(Platform::new(Endpoint::parse(field("soap_url")?)?, ACCOUNT, Secret::new(field("password")?), trust))
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        // Its data goes too, so there is nothing that it must finish; and nobody is left to be told.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn open_account(binary: &Path, config: &Path, space: u32) -> io::Result<Value> {
    let output = Command::new(binary)
        .args(["account", "open", ACCOUNT, "--json", "--space", &space.to_string(), "--config"])
        .arg(config)
        .stdin(Stdio::null())
        .output()?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
        return Err(io::Error::other(format!("`account open`: {why}")));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| io::Error::other(format!("`account open`: {error}")))
}

/// `appliance.toml`. A path as JSON writes it is a string of TOML as well.
fn configuration(home: &Path, tls: bool) -> io::Result<String> {
    let text = |path: PathBuf| serde_json::to_string(&path).map_err(io::Error::other);
    let listeners: String = ["soap", "portal", "metrics"]
        .iter()
        .map(|section| format!("[{section}]\nlisten = \"127.0.0.1:0\"\n"))
        .collect();
    Ok(format!(
        "[storage]\ndata_dir = {}\nvolumes = [{}]\n\
         [s3]\nlisten = \"127.0.0.1:0\"\nallow_delete = true\ntls = \"{}\"\n{listeners}",
        text(home.join("data"))?,
        text(home.join("data/volumes"))?,
        if tls { "self-signed" } else { "off" },
    ))
}

// === impl Home ===

impl Home {
    fn make(dir: &Path) -> io::Result<Self> {
        let dir = std::path::absolute(dir)?;
        let mut attempt = 0_u32;
        loop {
            let path = dir.join(format!("kandian-bench-{}-{attempt}", std::process::id()));
            match std::fs::create_dir(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => attempt += 1,
                made => return made.map(|()| Self(path)),
            }
        }
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // What cannot be removed is in a directory for temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn program(dir: &Path, script: &str) -> PathBuf {
        let path = dir.join("program");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
        path
    }

    #[test]
    fn the_configuration_is_toml_whatever_the_path() {
        let toml: toml::Table = configuration(Path::new("/tmp/a \"b\"\\看"), false).unwrap().parse().unwrap();
        assert_eq!(toml["storage"]["data_dir"].as_str(), Some("/tmp/a \"b\"\\看/data"));
        for section in ["s3", "soap", "portal", "metrics"] {
            assert_eq!(toml[section]["listen"].as_str(), Some("127.0.0.1:0"));
        }
    }

    #[test]
    fn a_server_that_is_ready_gets_its_account_and_goes_with_its_directory() {
        let dir = tempfile::tempdir().unwrap();
        let script = "case $1 in serve) mkdir -p \"${3%/*}/data\"; echo {} > \"${3%/*}/data/listen.json\"; exec sleep 60;; \
                      *) echo '{\"password\":\"p\",\"soap_url\":\"http://127.0.0.1:1/s\"}';; esac";
        let server = OwnServer::start(Some(program(dir.path(), script)), dir.path(), 1, false).unwrap();
        assert!(server.platform().is_ok());
        let process = format!("/proc/{}", server.pid());
        assert!(Path::new(&process).exists());
        drop(server);
        assert!(!Path::new(&process).exists());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_server_that_does_not_start_says_why_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let broken = program(dir.path(), "echo the disk is upside down >&2; exit 3");
        let error = OwnServer::start(Some(broken), dir.path(), 1, false).err().unwrap().to_string();
        assert!(error.contains("the disk is upside down"), "{error}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
