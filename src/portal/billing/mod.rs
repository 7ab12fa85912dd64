//! 费用结算: tariffs, the month over all accounts, statements with what they were made from, the CRM's side.

mod crm;
mod month;
mod samples;
mod statement;
mod tariffs;

use axum::body::Body;
use axum::response::{IntoResponse, Redirect};
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};

use super::text::Lang;
use super::{Needs, Portal, Route};
use crate::domain::Action;
use crate::domain::billing::{Charge, Day, Hour, Money, Month};
use crate::engine::billing::{BillingAccount, Export};

pub(super) fn routes() -> Vec<Route> {
    let see = Needs::Role(Action::SeeBilling);
    let see_all = Needs::Everywhere(Action::SeeBilling);
    let manage = Needs::Role(Action::ManageBilling);
    let route = |path, needs, pages| Route { path, needs, pages };
    use axum::routing::{get, post};
    vec![
        route("/billing", see, get(month::show)),
        route("/billing/months/{month}/{file}", see_all, get(month::export)),
        route("/billing/tariffs", see_all, get(tariffs::list)),
        route("/billing/tariffs/new", manage, get(tariffs::form).post(tariffs::add)),
        route("/billing/assign", manage, post(tariffs::assign)),
        route("/billing/reconcile", see_all, get(crm::form).post(crm::compare)),
        route("/billing/statements/{account}/{month}", see, get(statement::show)),
        route("/billing/statements/{account}/{month}/samples", see, get(samples::show)),
        route("/billing/statements/{account}/{month}/issue", manage, get(statement::confirm).post(statement::issue)),
        route("/billing/statements/{account}/{month}/settle", manage, get(statement::confirm).post(statement::settle)),
        route("/billing/statements/{account}/{month}/adjust", manage, post(statement::adjust)),
        route("/billing/statements/{account}/{month}/files/{file}", see, get(statement::export)),
    ]
}

/// The account and the month of a path.
fn at((account, month): &(u64, String)) -> Option<(BillingAccount, Month)> {
    Some((BillingAccount::Number(*account), month.parse().ok()?))
}

/// The month that the box's clock is in.
fn present(portal: &Portal) -> Month {
    Hour::of(portal.engine.now(), portal.settings.zone_minutes).day().month()
}

/// The last day of what ends before `to`.
fn last(to: &Day) -> Day {
    Day::new(to.get() - 1)
}

/// A word of a state.
fn state_word(lang: Lang, state: &str) -> &'static str {
    match state {
        "issued" => lang.say("已出账", "Issued"),
        "adjusted" => lang.say("已调整", "Adjusted"),
        "settled" => lang.say("已结清", "Settled"),
        _ => lang.say("试算", "Trial"),
    }
}

/// A tone of a state.
fn tone(state: &str) -> &'static str {
    match state {
        "issued" => "info",
        "adjusted" => "warn",
        "settled" => "good",
        _ => "neutral",
    }
}

/// A word of a charge.
fn charge_word(lang: Lang, charge: Charge) -> &'static str {
    match charge {
        Charge::PerGb => lang.say("按量", "Per GB"),
        Charge::Tier => lang.say("阶梯", "Tier"),
        Charge::Package => lang.say("套餐", "Package"),
        Charge::Overage => lang.say("套餐外", "Above the package"),
        Charge::Minimum => lang.say("最低消费补足", "To the minimum"),
        Charge::NoTariff => lang.say("无资费", "No tariff"),
    }
}

/// Who entered something: the books name a user, or the operator of the box.
fn who(lang: Lang, by: &str) -> &str {
    if by == "operator" { lang.say("本机管理命令", "the operator") } else { by }
}

/// An amount with its thousands apart; its unit stands beside it.
fn yuan(amount: &Money) -> String {
    let text = amount.to_string();
    let (sign, digits) = text.strip_prefix('-').map_or(("", text.as_str()), |digits| ("−", digits));
    let (whole, rest) = digits.split_once('.').unwrap_or((digits, "000"));
    let mut out = sign.to_owned();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    format!("{out}.{rest}")
}

/// A file to keep.
fn file(bytes: Vec<u8>, format: Export, name: &str) -> Response<Body> {
    let disposition = HeaderValue::from_str(&format!("attachment; filename=\"{name}\""));
    let mut response = (StatusCode::OK, bytes).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    headers.insert(CONTENT_DISPOSITION, disposition.unwrap_or(HeaderValue::from_static("attachment")));
    response
}

fn go(to: &str) -> Response<Body> {
    Redirect::to(to).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_their_thousands_apart() {
        for (li, text) in [(0, "0.000"), (-1, "−0.001"), (1_234_567_890, "1,234,567.890"), (999_999, "999.999")] {
            assert_eq!(yuan(&Money::from_li(li)), text);
        }
    }
}
