//! The key file.
//!
//! ```text
//! offset  size
//!      0     8  "KDMASTER"
//!      8     1  format, 1
//!      9     3  zeros
//!     12     4  key id, little-endian, random
//!     16    32  key
//!     48    16  the first bytes of BLAKE3 over what stands before
//! ```

use std::fmt;
use std::path::Path;

use zeroize::Zeroizing;

use super::VaultError;
use crate::world::disk::{read_file, replace_file};
use crate::world::{Disk, Entropy};

const MAGIC: &[u8; 8] = b"KDMASTER";
const FORMAT: u8 = 1;
const FILE_LEN: usize = 64;
const CHECKED: usize = 48;

/// The key under which secrets are sealed, with an id that every seal names. Zeroed on drop.
pub struct MasterKey {
    id: u32,
    key: Zeroizing<[u8; 32]>,
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({:08x})", self.id)
    }
}

impl MasterKey {
    /// A new random key, in memory only.
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        entropy.fill(key.as_mut());
        Self { id: u32::from_le_bytes(entropy.bytes()), key }
    }

    /// The key of this file; `None` where there is no file.
    ///
    /// # Errors
    ///
    /// The file cannot be read, is damaged, or is of a later format.
    pub fn load(disk: &dyn Disk, path: &Path) -> Result<Option<Self>, VaultError> {
        let Some(bytes) = read_file(disk, path)?.map(Zeroizing::new) else { return Ok(None) };
        Self::decode(&bytes).map(Some)
    }

    /// Makes a new key and its file with mode 0600, durable on return. The directory must be there.
    ///
    /// # Errors
    ///
    /// There is a file of that name already, or the disk fails.
    pub fn create(disk: &dyn Disk, entropy: &dyn Entropy, path: &Path) -> Result<Self, VaultError> {
        match disk.open(path) {
            Ok(_) => return Err(VaultError::KeyExists),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        let key = Self::generate(entropy);
        replace_file(disk, path, key.encode().as_slice())?;
        Ok(key)
    }

    /// What every seal under this key names.
    pub fn id(&self) -> u32 {
        self.id
    }

    pub(super) fn bytes(&self) -> &[u8; 32] {
        &self.key
    }

    fn encode(&self) -> Zeroizing<[u8; FILE_LEN]> {
        let mut out = Zeroizing::new([0; FILE_LEN]);
        out[..8].copy_from_slice(MAGIC);
        out[8] = FORMAT;
        out[12..16].copy_from_slice(&self.id.to_le_bytes());
        out[16..CHECKED].copy_from_slice(self.key.as_slice());
        let checksum = blake3::hash(&out[..CHECKED]);
        out[CHECKED..].copy_from_slice(&checksum.as_bytes()[..FILE_LEN - CHECKED]);
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, VaultError> {
        let format = bytes.strip_prefix(MAGIC).and_then(|rest| rest.first()).ok_or(VaultError::DamagedKey)?;
        if *format != FORMAT {
            return Err(VaultError::UnknownKeyFormat(*format));
        }
        let bytes: &[u8; FILE_LEN] = bytes.try_into().map_err(|_| VaultError::DamagedKey)?;
        let (body, checksum) = bytes.split_at(CHECKED);
        if !blake3::hash(body).as_bytes().starts_with(checksum) || body[9..12] != [0; 3] {
            return Err(VaultError::DamagedKey);
        }
        let mut key = Zeroizing::new([0; 32]);
        key.copy_from_slice(&body[16..]);
        Ok(Self { id: u32::from_le_bytes([body[12], body[13], body[14], body[15]]), key })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::fake::{Fate, world};

    const PATH: &str = "/data/master.key";

    fn data() -> (crate::world::World, std::sync::Arc<crate::world::fake::FakeDisk>) {
        let (world, disk, _) = world(1);
        disk.create_dir_all(Path::new("/data")).unwrap();
        (world, disk)
    }

    #[test]
    fn a_key_that_was_made_is_there_after_a_power_cut() {
        let (world, disk) = data();
        assert!(MasterKey::load(&*disk, Path::new(PATH)).unwrap().is_none());
        let made = MasterKey::create(&*disk, &*world.entropy, Path::new(PATH)).unwrap();
        disk.crash(0, Fate::LoseAll);
        let loaded = MasterKey::load(&*disk, Path::new(PATH)).unwrap().unwrap();
        assert_eq!((made.id, made.key), (loaded.id, loaded.key));
    }

    #[test]
    fn a_power_cut_while_it_is_made_leaves_no_key_or_a_whole_one() {
        for cut in 0..8 {
            for seed in 0..30 {
                let (world, disk) = data();
                disk.fail_after(cut);
                let made = MasterKey::create(&*disk, &*world.entropy, Path::new(PATH));
                disk.crash(seed, Fate::Torn);
                let found = MasterKey::load(&*disk, Path::new(PATH)).unwrap();
                assert!(found.is_some() || made.is_err());
            }
        }
    }

    #[test]
    fn a_key_is_never_made_over_another() {
        let (world, disk) = data();
        let made = MasterKey::create(&*disk, &*world.entropy, Path::new(PATH)).unwrap();
        let again = MasterKey::create(&*disk, &*world.entropy, Path::new(PATH));
        assert!(matches!(again, Err(VaultError::KeyExists)));
        assert_eq!(MasterKey::load(&*disk, Path::new(PATH)).unwrap().unwrap().key, made.key);
    }

    #[test]
    fn a_damaged_file_is_refused_whatever_the_damage() {
        let (world, _) = data();
        let whole = MasterKey::generate(&*world.entropy).encode();
        assert!(MasterKey::decode(whole.as_slice()).is_ok());
        for at in 0..FILE_LEN {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            assert!(MasterKey::decode(flipped.as_slice()).is_err(), "byte {at}");
            assert!(MasterKey::decode(&whole[..at]).is_err(), "cut at {at}");
        }
        let longer = [whole.as_slice(), b"\n"].concat();
        assert!(matches!(MasterKey::decode(&longer), Err(VaultError::DamagedKey)));
        let mut later = whole.clone();
        later[8] = 2;
        assert!(matches!(MasterKey::decode(later.as_slice()), Err(VaultError::UnknownKeyFormat(2))));
    }

    #[test]
    fn a_key_does_not_print_itself() {
        let key = MasterKey { id: 0x1234, key: Zeroizing::new([7; 32]) };
        assert_eq!(format!("{key:?}"), "MasterKey(00001234)");
    }
}
