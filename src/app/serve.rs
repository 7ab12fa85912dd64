//! Start, run, drain.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::activation::{self, Inherited};
use super::certificates;
use super::descriptors;
use super::driven;
use super::notify;
use super::pages::{Health, metrics_text, monitoring};
use super::ready::{Listening, announce, listen_json, take_back};
use super::reload::Live;
use super::{Source, address, control_socket, seam};
use crate::api;
use crate::config::Config;
use crate::domain::GigabyteSize;
use crate::http::{Door, Limits, LiveRouter, LiveTls, adopt, listen, serve as serve_plane};
use crate::portal;
use crate::telemetry::{Log, Metrics, Rotation};
use crate::world::World;
use crate::world::os::{open_files, world};

/// What a running server is told from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Finish what is under way, then end.
    Drain,
    /// Read the configuration again.
    Reload,
}

/// Runs the appliance until SIGTERM or SIGINT; a second one ends it at once. The error is for the
/// operator.
pub async fn serve(config: Config, source: Source) -> Result<(), String> {
    let log = start_log(&config)?;
    let (tell, told) = mpsc::channel(4);
    signals(tell, log.clone()).map_err(|error| format!("cannot listen for signals: {error}"))?;
    let ended = serve_until(config, source, log.clone(), told).await;
    log.flush();
    ended
}

fn start_log(config: &Config) -> Result<Log, String> {
    let Config { log, .. } = config;
    let rotation = |path: &PathBuf| Rotation { path: path.clone(), bytes: log.file_size, keep: log.file_keep };
    crate::telemetry::start(&log.level, log.json, log.file.as_ref().map(rotation)).map_err(|error| {
        let file = log.file.as_deref().unwrap_or(Path::new("")).display();
        format!("log.file: cannot write {file}: {error}; name a file in a directory that is there and may be written")
    })
}

fn signals(tell: mpsc::Sender<Stop>, log: Log) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        let mut stopping = false;
        loop {
            tokio::select! {
                _ = hang_up.recv() => {
                    let _ = tell.send(Stop::Reload).await;
                    continue;
                }
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if stopping {
                // What was acknowledged is durable already; what was not never will be.
                log.flush();
                std::process::exit(130);
            }
            stopping = true;
            let _ = tell.send(Stop::Drain).await;
        }
    });
    Ok(())
}

struct Listeners {
    s3: TcpListener,
    soap: TcpListener,
    portal: TcpListener,
    metrics: TcpListener,
}

/// How a stretch of serving ended.
enum Ended {
    /// As it was told to.
    Told,
    /// The store has stopped after a failure; it was served at these addresses, these disks have failed, and this is the last
    /// sequence that it acknowledged.
    Failed { at: Listening, disks: Vec<PathBuf>, acknowledged: u64 },
}

/// Runs the appliance until it is told to stop. Where the store stops after a failure, what can be read is served on, at
/// the same addresses, from a store that is opened anew and writes nothing.
pub async fn serve_until(
    mut config: Config,
    mut source: Source,
    log: Log,
    mut told: mpsc::Receiver<Stop>,
) -> Result<(), String> {
    let inherited = activation::inherited()?;
    let mut last = None;
    loop {
        let once = serve_once(config.clone(), source.clone(), log.clone(), &mut told, &inherited, last).await?;
        let Ended::Failed { at, disks, acknowledged } = once else { return Ok(()) };
        last = Some(acknowledged);
        if let Some(read_only) = without(&config, &disks) {
            tracing::error!(?disks, "a disk fails: the others go on; its files are read, and nothing is written to it");
            config.storage.read_only = read_only;
        } else {
            tracing::error!(
                "a disk fails: the appliance goes on in salvage mode, which serves reads and refuses changes"
            );
            source = source.in_salvage_mode();
            config.storage.salvage = true;
        }
        config.s3.listen = at.s3;
        config.soap.listen = at.soap;
        config.portal.listen = at.portal;
        config.metrics_listen = at.metrics;
    }
}

