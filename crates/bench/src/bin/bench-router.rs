//! socketreader beside its floors and other people's servers, the same load for all.
//!
//! usage: bench-router SOCKETREADER RESULTS.json [PART...]

use std::error::Error;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use protogen_bench::router::floor::{Floor, serve};
use protogen_bench::router::hostile;
use protogen_bench::router::instance::{Out, Router};
use protogen_bench::router::load::{Load, Until, connect, run, run_transient};
use protogen_bench::router::program::{Program, Scratch, free_port};
use protogen_bench::router::tls;
use serde_json::{Map, Value, json};

const MESSAGE: &[u8] = include_bytes!("../../../../tests/data/hl7/adt.hl7");
/// Messages kept in the accepted row with 64 connections.
const KEPT: u64 = 300_000;
/// Messages queued in the memory rows.
const QUEUED: u64 = 1_000_000;
/// How long senders are held back in the sustained row.
const SUSTAINED: Duration = Duration::from_secs(60);
/// What one message of the large row has.
const LARGE: usize = 5_000_000;
/// How long a peer is measured.
const PEER: Duration = Duration::from_secs(3);

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["bare", place] => serve(Floor::Bare, Path::new(place)).map_err(Into::into),
        ["log", place] => serve(Floor::Log, Path::new(place)).map_err(Into::into),
        ["files", place] => serve(Floor::Files, Path::new(place)).map_err(Into::into),
        [program, results, parts @ ..] => measure(Path::new(program), Path::new(results), parts),
        _ => Err("usage: bench-router SOCKETREADER RESULTS.json [PART...]".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-router: {error}");
            ExitCode::from(2)
        }
    }
}

fn measure(program: &Path, results: &Path, parts: &[&str]) -> Result<()> {
    let mut rows = Map::new();
    let wanted = |part: &str| parts.is_empty() || parts.contains(&part);
    if wanted("accepted") {
        accepted(program, &mut rows)?;
    }
    if wanted("not-durable") {
        not_durable(program, &mut rows)?;
    }
    if wanted("sustained") {
        sustained(program, &mut rows)?;
    }
    if wanted("memory") {
        memory(program, &mut rows)?;
    }
    if wanted("large") {
        large(program, &mut rows)?;
    }
    if wanted("peers") {
        peers(program, &mut rows)?;
    }
    if wanted("crowd") {
        crowd(program, &mut rows)?;
    }
    if wanted("tls") {
        over_tls(program, &mut rows)?;
    }
    std::fs::write(results, Value::from(rows).to_string())?;
    Ok(())
}

/// A row of the table: the time a message takes, over all connections together.
fn row(rows: &mut Map<String, Value>, name: &str, load: &Load) {
    eprintln!(
        "{name}: {:.0} messages/s, longest answer {:.1} ms, {} held back",
        load.rate(),
        load.longest.as_secs_f64() * 1e3,
        load.held_back
    );
    rows.insert(name.to_owned(), json!({ "nanoseconds": 1e9 / load.rate(), "bytes": MESSAGE.len() }));
}

fn floor(kind: &str, connections: usize, until: Until) -> Result<Load> {
    let place = Scratch::new(kind)?;
    let program = Program::announced(Command::new(std::env::current_exe()?).arg(kind).arg(place.path()))?;
    Ok(run(program.address, connections, MESSAGE, until, |_| {})?)
}

/// Durable acceptance, files written behind.
fn accepted(program: &Path, rows: &mut Map<String, Value>) -> Result<()> {
    for (connections, count) in [(1, 20_000), (8, 80_000), (64, KEPT)] {
        // The floor is the same all the time.
        let until = Until::Count(count);
        let before = floor("log", connections, until)?;
        let router = Router::start(program, "", &Out::Files)?;
        let load = router.load(connections, MESSAGE, Until::Count(KEPT))?;
        let files = router.files()?;
        let resident = router.program.resident();
        drop(router);
        let after = floor("log", connections, until)?;
        let best = if before.rate() > after.rate() { before } else { after };
        row(rows, &format!("router/floor-L/{connections}"), &best);
        row(rows, &format!("router/accepted/{connections}"), &load);
        eprintln!(
            "  {:.0} % of L, {files} files written meanwhile, {resident} KiB resident",
            load.rate() / best.rate() * 100.0
        );
    }
    Ok(())
}

