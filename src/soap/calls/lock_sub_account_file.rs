//! 7.8 子账户文件锁定: locks or unlocks the file of a name in both buckets.

use super::{Call, From, Operation};
use crate::domain::{Lock, Refusal};
use crate::engine::{self, Engine, Error};
use crate::soap::credentials::SubAccountLogin;
use crate::wire::soap::{BadField, Fields, Value};

#[derive(Debug)]
pub(super) struct LockSubAccountFile {
    login: SubAccountLogin,
    /// As it was sent: the engine looks it up so, then with outer white space cut.
    name: Option<String>,
    lock: Lock,
}

impl Call for LockSubAccountFile {
    const OPERATION: Operation = Operation::LockSubAccountFile;
    type Outcome = ();

    fn read(fields: &Fields, _zone_minutes: i32) -> Result<Self, BadField> {
        // Callers of the drafts before 2014-03-28 could only lock.
        let lock = match fields.optional_int("LockFlag", 0..=1)? {
            Some(0) => Lock::Open,
            Some(_) | None => Lock::Locked,
        };
        Ok(Self { login: SubAccountLogin::read(fields)?, name: fields.raw("FileName")?.map(str::to_owned), lock })
    }

    async fn run(&self, engine: &Engine, from: From) -> engine::Result<()> {
        let (caller, sub_account) = self.login.sign_in(engine, from).await?;
        let name = self.name.as_deref().ok_or(Error::Refused(Refusal::NoFile))?;
        engine.lock_sub_account_file(&caller, &sub_account, name, self.lock).await
    }

    fn answer(_outcome: Option<&()>, _zone_minutes: i32) -> Vec<(&'static str, Value)> {
        Vec::new()
    }

    fn target(&self, _outcome: Option<&()>) -> String {
        let verb = match self.lock {
            Lock::Open => "unlock",
            Lock::Locked => "lock",
        };
        let name: String = self.name.as_deref().unwrap_or_default().chars().take(1024).collect();
        format!("{} {verb} {name}", self.login.target())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soap::calls::tests::{bad, from_fields, golden, read};

    #[test]
    fn the_pairs_of_messages_are_read_and_written_byte_for_byte() {
        let call: LockSubAccountFile = read(include_bytes!("../../../tests/data/soap/LockSubAccountFile/request.xml"));
        assert!(call.login.is("jiangsu", "s3cret&<>", "AK0123456789", "SK0123456789abcdef"));
        assert_eq!((call.name.as_deref(), call.lock), (Some(" 2014/录像 1&2.mp4"), Lock::Open));
        golden::<LockSubAccountFile>(
            0,
            Some(&()),
            include_bytes!("../../../tests/data/soap/LockSubAccountFile/ok.xml"),
        );
        golden::<LockSubAccountFile>(
            5,
            None,
            include_bytes!("../../../tests/data/soap/LockSubAccountFile/result-5.xml"),
        );
    }

    #[test]
    fn old_callers_can_only_lock() {
        assert_eq!(from_fields::<LockSubAccountFile>("<FileName>a</FileName>").lock, Lock::Locked);
        for flag in ["<LockFlag>2</LockFlag>", "<LockFlag/>", "<LockFlag>-1</LockFlag>"] {
            assert_eq!(bad::<LockSubAccountFile>(flag).name, "LockFlag", "{flag}");
        }
    }

    #[test]
    fn a_name_that_is_missing_is_no_fault() {
        for inside in ["", "<FileName/>", "<FileName></FileName>"] {
            assert_eq!(from_fields::<LockSubAccountFile>(inside).name, None, "{inside}");
        }
        assert_eq!(bad::<LockSubAccountFile>("<FileName><b/></FileName>").name, "FileName");
    }
}
