//! The nine operations, a file each: what is read, what is done, what is answered.

mod clear_sub_account_files;
mod close_sub_account;
mod lock_sub_account_file;
mod modify_sub_account_space;
mod open_sub_account;
mod query_sub_account_space;
mod query_user_space;
mod search_sub_account_files;
mod set_sub_account_space_policy;

use std::future::Future;
use std::net::IpAddr;

use super::front::{FAULT, Origin, Reply, UNREAD};
use super::result::{Told, told};
use crate::domain::Gigabytes;
use crate::engine::{self, AuditEntry, Engine, Error};
use crate::telemetry::Answered;
use crate::wire::soap::{BadField, Fault, Fields, Request, STORAGE_NAMESPACE, Value, Version, write};

/// What the platform can ask for. Section 7.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// 7.1
    QueryUserSpace,
    /// 7.2
    OpenSubAccount,
    /// 7.3
    CloseSubAccount,
    /// 7.4
    QuerySubAccountSpace,
    /// 7.5
    ModifySubAccountSpace,
    /// 7.6
    SetSubAccountSpacePolicy,
    /// 7.7
    SearchSubAccountFiles,
    /// 7.8
    LockSubAccountFile,
    /// 7.9
    ClearSubAccountFiles,
}

/// Where a call comes from: the socket's address.
pub(super) type From = Option<IpAddr>;

/// One operation: read from the fields, run on the engine, answered in the contract's order.
pub(super) trait Call: Sized + Send + Sync {
    /// Which it is.
    const OPERATION: Operation;
    /// What the engine gives.
    type Outcome: Send + Sync;
    /// Reads the fields. A credential that is missing is no error here; it has a Result.
    fn read(fields: &Fields, zone_minutes: i32) -> Result<Self, BadField>;
    /// Signs in, then does it.
    fn run(&self, engine: &Engine, from: From) -> impl Future<Output = engine::Result<Self::Outcome>> + Send;
    /// The fields after Result, in order; `0`, empty or an empty list where there is no outcome.
    fn answer(outcome: Option<&Self::Outcome>, zone_minutes: i32) -> Vec<(&'static str, Value)>;
    /// On what, for the audit log.
    fn target(&self, outcome: Option<&Self::Outcome>) -> String;
}

/// Takes one request to its operation.
pub(super) async fn take(engine: &Engine, zone_minutes: i32, request: Request, origin: Origin) -> (Reply, Answered) {
    let Some(operation) = Operation::named(&request.operation) else {
        return (Reply::Fault(Fault::client("there is no such operation")), UNREAD);
    };
    let context = Context { engine, zone_minutes, origin };
    let (reply, word) = match operation {
        Operation::QueryUserSpace => context.call::<query_user_space::QueryUserSpace>(&request).await,
        Operation::OpenSubAccount => context.call::<open_sub_account::OpenSubAccount>(&request).await,
        Operation::CloseSubAccount => context.call::<close_sub_account::CloseSubAccount>(&request).await,
        Operation::QuerySubAccountSpace => {
            context.call::<query_sub_account_space::QuerySubAccountSpace>(&request).await
        }
        Operation::ModifySubAccountSpace => {
            context.call::<modify_sub_account_space::ModifySubAccountSpace>(&request).await
        }
        Operation::SetSubAccountSpacePolicy => {
            context.call::<set_sub_account_space_policy::SetSubAccountSpacePolicy>(&request).await
        }
        Operation::SearchSubAccountFiles => {
            context.call::<search_sub_account_files::SearchSubAccountFiles>(&request).await
        }
        Operation::LockSubAccountFile => context.call::<lock_sub_account_file::LockSubAccountFile>(&request).await,
        Operation::ClearSubAccountFiles => {
            context.call::<clear_sub_account_files::ClearSubAccountFiles>(&request).await
        }
    };
    let outcome = match &reply {
        Reply::Answer(_) => OUTCOMES.iter().find(|number| **number == word).copied().unwrap_or_default(),
        Reply::Fault(_) => FAULT,
        Reply::Busy => BUSY,
    };
    (reply, Answered { operation: operation.name(), outcome, refused: outcome != "0" })
}

/// What HTTP 503 is counted as.
const BUSY: &str = "busy";
/// What can come of a call: the Results of section 7, and what is none.
pub(super) const OUTCOMES: &[&str] = &["0", "1", "2", "3", "4", "5", "6", FAULT, BUSY];

struct Context<'a> {
    engine: &'a Engine,
    zone_minutes: i32,
    origin: Origin,
}

