//! The hourly samples that a statement was made from.

use std::sync::Arc;

use askama::Template;
use askama::filters::Safe;
use axum::body::Body;
use axum::extract::{Path, State};
use http::{Request, Response, StatusCode};

use super::super::Portal;
use super::super::form::Form;
use super::super::guard::Session;
use super::super::shell::{Pager, Shell, page};
use super::super::show::{self, Html, escape};
use super::{at, last};
use crate::domain::billing::{Day, Month};
use crate::engine::billing::{SamplePage, SampleView};

/// Hours on a page.
const PAGE: usize = 96;

#[derive(Template)]
#[template(path = "billing_samples.html")]
struct View {
    shell: Shell,
    id: u64,
    account: String,
    month: Month,
    from: Day,
    until: Day,
    charts: Vec<(&'static str, String, Html)>,
    carried: usize,
    rows: Vec<SampleView>,
    pager: Pager,
}

pub(super) async fn show(
    State(portal): State<Arc<Portal>>,
    session: Session,
    Path(path): Path<(u64, String)>,
    request: Request<Body>,
) -> Response<Body> {
    let shell = session.shell(&portal);
    let Some((account, month)) = at(&path) else { return shell.not_found() };
    let query = Form::of_query(request.uri().query());
    let (first, end) = (month.first_day(), month.end());
    let from = query.get("from").parse().unwrap_or(first).max(first).min(last(&end));
    let to = query.get("to").parse().unwrap_or(end).max(from.next()).min(end);
    let found = match portal.engine.billing_samples(&session.signed.caller, &account, from, to).await {
        Ok(found) => found,
        Err(error) => return shell.failed(&error),
    };
    let SamplePage { account, samples, .. } = found;
    let pager = Pager::new(
        &shell.here,
        query.get("page").parse().unwrap_or(1),
        u64::try_from(samples.len()).unwrap_or(u64::MAX),
        u64::try_from(PAGE).unwrap_or(1),
    );
    let gigabyte = portal.settings.gigabyte.get();
    let handed_out: Vec<u64> = samples.iter().map(|s| u64::from(s.handed_out_gb).saturating_mul(gigabyte)).collect();
    let used: Vec<u64> = samples.iter().map(|s| s.used_bytes).collect();
    let (word_out, word_used) = (shell.say("已分配", "Handed out"), shell.t.used);
    let charts = [(word_out, handed_out), (word_used, used)];
    let charts = charts.map(|(word, values)| {
        let most = values.iter().copied().max().unwrap_or(0);
        (word, show::bytes(most), area(word, &values, most))
    });
    let carried = samples.iter().filter(|s| s.carried).count();
    let skip = usize::try_from(pager.page - 1).unwrap_or(0).saturating_mul(PAGE);
    let rows = samples.into_iter().skip(skip).take(PAGE).collect();
    let until = last(&to);
    page(
        StatusCode::OK,
        &View { shell, id: path.0, account, month, from, until, charts: charts.into(), carried, rows, pager },
    )
}

/// Hours as an area below their highest value.
fn area(label: &str, values: &[u64], most: u64) -> Html {
    let (hours, most) = (values.len().max(1), u128::from(most.max(1)));
    let mut path = String::from("M0 60");
    for (hour, value) in values.iter().enumerate() {
        let height = 60 - u128::from(*value) * 56 / most;
        let (left, right) = (hour * 1000 / hours, (hour + 1) * 1000 / hours);
        path.push_str(&format!("L{left} {height}L{right} {height}"));
    }
    path.push_str("L1000 60Z");
    Safe(format!(
        "<svg class=\"bar\" viewBox=\"0 0 1000 60\" height=\"90\" preserveAspectRatio=\"none\" role=\"img\" \
         aria-label=\"{}: {}\"><path class=\"bar-used\" d=\"{path}\"/></svg>",
        escape(label),
        escape(&show::bytes(u64::try_from(most).unwrap_or(u64::MAX)))
    ))
}
