//! socketreader beside its floors and other people's servers, the same load for all.
//!
//! usage: bench-router SOCKETREADER RESULTS.json [PART...]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use protogen_bench::router::floor::{Floor, serve};
use protogen_bench::router::load::{Load, Until, run};
use protogen_bench::router::program::{Program, Scratch, free_port};
use serde_json::{Map, Value, json};

const MESSAGE: &[u8] = include_bytes!("../../../../tests/data/hl7/adt.hl7");
/// Messages kept in the accepted row with 64 connections.
const KEPT: u64 = 300_000;

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

/// The router with one input, and files out.
struct Router {
    program: Program,
    place: Scratch,
}

impl Router {
    fn start(program: &Path, options: &str) -> Result<Router> {
        let place = Scratch::new("router")?;
        let (out, port) = (place.path().join("out"), free_port()?);
        std::fs::create_dir_all(&out)?;
        let config: PathBuf = place.path().join("socketReader.cfg");
        std::fs::write(
            &config,
            format!(
                "[general]\nlogfile = {0}/log\nuseconnections = in, out\n{options}\n\
                 [in]\ntranstech = socket\ntransdir = in\nusehl7 = True\nqueuename = q\nport = {port}\n\
                 [out]\ntranstech = file\ntransdir = out\nqueuename = q\nmessagedir = {0}/out\n",
                place.path().display()
            ),
        )?;
        let program = Program::listening(Command::new(program).arg("-c").arg(&config), port)?;
        Ok(Router { program, place })
    }

    fn load(&self, connections: usize, until: Until) -> Result<Load> {
        Ok(run(self.program.address, connections, MESSAGE, until, |_| {})?)
    }

    fn files(&self) -> Result<usize> {
        Ok(std::fs::read_dir(self.place.path().join("out"))?.count())
    }
}

/// Durable acceptance, files written behind.
fn accepted(program: &Path, rows: &mut Map<String, Value>) -> Result<()> {
    for (connections, count) in [(1, 20_000), (8, 80_000), (64, KEPT)] {
        let until = Until::Count(count);
        let before = floor("log", connections, until)?;
        let router = Router::start(program, "")?;
        let load = router.load(connections, until)?;
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
    let bare = floor("bare", 64, Until::Time(Duration::from_secs(3)))?;
    row(rows, "router/bare-loop/64", &bare);
    let router = Router::start(program, "durable = False")?;
    row(rows, "router/not-durable/64", &router.load(64, Until::Time(Duration::from_secs(3)))?);
    Ok(())
}
