//! `/billing/tariffs`: versions by date, a new one, and who has which.

use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::State;
use http::{Request, Response, StatusCode};

use super::super::Portal;
use super::super::form::Form;
use super::super::guard::Session;
use super::super::refusals::Typed;
use super::super::shell::{Shell, page};
use super::{go, who, yuan};
use crate::domain::Action;
use crate::domain::billing::{Basis, Day, Hour, Money, Rule, Tariff, Tier};
use crate::engine::Error;
use crate::engine::billing::{AssignmentView, BillingAccount, TariffView};

#[derive(Template)]
#[template(path = "billing_tariffs.html")]
struct List {
    shell: Shell,
    tariffs: Vec<TariffView>,
    names: Vec<String>,
    accounts: Vec<String>,
    assigned: Vec<AssignmentView>,
    today: Day,
    problem: String,
}

#[derive(Template)]
#[template(path = "billing_tariff_new.html")]
struct New {
    shell: Shell,
    form: Form,
    today: Day,
    problem: String,
}

impl New {
    fn was(&self, field: &str) -> &str {
        self.form.get(field)
    }

    fn chosen(&self, field: &str, value: &str, first: bool) -> bool {
        let now = self.form.get(field);
        now == value || now.is_empty() && first
    }
}

impl List {
    fn may_manage(&self) -> bool {
        self.shell.may(Action::ManageBilling)
    }

    fn basis(&self, basis: &Basis) -> &'static str {
        match basis {
            Basis::HandedOut => self.shell.say("已分配", "Handed out"),
            Basis::Used => self.shell.say("已用", "Used"),
            Basis::Larger => self.shell.say("两者较大者", "The larger of both"),
        }
    }

    fn yuan(&self, amount: &Money) -> String {
        yuan(amount)
    }

    fn who<'a>(&self, by: &'a str) -> &'a str {
        who(self.shell.lang, by)
    }

    /// What it costs, in words.
    fn rule(&self, rule: &Rule) -> Vec<String> {
        let say = |zh: &'static str, en: &'static str| self.shell.say(zh, en);
        let each = say("元/GB·月", "元 a GB-month");
        match rule {
            Rule::PerGb { price_li } => vec![format!("{} {each}", yuan(price_li))],
            Rule::Package { included_gb, flat_li, overage_li } => vec![
                format!("{included_gb} GB {} {}", yuan(flat_li), say("元/月", "元 a month")),
                format!("{} {} {each}", say("超出", "above"), yuan(overage_li)),
            ],
            Rule::Tiers { tiers } => {
                let line = |tier: &Tier| match tier.up_to_gb {
                    Some(gb) => format!("≤ {gb} GB: {} {each}", yuan(&tier.price_li)),
                    None => format!("{} {} {each}", say("以上", "above"), yuan(&tier.price_li)),
                };
                tiers.iter().map(line).collect()
            }
        }
    }
}

fn today(portal: &Portal) -> Day {
    Hour::of(portal.engine.now(), portal.settings.zone_minutes).day()
}

pub(super) async fn list(
    State(portal): State<Arc<Portal>>,
    session: Session,
    request: Request<Body>,
) -> Response<Body> {
    let done = match Form::of_query(request.uri().query()).get("done") {
        "tariff" => Some(session.shell(&portal).say("资费已登记", "The tariff is entered")),
        "assign" => Some(session.shell(&portal).say("资费已指定", "The tariff is assigned")),
        _ => None,
    };
    let shell = session.shell(&portal).saying(done);
    listed(&portal, &session, shell, String::new()).await
}

async fn listed(portal: &Portal, session: &Session, shell: Shell, problem: String) -> Response<Body> {
    let (engine, caller) = (&portal.engine, &session.signed.caller);
    let mut tariffs = match engine.tariffs(caller).await {
        Ok(tariffs) => tariffs,
        Err(error) => return shell.failed(&error),
    };
    let assigned = match engine.tariff_assignments(caller, None).await {
        Ok(assigned) => assigned,
        Err(error) => return shell.failed(&error),
    };
    let accounts = match engine.accounts(caller).await {
        Ok(accounts) => accounts.into_iter().map(|view| view.account).collect(),
        Err(error) => return shell.failed(&error),
    };
    tariffs.sort_by(|a, b| (&a.tariff.name, b.tariff.from).cmp(&(&b.tariff.name, a.tariff.from)));
    let mut names: Vec<_> = tariffs.iter().map(|view| view.tariff.name.clone()).collect();
    names.dedup();
    let status = if problem.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    page(status, &List { shell, tariffs, names, accounts, assigned, today: today(portal), problem })
}

pub(super) async fn form(State(portal): State<Arc<Portal>>, session: Session) -> Response<Body> {
    let shell = session.shell(&portal);
    page(StatusCode::OK, &New { shell, form: Form::default(), today: today(&portal), problem: String::new() })
}

