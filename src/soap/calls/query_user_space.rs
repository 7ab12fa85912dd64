//! 7.1 用户空间查询: the account's total space, and what it has left to hand out.

use super::{Call, From, Operation, gb};
use crate::engine::{self, Engine, UserSpace};
use crate::soap::credentials::AccountLogin;
use crate::wire::soap::{BadField, Fields, Value};

#[derive(Debug)]
pub(super) struct QueryUserSpace {
    login: AccountLogin,
}

impl Call for QueryUserSpace {
    const OPERATION: Operation = Operation::QueryUserSpace;
    type Outcome = UserSpace;

    fn read(fields: &Fields, _zone_minutes: i32) -> Result<Self, BadField> {
        Ok(Self { login: AccountLogin::read(fields)? })
    }

    async fn run(&self, engine: &Engine, from: From) -> engine::Result<UserSpace> {
        let caller = self.login.sign_in(engine, from).await?;
        engine.query_user_space(&caller).await
    }

    fn answer(outcome: Option<&UserSpace>, _zone_minutes: i32) -> Vec<(&'static str, Value)> {
        vec![("TotalSpace", gb(outcome.map(|space| space.total))), ("FreeSpace", gb(outcome.map(|space| space.free)))]
    }

    fn target(&self, _outcome: Option<&UserSpace>) -> String {
        String::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Gigabytes;
    use crate::soap::calls::tests::{golden, read};

    #[test]
    fn the_pairs_of_messages_are_read_and_written_byte_for_byte() {
        let call: QueryUserSpace = read(include_bytes!("../../../tests/data/soap/QueryUserSpace/request.xml"));
        assert!(call.login.is("jiangsu", "s3cret&<>"));
        let gb = |n| Gigabytes::new(n).expect("an int");
        let space = UserSpace { total: gb(100), free: gb(98) };
        golden::<QueryUserSpace>(0, Some(&space), include_bytes!("../../../tests/data/soap/QueryUserSpace/ok.xml"));
        golden::<QueryUserSpace>(1, None, include_bytes!("../../../tests/data/soap/QueryUserSpace/result-1.xml"));
    }
}
