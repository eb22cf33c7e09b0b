//! The whole chain, from MLLP at the router to the answer of the simulated CareVue behind an X3.28 line, beside the sum of
//! its parts: each of them alone, with the same messages, and what stands behind it replaced by a bare server.
//!
//! usage: bench-chain PROGRAMS-DIRECTORY RESULTS.json

use std::error::Error;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use protogen_bench::router::program::{Program, Scratch, free_port};
use serde_json::{Map, Value, json};

/// Messages of each row.
const MESSAGES: usize = 500;
/// Messages whose latency is measured, one after the other.
const SINGLE: usize = 50;
/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(120);

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["bare"] => bare(),
        [programs, results] => measure(Path::new(programs), Path::new(results)),
        _ => Err("usage: bench-chain PROGRAMS-DIRECTORY RESULTS.json".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-chain: {error}");
            ExitCode::from(2)
        }
    }
}

/// Takes a message a connection, does nothing with it and answers AA.
fn bare() -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    println!("{}", listener.local_addr()?);
    for stream in listener.incoming() {
        let mut stream = stream?;
        let mut request = Vec::new();
        stream.read_to_end(&mut request)?;
        let id = request.split(|byte| *byte == b'|').nth(9).unwrap_or_default();
        // Who only looked whether somebody listens wants no answer.
        let _ = stream.write_all(&[b"MSH|^~\\&|B||A||2026||ACK|1|P|2.1\rMSA|AA|", id, b"\r"].concat());
    }
    Ok(())
}

/// A result with two values.
fn message(id: &str) -> Vec<u8> {
    format!(
        "MSH|^~\\&|ABL|060_IOP|CVGATEWAY|060_IOP|20261123090500||ORU^R01|{id}|P|2.3\rPID|1||770101||Ahrens^Berta\r\
         PV1|1|I|IOP^601^1||||||||||||||||880101\rOBR|1||4711|BGA||20261123090100|20261123090200||||||||BLDA\r\
         OBX|1|NM|2703-7^OXYGEN^LN||88|mm(hg)|||||F\rOBX|2|NM|6298-4^POTASSIUM^LN||3.86|mmol/l|||||F\r"
    )
    .into_bytes()
}

/// The same as the gateway sends it on.
fn for_carevue(id: &str) -> Vec<u8> {
    format!(
        "MSH|^~\\&|CVGATEWAY|060_IOP|CLI|060_IOP|20261123090500||ORU^R01|{id}|P|2.1\rPID|1||880101||Ahrens^Berta\r\
         OBR|1||4711|BGA||20261123090100|20261123090200||||||||BLDA\rOBX|1|NM|2703-7||11.7|kPal|||||F\r\
         OBX|2|NM|6298-4||3.9|mmol/l|||||F\rOBX|3|ST|BGATYPA||unbek.\r"
    )
    .into_bytes()
}

/// An installation, and how its programs are started.
struct Bench {
    programs: PathBuf,
    place: Scratch,
}

impl Bench {
    fn home(&self) -> &Path {
        self.place.path()
    }

    fn spool(&self) -> PathBuf {
        self.home().join("var/spool/ANAE_IOP")
    }

