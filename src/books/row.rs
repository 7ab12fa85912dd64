//! What a row of the books is, and how its key sorts.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A kind of row.
pub trait Row: Serialize + DeserializeOwned {
    /// Its table.
    const TABLE: &'static str;
    /// What it is found by.
    type Key: Key;
}

/// A key: its bytes sort as its values do.
pub trait Key: Sized {
    /// Its bytes.
    fn to_bytes(&self) -> Vec<u8>;
    /// What has these bytes.
    fn from_bytes(bytes: &[u8]) -> Option<Self>;
    /// What sorts before every other key.
    fn first() -> Self;
}

impl Key for u64 {
    fn to_bytes(&self) -> Vec<u8> {
        self.to_be_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self::from_be_bytes)
    }

    fn first() -> Self {
        0
    }
}

impl Key for String {
    fn to_bytes(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Self::from_utf8(bytes.to_vec()).ok()
    }

    fn first() -> Self {
        Self::new()
    }
}

/// By number, then by the rest.
impl<K: Key> Key for (u64, K) {
    fn to_bytes(&self) -> Vec<u8> {
        [self.0.to_be_bytes().as_slice(), &self.1.to_bytes()].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (number, rest) = bytes.split_first_chunk::<8>()?;
        Some((u64::from_be_bytes(*number), K::from_bytes(rest)?))
    }

    fn first() -> Self {
        (0, K::first())
    }
}
