//! The master key in use, and the one that takes its place.
//!
//! ```text
//! KEY        the key of every seal, but while it is exchanged
//! KEY.next   is there while it is exchanged: what is sealed from then on is sealed under this one
//! ```
//!
//! Both open what they have sealed until nothing is left that is sealed under the old one; then the new file takes the
//! old one's name, which is one rename, and the old key is gone. Whatever moment the power goes at, the files that are
//! there open everything.

use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use super::{MasterKey, VaultError};
use crate::domain::Secret;
use crate::world::{Disk, DiskFile, Entropy};

/// The keys of a store: one, or two while they are exchanged.
#[derive(Debug)]
pub struct Keys {
    path: PathBuf,
    ring: RwLock<Ring>,
}

#[derive(Debug)]
struct Ring {
    /// Seals.
    current: MasterKey,
    /// Opens what is not sealed anew yet.
    old: Option<MasterKey>,
}

/// Where the next key lies until it is the key.
fn next(path: &Path) -> PathBuf {
    let mut next = path.as_os_str().to_owned();
    next.push(".next");
    PathBuf::from(next)
}

/// The key in a file that has no name.
fn read(file: &dyn DiskFile) -> Option<MasterKey> {
    let mut bytes = zeroize::Zeroizing::new([0; 64]);
    file.read_exact_at(bytes.as_mut(), 0).ok()?;
    MasterKey::decode(bytes.as_slice()).ok()
}

impl Keys {
    /// The keys in this file and beside it; `None` where there is no file.
    ///
    /// # Errors
    /// As [`MasterKey::load`].
    pub fn load(disk: &dyn Disk, path: &Path) -> Result<Option<Self>, VaultError> {
        let Some(key) = MasterKey::load(disk, path)? else { return Ok(None) };
        let ring = match MasterKey::load(disk, &next(path))? {
            // The same key twice: the rename is done, the old name of it came back with the power.
            Some(next) if next.id() == key.id() => Ring { current: key, old: None },
            Some(next) => Ring { current: next, old: Some(key) },
            None => Ring { current: key, old: None },
        };
        Ok(Some(Self { path: path.to_owned(), ring: RwLock::new(ring) }))
    }

    /// Makes a new key and its file, as [`MasterKey::create`].
    ///
    /// # Errors
    /// As [`MasterKey::create`].
    pub fn create(disk: &dyn Disk, entropy: &dyn Entropy, path: &Path) -> Result<Self, VaultError> {
        let current = MasterKey::create(disk, entropy, path)?;
        Ok(Self { path: path.to_owned(), ring: RwLock::new(Ring { current, old: None }) })
    }

    fn ring(&self) -> RwLockReadGuard<'_, Ring> {
        self.ring.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The id of the key that seals.
    pub fn id(&self) -> u32 {
        self.ring().current.id()
    }

    /// The id of the key that is on its way out, while there is one.
    pub fn old_id(&self) -> Option<u32> {
        self.ring().old.as_ref().map(MasterKey::id)
    }

