//! The LLP driver: how well it uses a serial line, what a transaction costs, and what it does when there is nothing to do.
//!
//! usage: bench-llpdrv LLPDRV-PROGRAM RESULTS.json

use std::error::Error;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use protogen_testkit::line::{Direction, Line};
use protogen_testkit::{Daemon, TestCommand};
use serde_json::{Map, json};

type Result<T> = std::result::Result<T, Box<dyn Error>>;
type Rows = Map<String, serde_json::Value>;

/// Transactions a round, and rounds; both sides of the comparison take turns.
const TRANSACTIONS: u32 = 1_000;
const ROUNDS: usize = 5;
/// How long the driver is watched at rest.
const REST: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [program, results] = arguments.as_slice() else {
        eprintln!("usage: bench-llpdrv LLPDRV-PROGRAM RESULTS.json");
        return ExitCode::from(2);
    };
    let measured = measure(program);
    let written = measured.and_then(|rows| {
        std::fs::write(Path::new(results), serde_json::Value::from(rows).to_string())?;
        Ok(())
    });
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-llpdrv: {error}");
            ExitCode::from(2)
        }
    }
}

fn measure(program: &str) -> Result<Rows> {
    let mut rows = Map::new();
    for (baud, size) in [(9_600, 10_000), (115_200, 99_999)] {
        for block in [240, 1_000] {
            line_use(program, baud, block, size, &mut rows)?;
        }
    }
    transaction(program, &mut rows)?;
    rest(program, &mut rows)?;
    Ok(rows)
}

fn start(program: &str, arguments: &str) -> Daemon {
    let command = TestCommand::new(program).arg("-Y").args(arguments.split_whitespace());
    Daemon::start(&command.env("RUST_LOG", "error"))
}

/// The port behind `what` in the driver's status.
fn address(daemon: &Daemon, what: &str) -> Result<SocketAddr> {
    let status = daemon.states().iter().find_map(|state| state.strip_prefix("STATUS=")).unwrap_or_default();
    let text = status.split(what).nth(1).and_then(|text| text.split([',', ' ']).next()).unwrap_or_default();
    let port = text.rsplit(':').next().unwrap_or_default();
    Ok(format!("127.0.0.1:{port}").parse()?)
}

/// A message of this size.
fn message(size: usize) -> Vec<u8> {
    let mut message = b"MSH|^~\\&|LAB|L|ADT|A|19960102||ORU^R01|1|P|2.1\r".to_vec();
    let segment = b"NTE|1||a line of text that makes the message longer, and longer\r";
    message.extend(segment.iter().cycle().take(size - message.len() - 1));
    message.push(b'\r');
    message
}

const ANSWER: &[u8] = b"MSH|^~\\&|ADT|A|LAB|L|19960102||ACK|1|P|2.1\rMSA|AA|1\r";

/// Answers each message by ILLP, and tells when it was whole.
fn destination() -> Result<(u16, Receiver<(Instant, usize)>)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    let (tell, told) = channel();
    std::thread::spawn(move || {
        let mut request = Vec::new();
        for mut stream in listener.incoming().flatten() {
            request.clear();
            if stream.read_to_end(&mut request).is_ok() {
                let _ = tell.send((Instant::now(), request.len()));
                let _ = stream.write_all(ANSWER);
            }
        }
    });
    Ok((port, told))
}

/// One exchange by ILLP.
fn illp(address: SocketAddr, request: &[u8]) -> Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.write_all(request)?;
    stream.shutdown(Shutdown::Write)?;
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply)?;
    Ok(reply)
}

// ---- line use ------------------------------------------------------------------------------------------------

