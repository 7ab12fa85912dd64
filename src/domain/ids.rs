//! Names and numbers of things. Each is parsed once, here, and cannot be made another way.

use std::fmt;
use std::str::FromStr;

use zeroize::Zeroizing;

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name($inner);

        impl $name {
            /// The thing with this number.
            pub const fn new(number: $inner) -> Self {
                Self(number)
            }

            /// The number.
            pub const fn get(self) -> $inner {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

number_id!(
    /// One province's account. Never reused.
    AccountId(u64)
);
number_id!(
    /// One camera's sub-account, or an own bucket of an account as the owner of its files: what files are
    /// counted for. Never reused.
    SubAccountId(u64)
);
number_id!(
    /// One bucket. Never reused.
    BucketId(u64)
);
number_id!(
    /// One stored object: the sequence number of the commit that stored it. Never reused.
    ObjectId(u64)
);
number_id!(
    /// One volume file. Never reused.
    VolumeId(u32)
);
number_id!(
    /// One alert in the outbox.
    AlertId(u64)
);

/// One multipart upload: 128 random bits, so that it cannot be guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UploadId(u128);

/// Why a name, or another thing that was typed, was not accepted: what is wrong with it, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    /// [`AccountName`]: so many characters.
    #[error("an account name has 1 to 64 characters, this one {0}")]
    AccountLength(usize),
    /// [`AccountName`]
    #[error("an account name has no control characters")]
    AccountControl,
    /// [`AccountName`]
    #[error("an account name has no white space at its ends")]
    AccountEnds,
    /// [`AccessKey`]
    #[error("an access key has 1 to 128 letters and digits")]
    AccessKey,
    /// [`BucketName`]: so many bytes.
    #[error("a bucket name has 3 to 63 characters, this one {0}")]
    BucketLength(usize),
    /// [`BucketName`]
    #[error(
        "a bucket name has lower-case letters, digits, '-' and '.', begins and ends with a letter or digit, as does \
         each part between dots, and is no IP address"
    )]
    BucketLetters,
    /// [`BucketName`]
    #[error("S3 keeps bucket names that begin or end so for itself")]
    BucketReserved,
    /// [`UploadId`]
    #[error("an upload id is 32 hexadecimal digits")]
    UploadId,
    /// [`super::ObjectKey`]
    #[error("a key has at least one character")]
    KeyEmpty,
    /// [`super::ObjectKey`]: so many bytes.
    #[error("a key has at most {most} bytes of UTF-8, this one {0}", most = super::limits::OBJECT_KEY_BYTES_MAX)]
    KeyLength(usize),
    /// [`super::ObjectKey`]: where.
    #[error("byte {0} of the key begins a character that XML 1.0 cannot carry")]
    KeyCharacter(usize),
    /// [`super::users::UserName`]
    #[error("a user name has 1 to 64 letters, digits and . _ - @")]
    UserName,
    /// [`super::account::password`]
    #[error("a password has 1 to 256 characters, none of them a control character, and no white space at its ends")]
    AccountPassword,
    /// [`super::account::space`]: so many GB.
    #[error("a space is 1 GB to {most}, this one {0} GB", most = super::Gigabytes::MAX)]
    Space(u32),
    /// [`super::account::sub_accounts`]
    #[error("an account has at least 1 sub-account")]
    SubAccounts,
    /// [`super::account::alert_url`]: what was typed.
    #[error("{0:?} cannot be called; write one like \"http://10.1.2.3:8080/alert\"")]
    AlertUrl(String),
    /// A callback profile: which of its texts.
    #[error("{0} is too long, or has control characters")]
    CallbackText(&'static str),
    /// A callback profile's operation: what was typed.
    #[error("{0:?} is no name of an XML element (without a prefix)")]
    ElementName(String),
}

/// The name of an account, as the platform sends it: 1 to 64 characters, none of them a control
/// character, no white space at either end. Compared exactly.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountName(String);

/// The public half of a key pair (S3AK): 1 to 128 letters and digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccessKey(String);

/// A bucket's name: 3 to 63 lower-case letters, digits, `-` and `.`, as DNS and S3 want it, and none that
/// S3 keeps for itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BucketName(String);

/// A password or a secret key: zeroed on drop, never printed, compared in constant time only.
///
/// `PartialEq` is deliberately not implemented: an ordinary `==` is a compile error.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

// === impl UploadId ===

