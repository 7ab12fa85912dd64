//! A server for one run: this very program, in a directory that goes with it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::client::{ClientError, Endpoint, Platform};
use crate::domain::Secret;
use crate::tls::Trust;
use crate::world::driven::{Drive, MARK};

const START: Duration = Duration::from_secs(30);

/// A running server; stopped, and its directory removed, on drop.
pub struct OwnServer {
    child: Child,
    binary: PathBuf,
    // Last, so that it goes when the server is gone.
    home: Home,
}

/// What kind of server.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// The program; not given: this one.
    pub binary: Option<PathBuf>,
    /// What its directory begins with.
    pub name: &'static str,
    /// Whether it speaks https with a certificate of its own on the S3 plane.
    pub tls: bool,
    /// Keys of the configuration beside where it lies and listens: section, key, value as TOML has it.
    pub settings: Vec<(&'static str, &'static str, String)>,
    /// Another clock than the system's.
    pub drive: Option<Drive>,
}

/// An account that was opened.
#[derive(Clone, Debug)]
pub struct OwnAccount {
    /// Its name.
    pub name: String,
    /// Its password.
    pub password: Secret,
    /// Where section 7 is served.
    pub soap: Endpoint,
}

struct Home(PathBuf);

impl OwnServer {
    /// Starts a server under `dir`. Blocks.
    ///
    /// # Errors
    ///
    /// It does not become ready; what it said is in the message.
    pub fn start(wanted: &Wanted, dir: &Path) -> io::Result<Self> {
        let binary = wanted.binary.clone().map_or_else(std::env::current_exe, Ok)?;
        let home = Home::make(dir, wanted.name)?;
        let config = home.0.join("appliance.toml");
        std::fs::write(&config, configuration(&home.0, wanted)?)?;
        let log = File::create(home.0.join("log"))?;
        let mut command = Command::new(&binary);
        command.args(["serve", "--config"]).arg(&config);
        if let Some(drive) = wanted.drive {
            // Its consent is in the directory before anything else is.
            let data = home.0.join("data");
            std::fs::create_dir(&data)?;
            std::fs::write(data.join(MARK), "times in here are not real\n")?;
            command.arg("--demo-clock").arg(drive.to_string());
        }
        let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
        let mut server = Self { child, binary, home };
        server.wait_until_ready()?;
        Ok(server)
    }

