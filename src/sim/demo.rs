//! `kandian demo`: a province in a box. A server, a platform with its console, shops with cameras that upload video, and
//! users of the portals, in a directory that goes with it.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::Offset;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

use super::cameras::{CamerasOptions, Fleet};
use super::own_server::{OwnAccount, OwnServer, Wanted};
use super::platform::{PlatformOptions, Stand, SubAccount, stop_signal};
use crate::domain::Timestamp;
use crate::world::driven::{Drive, DrivenClock};
use crate::world::{Clock, os};

mod fill;
mod footage;

pub use fill::FillOptions;

const ACCOUNT: &str = "江苏电信";
const SHOPS: [&str; 6] = ["鼓楼便利店", "夫子庙茶馆", "新街口药房", "玄武水果店", "江宁五金店", "栖霞书店"];
const PLACES: [&str; 4] = ["门口", "收银台", "仓库", "后门"];
/// What a GB is, so that a sub-account is full soon enough.
const GIGABYTE: u64 = 64 << 20;
const SPACE: u32 = 1000;
/// A recording is at least so long.
const CLIP_SECONDS: u64 = 10;
/// However fast time goes, a camera has so long for each recording.
const REALLY_EACH: Duration = Duration::from_millis(500);
const CONSOLE: SocketAddr = SocketAddr::V4(std::net::SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, 9005));
/// China's time, in which `--at` is.
const CHINA: Offset = Offset::constant(8);
/// How many real seconds a signature may be late, where time is driven, and the least and the most that `s3.clock_skew` is.
const SKEW_REALLY: u64 = 30;
const SKEW_SECONDS_MIN: u64 = 900;
const SKEW_SECONDS_MAX: u64 = 7 * 86_400;
/// How often is looked whether the server is still there.
const LOOK: Duration = Duration::from_millis(500);

/// Options of `kandian demo`.
#[derive(Clone, Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct DemoOptions {
    #[command(subcommand)]
    command: Option<DemoCommand>,
    /// Shops
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=100))]
    shops: u16,
    /// Cameras in each
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=20))]
    cameras: u16,
    /// Let time go so many times as fast, the server's too: 1440 is a day in a minute
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    speed: u32,
    /// Let it be this time in China when it begins (2026-12-01T08:00) [default: now]
    #[arg(long, value_name = "TIME")]
    at: Option<DateTime>,
    /// Where the platform's console is [default: 127.0.0.1:9005, or a free port]
    #[arg(long, value_name = "ADDR")]
    console: Option<SocketAddr>,
    /// Where its directory is made [default: that for temporary files]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Upload the clips that are in the program, even where ffmpeg could make others
    #[arg(long)]
    no_ffmpeg: bool,
    /// Print a line of JSON when all is there
    #[arg(long)]
    json: bool,
}

/// What is done with a demonstration that runs.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum DemoCommand {
    /// Fill a sub-account to a share of its space, and show the warning, the overwrite and the alerts as they come
    Fill(FillOptions),
}

/// Runs it until Ctrl-C, or does something with one that runs.
///
/// # Errors
///
/// Something of it cannot be started, or ends by itself.
pub async fn run(options: DemoOptions) -> io::Result<()> {
    match options.command {
        Some(DemoCommand::Fill(fill)) => fill::run(fill).await,
        None => {
            let stop = stop_signal()?;
            tokio::select! {
                done = show(options) => done,
                () = stop => Ok(()),
            }
        }
    }
}

