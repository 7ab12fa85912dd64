//! 7.3 子账户注销: revokes the key pair and deletes every file.

use super::{Call, From, Operation};
use crate::engine::{self, Engine};
use crate::soap::credentials::SubAccountLogin;
use crate::wire::soap::{BadField, Fields, Value};

#[derive(Debug)]
pub(super) struct CloseSubAccount {
    login: SubAccountLogin,
}

impl Call for CloseSubAccount {
    const OPERATION: Operation = Operation::CloseSubAccount;
    type Outcome = ();

    fn read(fields: &Fields, _zone_minutes: i32) -> Result<Self, BadField> {
        Ok(Self { login: SubAccountLogin::read(fields)? })
    }

    async fn run(&self, engine: &Engine, from: From) -> engine::Result<()> {
        let (caller, sub_account) = self.login.sign_in(engine, from).await?;
        engine.close_sub_account(&caller, &sub_account).await
    }

    fn answer(_outcome: Option<&()>, _zone_minutes: i32) -> Vec<(&'static str, Value)> {
        Vec::new()
    }

    fn target(&self, _outcome: Option<&()>) -> String {
        self.login.target()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soap::calls::tests::{golden, read};

    #[test]
    fn the_pairs_of_messages_are_read_and_written_byte_for_byte() {
        let call: CloseSubAccount = read(include_bytes!("../../../tests/data/soap/CloseSubAccount/request.xml"));
        assert!(call.login.is("jiangsu", "s3cret&<>", "AK0123456789", "SK0123456789abcdef"));
        golden::<CloseSubAccount>(0, Some(&()), include_bytes!("../../../tests/data/soap/CloseSubAccount/ok.xml"));
        golden::<CloseSubAccount>(4, None, include_bytes!("../../../tests/data/soap/CloseSubAccount/result-4.xml"));
    }
}