impl UploadId {
    /// The upload with this number.
    pub const fn new(number: u128) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn get(self) -> u128 {
        self.0
    }
}

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for UploadId {
    type Err = BadName;
    fn from_str(text: &str) -> Result<Self, BadName> {
        let wrong = || BadName::UploadId;
        if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        u128::from_str_radix(text, 16).map(Self).map_err(|_| wrong())
    }
}

// === impl AccountName ===

impl AccountName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AccountName {
    type Err = BadName;
    fn from_str(text: &str) -> Result<Self, BadName> {
        let length = text.chars().count();
        if length == 0 || length > 64 {
            return Err(BadName::AccountLength(length));
        }
        if text.chars().any(char::is_control) || text.contains(['\u{fffe}', '\u{ffff}']) {
            return Err(BadName::AccountControl);
        }
        if text.trim() != text {
            return Err(BadName::AccountEnds);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl AccessKey ===

impl AccessKey {
    /// The key.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AccessKey {
    type Err = BadName;
    fn from_str(text: &str) -> Result<Self, BadName> {
        if text.is_empty() || text.len() > 128 || !text.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(BadName::AccessKey);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl BucketName ===

/// Names that begin or end so are S3's own (access points, directory buckets and the like).
const RESERVED_PREFIXES: [&str; 3] = ["xn--", "sthree-", "amzn-s3-demo-"];
/// See [`RESERVED_PREFIXES`].
const RESERVED_SUFFIXES: [&str; 5] = ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"];

impl BucketName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BucketName {
    type Err = BadName;
    fn from_str(text: &str) -> Result<Self, BadName> {
        let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let inside = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
        let bytes = text.as_bytes();
        if !(3..=63).contains(&bytes.len()) {
            return Err(BadName::BucketLength(bytes.len()));
        }
        let label = |label: &str| edge(label.bytes().next()) && edge(label.bytes().next_back());
        if !bytes.iter().copied().all(inside)
            || !text.split('.').all(label)
            || text.parse::<std::net::Ipv4Addr>().is_ok()
        {
            return Err(BadName::BucketLetters);
        }
        if RESERVED_PREFIXES.iter().any(|reserved| text.starts_with(reserved))
            || RESERVED_SUFFIXES.iter().any(|reserved| text.ends_with(reserved))
        {
            return Err(BadName::BucketReserved);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for BucketName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl Secret ===

impl Secret {
    /// Takes the text in; the caller's copy is the caller's to forget.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text, for signing, sealing, or the one answer that hands it out.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether `other` is the same, in time that depends on the lengths only.
    pub fn matches(&self, other: &str) -> bool {
        use subtle::ConstantTimeEq;
        self.0.as_bytes().ct_eq(other.as_bytes()).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_printed() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "[secret]");
    }

    /// Does not compile where the type has one of the traits: then two implementations fit, and none can be chosen.
    macro_rules! has_none_of {
        ($type:ty: $($bound:path),*) => {$({
            trait Fits<A> {
                fn chosen() {}
            }
            struct Has;
            impl<T: ?Sized> Fits<()> for T {}
            impl<T: ?Sized + $bound> Fits<Has> for T {}
            <$type as Fits<_>>::chosen();
        })*};
    }

    #[test]
    fn a_secret_cannot_be_shown_written_down_or_compared_in_a_time_that_tells() {
        has_none_of!(Secret: std::fmt::Display, serde::Serialize, PartialEq, AsRef<str>, Into<String>, std::hash::Hash);
        assert!(Secret::new("hunter2").matches("hunter2") && !Secret::new("hunter2").matches("hunter"));
    }

    #[test]
    fn names_are_what_dns_and_s3_want() {
        for good in ["abc", "rec-0a1b2c", "a.b", "192.168.1.1x"] {
            assert!(good.parse::<BucketName>().is_ok(), "{good}");
        }
        for bad in [
            "ab",
            "Abc",
            "-abc",
            "abc-",
            "a..b",
            "foo.-bar",
            "foo-.bar",
            "192.168.1.1",
            "a_b",
            "xn--abc",
            "abc-s3alias",
            &"a".repeat(64),
        ] {
            assert!(bad.parse::<BucketName>().is_err(), "{bad}");
        }
        assert!("".parse::<AccountName>().is_err());
        assert!(" x".parse::<AccountName>().is_err());
        assert!("江苏电信".parse::<AccountName>().is_ok());
    }

    #[test]
    fn an_upload_id_survives_its_text() {
        let id = UploadId::new(0x00ff_1234);
        assert_eq!(id.to_string().parse::<UploadId>(), Ok(id));
        assert!("xyz".parse::<UploadId>().is_err());
        assert!("+0000000000000000000000000000001".parse::<UploadId>().is_err());
    }
}
