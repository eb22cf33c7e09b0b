//! The gateway to CareVue beside a bare ILLP server, the same load for both; and the memory it holds.
//!
//! usage: bench-cvgateway PROGRAMS-DIRECTORY RESULTS.json [PART...]

use std::cell::Cell;
use std::error::Error;
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use protogen_bench::router::program::{Program, Scratch, free_port};
use serde_json::{Map, Value, json};

/// Senders at a time.
const SENDERS: usize = 8;
/// Messages of the rows of speed.
const ADT: u64 = 5_000;
const ORU: u64 = 20_000;
/// Messages, ADT and ORU in turn, before the memory is looked at first, and in the end.
const WARM: u64 = 20_000;
const MANY: u64 = 120_000;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["bare"] => bare().map_err(Into::into),
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

/// Takes a message a connection, does nothing with it and answers AA: also what stands in for CareVue's interface.
fn bare() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    for stream in listener.incoming() {
        let mut stream = stream?;
        std::thread::spawn(move || {
            let mut request = Vec::new();
            if stream.read_to_end(&mut request).is_err() {
                return;
            }
            let id = request.split(|byte| *byte == b'|').nth(9).unwrap_or_default();
            let answer = [b"MSH|^~\\&|B||A||2026||ACK|1|P|2.1\rMSA|AA|", id, b"\r"].concat();
            // A sender that is gone wants no answer.
            let _ = stream.write_all(&answer);
        });
    }
    Ok(())
}

/// The site of a gateway that is measured, and the interface it sends to.
struct Bench {
    place: Scratch,
    interface: Program,
    started: Cell<u32>,
}

impl Bench {
    fn new(programs: &Path, place: Scratch) -> Result<Bench> {
        let etc = place.path().join("etc");
        std::fs::create_dir_all(&etc)?;
        std::fs::write(etc.join("hl7hosts"), "127.0.0.1 * * * * *\n")?;
        std::fs::write(etc.join("cvgateway.toml"), "")?;
        for (program, table) in [("unitmgr", "units.tab"), ("labeventinfomgr", "LabEventInfo.tab")] {
            let mut command = Command::new(programs.join(program));
            command
                .stderr(Stdio::null())
                .arg("-c")
                .arg(Path::new("etc").join(table))
                .env("PG_HOME", place.path());
            if !command.status()?.success() {
                return Err(format!("{program} has failed").into());
            }
        }
        let interface = Program::announced(Command::new(std::env::current_exe()?).arg("bare"))?;
        Ok(Bench { place, interface, started: Cell::new(0) })
    }

    /// A gateway; `program` is told its port, its interface and its facility. Each has a facility and so a journal of its
    /// own: to remove one costs the file system much that would be counted for the next.
    fn start(&self, program: impl FnOnce(&str, &str, &str) -> io::Result<Command>) -> Result<Program> {
        let port = free_port()?;
        self.started.set(self.started.get() + 1);
        let interface = self.interface.address.port().to_string();
        let facility = format!("UNIT_{}", self.started.get());
        let mut command = program(&port.to_string(), &interface, &facility)?;
        command.env("PG_HOME", self.place.path()).env("RUST_LOG", "warn");
        command.env_remove("PG_CODELIB").env_remove("NOTIFY_SOCKET");
        Ok(Program::listening(&mut command, port)?)
    }

    /// One whose census is answered within its own process.
    fn gateway(&self) -> Result<Program> {
        self.start(|port, interface, facility| {
            let mut command = Command::new(std::env::current_exe()?);
            command.args(["gateway", port, &format!("{interface}%127.0.0.1"), facility]);
            Ok(command)
        })
    }
}

fn measure(programs: &Path, results: &Path, parts: &[&str]) -> Result<()> {
    let programs = programs.canonicalize()?;
    let mut rows = Map::new();
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
    std::fs::write(results, Value::from(rows).to_string())?;
    Ok(())
}

/// How many messages a gateway takes.
fn speed(
    bench: &Bench,
    name: &str,
    message: fn(u64) -> Vec<u8>,
    count: u64,
    rows: &mut Map<String, Value>,
) -> Result<()> {
    let gateway = bench.gateway()?;
    let (rate, longest) = load(gateway.address, message, 0..count)?;
    row(rows, name, rate, message(0).len());
    eprintln!("  longest answer {:.1} ms", longest.as_secs_f64() * 1e3);
    Ok(())
}

