//! Who a volume is: its first sector, and a copy of it in a file beside the volume.
//!
//! ```text
//! vol-00000001.kdv [0..4096]  first sector: magic "kdvolume", version (u16), volume (u32), store id (16),
//!                             key of its record headers (32), bytes of the volume (u64), BLAKE3 of all that (16)
//! vol-00000001.kdh            the same 4,096 bytes
//! ```
//!
//! The key of the record headers stands nowhere else, and without it no record can be told from noise. One sector that
//! rots must not take a volume with it: whichever of the two is bad is written anew from the other, at a start and by
//! each scrub. A volume of before there were copies gets its own at the next start.

use std::io;
use std::path::{Path, PathBuf};

use super::record::{SECTOR, SECTOR_LEN};
use crate::domain::VolumeId;
use crate::store::codec::{Decoder, Encoder, Malformed};
use crate::store::error::{Doing, StoreError};
use crate::world::disk::{read_file, remove_if_there};
use crate::world::{Disk, DiskFile};

const MAGIC: &[u8; 8] = b"kdvolume";
const VERSION: u16 = 1;
/// Bytes before the checksum.
const SUMMED: usize = 8 + 2 + 4 + 16 + 32 + 8;
const WHAT: &str = "first sector of a volume";

/// What the first sector says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    pub id: VolumeId,
    /// The store that it belongs to.
    pub store: [u8; 16],
    /// Key of its record headers.
    pub key: [u8; 32],
    /// Bytes that it may grow to.
    pub size: u64,
}

/// Which of the two can be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sound {
    pub first: bool,
    pub copy: bool,
}

/// The number in a volume's file name.
pub fn volume_number(path: &Path) -> Option<VolumeId> {
    number_before(path, ".kdv")
}

/// The number in the name of a copy.
pub fn copy_number(path: &Path) -> Option<VolumeId> {
    number_before(path, ".kdh")
}

fn number_before(path: &Path, end: &str) -> Option<VolumeId> {
    let name = path.file_name()?.to_str()?;
    let digits = name.strip_prefix("vol-")?.strip_suffix(end)?;
    digits.parse().ok().map(VolumeId::new)
}

/// Where the copy of a volume's first sector is.
pub fn copy_path(volume: &Path) -> PathBuf {
    volume.with_extension("kdh")
}

// === impl Identity ===

impl Identity {
    fn encode(&self) -> Vec<u8> {
        let mut out = Encoder::default();
        out.raw(MAGIC).u16(VERSION).u32(self.id.get()).raw(&self.store).raw(&self.key).u64(self.size);
        let sum = blake3::hash(&out.0);
        out.raw(&sum.as_bytes()[..16]);
        let mut bytes = out.take();
        bytes.resize(SECTOR_LEN, 0);
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut input = Decoder::new(bytes, WHAT);
        if input.raw(8)? != MAGIC || input.u16()? != VERSION {
            return Err(Malformed(WHAT));
        }
        let said =
            Self { id: VolumeId::new(input.u32()?), store: input.array()?, key: input.array()?, size: input.u64()? };
        let sum = input.raw(16)?;
        if bytes.get(..SUMMED).is_none_or(|summed| blake3::hash(summed).as_bytes()[..16] != *sum) {
            return Err(Malformed(WHAT));
        }
        Ok(said)
    }

    /// What a volume and its copy say, and which of them says it; `None` for a volume that a crash left before its
    /// first sector was written.
    ///
    /// # Errors
    ///
    /// Neither can be read.
    pub fn read(disk: &dyn Disk, path: &Path, file: &dyn DiskFile) -> Result<Option<(Self, Sound)>, StoreError> {
        let len = file.len().doing(|| format!("measure volume {}", path.display()))?;
        let mut bytes = vec![0; SECTOR_LEN];
        let first = match len {
            0..SECTOR => Err(Malformed(WHAT).into()),
            _ => match file.read_exact_at(&mut bytes, 0).doing(|| format!("read volume {}", path.display())) {
                Ok(()) => Self::decode(&bytes).map_err(StoreError::from),
                Err(error) => Err(error),
            },
        };
        let unreadable = matches!(first, Err(StoreError::Io { .. }));
        let copy = read_file(disk, &copy_path(path)).ok().flatten().and_then(|bytes| Self::decode(&bytes).ok());
        match (first, copy) {
            (Ok(first), copy) => Ok(Some((first, Sound { first: true, copy: copy == Some(first) }))),
            (Err(_), Some(copy)) => Ok(Some((copy, Sound { first: false, copy: true }))),
            // Nothing is put behind the first sector, and no copy beside it, before it is durable.
            (Err(_), None) if !unreadable && len <= SECTOR && bytes.iter().all(|&byte| byte == 0) => Ok(None),
            (Err(error), None) => Err(error),
        }
    }

