//! Statements and months as tables for a spreadsheet.

use super::{BillingAccount, MonthRow, StatementView};
use crate::domain::billing::{Charge, Month, gb_months};
use crate::engine::{Caller, Engine, Error, Result};
use crate::wire::sheet::{Cell, Sheet, csv, xlsx};

/// A file's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Export {
    /// UTF-8 with a mark, CR LF.
    Csv,
    /// A workbook.
    Xlsx,
}

impl Export {
    /// By the ending of a name.
    pub fn named(ending: &str) -> Option<Self> {
        match ending {
            "csv" => Some(Self::Csv),
            "xlsx" => Some(Self::Xlsx),
            _ => None,
        }
    }

    /// Its `Content-Type`.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        }
    }

    fn write(self, sheet: &Sheet) -> Result<Vec<u8>> {
        match self {
            Self::Csv => Ok(csv(sheet)),
            Self::Xlsx => xlsx(std::slice::from_ref(sheet))
                .map_err(|error| Error::Broken(format!("write a workbook: {error}").into())),
        }
    }
}

/// What a charge is called on paper.
pub const fn charge_words(charge: Charge) -> &'static str {
    match charge {
        Charge::PerGb => "按量 per GB",
        Charge::Tier => "阶梯 tier",
        Charge::Package => "套餐 package",
        Charge::Overage => "套餐外 overage",
        Charge::Minimum => "最低消费 minimum",
        Charge::NoTariff => "无资费 no tariff",
    }
}

fn state_words(state: &str) -> &'static str {
    match state {
        "issued" => "已出账 issued",
        "adjusted" => "已调整 adjusted",
        "settled" => "已结清 settled",
        _ => "试算 trial",
    }
}

fn count(number: u64) -> Cell {
    Cell::Count(i64::try_from(number).unwrap_or(i64::MAX))
}

impl Engine {
    /// A statement for a spreadsheet.
    pub async fn export_statement(
        &self,
        caller: &Caller,
        account: &BillingAccount,
        month: Month,
        format: Export,
    ) -> Result<Vec<u8>> {
        format.write(&statement_sheet(&self.statement(caller, account, month).await?))
    }

    /// A month over all accounts for a spreadsheet.
    pub async fn export_month(&self, caller: &Caller, month: Month, format: Export) -> Result<Vec<u8>> {
        let page = self.billing_month_whole(caller, month).await?;
        format.write(&month_sheet(month, &page.rows))
    }
}

fn statement_sheet(view: &StatementView) -> Sheet {
    let s = &view.statement;
    let mut rows: Vec<Vec<Cell>> = vec![
        vec!["账户 Account".into(), s.account.as_str().into()],
        vec!["账期 Month".into(), s.month.to_string().into()],
        vec!["状态 State".into(), state_words(view.state).into()],
        vec!["摘要 SHA-256".into(), view.digest.as_str().into()],
        vec![],
    ];
    let head = rows.len();
    let heads = [
        "行 No.",
        "起 From",
        "止（不含）To (excluded)",
        "资费 Tariff",
        "版本 Version",
        "规则 Rule",
        "小时 Hours",
        "其中补记 Carried",
        "用量（GB·月）GB-months",
        "字节·小时 Byte-hours",
        "单价（元）Unit price",
        "金额（元）Amount",
        "样本摘要 Samples SHA-256",
    ];
    rows.push(heads.map(Cell::from).to_vec());
    for line in &s.lines {
        rows.push(vec![
            count(line.number as u64),
            line.from.to_string().into(),
            line.to.to_string().into(),
            line.tariff.as_deref().unwrap_or_default().into(),
            line.tariff_version.map_or_else(|| "".into(), count),
            charge_words(line.charge).into(),
            count(line.hours),
            count(line.carried_hours),
            gb_months(line.byte_hours, s.bytes_per_gb, s.month_hours).into(),
            line.byte_hours.to_string().into(),
            Cell::Yuan(line.price_li),
            Cell::Yuan(line.amount_li),
            line.samples_sha256.as_str().into(),
        ]);
    }
    let sum = |word: &str, amount| {
        let mut row = vec![Cell::from(word)];
        row.extend(std::iter::repeat_n(Cell::from(""), 10));
        row.push(Cell::Yuan(amount));
        row
    };
    rows.push(sum("合计 Total", s.total_li));
    for adjustment in &view.adjustments {
        rows.push(sum(&format!("调整 Correction: {}", adjustment.reason), adjustment.amount_li));
    }
    rows.push(sum("应收 Due", view.due_li));
    Sheet { name: format!("账单 {}", s.month), rows, head }
}

fn month_sheet(month: Month, all: &[MonthRow]) -> Sheet {
    let heads = [
        "账户 Account",
        "账户号 Number",
        "账期 Month",
        "状态 State",
        "合计（元）Total",
        "调整（元）Corrections",
        "应收（元）Due",
        "摘要 SHA-256",
    ];
    let mut rows = vec![heads.map(Cell::from).to_vec()];
    rows.extend(all.iter().map(|row| {
        vec![
            row.account.as_str().into(),
            count(row.account_id),
            row.month.to_string().into(),
            state_words(row.state).into(),
            Cell::Yuan(row.total_li),
            Cell::Yuan(row.adjusted_li),
            Cell::Yuan(row.due_li),
            row.digest.as_deref().unwrap_or_default().into(),
        ]
    }));
    Sheet { name: format!("月度 {month}"), rows, head: 0 }
}