/// What the gateway holds after so many messages, and how much that is more than after the first of them.
fn memory(bench: &Bench, rows: &mut Map<String, Value>) -> Result<()> {
    let both = |n: u64| if n.is_multiple_of(2) { adt(n) } else { oru(n) };
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

/// A row of the table: the time a message takes, over all senders together.
fn row(rows: &mut Map<String, Value>, name: &str, rate: f64, bytes: usize) {
    eprintln!("cvgateway/{name}: {rate:.0} messages/s");
    rows.insert(format!("cvgateway/{name}"), json!({ "nanoseconds": 1e9 / rate, "bytes": bytes }));
}

/// Each of these messages over a connection of its own; messages a second, and the longest answer.
fn load(
    address: SocketAddr,
    message: impl Fn(u64) -> Vec<u8> + Sync,
    numbers: std::ops::Range<u64>,
) -> Result<(f64, Duration)> {
    let (next, begun) = (AtomicU64::new(numbers.start), Instant::now());
    let one = || -> io::Result<Duration> {
        let (mut longest, mut answer) = (Duration::ZERO, Vec::new());
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= numbers.end {
                return Ok(longest);
            }
            let (request, sent) = (message(number), Instant::now());
            answer.clear();
            let mut stream = TcpStream::connect(address)?;
            stream.set_read_timeout(Some(Duration::from_secs(60)))?;
            stream.write_all(&request)?;
            stream.shutdown(Shutdown::Write)?;
            stream.read_to_end(&mut answer)?;
            longest = longest.max(sent.elapsed());
            if !answer.windows(7).any(|window| window == b"\rMSA|AA") {
                return Err(io::Error::other(format!("answered {}", answer.escape_ascii())));
            }
        }
    };
    let longest: Vec<io::Result<Duration>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..SENDERS).map(|_| scope.spawn(one)).collect();
        let gone = |_| io::Error::other("a thread of the load has ended");
        threads.into_iter().map(|thread| thread.join().map_err(gone).and_then(|longest| longest)).collect()
    });
    let taken = begun.elapsed().as_secs_f64();
    let longest = longest.into_iter().collect::<io::Result<Vec<_>>>()?.into_iter().max().unwrap_or_default();
    Ok(((numbers.end - numbers.start) as f64 / taken, longest))
}

/// An admission, a transfer, an update and a discharge in turn.
fn adt(number: u64) -> Vec<u8> {
    let (event, record) = (["A01", "A02", "A08", "A03"][number as usize % 4], number / 4);
    format!(
        "MSH|^~\\&|ADM|HOSP|CVGATEWAY|060_IOP|202611241200||ADT^{event}|A{number}|P|2.3\rEVN|{event}|202611241200\r\
         PID|1||A{record}^5^M11||Muster^Eva||19500203|F|||Weg 1^^Ulm||0731-1\rNK1|1|Muster^Otto|NK|Weg 1|1~2\r\
         PV1|1|I|IOP^601^1|||IOP^602^2|||Dr. Chef|CHI|||||||||{record}\rAL1|1||P^Penicillin\rDG1|1||I21|Infarkt\r"
    )
    .into_bytes()
}

/// A blood gas analysis of 20 results, each converted.
fn oru(number: u64) -> Vec<u8> {
    let mut message = format!(
        "MSH|^~\\&|ABL|HOSP|CVGATEWAY|060_IOP|202611241200||ORU^R01|O{number}|P|2.3\r\
         PID|1||A{number}||Muster^Eva\rPV1|1|I|IOP^601^1||||||||||||||||{number}\r\
         OBR|1||{number}|BGA|||202611241155||||||||BLDA\r"
    );
    let results = [
        ("2703-7", "75", "mm(hg)"),
        ("9948-1", "8.0", "mmol/l"),
        ("2714-4", "97.2", "%"),
        ("6298-4", "156.4", "mg/l"),
        ("2947-0", "140", "mmol/l"),
        ("1994-3", "9.6", "mg/dl"),
        ("2069-3", "104", "mmol/l"),
        ("2339-0", "90", "mg/dl"),
        ("9984-6", "98.6", "degf"),
        ("2704-5", "12.3", "kPal"),
    ];
    for (n, (code, value, unit)) in results.iter().cycle().take(20).enumerate() {
        message += &format!("OBX|{}|NM|{code}^X^L||{value}|{unit}|||||F\r", n + 1);
    }
    message.into_bytes()
}