    /// Writes the first sector of a new volume and the copy beside it; both, and their names, are durable on return.
    pub fn write(&self, disk: &dyn Disk, path: &Path, file: &dyn DiskFile) -> io::Result<()> {
        // In this order: a copy says that there was a first sector.
        self.mend(disk, path, file, Sound { first: false, copy: false })
    }

    /// Writes anew what is not sound, durably.
    pub fn mend(&self, disk: &dyn Disk, path: &Path, file: &dyn DiskFile, sound: Sound) -> io::Result<()> {
        if !sound.first {
            file.write_all_at(&self.encode(), 0)?;
            file.sync_data()?;
            // A sector that could not be read is another one of the disk's now; if not, the disk fails.
            file.read_exact_at(&mut [0; SECTOR_LEN], 0)?;
        }
        if !sound.copy {
            let copy = copy_path(path);
            remove_if_there(disk, &copy)?;
            let file = disk.create(&copy)?;
            file.write_all_at(&self.encode(), 0)?;
            file.sync_data()?;
            if let Some(dir) = path.parent() {
                disk.sync_dir(dir)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::fake;

    const WHO: Identity = Identity { id: VolumeId::new(7), store: [1; 16], key: [2; 32], size: 1 << 30 };

    #[test]
    fn either_of_the_two_tells_who_a_volume_is_and_mends_the_other() {
        let (world, ..) = fake::world(1);
        let disk = &*world.disk;
        disk.create_dir_all(Path::new("/v")).unwrap();
        let path = Path::new("/v/vol-00000007.kdv");
        let file = disk.create(path).unwrap();
        let read = || Identity::read(disk, path, &*file);
        assert_eq!(read().unwrap(), None);
        file.set_len(SECTOR).unwrap();
        assert_eq!(read().unwrap(), None, "a crash came before the first sector was written");
        WHO.write(disk, path, &*file).unwrap();
        let both = Sound { first: true, copy: true };
        assert_eq!(read().unwrap(), Some((WHO, both)));
        let copy = disk.open(&copy_path(path)).unwrap();
        for at in [0, 9, 13, 29, 61, 69, 85] {
            for (file, sound) in [(&file, Sound { first: false, ..both }), (&copy, Sound { copy: false, ..both })] {
                let mut byte = [0];
                file.read_exact_at(&mut byte, at).unwrap();
                file.write_all_at(&[byte[0] ^ 1], at).unwrap();
                assert_eq!(read().unwrap(), Some((WHO, sound)), "byte {at}");
                file.write_all_at(&byte, at).unwrap();
            }
        }
        // All of it, and what stood behind it is not given up for an unfinished volume.
        file.write_all_at(&[0; SECTOR_LEN], 0).unwrap();
        assert_eq!(read().unwrap(), Some((WHO, Sound { first: false, ..both })));
        WHO.mend(disk, path, &*file, Sound { first: false, ..both }).unwrap();
        assert_eq!(read().unwrap(), Some((WHO, both)));
        disk.remove(&copy_path(path)).unwrap();
        assert_eq!(read().unwrap(), Some((WHO, Sound { copy: false, ..both })));
        file.write_all_at(&[0; SECTOR_LEN], 0).unwrap();
        file.set_len(2 * SECTOR).unwrap();
        assert!(read().is_err(), "a volume with something behind its first sector was never unfinished");
    }
}
