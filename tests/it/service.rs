//! The unit that is shipped: what it takes from the service, and that systemd reads it.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Of ten; what `systemd-analyze security` finds is 1.2.
const EXPOSURE_MAX: &str = "15";

/// What the service may not do. A line less is a hole more.
const HARDENING: [&str; 36] = [
    "Type=notify",
    "User=kandian",
    "UMask=0077",
    "LimitCORE=0",
    "LimitNOFILE=65536",
    "Restart=on-failure",
    "WatchdogSec=60",
    "StateDirectoryMode=0700",
    "TimeoutStartSec=infinity",
    "NoNewPrivileges=yes",
    "CapabilityBoundingSet=",
    "AmbientCapabilities=",
    "PrivateUsers=yes",
    "PrivateTmp=yes",
    "PrivateDevices=yes",
    "DevicePolicy=closed",
    "ProtectSystem=strict",
    "ProtectHome=yes",
    "ProtectProc=invisible",
    "ProtectClock=yes",
    "ProtectHostname=yes",
    "ProtectKernelTunables=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelLogs=yes",
    "ProtectControlGroups=yes",
    "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "LockPersonality=yes",
    "MemoryDenyWriteExecute=yes",
    "RemoveIPC=yes",
    "SystemCallArchitectures=native",
    "SystemCallFilter=@system-service",
    "SystemCallFilter=~@privileged @resources",
    "OOMScoreAdjust=-500",
];

fn unit() -> (PathBuf, String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/systemd/kandian.service");
    let text = std::fs::read_to_string(&path).unwrap();
    (path, text)
}

#[test]
fn the_unit_takes_away_what_the_service_does_not_need() {
    let (_, text) = unit();
    let lines: Vec<&str> = text.lines().collect();
    for directive in HARDENING {
        assert!(lines.contains(&directive), "{directive} is not in the unit");
    }
}

#[test]
fn the_unit_waits_longer_for_the_end_than_the_server_does() {
    let (_, text) = unit();
    let seconds: u64 =
        text.lines().find_map(|line| line.strip_prefix("TimeoutStopSec=")?.parse().ok()).expect("a number of seconds");
    assert!(seconds >= kandian::config::Config::default().shutdown_grace.as_secs() + 30);
}

#[test]
fn each_socket_is_a_listener_at_its_usual_place() {
    let config = kandian::config::Config::default();
    for (name, at) in [("s3", config.s3.listen), ("soap", config.soap.listen), ("portal", config.portal.listen)] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("scripts/systemd/kandian-{name}.socket"));
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        for wanted in
            [format!("ListenStream={at}"), format!("FileDescriptorName={name}"), "Service=kandian.service".into()]
        {
            assert!(lines.contains(&wanted.as_str()), "{wanted} is not in {}", path.display());
        }
    }
}

/// Where systemd is installed; it needs not run.
#[test]
fn systemd_reads_the_unit_and_finds_it_closed() {
    let dir = tempfile::tempdir().unwrap();
    let there = dir.path().join("kandian.service");
    // A program that is there: the one of the unit is not installed here.
    std::fs::write(&there, unit().1.replace("=/usr/bin/kandian", "=/bin/true")).unwrap();
    let analyze = |arguments: &[&str]| Command::new("systemd-analyze").args(arguments).arg(&there).output();
    let Ok(verified) = analyze(&["verify", "--man=no"]) else { return };
    let said = String::from_utf8_lossy(&verified.stderr);
    let ours: Vec<&str> = said.lines().filter(|line| line.contains("kandian")).collect();
    assert!(verified.status.success() && ours.is_empty(), "{said}");
    let security = analyze(&["security", "--no-pager", "--offline=true", "--threshold", EXPOSURE_MAX]).unwrap();
    assert!(security.status.success(), "{}", String::from_utf8_lossy(&security.stdout));
}