/// Which disks are to be read alone now that these have failed; `None` where the rest cannot go on without them: the
/// first has the journal, and it may be the index that could not be written.
fn without(config: &Config, failed: &[PathBuf]) -> Option<Vec<PathBuf>> {
    let storage = &config.storage;
    let is_new = |dir: &PathBuf| !storage.read_only.contains(dir) && storage.volumes.first() != Some(dir);
    if storage.salvage || failed.is_empty() || !failed.iter().all(is_new) {
        return None;
    }
    let all: Vec<PathBuf> = storage.read_only.iter().chain(failed).cloned().collect();
    let well = |dir: &PathBuf| !all.contains(dir) && !storage.offline.contains(dir);
    storage.volumes.iter().any(well).then_some(all)
}

async fn serve_once(
    config: Config,
    source: Source,
    log: Log,
    told: &mut mpsc::Receiver<Stop>,
    inherited: &Inherited,
    last: Option<u64>,
) -> Result<Ended, String> {
    let data_dir = config.storage.data_dir.clone();
    let world = driven::drive(world(), source.drive, &data_dir)?;
    let in_data = |what: &str, error: io::Error| format!("{what} in {}: {error}", data_dir.display());
    if !config.storage.salvage {
        world.disk.create_dir_all(&data_dir).map_err(|error| in_data("cannot make the data directory", error))?;
    }
    let socket = control_socket(&config);
    if UnixStream::connect(&socket).await.is_ok() {
        return Err(format!("a server is running on {} already", data_dir.display()));
    }
    let (read_source, read_world, read_config) = (source.clone(), world.clone(), config.clone());
    let certificates = tokio::task::spawn_blocking(move || load_certificates(&read_source, &read_world, &read_config));
    let (shown, trust) = certificates.await.map_err(|error| error.to_string())??;
    let doors = shown.each_ref().map(|identity| LiveTls::new(identity.as_ref().map(crate::tls::Identity::acceptor)));
    let [s3_door, soap_door, portal_door, metrics_door] = doors.clone();
    let listeners = bind(&config, inherited)?;
    let at = listeners.addresses().map_err(|error| error.to_string())?;
    let urls = address::public_urls(&config, at.s3, at.soap);

    let metrics = Arc::new(Metrics::new(world.entropy.bytes(), crate::s3::WORDS, crate::soap::WORDS));
    let health = Health {
        metrics: Arc::clone(&metrics),
        engine: Arc::new(OnceLock::new()),
        live: Arc::new(OnceLock::new()),
        ready: Arc::new(AtomicBool::new(false)),
        clock: Arc::clone(&world.clock),
        started: world.clock.now(),
    };
    let (planes, drain, end) = (TaskTracker::new(), CancellationToken::new(), CancellationToken::new());
    let leave = CancellationToken::new();
    let (files, kept) = (open_files(), descriptors::for_the_store(&*world.disk, &config));
    descriptors::warn(files, kept);
    let shares = descriptors::share(files, kept, config.s3.max_connections);
    // Monitoring is there from the first moment to the last: a long recovery is not a silence.
    let limits = Limits { grace: std::time::Duration::from_secs(1), connections: shares.metrics, ..Limits::default() };
    let monitor = tokio::spawn(serve_plane(
        Door::new(listeners.metrics, metrics_door),
        monitoring(health.clone()),
        limits,
        Arc::clone(&metrics.metrics),
        end.clone(),
    ));

    let (open_world, open_config, open_urls) = (world.clone(), config.clone(), urls.clone());
    let courier = seam::courier(trust);
    let delivers = Arc::new(courier.clone());
    let opened =
        tokio::task::spawn_blocking(move || seam::open(open_world, &open_config, open_urls, delivers, last)).await;
    let engine = match opened {
        Ok(Ok(engine)) => engine,
        Ok(Err(error)) => return Err(format!("cannot open the store in {}: {error}", data_dir.display())),
        Err(error) => return Err(format!("cannot open the store in {}: {error}", data_dir.display())),
    };
    // From here on the data directory is ours: what a crash left behind can go.
    let announced = listen_json(&data_dir);
    let salvaging = config.storage.salvage;
    let removed = take_back(&*world.disk, &announced);
    // A disk that takes no writes takes no socket: then there are no commands, and everything else goes on.
    let operators = match removed.and_then(|()| bind_control(&socket)) {
        Ok(operators) => Some(operators),
        Err(error) if salvaging => {
            tracing::warn!(%error, "no control socket: commands find this server not running");
            None
        }
        Err(error) => return Err(in_data("cannot make the control socket", error)),
    };
    let _ = health.engine.set(engine.clone());
    engine.start();

    let s3 = LiveRouter::from(seam::s3_router(engine.clone(), Arc::new(config.s3.clone())));
    s3.set_stall_time(config.s3.idle_timeout);
    s3.part_with(seam::s3_parting_router(engine.clone()));
    let soap = LiveRouter::from(seam::soap_router(engine.clone(), config.soap.public_url.clone(), config.zone_minutes));
    let (zone_minutes, gigabyte) = (config.zone_minutes, config.space.bytes_per_gb);
    let setup_code = engine.setup_code().await;
    let setup_code = setup_code.map_err(|error| format!("cannot read the books in {}: {error}", data_dir.display()))?;
    let live = Arc::new(Live {
        source,
        config: Mutex::new(config),
        engine: engine.clone(),
        s3: s3.clone(),
        soap: soap.clone(),
        log,
        s3_at: at.s3,
        soap_at: at.soap,
        world: world.clone(),
        doors,
        shown: Mutex::new(shown),
        courier,
    });
    let _ = health.live.set(Arc::clone(&live));
    let limits = |connections| Limits { grace: live.grace(), connections, ..Limits::default() };
    let s3_limits = limits(shares.s3);
    let s3_plane = serve_plane(Door::new(listeners.s3, s3_door), s3, s3_limits, Arc::clone(&metrics.s3), leave.clone());
    let s3_plane = planes.spawn(s3_plane);
    let portal = LiveRouter::from(portal_router(&live, &health, zone_minutes, gigabyte));
    let operate = LiveRouter::from(api::router(control(&live, &health)));
    let others = [soap.clone(), portal.clone(), operate.clone()];
    planes.spawn(serve_plane(
        Door::new(listeners.soap, soap_door),
        soap,
        limits(shares.soap),
        Arc::clone(&metrics.soap),
        drain.clone(),
    ));
    planes.spawn(serve_plane(
        Door::new(listeners.portal, portal_door),
        portal,
        limits(shares.portal),
        Arc::clone(&metrics.portal),
        drain.clone(),
    ));
    if let Some(operators) = operators {
        planes.spawn(serve_plane(
            operators,
            operate,
            limits(shares.control),
            Arc::clone(&metrics.control),
            drain.clone(),
        ));
    }
    planes.close();
    match announce(if salvaging { &*world.disk } else { engine.disk() }, &data_dir, &at) {
        Err(error) if salvaging => tracing::warn!(%error, "no listen.json"),
        announced => announced.map_err(|error| in_data("cannot write listen.json", error))?,
    }
    health.ready.store(true, Ordering::Release);
    say(at, &live, setup_code.as_deref());
    notify::tell(notify::READY);

    let as_told = run(&live, &engine, told).await;
    let (disks, acknowledged) = (engine.failing_disks(), engine.acknowledged());

    tracing::info!("stopping");
    notify::tell(notify::STOPPING);
    health.ready.store(false, Ordering::Release);
    let removed = take_back(&*world.disk, &announced).and_then(|()| take_back(&*world.disk, &socket));
    // Uploads under way first: the platform is served until the last of them is done. All of it has one grace.
    let (grace, stops) = (live.grace(), Instant::now());
    leave.cancel();
    let _ = s3_plane.await;
    for other in &others {
        other.set_grace(grace.saturating_sub(stops.elapsed()).max(OTHERS_GRACE_LEAST));
    }
    drain.cancel();
    planes.wait().await;
    seam::close(&engine).await;
    end.cancel();
    let _ = monitor.await;
    if !as_told {
        // Where the disk fails, it may be this that cannot be done either.
        return Ok(Ended::Failed { at, disks, acknowledged });
    }
    removed.map_err(|error| in_data("cannot remove listen.json", error))?;
    Ok(Ended::Told)
}