/// Without the sync before the answer.
fn not_durable(program: &Path, rows: &mut Map<String, Value>) -> Result<()> {
    let bare = floor("bare", 64, Until::Time(Duration::from_secs(3)))?;
    row(rows, "router/bare-loop/64", &bare);
    let router = Router::start(program, "durable = False", &Out::Files)?;
    row(rows, "router/not-durable/64", &router.load(64, MESSAGE, Until::Time(Duration::from_secs(3)))?);
    Ok(())
}

/// A minute of more than can be written: senders are held back, and what waits stays what it is.
fn sustained(program: &Path, rows: &mut Map<String, Value>) -> Result<()> {
    let files = floor("files", 64, Until::Time(SUSTAINED / 3))?;
    row(rows, "router/floor-F/64", &files);
    let router = Router::start(program, "maxpending = 20000", &Out::Files)?;
    // Up to the bound first: from there on, as much is taken in as is written.
    router.load(64, MESSAGE, Until::Time(Duration::from_secs(1)))?;
    // The bound itself is hardly ever seen: files are written while it is asked for.
    while router.waiting()? < 18_000 {
        router.load(64, MESSAGE, Until::Time(Duration::from_secs(1)))?;
    }
    let (before, begun) = (router.waiting()?, Instant::now());
    let load = router.load(64, MESSAGE, Until::Time(SUSTAINED))?;
    let after = router.waiting()?;
    row(rows, "router/sustained/64", &load);
    eprintln!(
        "  {:.0} % of F, {before} messages waited before and {after} after {:.0} s",
        load.rate() / files.rate() * 100.0,
        begun.elapsed().as_secs_f64()
    );
    rows.insert(
        "router/sustained-backlog-growth".to_owned(),
        json!({ "count": after.saturating_sub(before) }),
    );
    Ok(())
}

/// Resident memory with idle connections, and with a backlog.
fn memory(program: &Path, rows: &mut Map<String, Value>) -> Result<()> {
    let mut held = |name: &str, kib: u64| {
        eprintln!("router/{name}: {kib} KiB");
        rows.insert(format!("router/{name}"), json!({ "nanoseconds": 0.0, "memory": kib * 1024 }));
    };
    let router = Router::start(program, "maxconnections = 2000", &Out::Files)?;
    let idle = connect(router.program.address, 1000)?;
    router.load(8, MESSAGE, Until::Count(1000))?;
    held("resident-1000-idle", router.program.resident());
    drop((idle, router));
    let router = Router::start(program, "", &Out::Nowhere(free_port()?))?;
    router.load(64, MESSAGE, Until::Count(QUEUED / 10))?;
    let at_a_tenth = router.program.resident();
    router.load(64, MESSAGE, Until::Count(QUEUED - QUEUED / 10))?;
    let at_the_end = router.program.resident();
    held("resident-1M-queued", at_the_end);
    held("resident-growth", at_the_end.saturating_sub(at_a_tenth));
    Ok(())
}

/// How long a long message waits for its answer.
fn large(program: &Path, rows: &mut Map<String, Value>) -> Result<()> {
    let mut message = MESSAGE.to_vec();
    message.extend_from_slice(b"OBX|1|ED|PDF||");
    message.resize(LARGE, b'A');
    message.push(b'\r');
    let router = Router::start(program, "", &Out::Files)?;
    let mut times = Vec::new();
    for _ in 0..11 {
        times.push(router.load(1, &message, Until::Count(1))?.time);
    }
    times.sort_unstable();
    let median = times[times.len() / 2];
    eprintln!("router/5M: answered after {:.1} ms", median.as_secs_f64() * 1e3);
    rows.insert("router/5M".to_owned(), json!({ "nanoseconds": median.as_nanos(), "bytes": message.len() }));
    Ok(())
}