/// All of it, as long as it is polled. What it has started goes with it.
async fn show(options: DemoOptions) -> io::Result<()> {
    let say = |text: &str| if options.json { Ok(()) } else { writeln!(io::stdout(), "{text}") };
    let (clock, drive) = time(&options)?;
    let (feed, mut calls) = mpsc::unbounded_channel();
    let stand = Stand::start(platform(&options), Some(feed), Arc::clone(&clock)).await?;
    say("a server is started …")?;
    let (callback, dir) = (stand.callback.clone(), options.dir.clone().unwrap_or_else(std::env::temp_dir));
    let (mut server, account, users) = blocking(move || open(drive, &dir, &callback)).await?;
    stand.desk.add_account(&account.name, Some(account.password.clone()), Some(account.soap.clone()));

    say("the cameras film …")?;
    let footage = server.home().join("footage");
    let (to, at, with_ffmpeg) = (footage.clone(), clock.now().millis().div_euclid(1000), !options.no_ffmpeg);
    let filmed = blocking(move || footage::film(&to, CLIP_SECONDS, at, with_ffmpeg)).await?;

    let mut known = testing_grounds(&account).await?;
    let fleet = Fleet::open(cameras(&options, &account, &*clock, footage), Arc::clone(&clock)).await?;
    for (number, opened) in fleet.sub_accounts().enumerate() {
        let each = usize::from(options.cameras);
        let (shop, place) = (number / each, number % each);
        let name = format!("{} {}", nth(&SHOPS, shop), nth(&PLACES, place));
        known.push(SubAccount::new(&name, &account.name, opened.clone(), Some(1), true));
    }
    for sub in &mut known {
        sub.number = stand.desk.add_sub_account(sub.clone());
    }
    let named: Vec<_> = known.iter().map(|sub| (sub.ak.clone(), sub.name.clone())).collect();
    let server_again = blocking(move || {
        for (ak, name) in named {
            server.command(&["sub-account", "name", &ak, "--name", &name])?;
        }
        Ok(server)
    });
    server = server_again.await?;

    let facts = facts(&options, &server, &stand, &account, &users, &known, filmed)?;
    let note = json!({ "pid": std::process::id(), "console": facts["console"] });
    std::fs::write(server.home().join(fill::NOTE), note.to_string())?;
    let sheet = if options.json { format!("{facts}\n") } else { sheet(&facts) };
    io::stdout().lock().write_all(sheet.as_bytes())?;
    io::stdout().flush()?;

    let (_tell, told) = watch::channel(false);
    let filming = fleet.run(told);
    let telling = async {
        while let Some(got) = calls.recv().await {
            let alert = format!("alert {} {}: {}, {}", got.s3ak, got.alert, got.check, got.did);
            // Nobody there to read it is no reason to stop.
            let _ = say(&alert);
        }
    };
    tokio::select! {
        ended = filming => ended.and_then(|summary| Err(io::Error::other(format!("the cameras have ended\n{}", summary.text())))),
        () = telling => Err(io::Error::other("the platform has ended")),
        why = ended(&mut server) => Err(why),
    }
}

/// The clock of all of it, and how the server's is driven where it is.
fn time(options: &DemoOptions) -> io::Result<(Arc<dyn Clock>, Option<Drive>)> {
    let real = os::world().clock;
    let began = real.now();
    if options.speed == 1 && options.at.is_none() {
        return Ok((real, None));
    }
    let at = match options.at {
        None => began,
        Some(at) => {
            let at = CHINA.to_timestamp(at).map_err(|error| io::Error::other(format!("--at: {error}")))?;
            Timestamp::from_millis(at.as_millisecond())
        }
    };
    let drive = Drive::new(began, at, options.speed).map_err(io::Error::other)?;
    Ok((Arc::new(DrivenClock::new(real, drive)), Some(drive)))
}

fn platform(options: &DemoOptions) -> PlatformOptions {
    let free = || std::net::TcpListener::bind(CONSOLE).is_ok();
    let any = || SocketAddr::from(([127, 0, 0, 1], 0));
    let console = options.console.unwrap_or_else(|| if free() { CONSOLE } else { any() });
    PlatformOptions {
        account: None,
        console: Some(console),
        no_console: false,
        bytes_per_gb: GIGABYTE,
        show_secrets: false,
        ..PlatformOptions::quiet(any(), ACCOUNT)
    }
}

