//! 7.6 子账户空间管理策略: what happens at the end of the space.

use super::{Call, From, Operation};
use crate::domain::space::AtTheEnd;
use crate::engine::{self, Engine};
use crate::soap::credentials::SubAccountLogin;
use crate::wire::soap::{BadField, Fields, Value};

#[derive(Debug)]
pub(super) struct SetSubAccountSpacePolicy {
    login: SubAccountLogin,
    at_the_end: AtTheEnd,
}

impl Call for SetSubAccountSpacePolicy {
    const OPERATION: Operation = Operation::SetSubAccountSpacePolicy;
    type Outcome = ();

    fn read(fields: &Fields, _zone_minutes: i32) -> Result<Self, BadField> {
        let at_the_end = if fields.int("SpaceLoop", 0..=1)? == 1 { AtTheEnd::Overwrite } else { AtTheEnd::Stop };
        Ok(Self { login: SubAccountLogin::read(fields)?, at_the_end })
    }

    async fn run(&self, engine: &Engine, from: From) -> engine::Result<()> {
        let (caller, sub_account) = self.login.sign_in(engine, from).await?;
        engine.set_sub_account_space_policy(&caller, &sub_account, self.at_the_end).await
    }

    fn answer(_outcome: Option<&()>, _zone_minutes: i32) -> Vec<(&'static str, Value)> {
        Vec::new()
    }

    fn target(&self, _outcome: Option<&()>) -> String {
        let word = match self.at_the_end {
            AtTheEnd::Stop => "stop",
            AtTheEnd::Overwrite => "overwrite",
        };
        format!("{} to {word}", self.login.target())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soap::calls::tests::{bad, golden, read};

    #[test]
    fn the_pairs_of_messages_are_read_and_written_byte_for_byte() {
        let call: SetSubAccountSpacePolicy =
            read(include_bytes!("../../../tests/data/soap/SetSubAccountSpacePolicy/request.xml"));
        assert!(call.login.is("jiangsu", "s3cret&<>", "AK0123456789", "SK0123456789abcdef"));
        assert_eq!(call.at_the_end, AtTheEnd::Overwrite);
        golden::<SetSubAccountSpacePolicy>(
            0,
            Some(&()),
            include_bytes!("../../../tests/data/soap/SetSubAccountSpacePolicy/ok.xml"),
        );
        golden::<SetSubAccountSpacePolicy>(
            2,
            None,
            include_bytes!("../../../tests/data/soap/SetSubAccountSpacePolicy/result-2.xml"),
        );
    }

    #[test]
    fn the_flag_is_0_or_1() {
        for flag in ["<SpaceLoop>2</SpaceLoop>", "<SpaceLoop>true</SpaceLoop>", "<SpaceLoop/>", ""] {
            assert_eq!(bad::<SetSubAccountSpacePolicy>(flag).name, "SpaceLoop", "{flag}");
        }
    }
}
