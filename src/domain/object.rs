//! A stored file: its key, its tag, its lock and what its uploader said of it.

use std::fmt;
use std::str::FromStr;

use super::ids::BadName;
use super::limits;

/// What kind of file a sub-account's bucket holds. Serves 7.7 `Type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Media {
    /// A recording (`Type` 0, `S3RecordBucket`).
    Recording,
    /// A picture (`Type` 1, `S3PictureBucket`).
    Picture,
}

impl Media {
    /// The word for it in our own addresses, in the API and in commands.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Recording => "recording",
            Self::Picture => "picture",
        }
    }

    /// The kind of a [`Media::word`].
    pub fn of_word(word: &str) -> Option<Self> {
        [Self::Recording, Self::Picture].into_iter().find(|media| media.word() == word)
    }
}

/// Whether a file may be deleted or replaced. Serves 7.8 `LockFlag` and S3's legal hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Lock {
    /// It may.
    #[default]
    Open,
    /// It may not: by nobody, until it is unlocked or its sub-account is closed.
    Locked,
}

/// A file's name in its bucket (7.7 `FileName`): 1 to 1,024 bytes of UTF-8 in which every
/// character can be written in XML 1.0, so that no listing can be broken by one file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey(String);

/// S3's entity tag: the MD5 of the bytes, or of the parts' MD5s with their number behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ETag {
    /// MD5 of the bytes, or of the concatenated MD5s of the parts.
    pub md5: [u8; 16],
    /// Number of parts of a multipart upload; 0 for an object that was put whole.
    pub parts: u16,
}

/// The checksum algorithms of `x-amz-checksum-*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChecksumKind {
    /// CRC-32 (ISO-HDLC), 4 bytes.
    Crc32,
    /// CRC-32C (Castagnoli), 4 bytes.
    Crc32c,
    /// CRC-64/NVME, 8 bytes.
    Crc64Nvme,
    /// SHA-1, 20 bytes.
    Sha1,
    /// SHA-256, 32 bytes.
    Sha256,
}

/// What the checksum of a multipart object covers (`x-amz-checksum-type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChecksumType {
    /// The bytes, as if they had been put whole. Only CRCs can be had so, by combining those of the parts.
    FullObject,
    /// The parts' digests, one after the other.
    Composite,
}

/// A checksum that an uploader declared and that we verified, kept to be given back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checksum {
    /// The algorithm.
    pub kind: ChecksumKind,
    /// The digest, big-endian, as long as the algorithm says.
    pub digest: Vec<u8>,
    /// Number of the parts whose digests it covers; 0 where it covers the bytes.
    pub parts: u16,
}

/// Which checksum a multipart upload is to have, said when it is begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChecksumPlan {
    /// The algorithm.
    pub kind: ChecksumKind,
    /// What it will cover.
    pub covers: ChecksumType,
}

/// Response headers kept with an object: lower-case names and raw values in the order of the
/// request. `content-type`, `cache-control`, `content-disposition`, `content-encoding`,
/// `content-language`, `expires`, and every `x-amz-meta-…`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata(pub Vec<(String, Vec<u8>)>);

// === impl ObjectKey ===

impl ObjectKey {
    /// The key.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key's UTF-8.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl FromStr for ObjectKey {
    type Err = BadName;
    fn from_str(text: &str) -> Result<Self, BadName> {
        if text.is_empty() {
            return Err(BadName::KeyEmpty);
        }
        if text.len() > limits::OBJECT_KEY_BYTES_MAX {
            return Err(BadName::KeyLength(text.len()));
        }
        if let Some((at, _)) = text.char_indices().find(|&(_, c)| !is_xml_char(c)) {
            return Err(BadName::KeyCharacter(at));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether XML 1.0 has this character (its production 2, `Char`).
pub fn is_xml_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}')
}

// === impl ETag ===

impl fmt::Display for ETag {
    /// Without the quotation marks.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A list writes a thousand of these: byte by byte they would be a tenth of its work.
        let mut digits = [0; 32];
        if hex::encode_to_slice(self.md5, &mut digits).is_ok() {
            f.write_str(std::str::from_utf8(&digits).unwrap_or_default())?;
        }
        if self.parts > 0 { write!(f, "-{}", self.parts) } else { Ok(()) }
    }
}

// === impl ChecksumKind ===

impl ChecksumKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Crc32, Self::Crc32c, Self::Crc64Nvme, Self::Sha1, Self::Sha256];

    /// The header that carries it.
    pub const fn header(self) -> &'static str {
        match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
        }
    }

    /// As `x-amz-checksum-algorithm` names it, and `Checksum…` elements.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    /// Whether the checksum of a whole can be made of those of its parts.
    pub const fn combines(self) -> bool {
        matches!(self, Self::Crc32 | Self::Crc32c | Self::Crc64Nvme)
    }

    /// Bytes of the digest.
    pub const fn digest_len(self) -> usize {
        match self {
            Self::Crc32 | Self::Crc32c => 4,
            Self::Crc64Nvme => 8,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }
}

// === impl Checksum ===

impl Checksum {
    /// What it covers.
    pub const fn covers(&self) -> ChecksumType {
        if self.parts == 0 { ChecksumType::FullObject } else { ChecksumType::Composite }
    }
}

// === impl ChecksumType ===

impl ChecksumType {
    /// As `x-amz-checksum-type` says it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::FullObject => "FULL_OBJECT",
            Self::Composite => "COMPOSITE",
        }
    }
}

// === impl Metadata ===

impl Metadata {
    /// The value kept under `name` (lower case).
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_slice())
    }

    /// Bytes of all names and values together.
    pub fn size(&self) -> usize {
        self.0.iter().map(|(n, v)| n.len() + v.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_would_break_a_listing_is_refused() {
        for bad in ["", "a\0b", "a\u{b}b", "x\u{fffe}", "\u{ffff}", &"k".repeat(1025)] {
            assert!(bad.parse::<ObjectKey>().is_err(), "{bad:?}");
        }
        for good in ["a", "a/b", "..", "//", "录像/2014\t.mp4", "a\r\nb", &"k".repeat(1024)] {
            assert!(good.parse::<ObjectKey>().is_ok(), "{good:?}");
        }
    }

    #[test]
    fn a_tag_reads_as_s3_writes_it() {
        let md5 = [0xab; 16];
        assert_eq!(ETag { md5, parts: 0 }.to_string(), "ab".repeat(16));
        assert_eq!(ETag { md5, parts: 3 }.to_string(), format!("{}-3", "ab".repeat(16)));
    }
}