/// How long the peer that works waits for its answers, alone and beside many that do not work.
fn crowd(program: &Path, rows: &mut Map<String, Value>) -> Result<()> {
    let certificates = Scratch::new("crowd")?;
    tls::certificate(certificates.path())?;
    let file = |name: &str| certificates.path().join(name).display().to_string();
    let (cert, key) = (file("tls.pem"), file("tls.key"));
    let (port, figures) = (free_port()?, free_port()?);
    let tls = format!(
        "port = {port}\ntls = True\ntlscert = {cert}\ntlskey = {key}\ntlsverify = True\ntlsca = {cert}"
    );
    // The system asks nobody whether it is still there: who is gone stays.
    let options = "maxconnections = 20000\ntimeout = 3600\nkeepalive = 0";
    let figures = SocketAddr::from(([127, 0, 0, 1], figures));
    let router =
        Router::start_with(program, options, &Out::Files, &format!("metrics = {figures}"), &[("tls", tls)])?;
    let address = router.program.address;
    let place = hostile::Place {
        plain: address,
        tls: SocketAddr::from(([127, 0, 0, 1], port)),
        figures,
        certificates: certificates.path(),
    };
    let work = || hostile::p99(address, MESSAGE, 20_000);
    work()?;
    let before = work()?;
    let beside = hostile::beside_a_crowd(&place, MESSAGE, work)?;
    let resident = router.program.resident();
    let alone = before.max(work()?);
    for (name, p99) in [("p99-alone", alone), ("p99-beside-a-crowd", beside.done)] {
        eprintln!("router/{name}: {:.0} us", p99.as_secs_f64() * 1e6);
        rows.insert(format!("router/{name}"), json!({ "nanoseconds": p99.as_nanos() as f64 }));
    }
    eprintln!(
        "  {} peers before and {} after, {} came again, {} certificates of 1 MB refused, {resident} KiB resident",
        beside.peers.0, beside.peers.1, beside.again, beside.refused
    );
    Ok(())
}

/// The same load with TLS and without.
fn over_tls(program: &Path, rows: &mut Map<String, Value>) -> Result<()> {
    let place = Scratch::new("tls")?;
    tls::certificate(place.path())?;
    let (cert, key) = (place.path().join("tls.pem"), place.path().join("tls.key"));
    let options = format!("tls = True\ntlscert = {}\ntlskey = {}", cert.display(), key.display());
    for connections in [1, 8, 64] {
        let count = 5000 * connections.min(8) as u64;
        let plain = Router::start(program, "", &Out::Files)?;
        row(
            rows,
            &format!("router/plain/{connections}"),
            &plain.load(connections, MESSAGE, Until::Count(count))?,
        );
        drop(plain);
        let router = Router::start(program, &options, &Out::Files)?;
        let load = tls::run(router.program.address, &cert, connections, MESSAGE, count)?;
        row(rows, &format!("router/tls/{connections}"), &load);
    }
    Ok(())
}

/// Servers of others, and the router under the same load. None of them keeps a message.
fn peers(program: &Path, rows: &mut Map<String, Value>) -> Result<()> {
    let python = "tests/peers/.venv/bin/python";
    for (name, runtime, server) in [
        ("python-hl7", python, "tests/peers/hl7_server.py"),
        ("hl7apy", python, "tests/peers/hl7apy_server.py"),
        ("node-hl7-server", "node", "tests/peers/node_server.mjs"),
    ] {
        let port = free_port()?;
        let peer = Program::listening(Command::new(runtime).arg(server).arg(port.to_string()), port)?;
        let load = run_transient(peer.address, 8, MESSAGE, PEER)?;
        row(rows, &format!("router/peer-{name}-transient/8"), &load);
    }
    let router = Router::start(program, "", &Out::Files)?;
    let load = run_transient(router.program.address, 8, MESSAGE, PEER)?;
    row(rows, "router/accepted-transient/8", &load);
    Ok(())
}
