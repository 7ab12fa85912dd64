//! The effective configuration, written the way an operator would.

use serde_json::{Map, Value, json};

use super::value::{show_duration, show_reserve, show_size, show_zone};
use super::{Alerts, Config, Log, Portal, S3, Soap, Space, Storage, Tls};
use crate::domain::{RetrySchedule, Rules};

/// Every key with its value, in the order of `appliance.toml`; `Null` where it is not set.
fn entries(config: &Config) -> Vec<(&'static str, Value)> {
    // Taken apart without `..`, so that a new field does not compile until it is shown.
    let Config {
        storage,
        s3,
        soap,
        portal,
        metrics_listen,
        metrics_tls,
        space,
        alerts,
        zone_minutes,
        shutdown_grace,
        log,
    } = config;
    let Storage {
        data_dir,
        volumes,
        reserve,
        volume_size,
        index_cache,
        scrub_rate,
        master_key,
        offline,
        read_only,
        salvage,
    } = storage;
    let S3 {
        listen,
        public_url,
        domain,
        region,
        presign_ttl,
        allow_delete,
        clock_skew,
        sig_v2,
        idle_timeout,
        multipart_expiry,
        max_requests,
        max_requests_per_key,
        max_connections,
        buffer_memory,
        tls: s3_tls,
    } = s3;
    let Portal {
        listen: portal_listen,
        idle_timeout: session_idle,
        session_timeout,
        silent_factor,
        gone_days,
        tls: portal_tls,
    } = portal;
    let Soap { listen: soap_listen, public_url: soap_url, tls: soap_tls } = soap;
    let Space { bytes_per_gb, rules, max_sub_accounts } = space;
    let Rules { warn, overwrite, overwrite_free, rearm } = rules;
    let Alerts { notify_idle, schedule, timeout, ca } = alerts;
    let RetrySchedule { first, most, give_up_after } = schedule;
    let Log { level, json: json_lines, file: log_file, file_size, file_keep } = log;
    vec![
        ("shutdown_grace", json!(show_duration(*shutdown_grace))),
        ("storage.data_dir", json!(data_dir.to_string_lossy())),
        ("storage.volumes", json!(volumes.iter().map(|dir| dir.to_string_lossy()).collect::<Vec<_>>())),
        ("storage.reserve", json!(show_reserve(*reserve))),
        ("storage.volume_size", json!(show_size(*volume_size))),
        ("storage.index_cache", json!(show_size(*index_cache))),
        ("storage.scrub_rate", json!(show_size(*scrub_rate))),
        ("storage.master_key", json!(master_key.to_string_lossy())),
        ("storage.offline", json!(offline.iter().map(|dir| dir.to_string_lossy()).collect::<Vec<_>>())),
        ("storage.read_only", json!(read_only.iter().map(|dir| dir.to_string_lossy()).collect::<Vec<_>>())),
        ("storage.salvage", json!(salvage)),
        ("s3.listen", json!(listen.to_string())),
        ("s3.public_url", json!(public_url)),
        ("s3.domain", json!(domain)),
        ("s3.region", json!(region)),
        ("s3.presign_ttl", json!(show_duration(*presign_ttl))),
        ("s3.allow_delete", json!(allow_delete)),
        ("s3.clock_skew", json!(show_duration(*clock_skew))),
        ("s3.sig_v2", json!(sig_v2)),
        ("s3.idle_timeout", json!(show_duration(*idle_timeout))),
        ("s3.multipart_expiry", json!(show_duration(*multipart_expiry))),
        ("s3.max_requests", json!(max_requests)),
        ("s3.max_requests_per_key", json!(max_requests_per_key)),
        ("s3.max_connections", json!(max_connections)),
        ("s3.buffer_memory", json!(show_size(*buffer_memory))),
        ("s3.tls", show_tls(s3_tls)),
        ("soap.listen", json!(soap_listen.to_string())),
        ("soap.public_url", json!(soap_url)),
        ("soap.tls", show_tls(soap_tls)),
        ("portal.listen", json!(portal_listen.to_string())),
        ("portal.idle_timeout", json!(show_duration(*session_idle))),
        ("portal.session_timeout", json!(show_duration(*session_timeout))),
        ("portal.silent_factor", json!(silent_factor)),
        ("portal.gone_days", json!(gone_days)),
        ("portal.tls", show_tls(portal_tls)),
        ("metrics.listen", json!(metrics_listen.to_string())),
        ("metrics.tls", show_tls(metrics_tls)),
        ("space.bytes_per_gb", json!(bytes_per_gb.get())),
        ("space.warn_percent", json!(warn.get())),
        ("space.overwrite_percent", json!(overwrite.get())),
        ("space.overwrite_free_percent", json!(overwrite_free.get())),
        ("space.rearm_percent", json!(rearm.get())),
        ("space.max_sub_accounts", json!(max_sub_accounts)),
        ("alerts.notify_idle", json!(notify_idle)),
        ("alerts.give_up_after", json!(show_duration(*give_up_after))),
        ("alerts.first_retry", json!(show_duration(*first))),
        ("alerts.max_retry", json!(show_duration(*most))),
        ("alerts.timeout", json!(show_duration(*timeout))),
        ("alerts.ca", json!(ca.as_ref().map(|file| file.to_string_lossy()))),
        ("time.zone", json!(show_zone(*zone_minutes))),
        ("log.level", json!(level)),
        ("log.json", json!(json_lines)),
        ("log.file", json!(log_file.as_ref().map(|file| file.to_string_lossy()))),
        ("log.file_size", json!(show_size(*file_size))),
        ("log.file_keep", json!(file_keep)),
    ]
}

