//! `kandian demo fill`: asks the console of a demonstration that runs, and shows what happens.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::sim::client::{Connection, Content, Endpoint, TrustOptions};

/// What a demonstration leaves in its directory, so that it is found.
pub(super) const NOTE: &str = "demo.json";
/// What its directory begins with.
pub(super) const PREFIX: &str = "kandian-demo-";
/// So long after the last alert another may come: repeats are a second apart.
const QUIET: Duration = Duration::from_secs(4);
/// And nobody looks longer than this.
const PATIENCE: Duration = Duration::from_secs(20);

/// Options of `kandian demo fill`.
#[derive(Clone, Debug, clap::Args)]
pub struct FillOptions {
    /// To how much of its space, in percent: 79, 81, 90, 100; what is above is cleared first (7.9)
    #[arg(value_name = "PERCENT", value_parser = clap::value_parser!(u32).range(0..=200))]
    pub percent: u32,
    /// Which, by S3AK, number or name [default: the first that does not overwrite]
    #[arg(long, value_name = "AK")]
    pub sub_account: Option<String>,
    /// URL of the console [default: that of the demonstration that runs here]
    #[arg(long, value_name = "URL")]
    pub console: Option<String>,
    /// Where directories of demonstrations are [default: that for temporary files]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// The console, asked over and over.
struct Console(Connection);

/// Fills, and shows the alerts that come of it.
///
/// # Errors
///
/// No demonstration runs, or it cannot be filled.
pub(super) async fn run(options: FillOptions) -> io::Result<()> {
    let url = match &options.console {
        Some(url) => url.clone(),
        None => find(&options.dir.clone().unwrap_or_else(std::env::temp_dir))?,
    };
    let mut console = Console(Connection::new(Endpoint::parse(&url)?, TrustOptions::default().trust()?));
    let state = console.get("/api/state").await?;
    let of = choose(&state, options.sub_account.as_deref())?;
    let before = console.get("/api/news").await?;
    let mut last = before.as_array().and_then(|news| news.last()?.get("n")?.as_u64()).unwrap_or(0);
    let filled = console.fill(&of, options.percent).await?;
    if options.json {
        return writeln!(io::stdout(), "{filled}");
    }
    let (started, mut quiet_since) = (Instant::now(), Instant::now());
    while quiet_since.elapsed() < QUIET && started.elapsed() < PATIENCE {
        let news = console.get(&format!("/api/news?after={last}")).await?;
        for news in news.as_array().into_iter().flatten() {
            last = news["n"].as_u64().unwrap_or(last).max(last);
            quiet_since = Instant::now();
            let line = |lang: &str| news[lang].as_str().unwrap_or_default().to_owned();
            writeln!(io::stdout(), "{}  {}\n    {}", news["at"].as_str().unwrap_or_default(), line("zh"), line("en"))?;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

/// The console of the one demonstration that runs.
fn find(dir: &Path) -> io::Result<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let is_one = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX));
        let Some(note) = is_one.then(|| std::fs::read(path.join(NOTE)).ok()).flatten() else { continue };
        let Ok(note) = serde_json::from_slice::<Value>(&note) else { continue };
        let runs = note["pid"].as_u64().is_some_and(|pid| Path::new(&format!("/proc/{pid}")).exists());
        found.extend(note["console"].as_str().filter(|_| runs).map(str::to_owned));
    }
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(io::Error::other(format!(
            "no demonstration runs in {} (`kandian demo`; or --console URL)",
            dir.display()
        ))),
        many => Err(io::Error::other(format!(
            "several demonstrations run: name one with --console, of {}",
            many.join(", ")
        ))),
    }
}

/// The S3AK of the sub-account that is meant.
fn choose(state: &Value, wanted: Option<&str>) -> io::Result<String> {
    let all = state["sub_accounts"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is = |sub: &&Value| match wanted {
        None => sub["loop"] == false,
        Some(wanted) => {
            sub["ak"] == wanted
                || sub["name"] == wanted
                || sub["number"].as_u64().is_some_and(|number| wanted.parse() == Ok(number))
        }
    };
    let found = all.iter().find(is).and_then(|sub| sub["ak"].as_str());
    let listed = || all.iter().map(|sub| format!("{} {}", sub["ak"], sub["name"])).collect::<Vec<_>>().join(", ");
    found.map(str::to_owned).ok_or_else(|| io::Error::other(format!("no such sub-account; there are {}", listed())))
}

impl Console {
    async fn get(&mut self, path: &str) -> io::Result<Value> {
        let answer = self.0.call("GET", path, &[], Content::empty()).await?;
        Ok(serde_json::from_slice(&answer.body)?)
    }

    async fn fill(&mut self, ak: &str, percent: u32) -> io::Result<Value> {
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("sub", ak)
            .append_pair("percent", &percent.to_string())
            .finish();
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let answer = self.0.call("POST", "/api/fill", &headers, Content::Whole(form.into())).await?;
        let said: Value = serde_json::from_slice(&answer.body)?;
        match said.get("error") {
            None => Ok(said),
            Some(why) => Err(io::Error::other(why.as_str().unwrap_or("it was refused").to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_one_demonstration_that_runs_is_found() {
        let dir = tempfile::tempdir().unwrap();
        assert!(find(dir.path()).unwrap_err().to_string().contains("kandian demo"));
        let note = |name: &str, pid: u32, console: &str| {
            let home = dir.path().join(name);
            std::fs::create_dir(&home).unwrap();
            std::fs::write(home.join(NOTE), json!({"pid": pid, "console": console}).to_string()).unwrap();
        };
        note("kandian-demo-1-0", u32::MAX, "http://gone/");
        note("other", std::process::id(), "http://other/");
        note("kandian-demo-2-0", std::process::id(), "http://here/");
        assert_eq!(find(dir.path()).unwrap(), "http://here/");
        note("kandian-demo-3-0", std::process::id(), "http://there/");
        assert!(find(dir.path()).unwrap_err().to_string().contains("--console"));
    }

    #[test]
    fn a_sub_account_is_meant_by_key_number_or_name() {
        let state = json!({"sub_accounts": [
            {"number": 1, "ak": "A", "name": "门口", "loop": true},
            {"number": 2, "ak": "B", "name": "试验", "loop": false},
        ]});
        for (wanted, ak) in [(None, "B"), (Some("A"), "A"), (Some("1"), "A"), (Some("试验"), "B")] {
            assert_eq!(choose(&state, wanted).unwrap(), ak);
        }
        assert!(choose(&state, Some("C")).unwrap_err().to_string().contains("门口"));
    }
}
