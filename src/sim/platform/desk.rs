//! What the platform knows: accounts, the sub-accounts that it opened, what came and what it did.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use super::play::Playing;
use super::{Got, PlatformOptions, Play};
use crate::domain::Secret;
use crate::sim::client::operations::{Operation, Words};
use crate::sim::client::{ClientError, Endpoint, Exchange, OpenedSubAccount, Platform, SoapVersion};
use crate::tls::Trust;
use crate::wire::china_time;
use crate::world::Clock;

/// Older news are forgotten.
const NEWS_MAX: usize = 500;
/// Older exchanges are forgotten.
const EXCHANGES_MAX: usize = 200;
/// China.
const ZONE_MINUTES: i32 = 480;

/// What the platform knows.
pub struct Desk {
    state: Mutex<State>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) trust: Trust,
    pub(super) bytes_per_gb: u64,
    /// Where accounts are served of which nothing else is said.
    soap: Endpoint,
    /// The password of whatever account, where only that was said.
    any_password: Option<Secret>,
}

#[derive(Default)]
struct State {
    accounts: Vec<Account>,
    sub_accounts: Vec<SubAccount>,
    /// Ever: numbers are not used again.
    opened: usize,
    playing: Option<Playing>,
    calls: u64,
    news: VecDeque<News>,
    told: u64,
    exchanges: VecDeque<Arc<Kept>>,
    exchanged: u64,
}

/// An account that the platform has with the storage.
#[derive(Clone)]
pub(super) struct Account {
    pub(super) name: String,
    /// Not given: any is right.
    pub(super) password: Option<Secret>,
    pub(super) soap: Endpoint,
}

/// A sub-account, as the platform keeps it for its camera.
#[derive(Clone)]
pub struct SubAccount {
    /// 1, 2, 3 …, in the order in which they came to be known.
    pub number: usize,
    /// What people call it.
    pub name: String,
    /// The account.
    pub account: String,
    /// `S3AK`.
    pub ak: String,
    /// `S3SK`.
    pub sk: Secret,
    /// Its place in the object store; not known of one that somebody else opened.
    pub opened: Option<OpenedSubAccount>,
    /// Its space in GB, as it was last set.
    pub space: Option<u32>,
    /// Whether the oldest are overwritten, as it was last set.
    pub looping: bool,
}

/// A call of section 7 that was made.
pub(super) struct Kept {
    pub(super) number: u64,
    pub(super) at: String,
    pub(super) operation: &'static Operation,
    /// What was sent.
    pub(super) fields: Vec<(String, String)>,
    /// The sub-account that it was about, where it is known.
    pub(super) sub_account: Option<usize>,
    /// What was searched for: pictures, or recordings.
    pub(super) pictures: bool,
    pub(super) exchange: Result<Exchange, String>,
}

/// What happened, for the console and for programs.
#[derive(Clone, Debug, Serialize)]
pub struct News {
    /// 1, 2, 3 …
    pub n: u64,
    /// When, in China's time.
    pub at: String,
    /// `alert`, `fill`, `play`, `call`.
    pub kind: &'static str,
    /// Whether it is as it should be.
    pub good: bool,
    /// What happened, in Chinese.
    pub zh: String,
    /// And in English.
    pub en: String,
    /// The call, of an alert.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alert: Option<Got>,
}

/// What is known of an account and its password.
pub(super) enum Known {
    Yes,
    NoAccount,
    WrongPassword,
}