/// What SOAP and the portal have at least to finish in, where uploads took the whole grace.
const OTHERS_GRACE_LEAST: std::time::Duration = std::time::Duration::from_secs(1);

/// How often certificates are looked at: a box whose clock was wrong at its start has a good one soon after.
const CERTIFICATES_EVERY: std::time::Duration = std::time::Duration::from_secs(3600);

/// What each listener shows and whom we believe; the error names the line.
fn load_certificates(
    source: &Source,
    world: &World,
    config: &Config,
) -> Result<(certificates::Shown, crate::tls::Trust), String> {
    // Only for where the keys are written: what holds was read before.
    let places = source.load_with_places().map(|(_, places)| places).unwrap_or_default();
    let brought = certificates::read(config, &places).map_err(|bad| bad.to_string())?;
    let mut shown = brought.shown;
    certificates::add_self_signed(world, config, &mut shown).map_err(|bad| bad.to_string())?;
    Ok((shown, brought.trust))
}

/// Until it is told to end; `false` where the store has stopped.
async fn run(live: &Live, engine: &crate::engine::Engine, told: &mut mpsc::Receiver<Stop>) -> bool {
    let mut hourly = tokio::time::interval(CERTIFICATES_EVERY);
    let mut hours = 0u64;
    let watched = notify::alive_every();
    let mut alive = tokio::time::interval(watched.unwrap_or(CERTIFICATES_EVERY));
    loop {
        tokio::select! {
            _ = alive.tick(), if watched.is_some() => notify::tell(notify::ALIVE),
            _ = hourly.tick() => {
                live.renew();
                if hours.is_multiple_of(24) {
                    live.warn_of_certificates();
                }
                hours = hours.wrapping_add(1);
            }
            reason = engine.failed() => {
                tracing::error!(reason, "the store has stopped");
                return false;
            }
            stop = told.recv() => match stop {
                Some(Stop::Reload) => {
                    if let Err(problems) = live.reload() {
                        tracing::error!(problems, "the configuration was not reloaded; nothing has changed");
                    }
                }
                Some(Stop::Drain) | None => return true,
            },
        }
    }
}

