//! The reasons for a no, in the shop's words. Each plane has one exhaustive table of its own words.

use super::alert::AlertRefusal;
use super::billing::BillingRefusal;
use super::files::FilesRefusal;
use super::units::{Bytes, Gigabytes};
use super::users::UserRefusal;

/// Why a use case said no. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// 7.x result 1.
    #[error("there is no account of this name")]
    NoAccount,
    /// 7.x result 2.
    #[error("the password is wrong")]
    WrongPassword,
    /// Operations staff have suspended the account: neither its password nor its keys are taken.
    #[error("the account is suspended; its files stay as they are")]
    Suspended,
    /// Too many failures from there: what was sent is not looked at. S3 `SlowDown`.
    #[error("too many failures; try again in {seconds} seconds")]
    Slow {
        /// How long, rounded up.
        seconds: u64,
    },
    /// Opening an account whose name is taken.
    #[error("an account of this name exists already")]
    AccountExists,
    /// 7.2 result 3, 7.5 result 5: the account has less left to hand out.
    #[error("the account has {free} left to hand out")]
    AccountSpace {
        /// What is left.
        free: Gigabytes,
    },
    /// An account may not be made smaller than what it has handed out and what its own buckets take.
    #[error("{handed_out} are handed out to sub-accounts or in the account's own buckets; the total cannot be less")]
    HandedOut {
        /// The sum of the sub-accounts' spaces and of the own buckets' bytes.
        handed_out: Gigabytes,
    },
    /// 7.2 result 4.
    #[error("the account has its most sub-accounts, {most}")]
    TooManySubAccounts {
        /// The account's limit.
        most: u32,
    },
    /// 7.3–7.9 result 3.
    #[error("there is no sub-account with this access key")]
    NoSubAccount,
    /// 7.3–7.9 result 4.
    #[error("the secret key is wrong")]
    WrongSecret,
    /// 7.9 result 6.
    #[error("the sub-account overwrites its oldest files (loop mode)")]
    LoopMode,
    /// 7.9 result 5.
    #[error("there is no file to delete")]
    NothingToClear,
    /// 7.8 result 5; S3 `NoSuchKey`.
    #[error("there is no such file")]
    NoFile,
    /// 7.7: more files on one page than an answer carries. A Fault.
    #[error("an answer carries at most 10000 files; ask for a smaller PageSize")]
    PageTooLarge,
    /// S3 `NoSuchBucket`.
    #[error("there is no such bucket")]
    NoBucket,
    /// S3 `BucketAlreadyOwnedByYou`.
    #[error("the bucket exists already and is yours")]
    BucketIsYours,
    /// S3 `BucketAlreadyExists`.
    #[error("the bucket exists already")]
    BucketExists,
    /// S3 `TooManyBuckets`.
    #[error("the account has its most buckets of its own, {most}")]
    TooManyBuckets {
        /// The limit.
        most: usize,
    },
    /// S3 `BucketNotEmpty`.
    #[error("the bucket is not empty")]
    BucketNotEmpty,
    /// S3 `InvalidAccessKeyId`.
    #[error("this access key is not known")]
    NoKey,
    /// S3 `AccessDenied`: the key is good, the thing is not for it.
    #[error("this key may not do that")]
    Forbidden,
    /// S3 `AccessDenied`: the file is locked.
    #[error("the file is locked")]
    Locked,
    /// S3 `QuotaExceeded`: the sub-account has no room.
    #[error("the space of {granted} is full")]
    Full {
        /// The sub-account's space.
        granted: Bytes,
    },
    /// S3 `QuotaExceeded`: the upload is larger than the whole space.
    #[error("the upload is larger than the whole space of {granted}")]
    LargerThanTheSpace {
        /// The sub-account's space.
        granted: Bytes,
    },
    /// S3 `EntityTooLarge`.
    #[error("the upload is larger than S3 allows")]
    TooLarge,
    /// S3 `NoSuchUpload`.
    #[error("there is no such multipart upload")]
    NoUpload,
    /// S3 `InvalidPart`.
    #[error("part {number} was not uploaded, or its tag is another")]
    BadPart {
        /// The part that is wrong.
        number: u16,
    },
    /// S3 `InvalidPartOrder`.
    #[error("the parts are not in ascending order")]
    PartOrder,
    /// S3 `EntityTooSmall`.
    #[error("part {number} is smaller than 5 MiB and not the last")]
    PartTooSmall {
        /// The part that is too small.
        number: u16,
    },
    /// S3 `InvalidRequest`: a complete that names no checksum for a part whose digest goes into the object's.
    #[error(
        "The upload was created using a {kind} checksum. The complete request must include the checksum for each \
         part. It was missing for part {number} in the request."
    )]
    NoPartChecksum {
        /// The upload's algorithm, in lower case.
        kind: String,
        /// The first part without.
        number: u16,
    },
    /// S3 `InvalidRequest`: an algorithm or a type that is not the upload's.
    #[error("Checksum Type mismatch occurred, expected checksum Type: {expected}, actual checksum Type: {actual}")]
    OtherChecksum {
        /// What the upload was begun with.
        expected: String,
        /// What was named.
        actual: String,
    },
    /// S3 `BadDigest`: the object that would be made has another checksum than the complete says.
    #[error("The {kind} you specified did not match the calculated checksum.")]
    BadChecksum {
        /// The algorithm.
        kind: &'static str,
    },
    /// S3 `InvalidRequest`: `x-amz-mp-object-size`.
    #[error("The provided 'x-amz-mp-object-size' header value {said} does not match what was computed: {real}")]
    OtherSize {
        /// What the header says.
        said: u64,
        /// What the parts come to.
        real: u64,
    },
    /// S3 `PreconditionFailed`.
    #[error("a condition of the request does not hold")]
    Precondition,
    /// S3 `BadDigest`: the bytes are not those that `Content-MD5` names.
    #[error("the bytes that came do not match Content-MD5")]
    BadDigest,
    /// Of users and sessions of the portals; no other plane meets it.
    #[error(transparent)]
    User(UserRefusal),
    /// Of the files' pages; no other plane meets it.
    #[error(transparent)]
    Files(#[from] FilesRefusal),
    /// Of settlement; no other plane meets it.
    #[error(transparent)]
    Billing(BillingRefusal),
    /// Of the outbox; no other plane meets it.
    #[error(transparent)]
    Alert(#[from] AlertRefusal),
    /// S3 `IncompleteBody`: fewer or more bytes than announced.
    #[error("the body does not have the announced length")]
    WrongLength,
}
