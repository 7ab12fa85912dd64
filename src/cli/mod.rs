//! The command line, a file a command.

mod account;
mod alerts;
mod backup;
mod billing;
mod bundle;
mod certificate;
mod config;
mod doctor;
mod extract;
mod file;
mod generate;
mod index;
mod key;
mod output;
mod overview;
mod reach;
mod save;
mod signature;
mod soap;
mod space;
mod stats;
mod status;
mod sub_account;
mod upgrade;
mod user;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::app::Source;
use crate::config::Config;
use crate::world::driven::Drive;
use output::Done;

/// 看店云存储 / the cloud store of 中国电信手机看店云存储技术规范 V1.2
#[derive(Debug, Parser)]
#[command(name = "kandian", version, propagate_version = true, disable_help_subcommand = true)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Option<Command>,
}

/// Before or after any command.
#[derive(Clone, Debug, Default, Args)]
struct Global {
    /// Configuration file [default: ./appliance.toml where it is there]
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// Data directory instead of storage.data_dir
    #[arg(long, value_name = "DIR", global = true)]
    data: Option<PathBuf>,
    /// One key of the configuration; repeatable
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE", global = true)]
    sets: Vec<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the appliance in the foreground (also: no command)
    Serve {
        /// Only read, write nothing: for a box whose disk is dying (storage.salvage)
        #[arg(long)]
        salvage: bool,
        /// Another clock than the system's; only in a directory that `kandian demo` has made
        #[arg(long, value_name = "REAL,SHOWN,SPEED", hide = true)]
        demo_clock: Option<Drive>,
    },
    /// Accounts of provinces (6.1)
    #[command(subcommand)]
    Account(account::Command),
    /// Sub-accounts of cameras
    #[command(subcommand)]
    SubAccount(sub_account::Command),
    /// Recordings and pictures of a sub-account
    #[command(subcommand)]
    File(file::Command),
    /// Space: who has what, when it is full, what is overwritten next, why files are gone
    #[command(subcommand)]
    Space(space::Command),
    /// Settlement: tariffs, samples, statements
    #[command(subcommand)]
    Billing(billing::Command),
    /// Users of the portals
    #[command(subcommand)]
    User(user::Command),
    /// Space, queues, disks, alerts, versions
    Status(output::Json),
    /// Health, space and when it is full, what comes in, what wants to be looked at
    Overview(output::Json),
    /// What came, went and was refused over time; top lists; growth
    Stats(stats::Stats),
    /// Alerts to platforms (section 8)
    #[command(subcommand, visible_alias = "alert")]
    Alerts(alerts::Alerts),
    /// Who did what
    #[command(subcommand)]
    Audit(alerts::Audit),
    /// The index against the volumes
    #[command(subcommand)]
    Index(index::Command),
    /// Read everything, verify every checksum
    Scrub(index::Scrub),
    /// The master key, under which secrets are sealed
    #[command(subcommand)]
    Key(key::Command),
    /// Accounts, keys, settings and index (not the media) into a directory, while the server runs
    Backup(backup::Backup),
    /// Put a backup back, and hold it against the volumes; the server must not run
    Restore(backup::Restore),
    /// What this release would do to a store of another, and the way back
    Upgrade(upgrade::Upgrade),
    /// Files out of the volumes of a dead box, without its index
    Extract(Box<extract::Options>),
    /// The configuration
    #[command(subcommand)]
    Config(config::Command),
    /// What the listeners show: names, dates, fingerprints
    Certificate(certificate::Certificate),
    /// Look at disks, limits, ports, certificates and the clock; or at why a key's signatures are refused
    Doctor(doctor::Doctor),
    /// Everything that somebody needs who is asked for help, in one archive: never a secret
    SupportBundle(bundle::Options),
    /// One call of section 7, as a platform makes it
    #[command(subcommand)]
    Soap(soap::Command),
    /// The specification, clause by clause, against a server that runs or one that is started for it
    Selftest(Box<crate::sim::selftest::SelftestOptions>),
    /// The testers' stand-ins
    #[command(subcommand)]
    Sim(Sim),
    /// A province in a box: server, platform, cameras with real video and portals, in a directory that goes with it
    Demo(Box<crate::sim::demo::DemoOptions>),
    /// Load against this or any S3 endpoint
    Bench(Box<crate::bench::BenchOptions>),
    /// Man pages and completions, for packages
    #[command(subcommand, hide = true)]
    Generate(generate::Command),
}