/// Starts the server, opens the account and makes the users: name, role, password. Blocks.
fn open(
    drive: Option<Drive>,
    dir: &std::path::Path,
    callback: &str,
) -> io::Result<(OwnServer, OwnAccount, Vec<[String; 3]>)> {
    let mut wanted = Wanted {
        name: "demo",
        settings: vec![
            ("space", "bytes_per_gb", GIGABYTE.to_string()),
            ("storage", "reserve", "\"0%\"".to_owned()),
            ("alerts", "first_retry", "\"1s\"".to_owned()),
            // However fast time goes, who has signed in stays so, and what is signed is still believed.
            ("portal", "idle_timeout", "\"24h\"".to_owned()),
            ("portal", "session_timeout", "\"7d\"".to_owned()),
            ("s3", "presign_ttl", "\"7d\"".to_owned()),
        ],
        drive,
        ..Wanted::default()
    };
    if let Some(drive) = drive {
        // What takes a moment from the signature to the server takes hours by a clock that hurries.
        let seconds = SKEW_SECONDS_MIN.max(u64::from(drive.speed()).saturating_mul(SKEW_REALLY)).min(SKEW_SECONDS_MAX);
        wanted.settings.push(("s3", "clock_skew", format!("\"{seconds}s\"")));
    }
    let server = OwnServer::start(&wanted, dir)?;
    let account = server.open_account(ACCOUNT, SPACE, Some(callback))?;
    let mut users = Vec::new();
    for (name, role, of) in [("yunying", "operations", None), ("jiangsu", "province", Some(ACCOUNT))] {
        let mut words = vec!["user", "add", name, "--role", role];
        words.extend(of.iter().flat_map(|of| ["--account", *of]));
        let made = server.command(&words)?;
        let password = made.get("password").and_then(Value::as_str);
        let password = password.ok_or_else(|| io::Error::other("`user add` answers without a password"))?;
        users.push([name, role, password].map(str::to_owned));
    }
    Ok((server, account, users))
}

/// Two sub-accounts without a camera, to be filled: one that stops when it is full, and one that overwrites.
async fn testing_grounds(account: &OwnAccount) -> io::Result<Vec<SubAccount>> {
    let mut platform = account.platform()?;
    let mut known = Vec::new();
    for (name, looping) in [("试验：满则停", false), ("试验：循环覆盖", true)] {
        let opened = platform.open_sub_account(1).await?;
        platform.set_loop(&opened, looping).await?;
        known.push(SubAccount::new(name, &account.name, opened, Some(1), looping));
    }
    Ok(known)
}

