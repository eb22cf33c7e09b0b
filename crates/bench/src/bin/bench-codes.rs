//! `loincmgr` and the library's look-ups, beside the sqlite3 shell on an indexed table of the same 110,000 rows.
//!
//! The sqlite3 table has LOINC's number as its key and the same indexes, but none for each entry of RELAT_NMS.
//!
//! usage: bench-codes LOINCMGR-PROGRAM RESULTS.json

use protogen_codes::table::Table;
use protogen_testkit::loinc::{self, check_digit};
use protogen_testkit::random::Random;
use serde_json::json;
use std::error::Error;
use std::hint::black_box;
use std::io::Write;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

const ROWS: u32 = 110_000;
const CREATIONS: usize = 3;
const PROCESSES: usize = 101;
const LOOKUPS: u32 = 100_000;
const COLUMNS: [&str; 25] = [
    "loinc_num",
    "measure",
    "property",
    "timing",
    "specimen",
    "prec",
    "method",
    "relat_nms",
    "class",
    "source",
    "euclide_cd",
    "astm_cd",
    "iupac_cd",
    "dt_last_ch",
    "comments",
    "answerlist",
    "status",
    "scope",
    "snomed_cd",
    "va_cd",
    "metpath_code",
    "hcfa_code",
    "norm_range",
    "units",
    "map_to",
];
const INDEXED: [&str; 7] =
    ["measure", "class", "source", "euclide_cd", "astm_cd", "iupac_cd", "metpath_code"];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [program, results] = arguments.as_slice() else {
        eprintln!("usage: bench-codes LOINCMGR-PROGRAM RESULTS.json");
        return ExitCode::from(2);
    };
    match run(Path::new(program), Path::new(results)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-codes: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(program: &Path, results: &Path) -> Result<(), Box<dyn Error>> {
    let program = program.canonicalize()?;
    let place = tempfile::tempdir()?;
    let text = loinc::table(ROWS);
    let file = place.path().join("LOINC.tab");
    std::fs::write(&file, &text)?;
    let ours = |arguments: &[&str]| -> Result<usize, Box<dyn Error>> {
        let mut command = Command::new(&program);
        output(command.args(arguments).current_dir(&place).env("PG_CODELIB", place.path()), "")
    };
    let database = place.path().join("loinc.sqlite");
    let sqlite = |script: &str| output(Command::new("sqlite3").arg("-bail").arg(&database), script);
    let mut measured = serde_json::Map::new();
    let mut row = |name: &str, nanoseconds: f64| {
        measured.insert(format!("codes/{name}"), json!({ "nanoseconds": nanoseconds }));
    };

    row("create/loincmgr", median(CREATIONS, || ours(&["-c", "LOINC.tab", "--quiet"]).map(drop))?);
    // The most that a child has held so far, and all of them were loincmgr -c.
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_CHILDREN)?;
    let memory = usage.max_rss() * 1024;
    row(
        "create/sqlite3",
        median(CREATIONS, || {
            let _ = std::fs::remove_file(&database);
            sqlite(&creation(&file)).map(drop)
        })?,
    );

    let number = format!("5914-{}", check_digit(5914));
    row("key-process/loincmgr", median(PROCESSES, || expect(1, ours(&["-q", "loinc_num", "==", &number])))?);
    let select = format!("SELECT * FROM loinc WHERE loinc_num = '{number}';\n");
    row("key-process/sqlite3", median(PROCESSES, || expect(1, sqlite(&select)))?);
    let hits = loinc::ROWS_OF_A_MEASURE as usize;
    row(
        "index-process/loincmgr",
        median(PROCESSES, || expect(hits, ours(&["-q", "measure", "==", "MEASURE 77"])))?,
    );
    let select = "SELECT * FROM loinc WHERE measure = 'MEASURE 77';\n";
    row("index-process/sqlite3", median(PROCESSES, || expect(hits, sqlite(select)))?);

    let table = Table::loinc(place.path())?;
    let mut random = Random::seeded(1);
    let numbers: Vec<String> = (0..LOOKUPS)
        .map(|_| random.below(ROWS.into()) as u32 + 1)
        .map(|number| format!("{number}-{}", check_digit(number)))
        .collect();
    let begin = Instant::now();
    for number in &numbers {
        black_box(table.record(number)?.ok_or("a row is missing")?);
    }
    row("key-library", begin.elapsed().as_nanos() as f64 / f64::from(LOOKUPS));
    measured.insert("codes/create-memory/loincmgr".into(), json!({ "nanoseconds": 0, "memory": memory }));
    std::fs::write(results, serde_json::Value::from(measured).to_string())?;
    Ok(())
}

fn creation(file: &Path) -> String {
    let columns =
        COLUMNS.map(|name| format!("{name} TEXT")).join(", ").replacen("TEXT", "TEXT PRIMARY KEY", 1);
    let indexes = INDEXED.map(|name| format!("CREATE INDEX by_{name} ON loinc ({name});\n")).concat();
    format!(
        "CREATE TABLE loinc ({columns}) WITHOUT ROWID;\n.mode csv\n.separator \"\\t\" \"\\n\"\n.import {} loinc\n{indexes}",
        file.display()
    )
}

/// Runs a program to its end and counts the lines it prints.
fn output(command: &mut Command, input: &str) -> Result<usize, Box<dyn Error>> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    match output.status.success() {
        true => Ok(output.stdout.iter().filter(|byte| **byte == b'\n').count()),
        false => Err(format!("{command:?} ended with {}", output.status).into()),
    }
}

fn expect(lines: usize, found: Result<usize, Box<dyn Error>>) -> Result<(), Box<dyn Error>> {
    match found? {
        found if found == lines => Ok(()),
        found => Err(format!("{found} rows found, expected {lines}").into()),
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
