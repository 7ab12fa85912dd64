//! A tape archive of a few small files (POSIX ustar), packed by gzip.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;

const BLOCK: usize = 512;

/// An archive that is being written.
pub struct Archive<W: Write> {
    out: GzEncoder<W>,
    /// Of its members, seconds since 1970.
    seconds: u64,
}

impl<W: Write> Archive<W> {
    pub fn new(out: W, seconds: u64) -> Self {
        Self { out: GzEncoder::new(out, Compression::default()), seconds }
    }

    /// A member. Its name has at most 100 bytes.
    pub fn add(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(&head(name, bytes.len() as u64, self.seconds))?;
        self.out.write_all(bytes)?;
        self.out.write_all(&vec![0; bytes.len().next_multiple_of(BLOCK) - bytes.len()])
    }

    /// The end of the archive; gives what was written to.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.write_all(&[0; 2 * BLOCK])?;
        self.out.finish()
    }
}

fn head(name: &str, size: u64, seconds: u64) -> [u8; BLOCK] {
    let mut head = [0; BLOCK];
    let mut put = |at: usize, text: &[u8]| head[at..at + text.len()].copy_from_slice(text);
    put(0, name.as_bytes().get(..100).unwrap_or(name.as_bytes()));
    put(100, b"0000600\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{size:011o}\0").as_bytes());
    put(136, format!("{seconds:011o}\0").as_bytes());
    // The sum is made over blanks in its place.
    put(148, b"        ");
    put(156, b"0");
    put(257, b"ustar\x0000");
    let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
    head[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    head
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn members_stand_in_blocks_behind_heads_with_their_sums() {
        let mut archive = Archive::new(Vec::new(), 1_764_000_000);
        archive.add("dir/a.txt", &[b'x'; 513]).expect("in memory");
        archive.add("dir/empty", b"").expect("in memory");
        let packed = archive.finish().expect("in memory");
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(&*packed).read_to_end(&mut plain).expect("gzip");
        assert_eq!(plain.len(), 512 + 1024 + 512 + 1024);
        assert!(plain.starts_with(b"dir/a.txt\0") && plain[257..].starts_with(b"ustar\x0000"));
        assert_eq!(&plain[124..136], b"00000001001\0");
        let head: [u8; 512] = plain[..512].try_into().expect("a block");
        let sum: u32 =
            head.iter().enumerate().map(|(at, b)| if (148..156).contains(&at) { 32 } else { u32::from(*b) }).sum();
        assert_eq!(&head[148..156], format!("{sum:06o}\0 ").as_bytes());
    }
}
