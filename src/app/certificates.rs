//! Which certificate each listener shows, and what is wrong with it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::address::{machine_names, public_host};
use crate::api::CertificateView;
use crate::config::{Config, Places, Problem, Problems, Tls};
use crate::domain::Timestamp;
use crate::tls::{self, BadSelfSigned, Came, Facts, Identity, Names, RENEW_DAYS, Trust, Whose};
use crate::world::World;

/// The listeners, as the configuration names them.
pub(super) const PLANES: [&str; 4] = ["s3", "soap", "portal", "metrics"];
/// What each listener shows, in the order of [`PLANES`].
pub(super) type Shown = [Option<Identity>; 4];

const DAY_MILLIS: i64 = 86_400_000;

/// What an operator brought: certificates by listener, and whom we believe.
pub(super) struct Brought {
    pub(super) shown: Shown,
    pub(super) trust: Trust,
}

fn tls_of(config: &Config) -> [&Tls; 4] {
    [&config.s3.tls, &config.soap.tls, &config.portal.tls, &config.metrics_tls]
}

/// The keys of [`PLANES`] whose certificates differ.
pub(super) fn changed(old: &Shown, new: &Shown) -> Vec<String> {
    let differ = PLANES.iter().zip(old.iter().zip(new)).filter(|(_, (old, new))| old != new);
    differ.map(|(plane, _)| format!("{plane}.tls")).collect()
}

/// The one file of a self-signed certificate and its key.
pub(super) fn self_signed_file(config: &Config) -> PathBuf {
    config.storage.data_dir.join(crate::config::SELF_SIGNED)
}

/// Reads what the configuration names. Every file that will not do is a problem with its line.
pub(super) fn read(config: &Config, places: &Places) -> Result<Brought, Problems> {
    let mut problems = Vec::new();
    let shown = std::array::from_fn(|at| {
        let Tls::Files { cert, key } = tls_of(config)[at] else { return None };
        match tls::identity(cert, key) {
            Ok(identity) => Some(identity),
            Err((whose, bad)) => {
                let part = if whose == Whose::Key { "key" } else { "cert" };
                let key = format!("{}.tls.{part}", PLANES[at]);
                problems.push(Problem::of(places, &key, bad.to_string()));
                None
            }
        }
    });
    let trust = match Trust::of_system_and(config.alerts.ca.as_deref()) {
        Ok(trust) => Some(trust),
        Err(bad) => {
            problems.push(Problem::of(places, "alerts.ca", bad.to_string()));
            None
        }
    };
    match trust {
        Some(trust) if problems.is_empty() => Ok(Brought { shown, trust }),
        _ => Err(Problems(problems)),
    }
}

/// Puts a certificate of our own where the configuration says so, and tells the log how we came by it.
pub(super) fn add_self_signed(world: &World, config: &Config, shown: &mut Shown) -> Result<(), BadSelfSigned> {
    if !tls_of(config).contains(&&Tls::SelfSigned) {
        return Ok(());
    }
    let file = self_signed_file(config);
    let (identity, came) = tls::keep_or_make(world, &file, &names(config))?;
    let fingerprint = &identity.facts().fingerprint;
    match came {
        Came::Kept => {}
        Came::Made => tracing::info!(fingerprint, "a self-signed certificate was made"),
        Came::Renewed => tracing::warn!(fingerprint, "the self-signed certificate was renewed; install it anew"),
        Came::Renamed(name) => {
            tracing::warn!(fingerprint, name, "the self-signed certificate was made anew for a name; install it anew");
        }
        Came::Replaced(aside) => {
            tracing::error!(fingerprint, aside = %aside.display(), "the self-signed certificate could not be read; a new one was made");
        }
    }
    for (slot, tls) in shown.iter_mut().zip(tls_of(config)) {
        if *tls == Tls::SelfSigned {
            *slot = Some(identity.clone());
        }
    }
    Ok(())
}

