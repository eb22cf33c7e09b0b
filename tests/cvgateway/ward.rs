//! A gateway with the real idb_direct, over a simulated CareVue that both work on.

use super::support::{address, journal, make_tables, transact};
use protogen_testkit::{Daemon, Dir, TestCommand};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

/// The beds of its care unit.
const BEDS: [&str; 4] = ["601-1", "601-2", "601-3", "601-4"];

/// A care unit and all that serves it.
pub struct Ward {
    pub dir: Dir,
    state: PathBuf,
    interface: Daemon,
    gateway: Option<Daemon>,
}

impl Ward {
    /// An empty care unit; its gateway runs.
    pub fn new() -> Ward {
        let dir = Dir::new();
        dir.write("etc/hl7hosts", "127.0.0.1 * * * * *\n");
        dir.write("etc/cvgateway.toml", "");
        dir.make("var/spool");
        dir.script("sendmail", "cat >>\"$(dirname \"$0\")/mails\"\n");
        make_tables(&dir);
        let state = dir.join("carevue");
        let simulator = crate::support::carevue_sim(&state);
        init(&simulator);
        let interface = Daemon::start(&simulator.args(["serve", "--port", "0", "--host", "127.0.0.1"]));
        let mut ward = Ward { dir, state, interface, gateway: None };
        ward.restart();
        ward
    }

    /// The gateway with this site.
    pub fn program(&self) -> TestCommand {
        TestCommand::new(env!("CARGO_BIN_EXE_cvgateway"))
            .env("PG_HOME", self.dir.path())
            .env("PG_SENDMAIL", self.dir.join("sendmail"))
            .env("ADMIN", "admin@example.org")
            .env("CAREVUE", "cv@carevue")
            .env("CAREVUE_SIM_STATE", &self.state)
            .env("PG_RSH", concat!(env!("CARGO_BIN_EXE_carevue-sim"), " rsh"))
            .env("PG_IDB_POLL", "0.02")
            .env("PG_IDB_WAIT", "10")
            .env("TZ", "UTC")
    }

    /// The arguments of every use.
    pub fn arguments(&self) -> [String; 4] {
        let port = address(&self.interface).port().to_string();
        ["0".into(), port, "127.0.0.1".into(), "060_IOP".into()]
    }

    /// Starts the gateway, again if it was killed.
    pub fn restart(&mut self) {
        self.gateway = Some(Daemon::start(&self.program().args(self.arguments())));
    }

    /// The running gateway.
    pub fn gateway(&mut self) -> &mut Daemon {
        self.gateway.as_mut().unwrap()
    }

    /// Where the gateway listens.
    pub fn address(&self) -> SocketAddr {
        address(self.gateway.as_ref().unwrap())
    }

    /// One transaction; the answer, empty where there is none.
    pub fn send(&self, message: &[u8]) -> String {
        String::from_utf8(transact(self.address(), message).unwrap()).unwrap()
    }

    /// `carevue-sim` on this CareVue.
    pub fn simulator(&self, arguments: &str) -> TestCommand {
        crate::support::carevue_sim(&self.state).args(arguments.split_whitespace())
    }

    /// Everybody leaves; then the patients of a table's census (`PATIENT=BED`, `-` for nobody) come, and `PATIENT!` leaves
    /// again.
    pub fn set_census(&self, census: &str) {
        std::fs::remove_file(self.state.join("state.json")).unwrap();
        init(&self.simulator(""));
        // What idb_direct remembers of its system messages.
        std::fs::remove_dir_all(self.dir.join("var/spool")).unwrap();
        self.dir.make("var/spool");
        for one in census.split(' ').filter(|one| *one != "-") {
            let record = one.strip_suffix('!');
            let admitted = record.map_or(one.replace('=', " "), str::to_owned);
            self.simulator(&format!("admit {admitted}")).run().success();
            if let Some(record) = record {
                let discharge = format!(
                    "MSH|^~\\&|CVGATEWAY|060_IOP|ADT|060_IOP|||ADT^A03|d|P|2.1\rEVN|A03\rPID|1||{record}\rZDM|\r"
                );
                let answer = transact(address(&self.interface), discharge.as_bytes()).unwrap();
                assert!(String::from_utf8(answer).unwrap().contains("|AA|"));
            }
        }
    }

    /// The census as a table has it.
    pub fn census(&self) -> String {
        let printed = self.simulator("census").run().success().stdout();
        let mut all: Vec<String> =
            printed.lines().map(|line| line.split('\t').take(2).collect::<Vec<_>>().join("=")).collect();
        all.sort();
        if all.is_empty() { "-".to_owned() } else { all.join(" ") }
    }

    /// The system messages that were shown.
    pub fn messages(&self) -> Vec<String> {
        self.simulator("messages").run().success().stdout().lines().map(str::to_owned).collect()
    }

    /// The census, for threads of a test.
    pub fn patients(&self) -> Patients {
        Patients(self.simulator("census"))
    }

    /// What CareVue's interface was sent, by control id and type with event: how it judged it each time, `AA` for what
    /// took effect.
    pub fn taken(&self) -> BTreeMap<(String, String), Vec<String>> {
        let mut taken: BTreeMap<_, Vec<String>> = BTreeMap::new();
        for line in self.interface.stderr().lines() {
            // carevue-sim: 127.0.0.1:1: ADT^A01 "id", 166 bytes: AA
            let Some((before, rest)) = line.split_once(" \"") else { continue };
            let Some((id, rest)) = rest.split_once("\", ") else { continue };
            let kind = before.rsplit(' ').next().unwrap().to_owned();
            let judged = rest.split_once("bytes: ").unwrap().1.to_owned();
            taken.entry((id.to_owned(), kind)).or_default().push(judged);
        }
        taken
    }

    /// The names of all files of the journal.
    pub fn journal_names(&self) -> Vec<String> {
        let top = "var/log/CVGATEWAY/060_IOP";
        let days = self.dir.list(top).into_iter();
        let names = days.flat_map(|day| self.dir.list(format!("{top}/{day}")));
        names.filter(|name| !name.starts_with('.')).collect()
    }

    /// The files of the journal with this beginning, in order, and what is in them.
    pub fn journal(&self, kind: &str) -> Vec<(String, String)> {
        journal(&self.dir, kind)
    }
}

/// Looks into the census.
pub struct Patients(TestCommand);

impl Patients {
    /// The bed of a patient, empty on the waiting list; `None` for one who is not there.
    pub fn place(&self, record: &str) -> Option<String> {
        let printed = self.0.run().success().stdout();
        let line = printed.lines().find_map(|line| line.strip_prefix(record)?.strip_prefix('\t'));
        line.map(|rest| rest.split('\t').next().unwrap().to_owned())
    }
}

/// Makes a fresh CareVue where there is none.
fn init(simulator: &TestCommand) {
    let beds = BEDS.map(|bed| format!("--bed={bed}"));
    simulator.clone().args(["init", "--careunit", "060_IOP"]).args(beds).run().success();
}
