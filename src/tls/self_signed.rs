//! A certificate of our own making, for a box that has none: made at the first start, kept, renewed before it ends.
//!
//! One file, so that key and certificate are always a pair (`docs/storage-format.md`): the key as PKCS #8, then the
//! certificate, both PEM, mode 0600. The key stays when the certificate is renewed. Its bytes come from `ring`, as the
//! keys of every handshake do; the serial number comes from the world.

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use jiff::ToSpan;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    SerialNumber, date_time_ymd,
};
use zeroize::Zeroizing;

use super::Identity;
use crate::domain::Timestamp;
use crate::world::World;
use crate::world::disk::{read_file, replace_file};

/// Days that a certificate of ours lives: phones of one maker believe no server for longer.
const LIFE_DAYS: i32 = 825;
/// It is renewed when it has fewer days than this left.
pub const RENEW_DAYS: i64 = 30;
/// A clock that is behind ours must not find it too young.
const BEFORE_DAYS: i32 = 2;
const DAY_SECONDS: i64 = 86_400;

/// What the certificate shall be for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// What the configuration tells clients. A certificate that lacks one of them is made anew.
    pub configured: BTreeSet<String>,
    /// What the machine has: its name and addresses. They come and go, and who has installed the certificate wants it
    /// to stay, so that one that lacks them is kept.
    pub found: BTreeSet<String>,
}

/// How we came by the certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Came {
    /// It was there.
    Kept,
    /// There was none.
    Made,
    /// It had ended, or would soon.
    Renewed,
    /// The configuration tells clients a name that it was not for.
    Renamed(String),
    /// The file was no key and certificate; it is kept under this name.
    Replaced(PathBuf),
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum BadSelfSigned {
    /// The file cannot be read or written.
    #[error("{path}: {error}", path = .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It could not be made.
    #[error("cannot make a certificate: {0}")]
    Make(String),
}

/// The certificate in this file; where there is none that will do, a new one, durable on return.
///
/// # Errors
///
/// The file cannot be read or written, or no certificate can be made.
pub fn keep_or_make(world: &World, path: &Path, names: &Names) -> Result<(Identity, Came), BadSelfSigned> {
    let io = |error| BadSelfSigned::Io { path: path.to_owned(), error };
    let Some(file) = read_file(&*world.disk, path).map_err(io)?.map(Zeroizing::new) else {
        return Ok((make(world, path, names, None)?, Came::Made));
    };
    let now = world.clock.now();
    let (Ok(kept), Some(key)) = (Identity::from_pem(&file, &file), key_of(&file)) else {
        let mut aside = path.as_os_str().to_owned();
        aside.push(".damaged");
        let aside = PathBuf::from(aside);
        world.disk.rename(path, &aside).map_err(io)?;
        return Ok((make(world, path, names, None)?, Came::Replaced(aside)));
    };
    let facts = kept.facts();
    let left = facts.until.seconds().saturating_sub(now.seconds()) / DAY_SECONDS;
    if left < RENEW_DAYS {
        return Ok((make(world, path, names, Some(key))?, Came::Renewed));
    }
    match names.configured.iter().find(|name| !facts.is_for(name)) {
        Some(missing) => Ok((make(world, path, names, Some(key))?, Came::Renamed(missing.clone()))),
        None => Ok((kept, Came::Kept)),
    }
}

fn key_of(file: &[u8]) -> Option<KeyPair> {
    let text = std::str::from_utf8(file).ok()?;
    let end = text.find("-----BEGIN CERTIFICATE-----")?;
    KeyPair::from_pem(&text[..end]).ok()
}

fn make(world: &World, path: &Path, names: &Names, key: Option<KeyPair>) -> Result<Identity, BadSelfSigned> {
    let failed = |error: rcgen::Error| BadSelfSigned::Make(error.to_string());
    let key = match key {
        Some(key) => key,
        None => KeyPair::generate().map_err(failed)?,
    };
    let certificate = parameters(world, names).map_err(failed)?.self_signed(&key).map_err(failed)?;
    let file = Zeroizing::new(format!("{}{}", *Zeroizing::new(key.serialize_pem()), certificate.pem()));
    let identity = Identity::from_pem(file.as_bytes(), file.as_bytes());
    let identity = identity.map_err(|bad| BadSelfSigned::Make(bad.to_string()))?;
    replace_file(&*world.disk, path, file.as_bytes())
        .map_err(|error| BadSelfSigned::Io { path: path.to_owned(), error })?;
    Ok(identity)
}

fn parameters(world: &World, names: &Names) -> Result<CertificateParams, rcgen::Error> {
    let all: BTreeSet<String> =
        names.configured.union(&names.found).filter(|name| can_be_named(name)).cloned().collect();
    let common = names.configured.iter().chain(&names.found).find(|name| name.parse::<IpAddr>().is_err());
    let mut parameters = CertificateParams::new(all.iter().cloned().collect::<Vec<_>>())?;
    let mut subject = DistinguishedName::new();
    subject.push(DnType::OrganizationName, "kandian");
    // X.509 gives it 64 characters.
    let common = common.filter(|name| name.len() <= 64).map_or("kandian", String::as_str);
    subject.push(DnType::CommonName, common);
    parameters.distinguished_name = subject;
    let today = day(world.clock.now());
    let midnight = |days: i32| {
        let day = today.checked_add(days.days()).unwrap_or(today);
        let part = |number: i8| u8::try_from(number).unwrap_or(1);
        date_time_ymd(i32::from(day.year()), part(day.month()), part(day.day()))
    };
    (parameters.not_before, parameters.not_after) = (midnight(-BEFORE_DAYS), midnight(LIFE_DAYS - BEFORE_DAYS));
    // A leaf and not an authority: whoever installs it believes this box, and nobody whom the box could name.
    parameters.is_ca = IsCa::ExplicitNoCa;
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    parameters.use_authority_key_identifier_extension = true;
    // Another one each time, with the same key too: browsers refuse an issuer that uses a number twice.
    let mut serial: [u8; 16] = world.entropy.bytes();
    serial[0] = (serial[0] & 0x7f) | 0x40;
    parameters.serial_number = Some(SerialNumber::from_slice(&serial));
    Ok(parameters)
}