    fn wait_until_ready(&mut self) -> io::Result<()> {
        let listen = self.home.0.join("data/listen.json");
        let started = Instant::now();
        while !listen.try_exists()? {
            let ended = self.child.try_wait()?;
            if ended.is_some() || started.elapsed() > START {
                let log = std::fs::read_to_string(self.home.0.join("log")).unwrap_or_default();
                let what = ended.map_or_else(|| "is not ready".to_owned(), |status| format!("ended: {status}"));
                return Err(io::Error::other(format!("the server {what}\n{}", log.trim_end())));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// The directory that goes with it.
    pub fn home(&self) -> &Path {
        &self.home.0
    }

    /// Where a plane (`s3`, `soap`, `portal`, `metrics`) listens, `host:port`.
    ///
    /// # Errors
    ///
    /// The server has not written it down.
    pub fn address(&self, plane: &str) -> io::Result<String> {
        let listen: Value = serde_json::from_slice(&std::fs::read(self.home.0.join("data/listen.json"))?)?;
        let missing = || io::Error::other(format!("listen.json has no {plane}"));
        listen.get(plane).and_then(Value::as_str).map(str::to_owned).ok_or_else(missing)
    }

    /// Whether it has ended by itself.
    ///
    /// # Errors
    ///
    /// The system cannot tell.
    pub fn has_ended(&mut self) -> io::Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// The process that serves.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Runs a command of the program on this server; gives its JSON. Blocks.
    ///
    /// # Errors
    ///
    /// The command fails; what it said is in the message.
    pub fn command(&self, words: &[&str]) -> io::Result<Value> {
        let output = Command::new(&self.binary)
            .args(words)
            .args(["--json", "--config"])
            .arg(self.home.0.join("appliance.toml"))
            .stdin(Stdio::null())
            .output()?;
        let what = words.iter().take(2).copied().collect::<Vec<_>>().join(" ");
        if !output.status.success() {
            let why = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
            return Err(io::Error::other(format!("`{what}`: {why}")));
        }
        serde_json::from_slice(&output.stdout).map_err(|error| io::Error::other(format!("`{what}`: {error}")))
    }

    /// Opens an account of this many GB. Blocks.
    ///
    /// # Errors
    ///
    /// As [`OwnServer::command`].
    pub fn open_account(&self, name: &str, space: u32, alert_url: Option<&str>) -> io::Result<OwnAccount> {
        let space = space.to_string();
        let mut words = vec!["account", "open", name, "--space", &space];
        words.extend(alert_url.iter().flat_map(|url| ["--alert-url", *url]));
        let opened = self.command(&words)?;
        let field = |name: &str| {
            let missing = || io::Error::other(format!("`account open` answers without {name}"));
            opened.get(name).and_then(Value::as_str).ok_or_else(missing)
        };
        let password = Secret::new(field("password")?);
        Ok(OwnAccount { name: name.to_owned(), password, soap: Endpoint::parse(field("soap_url")?)? })
    }
}

impl OwnAccount {
    /// The platform of this account; it trusts a server that we have started ourselves.
    ///
    /// # Errors
    ///
    /// The system has no roots at all.
    pub fn platform(&self) -> Result<Platform, ClientError> {
        let trust = Trust::anybody().map_err(io::Error::other)?;
        Ok(Platform::new(self.soap.clone(), self.name.clone(), self.password.clone(), trust))
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        // Its data goes too, so there is nothing that it must finish; and nobody is left to be told.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `appliance.toml`. A path as JSON writes it is a string of TOML as well.
fn configuration(home: &Path, wanted: &Wanted) -> io::Result<String> {
    let text = |path: PathBuf| serde_json::to_string(&path).map_err(io::Error::other);
    let volumes = format!("[{}]", text(home.join("data/volumes"))?);
    let tls = if wanted.tls { "\"self-signed\"" } else { "\"off\"" };
    let mut all = vec![
        ("storage", "data_dir", text(home.join("data"))?),
        ("storage", "volumes", volumes),
        ("s3", "tls", tls.to_owned()),
    ];
    for section in ["s3", "soap", "portal", "metrics"] {
        all.push((section, "listen", "\"127.0.0.1:0\"".to_owned()));
    }
    all.extend(wanted.settings.iter().cloned());
    let mut sections: BTreeMap<&str, String> = BTreeMap::new();
    for (section, key, value) in all {
        *sections.entry(section).or_default() += &format!("{key} = {value}\n");
    }
    Ok(sections.into_iter().map(|(section, keys)| format!("[{section}]\n{keys}")).collect())
}

// === impl Home ===

impl Home {
    fn make(dir: &Path, name: &str) -> io::Result<Self> {
        let dir = std::path::absolute(dir)?;
        let mut attempt = 0_u32;
        loop {
            let path = dir.join(format!("kandian-{name}-{}-{attempt}", std::process::id()));
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
        let settings = vec![("space", "bytes_per_gb", "1048576".to_owned()), ("s3", "allow_delete", "true".to_owned())];
        let wanted = Wanted { settings, ..Wanted::default() };
        let toml: toml::Table = configuration(Path::new("/tmp/a \"b\"\\看"), &wanted).unwrap().parse().unwrap();
        assert_eq!(
            (toml["space"]["bytes_per_gb"].as_integer(), toml["s3"]["allow_delete"].as_bool()),
            (Some(1 << 20), Some(true))
        );
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
        let wanted = Wanted { binary: Some(program(dir.path(), script)), name: "test", ..Wanted::default() };
        let server = OwnServer::start(&wanted, dir.path()).unwrap();
        assert!(server.open_account("a", 1, Some("http://127.0.0.1:1/")).unwrap().platform().is_ok());
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
        let wanted = Wanted { binary: Some(broken), name: "test", ..Wanted::default() };
        let error = OwnServer::start(&wanted, dir.path()).err().unwrap().to_string();
        assert!(error.contains("the disk is upside down"), "{error}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