    fn program(&self, name: &str, arguments: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command.args(arguments.split_whitespace()).current_dir(self.home());
        command.env("PG_HOME", self.home()).env("PG_CODELIB", self.home().join("lib/codes"));
        command.env("CAREVUE_SIM_STATE", self.home().join("carevue")).env("CAREVUE", "cv@carevue");
        command.env("PG_RSH", format!("{} rsh", self.programs.join("carevue-sim").display()));
        command.env("RUST_LOG", "warn").env_remove("NOTIFY_SOCKET");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn run(&self, name: &str, arguments: &str) -> Result<()> {
        match self.program(name, arguments).status()? {
            status if status.success() => Ok(()),
            status => Err(format!("{name} {arguments} ended with {status}").into()),
        }
    }

    fn lay_out(&self) -> Result<()> {
        for directory in ["etc", "var/log/ANAE_IOP", "var/spool/ANAE_IOP", "var/socketreader"] {
            std::fs::create_dir_all(self.home().join(directory))?;
        }
        let etc = self.home().join("etc");
        std::fs::write(etc.join("hl7hosts"), "127.0.0.1 * * * * *\n")?;
        std::fs::write(etc.join("cvgateway.toml"), "")?;
        std::fs::write(etc.join("queues"), "[ANAE_IOP]\n")?;
        let tables = std::env::current_dir()?.join("etc");
        for (program, table) in [("unitmgr", "units.tab"), ("labeventinfomgr", "LabEventInfo.tab")] {
            self.run(program, &format!("-c {}", tables.join(table).display()))?;
        }
        self.run("carevue-sim", "init --careunit 060_IOP --bed 601-1")
    }

    fn server(&self, name: &str, port: u16, arguments: &str) -> Result<Program> {
        Ok(Program::listening(&mut self.program(name, arguments), port)?)
    }

    fn router(&self) -> Result<(Program, u16)> {
        let (port, home) = (free_port()?, self.home().display());
        let config = format!(
            "[general]\nstatedir = {home}/var/socketreader\nloglvl = warning\nuseconnections = in, out\n\
             [in]\ntranstech = socket\ntransdir = in\nport = {port}\nusehl7 = True\nqueuename = q\n\
             [out]\ntranstech = file\ntransdir = out\nmessagedir = {}\nusehl7 = True\nqueuename = q\n",
            self.spool().display()
        );
        std::fs::write(self.home().join("etc/socketReader.cfg"), config)?;
        Ok((self.server("socketreader", port, "-c etc/socketReader.cfg")?, port))
    }

    /// Both ends of an X3.28 line over a pseudo terminal, with this behind it.
    fn line(&self, to: u16) -> Result<[Program; 2]> {
        let port = free_port()?;
        let ours = self.server("llpdrv", port, &format!("-YIa --priority high -p line -i {port}"))?;
        let theirs = self.program("llpdrv", &format!("-Ya -t line -i {to}%127.0.0.1")).spawn_kept(port)?;
        // Both ends of the line have to be there.
        let begun = Instant::now();
        while let Err(error) = exchange(port, std::iter::once("W".to_owned()), for_carevue) {
            if begun.elapsed() > LIMIT {
                return Err(error);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok([ours, theirs])
    }

    fn gateway(&self, to: u16) -> Result<(Program, u16)> {
        let port = free_port()?;
        Ok((self.server("cvgateway", port, &format!("{port} {to} 127.0.0.1 060_IOP"))?, port))
    }

    /// `hl7tocv batch`, until the queue is empty.
    fn batch(&self, gateway: u16) -> Result<()> {
        self.run("hl7tocv", &format!("--run-log log --gateway {gateway}%127.0.0.1 batch"))
    }

    fn waiting(&self) -> Result<usize> {
        let names = self.spool().read_dir()?.filter_map(std::result::Result::ok);
        Ok(names.filter(|entry| !entry.file_name().as_encoded_bytes().starts_with(b".")).count())
    }

    /// Sends messages by one MLLP connection, and waits for the answer of each.
    fn send(&self, port: u16, ids: impl Iterator<Item = String>) -> Result<()> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(LIMIT))?;
        let mut answer = vec![0; 4096];
        for id in ids {
            stream.write_all(&[b"\x0b", message(&id).as_slice(), b"\x1c\r"].concat())?;
            let mut length = 0;
            while !answer[..length].ends_with(b"\x1c\r") {
                match stream.read(&mut answer[length..])? {
                    0 => return Err("the router closed".into()),
                    count => length += count,
                }
            }
        }
        Ok(())
    }

    fn until_waiting(&self, count: usize) -> Result<()> {
        let begun = Instant::now();
        while self.waiting()? < count {
            if begun.elapsed() > LIMIT {
                return Err("the router writes no files".into());
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        Ok(())
    }
}

/// Starts a program that listens nowhere itself.
trait Spawn {
    fn spawn_kept(&mut self, port: u16) -> std::io::Result<Program>;
}

impl Spawn for Command {
    /// The port is that of its partner, which listens already.
    fn spawn_kept(&mut self, port: u16) -> std::io::Result<Program> {
        Program::listening(self, port)
    }
}

/// Messages by ILLP, one after the other.
fn exchange(port: u16, ids: impl Iterator<Item = String>, message: fn(&str) -> Vec<u8>) -> Result<()> {
    for id in ids {
        let mut stream = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
        stream.set_read_timeout(Some(LIMIT))?;
        stream.write_all(&message(&id))?;
        stream.shutdown(Shutdown::Write)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        if !answer.windows(8).any(|bytes| bytes == b"\rMSA|AA|") {
            return Err(format!("{id}: {}", String::from_utf8_lossy(&answer)).into());
        }
    }
    Ok(())
}

fn ids(kind: &str) -> impl Iterator<Item = String> {
    (0..MESSAGES).map(move |n| format!("{kind}{n}"))
}

/// Nanoseconds a message.
fn time(work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let begun = Instant::now();
    work()?;
    Ok(begun.elapsed().as_nanos() as f64 / MESSAGES as f64)
}

fn measure(programs: &Path, results: &Path) -> Result<()> {
    let bench = Bench { programs: programs.canonicalize()?, place: Scratch::new("chain")? };
    bench.lay_out()?;
    let bare = Program::announced(Command::new(std::env::current_exe()?).arg("bare"))?;
    let server = bare.address.port();
    let mut rows = Map::new();
    let mut row = |name: &str, nanoseconds: f64| {
        eprintln!("  chain/{name}: {:.0} messages a second", 1e9 / nanoseconds);
        rows.insert(format!("chain/{name}"), json!({ "nanoseconds": nanoseconds }));
    };
    // The parts, each alone; the last of the files that the router writes are those that hl7tocv sends.
    let (_router, entrance) = bench.router()?;
    let mut parts = Vec::new();
    parts.push((
        "part-socketreader",
        time(|| {
            bench.send(entrance, ids("A"))?;
            bench.until_waiting(MESSAGES)
        })?,
    ));
    parts.push(("part-hl7tocv", time(|| bench.batch(server))?));
    let (gateway, port) = bench.gateway(server)?;
    parts.push(("part-cvgateway", time(|| exchange(port, ids("B"), message))?));
    drop(gateway);
    let line = bench.line(server)?;
    let port = line[0].address.port();
    parts.push(("part-line", time(|| exchange(port, ids("C"), for_carevue))?));
    drop(line);
    let fsi = free_port()?;
    let _carevue = bench.server("carevue-sim", fsi, &format!("serve --port {fsi} --host 127.0.0.1"))?;
    parts.push(("part-carevue-sim", time(|| exchange(fsi, ids("S"), for_carevue))?));
    let line = bench.line(fsi)?;
    let (_gateway, gateway) = bench.gateway(line[0].address.port())?;
    for (name, nanoseconds) in &parts {
        row(name, *nanoseconds);
    }
    row("sum-of-parts", parts.iter().map(|(_, nanoseconds)| nanoseconds).sum());
    row(
        "end-to-end",
        time(|| {
            bench.send(entrance, ids("D"))?;
            bench.until_waiting(MESSAGES)?;
            bench.batch(gateway)
        })?,
    );
    // One message, and hl7tocv at once.
    let mut single = Vec::new();
    for n in 0..SINGLE {
        let begun = Instant::now();
        bench.send(entrance, std::iter::once(format!("E{n}")))?;
        bench.until_waiting(1)?;
        bench.batch(gateway)?;
        single.push(begun.elapsed().as_nanos() as f64);
    }
    single.sort_by(f64::total_cmp);
    row("latency", single[SINGLE / 2]);
    if bench.waiting()? > 0 {
        return Err("messages were refused".into());
    }
    // The demo with programs that are built already.
    let begun = Instant::now();
    let demo =
        Command::new("scripts/demo").arg("--programs").arg(&bench.programs).stdout(Stdio::null()).status()?;
    if !demo.success() {
        return Err("scripts/demo has failed".into());
    }
    let taken = begun.elapsed();
    eprintln!("  chain/demo: {:.1} s", taken.as_secs_f64());
    rows.insert("chain/demo".to_owned(), json!({ "nanoseconds": taken.as_nanos() as f64 }));
    std::fs::write(results, Value::from(rows).to_string())?;
    Ok(())
}