#[derive(Debug, Subcommand)]
enum Sim {
    /// A platform that takes alerts
    Platform(Box<crate::sim::platform::PlatformOptions>),
    /// Cameras that upload
    Cameras(Box<crate::sim::cameras::CamerasOptions>),
}

/// Runs a command line; the exit code is 0 where it did what was asked.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut arguments: Vec<OsString> = arguments.into_iter().collect();
    join_sets(&mut arguments);
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return output::fail(&format!("cannot start: {error}")),
    };
    let done = runtime.block_on(run(cli));
    // A blocking task that hangs on a dead disk must not hold the process.
    runtime.shutdown_timeout(std::time::Duration::from_secs(5));
    match done {
        Ok(code) => code,
        Err(message) => output::fail(&message),
    }
}

async fn run(cli: Cli) -> Done {
    let Global { config: file, data, sets } = cli.global;
    let source = Source { file, data, sets, drive: None };
    let source = match cli.command {
        Some(Command::Serve { salvage: true, demo_clock: drive }) => Source { drive, ..source }.in_salvage_mode(),
        Some(Command::Serve { salvage: false, demo_clock: drive }) => Source { drive, ..source },
        _ => source,
    };
    match cli.command {
        None | Some(Command::Serve { .. }) => {
            let config = load(&source)?;
            crate::app::serve(config, source).await?;
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::Config(command)) => config::run(command, &source).await,
        Some(Command::Account(command)) => account::run(command, &load(&source)?).await,
        Some(Command::SubAccount(command)) => sub_account::run(command, &load(&source)?).await,
        Some(Command::File(command)) => file::run(command, &load(&source)?).await,
        Some(Command::Space(command)) => space::run(command, &load(&source)?).await,
        Some(Command::Billing(command)) => billing::run(command, &load(&source)?).await,
        Some(Command::User(command)) => user::run(command, &load(&source)?).await,
        Some(Command::Status(json)) => status::run(json, &load(&source)?).await,
        Some(Command::Overview(json)) => overview::run(json, &load(&source)?).await,
        Some(Command::Stats(stats)) => stats::run(stats, &load(&source)?).await,
        Some(Command::Alerts(command)) => alerts::run(command, &load(&source)?).await,
        Some(Command::Audit(command)) => alerts::run_audit(command, &load(&source)?).await,
        Some(Command::Index(command)) => index::run(command, &load(&source)?).await,
        Some(Command::Scrub(scrub)) => index::run_scrub(scrub, &load(&source)?).await,
        Some(Command::Certificate(command)) => certificate::run(&command, &source),
        Some(Command::Key(command)) => key::run(command, &load(&source)?).await,
        Some(Command::Backup(options)) => backup::run(options, &load(&source)?).await,
        Some(Command::Restore(options)) => backup::run_restore(options, &load(&source)?).await,
        Some(Command::Upgrade(upgrade)) => upgrade::run(upgrade, &load(&source)?).await,
        Some(Command::Extract(options)) => extract::run(*options).await,
        Some(Command::Doctor(doctor)) => doctor::run(doctor, &load(&source)?, &source).await,
        Some(Command::SupportBundle(options)) => bundle::run(options, &load(&source)?, &source).await,
        Some(Command::Soap(command)) => soap::run(command).await,
        Some(Command::Selftest(options)) => match crate::sim::selftest::run(*options).await {
            Ok(true) => Ok(ExitCode::SUCCESS),
            Ok(false) => Ok(ExitCode::FAILURE),
            Err(error) => Err(error.to_string()),
        },
        Some(Command::Sim(Sim::Platform(options))) => finished(crate::sim::platform::run(*options).await),
        Some(Command::Sim(Sim::Cameras(options))) => finished(crate::sim::cameras::run(*options).await),
        Some(Command::Demo(options)) => finished(crate::sim::demo::run(*options).await),
        Some(Command::Bench(options)) => finished(crate::bench::run(*options).await),
        Some(Command::Generate(command)) => generate::run(&command),
    }
}

