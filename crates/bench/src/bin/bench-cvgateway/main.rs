//! The gateway to CareVue beside a bare ILLP server, the same load for both; the memory it holds; how soon a sender is
//! told that CareVue is unreachable; and how long the start takes with a large journal.
//!
//! usage: bench-cvgateway PROGRAMS-DIRECTORY RESULTS.json [PART...]

mod load;
mod site;
mod start;
mod unreachable;

use std::error::Error;
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use protogen_bench::router::program::{Program, Scratch};
use serde_json::{Map, Value, json};

use load::{adt, both, load, oru};
use site::Bench;

/// Messages of the rows of speed.
const ADT: u64 = 5_000;
const ORU: u64 = 20_000;
/// Messages, ADT and ORU in turn, before the memory is looked at first, and in the end.
const WARM: u64 = 20_000;
const MANY: u64 = 120_000;

/// Rows of the table.
type Rows = Map<String, Value>;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["bare"] => bare("AA").map_err(Into::into),
        ["bare", code] => bare(code).map_err(Into::into),
        ["gateway", port, fsi, facility] => {
            protogen_cvgateway::serve_with(census, port, fsi, facility).map_err(Into::into)
        }
        [programs, results, parts @ ..] => measure(Path::new(programs), Path::new(results), parts),
        _ => Err("usage: bench-cvgateway PROGRAMS-DIRECTORY RESULTS.json [PART...]".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-cvgateway: {error}");
            ExitCode::from(2)
        }
    }
}

/// Plays idb_direct: an unknown patient for A01, one who is there for A03, A08 and after an admission, and for A02 one
/// in the old bed whose new bed is free.
fn census(arguments: &[OsString]) -> u8 {
    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    match arguments.get(1).and_then(|event| event.to_str()) {
        Some("1") if !has("-c") => 0,
        Some("2") => 0o27,
        _ => 7,
    }
}

/// Takes a message a connection, does nothing with it and answers with this code: also what stands in for CareVue's interface.
fn bare(code: &str) -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    for stream in listener.incoming() {
        let mut stream = stream?;
        let code = code.to_owned();
        std::thread::spawn(move || {
            let mut request = Vec::new();
            if stream.read_to_end(&mut request).is_err() {
                return;
            }
            let id = request.split(|byte| *byte == b'|').nth(9).unwrap_or_default();
            let answer =
                [format!("MSH|^~\\&|B||A||2026||ACK|1|P|2.1\rMSA|{code}|").as_bytes(), id, b"\r"].concat();
            // A sender that is gone wants no answer.
            let _ = stream.write_all(&answer);
        });
    }
    Ok(())
}

fn measure(programs: &Path, results: &Path, parts: &[&str]) -> Result<()> {
    let programs = programs.canonicalize()?;
    let mut rows = Rows::new();
    let wanted = |part: &str| parts.is_empty() || parts.contains(&part);
    // The journal is in memory, or what the file system does for its four files a message would be measured: ext4 takes
    // minutes until many removed files are forgotten, and the rows before this one have removed many.
    let memory_disk = Path::new("/dev/shm");
    let place = match memory_disk.is_dir() {
        true => Scratch::below(memory_disk, "cvgateway")?,
        false => Scratch::new("cvgateway")?,
    };
    let bench = Bench::new(&programs, place)?;
    let kinds = [("adt", adt as fn(u64) -> Vec<u8>, ADT), ("oru-20-obx", oru as fn(u64) -> Vec<u8>, ORU)];
    for (name, message, count) in kinds.into_iter().filter(|(name, ..)| wanted(name)) {
        let bare = Program::announced(Command::new(std::env::current_exe()?).arg("bare"))?;
        let (floor, _) = load(bare.address, message, 0..count)?;
        row(&mut rows, &format!("bare-illp-{name}"), floor, message(0).len());
        speed(&bench, name, message, count, &mut rows)?;
    }
    if wanted("disk") {
        let bench = Bench::new(&programs, Scratch::new("cvgateway")?)?;
        for (name, message, count) in kinds {
            speed(&bench, &format!("{name}-on-disk"), message, count, &mut rows)?;
        }
    }
    if wanted("adt-program") {
        // The same with a program that is started for each look, and does nothing but answer.
        let script = bench.place.path().join("etc/idb_direct");
        std::fs::write(
            &script,
            "#!/bin/sh\ncase $2:$7 in 1:) exit 0 ;; 2:*) exit 23 ;; *) exit 7 ;; esac\n",
        )?;
        std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        let gateway = bench.start(|port, interface, facility| {
            let mut command = Command::new(programs.join("cvgateway"));
            command.args([port, interface, "127.0.0.1", facility]);
            Ok(command)
        })?;
        let (rate, _) = load(gateway.address, adt, 0..ADT / 5)?;
        row(&mut rows, "adt-program", rate, adt(0).len());
    }
    if wanted("memory") {
        memory(&bench, &mut rows)?;
    }
    if wanted("unreachable") {
        unreachable::measure(&bench, &mut rows)?;
    }
    if wanted("start") {
        start::measure(&bench, &mut rows)?;
    }
    std::fs::write(results, Value::from(rows).to_string())?;
    Ok(())
}

/// How many messages a gateway takes.
fn speed(bench: &Bench, name: &str, message: fn(u64) -> Vec<u8>, count: u64, rows: &mut Rows) -> Result<()> {
    let gateway = bench.gateway()?;
    let (rate, longest) = load(gateway.address, message, 0..count)?;
    row(rows, name, rate, message(0).len());
    eprintln!("  longest answer {:.1} ms", longest.as_secs_f64() * 1e3);
    Ok(())
}

/// What the gateway holds after so many messages, and how much that is more than after the first of them.
fn memory(bench: &Bench, rows: &mut Rows) -> Result<()> {
    let gateway = bench.gateway()?;
    load(gateway.address, both, 0..WARM)?;
    let early = gateway.resident();
    load(gateway.address, both, WARM..MANY)?;
    let late = gateway.resident();
    eprintln!("cvgateway: {early} KiB after {WARM} messages, {late} KiB after {MANY}");
    for (name, kib) in
        [("resident-after-120000", late), ("resident-growth-over-100000", late.saturating_sub(early))]
    {
        rows.insert(format!("cvgateway/{name}"), json!({ "nanoseconds": 0.0, "memory": kib * 1024 }));
    }
    Ok(())
}

/// A row of the table: how long something took.
fn took(rows: &mut Rows, name: &str, time: Duration) {
    eprintln!("cvgateway/{name}: {:.1} ms", time.as_secs_f64() * 1e3);
    rows.insert(format!("cvgateway/{name}"), json!({ "nanoseconds": time.as_nanos() as f64 }));
}

/// A row of the table: the time a message takes, over all senders together.
fn row(rows: &mut Rows, name: &str, rate: f64, bytes: usize) {
    eprintln!("cvgateway/{name}: {rate:.0} messages/s");
    rows.insert(format!("cvgateway/{name}"), json!({ "nanoseconds": 1e9 / rate, "bytes": bytes }));
}
