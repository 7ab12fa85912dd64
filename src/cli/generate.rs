//! `kandian generate`: man pages and completions, made of the command line itself, for packages; the reference of the API,
//! made of its table, for its page.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use super::output::{Done, print};

const NAME: &str = "kandian";
const SOURCE: &str = concat!("kandian ", env!("CARGO_PKG_VERSION"));
/// Every key, its default and what it is: the page of section 5 is the file itself.
const SAMPLE: &str = include_str!("../../appliance.toml");

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// A man page for each command, and one for appliance.toml
    Man {
        /// Where they go; made where it is not there
        #[arg(value_name = "DIR")]
        dir: PathBuf,
    },
    /// Completions for a shell, to stdout
    Completions {
        /// Whose
        #[arg(value_name = "SHELL")]
        shell: Shell,
    },
    /// The reference of the JSON API, as docs/api.md has it, to stdout
    Api,
}

pub fn run(command: &Command) -> Done {
    match command {
        Command::Man { dir } => write(dir).map_err(|error| format!("{}: {error}", dir.display()))?,
        Command::Completions { shell } => print(&completions(*shell)),
        Command::Api => print(&crate::api::reference()),
    }
    Ok(ExitCode::SUCCESS)
}

fn write(dir: &Path) -> io::Result<()> {
    std::fs::create_dir_all(dir)?;
    for (name, page) in pages()? {
        std::fs::write(dir.join(name), page)?;
    }
    Ok(())
}

/// Each page by the name of its file.
fn pages() -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut root = super::Cli::command();
    root.build();
    let mut pages = vec![("appliance.toml.5".to_owned(), configuration()?)];
    let mut to_do = vec![root];
    while let Some(command) = to_do.pop() {
        to_do.extend(command.get_subcommands().filter(|command| !command.is_hide_set()).cloned());
        let man = Man::new(command).source(SOURCE).manual(NAME);
        let mut page = Vec::new();
        man.render(&mut page)?;
        pages.push((man.get_filename(), page));
    }
    Ok(pages)
}

fn configuration() -> io::Result<Vec<u8>> {
    let mut roff = Roff::new();
    roff.control("TH", ["appliance.toml", "5", "", SOURCE, NAME]);
    roff.control("SH", ["NAME"]).text([roman("appliance.toml - configuration of kandian")]);
    roff.control("SH", ["DESCRIPTION"]);
    roff.text([roman("Every key with its default. What is left out has it.")]);
    // As it is written: no lines are filled.
    roff.control("PP", []).control("nf", []);
    for line in SAMPLE.lines() {
        if line.is_empty() {
            roff.control("sp", []);
        } else {
            roff.text([roman(line)]);
        }
    }
    roff.control("fi", []);
    roff.control("SH", ["SEE ALSO"]).text([roman("kandian-config-check(1), kandian-config-show(1)")]);
    let mut page = Vec::new();
    roff.to_writer(&mut page)?;
    Ok(page)
}

fn completions(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut super::Cli::command(), NAME, &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_that_is_shown_has_a_page_under_its_own_name() {
        let pages = pages().expect("rendered");
        let page = |name: &str| pages.iter().find(|(there, _)| there == name).map(|(_, page)| page);
        for name in ["kandian.1", "kandian-serve.1", "kandian-account-open.1", "kandian-billing-tariff-add.1"] {
            let text = String::from_utf8_lossy(page(name).expect(name)).into_owned();
            let title = format!(".TH {} 1", name.trim_end_matches(".1"));
            assert!(text.contains(&title), "{name}: {text}");
            assert!(text.contains(SOURCE) && text.contains(r"\-\-config"), "{name}: {text}");
        }
        assert!(!pages.iter().any(|(name, _)| name.contains("generate")));
        let names: std::collections::BTreeSet<_> = pages.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), pages.len());
    }

    #[test]
    fn the_page_of_the_configuration_has_every_line_of_it() {
        // A hyphen is written so that it stays one when the page is copied from.
        let page = String::from_utf8(configuration().expect("rendered")).expect("UTF-8").replace(r"\-", "-");
        for line in SAMPLE.lines().filter(|line| line.contains(" = ")) {
            let (key, _) = line.split_once(" = ").expect("a key");
            assert!(page.contains(key), "{line}");
        }
    }

    #[test]
    fn completions_know_commands_and_options() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = completions(shell);
            for word in ["sub-account", "rebuild", "max-sub-accounts"] {
                assert!(script.contains(word), "{shell}: {word}");
            }
        }
    }
}
