//! Lists of S3 and the search of 7.7.

use super::{
    BucketRef, Caller, Engine, Error, FoundFile, ListPage, ListQuery, ObjectInfo, Result, Search, SearchPage,
    SubAccountRef,
};
use crate::domain::{Action, ObjectKey, Refusal, limits};
use crate::store::index::bucket_of;
use crate::store::index::rows::ObjectRow;
use crate::wire::sig::{PresignGet, presign_get};

/// What a list tells of a row.
pub(super) fn info(key: ObjectKey, row: &ObjectRow) -> ObjectInfo {
    ObjectInfo { key, id: row.id, size: row.size, created: row.created, etag: row.etag, lock: row.lock }
}

impl Engine {
    /// A page of a bucket's list.
    pub async fn list(&self, caller: &Caller, bucket: &BucketRef, query: ListQuery) -> Result<ListPage> {
        let _ = caller;
        let query = ListQuery { max: query.max.min(limits::LIST_KEYS_MAX), ..query };
        let page = self.inner.store.view()?.list(bucket.id, &query)?;
        Ok(ListPage {
            objects: page.objects.into_iter().map(|(key, row)| info(key, &row)).collect(),
            prefixes: page.prefixes,
            next: page.next,
        })
    }

    /// 7.7: a page of the files of a time range, and how many there are.
    pub async fn search_sub_account_files(
        &self,
        caller: &Caller,
        sub: &SubAccountRef,
        search: Search,
    ) -> Result<SearchPage> {
        caller.acting(Action::SeeFiles)?;
        let skip = search.page.saturating_sub(1).saturating_mul(search.page_size);
        // Far outside of what four-digit years can say, and far inside of what i64 can.
        let (from, to) = (search.from.unwrap_or(-(1 << 40)), search.to.unwrap_or(1 << 40));
        let bucket = bucket_of(sub.id, search.media);
        let view = self.inner.store.view()?;
        let (total, files) =
            view.search(bucket, from, to, skip, search.page_size.min(limits::SEARCH_PAGE_FILES_MAX))?;
        if search.page_size.min(total.saturating_sub(skip)) > limits::SEARCH_PAGE_FILES_MAX {
            return Err(Refusal::PageTooLarge.into());
        }
        let (ak, sealed, name) = {
            let catalog = self.inner.store.catalog.read();
            let row = &catalog.sub_accounts.get(&sub.id).ok_or(Refusal::NoSubAccount)?.row;
            let name = match search.media {
                crate::domain::Media::Recording => &row.record_bucket,
                crate::domain::Media::Picture => &row.picture_bucket,
            };
            (row.ak.clone(), row.sk.clone(), name.clone())
        };
        let secret = self.unseal(&super::identity::sk_context(ak.as_str()), &sealed)?;
        let config = self.config();
        let endpoint = self.urls().s3;
        let expires = u32::try_from(config.s3.presign_ttl.as_secs())
            .map_err(|_| Error::Broken("s3.presign_ttl is too long".into()))?;
        let now = self.now();
        let files = files
            .into_iter()
            .map(|(key, row)| {
                let url = presign_get(&PresignGet {
                    endpoint: &endpoint,
                    bucket: name.as_str(),
                    key: key.as_str(),
                    access_key: &ak,
                    secret: &secret,
                    region: &config.s3.region,
                    now,
                    expires,
                });
                FoundFile { info: info(key, &row), url }
            })
            .collect();
        Ok(SearchPage { total, files })
    }
}
