//! 空间监控 as a table for a spreadsheet.

use super::SpacePage;
use crate::wire::china_time;
use crate::wire::sheet::{Cell, Sheet, csv};

const HEADS: [&str; 16] = [
    "账户 Account",
    "AK",
    "名称 Name",
    "位置 Place",
    "空间 Space（字节 bytes）",
    "已用 Used（字节 bytes）",
    "锁定 Locked（字节 bytes）",
    "预留 Reserved（字节 bytes）",
    "写满后 When full",
    "超过阈值 Above the warning",
    "已满 Full",
    "每天写入 A day（字节 bytes）",
    "写满或开始覆盖 Full or overwriting from",
    "下次覆盖 Next overwrite",
    "保留 Kept（小时 hours）",
    "最早未锁定文件 Oldest unlocked file",
];

impl SpacePage {
    /// UTF-8 with BOM, a line a sub-account. No cell is taken for a formula.
    pub fn to_csv(&self) -> Vec<u8> {
        let number = |number: u64| Cell::Count(i64::try_from(number).unwrap_or(i64::MAX));
        let maybe = |value: Option<i64>| value.map_or_else(|| Cell::from(""), Cell::Count);
        let time = |ms: Option<i64>| {
            Cell::from(ms.map_or_else(String::new, |ms| china_time::format(ms.div_euclid(1000), self.zone_minutes)))
        };
        let yes = |yes: bool| Cell::from(if yes { "是 yes" } else { "" });
        let mut rows = vec![HEADS.map(Cell::from).to_vec()];
        for row in &self.rows {
            rows.push(vec![
                Cell::from(row.account.as_str()),
                Cell::from(row.ak.as_str()),
                Cell::from(row.name.as_str()),
                Cell::from(row.place.as_str()),
                number(row.granted_bytes),
                number(row.used_bytes),
                number(row.locked_bytes),
                number(row.reserved_bytes),
                Cell::from(if row.loops { "覆盖 overwrites" } else { "停止 stops" }),
                yes(row.above),
                yes(row.full),
                maybe(row.bytes_per_day.and_then(|bytes| i64::try_from(bytes).ok())),
                time(row.full_ms),
                time(row.overwrite_ms),
                maybe(row.window_ms.map(|ms| ms / 3_600_000)),
                time(row.oldest_ms),
            ]);
        }
        csv(&Sheet { name: "space".to_owned(), rows, head: 0 })
    }
}