fn finished(result: std::io::Result<()>) -> Done {
    result.map(|()| ExitCode::SUCCESS).map_err(|error| error.to_string())
}

fn load(source: &Source) -> Result<Config, String> {
    source.load().map_err(|bad| bad.to_string())
}

/// clap takes a global list from the last place that names it only; `--set` before and after a
/// command shall count alike, so those before move behind it.
fn join_sets(arguments: &mut Vec<OsString>) {
    let end = arguments.iter().position(|a| a == "--").unwrap_or(arguments.len());
    let mut moved = Vec::new();
    let mut i = 1;
    let mut last = end;
    while i < last {
        let text = arguments[i].to_string_lossy().into_owned();
        let words = match text.as_str() {
            "--set" if i + 1 < last => 2,
            other if other.starts_with("--set=") => 1,
            _ => 0,
        };
        if words == 0 {
            i += 1;
        } else {
            moved.extend(arguments.drain(i..i + words));
            last -= words;
        }
    }
    arguments.splice(last..last, moved);
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> Result<Cli, String> {
        let mut arguments: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        join_sets(&mut arguments);
        Cli::try_parse_from(arguments).map_err(|error| error.to_string())
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_of_the_interface_is_there() {
        for line in [
            "kandian",
            "kandian serve --salvage",
            "kandian serve --config a.toml --data d --set s3.listen=127.0.0.1:0",
            "kandian account open N --space 10 --password p --alert-url http://a/b --max-sub-accounts 5 --json",
            "kandian account list --json",
            "kandian account show N --json",
            "kandian account modify N --space 5 --password p --alert-url= --max-sub-accounts 3 --callback-namespace urn:a \
             --callback-operation op --callback-soap-action urn:x --callback-soap-version 1.2 --callback-unqualified \
             --callback-charset GBK --json",
            "kandian account modify N --callback-unqualified=false",
            "kandian account close N --yes",
            "kandian account key N --json",
            "kandian sub-account list N --json",
            "kandian sub-account show AK --json",
            "kandian file find AK --kind picture --from 2026-11-25T08:00 --to 2026-11-25T09:00:00 --locked --name x --json",
            "kandian file find AK --day 2026-11-25 --at 100 --most 20",
            "kandian file day AK 2026-11-25 --json",
            "kandian file show AK K --json",
            "kandian file get AK K -o F --force --json",
            "kandian file zip AK K1 K2 -o F",
            "kandian file zip AK --all --day 2026-11-25 -o F --json",
            "kandian file lock AK K1 K2 --reason r --json",
            "kandian file unlock AK K --kind picture --reason r",
            "kandian file delete AK K --yes --json",
            "kandian file delete AK --all --to 2026-11-25 --unlocked --dry-run",
            "kandian user add N --role province --account A --password-stdin --json",
            "kandian user passwd N --json",
            "kandian user list --json",
            "kandian user remove N",
            "kandian user disable N",
            "kandian user enable N",
            "kandian user no-second-factor N",
            "kandian space list --account N --state above --sort kept --find x --skip 5 --most 9 --json",
            "kandian space list --csv",
            "kandian space accounts --json",
            "kandian space forecast AK --json",
            "kandian space days AK --json",
            "kandian space box --json",
            "kandian space gone KEY --ak AK --from-ms 5 --to-ms 9 --json",
            "kandian space gone --bucket B",
            "kandian status --json",
            "kandian alerts list --json",
            "kandian alerts resend 7",
            "kandian alert list --state given_up --kind full --account A --ak K --acknowledged=false --test=true --json",
            "kandian alert show 7 --json",
            "kandian alert ack 7",
            "kandian alert ack 7 --undo --json",
            "kandian alert comment 7 text",
            "kandian alert test A --ak K --alert full --json",
            "kandian audit export --account A --refused --from-ms 1 --until-ms 2 --who w --what x --target t --text y",
            "kandian account contents N --json",
            "kandian audit list --json",
            "kandian audit verify --json",
            "kandian audit verify --file F --json",
            "kandian audit export --chain",
            "kandian account suspend N",
            "kandian account resume N --json",
            "kandian index check --json",
            "kandian index rebuild --json",
            "kandian scrub --json",
            "kandian key show --json",
            "kandian key rotate --json",
            "kandian scrub --rate 50MB/s",
            "kandian backup DIR --without-master-key --json",
            "kandian restore DIR --force --json",
            "kandian extract /disk1 /disk2/vol-00000001.kdv --to out --journal j --account A --bucket b --with-damaged --json",
            "kandian config check --json",
            "kandian config show --json",
            "kandian config reload",
            "kandian config diff --json",
            "kandian config diff --running --json",
            "kandian doctor --json",
            "kandian doctor signature AK --json",
            "kandian support-bundle b.tar.gz --redact --without-check --force",
            "kandian billing tariff add N --price 0.3 --from 2026-01-01 --json",
            "kandian billing tariff add N --tier 100:0.5 --tier *:0.3 --from 2026-01-01",
            "kandian billing tariff add N --package 500 --flat 120 --overage 0.35 --from 2026-01-01",
            "kandian billing tariff assign A N --from 2026-01-01",
            "kandian billing tariff list --json",
            "kandian billing statement issue A 2026-11",
            "kandian billing statement adjust A 2026-11 --amount -5 --reason r",
            "kandian billing statement settle A 2026-11",
            "kandian billing sample list A 2026-11 --json",
            "kandian billing export 2026-11 --format xlsx -o m.xlsx",
            "kandian billing export 2026-11 --account A -o -",
            "kandian billing reconcile 2026-11 crm.csv --json",
            "kandian overview --json",
            "kandian stats --period 30d --account A --json",
            "kandian stats --period 12m --by refused --csv",
            "kandian generate man DIR",
            "kandian generate completions fish",
            "kandian demo --shops 2 --cameras 1 --speed 1440 --at 2026-12-01T08:00 --console 127.0.0.1:0 --json",
            "kandian demo fill 81 --sub-account AK --console http://127.0.0.1:9005",
            "kandian sim cameras --account A --password p --style mixed --domain s3.example --every 10s --bit-rate 512kbit",
            "kandian sim platform --console 127.0.0.1:0 --soap http://127.0.0.1:9001 --account A --play slow=3",
        ] {
            assert!(parse(line).is_ok(), "{line}: {:?}", parse(line).err());
        }
        for line in [
            "kandian nonsense",
            "kandian audit export --chain --who w",
            "kandian extract --to out",
            "kandian extract /disk1",
            "kandian account open N",
            "kandian account modify N --callback-soap-version 1.3",
            "kandian file get AK",
            "kandian file lock AK K",
            "kandian file lock AK --reason r",
            "kandian file zip AK -o F",
            "kandian file zip AK K --all -o F",
            "kandian file zip AK K --day 2026-11-25 -o F",
            "kandian file find AK --kind film",
            "kandian file find AK --from 25.11.2026",
            "kandian file find AK --locked --unlocked",
            "kandian file delete AK",
            "kandian user add N",
            "kandian user add N --role root",
            "kandian stats --period 7d",
            "kandian stats --csv --json",
            "kandian demo --speed 0",
            "kandian demo --at tomorrow",
            "kandian demo fill",
            "kandian demo --shops 2 fill 81",
            "kandian sim platform --no-console --console 127.0.0.1:0",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn settings_count_before_and_after_a_command() {
        let cli = parse("kandian --set a.b=1 --data d status --set=c.d=2 --json --set e.f=3").expect("right");
        assert_eq!(cli.global.sets, ["a.b=1", "c.d=2", "e.f=3"]);
        assert_eq!(cli.global.data, Some(PathBuf::from("d")));
        let cli = parse("kandian status --data d").expect("right");
        assert_eq!(cli.global.data, Some(PathBuf::from("d")));
        let cli = parse("kandian --set a.b=1").expect("right");
        assert_eq!(cli.global.sets, ["a.b=1"]);
    }
}