fn show_tls(tls: &Tls) -> Value {
    match tls {
        Tls::Off => json!("off"),
        Tls::SelfSigned => json!("self-signed"),
        Tls::Files { cert, key } => json!({"cert": cert.to_string_lossy(), "key": key.to_string_lossy()}),
    }
}

/// `kandian config show`: TOML that `parse` reads back to the same configuration.
pub fn to_toml(config: &Config) -> String {
    let mut out = String::new();
    let mut section = "";
    for (path, value) in entries(config) {
        let (own, key) = path.split_once('.').unwrap_or(("", path));
        if own != section {
            out.push_str(&format!("\n[{own}]\n"));
            section = own;
        }
        match toml::Value::try_from(&value) {
            Ok(value) => out.push_str(&format!("{key} = {value}\n")),
            Err(_) => out.push_str(&format!("# {key} is not set\n")),
        }
    }
    out
}

/// `kandian config show --json`: `{"shutdown_grace":…,"storage":{…},…}`; what is not set is null.
pub fn to_json(config: &Config) -> Value {
    let mut root = Map::new();
    for (path, value) in entries(config) {
        match path.split_once('.') {
            None => root.insert(path.to_owned(), value),
            Some((section, key)) => match root.entry(section).or_insert_with(|| json!({})) {
                Value::Object(map) => map.insert(key.to_owned(), value),
                _ => None,
            },
        };
    }
    Value::Object(root)
}

/// The keys whose values differ, in the order of the file.
pub fn changed(old: &Config, new: &Config) -> Vec<&'static str> {
    differences(old, new).into_iter().map(|(key, _, _)| key).collect()
}

/// As [`changed`], with both values as `config show` has them; `Null` is not set.
pub fn differences(old: &Config, new: &Config) -> Vec<(&'static str, Value, Value)> {
    let pairs = entries(old).into_iter().zip(entries(new));
    pairs.filter(|((_, old), (_, new))| old != new).map(|((key, old), (_, new))| (key, old, new)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::keys::KEYS;
    use crate::config::{Written, parse};

    const SHIPPED: &str = include_str!("../../appliance.toml");

    #[test]
    fn the_shipped_file_says_the_built_in_defaults() {
        let file = Some(("appliance.toml".to_owned(), SHIPPED.to_owned()));
        let config = parse(&Written { file, ..Written::default() }).expect("it is right");
        assert_eq!(config, Config::default());
    }

    #[test]
    fn every_key_is_in_the_shipped_file_and_in_the_handbook() {
        let handbook = include_str!("../../docs/configuration.md");
        let mut section = String::new();
        let mut found = Vec::new();
        for line in SHIPPED.lines() {
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                section = format!("{name}.");
            }
            let written = line.strip_prefix("# ").unwrap_or(line);
            if let Some((key, _)) = written.split_once(" =") {
                found.push(format!("{section}{key}"));
            }
        }
        for (key, _) in entries(&Config::default()) {
            assert_eq!(found.iter().filter(|f| *f == key).count(), 1, "{key} is in appliance.toml once");
            assert!(handbook.contains(&format!("`{key}`")), "{key} is in docs/configuration.md");
        }
    }

    #[test]
    fn every_key_that_is_shown_is_known_and_the_other_way_round() {
        let mut shown: Vec<_> = entries(&Config::default()).into_iter().map(|(key, _)| key).collect();
        let mut known = KEYS.to_vec();
        shown.sort_unstable();
        known.sort_unstable();
        assert_eq!(shown, known);
    }

    #[test]
    fn what_is_shown_is_read_back_to_the_same() {
        let sets = [
            "s3.public_url=http://a:1",
            "s3.domain=s3.example.cn",
            "storage.reserve=20GiB",
            "storage.volumes=[\"/a b\",\"/c\\\"d\"]",
            "alerts.timeout=1500ms",
            "time.zone=-03:30",
            "log.level=info,kandian=debug",
            "log.file=/var/log/kandian.log",
            "log.file_size=0",
            "shutdown_grace=0s",
            "s3.tls={cert=\"/a b/c.pem\",key=\"k\"}",
            "portal.tls=self-signed",
            "alerts.ca=/a/roots.pem",
        ];
        let sets = sets.iter().map(|&s| s.to_owned()).collect();
        let config = parse(&Written { sets, ..Written::default() }).expect("right");
        let file = Some(("shown".to_owned(), to_toml(&config)));
        assert_eq!(parse(&Written { file, ..Written::default() }), Ok(config.clone()), "{}", to_toml(&config));
        assert_eq!(to_json(&config)["s3"]["public_url"], "http://a:1");
        assert_eq!(to_json(&Config::default())["s3"]["domain"], Value::Null);
        assert_eq!(changed(&Config::default(), &config).len(), 13);
    }
}
