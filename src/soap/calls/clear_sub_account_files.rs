//! 7.9 一键全部清除: deletes every file that is not locked.

use super::{Call, From, Operation};
use crate::engine::{self, Engine};
use crate::soap::credentials::SubAccountLogin;
use crate::wire::soap::{BadField, Fields, Value};

#[derive(Debug)]
pub(super) struct ClearSubAccountFiles {
    login: SubAccountLogin,
}

impl Call for ClearSubAccountFiles {
    const OPERATION: Operation = Operation::ClearSubAccountFiles;
    type Outcome = ();

    fn read(fields: &Fields, _zone_minutes: i32) -> Result<Self, BadField> {
        Ok(Self { login: SubAccountLogin::read(fields)? })
    }

    async fn run(&self, engine: &Engine, from: From) -> engine::Result<()> {
        let (caller, sub_account) = self.login.sign_in(engine, from).await?;
        engine.clear_sub_account_files(&caller, &sub_account).await
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
        let call: ClearSubAccountFiles =
            read(include_bytes!("../../../tests/data/soap/ClearSubAccountFiles/request.xml"));
        assert!(call.login.is("jiangsu", "s3cret&<>", "AK0123456789", "SK0123456789abcdef"));
        golden::<ClearSubAccountFiles>(
            0,
            Some(&()),
            include_bytes!("../../../tests/data/soap/ClearSubAccountFiles/ok.xml"),
        );
        golden::<ClearSubAccountFiles>(
            5,
            None,
            include_bytes!("../../../tests/data/soap/ClearSubAccountFiles/result-5.xml"),
        );
        golden::<ClearSubAccountFiles>(
            6,
            None,
            include_bytes!("../../../tests/data/soap/ClearSubAccountFiles/result-6.xml"),
        );
    }
}