impl Desk {
    /// With the account of the options, if there is one.
    ///
    /// # Errors
    ///
    /// A URL that is none, or a file of roots that cannot be read.
    pub(super) fn new(options: &PlatformOptions, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let soap = Endpoint::parse(&options.soap)?.or_path("/services/VideoCloudStorage");
        let password = options.password.as_deref().map(Secret::new);
        let account =
            options.account.clone().map(|name| Account { name, password: password.clone(), soap: soap.clone() });
        let any_password = if account.is_none() { password } else { None };
        let playing = Some(Playing::new(options.play, options.first));
        let state = State { accounts: account.into_iter().collect(), playing, ..State::default() };
        let (trust, bytes_per_gb) = (options.trust.trust()?, options.bytes_per_gb);
        Ok(Self { state: Mutex::new(state), clock, trust, bytes_per_gb, soap, any_password })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Now, in China's time.
    pub(super) fn now(&self) -> String {
        china_time::format(self.clock.now().millis().div_euclid(1000), ZONE_MINUTES)
    }

    /// The number of a call of section 8, and what is done with it.
    pub(super) fn next_call(&self) -> (u64, Play) {
        let mut state = self.state();
        state.calls += 1;
        (state.calls, state.playing.as_mut().map_or(Play::Answer, Playing::next))
    }

    /// What is known of this account with this password.
    pub(super) fn knows(&self, account: &str, password: &str) -> Known {
        let state = self.state();
        let right = match state.accounts.iter().find(|known| known.name == account) {
            Some(known) => known.password.as_ref(),
            None if !state.accounts.is_empty() => return Known::NoAccount,
            None => self.any_password.as_ref(),
        };
        match right.is_none_or(|right| right.expose() == password) {
            true => Known::Yes,
            false => Known::WrongPassword,
        }
    }

    /// What is played now.
    pub(super) fn playing(&self) -> Play {
        self.state().playing.as_ref().map_or(Play::Answer, Playing::now)
    }

    /// Plays this from now on, for so many calls; 0 is for ever.
    pub(super) fn play(&self, play: Play, calls: u64) {
        self.state().playing = Some(Playing::new(play, calls));
        let often = if calls == 0 { String::new() } else { format!(" × {calls}") };
        self.tell(
            "play",
            play == Play::Answer,
            (format!("平台行为：{play}{often}"), format!("the platform plays {play}{often}")),
            None,
        );
    }

    /// Knows this account from now on, or its new password.
    pub fn add_account(&self, name: &str, password: Option<Secret>, soap: Option<Endpoint>) {
        let account = Account { name: name.to_owned(), password, soap: soap.unwrap_or_else(|| self.soap.clone()) };
        let mut state = self.state();
        state.accounts.retain(|known| known.name != name);
        state.accounts.push(account);
    }

    pub(super) fn accounts(&self) -> Vec<Account> {
        self.state().accounts.clone()
    }

    /// Knows this sub-account from now on; its number.
    pub fn add_sub_account(&self, sub_account: SubAccount) -> usize {
        let mut state = self.state();
        state.sub_accounts.retain(|known| known.ak != sub_account.ak);
        state.opened += 1;
        let number = state.opened;
        let name = if sub_account.name.is_empty() { format!("#{number}") } else { sub_account.name.clone() };
        state.sub_accounts.push(SubAccount { number, name, ..sub_account });
        number
    }

    pub(super) fn sub_accounts(&self) -> Vec<SubAccount> {
        self.state().sub_accounts.clone()
    }

    /// The sub-account of this number or access key.
    pub(super) fn sub_account(&self, which: &str) -> Option<SubAccount> {
        let number = which.parse::<usize>().ok();
        self.state().sub_accounts.iter().find(|known| Some(known.number) == number || known.ak == which).cloned()
    }

    /// Calls an operation with these fields, and learns from its answer; the exchange's number.
    pub(super) async fn call(
        &self,
        operation: &'static Operation,
        fields: &[(String, String)],
        version: SoapVersion,
    ) -> u64 {
        let field = |name: &str| fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str());
        let account = field("Account").unwrap_or_default();
        let soap = self.state().accounts.iter().find(|known| known.name == account).map(|known| known.soap.clone());
        let soap = soap.unwrap_or_else(|| self.soap.clone());
        let mut platform = Platform::new(soap, "", Secret::new(""), self.trust.clone()).speaking(version);
        let sent: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let exchange = platform.exchange(operation.name, &sent).await.map_err(|error| error.to_string());
        if let Ok(exchange) = &exchange
            && exchange.result() == Some(0)
        {
            self.learn(operation, account, &field, exchange);
        }
        let result = exchange.as_ref().map(|exchange| exchange.result());
        let (zh, en) = words(operation, &exchange);
        let said = (
            format!("{} {}：{zh}", operation.clause, operation.title),
            format!("{} {}: {en}", operation.clause, operation.name),
        );
        self.tell("call", matches!(result, Ok(Some(0))), said, None);
        let ak = field("S3AK").map(str::to_owned).or_else(|| exchange.as_ref().ok()?.fields.get("S3AK").cloned());
        let sub_account = ak.and_then(|ak| self.sub_account(&ak)).map(|known| known.number);
        let (at, pictures) = (self.now(), field("Type") == Some("1"));
        let mut state = self.state();
        state.exchanged += 1;
        let number = state.exchanged;
        let fields = fields.to_vec();
        state.exchanges.push_back(Arc::new(Kept { number, at, operation, fields, sub_account, pictures, exchange }));
        if state.exchanges.len() > EXCHANGES_MAX {
            state.exchanges.pop_front();
        }
        number
    }

