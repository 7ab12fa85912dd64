//! Scaffold: the signatures of the use cases, so that the planes can be written beside them.
#![expect(unused_variables, reason = "scaffold")]

use std::ops::Range;

use bytes::Bytes as Buf;
use futures_util::Stream;

#[expect(clippy::wildcard_imports, reason = "scaffold")]
use super::types::*;
#[expect(clippy::wildcard_imports, reason = "scaffold")]
use crate::domain::*;

#[derive(Clone)]
pub struct Engine;
pub struct Upload;
pub struct ObjectReader {
    pub info: ObjectInfo,
    pub metadata: Metadata,
    pub checksum: Option<Checksum>,
    /// Size of each part of a multipart object, in order; empty for an object put whole.
    pub parts: Vec<u64>,
}

impl Engine {
    // --- who calls ---
    /// `None`: unknown key.
    pub fn credential(&self, key: &str) -> Result<Option<Credential>> {
        Err(Error::Busy("stub"))
    }
    /// 7.x results 1 and 2.
    pub fn sign_in(&self, account: &str, password: &str) -> Result<Caller> {
        Err(Error::Busy("stub"))
    }
    /// Writes to the audit log; does not wait for it.
    pub fn audit(&self, entry: AuditEntry) {}
    pub fn now(&self) -> Timestamp {
        Timestamp::default()
    }
    /// 16 random hex digits.
    pub fn request_id(&self) -> String {
        String::new()
    }

    // --- section 7 ---
    pub async fn query_user_space(&self, caller: &Caller) -> Result<UserSpace> {
        Err(Error::Busy("stub"))
    }
    pub async fn open_sub_account(&self, caller: &Caller, space: Gigabytes) -> Result<OpenedSubAccount> {
        Err(Error::Busy("stub"))
    }
    /// Results 3 and 4.
    pub fn sub_account(&self, caller: &Caller, ak: &str, sk: &str) -> Result<SubAccountRef> {
        Err(Error::Busy("stub"))
    }
    pub async fn close_sub_account(&self, caller: &Caller, sub: &SubAccountRef) -> Result<()> {
        Err(Error::Busy("stub"))
    }
    pub async fn query_sub_account_space(&self, caller: &Caller, sub: &SubAccountRef) -> Result<SubAccountSpace> {
        Err(Error::Busy("stub"))
    }
    pub async fn modify_sub_account_space(&self, caller: &Caller, sub: &SubAccountRef, space: Gigabytes) -> Result<()> {
        Err(Error::Busy("stub"))
    }
    pub async fn set_sub_account_space_policy(
        &self,
        caller: &Caller,
        sub: &SubAccountRef,
        at_the_end: AtTheEnd,
    ) -> Result<()> {
        Err(Error::Busy("stub"))
    }
    pub async fn search_sub_account_files(
        &self,
        caller: &Caller,
        sub: &SubAccountRef,
        search: Search,
    ) -> Result<SearchPage> {
        Err(Error::Busy("stub"))
    }
    /// `name` as it was sent; the engine looks it up so, then with outer white space cut, in both buckets.
    pub async fn lock_sub_account_file(
        &self,
        caller: &Caller,
        sub: &SubAccountRef,
        name: &str,
        lock: Lock,
    ) -> Result<()> {
        Err(Error::Busy("stub"))
    }
    pub async fn clear_sub_account_files(&self, caller: &Caller, sub: &SubAccountRef) -> Result<()> {
        Err(Error::Busy("stub"))
    }

