//! `hl7tocv batch` over a spool of 100,000 messages: how soon it sends, how much memory it takes; and how soon a run
//! with a dead gateway ends, with a mail server and a remote shell that hang, too.
//!
//! usage: bench-hl7tocv HL7TOCV-PROGRAM RESULTS.json

use protogen_bench::dead_server::DeadServer;
use serde_json::json;
use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// A large spool, and a small one to compare its memory with.
const MANY: usize = 100_000;
const FEW: usize = 100;
const ROUNDS: usize = 5;
/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(600);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [program, results] = arguments.as_slice() else {
        eprintln!("usage: bench-hl7tocv HL7TOCV-PROGRAM RESULTS.json");
        return ExitCode::from(2);
    };
    match run(Path::new(program), Path::new(results)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-hl7tocv: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(program: &Path, results: &Path) -> Result<(), Box<dyn Error>> {
    let program = program.canonicalize()?;
    let mut measured = serde_json::Map::new();
    let gateway = Gateway::start()?;

    let site = Site::new(&program, &std::env::temp_dir(), MANY)?;
    let mut firsts = Vec::new();
    for _ in 0..ROUNDS {
        gateway.forget();
        let begin = Instant::now();
        let mut run = site.run(&gateway.place).spawn()?;
        gateway.wait_for(1)?;
        firsts.push(begin.elapsed().as_nanos() as f64);
        run.kill()?;
        run.wait()?;
    }
    firsts.sort_by(f64::total_cmp);
    measured.insert("hl7tocv/first-of-100k".into(), json!({ "nanoseconds": firsts[ROUNDS / 2] }));
    drop(site);

    // In memory, where there is such a place: syncing 100,000 files to a disk says nothing about our memory.
    let memory = Path::new("/dev/shm");
    let fast = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    let (_, small) = whole_run(&Site::new(&program, &fast, FEW)?, &gateway, FEW)?;
    let (time, large) = whole_run(&Site::new(&program, &fast, MANY)?, &gateway, MANY)?;
    let each = time.as_nanos() as f64 / MANY as f64;
    measured.insert("hl7tocv/message-of-100k".into(), json!({ "nanoseconds": each, "memory": large }));
    let growth = (large - small).max(0.0);
    measured.insert("hl7tocv/memory-growth-100k".into(), json!({ "nanoseconds": each, "memory": growth }));

    for (name, time) in dead_gateways(&program)? {
        measured
            .insert(format!("hl7tocv/dead-gateway/{name}"), json!({ "nanoseconds": time.as_nanos() as f64 }));
    }
    std::fs::write(results, serde_json::Value::from(measured).to_string())?;
    Ok(())
}

/// Sends all of it; the time, and the most memory in bytes, looked at before the last answer.
fn whole_run(site: &Site, gateway: &Gateway, count: usize) -> Result<(Duration, f64), Box<dyn Error>> {
    gateway.forget();
    let begin = Instant::now();
    let mut run = site.run(&gateway.place).spawn()?;
    gateway.wait_for(count - 1)?;
    let memory = peak_memory(&run)?;
    let status = run.wait()?;
    if !status.success() {
        return Err(format!("a run over {count} messages ended with {status}").into());
    }
    Ok((begin.elapsed(), memory))
}

fn peak_memory(run: &Child) -> Result<f64, Box<dyn Error>> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", run.id()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("it has ended already")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024.0)
}

/// One that refuses connections, one that accepts and is silent, one that does not even accept; all at once. Mail and
/// system message hang as well.
fn dead_gateways(program: &Path) -> Result<Vec<(&'static str, Duration)>, Box<dyn Error>> {
    let mail = DeadServer::silent()?;
    let servers = [
        ("refuses", DeadServer::refuses()?),
        ("silent", DeadServer::silent()?),
        ("unreachable", DeadServer::unreachable()?),
    ];
    let mut runs = Vec::new();
    for (name, server) in &servers {
        let site = Site::new(program, &std::env::temp_dir(), 1)?;
        let hung = site.directory.path().join("rsh");
        std::fs::write(&hung, "exec sleep 600\n")?;
        let mut command = site.run(&format!("{}%127.0.0.1", server.address.port()));
        command.env("PG_SMTP", mail.address.to_string()).env("PG_RSH", format!("/bin/sh {}", hung.display()));
        runs.push((*name, Instant::now(), command.spawn()?, site));
    }
    let mut ended = Vec::new();
    for (name, begin, mut run, site) in runs {
        // Looked at one after the other: a run that ended earlier than the one before it counts as long as that.
        let status = run.wait()?;
        if status.code() != Some(75) || !site.spool().join(".error").exists() {
            return Err(format!("{name}: ended with {status}, expected 75 and an error mark").into());
        }
        ended.push((name, begin.elapsed()));
    }
    Ok(ended)
}

/// A site with so many messages in its queue.
struct Site {
    program: PathBuf,
    directory: tempfile::TempDir,
}

impl Site {
    fn new(program: &Path, place: &Path, messages: usize) -> Result<Site, Box<dyn Error>> {
        let site = Site { program: program.to_owned(), directory: tempfile::tempdir_in(place)? };
        std::fs::create_dir_all(site.spool())?;
        std::fs::create_dir_all(site.directory.path().join("var/log/ANAE_IOP"))?;
        std::fs::create_dir_all(site.directory.path().join("etc"))?;
        std::fs::write(site.directory.path().join("etc/queues"), "[ANAE_IOP]\n")?;
        for n in 0..messages {
            let message = format!(
                "MSH|^~\\&|LAB||CVGATEWAY||20261123184000||ORU^R01|{n}|P|2.3\rOBX|1|NM|9948-1||8.0|mmol/l\r"
            );
            std::fs::write(site.spool().join(format!("{n:08}")), message)?;
        }
        Ok(site)
    }

    fn spool(&self) -> PathBuf {
        self.directory.path().join("var/spool/ANAE_IOP")
    }

    fn run(&self, gateway: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["--gateway", gateway, "batch"]).env("PG_HOME", self.directory.path());
        command.env("ADMIN", "root").env("CAREVUE", "cv@nowhere").env("RUST_LOG", "error");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }
}

/// Answers AA to everything, and tells of each message.
struct Gateway {
    place: String,
    taken: Receiver<()>,
}

impl Gateway {
    fn start() -> Result<Gateway, Box<dyn Error>> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let place = format!("{}%127.0.0.1", listener.local_addr()?.port());
        let (sender, taken) = channel();
        std::thread::spawn(move || {
            let mut message = Vec::new();
            for mut stream in listener.incoming().flatten() {
                message.clear();
                if stream.read_to_end(&mut message).is_err() || message.is_empty() {
                    continue;
                }
                if sender.send(()).is_err() {
                    return;
                }
                let id = message.split(|byte| *byte == b'|').nth(9).unwrap_or_default();
                let answer = [b"MSH|^~\\&|||||||ACK|1|P|2.1\rMSA|AA|", id, b"|\r"].concat();
                // A run that was killed does not want it.
                let _ = stream.write_all(&answer);
            }
        });
        Ok(Gateway { place, taken })
    }

    fn forget(&self) {
        while self.taken.try_recv().is_ok() {}
    }

    fn wait_for(&self, count: usize) -> Result<(), Box<dyn Error>> {
        for _ in 0..count {
            self.taken.recv_timeout(LIMIT)?;
        }
        Ok(())
    }
}