fn day(now: Timestamp) -> Date {
    jiff::Timestamp::from_millisecond(now.millis())
        .map_or(Date::constant(2026, 1, 1), |at| TimeZone::UTC.to_datetime(at).date())
}

/// An address, or what DNS could answer for; a wildcard for one label.
fn can_be_named(name: &str) -> bool {
    let bare = name.strip_prefix("*.").unwrap_or(name);
    name.parse::<IpAddr>().is_ok()
        || (!bare.is_empty()
            && bare.len() <= 253
            && bare.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::world::Disk;
    use crate::world::fake::{FakeDisk, Fate, ManualClock, world};

    const PATH: &str = "/data/self-signed.pem";
    const DAY: Duration = Duration::from_secs(86_400);

    fn names(configured: &[&str], found: &[&str]) -> Names {
        let set = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Names { configured: set(configured), found: set(found) }
    }

    fn data() -> (World, std::sync::Arc<FakeDisk>, std::sync::Arc<ManualClock>) {
        let (world, disk, clock) = world(1);
        disk.create_dir_all(Path::new("/data")).unwrap();
        clock.set(Timestamp::from_seconds(1_800_000_000));
        (world, disk, clock)
    }

    fn come(world: &World, names: &Names) -> (Identity, Came) {
        keep_or_make(world, Path::new(PATH), names).unwrap()
    }

    #[test]
    fn it_is_made_once_and_kept_whatever_the_machines_addresses() {
        let (world, disk, _) = data();
        let (made, came) =
            come(&world, &names(&["s3.example.cn", "*.s3.example.cn"], &["box", "10.1.2.3", "::1", "a b"]));
        assert_eq!(came, Came::Made);
        assert_eq!(made.facts().names, ["*.s3.example.cn", "10.1.2.3", "::1", "box", "s3.example.cn"]);
        disk.crash(0, Fate::LoseAll);
        let (kept, came) = come(&world, &names(&["s3.example.cn"], &["elsewhere", "10.9.9.9"]));
        assert_eq!((came, &kept), (Came::Kept, &made));
    }

    #[test]
    fn it_is_renewed_before_it_ends_with_the_same_key_and_another_number() {
        let (world, _, clock) = data();
        let names = names(&[], &["box"]);
        let (made, _) = come(&world, &names);
        assert!(made.facts().from < world.clock.now());
        clock.advance(DAY * 792);
        assert_eq!(come(&world, &names).1, Came::Kept);
        clock.advance(DAY * 2);
        let key = |world: &World| key_of(&read_file(&*world.disk, Path::new(PATH)).unwrap().unwrap()).unwrap();
        let before = key(&world);
        let (renewed, came) = come(&world, &names);
        assert_eq!(came, Came::Renewed);
        assert_ne!(renewed, made);
        assert!(renewed.facts().until > made.facts().until.plus(DAY * 790));
        assert_eq!(key(&world).serialized_der(), before.serialized_der());
        assert_eq!(come(&world, &names).1, Came::Kept);
    }

    #[test]
    fn a_name_that_clients_are_told_is_never_missing() {
        let (world, ..) = data();
        come(&world, &names(&["old.example.cn"], &[]));
        let (renamed, came) = come(&world, &names(&["new.example.cn"], &[]));
        assert_eq!(came, Came::Renamed("new.example.cn".to_owned()));
        assert_eq!(renamed.facts().names, ["new.example.cn"]);
    }

    #[test]
    fn a_file_that_is_damaged_is_put_aside() {
        let (world, disk, _) = data();
        let (made, _) = come(&world, &names(&[], &["box"]));
        let whole = read_file(&*disk, Path::new(PATH)).unwrap().unwrap();
        for damaged in [&b""[..], b"nothing", &whole[..whole.len() / 2], &whole[whole.len() / 2..]] {
            replace_file(&*disk, Path::new(PATH), damaged).unwrap();
            let (another, came) = come(&world, &names(&[], &["box"]));
            assert_eq!(came, Came::Replaced(format!("{PATH}.damaged").into()));
            assert_ne!(another, made);
            assert_eq!(read_file(&*disk, Path::new(&format!("{PATH}.damaged"))).unwrap().unwrap(), damaged);
        }
    }

    #[test]
    fn a_power_cut_while_it_is_made_leaves_none_or_a_whole_one() {
        for cut in 0..8 {
            for seed in 0..10 {
                let (world, disk, _) = data();
                disk.fail_after(cut);
                let made = keep_or_make(&world, Path::new(PATH), &names(&[], &["box"]));
                disk.crash(seed, Fate::Torn);
                let (found, came) = come(&world, &names(&[], &["box"]));
                match made {
                    Ok((made, _)) => assert_eq!((found, came), (made, Came::Kept)),
                    Err(_) => assert!(matches!(came, Came::Made | Came::Kept), "{came:?}"),
                }
            }
        }
    }
}
