//! Files that the operator names: a download into one, there under its name once it is whole, and never instead of
//! another; and one that is read.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use crate::api::{Download, Failure};

/// Where a download goes.
#[derive(Clone, Debug, clap::Args)]
pub struct To {
    /// The file; `-` is stdout
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Replace the file where it is there
    #[arg(long)]
    force: bool,
}

/// The text of a file that the operator names.
pub fn read(file: &Path) -> Result<String, String> {
    fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))
}

impl To {
    /// Whether it goes to stdout.
    pub fn is_stdout(&self) -> bool {
        self.output == Path::new("-")
    }

    /// Its name, for people.
    pub fn name(&self) -> String {
        self.output.display().to_string()
    }

    /// Says no before anything is asked for.
    pub fn check(&self) -> Result<(), String> {
        if self.is_stdout() {
            return if io::stdout().is_terminal() {
                Err("stdout is a terminal; name a file".to_owned())
            } else {
                Ok(())
            };
        }
        if self.output.is_dir() {
            return Err(format!("{} is a directory", self.name()));
        }
        if self.output.exists() && !self.force {
            return Err(format!("{} is there already; --force replaces it", self.name()));
        }
        Ok(())
    }

    /// Takes a download to its end; its bytes.
    pub async fn take(&self, download: Download) -> Result<u64, Failure> {
        if self.is_stdout() {
            return pour(download, &mut io::stdout().lock()).await;
        }
        let part = self.part();
        let mut file =
            OpenOptions::new().write(true).create_new(true).open(&part).map_err(|error| at(&part, &error))?;
        match pour(download, &mut file).await.and_then(|bytes| self.keep(&file, &part).map(|()| bytes)) {
            Ok(bytes) => Ok(bytes),
            Err(failure) => {
                // What is not whole is nothing.
                let _ = fs::remove_file(&part);
                Err(failure)
            }
        }
    }

    /// Beside the file, so that it can take its name.
    fn part(&self) -> PathBuf {
        let mut name = self.output.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.part", std::process::id()));
        self.output.with_file_name(name)
    }

    fn keep(&self, file: &File, part: &Path) -> Result<(), Failure> {
        file.sync_all().map_err(|error| at(part, &error))?;
        if self.force {
            return fs::rename(part, &self.output).map_err(|error| at(&self.output, &error));
        }
        // A link takes no other's place.
        fs::hard_link(part, &self.output).map_err(|error| at(&self.output, &error))?;
        fs::remove_file(part).map_err(|error| at(part, &error))
    }
}

async fn pour(mut download: Download, out: &mut impl Write) -> Result<u64, Failure> {
    let mut bytes = 0;
    while let Some(piece) = download.next().await? {
        out.write_all(&piece).map_err(Failure::Output)?;
        bytes += piece.len() as u64;
    }
    out.flush().map_err(Failure::Output)?;
    Ok(bytes)
}

fn at(path: &Path, error: &io::Error) -> Failure {
    Failure::Output(io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}
