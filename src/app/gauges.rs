//! What `/metrics` says beside what the planes count. `docs/metrics.md` has every name.

use crate::api::CertificateView;
use crate::domain::Timestamp;
use crate::engine::{AccountNumbers, DiskView, Engine, Numbers};
use crate::telemetry::{Text, label};

/// What a disk can be.
const DISK_STATES: [&str; 4] = ["ok", "full", "failed", "offline"];

#[expect(clippy::cast_precision_loss, reason = "Prometheus counts in floats")]
fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

/// There from the first moment to the last.
pub(super) fn of_the_program(text: &mut Text, now: Timestamp, started: Timestamp, ready: bool) {
    let name = "kandian_build_info";
    text.head(name, "1; the label says which program runs.");
    text.sample(name, &format!("version=\"{}\"", env!("CARGO_PKG_VERSION")), 1);
    text.one("kandian_ready", "1 where requests are served, as /readyz says it but for salvage mode.", u8::from(ready));
    text.one("kandian_time_seconds", "The clock of the box, seconds since 1970.", seconds(now.millis()));
    let help = "When the process started, seconds since 1970.";
    text.one("process_start_time_seconds", help, seconds(started.millis()));
}

/// What the engine counts.
pub(super) fn of_the_box(text: &mut Text, engine: &Engine, all: &Numbers, now: Timestamp) {
    stored(text, all);
    flow(text, all);
    accounts(text, &all.accounts);
    health(text, engine, all, now);
    disks(text, &all.status.disks);
    let name = "kandian_held_back_bytes";
    text.head(name, "Room held back for a full disk, bytes, by the file that holds it.");
    for held in &all.status.held_back {
        text.sample(name, &format!("file=\"{}\"", label(&held.path)), held.held_bytes);
    }
}

fn stored(text: &mut Text, all: &Numbers) {
    let status = &all.status;
    text.one("kandian_accounts", "Accounts.", status.accounts);
    text.one("kandian_sub_accounts", "Sub-accounts.", status.sub_accounts);
    text.one("kandian_files", "Files stored.", status.files);
    text.one("kandian_used_bytes", "Bytes stored.", status.used_bytes);
    text.one("kandian_reserved_bytes", "Bytes set aside for uploads under way.", status.reserved_bytes);
    text.one("kandian_promised_bytes", "Bytes promised to accounts.", status.promised_bytes);
    text.one("kandian_handed_out_bytes", "Bytes handed out to sub-accounts.", status.handed_out_bytes);
    let name = "kandian_sub_accounts_full";
    text.head(name, "Sub-accounts whose space is full, or nearly (8.2): open episodes, by kind.");
    for (kind, count) in ["full", "nearly_full"].iter().zip(all.full) {
        text.sample(name, &format!("kind=\"{kind}\""), count);
    }
    text.one("kandian_sub_accounts_overwriting", "Sub-accounts whose oldest files are going now.", all.overwriting);
    text.one("kandian_sessions", "Sessions of the portals that are not over.", all.sessions);
}

fn flow(text: &mut Text, all: &Numbers) {
    let name = "kandian_uploaded_files_total";
    text.head(name, "Files uploaded and durable, by kind.");
    for (kind, count) in ["recording", "picture", "other"].iter().zip(all.uploaded_files) {
        text.sample(name, &format!("kind=\"{kind}\""), count);
    }
    let help = "Bytes uploaded and durable, parts of multipart uploads too.";
    text.one("kandian_uploaded_bytes_total", help, all.uploaded_bytes);
    text.one("kandian_uploads_under_way", "Uploads under way.", all.uploads_under_way);
    text.one("kandian_downloads_total", "Reads of files or of parts of them.", all.downloads);
    text.one("kandian_downloaded_bytes_total", "Bytes of files that were read.", all.downloaded_bytes);
    let name = "kandian_deleted_files_total";
    text.head(name, "Files that are gone, by cause: overwrite (section 3), clear (7.9), asked, closed, replaced.");
    for (cause, files, _) in all.gone {
        text.sample(name, &format!("cause=\"{cause}\""), files);
    }
    let name = "kandian_deleted_bytes_total";
    text.head(name, "Their bytes, by cause.");
    for (cause, _, bytes) in all.gone {
        text.sample(name, &format!("cause=\"{cause}\""), bytes);
    }
    text.one("kandian_overwrites_total", "Overwrites that came to their end.", all.overwrites);
}

fn accounts(text: &mut Text, accounts: &[AccountNumbers]) {
    type Of = fn(&AccountNumbers) -> u64;
    let numbers: [(&str, &str, Of); 4] = [
        ("kandian_account_granted_bytes", "Bytes promised to an account.", |one| one.granted_bytes),
        ("kandian_account_handed_out_bytes", "Bytes that it has handed out to sub-accounts.", |one| {
            one.handed_out_bytes
        }),
        ("kandian_account_used_bytes", "Bytes that it stores.", |one| one.used_bytes),
        ("kandian_account_sub_accounts", "Its sub-accounts.", |one| one.sub_accounts),
    ];
    for (name, help, of) in numbers {
        text.head(name, help);
        for one in accounts {
            text.sample(name, &format!("account=\"{}\"", label(&one.account)), of(one));
        }
    }
}

