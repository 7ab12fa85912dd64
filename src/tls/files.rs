//! Certificates, keys and roots in files that an operator names or the system has. They are read and never written:
//! mostly they belong to somebody else.

use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::{BadIdentity, Identity};

/// No chain, key or bundle of roots is larger.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Where the roots of the system are: Debian and Ubuntu, RHEL and openEuler and Kylin, SUSE, Alpine.
const SYSTEM_ROOTS: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Which of the two files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The certificate's.
    Certificate,
    /// The key's.
    Key,
}

/// Why a file is of no use.
#[derive(Debug, thiserror::Error)]
pub enum BadFile {
    /// It cannot be read.
    #[error("cannot read {path}: {error}", path = .path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Anybody on this machine can read the key.
    #[error("{path} can be read by everybody on this machine (mode {mode:04o}); chmod 600 {path}", path = .path.display())]
    Open {
        /// Which.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// What is in it is wrong.
    #[error("{path}: {what}", path = .path.display())]
    Wrong {
        /// Which.
        path: PathBuf,
        /// What.
        what: BadIdentity,
    },
}

/// The chain and the key of two files; the error says whose file it is.
///
/// # Errors
///
/// A file cannot be read, the key's can be read by everybody, or what is in them is no pair.
pub fn identity(certificate: &Path, key: &Path) -> Result<Identity, (Whose, BadFile)> {
    let chain = read(certificate).map_err(|bad| (Whose::Certificate, bad))?;
    let secret = read_key(key).map_err(|bad| (Whose::Key, bad))?;
    Identity::from_pem(&chain, &secret).map_err(|what| {
        let (whose, path) = if what.is_of_the_key() { (Whose::Key, key) } else { (Whose::Certificate, certificate) };
        (whose, BadFile::Wrong { path: path.to_owned(), what })
    })
}

/// The system's roots as PEM; nothing where it has none.
pub fn roots() -> Vec<u8> {
    SYSTEM_ROOTS.iter().find_map(|path| read(Path::new(path)).ok()).map(|pem| pem.to_vec()).unwrap_or_default()
}

/// A file with certificates, as it is.
pub(super) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, BadFile> {
    let unreadable = |error| BadFile::Unreadable { path: path.to_owned(), error };
    let mut bytes = Zeroizing::new(Vec::new());
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

fn read_key(path: &Path) -> Result<Zeroizing<Vec<u8>>, BadFile> {
    let metadata = std::fs::metadata(path).map_err(|error| BadFile::Unreadable { path: path.to_owned(), error })?;
    // A group may share a key (Debian's ssl-cert); everybody may not.
    if metadata.mode() & 0o007 != 0 {
        return Err(BadFile::Open { path: path.to_owned(), mode: metadata.mode() & 0o7777 });
    }
    read(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_that_everybody_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["a".to_owned()]).unwrap();
        let (certificate, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let mode = |mode| std::fs::set_permissions(&key, PermissionsExt::from_mode(mode)).unwrap();
        for open in [0o644, 0o604, 0o602] {
            mode(open);
            let (whose, bad) = identity(&certificate, &key).unwrap_err();
            assert!(whose == Whose::Key && bad.to_string().contains("; chmod 600 "), "{bad}");
        }
        for closed in [0o600, 0o640, 0o400] {
            mode(closed);
            assert!(identity(&certificate, &key).is_ok(), "{closed:o}");
        }
    }

    #[test]
    fn the_file_that_is_at_fault_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let (certificate, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
        let (whose, bad) = identity(&certificate, &key).unwrap_err();
        assert!(whose == Whose::Certificate && bad.to_string().contains("cert.pem"), "{bad}");
        std::fs::write(&certificate, "nothing").unwrap();
        let (whose, bad) = identity(&certificate, &key).unwrap_err();
        assert!(whose == Whose::Key && bad.to_string().contains("key.pem"), "{bad}");
        std::fs::write(&key, "nothing").unwrap();
        std::fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).unwrap();
        let (whose, bad) = identity(&certificate, &key).unwrap_err();
        assert!(whose == Whose::Certificate && bad.to_string().contains("no certificate"), "{bad}");
    }
}