/// A long message between two drivers over a paced line, from the request to the moment that TO has it, beside the
/// time that its bytes, and the replies between them, take on the line.
fn line_use(program: &str, baud: u32, block: usize, size: usize, rows: &mut Rows) -> Result<()> {
    let line = Line::new(Direction::paced(baud / 10), Direction::paced(baud / 10))?;
    let (port, told) = destination()?;
    let options = format!("-a --serial-speed {baud} --x328-block-size {block} --x328-turnaround 0.02");
    let left = start(program, &format!("{options} -t {} -I -i 0", line.left().display()));
    let _right = start(program, &format!("{options} -t {} -i {port}%127.0.0.1", line.right().display()));
    let message = message(size);
    let begun = Instant::now();
    let distal = address(&left, "distal ")?;
    let reply = std::thread::spawn({
        let message = message.clone();
        move || illp(distal, &message).map_err(|error| error.to_string())
    });
    let (arrived, length) = told.recv_timeout(Duration::from_secs(60))?;
    let taken = arrived - begun;
    let reply = reply.join().map_err(|_| "the client panicked")??;
    if length != size || reply != ANSWER {
        return Err(format!("{length} of {size} bytes arrived, answered {}", reply.escape_ascii()).into());
    }
    // ENQ CR, DLE 0 CR; a block has 11 bytes around its text, and each but the last waits for DLE n CR.
    let blocks = size.div_ceil(block);
    let bytes = 2 + 3 + size + blocks * 11 + (blocks - 1) * 3;
    let wire = bytes as f64 / f64::from(baud / 10);
    let mut row = |name: &str, seconds: f64| {
        rows.insert(
            format!("llpdrv/{name}/{baud}/{block}"),
            json!({ "nanoseconds": seconds * 1e9, "bytes": size }),
        );
    };
    row("line", taken.as_secs_f64());
    row("wire", wire);
    Ok(())
}

// ---- a transaction -------------------------------------------------------------------------------------------

/// 1 KB by MLLP to the driver, by ILLP to TO, and back, beside the same two exchanges without a driver: one on a
/// connection that stays, one on a connection of its own.
fn transaction(program: &str, rows: &mut Rows) -> Result<()> {
    let (port, _told) = destination()?;
    let driver = start(program, &format!("-m -i 0%127.0.0.1 -i {port}%127.0.0.1"));
    let request = message(1_000);
    let framed = [b"\x0b", &request[..], b"\x1c\r"].concat();
    let mut line = TcpStream::connect(address(&driver, "line ")?)?;
    line.set_nodelay(true)?;
    let mut plain = TcpStream::connect(echo(framed.len())?)?;
    plain.set_nodelay(true)?;
    let (mut through, mut without) = (Vec::new(), Vec::new());
    let mut answer = vec![0; ANSWER.len() + 3];
    let place = SocketAddr::from(([127, 0, 0, 1], port));
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        for _ in 0..TRANSACTIONS {
            line.write_all(&framed)?;
            line.read_exact(&mut answer)?;
        }
        through.push(begun.elapsed());
        let begun = Instant::now();
        for _ in 0..TRANSACTIONS {
            plain.write_all(&framed)?;
            plain.read_exact(&mut answer)?;
            illp(place, &request)?;
        }
        without.push(begun.elapsed());
    }
    for (name, mut times) in [("llpdrv/mllp-to-illp/1K", through), ("llpdrv/two-plain-exchanges/1K", without)]
    {
        times.sort_unstable();
        let each = times[ROUNDS / 2].as_secs_f64() * 1e9 / f64::from(TRANSACTIONS);
        rows.insert(name.into(), json!({ "nanoseconds": each, "bytes": request.len() }));
    }
    Ok(())
}

/// Answers each `length` bytes.
fn echo(length: usize) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        let Ok((mut stream, _)) = listener.accept() else { return };
        let _ = stream.set_nodelay(true);
        let mut request = vec![0; length];
        let answer = [b"\x0b", ANSWER, b"\x1c\r"].concat();
        while stream.read_exact(&mut request).is_ok() && stream.write_all(&answer).is_ok() {}
    });
    Ok(address)
}

// ---- at rest -------------------------------------------------------------------------------------------------

/// How often the driver runs when nothing happens, with a client on its line.
fn rest(program: &str, rows: &mut Rows) -> Result<()> {
    for protocol in ["-a", "-h", "-m"] {
        let driver = start(program, &format!("{protocol} -i 0%127.0.0.1 -I -i 0"));
        let _client = TcpStream::connect(address(&driver, "line ")?)?;
        // It has accepted the client when it answers a later one.
        illp(address(&driver, "distal ")?, b"MSH|^~\\&|||LLPDRV||||NMQ|1|P|2.1\rNCK\r")?;
        std::thread::sleep(Duration::from_millis(100));
        let before = wake_ups(driver.pid())?;
        std::thread::sleep(REST);
        let count = wake_ups(driver.pid())? - before;
        rows.insert(format!("llpdrv/wake-ups-in-5s/{protocol}"), json!({ "count": count }));
    }
    Ok(())
}

/// How often the process has given up the processor to wait.
fn wake_ups(pid: i32) -> Result<u64> {
    let mut total = 0;
    for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let status = std::fs::read_to_string(task?.path().join("status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        total += line.unwrap_or("0").trim().parse::<u64>()?;
    }
    Ok(total)
}
