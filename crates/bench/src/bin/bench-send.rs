//! `hl7 send` beside a bare client loop, against the same bare server, each a process: one message under way on each
//! of 1 and 8 connections. The bare loop is one thread that writes to all its connections, then reads from all.
//!
//! usage: bench-send HL7-PROGRAM RESULTS.json

use serde_json::json;
use std::error::Error;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{ChildStdout, Command, ExitCode, Stdio};
use std::time::Instant;

const MESSAGE: &[u8] = include_bytes!("../../../../tests/data/hl7/oru.hl7");
const COUNT: u64 = 20_000;
/// Both take turns, so that a machine that gets slower or faster does so for both.
const ROUNDS: usize = 5;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments == ["serve"] {
        return match serve() {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::from(2),
        };
    }
    let [program, results] = arguments.as_slice() else {
        eprintln!("usage: bench-send HL7-PROGRAM RESULTS.json");
        return ExitCode::from(2);
    };
    match run(program, Path::new(results)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-send: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(program: &str, results: &Path) -> Result<(), Box<dyn Error>> {
    // The server is a process of its own for both: threads of one process switch faster.
    let mut server = Command::new(std::env::current_exe()?).arg("serve").stdout(Stdio::piped()).spawn()?;
    let measured = server.stdout.take().map(|output| compare(program, output));
    server.kill()?;
    server.wait()?;
    std::fs::write(results, measured.ok_or("the server says nothing")??.to_string())?;
    Ok(())
}

fn compare(program: &str, server: ChildStdout) -> Result<serde_json::Value, Box<dyn Error>> {
    let mut line = String::new();
    BufReader::new(server).read_line(&mut line)?;
    let address = line.trim().parse()?;
    let row = |seconds: &mut Vec<f64>| {
        seconds.sort_by(f64::total_cmp);
        json!({ "nanoseconds": seconds[ROUNDS / 2] * 1e9 / COUNT as f64, "bytes": MESSAGE.len() })
    };
    let mut measured = serde_json::Map::new();
    for connections in [1, 8] {
        let (mut bare, mut ours) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            bare.push(bare_loop(address, connections)?);
            ours.push(hl7_send(program, address, connections)?);
        }
        measured.insert(format!("send/bare-loop/{connections}"), row(&mut bare));
        measured.insert(format!("send/hl7-send/{connections}"), row(&mut ours));
    }
    Ok(measured.into())
}

/// A server that answers each frame with a fixed AA, its MSA-2 the control id that came: as little as can be.
fn serve() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    for stream in listener.incoming().flatten() {
        std::thread::spawn(move || answer(stream));
    }
    Ok(())
}

fn answer(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut frame = Vec::new();
    let mut buffer = [0; 64 << 10];
    loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        frame.extend_from_slice(&buffer[..count]);
        if frame.ends_with(b"\x1C\r") {
            let id = frame.split(|b| *b == b'|').nth(9).unwrap_or_default();
            let answer = [b"\x0BMSH|^~\\&|B||A||2026||ACK|1|P|2.5\rMSA|AA|", id, b"\r\x1C\r"].concat();
            stream.write_all(&answer)?;
            frame.clear();
        }
    }
}

fn bare_loop(address: SocketAddr, connections: u64) -> io::Result<f64> {
    let mut streams = Vec::new();
    for _ in 0..connections {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        streams.push(stream);
    }
    let frame = [b"\x0B", MESSAGE, b"\x1C\r"].concat();
    let mut buffer = [0; 64 << 10];
    let begun = Instant::now();
    for _ in 0..COUNT / connections {
        for stream in &mut streams {
            stream.write_all(&frame)?;
        }
        for stream in &mut streams {
            let mut got = 0;
            while !buffer[..got].ends_with(b"\x1C\r") {
                match stream.read(&mut buffer[got..])? {
                    0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                    count => got += count,
                }
            }
        }
    }
    Ok(begun.elapsed().as_secs_f64())
}

fn hl7_send(program: &str, address: SocketAddr, connections: u64) -> Result<f64, Box<dyn Error>> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/hl7/oru.hl7");
    let (host, port) = (address.ip().to_string(), address.port().to_string());
    let output = Command::new(program)
        .args([
            "send",
            "--json",
            "--count",
            &COUNT.to_string(),
            "--connections",
            &connections.to_string(),
            &host,
            &port,
        ])
        .arg(file)
        .output()?;
    let report: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    match (report["answers"]["AA"].as_u64(), report["seconds"].as_f64()) {
        (Some(COUNT), Some(seconds)) => Ok(seconds),
        _ => Err(format!("hl7 send: {report} {}", String::from_utf8_lossy(&output.stderr)).into()),
    }
}
