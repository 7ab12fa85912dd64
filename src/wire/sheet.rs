//! Tables on their way to a spreadsheet: CSV and XLSX. And the CSV that a CRM gives.

use std::fmt::Write as _;

use encoding_rs::{Encoding, GB18030, UTF_8};
use rust_xlsxwriter::{DocProperties, ExcelDateTime, Format, Workbook, XlsxError};

use crate::domain::billing::{Booked, Money};

/// Rows of a CRM's file at most.
const CRM_ROWS_MAX: usize = 100_000;
/// What a CSV in UTF-8 begins with, that spreadsheets know it.
pub const MARK: &str = "\u{feff}";
/// Past this a spreadsheet's numbers are not exact.
const EXACT: i64 = 1 << 53;

/// A cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    /// Text, that is never taken for a formula.
    Text(String),
    /// A whole number.
    Count(i64),
    /// An amount, in 元.
    Yuan(Money),
}

/// A table with a name.
#[derive(Clone, Debug)]
pub struct Sheet {
    /// Its name, at most 31 characters.
    pub name: String,
    /// Its rows; the first ones may be of another width.
    pub rows: Vec<Vec<Cell>>,
    /// Which row has the heads of the columns.
    pub head: usize,
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// As CSV: UTF-8 with a mark, that spreadsheets know it, lines ended by CR LF. A text that a spreadsheet would take for
/// a formula has an apostrophe before it.
pub fn csv(sheet: &Sheet) -> Vec<u8> {
    (MARK.to_owned() + &csv_rows(&sheet.rows)).into_bytes()
}

/// Some rows of a CSV that begins with [`MARK`].
pub fn csv_rows(rows: &[Vec<Cell>]) -> String {
    let mut out = String::new();
    for row in rows {
        for (at, cell) in row.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            match cell {
                Cell::Text(text) => quoted(&mut out, text),
                Cell::Count(number) => {
                    let _ = write!(out, "{number}");
                }
                Cell::Yuan(amount) => {
                    let _ = write!(out, "{amount}");
                }
            }
        }
        out.push_str("\r\n");
    }
    out
}

fn quoted(out: &mut String, text: &str) {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if !formula && !text.contains(['"', ',', '\r', '\n']) && text.trim() == text {
        out.push_str(text);
        return;
    }
    out.push('"');
    if formula {
        out.push('\'');
    }
    out.push_str(&text.replace('"', "\"\""));
    out.push('"');
}

/// As XLSX; the same bytes from the same tables.
///
/// # Errors
/// A name or a text that the format cannot hold.
#[expect(clippy::cast_precision_loss, reason = "only what is exact is written as a number")]
pub fn xlsx(sheets: &[Sheet]) -> Result<Vec<u8>, XlsxError> {
    let mut book = Workbook::new();
    // No clock is read: the file says nothing of when it was made.
    let made = ExcelDateTime::from_ymd(2014, 3, 28)?;
    book.set_properties(&DocProperties::new().set_creation_datetime(&made));
    let (bold, yuan) = (Format::new().set_bold(), Format::new().set_num_format("#,##0.000"));
    for sheet in sheets {
        let page = book.add_worksheet();
        page.set_name(&sheet.name)?;
        for (row, (number, cells)) in (0_u32..).zip(sheet.rows.iter().enumerate()) {
            for (column, cell) in (0_u16..).zip(cells) {
                match cell {
                    Cell::Text(text) if number == sheet.head => {
                        page.write_string_with_format(row, column, text, &bold)?
                    }
                    Cell::Text(text) => page.write_string(row, column, text)?,
                    Cell::Count(count) if count.abs() <= EXACT => page.write_number(row, column, *count as f64)?,
                    Cell::Count(count) => page.write_string(row, column, count.to_string())?,
                    Cell::Yuan(amount) if amount.li().unsigned_abs() <= EXACT.unsigned_abs() => {
                        page.write_number_with_format(row, column, amount.li() as f64 / 1000.0, &yuan)?
                    }
                    Cell::Yuan(amount) => page.write_string(row, column, amount.to_string())?,
                };
            }
        }
        page.autofit();
    }
    book.save_to_buffer()
}

/// Why a CRM's file cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CrmFault {
    /// No text.
    #[error("it is neither UTF-8 nor GBK")]
    Encoding,
    /// No table.
    #[error("line {line} is no CSV")]
    NoCsv {
        /// Where, from 1.
        line: u64,
    },
    /// No column of accounts.
    #[error("no column is named 账户 or account")]
    NoAccounts,
    /// No column of amounts.
    #[error("no column is named 金额 or amount")]
    NoAmounts,
    /// A row of nobody.
    #[error("line {line} has no account")]
    NoAccount {
        /// Where, from 1.
        line: u64,
    },
    /// An amount that is none.
    #[error("line {line}: {written:?} is no amount in 元 with at most three digits behind the point")]
    Amount {
        /// Where, from 1.
        line: u64,
        /// The beginning of what stands there.
        written: String,
    },
    /// More than are compared.
    #[error("it has more than {most} rows")]
    TooMany {
        /// The limit.
        most: usize,
    },
}

fn no_csv(error: ::csv::Error) -> CrmFault {
    CrmFault::NoCsv { line: error.position().map_or(1, ::csv::Position::line) }
}