fn portal_router(live: &Arc<Live>, health: &Health, zone_minutes: i32, gigabyte: GigabyteSize) -> axum::Router {
    let (engine, urls) = (live.engine.clone(), Arc::clone(live));
    let addresses = Arc::new(move || {
        let urls = urls.urls();
        portal::Addresses { soap: urls.soap_service(), s3: urls.s3 }
    });
    let pages = portal::router(engine, portal::Settings { addresses, zone_minutes, gigabyte });
    pages.merge(api::portal_router(control(live, health)))
}

/// What the JSON API works on.
fn control(live: &Arc<Live>, health: &Health) -> api::Control {
    let (urls, reload, pending, shown) = (Arc::clone(live), Arc::clone(live), Arc::clone(live), Arc::clone(live));
    api::Control {
        engine: live.engine.clone(),
        urls: Arc::new(move || urls.urls()),
        reload: Some(Arc::new(move || reload.reload())),
        metrics: Some(Arc::new({
            let health = health.clone();
            move || {
                let health = health.clone();
                Box::pin(async move { metrics_text(&health).await })
            }
        })),
        pending: Some(Arc::new(move || pending.pending())),
        certificates: Arc::new(move || shown.certificates()),
    }
}

fn bind(config: &Config, inherited: &Inherited) -> Result<Listeners, String> {
    let one = |name: &str, address: SocketAddr| {
        let passed = inherited.of(name).and_then(|socket| socket.map(adopt).transpose());
        match passed.map_err(|error| format!("the socket {name} of the service manager: {error}"))? {
            Some(socket) => Ok(socket),
            None => listen(address).map_err(|error| {
                let right = format!("set {name}.listen to a free port, or to port 0");
                format!("{name}.listen: cannot listen on {address}: {error}; {right}")
            }),
        }
    };
    Ok(Listeners {
        s3: one("s3", config.s3.listen)?,
        soap: one("soap", config.soap.listen)?,
        portal: one("portal", config.portal.listen)?,
        metrics: one("metrics", config.metrics_listen)?,
    })
}

