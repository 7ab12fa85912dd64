//! The checksum of a multipart object, made of those of its parts: nothing is read again.

use super::Hasher;
use crate::domain::{Checksum, ChecksumKind, ChecksumType};

/// Makes it of the parts' digests and lengths, in their order. `None` where it cannot be had: there
/// is no part, a digest has another length, or a digest of the bytes is wanted of an algorithm
/// whose digests do not combine.
pub fn whole<'a>(
    kind: ChecksumKind,
    covers: ChecksumType,
    parts: impl Iterator<Item = (&'a [u8], u64)>,
) -> Option<Checksum> {
    match covers {
        ChecksumType::Composite => composite(kind, parts),
        ChecksumType::FullObject => full_object(kind, parts),
    }
}

fn composite<'a>(kind: ChecksumKind, parts: impl Iterator<Item = (&'a [u8], u64)>) -> Option<Checksum> {
    let (mut hasher, mut count) = (Hasher::new(kind), 0u16);
    for (digest, _) in parts {
        if digest.len() != kind.digest_len() {
            return None;
        }
        hasher.update(digest);
        count = count.checked_add(1)?;
    }
    (count > 0).then(|| Checksum { parts: count, ..hasher.finish() })
}

fn full_object<'a>(kind: ChecksumKind, parts: impl Iterator<Item = (&'a [u8], u64)>) -> Option<Checksum> {
    let field = Field::of(kind)?;
    let mut all = None;
    // Parts are of one length but for the last: what stands for the length is made once.
    let mut last: Option<(u64, u64)> = None;
    for (digest, len) in parts {
        if digest.len() != kind.digest_len() {
            return None;
        }
        let crc = digest.iter().fold(0u64, |crc, byte| (crc << 8) | u64::from(*byte));
        all = Some(match all {
            None => crc,
            Some(before) => {
                let shift = match last {
                    Some((known, shift)) if known == len => shift,
                    _ => field.shift(len),
                };
                last = Some((len, shift));
                field.times(shift, before) ^ crc
            }
        });
    }
    let whole = all?.to_be_bytes();
    let digest = whole.get(whole.len() - kind.digest_len()..)?.to_vec();
    Some(Checksum { kind, digest, parts: 0 })
}

/// Polynomials over GF(2) modulo the CRC's, in its bit order: the highest bit is x⁰.
///
/// The CRC of two stretches is the first one's, times x to the number of bits behind it, plus the
/// second one's; what the algorithm sets in at the beginning and the end cancels out.
struct Field {
    /// The modulus without its highest term.
    modulus: u64,
    /// x⁰.
    one: u64,
}

impl Field {
    fn of(kind: ChecksumKind) -> Option<Self> {
        let (modulus, width) = match kind {
            ChecksumKind::Crc32 => (0xedb8_8320, 32),
            ChecksumKind::Crc32c => (0x82f6_3b78, 32),
            ChecksumKind::Crc64Nvme => (0x9a6c_9329_ac4b_c9b5, 64),
            ChecksumKind::Sha1 | ChecksumKind::Sha256 => return None,
        };
        Some(Self { modulus, one: 1 << (width - 1) })
    }

    fn times(&self, a: u64, mut b: u64) -> u64 {
        let (mut product, mut term) = (0, self.one);
        while term != 0 {
            if a & term != 0 {
                product ^= b;
            }
            b = if b & 1 == 0 { b >> 1 } else { (b >> 1) ^ self.modulus };
            term >>= 1;
        }
        product
    }

    /// x to the power of the bits in `len` bytes.
    fn shift(&self, mut len: u64) -> u64 {
        let mut power = self.one;
        // x⁸
        let mut square = self.one >> 8;
        while len != 0 {
            if len & 1 == 1 {
                power = self.times(square, power);
            }
            square = self.times(square, square);
            len >>= 1;
        }
        power
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(kind: ChecksumKind, data: &[u8]) -> Checksum {
        let mut hasher = Hasher::new(kind);
        hasher.update(data);
        hasher.finish()
    }

    fn made_of(kind: ChecksumKind, covers: ChecksumType, parts: &[Vec<u8>]) -> Option<Checksum> {
        let sums: Vec<Checksum> = parts.iter().map(|part| of(kind, part)).collect();
        whole(kind, covers, sums.iter().zip(parts).map(|(sum, part)| (sum.digest.as_slice(), part.len() as u64)))
    }

    #[test]
    fn a_hash_has_no_whole_but_of_its_parts_digests() {
        let parts = [b"ab".to_vec(), b"c".to_vec()];
        for kind in [ChecksumKind::Sha1, ChecksumKind::Sha256] {
            assert_eq!(made_of(kind, ChecksumType::FullObject, &parts), None);
            let digests = [of(kind, b"ab").digest, of(kind, b"c").digest].concat();
            let wanted = Checksum { parts: 2, ..of(kind, &digests) };
            assert_eq!(made_of(kind, ChecksumType::Composite, &parts), Some(wanted));
        }
    }

    #[test]
    fn three_parts_of_five_mebibytes_come_to_what_they_are_together() {
        let parts = [b'A', b'B', b'C'].map(|letter| vec![letter; 5 << 20]);
        for kind in ChecksumKind::ALL.into_iter().filter(|kind| kind.combines()) {
            assert_eq!(made_of(kind, ChecksumType::FullObject, &parts), Some(of(kind, &parts.concat())), "{kind:?}");
        }
    }

    #[test]
    fn nothing_is_made_of_nothing_or_of_another_digest() {
        for covers in [ChecksumType::FullObject, ChecksumType::Composite] {
            assert_eq!(made_of(ChecksumKind::Crc32, covers, &[]), None);
            assert_eq!(whole(ChecksumKind::Crc32, covers, [(&[0u8; 8][..], 1)].into_iter()), None);
        }
    }

    proptest! {
        #[test]
        fn parts_come_to_what_they_are_together(
            parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 1..6),
        ) {
            for kind in ChecksumKind::ALL.into_iter().filter(|kind| kind.combines()) {
                let wanted = of(kind, &parts.concat());
                prop_assert_eq!(made_of(kind, ChecksumType::FullObject, &parts), Some(wanted));
            }
        }
    }
}
