//! S3 signatures: V4 and V2, header and presigned, verified and made.

use crate::domain::{AccessKey, Secret, Timestamp};

/// Proof that a request was signed with the secret of `access_key`. Only a verification makes one.
#[derive(Clone, Debug)]
pub struct Verified {
    access_key: AccessKey,
}

impl Verified {
    /// The key that signed.
    pub fn access_key(&self) -> &AccessKey {
        &self.access_key
    }
}

/// What a presigned GET is made for. Serves 7.7 `FileUrl`.
pub struct PresignGet<'a> {
    /// `http(s)://host[:port]`, no path.
    pub endpoint: &'a str,
    /// Bucket name, put into the path.
    pub bucket: &'a str,
    /// Object key.
    pub key: &'a str,
    /// The signer's access key.
    pub access_key: &'a AccessKey,
    /// The signer's secret key.
    pub secret: &'a Secret,
    /// Region of the credential scope.
    pub region: &'a str,
    /// When it is signed.
    pub now: Timestamp,
    /// Seconds that it lives, 1 to 604,800.
    pub expires: u32,
}