fn cameras(options: &DemoOptions, account: &OwnAccount, clock: &dyn Clock, footage: PathBuf) -> CamerasOptions {
    let soap = format!("http://{}{}", account.soap.host(), account.soap.path());
    let really = REALLY_EACH.as_secs_f64() * f64::from(options.speed);
    let every = Duration::from_secs(CLIP_SECONDS).max(Duration::from_secs_f64(really.ceil()));
    let now = jiff::Timestamp::from_millisecond(clock.now().millis()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    CamerasOptions {
        cameras: usize::from(options.shops) * usize::from(options.cameras),
        clips: u64::MAX,
        every: Some(every),
        speed: f64::from(options.speed),
        from: CHINA.to_datetime(now),
        correct_clock: true,
        loop_mode: true,
        files: Some(footage),
        ..CamerasOptions::usual(&soap, &account.name, &account.password)
    }
}

/// What a tester is told.
fn facts(
    options: &DemoOptions,
    server: &OwnServer,
    stand: &Stand,
    account: &OwnAccount,
    users: &[[String; 3]],
    known: &[SubAccount],
    filmed: footage::From,
) -> io::Result<Value> {
    let at = |plane: &str| server.address(plane).map(|address| format!("http://{address}"));
    let user = |[name, role, password]: &[String; 3]| json!({ "name": name, "role": role, "password": password });
    let sub = |sub: &SubAccount| {
        json!({
            "number": sub.number,
            "name": sub.name,
            "ak": sub.ak,
            "sk": sub.sk.expose(),
            "record_bucket": sub.opened.as_ref().map(|opened| opened.recordings.as_str()),
            "picture_bucket": sub.opened.as_ref().map(|opened| opened.pictures.as_str()),
            "loop": sub.looping,
        })
    };
    Ok(json!({
        "portal": at("portal")?,
        "console": stand.console,
        "s3": at("s3")?,
        "soap": format!("http://{}{}", account.soap.host(), account.soap.path()),
        "metrics": at("metrics")?,
        "callback": stand.callback,
        "account": { "name": account.name, "password": account.password.expose() },
        "users": users.iter().map(user).collect::<Vec<_>>(),
        "sub_accounts": known.iter().map(sub).collect::<Vec<_>>(),
        "bytes_per_gb": GIGABYTE,
        "footage": filmed.words(),
        "speed": options.speed,
        "at": options.at.map(|at| at.to_string()),
        "directory": server.home(),
        "pid": server.pid(),
    }))
}

fn sheet(facts: &Value) -> String {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let of = |name: &str| text(&facts[name]);
    let mut out = format!("\n运营与省级门户 / portals      {}\n", of("portal"));
    for user in facts["users"].as_array().into_iter().flatten() {
        out += &format!("    {:<10} {:<12} {}\n", text(&user["role"]), text(&user["name"]), text(&user["password"]));
    }
    out += &format!("平台控制台 / platform console  {}\n", of("console"));
    out += &format!("接口 / SOAP                    {}\n", of("soap"));
    let (name, password) = (text(&facts["account"]["name"]), text(&facts["account"]["password"]));
    out += &format!("    account    {name:<12} {password}\n");
    out += &format!("对象存储 / S3                  {}\n", of("s3"));
    for sub in facts["sub_accounts"].as_array().into_iter().flatten() {
        let end = if sub["loop"] == true { "overwrites" } else { "stops when full" };
        out += &format!("    {} {} {}  {end}\n", text(&sub["number"]), text(&sub["ak"]), text(&sub["name"]));
    }
    if facts["speed"] != 1 || !facts["at"].is_null() {
        out += &format!(
            "time is driven: {} times as fast, from {}; real clients' signatures are refused\n",
            of("speed"),
            of("at")
        );
    }
    out + &format!(
        "video: {}. 1 GB is 64 MiB here. Fill a sub-account: kandian demo fill 81. Ctrl-C ends it and removes {}\n\n",
        of("footage"),
        of("directory")
    )
}

/// When the server ends by itself.
async fn ended(server: &mut OwnServer) -> io::Error {
    loop {
        tokio::time::sleep(LOOK).await;
        match server.has_ended() {
            Ok(false) => {}
            Ok(true) => return io::Error::other("the server has ended"),
            Err(error) => return error,
        }
    }
}

/// The name of this number; when they are used up they have numbers.
fn nth(names: &[&str], number: usize) -> String {
    let (turn, at) = (number / names.len(), number % names.len());
    let name = names.get(at).copied().unwrap_or_default();
    if turn == 0 { name.to_owned() } else { format!("{name} {}", turn + 1) }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        options: DemoOptions,
    }

    fn options(words: &[&str]) -> DemoOptions {
        Cli::try_parse_from(std::iter::once(&"x").chain(words)).unwrap().options
    }

    #[test]
    fn time_is_real_unless_it_is_asked_to_be_driven() {
        assert!(time(&options(&[])).unwrap().1.is_none());
        let (clock, drive) = time(&options(&["--at", "2026-12-01T08:00", "--speed", "1440"])).unwrap();
        let (drive, now) = (drive.unwrap().to_string(), clock.now());
        let eight = Timestamp::from_seconds(1_796_083_200);
        assert!(drive.ends_with(&format!(",{},1440", eight.millis())), "{drive}");
        assert!(now >= eight && now < eight.plus(Duration::from_secs(86_400)));
        assert!(time(&options(&["--speed", "60"])).unwrap().1.is_some());
    }

    #[test]
    fn cameras_keep_up_with_time_however_fast_it_goes() {
        let account = OwnAccount {
            name: ACCOUNT.to_owned(),
            password: crate::domain::Secret::new("p"),
            soap: crate::sim::client::Endpoint::parse("http://127.0.0.1:1/s").unwrap(),
        };
        for (speed, every) in [("1", 10), ("60", 30), ("1440", 720)] {
            let options = options(&["--speed", speed, "--shops", "2", "--cameras", "3"]);
            let made = cameras(&options, &account, &*os::world().clock, PathBuf::new());
            assert_eq!((made.every, made.cameras), (Some(Duration::from_secs(every)), 6));
            assert_eq!(made.soap, "http://127.0.0.1:1/s");
        }
    }

    #[test]
    fn names_do_not_run_out() {
        assert_eq!((nth(&PLACES, 0).as_str(), nth(&PLACES, 5).as_str()), ("门口", "收银台 2"));
    }
}