/// Reads what a CRM has booked: a CSV with heads, one column of accounts and one of amounts in 元, among any others.
/// UTF-8, or GBK where it is no UTF-8; separated by commas, semicolons or tabs.
///
/// # Errors
/// What is wrong, and in which line.
pub fn read_crm(bytes: &[u8]) -> Result<Vec<Booked>, CrmFault> {
    let text = decoded(bytes).ok_or(CrmFault::Encoding)?;
    let first = text.lines().next().unwrap_or_default();
    let delimiter = [b',', b';', b'\t'].into_iter().max_by_key(|d| first.bytes().filter(|b| b == d).count());
    let mut reader = ::csv::ReaderBuilder::new()
        .delimiter(delimiter.unwrap_or(b','))
        .flexible(true)
        .trim(::csv::Trim::All)
        .from_reader(text.as_bytes());
    let heads = reader.headers().map_err(no_csv)?.clone();
    let column =
        |names: &[&str]| heads.iter().position(|head| names.iter().any(|name| head.eq_ignore_ascii_case(name)));
    let account = column(&[
        "账户",
        "帐户",
        "账户名",
        "账户名称",
        "账号",
        "客户",
        "客户名称",
        "省份",
        "account",
        "customer",
        "name",
    ]);
    let amount = column(&[
        "金额",
        "金额(元)",
        "金额（元）",
        "应收",
        "应收金额",
        "费用",
        "合计",
        "amount",
        "amount_yuan",
        "total",
        "due",
    ]);
    let account = account.ok_or(CrmFault::NoAccounts)?;
    let amount = amount.ok_or(CrmFault::NoAmounts)?;
    let mut out = Vec::new();
    for row in reader.records() {
        let row = row.map_err(no_csv)?;
        let line = row.position().map_or(0, ::csv::Position::line);
        // What we wrote before a formula is not part of a name.
        let name = row.get(account).unwrap_or_default();
        let name = name.strip_prefix('\'').filter(|rest| rest.starts_with(['=', '+', '-', '@'])).unwrap_or(name);
        let written = row.get(amount).unwrap_or_default();
        if name.is_empty() && written.is_empty() {
            continue;
        }
        if name.is_empty() {
            return Err(CrmFault::NoAccount { line });
        }
        if out.len() == CRM_ROWS_MAX {
            return Err(CrmFault::TooMany { most: CRM_ROWS_MAX });
        }
        let amount: Money =
            written.parse().map_err(|_| CrmFault::Amount { line, written: written.chars().take(40).collect() })?;
        out.push(Booked { account: name.to_owned(), amount });
    }
    Ok(out)
}

/// Text by its mark, else UTF-8, else GB18030, of which GBK is a part.
fn decoded(bytes: &[u8]) -> Option<String> {
    if let Some((encoding, length)) = Encoding::for_bom(bytes) {
        let text = encoding.decode_without_bom_handling_and_without_replacement(bytes.get(length..)?)?;
        return Some(text.into_owned());
    }
    let read = |encoding: &'static Encoding| encoding.decode_without_bom_handling_and_without_replacement(bytes);
    read(UTF_8).or_else(|| read(GB18030)).map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheet() -> Sheet {
        let rows = vec![
            vec!["账户".into(), "说明".into(), "金额".into(), "数".into()],
            vec!["江苏".into(), "=1+1".into(), Cell::Yuan(Money::from_li(-1_500)), Cell::Count(-7)],
            vec!["a,\"b\"".into(), "@x".into(), Cell::Yuan(Money::from_li(i64::MAX)), Cell::Count(i64::MAX)],
        ];
        Sheet { name: "对账单".to_owned(), rows, head: 0 }
    }

    #[test]
    fn csv_has_its_mark_and_no_formula() {
        let text = String::from_utf8(csv(&sheet())).expect("UTF-8");
        let expected = "\u{feff}账户,说明,金额,数\r\n江苏,\"'=1+1\",-1.500,-7\r\n\"a,\"\"b\"\"\",\"'@x\",\
                        9223372036854775.807,9223372036854775807\r\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_workbook_is_made_in_memory_and_is_the_same_twice() {
        let book = xlsx(&[sheet()]).expect("written");
        assert!(book.starts_with(b"PK"));
        assert_eq!(book, xlsx(&[sheet()]).expect("written"));
        let bad = Sheet { name: "a".repeat(32), ..sheet() };
        assert!(xlsx(&[bad]).is_err());
    }

    #[test]
    fn a_crm_is_read_in_either_language_and_either_charset() {
        let expected = vec![
            Booked { account: "江苏电信".to_owned(), amount: Money::from_li(1_234_500) },
            Booked { account: "安徽".to_owned(), amount: Money::from_li(-1_000) },
        ];
        let text = "序号,账户,金额（元）\r\n1,江苏电信,\"1,234.50\"\r\n2,安徽,-1\r\n\r\n";
        assert_eq!(read_crm(text.as_bytes()), Ok(expected.clone()));
        assert_eq!(read_crm(&GB18030.encode(text).0), Ok(expected.clone()));
        assert_eq!(read_crm("\u{feff}Account;Amount\n江苏电信;¥1234.500\n安徽;-1.0000\n".as_bytes()), Ok(expected));
        for (bad, why) in [
            ("a,b\n1,2", "账户"),
            ("account,x\n1,2", "金额"),
            ("account,amount\na,1.23456", "line 2"),
            ("account,amount\n,1", "no account"),
        ] {
            assert!(read_crm(bad.as_bytes()).is_err_and(|error| error.to_string().contains(why)), "{bad}");
        }
        assert!(read_crm(&[0x81]).is_err());
        let ours = csv(&Sheet {
            name: String::new(),
            rows: vec![vec!["账户".into(), "金额".into()], vec!["=x".into(), Cell::Yuan(Money::from_li(5))]],
            head: 0,
        });
        assert_eq!(read_crm(&ours), Ok(vec![Booked { account: "=x".to_owned(), amount: Money::from_li(5) }]));
    }
}