    /// What a call that was done says of a sub-account.
    fn learn<'a>(
        &self,
        operation: &Operation,
        account: &str,
        field: &impl Fn(&str) -> Option<&'a str>,
        exchange: &Exchange,
    ) {
        let number = |name: &str| field(name).and_then(|text| text.trim().parse().ok());
        if operation.name == "OpenSubAccount" {
            if let Ok(opened) = OpenedSubAccount::read(exchange.fields.clone()) {
                self.add_sub_account(SubAccount::new("", account, opened, number("StorageSpace"), false));
            }
            return;
        }
        let mut state = self.state();
        let ak = field("S3AK");
        let Some(at) = state.sub_accounts.iter().position(|known| Some(known.ak.as_str()) == ak) else { return };
        match operation.name {
            "CloseSubAccount" => {
                state.sub_accounts.remove(at);
            }
            "ModifySubAccountSpace" => state.sub_accounts[at].space = number("NewStorageSpace"),
            "SetSubAccountSpacePolicy" => state.sub_accounts[at].looping = field("SpaceLoop") == Some("1"),
            _ => {}
        }
    }

    /// The exchange of this number, while it is kept.
    pub(super) fn exchange(&self, number: u64) -> Option<Arc<Kept>> {
        self.state().exchanges.iter().find(|kept| kept.number == number).cloned()
    }

    /// An alert has come.
    pub(super) fn alert(&self, got: &Got) {
        let (kind_zh, kind_en) = match got.alert {
            "full" => ("空间已满，停止录像", "full, stop recording"),
            "nearly_full" => ("空间即将用尽", "nearly used up"),
            "idle" => ("空间空闲", "idle again"),
            _ => ("无法识别的请求", "a request that cannot be read"),
        };
        let (check_zh, check_en) = match got.check {
            "right" => ("账户与密码正确", "account and password right"),
            "no such account" => ("账户不存在", "no such account"),
            "wrong password" => ("密码错误", "wrong password"),
            _ => ("未能校验", "not checked"),
        };
        let name = self.sub_account(&got.s3ak).map(|known| format!("{} ", known.name)).unwrap_or_default();
        let zh = format!("告警 {}：{name}{} {kind_zh}；{check_zh}；应答 {}", got.call, got.s3ak, got.did);
        let en = format!("alert {}: {name}{} {kind_en}; {check_en}; {}", got.call, got.s3ak, got.did);
        let good = got.check == "right" && got.did.starts_with("result 0");
        // Who sees the page is not who may see secrets.
        let alert = Got { password: None, s3sk: None, ..got.clone() };
        self.tell("alert", good, (zh, en), Some(alert));
    }

    pub(super) fn tell(&self, kind: &'static str, good: bool, (zh, en): (String, String), alert: Option<Got>) {
        let at = self.now();
        let mut state = self.state();
        state.told += 1;
        let news = News { n: state.told, at, kind, good, zh, en, alert };
        state.news.push_back(news);
        if state.news.len() > NEWS_MAX {
            state.news.pop_front();
        }
    }

    /// What happened after this number, oldest first.
    pub fn news(&self, after: u64) -> Vec<News> {
        self.state().news.iter().filter(|news| news.n > after).cloned().collect()
    }
}

/// What came of a call, in words.
pub(super) fn words(operation: &Operation, exchange: &Result<Exchange, String>) -> (String, String) {
    let both = |text: String| (text.clone(), text);
    let exchange = match exchange {
        Ok(exchange) => exchange,
        Err(why) => return (format!("没有应答：{why}"), format!("no answer: {why}")),
    };
    if let Some(why) = &exchange.unreadable {
        return (format!("应答不是 XML：{why}"), format!("the answer is no XML: {why}"));
    }
    match (exchange.result(), exchange.fault()) {
        (Some(result), _) => {
            let unknown: Words = ("规范中没有这个值", "the contract has no such number");
            let (zh, en) = operation.meaning(result).unwrap_or(unknown);
            (format!("Result {result}，{zh}"), format!("Result {result}: {en}"))
        }
        (None, Some(fault)) => both(format!("Fault: {fault}")),
        (None, None) => both(format!("HTTP {}: neither a Result nor a Fault", exchange.status)),
    }
}

// === impl SubAccount ===

impl SubAccount {
    /// One that was opened with 7.2.
    pub fn new(name: &str, account: &str, opened: OpenedSubAccount, space: Option<u32>, looping: bool) -> Self {
        Self {
            number: 0,
            name: name.to_owned(),
            account: account.to_owned(),
            ak: opened.access_key.to_string(),
            sk: opened.secret.clone(),
            opened: Some(opened),
            space,
            looping,
        }
    }

    /// One that somebody else has opened.
    pub(super) fn foreign(name: &str, account: &str, ak: &str, sk: Secret) -> Self {
        let (name, account, ak) = (name.to_owned(), account.to_owned(), ak.to_owned());
        Self { number: 0, name, account, ak, sk, opened: None, space: None, looping: false }
    }
}

/// For who fills: one call whose Result must be 0, and no exchange is kept of it.
pub(super) async fn quietly(
    desk: &Desk,
    of: &SubAccount,
    operation: &str,
    more: &[(&str, &str)],
) -> Result<(), ClientError> {
    let account = desk.accounts().into_iter().find(|known| known.name == of.account);
    let missing = || ClientError::Answer(format!("the password of {} is not known here", of.account));
    let Account { name, password, soap } = account.ok_or_else(missing)?;
    let mut platform = Platform::new(soap, name, password.ok_or_else(missing)?, desk.trust.clone());
    let fields: Vec<_> = [("S3AK", of.ak.as_str()), ("S3SK", of.sk.expose())].iter().chain(more).copied().collect();
    platform.call(operation, &fields).await.map(drop)
}