impl Listeners {
    fn addresses(&self) -> io::Result<Listening> {
        Ok(Listening {
            s3: self.s3.local_addr()?,
            soap: self.soap.local_addr()?,
            portal: self.portal.local_addr()?,
            metrics: self.metrics.local_addr()?,
        })
    }
}

/// The control socket, for its owner only. Nobody else holds the data directory, so a socket that
/// is there is a crash's.
fn bind_control(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // Made under another name, so that nobody finds it before it has its mode.
    let private = path.with_extension("sock.new");
    let _ = std::fs::remove_file(&private);
    let listener = UnixListener::bind(&private)?;
    std::fs::set_permissions(&private, std::fs::Permissions::from_mode(0o600))?;
    std::fs::rename(&private, path)?;
    Ok(listener)
}

/// Says where everything is and, while nobody can sign in to the portal, how the first one does.
fn say(at: Listening, live: &Live, setup_code: Option<&str>) {
    use std::io::Write;
    let (urls, certificates) = (live.urls(), live.certificates());
    let scheme = |plane: &str| if certificates.iter().any(|one| one.listener == plane) { "https" } else { "http" };
    let (portal, metrics) = (scheme("portal"), scheme("metrics"));
    let mut out = std::io::stdout().lock();
    let lines = [
        format!("看店云存储已就绪 / kandian {} is ready", env!("CARGO_PKG_VERSION")),
        format!("  摄像机与手机 / cameras and phones (S3)  {}  ({})", at.s3, urls.s3),
        format!("  平台接口     / platform (SOAP)          {}  ({})", at.soap, urls.soap_service()),
        format!("  管理门户     / portal                   {portal}://{}/", at.portal),
        format!("  监控指标     / metrics                  {metrics}://{}/metrics", at.metrics),
    ];
    let first = setup_code.map(|code| {
        format!("  首次登录     / first sign-in            {portal}://{}/setup  设置码 / setup code: {code}", at.portal)
    });
    let mut shown: Vec<_> = certificates.iter().map(|one| (&one.fingerprint, one.from)).collect();
    shown.sort_unstable();
    shown.dedup();
    let shown = shown.into_iter().map(|(fingerprint, from)| {
        let listeners = certificates.iter().filter(|one| one.fingerprint == *fingerprint);
        let listeners = listeners.map(|one| one.listener.as_str()).collect::<Vec<_>>().join(", ");
        format!("  证书         / certificate              {listeners} ({from}): SHA-256 {fingerprint}")
    });
    for line in lines.into_iter().chain(first).chain(shown) {
        // A closed stdout is no reason not to serve.
        let _ = writeln!(out, "{line}");
    }
    let _ = out.flush();
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn get(address: &str, path: &str) -> String {
        let mut stream = tokio::net::TcpStream::connect(address).await.expect("it listens");
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("open");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("text");
        answer
    }

    async fn listening(path: &Path) -> serde_json::Value {
        for _ in 0..200 {
            if let Ok(text) = std::fs::read(path) {
                return serde_json::from_slice(&text).expect("it is whole");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("no {}", path.display());
    }

    fn source(dir: &Path) -> Source {
        let file = dir.join("appliance.toml");
        if !file.exists() {
            std::fs::write(&file, "[s3]\nlisten = \"127.0.0.1:0\"\nclock_skew = \"15m\"\n").expect("writable");
        }
        let sets = ["soap.listen=127.0.0.1:0", "portal.listen=127.0.0.1:0", "metrics.listen=127.0.0.1:0"];
        Source { file: Some(file), data: Some(dir.join("data")), sets: sets.map(str::to_owned).to_vec(), drive: None }
    }

    #[tokio::test]
    async fn a_server_says_where_it_is_while_it_is_there() {
        let dir = tempfile::tempdir().expect("a directory");
        let source = source(dir.path());
        let data = dir.path().join("data");
        std::fs::create_dir_all(&data).expect("writable");
        drop(std::os::unix::net::UnixListener::bind(data.join("control.sock")).expect("a stale socket"));

        let (tell, told) = mpsc::channel(4);
        let config = source.load().expect("right");
        let log = crate::telemetry::start("warn", false, None).expect("no file");
        let running = serve_until(config, source.clone(), log, told);
        let running = tokio::spawn(running);
        let at = listening(&data.join("listen.json")).await;
        assert_eq!(at["pid"], std::process::id());
        for plane in ["s3", "soap", "portal", "metrics"] {
            let address: SocketAddr = at[plane].as_str().expect("text").parse().expect("an address");
            assert_ne!(address.port(), 0, "{plane}");
        }
        let metrics = at["metrics"].as_str().expect("text");
        assert!(get(metrics, "/healthz").await.starts_with("HTTP/1.1 200"));
        assert!(get(metrics, "/readyz").await.starts_with("HTTP/1.1 200"));
        assert!(
            get(metrics, "/metrics").await.contains("kandian_http_requests_total{plane=\"metrics\",status=\"2xx\"} 2")
        );
        let portal = at["portal"].as_str().expect("text");
        assert!(get(portal, "/about").await.contains(&format!("http://{}", at["s3"].as_str().expect("text"))));
        assert!(get(portal, "/api/v1/accounts").await.starts_with("HTTP/1.1 401"));
        assert!(get(portal, "/api/v1/openapi.json").await.starts_with("HTTP/1.1 200"));

        let socket = data.join("control.sock");
        let mode = std::fs::metadata(&socket).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let second = serve_until(
            source.load().expect("right"),
            source.clone(),
            crate::telemetry::start("warn", false, None).expect("no file"),
            mpsc::channel(1).1,
        );
        let refused = second.await.expect_err("one is running");
        assert!(refused.contains("is running on"), "{refused}");

        let client = api::Client::Socket(socket.clone());
        let file = source.file.clone().expect("named");
        std::fs::write(&file, "[s3]\nlisten = \"127.0.0.1:1\"\nclock_skew = \"5m\"\n").expect("writable");
        let report: api::ReloadReport = serde_json::from_str(&client.reload().await.expect("right")).expect("JSON");
        assert_eq!(report.applied, ["s3.clock_skew"]);
        assert_eq!(report.needs_restart, ["s3.listen"]);
        std::fs::write(&file, "[s3]\nclock_skw = 1\n").expect("writable");
        let refused = client.reload().await.expect_err("a bad file").to_string();
        assert!(refused.contains(":2: unknown key s3.clock_skw; did you mean s3.clock_skew?"), "{refused}");

        tell.send(Stop::Drain).await.expect("it listens");
        running.await.expect("no panic").expect("a calm end");
        assert!(!data.join("listen.json").exists() && !socket.exists());
        assert!(matches!(client.status().await, Err(api::Failure::NotRunning)));
    }

    #[tokio::test]
    async fn a_port_that_is_taken_is_named_with_its_key() {
        let dir = tempfile::tempdir().expect("a directory");
        let taken = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let mut source = source(dir.path());
        source.sets.push(format!("s3.listen={}", taken.local_addr().expect("bound")));
        let config = source.load().expect("right");
        let (_tell, told) = mpsc::channel(1);
        let running = serve_until(config, source, crate::telemetry::start("warn", false, None).expect("no file"), told);
        let refused = running.await.expect_err("the port is taken");
        assert!(refused.starts_with("s3.listen: cannot listen on 127.0.0.1:"), "{refused}");
    }
}
