//! The hourly samples that a statement was made from.

use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::{Path, State};
use http::{Request, Response, StatusCode};

use super::super::Portal;
use super::super::chart::{Chart, Kind, Series, Unit};
use super::super::form::Form;
use super::super::guard::Session;
use super::super::shell::{Pager, Shell, page};
use super::super::show::{self, Html};
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
    let labels: Vec<String> = samples.iter().map(|s| s.at.get(5..10).unwrap_or_default().to_owned()).collect();
    let charts = charts.map(|(word, values)| {
        let most = values.iter().copied().max().unwrap_or(0);
        let series = vec![Series { name: word, values: values.into_iter().map(Some).collect() }];
        let chart = Chart { kind: Kind::StackedArea, title: word, unit: Unit::Bytes, labels: labels.clone(), series };
        // The hours are in the table below.
        (word, show::bytes(most), chart.without_table(shell.lang))
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