    /// Begins to seal under a new key, whose file is durable on return; the old one opens still. Where an exchange is
    /// under way already, it goes on with that one's. The ids of the old key and the new.
    ///
    /// # Errors
    /// The disk fails; then nothing has changed but that, perhaps, a next key lies there after a crash, under which
    /// nothing is sealed.
    pub fn begin_exchange(&self, disk: &dyn Disk, entropy: &dyn Entropy) -> Result<(u32, u32), VaultError> {
        let mut ring = self.ring.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(old) = &ring.old {
            return Ok((old.id(), ring.current.id()));
        }
        // One that an error left behind was never used, for nothing is sealed before it is known to be durable.
        match disk.remove(&next(&self.path)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let new = MasterKey::create(disk, entropy, &next(&self.path))?;
        let ids = (ring.current.id(), new.id());
        ring.old = Some(std::mem::replace(&mut ring.current, new));
        Ok(ids)
    }

    /// Ends the exchange: the old key is gone for good. The caller has made sure that nothing is sealed under it.
    ///
    /// # Errors
    /// The disk fails; both keys stay.
    pub fn end_exchange(&self, disk: &dyn Disk) -> Result<(), VaultError> {
        let mut ring = self.ring.write().unwrap_or_else(PoisonError::into_inner);
        if ring.old.is_none() {
            return Ok(());
        }
        let before = disk.open(&self.path)?;
        match disk.rename(&next(&self.path), &self.path) {
            // An attempt before this one came as far as here.
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        if let Some(dir) = self.path.parent() {
            disk.sync_dir(dir)?;
        }
        // What has the old one's name now is looked at before the old one is forgotten.
        let there = MasterKey::load(disk, &self.path)?.map(|key| key.id());
        if there != Some(ring.current.id()) {
            return Err(VaultError::DamagedKey);
        }
        // The old file has no name any more. What it held may still lie on the disk: as far as a program can do
        // something about that.
        if read(&*before).is_some_and(|key| key.id() != ring.current.id()) {
            let _ = before.write_all_at(&[0; 64], 0).and_then(|()| before.sync_data());
        }
        ring.old = None;
        Ok(())
    }

    /// Whether a seal is of the key that seals now.
    pub fn is_current(&self, sealed: &[u8]) -> bool {
        MasterKey::id_of(sealed).is_some_and(|id| id == self.id())
    }

    /// As [`MasterKey::seal_secret`], under the key that seals now.
    pub fn seal_secret(&self, entropy: &dyn Entropy, context: &[u8], secret: &Secret) -> Vec<u8> {
        self.ring().current.seal_secret(entropy, context, secret)
    }

    /// As [`MasterKey::open_secret`], by whichever key has sealed it.
    ///
    /// # Errors
    /// As [`MasterKey::open_secret`].
    pub fn open_secret(&self, context: &[u8], sealed: &[u8]) -> Result<Secret, VaultError> {
        let ring = self.ring();
        let old = ring.old.as_ref().filter(|old| MasterKey::id_of(sealed) == Some(old.id()));
        old.unwrap_or(&ring.current).open_secret(context, sealed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::fake::{Fate, world};

    const PATH: &str = "/keys/master.key";

    #[test]
    fn a_power_cut_at_any_moment_of_an_exchange_leaves_keys_that_open_what_was_sealed() {
        let fates = [Fate::LoseAll, Fate::KeepAll, Fate::Random, Fate::Torn];
        for cut in 0..24 {
            for fate in fates {
                let (world, disk, _) = world(cut);
                disk.create_dir_all(Path::new("/keys")).unwrap();
                disk.sync_dir(Path::new("/")).unwrap();
                let keys = Keys::create(&*disk, &*world.entropy, Path::new(PATH)).unwrap();
                let mut sealed = keys.seal_secret(&*world.entropy, b"row", &Secret::new("hunter2"));
                disk.fail_after(cut);
                if keys.begin_exchange(&*disk, &*world.entropy).is_ok() {
                    // Sealed anew and durable, wherever that is.
                    assert!(keys.open_secret(b"row", &sealed).unwrap().matches("hunter2"));
                    sealed = keys.seal_secret(&*world.entropy, b"row", &Secret::new("hunter2"));
                    let ended = keys.end_exchange(&*disk);
                    assert!(keys.open_secret(b"row", &sealed).unwrap().matches("hunter2"), "{ended:?}");
                }
                disk.crash(cut, fate);
                let keys = Keys::load(&*disk, Path::new(PATH)).unwrap().expect("a key is there always");
                assert!(keys.open_secret(b"row", &sealed).unwrap().matches("hunter2"), "cut {cut}, {fate:?}");
                keys.begin_exchange(&*disk, &*world.entropy).unwrap();
                keys.end_exchange(&*disk).unwrap();
                assert_eq!(Keys::load(&*disk, Path::new(PATH)).unwrap().unwrap().old_id(), None);
            }
        }
    }

    #[test]
    fn what_was_sealed_under_a_key_that_is_gone_says_so() {
        let (world, disk, _) = world(1);
        disk.create_dir_all(Path::new("/keys")).unwrap();
        let keys = Keys::create(&*disk, &*world.entropy, Path::new(PATH)).unwrap();
        let sealed = keys.seal_secret(&*world.entropy, b"row", &Secret::new("hunter2"));
        assert!(keys.is_current(&sealed));
        let (old, new) = keys.begin_exchange(&*disk, &*world.entropy).unwrap();
        assert!(!keys.is_current(&sealed));
        assert_eq!(keys.begin_exchange(&*disk, &*world.entropy).unwrap(), (old, new), "one at a time");
        keys.end_exchange(&*disk).unwrap();
        let gone = keys.open_secret(b"row", &sealed).unwrap_err();
        assert!(matches!(gone, VaultError::OtherKey { sealed, this } if (sealed, this) == (old, new)));
    }
}
