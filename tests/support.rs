//! What several programs' tests need.

use protogen_testkit::{Daemon, TestCommand};
use std::path::{Path, PathBuf};

/// The checkout's top.
pub fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file of `tests/data`.
pub fn data(name: &str) -> PathBuf {
    top().join("tests/data").join(name)
}

/// The `hl7` program.
pub fn hl7() -> TestCommand {
    TestCommand::new(env!("CARGO_BIN_EXE_hl7"))
}

/// The `llpdrv` program.
pub fn llpdrv() -> TestCommand {
    TestCommand::new(env!("CARGO_BIN_EXE_llpdrv"))
}

/// All files of a directory that end in `.hl7`, sorted.
pub fn samples(directory: &Path) -> Vec<PathBuf> {
    let entries = directory.read_dir().unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "hl7"));
    files.sort();
    assert!(!files.is_empty(), "{} has no .hl7 files", directory.display());
    files
}

/// Our own samples, and the real messages beside the checkout where that folder is there.
pub fn all_samples() -> Vec<PathBuf> {
    let mut files = samples(&data("hl7"));
    let corpus = top().join("../shared/corpus");
    if corpus.is_dir() {
        files.extend(samples(&corpus));
    }
    files
}

/// A `hl7 listen` on a free port of loopback, and that port.
pub fn listen(arguments: &[&str]) -> (Daemon, u16) {
    let mut command = hl7().arg("listen").args(arguments);
    if !arguments.contains(&"--host") {
        command = command.args(["--host", "127.0.0.1"]);
    }
    let daemon = Daemon::start(&command.arg("0"));
    let state = daemon.states().iter().find_map(|state| state.strip_prefix("STATUS=listening on ")).unwrap();
    let address = state.split([',', ' ']).next().unwrap();
    let port = address.rsplit(':').next().unwrap().parse().unwrap();
    (daemon, port)
}

/// A port of loopback that nobody listens on just now.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A file of `tests/peers`.
pub fn peer(name: &str) -> PathBuf {
    top().join("tests/peers").join(name)
}

/// Node, with the peers that `scripts/test` installs.
pub fn node() -> TestCommand {
    let modules = top().join("tests/peers/node_modules/node-hl7-server");
    assert!(modules.exists(), "{} is missing: scripts/test installs the test peers", modules.display());
    TestCommand::new("node")
}

/// The Python of the test peers, which `scripts/test` sets up.
pub fn python() -> TestCommand {
    let python = top().join("tests/peers/.venv/bin/python");
    assert!(python.exists(), "{} is missing: scripts/test installs the test peers", python.display());
    TestCommand::new(python)
}

/// The `socketreader` program.
pub fn socketreader() -> TestCommand {
    TestCommand::new(env!("CARGO_BIN_EXE_socketreader"))
}

/// Looks until something is so; fails after a minute.
#[track_caller]
pub fn wait_until(mut is_so: impl FnMut() -> bool) {
    let due = std::time::Instant::now() + protogen_testkit::TIMEOUT;
    while !is_so() {
        assert!(std::time::Instant::now() < due, "it does not come about");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// The `carevue-sim` program on this state.
pub fn carevue_sim(state: &Path) -> TestCommand {
    TestCommand::new(env!("CARGO_BIN_EXE_carevue-sim")).env("CAREVUE_SIM_STATE", state)
}

/// A fresh simulated CareVue: care unit 060_IOP with four beds.
pub fn carevue(dir: &protogen_testkit::Dir) -> PathBuf {
    let state = dir.join("carevue");
    let beds = ["601-1", "601-2", "602-1", "604-7"].map(|bed| format!("--bed={bed}"));
    carevue_sim(&state).args(["init", "--careunit", "060_IOP"]).args(beds).run().success().stdout_is("");
    state
}