pub(super) async fn add(State(portal): State<Arc<Portal>>, session: Session, request: Request<Body>) -> Response<Body> {
    let form = Form::of_body(request).await;
    let shell = session.shell(&portal);
    let again = |shell, form, problem| {
        let view = New { shell, form, today: today(&portal), problem };
        page(StatusCode::UNPROCESSABLE_ENTITY, &view)
    };
    let tariff = match read(&form) {
        Ok(tariff) => tariff,
        Err(typed) => {
            let problem = shell.refusal(&typed);
            return again(shell, form, problem);
        }
    };
    let target = format!("{} {}", tariff.name, tariff.from);
    let done = portal.engine.add_tariff(&session.signed.caller, tariff).await;
    portal.engine.audit_by(&session.signed.caller, "AddTariff", &target, &done);
    match done {
        Ok(_) => go("/billing/tariffs?done=tariff"),
        Err(Error::Refused(refusal)) => {
            let problem = shell.refusal(&refusal);
            again(shell, form, problem)
        }
        Err(error) => shell.failed(&error),
    }
}

pub(super) async fn assign(
    State(portal): State<Arc<Portal>>,
    session: Session,
    request: Request<Body>,
) -> Response<Body> {
    let form = Form::of_body(request).await;
    let shell = session.shell(&portal);
    let (account, tariff) = (BillingAccount::Name(form.get("account").to_owned()), form.get("tariff"));
    let tariff = (!tariff.is_empty()).then(|| tariff.to_owned());
    let days = || Ok::<_, Typed>((day(form.get("from"))?, optional_day(form.get("to"))?));
    let (from, to) = match days() {
        Ok(days) => days,
        Err(typed) => {
            let problem = shell.refusal(&typed);
            return listed(&portal, &session, shell, problem).await;
        }
    };
    let target = format!("{} {} {from}", form.get("account"), tariff.as_deref().unwrap_or("-"));
    let done = portal.engine.assign_tariff(&session.signed.caller, &account, tariff, from, to).await;
    portal.engine.audit_by(&session.signed.caller, "AssignTariff", &target, &done);
    match done {
        Ok(_) => go("/billing/tariffs?done=assign"),
        Err(Error::Refused(refusal)) => {
            let problem = shell.refusal(&refusal);
            listed(&portal, &session, shell, problem).await
        }
        Err(error) => shell.failed(&error),
    }
}

fn day(text: &str) -> Result<Day, Typed> {
    text.parse().map_err(|_| Typed::Day(text.to_owned()))
}

fn optional_day(text: &str) -> Result<Option<Day>, Typed> {
    if text.is_empty() { Ok(None) } else { day(text).map(Some) }
}

fn money(text: &str) -> Result<Money, Typed> {
    text.parse().map_err(|_| Typed::Amount(text.to_owned()))
}

/// A tariff as the form says it; the fields of the other rules count for nothing.
fn read(form: &Form) -> Result<Tariff, Typed> {
    let price = |field: &str| match form.get(field) {
        "" => Ok(Money::ZERO),
        text => money(text),
    };
    let rule = match form.get("rule") {
        "per_gb" => Rule::PerGb { price_li: price("price")? },
        "tiers" => Rule::Tiers { tiers: tiers(form.get("tiers"))? },
        "package" => Rule::Package {
            included_gb: form.get("included").parse().map_err(|_| Typed::Number(form.get("included").to_owned()))?,
            flat_li: price("flat")?,
            overage_li: price("overage")?,
        },
        _ => return Err(Typed::Choice),
    };
    let basis = Basis::ALL.into_iter().find(|basis| basis.word() == form.get("basis"));
    Ok(Tariff {
        name: form.get("name").to_owned(),
        basis: basis.ok_or(Typed::Choice)?,
        rule,
        minimum_li: price("minimum")?,
        from: day(form.get("from"))?,
        to: optional_day(form.get("to"))?,
    })
}

/// Tiers, one a line: `100 0.5`; the last one without an end: `* 0.3`.
fn tiers(text: &str) -> Result<Vec<Tier>, Typed> {
    let tier = |line: &str| {
        let wrong = || Typed::Tier(line.to_owned());
        let (end, price) = line.split_once([' ', ':', '：', '\t']).ok_or_else(wrong)?;
        let up_to_gb = if end.trim() == "*" { None } else { Some(end.trim().parse().map_err(|_| wrong())?) };
        Ok(Tier { up_to_gb, price_li: money(price.trim())? })
    };
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(tier).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiers_are_read_line_by_line() {
        let found = tiers("100 0.5\r\n1000: 0.4\n\n* 0.3").unwrap();
        let seen: Vec<_> = found.iter().map(|tier| (tier.up_to_gb, tier.price_li.li())).collect();
        assert_eq!(seen, [(Some(100), 500), (Some(1000), 400), (None, 300)]);
        for bad in ["100", "x 1", "1 x"] {
            assert!(tiers(bad).is_err(), "{bad}");
        }
    }
}
