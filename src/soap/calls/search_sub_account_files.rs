//! 7.7 子账户文件检索: a page of the files of a range of dates.

use super::{Call, From, Operation};
use crate::domain::{Lock, Media};
use crate::engine::{self, Engine, FoundFile, Search, SearchPage};
use crate::soap::credentials::SubAccountLogin;
use crate::wire::china_time::{self, Edge};
use crate::wire::soap::{BadField, Fields, Value};

/// What callers of the drafts before 2014-03-28 mean, who send no PageSize.
const PAGE_SIZE_OF_OLD_CALLERS: i32 = 20;

#[derive(Debug)]
pub(super) struct SearchSubAccountFiles {
    login: SubAccountLogin,
    search: Search,
}

impl Call for SearchSubAccountFiles {
    const OPERATION: Operation = Operation::SearchSubAccountFiles;
    type Outcome = SearchPage;

    fn read(fields: &Fields, zone_minutes: i32) -> Result<Self, BadField> {
        let number = |name, absent| {
            let number = fields.optional_int(name, 1..=i32::MAX)?.unwrap_or(absent);
            u64::try_from(number).map_err(|_| BadField { name, what: "is out of range" })
        };
        let media = match fields.optional_int("Type", 0..=1)? {
            Some(1) => Media::Picture,
            Some(_) | None => Media::Recording,
        };
        let search = Search {
            media,
            from: fields.date("StartDateTime", Edge::Start, zone_minutes)?,
            to: fields.date("EndDateTime", Edge::End, zone_minutes)?,
            page: number("PageNo", 1)?,
            page_size: number("PageSize", PAGE_SIZE_OF_OLD_CALLERS)?,
        };
        Ok(Self { login: SubAccountLogin::read(fields)?, search })
    }

    async fn run(&self, engine: &Engine, from: From) -> engine::Result<SearchPage> {
        let (caller, sub_account) = self.login.sign_in(engine, from).await?;
        engine.search_sub_account_files(&caller, &sub_account, self.search).await
    }

    fn answer(outcome: Option<&SearchPage>, zone_minutes: i32) -> Vec<(&'static str, Value)> {
        // An xs:int; a sub-account of more files than that does not fit on the disks of one box.
        let total = outcome.map_or(0, |page| i32::try_from(page.total).unwrap_or(i32::MAX));
        let files = outcome.map(|page| page.files.as_slice()).unwrap_or_default();
        let rows = files.iter().map(|file| row(file, zone_minutes)).collect();
        vec![("TotalFileNum", Value::Int(i64::from(total))), ("FileInfoList", Value::List { item: "FileInfo", rows })]
    }

    fn target(&self, _outcome: Option<&SearchPage>) -> String {
        let what = match self.search.media {
            Media::Recording => "recordings",
            Media::Picture => "pictures",
        };
        format!("{} {what}, page {} of {} files", self.login.target(), self.search.page, self.search.page_size)
    }
}

fn row(file: &FoundFile, zone_minutes: i32) -> Vec<(&'static str, Value)> {
    let lock = match file.info.lock {
        Lock::Open => 0,
        Lock::Locked => 1,
    };
    vec![
        ("FileName", Value::Text(file.info.key.as_str().to_owned())),
        ("FileSize", Value::Int(i64::try_from(file.info.size.kilobytes_ceil()).unwrap_or(i64::MAX))),
        ("FileDate", Value::Text(china_time::format(file.info.created.seconds(), zone_minutes))),
        ("FileUrl", Value::Text(file.url.clone())),
        ("LockFlag", Value::Int(lock)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Bytes, ETag, ObjectId, Timestamp};
    use crate::engine::ObjectInfo;
    use crate::soap::calls::tests::{bad, from_fields, golden, read};

    fn file(key: &str, size: u64, millis: i64, lock: Lock) -> FoundFile {
        let info = ObjectInfo {
            key: key.parse().expect("a key"),
            id: ObjectId::new(1),
            size: Bytes::new(size),
            created: Timestamp::from_millis(millis),
            etag: ETag { md5: [0; 16], parts: 0 },
            lock,
        };
        FoundFile { info, url: "http://10.1.2.3:9000/b/k?a=1&b=2".to_owned() }
    }

    #[test]
    fn the_pairs_of_messages_are_read_and_written_byte_for_byte() {
        let call: SearchSubAccountFiles =
            read(include_bytes!("../../../tests/data/soap/SearchSubAccountFiles/request.xml"));
        assert!(call.login.is("jiangsu", "s3cret&<>", "AK0123456789", "SK0123456789abcdef"));
        assert_eq!(call.search.media, Media::Picture);
        // 2014-03-28 00:00:00 and 2014-03-28 23:59:59, China Standard Time.
        assert_eq!((call.search.from, call.search.to), (Some(1_395_936_000), Some(1_396_022_399)));
        assert_eq!((call.search.page, call.search.page_size), (2, 50));
        let page = SearchPage {
            total: 52,
            files: vec![
                file("2014/录像 1&2.mp4", 1025, 1_395_981_296_999, Lock::Locked),
                file("a<b>\r\n\tc", 0, 1_395_936_000_000, Lock::Open),
            ],
        };
        golden::<SearchSubAccountFiles>(
            0,
            Some(&page),
            include_bytes!("../../../tests/data/soap/SearchSubAccountFiles/ok.xml"),
        );
        golden::<SearchSubAccountFiles>(
            4,
            None,
            include_bytes!("../../../tests/data/soap/SearchSubAccountFiles/result-4.xml"),
        );
    }

    #[test]
    fn old_callers_get_what_they_mean() {
        let search = from_fields::<SearchSubAccountFiles>("").search;
        assert_eq!((search.page, search.page_size, search.media), (1, 20, Media::Recording));
        assert_eq!((search.from, search.to), (None, None));
    }

    #[test]
    fn an_empty_or_impossible_number_is_a_fault() {
        for (inside, name) in [
            ("<PageNo/>", "PageNo"),
            ("<PageNo>0</PageNo>", "PageNo"),
            ("<PageSize> </PageSize>", "PageSize"),
            ("<PageSize>-1</PageSize>", "PageSize"),
            ("<Type>2</Type>", "Type"),
            ("<Type></Type>", "Type"),
            ("<StartDateTime>2014-02-29</StartDateTime>", "StartDateTime"),
            ("<EndDateTime>now</EndDateTime>", "EndDateTime"),
            ("<EndDateTime/><EndDateTime/>", "EndDateTime"),
        ] {
            assert_eq!(bad::<SearchSubAccountFiles>(inside).name, name, "{inside}");
        }
        assert_eq!(
            from_fields::<SearchSubAccountFiles>("<PageSize>2147483647</PageSize>").search.page_size,
            2_147_483_647
        );
    }
}
