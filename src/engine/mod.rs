//! Every use case, once. All faces call it and only it. Absent: XML, status codes, HTML.

pub mod courier;
mod stub;
mod types;

pub use courier::{Courier, Delivery, Notice};
pub use stub::{Engine, ObjectReader, Upload};
pub use types::{
    AccountChanges, AccountView, AlertView, AuditEntry, BucketRef, Caller, CheckReport, Credential, Damage, DiskView,
    Error, Finish, FoundFile, ListPage, ListQuery, NewAccount, NewObject, ObjectInfo, OpenedSubAccount, PartInfo,
    PutCondition, Result, ScrubReport, Search, SearchPage, Status, Stored, SubAccountRef, SubAccountSpace,
    SubAccountView, UploadInfo, UserSpace, Violation, loops,
};
