//! idb_direct(8) against carevue-sim(1): the manual's node idb_direct.

mod commit;
mod failures;
mod hostile;
mod random;
mod ssh;
mod status;

use crate::support::{carevue, carevue_sim};
use protogen_testkit::smtp::{Manner, SmtpServer};
use protogen_testkit::{Dir, TestCommand};
use std::path::PathBuf;

/// A site beside a simulated CareVue, with a mail server.
struct Site {
    dir: Dir,
    state: PathBuf,
    mail: SmtpServer,
}

impl Site {
    fn new() -> Site {
        let dir = Dir::new();
        let state = carevue(&dir);
        dir.write("home/etc/carevue", "cv@carevue\n");
        dir.write("home/etc/admin", "admin@example.org\n");
        dir.make("home/var/spool");
        Site { dir, state, mail: SmtpServer::start(Manner::Friendly) }
    }

    fn idb_direct(&self) -> TestCommand {
        TestCommand::new(env!("CARGO_BIN_EXE_idb_direct"))
            .env("PG_HOME", self.dir.join("home"))
            .env("PG_SMTP", self.mail.address().to_string())
            .env("CAREVUE_SIM_STATE", &self.state)
            .env("PG_RSH", concat!(env!("CARGO_BIN_EXE_carevue-sim"), " rsh"))
            .env("PG_IDB_POLL", "0.02")
    }

    /// Its arguments as a person types them; `''` is an empty word.
    fn ask(&self, arguments: &str) -> TestCommand {
        self.idb_direct().args(words(arguments))
    }

    fn sim(&self, arguments: &str) -> TestCommand {
        carevue_sim(&self.state).args(words(arguments))
    }

    fn admit(&self, recno: &str, bed: &str) {
        let command = self.sim("admit").arg(recno);
        let command = if bed.is_empty() { command } else { command.arg(bed) };
        command.run().success();
    }

    fn messages(&self) -> String {
        self.sim("messages").run().success().stdout()
    }

    /// The admit observations: record number, height, weight, body surface area a line.
    fn observations(&self) -> String {
        let script = "SELECT medRecNum, ht, admitWt, BSA FROM AdmitObservation;";
        let printed = self.sim("idb").stdin(script).run().success().stdout();
        printed.split_once('\n').unwrap().1.to_owned()
    }

    /// All that the simulated CareVue knows.
    fn everything(&self) -> Vec<u8> {
        self.dir.read("carevue/state.json")
    }

    /// A remote shell that is this script; `$sim` in it is the simulator's.
    fn rsh(&self, name: &str, body: &str) -> String {
        let sim = concat!(env!("CARGO_BIN_EXE_carevue-sim"), " rsh");
        self.dir.script(name, &format!("sim='{sim}'\n{body}\n")).display().to_string()
    }
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().map(|word| if word == "''" { "" } else { word }).collect()
}
