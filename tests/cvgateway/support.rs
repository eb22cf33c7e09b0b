//! A gateway with a site of its own: a scripted idb_direct, and a stand-in for CareVue's interface.

use protogen_testkit::{Daemon, Dir, TestCommand};
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Nothing here takes nearly as long; it only ends what hangs.
const LIMIT: Duration = protogen_testkit::TIMEOUT;

/// CareVue's interface: keeps each message, and answers as it is told.
pub struct Fsi {
    pub address: SocketAddr,
    taken: Arc<Mutex<Vec<String>>>,
    manner: Arc<Mutex<Manner>>,
}

/// How CareVue's interface answers.
#[derive(Clone)]
pub enum Manner {
    /// With this code and text.
    Answer(&'static str, &'static str),
    /// Closes without an answer.
    Close,
    /// Neither answers nor closes.
    Hang,
    /// With these bytes.
    Bytes(&'static str),
    /// As this says of each control id; none: closes.
    Judge(fn(&str) -> Option<(&'static str, &'static str)>),
}

impl Fsi {
    pub fn start() -> Fsi {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let taken = Arc::new(Mutex::new(Vec::new()));
        let manner = Arc::new(Mutex::new(Manner::Answer("AA", "")));
        let (kept, told) = (Arc::clone(&taken), Arc::clone(&manner));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut message = Vec::new();
                if stream.read_to_end(&mut message).is_err() {
                    continue;
                }
                let message: String = message.iter().map(|byte| char::from(*byte)).collect();
                let id = message.split('|').nth(9).unwrap_or_default().to_owned();
                kept.lock().unwrap().push(message);
                let answered = |code: &str, text: &str| {
                    format!("MSH|^~\\&|ADT|F|CVGATEWAY|F|||ACK|1|P|2.1\rMSA|{code}|{id}|{text}\r")
                };
                let answer = match told.lock().unwrap().clone() {
                    Manner::Answer(code, text) => answered(code, text),
                    Manner::Judge(judge) => match judge(&id) {
                        Some((code, text)) => answered(code, text),
                        None => continue,
                    },
                    Manner::Close => continue,
                    Manner::Hang => {
                        std::mem::forget(stream);
                        continue;
                    }
                    Manner::Bytes(bytes) => bytes.to_owned(),
                };
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        Fsi { address, taken, manner }
    }

    pub fn answers(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }

    /// What it got since the last call, each byte as the character of its number.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.taken.lock().unwrap())
    }
}

/// A running gateway and its site.
pub struct Site {
    pub dir: Dir,
    pub fsi: Fsi,
    daemon: Option<Daemon>,
}

/// Writes down how it was called, and ends with the next status of the file `answers`, the last one for ever.
const IDB_DIRECT: &str = r#"cd "$(dirname "$0")/.."
for word; do printf '%s ' "${word:-''}"; done >>asked
echo >>asked
read -r status <answers
if test "$(wc -l <answers)" -gt 1; then sed -i 1d answers; fi
if test "$status" -ge 128; then echo "idb_direct: scripted failure" >&2; fi
exit "$status"
"#;

impl Site {
    /// A site whose gateway does not run yet.
    pub fn new() -> Site {
        let dir = Dir::new();
        dir.write("etc/hl7hosts", "127.0.0.1 * * * * *\n");
        dir.write("etc/cvgateway.toml", "");
        dir.write("answers", "0\n");
        dir.write("asked", "");
        dir.script("etc/idb_direct", IDB_DIRECT);
        Site { dir, fsi: Fsi::start(), daemon: None }
    }

    /// The same with the code tables that are shipped.
    pub fn with_tables(self) -> Site {
        make_tables(&self.dir);
        self
    }

    /// The program with this site.
    pub fn program(&self) -> TestCommand {
        TestCommand::new(env!("CARGO_BIN_EXE_cvgateway"))
            .in_dir(self.dir.path())
            .env("PG_HOME", self.dir.path())
            .env("PG_CODELIB", self.dir.join("lib/codes"))
            .env("PG_SENDMAIL", self.dir.join("sendmail"))
            .env("ADMIN", "admin@example.org")
            .env("TZ", "UTC")
    }

    /// The arguments of every use.
    pub fn arguments(&self) -> [String; 4] {
        ["0".into(), self.fsi.address.port().to_string(), "127.0.0.1".into(), "060_IOP".into()]
    }