fn names(config: &Config) -> Names {
    let mut configured: BTreeSet<String> = [&config.s3.public_url, &config.soap.public_url]
        .into_iter()
        .flatten()
        .filter_map(|url| public_host(url))
        .collect();
    if let Some(domain) = &config.s3.domain {
        configured.extend([domain.clone(), format!("*.{domain}")]);
    }
    let mut found = machine_names();
    let listeners = [config.s3.listen, config.soap.listen, config.portal.listen, config.metrics_listen];
    found.extend(listeners.map(|at| at.ip()).iter().filter(|ip| !ip.is_unspecified()).map(ToString::to_string));
    Names { configured, found }
}

/// What operators are told of what is shown.
pub(super) fn views(config: &Config, shown: &Shown, now: Timestamp) -> Vec<CertificateView> {
    let each = PLANES.iter().zip(shown).zip(tls_of(config));
    let views = each.filter_map(|((plane, identity), tls)| Some((plane, identity.as_ref()?.facts(), tls)));
    let view = |(plane, facts, tls): (&&str, &Facts, &Tls)| CertificateView {
        listener: (*plane).to_owned(),
        from: if *tls == Tls::SelfSigned { "self-signed" } else { "file" },
        fingerprint: facts.fingerprint.clone(),
        names: facts.names.clone(),
        valid_from_ms: facts.from.millis(),
        valid_until_ms: facts.until.millis(),
        warning: warning(facts, now),
    };
    views.map(view).collect()
}

/// What is about to be wrong, or is, but keeps nothing from working that does not look.
fn warning(facts: &Facts, now: Timestamp) -> Option<String> {
    let left = facts.until.millis().saturating_sub(now.millis());
    if now < facts.from {
        Some("is not valid yet; is the clock right?".to_owned())
    } else if left < 0 {
        Some("has ended: clients refuse it; put a new one in its place and reload".to_owned())
    } else if left < RENEW_DAYS * DAY_MILLIS {
        Some(format!("ends in {} days; put a new one in its place and reload", left / DAY_MILLIS))
    } else {
        None
    }
}

/// The certificates as a start would find them, without making one: for commands beside the server.
pub(super) fn look(world: &World, config: &Config, places: &Places) -> Result<Vec<CertificateView>, Problems> {
    let mut shown = read(config, places)?.shown;
    let kept = crate::world::disk::read_file(&*world.disk, &self_signed_file(config)).ok().flatten();
    let kept = kept.and_then(|pem| Identity::from_pem(&pem, &pem).ok());
    for (slot, tls) in shown.iter_mut().zip(tls_of(config)) {
        if *tls == Tls::SelfSigned {
            slot.clone_from(&kept);
        }
    }
    Ok(views(config, &shown, world.clock.now()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_ends_is_warned_of_in_time() {
        let (from, until) = (Timestamp::from_seconds(1_000_000), Timestamp::from_seconds(100_000_000));
        let facts = Facts { fingerprint: String::new(), names: Vec::new(), from, until };
        let told = |seconds| warning(&facts, Timestamp::from_seconds(seconds)).unwrap_or_default();
        assert!(told(999_999).contains("not valid yet"));
        assert_eq!(told(1_000_000), "");
        assert_eq!(told(100_000_000 - 30 * 86_400), "");
        assert!(told(100_000_000 - 30 * 86_400 + 1).starts_with("ends in 29 days"));
        assert!(told(100_000_001).starts_with("has ended"));
    }

    #[test]
    fn what_clients_are_told_is_in_the_certificate() {
        let sets = [
            "s3.public_url=https://store.example.cn:9000",
            "soap.public_url=https://[2001:db8::7]",
            "s3.domain=s3.example.cn",
            "s3.listen=10.9.8.7:1",
        ];
        let sets = sets.map(str::to_owned).to_vec();
        let config = crate::config::parse(&crate::config::Written { sets, ..Default::default() }).expect("right");
        let Names { configured, found } = names(&config);
        let configured: Vec<_> = configured.iter().map(String::as_str).collect();
        assert_eq!(configured, ["*.s3.example.cn", "2001:db8::7", "s3.example.cn", "store.example.cn"]);
        for name in ["localhost", "127.0.0.1", "::1", "10.9.8.7"] {
            assert!(found.contains(name), "{name} in {found:?}");
        }
    }
}
