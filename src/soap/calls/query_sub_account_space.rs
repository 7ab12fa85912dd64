//! 7.4 子账户空间查询: what a sub-account was granted, and what is left of it, rounded down.

use super::{Call, From, Operation, gb};
use crate::engine::{self, Engine, SubAccountSpace};
use crate::soap::credentials::SubAccountLogin;
use crate::wire::soap::{BadField, Fields, Value};

#[derive(Debug)]
pub(super) struct QuerySubAccountSpace {
    login: SubAccountLogin,
}

impl Call for QuerySubAccountSpace {
    const OPERATION: Operation = Operation::QuerySubAccountSpace;
    type Outcome = SubAccountSpace;

    fn read(fields: &Fields, _zone_minutes: i32) -> Result<Self, BadField> {
        Ok(Self { login: SubAccountLogin::read(fields)? })
    }

    async fn run(&self, engine: &Engine, from: From) -> engine::Result<SubAccountSpace> {
        let (caller, sub_account) = self.login.sign_in(engine, from).await?;
        engine.query_sub_account_space(&caller, &sub_account).await
    }

    fn answer(outcome: Option<&SubAccountSpace>, _zone_minutes: i32) -> Vec<(&'static str, Value)> {
        vec![("TotalSpace", gb(outcome.map(|space| space.total))), ("FreeSpace", gb(outcome.map(|space| space.free)))]
    }

    fn target(&self, _outcome: Option<&SubAccountSpace>) -> String {
        self.login.target()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Gigabytes;
    use crate::soap::calls::tests::{golden, read};

    #[test]
    fn the_pairs_of_messages_are_read_and_written_byte_for_byte() {
        let call: QuerySubAccountSpace =
            read(include_bytes!("../../../tests/data/soap/QuerySubAccountSpace/request.xml"));
        assert!(call.login.is("jiangsu", "s3cret&<>", "AK0123456789", "SK0123456789abcdef"));
        let gb = |n| Gigabytes::new(n).expect("an int");
        let space = SubAccountSpace { total: gb(20), free: gb(0) };
        golden::<QuerySubAccountSpace>(
            0,
            Some(&space),
            include_bytes!("../../../tests/data/soap/QuerySubAccountSpace/ok.xml"),
        );
        golden::<QuerySubAccountSpace>(
            3,
            None,
            include_bytes!("../../../tests/data/soap/QuerySubAccountSpace/result-3.xml"),
        );
    }
}
