//! The shop on paper: nouns, units, rules, limits and refusals.
//!
//! Everything that the specification *decides* is a pure function here. Absent: clocks, disks,
//! sockets, `async`. This room names nobody else.

pub mod account;
pub mod alert;
pub mod billing;
pub mod files;
pub mod forecast;
pub mod guessing;
pub mod ids;
pub mod limits;
pub mod object;
pub mod refusal;
pub mod roles;
pub mod share;
pub mod space;
pub mod time;
pub mod units;
pub mod users;

pub use alert::{Alert, AlertRefusal, CallbackProfile, RetrySchedule};
pub use ids::{
    AccessKey, AccountId, AccountName, AlertId, BucketId, BucketName, ObjectId, Secret, SubAccountId, UploadId,
    VolumeId,
};
pub use object::{Checksum, ChecksumKind, ChecksumPlan, ChecksumType, ETag, Lock, Media, Metadata, ObjectKey};
pub use refusal::Refusal;
pub use roles::{Action, Role};
pub use space::{Admission, AtTheEnd, Episode, Rules, Space, Step};
pub use time::Timestamp;
pub use units::{Bytes, GigabyteSize, Gigabytes, Percent};
