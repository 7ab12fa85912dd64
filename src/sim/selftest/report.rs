//! The acceptance report: a page to print and to sign. It holds no secret and loads nothing.

use std::fmt::Write as _;

use super::{Finding, Verdict};
use crate::domain::Timestamp;
use crate::wire::china_time;

/// UTC+8.
const CHINA_MINUTES: i32 = 480;

/// The page.
pub(super) fn page(findings: &[Finding], whom: &str, now: Timestamp) -> String {
    let count = |wanted: fn(&Verdict) -> bool| findings.iter().filter(|finding| wanted(&finding.verdict)).count();
    let passed = count(|verdict| *verdict == Verdict::Passed);
    let failed = count(|verdict| matches!(verdict, Verdict::Failed(_)));
    let not_run = count(|verdict| matches!(verdict, Verdict::NotRun(_)));
    let when = china_time::format(now.seconds(), CHINA_MINUTES);
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"zh-CN\"><head><meta charset=\"utf-8\"><title>验收报告 / Acceptance report</title>\n\
         <style>{STYLE}</style></head><body>\n\
         <h1>视频云存储平台验收报告 <small>Acceptance report</small></h1>\n\
         <p>中国电信手机看店云存储技术规范 V1.2 (2014-03)</p>\n\
         <table class=\"facts\"><tr><th>被测系统 / System</th><td>{}</td></tr>\
         <tr><th>测试时间 / Time (UTC+8)</th><td>{when}</td></tr>\
         <tr><th>测试程序 / Test program</th><td>kandian {} selftest</td></tr>\
         <tr><th>结果 / Result</th><td><b class=\"{}\">{passed} 通过 / passed, {failed} 失败 / failed, {not_run} 未执行 / not run</b></td></tr></table>\n\
         <table class=\"clauses\"><thead><tr><th>条款<br>Clause</th><th>内容<br>What</th><th>结果<br>Result</th></tr></thead><tbody>\n",
        escaped(whom),
        env!("CARGO_PKG_VERSION"),
        if failed == 0 { "passed" } else { "failed" },
    );
    for finding in findings {
        let (class, word, why) = match &finding.verdict {
            Verdict::Passed => ("passed", "通过 / pass", ""),
            Verdict::Failed(why) => ("failed", "失败 / fail", why.as_str()),
            Verdict::NotRun(why) => ("not-run", "未执行 / not run", why.as_str()),
        };
        let why = if why.is_empty() { String::new() } else { format!("<br>{}", escaped(why)) };
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "<tr><td>{}</td><td>{}<br><small>{}</small></td><td class=\"{class}\">{word}{why}</td></tr>",
            finding.clause.number,
            escaped(finding.clause.title),
            escaped(finding.clause.about),
        );
    }
    out += "</tbody></table>\n\
            <table class=\"signatures\"><tr><th>测试人 / Tested by</th><th>建设方 / For the builder</th><th>接收方 / For the customer</th></tr>\
            <tr><td></td><td></td><td></td></tr><tr><td>日期 / Date</td><td>日期 / Date</td><td>日期 / Date</td></tr></table>\n\
            <h2>附录：报文 <small>Appendix: what went over the wire</small></h2>\n";
    for finding in findings {
        let _ = writeln!(out, "<h3>{} {}</h3>", finding.clause.number, escaped(finding.clause.title));
        for shot in &finding.shots {
            let _ = writeln!(out, "<pre>&gt; {}\n&lt; {}</pre>", escaped(&shot.sent), escaped(&shot.came));
        }
    }
    out + "</body></html>\n"
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

const STYLE: &str = "body{font:14px/1.5 'Noto Sans CJK SC','Source Han Sans SC','Microsoft YaHei',sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#111}\
small{color:#555;font-weight:normal}table{border-collapse:collapse;width:100%;margin:1em 0}\
th,td{border:1px solid #999;padding:.35em .6em;text-align:left;vertical-align:top}th{background:#f2f2f2}\
.facts th{width:16em}.passed{color:#065f2c}.failed{color:#a30000;font-weight:bold}.not-run{color:#7a5200}\
.signatures td{height:2em}.signatures tr:nth-child(2) td{height:5em}\
pre{white-space:pre-wrap;word-break:break-all;font-size:11px;background:#f7f7f7;padding:.5em;margin:.3em 0}\
@media print{body{margin:0;max-width:none}tr,pre{break-inside:avoid}h2{break-before:page}}";

#[cfg(test)]
mod tests {
    use super::super::clauses::CLAUSES;
    use super::super::run::Shot;
    use super::*;

    #[test]
    fn a_report_has_every_clause_its_words_and_room_to_sign() {
        let finding = |n: usize, verdict| Finding {
            clause: &CLAUSES[n],
            verdict,
            shots: vec![Shot { sent: "<Account>a & b</Account>".to_owned(), came: "HTTP 200".to_owned() }],
            took_ms: 1,
        };
        let findings = [
            finding(0, Verdict::Passed),
            finding(1, Verdict::Failed("seen <x>".to_owned())),
            finding(2, Verdict::NotRun("no".to_owned())),
        ];
        let page = page(&findings, "http://h/\"", Timestamp::from_millis(1_395_988_205_000));
        for said in [
            "1 通过 / passed, 1 失败 / failed, 1 未执行 / not run",
            "seen &lt;x&gt;",
            "http://h/&quot;",
            "&lt;Account&gt;a &amp; b",
            "2014-03-28 14:30:05",
            "接收方 / For the customer",
            "子账户文件自动覆盖",
        ] {
            assert!(page.contains(said), "{said}");
        }
        assert!(!page.contains("<script") && !page.contains("http-equiv"));
    }
}
