//! 7.2 子账户开户申请: opens a sub-account and hands out its key pair and buckets.

use super::{Call, From, Operation, gigabytes};
use crate::domain::Gigabytes;
use crate::engine::{self, Engine, OpenedSubAccount};
use crate::soap::credentials::AccountLogin;
use crate::wire::soap::{BadField, Fields, Value};

#[derive(Debug)]
pub(super) struct OpenSubAccount {
    login: AccountLogin,
    space: Gigabytes,
}

impl Call for OpenSubAccount {
    const OPERATION: Operation = Operation::OpenSubAccount;
    type Outcome = OpenedSubAccount;

    fn read(fields: &Fields, _zone_minutes: i32) -> Result<Self, BadField> {
        Ok(Self { login: AccountLogin::read(fields)?, space: gigabytes(fields, "StorageSpace")? })
    }

    async fn run(&self, engine: &Engine, from: From) -> engine::Result<OpenedSubAccount> {
        let caller = self.login.sign_in(engine, from).await?;
        engine.open_sub_account(&caller, self.space).await
    }

    fn answer(outcome: Option<&OpenedSubAccount>, _zone_minutes: i32) -> Vec<(&'static str, Value)> {
        let text = |of: fn(&OpenedSubAccount) -> &str| Value::Text(outcome.map_or("", of).to_owned());
        vec![
            ("S3AK", text(|opened| opened.access_key.as_str())),
            ("S3SK", text(|opened| opened.secret.expose())),
            ("S3URL", text(|opened| &opened.s3_url)),
            ("S3RecordBucket", text(|opened| opened.record_bucket.as_str())),
            ("S3PictureBucket", text(|opened| opened.picture_bucket.as_str())),
        ]
    }

    fn target(&self, outcome: Option<&OpenedSubAccount>) -> String {
        match outcome {
            Some(opened) => format!("{} of {}", opened.access_key, self.space),
            None => self.space.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Secret;
    use crate::soap::calls::tests::{bad, golden, read};

    #[test]
    fn the_pairs_of_messages_are_read_and_written_byte_for_byte() {
        let call: OpenSubAccount = read(include_bytes!("../../../tests/data/soap/OpenSubAccount/request.xml"));
        assert!(call.login.is("jiangsu", "s3cret&<>"));
        assert_eq!(call.space.get(), 20);
        let opened = OpenedSubAccount {
            access_key: "AK0123456789".parse().expect("a key"),
            secret: Secret::new("SK0123456789abcdef"),
            s3_url: "http://10.1.2.3:9000".to_owned(),
            record_bucket: "rec-ak0123456789".parse().expect("a bucket"),
            picture_bucket: "pic-ak0123456789".parse().expect("a bucket"),
        };
        golden::<OpenSubAccount>(0, Some(&opened), include_bytes!("../../../tests/data/soap/OpenSubAccount/ok.xml"));
        golden::<OpenSubAccount>(3, None, include_bytes!("../../../tests/data/soap/OpenSubAccount/result-3.xml"));
        assert!(!call.target(Some(&opened)).contains("SK0123456789abcdef"), "the audit log has no secret");
    }

    #[test]
    fn the_space_is_one_gb_at_least() {
        for space in ["<StorageSpace>0</StorageSpace>", "<StorageSpace>-1</StorageSpace>", "<StorageSpace/>", ""] {
            assert_eq!(bad::<OpenSubAccount>(space).name, "StorageSpace", "{space}");
        }
    }
}