    // --- buckets and objects ---
    pub fn buckets(&self, caller: &Caller) -> Result<Vec<BucketRef>> {
        Err(Error::Busy("stub"))
    }
    /// `NoBucket`, `Forbidden`.
    pub fn bucket(&self, caller: &Caller, name: &str) -> Result<BucketRef> {
        Err(Error::Busy("stub"))
    }
    pub async fn list(&self, caller: &Caller, bucket: &BucketRef, query: ListQuery) -> Result<ListPage> {
        Err(Error::Busy("stub"))
    }
    /// `NoFile`. Holds the object's bytes until dropped, whatever is deleted meanwhile.
    pub async fn open(&self, caller: &Caller, bucket: &BucketRef, key: &ObjectKey) -> Result<ObjectReader> {
        Err(Error::Busy("stub"))
    }
    pub async fn delete(&self, caller: &Caller, bucket: &BucketRef, key: &ObjectKey) -> Result<()> {
        Err(Error::Busy("stub"))
    }
    /// Admission: everything that can be refused before the body is read is refused here.
    pub async fn put(&self, caller: &Caller, bucket: &BucketRef, new: NewObject) -> Result<Upload> {
        Err(Error::Busy("stub"))
    }
    pub async fn create_multipart(&self, caller: &Caller, bucket: &BucketRef, new: NewObject) -> Result<UploadId> {
        Err(Error::Busy("stub"))
    }
    pub async fn put_part(
        &self,
        caller: &Caller,
        bucket: &BucketRef,
        key: &ObjectKey,
        upload: UploadId,
        part: u16,
        length: Option<u64>,
    ) -> Result<Upload> {
        Err(Error::Busy("stub"))
    }
    /// `parts`: number and tag as the client sent it (quotation marks cut).
    pub async fn complete_multipart(
        &self,
        caller: &Caller,
        bucket: &BucketRef,
        key: &ObjectKey,
        upload: UploadId,
        parts: Vec<(u16, String)>,
        condition: PutCondition,
    ) -> Result<Stored> {
        Err(Error::Busy("stub"))
    }
    pub async fn abort_multipart(
        &self,
        caller: &Caller,
        bucket: &BucketRef,
        key: &ObjectKey,
        upload: UploadId,
    ) -> Result<()> {
        Err(Error::Busy("stub"))
    }
    /// Parts after number `after`, at most `max`; the flag says whether there are more.
    pub async fn list_parts(
        &self,
        caller: &Caller,
        bucket: &BucketRef,
        key: &ObjectKey,
        upload: UploadId,
        after: u16,
        max: usize,
    ) -> Result<(Vec<PartInfo>, bool)> {
        Err(Error::Busy("stub"))
    }
    /// All uploads of a bucket whose keys begin with `prefix`, by key, then by id.
    pub async fn list_multipart(&self, caller: &Caller, bucket: &BucketRef, prefix: &str) -> Result<Vec<UploadInfo>> {
        Err(Error::Busy("stub"))
    }

    // --- operations staff ---
    pub async fn open_account(&self, caller: &Caller, new: NewAccount) -> Result<(AccountView, Secret)> {
        Err(Error::Busy("stub"))
    }
    pub async fn accounts(&self, caller: &Caller) -> Result<Vec<AccountView>> {
        Err(Error::Busy("stub"))
    }
    pub async fn account(&self, caller: &Caller, name: &AccountName) -> Result<AccountView> {
        Err(Error::Busy("stub"))
    }
    pub async fn modify_account(
        &self,
        caller: &Caller,
        name: &AccountName,
        changes: AccountChanges,
    ) -> Result<AccountView> {
        Err(Error::Busy("stub"))
    }
    /// Closes all its sub-accounts, then the account.
    pub async fn close_account(&self, caller: &Caller, name: &AccountName) -> Result<()> {
        Err(Error::Busy("stub"))
    }
    /// The administration key; made at the first call, the same ever after.
    pub async fn account_key(&self, caller: &Caller, name: &AccountName) -> Result<(AccessKey, Secret)> {
        Err(Error::Busy("stub"))
    }
    pub async fn sub_accounts(&self, caller: &Caller, name: &AccountName) -> Result<Vec<SubAccountView>> {
        Err(Error::Busy("stub"))
    }
    pub async fn sub_account_view(&self, caller: &Caller, ak: &str) -> Result<SubAccountView> {
        Err(Error::Busy("stub"))
    }
    /// Newest first.
    pub async fn alerts(&self, caller: &Caller, most: usize) -> Result<Vec<AlertView>> {
        Err(Error::Busy("stub"))
    }
    /// Sends a pending or given-up alert now.
    pub async fn resend_alert(&self, caller: &Caller, id: u64) -> Result<()> {
        Err(Error::Busy("stub"))
    }
    pub async fn status(&self, caller: &Caller) -> Result<Status> {
        Err(Error::Busy("stub"))
    }
    pub async fn audit_log(&self, caller: &Caller, most: usize) -> Result<Vec<(Timestamp, AuditEntry)>> {
        Err(Error::Busy("stub"))
    }
    pub async fn check(&self, caller: &Caller) -> Result<CheckReport> {
        Err(Error::Busy("stub"))
    }
    pub async fn scrub(&self, caller: &Caller) -> Result<ScrubReport> {
        Err(Error::Busy("stub"))
    }
}

impl Upload {
    /// More bytes of the payload. An error ends the upload; dropping it gives everything back.
    pub async fn write(&mut self, data: Buf) -> Result<()> {
        Err(Error::Busy("stub"))
    }
    /// Commits. Goes on to its end even where the returned future is dropped.
    pub async fn finish(self, finish: Finish) -> Result<Stored> {
        Err(Error::Busy("stub"))
    }
}

impl ObjectReader {
    /// The bytes of `range` (within the object), verified block by block; a damaged block ends the stream with an error.
    pub fn read(self, range: Range<u64>) -> impl Stream<Item = Result<Buf>> + Send + 'static {
        futures_util::stream::iter([Err(Error::Busy("stub"))])
    }
}
