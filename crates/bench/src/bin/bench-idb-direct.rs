//! `idb_direct` against the simulated CareVue: a question beside the remote command alone, and how soon it gives up.
//!
//! usage: bench-idb-direct IDB_DIRECT-PROGRAM CAREVUE-SIM-PROGRAM RESULTS.json

use serde_json::json;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

const QUESTIONS: usize = 101;
const WAITS: usize = 5;
/// The limit that the rows of giving up are measured with, in seconds.
const LIMIT: &str = "1";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [program, simulator, results] = arguments.as_slice() else {
        eprintln!("usage: bench-idb-direct IDB_DIRECT-PROGRAM CAREVUE-SIM-PROGRAM RESULTS.json");
        return ExitCode::from(2);
    };
    match run(Path::new(program), Path::new(simulator), Path::new(results)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-idb-direct: {error}");
            ExitCode::from(2)
        }
    }
}

/// The programs and the place they work in.
struct Bench {
    program: PathBuf,
    simulator: PathBuf,
    place: tempfile::TempDir,
}

impl Bench {
    fn command(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).env("CAREVUE_SIM_STATE", self.place.path().join("carevue"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn simulator(&self, arguments: &[&str]) -> Command {
        self.command(&self.simulator, arguments)
    }

    fn ask(&self, arguments: &[&str], rsh: &str) -> Command {
        let mut command = self.command(&self.program, arguments);
        command.env("PG_HOME", self.place.path()).env("CAREVUE", "cv@carevue").env("PG_RSH", rsh);
        // No mail is measured.
        command.env("ADMIN", "root").env("PG_SENDMAIL", "/bin/true").env("PG_IDB_POLL", "0.1");
        command
    }
}

fn run(program: &Path, simulator: &Path, results: &Path) -> Result<(), Box<dyn Error>> {
    let [program, simulator] = [program.canonicalize()?, simulator.canonicalize()?];
    let bench = Bench { program, simulator, place: tempfile::tempdir()? };
    std::fs::create_dir_all(bench.place.path().join("var/spool"))?;
    expect(0, &mut bench.simulator(&["init", "--careunit", "060_IOP", "--bed", "601-1", "--bed", "601-2"]))?;
    expect(0, &mut bench.simulator(&["admit", "12345", "601-1"]))?;
    let rsh = format!("{} rsh", bench.simulator.display());
    let question = ["-e", "1", "-r", "12345", "-l", "601-1"];
    let mut measured = serde_json::Map::new();
    let mut row = |name: &str, nanoseconds: f64| {
        measured.insert(format!("idb_direct/{name}"), json!({ "nanoseconds": nanoseconds }));
    };
    row("question", median(QUESTIONS, || expect(7, &mut bench.ask(&question, &rsh)))?);
    let alone = ["rsh", "cv@carevue", "idb"];
    row("remote-command-alone", median(QUESTIONS, || expect(0, &mut bench.simulator(&alone)))?);
    let missing = ["-e", "1", "-c", "-r", "777", "-l", "601-2", "-H", "182"];
    let wait = || expect(0, bench.ask(&missing, &rsh).env("PG_IDB_WAIT", LIMIT));
    row("missing-patient/wait-1s", median(WAITS, wait)?);
    let hung = bench.place.path().join("hung");
    std::fs::write(&hung, "exec sleep 100\n")?;
    let rsh = format!("/bin/sh {}", hung.display());
    let wait = || expect(192, bench.ask(&question, &rsh).env("PG_IDB_TIMEOUT", LIMIT));
    row("hung-host/timeout-1s", median(WAITS, wait)?);
    std::fs::write(results, serde_json::Value::from(measured).to_string())?;
    Ok(())
}

fn expect(status: i32, command: &mut Command) -> Result<(), Box<dyn Error>> {
    match command.status()? {
        ended if ended.code() == Some(status) => Ok(()),
        ended => Err(format!("{command:?} ended with {ended}, expected {status}").into()),
    }
}

/// The median time in nanoseconds.
fn median(
    rounds: usize,
    mut once: impl FnMut() -> Result<(), Box<dyn Error>>,
) -> Result<f64, Box<dyn Error>> {
    let mut times = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let begin = Instant::now();
        once()?;
        times.push(begin.elapsed().as_nanos() as f64);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[rounds / 2])
}