    pub fn start(mut self) -> Site {
        self.restart();
        self
    }

    pub fn restart(&mut self) {
        self.daemon = Some(Daemon::start(&self.program().args(self.arguments())));
    }

    pub fn daemon(&mut self) -> &mut Daemon {
        self.daemon.as_mut().unwrap()
    }

    /// What the gateway has logged.
    pub fn daemon_log(&self) -> String {
        self.daemon.as_ref().unwrap().stderr()
    }

    /// Where it listens, as a command line has it.
    pub fn place(&self) -> String {
        format!("{}%127.0.0.1", address(self.daemon.as_ref().unwrap()).port())
    }

    /// What idb_direct is to answer, one after the other.
    pub fn census(&self, statuses: &[u8]) {
        let lines: String = statuses.iter().map(|status| format!("{status}\n")).collect();
        self.dir.write("answers", lines);
        self.dir.write("asked", "");
    }

    /// How idb_direct was called since.
    pub fn asked(&self) -> Vec<String> {
        self.dir.text("asked").lines().map(|line| line.trim_end().to_owned()).collect()
    }

    /// One transaction; the answer, empty where there is none.
    pub fn send(&self, message: &[u8]) -> String {
        let answer = transact(address(self.daemon.as_ref().unwrap()), message).unwrap();
        String::from_utf8(answer).unwrap()
    }

    /// Sends a message and does not wait.
    pub fn begin(&self, message: &[u8]) -> TcpStream {
        begin(address(self.daemon.as_ref().unwrap()), message).unwrap()
    }

    /// The files of the journal with this beginning, in order, and what is in them.
    pub fn journal(&self, kind: &str) -> Vec<(String, String)> {
        journal(&self.dir, kind)
    }
}

/// Where a server that tells its place listens.
pub fn address(daemon: &Daemon) -> SocketAddr {
    let states = daemon.states();
    let status = states.iter().find_map(|state| state.strip_prefix("STATUS=listening on ")).unwrap();
    let port = status.split(' ').next().unwrap().rsplit(':').next().unwrap();
    format!("127.0.0.1:{port}").parse().unwrap()
}

/// Sends a message and does not wait.
pub fn begin(address: SocketAddr, message: &[u8]) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect_timeout(&address, LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.write_all(message)?;
    stream.shutdown(Shutdown::Write)?;
    Ok(stream)
}

/// One transaction (ILLP); the answer, empty where there is none.
pub fn transact(address: SocketAddr, message: &[u8]) -> io::Result<Vec<u8>> {
    let mut answer = Vec::new();
    begin(address, message)?.read_to_end(&mut answer)?;
    Ok(answer)
}

/// The files of the journal below `dir` with this beginning, in order, each byte as the character of its number.
pub fn journal(dir: &Dir, kind: &str) -> Vec<(String, String)> {
    let top = "var/log/CVGATEWAY/060_IOP";
    let mut files = Vec::new();
    for day in dir.list(top) {
        for name in dir.list(format!("{top}/{day}")) {
            if name.starts_with(kind) {
                let bytes = dir.read(format!("{top}/{day}/{name}"));
                files.push((name, bytes.iter().map(|byte| char::from(*byte)).collect()));
            }
        }
    }
    files.sort();
    files
}

/// Makes the code tables that are shipped below this directory.
pub fn make_tables(dir: &Dir) {
    for (program, file) in [
        (env!("CARGO_BIN_EXE_unitmgr"), "units.tab"),
        (env!("CARGO_BIN_EXE_labeventinfomgr"), "LabEventInfo.tab"),
        (env!("CARGO_BIN_EXE_loincmgr"), "LOINC+.tab"),
    ] {
        let command = TestCommand::new(program).env("PG_CODELIB", dir.join("lib/codes")).arg("-c");
        command.arg(crate::support::top().join("etc").join(file)).run().success();
    }
}

/// MSA-1 and MSA-3 of an answer.
pub fn told(answer: &str) -> (String, String) {
    let msa =
        answer.split('\r').find(|segment| segment.starts_with("MSA")).unwrap_or_else(|| panic!("{answer:?}"));
    let fields: Vec<&str> = msa.split('|').collect();
    (fields[1].to_owned(), fields.get(3).copied().unwrap_or_default().to_owned())
}