fn health(text: &mut Text, engine: &Engine, all: &Numbers, now: Timestamp) {
    let status = &all.status;
    text.one("kandian_commit_queue", "Changes waiting for the committer.", status.commit_queue);
    text.histogram(
        "kandian_commit_seconds",
        "How long a group of changes took to be durable, seconds.",
        engine.commits(),
    );
    text.one("kandian_trash_extents", "Extents waiting to be given back.", status.trash);
    if let Some(bytes) = all.index_bytes {
        text.one("kandian_index_bytes", "Bytes of the index's file.", bytes);
    }
    let help = "When the index was last made durable, or the start where it was not since, seconds since 1970.";
    text.one("kandian_index_durable_time_seconds", help, seconds(all.checkpoint_ms));
    text.one(
        "kandian_alerts_pending",
        "Alerts to platforms (section 8) that are not delivered yet.",
        status.alerts_pending,
    );
    text.one(
        "kandian_alerts_given_up",
        "Alerts to platforms that were given up and wait for somebody.",
        status.alerts_given_up,
    );
    let oldest = status.alerts_oldest_ms.map_or(0, |raised| now.millis().saturating_sub(raised).max(0));
    let help = "Age of the oldest alert that is not delivered yet, seconds; 0: there is none.";
    text.one("kandian_alerts_oldest_pending_seconds", help, seconds(oldest));
    text.one("kandian_alerts_delivered_total", "Alerts delivered.", all.alerts_delivered);
    text.one("kandian_alerts_given_up_total", "Alerts given up.", all.alerts_given_up);
    text.one("kandian_wrong_guesses_total", "Wrong passwords, keys and signatures.", status.wrong_guesses);
    let help = "Requests not looked at because too much from there was wrong.";
    text.one("kandian_refused_guesses_total", help, status.refused_guesses);
    let damaged = status.scrub.last.map_or(0, |pass| pass.damaged).max(status.scrub.now.damaged);
    let help = "Damaged files in the scrub's last pass that came through, and in the one under way.";
    text.one("kandian_scrub_damaged", help, damaged);
    let help = "Bytes read in the scrub's pass under way, of kandian_used_bytes.";
    text.one("kandian_scrub_pass_bytes", help, status.scrub.now.bytes);
    let last = status.scrub.last.and_then(|pass| pass.ended_ms).unwrap_or(0);
    let help = "When the scrub last came through all files, seconds since 1970; 0: never.";
    text.one("kandian_scrub_last_pass_seconds", help, seconds(last));
    let help = "1 where the box only reads: a disk fails, or it was asked for.";
    text.one("kandian_salvage", help, u8::from(status.salvage.is_some()));
    text.one("kandian_uploads_taken", "1 while there is room for uploads.", u8::from(status.no_room.is_none()));
}

fn disks(text: &mut Text, disks: &[DiskView]) {
    let dir = |disk: &DiskView| format!("dir=\"{}\"", label(&disk.dir));
    type Of = fn(&DiskView) -> u64;
    let numbers: [(&str, &str, Of); 5] = [
        ("kandian_disk_total_bytes", "Size of the disk, bytes.", |disk| disk.total_bytes),
        ("kandian_disk_free_bytes", "Free on the disk, bytes.", |disk| disk.free_bytes),
        ("kandian_disk_reserve_bytes", "What uploads may not touch of it, bytes.", |disk| disk.reserve_bytes),
        ("kandian_disk_volumes", "Volume files on the disk.", |disk| u64::from(disk.volumes)),
        ("kandian_disk_ok", "1 where the disk takes uploads.", |disk| u64::from(disk.state == "ok")),
    ];
    for (name, help, of) in numbers {
        text.head(name, help);
        disks.iter().for_each(|disk| text.sample(name, &dir(disk), of(disk)));
    }
    let name = "kandian_disk_state";
    text.head(name, "1 for what the disk is: ok, full (uploads go elsewhere), failed (read alone), offline (dead).");
    for disk in disks {
        for state in DISK_STATES {
            text.sample(name, &format!("{},state=\"{state}\"", dir(disk)), u8::from(disk.state == state));
        }
    }
}

/// When each listener's certificate ends.
pub(super) fn of_certificates(text: &mut Text, certificates: &[CertificateView]) {
    let name = "kandian_certificate_end_seconds";
    text.head(name, "When the certificate that a listener shows ends, seconds since 1970, by listener.");
    for one in certificates {
        text.sample(name, &format!("listener=\"{}\"", label(&one.listener)), seconds(one.valid_until_ms));
    }
}
