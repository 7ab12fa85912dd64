//! 7.5 子账户空间修改: grants a sub-account another space.

use super::{Call, From, Operation, gigabytes};
use crate::domain::Gigabytes;
use crate::engine::{self, Engine};
use crate::soap::credentials::SubAccountLogin;
use crate::wire::soap::{BadField, Fields, Value};

#[derive(Debug)]
pub(super) struct ModifySubAccountSpace {
    login: SubAccountLogin,
    space: Gigabytes,
}

impl Call for ModifySubAccountSpace {
    const OPERATION: Operation = Operation::ModifySubAccountSpace;
    type Outcome = ();

    fn read(fields: &Fields, _zone_minutes: i32) -> Result<Self, BadField> {
        Ok(Self { login: SubAccountLogin::read(fields)?, space: gigabytes(fields, "NewStorageSpace")? })
    }

    async fn run(&self, engine: &Engine, from: From) -> engine::Result<()> {
        let (caller, sub_account) = self.login.sign_in(engine, from).await?;
        engine.modify_sub_account_space(&caller, &sub_account, self.space).await
    }

    fn answer(_outcome: Option<&()>, _zone_minutes: i32) -> Vec<(&'static str, Value)> {
        Vec::new()
    }

    fn target(&self, _outcome: Option<&()>) -> String {
        format!("{} to {}", self.login.target(), self.space)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soap::calls::tests::{bad, golden, read};

    #[test]
    fn the_pairs_of_messages_are_read_and_written_byte_for_byte() {
        let call: ModifySubAccountSpace =
            read(include_bytes!("../../../tests/data/soap/ModifySubAccountSpace/request.xml"));
        assert!(call.login.is("jiangsu", "s3cret&<>", "AK0123456789", "SK0123456789abcdef"));
        assert_eq!(call.space.get(), 50);
        golden::<ModifySubAccountSpace>(
            0,
            Some(&()),
            include_bytes!("../../../tests/data/soap/ModifySubAccountSpace/ok.xml"),
        );
        golden::<ModifySubAccountSpace>(
            5,
            None,
            include_bytes!("../../../tests/data/soap/ModifySubAccountSpace/result-5.xml"),
        );
    }

    #[test]
    fn the_space_is_one_gb_at_least() {
        for space in ["<NewStorageSpace>0</NewStorageSpace>", "<NewStorageSpace>2147483648</NewStorageSpace>", ""] {
            assert_eq!(bad::<ModifySubAccountSpace>(space).name, "NewStorageSpace", "{space}");
        }
    }
}