impl Context<'_> {
    /// Does it; the word is that of the audit log.
    async fn call<C: Call>(self, request: &Request) -> (Reply, String) {
        let call = match C::read(&request.fields, self.zone_minutes) {
            Ok(call) => call,
            Err(bad) => {
                self.audit::<C>(request, String::new(), FAULT.to_owned());
                return (Reply::Fault(Fault::client(bad.to_string())), FAULT.to_owned());
            }
        };
        let outcome = call.run(self.engine, self.origin.peer.map(|peer| peer.ip())).await;
        let target = call.target(outcome.as_ref().ok());
        let request_id = || self.origin.request_id.map_or_else(|| self.engine.request_id(), |id| id.to_string());
        let (reply, word) = words::<C>(request.version, outcome, self.zone_minutes, request_id);
        self.audit::<C>(request, target, word.clone());
        (reply, word)
    }

    /// A line of the audit log. What no account and no key is known by is left out: a platform that
    /// mixes its fields up sends a password for a name, and an SK for an AK.
    fn audit<C: Call>(&self, request: &Request, target: String, outcome: String) {
        let account = request.fields.text("Account").ok().flatten().unwrap_or("-");
        let who = if self.engine.knows_account(account) { account } else { "-" };
        let unverified = matches!(outcome.as_str(), "1" | "2" | "3") && C::OPERATION != Operation::OpenSubAccount;
        let target = if unverified { "-".to_owned() } else { target };
        self.engine.audit(AuditEntry {
            who: who.to_owned(),
            from: self.origin.peer.map_or_else(|| "-".to_owned(), |peer| peer.to_string()),
            what: C::OPERATION.name().to_owned(),
            target,
            outcome,
        });
    }
}

/// The reply, and its word in the audit log.
fn words<C: Call>(
    version: Version,
    outcome: engine::Result<C::Outcome>,
    zone_minutes: i32,
    request_id: impl FnOnce() -> String,
) -> (Reply, String) {
    let answer =
        |result, outcome| (Reply::Answer(render::<C>(version, result, outcome, zone_minutes)), result.to_string());
    let cause = match outcome {
        Ok(outcome) => return answer(0, Some(&outcome)),
        Err(Error::Busy(_)) => return (Reply::Busy, "busy".to_owned()),
        Err(error @ Error::NoRoom) => return (Reply::Fault(Fault::server(error.to_string())), "disk full".to_owned()),
        // The contract has no number for it: a Fault of the server, in words that say what it is.
        Err(Error::Unavailable(why)) => return (Reply::Fault(Fault::server(why.to_owned())), "unavailable".to_owned()),
        Err(Error::Broken(cause)) => cause.to_string(),
        Err(Error::Refused(refusal)) => match told(C::OPERATION, &refusal) {
            Told::Result(number) => return answer(number, None),
            Told::ClientFault => return (Reply::Fault(Fault::client(refusal.to_string())), "fault".to_owned()),
            Told::Unforeseen => format!("a refusal that this operation does not know: {refusal}"),
        },
    };
    let request_id = request_id();
    tracing::error!(operation = C::OPERATION.name(), cause, "a SOAP call failed");
    (Reply::Fault(Fault::server(format!("the appliance failed; request {request_id}"))), "fault".to_owned())
}

/// The whole answer: Result, then every field of the table.
fn render<C: Call>(version: Version, result: i32, outcome: Option<&C::Outcome>, zone_minutes: i32) -> String {
    let mut fields = vec![("Result", Value::Int(i64::from(result)))];
    fields.extend(C::answer(outcome, zone_minutes));
    write::answer(version, STORAGE_NAMESPACE, &format!("{}Response", C::OPERATION.name()), &fields)
}

/// A space in GB, 1 to 2147483647.
fn gigabytes(fields: &Fields, name: &'static str) -> Result<Gigabytes, BadField> {
    let number = fields.int(name, 1..=i32::MAX)?;
    let space = u32::try_from(number).ok().and_then(Gigabytes::new);
    space.ok_or(BadField { name, what: "is out of range" })
}

fn gb(space: Option<Gigabytes>) -> Value {
    Value::Int(space.map_or(0, |space| i64::from(space.get())))
}

/// Names of all operations.
pub(super) const OPERATIONS: &[&str] = &{
    let mut names = [""; Operation::ALL.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = Operation::ALL[at].name();
        at += 1;
    }
    names
};

// === impl Operation ===

impl Operation {
    const ALL: [Self; 9] = [
        Self::QueryUserSpace,
        Self::OpenSubAccount,
        Self::CloseSubAccount,
        Self::QuerySubAccountSpace,
        Self::ModifySubAccountSpace,
        Self::SetSubAccountSpacePolicy,
        Self::SearchSubAccountFiles,
        Self::LockSubAccountFile,
        Self::ClearSubAccountFiles,
    ];

    /// Its name in the WSDL.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::QueryUserSpace => "QueryUserSpace",
            Self::OpenSubAccount => "OpenSubAccount",
            Self::CloseSubAccount => "CloseSubAccount",
            Self::QuerySubAccountSpace => "QuerySubAccountSpace",
            Self::ModifySubAccountSpace => "ModifySubAccountSpace",
            Self::SetSubAccountSpacePolicy => "SetSubAccountSpacePolicy",
            Self::SearchSubAccountFiles => "SearchSubAccountFiles",
            Self::LockSubAccountFile => "LockSubAccountFile",
            Self::ClearSubAccountFiles => "ClearSubAccountFiles",
        }
    }

    /// The operation of this local name; no two differ in letter case only.
    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| operation.name().eq_ignore_ascii_case(name))
    }
}

#[cfg(test)]
mod tests;
