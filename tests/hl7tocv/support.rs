//! A site with queues, a stand-in for the gateway, a mail server and a remote shell.

use crate::cvgateway::support::Fsi;
use protogen_testkit::smtp::{Manner as Mails, SmtpServer};
use protogen_testkit::{Dir, TestCommand};

/// The queue of most tests.
pub const QUEUE: &str = "ANAE_IOP";

/// A site. Its gateway answers AA until it is told otherwise.
pub struct Site {
    pub dir: Dir,
    pub gateway: Fsi,
    pub mails: SmtpServer,
}

impl Site {
    /// With one queue that does not wait long.
    pub fn new() -> Site {
        Site::with("")
    }

    /// The same with these lines more for all queues.
    pub fn with(lines: &str) -> Site {
        let site = Site { dir: Dir::new(), gateway: Fsi::start(), mails: SmtpServer::start(Mails::Friendly) };
        site.queues(lines);
        for area in ["spool", "log"] {
            site.dir.make(format!("var/{area}/{QUEUE}"));
            site.dir.make(format!("var/{area}/ABL/060_IOP"));
        }
        // Writes down what it is asked to run.
        site.dir.script("rsh", "printf '%s\\n' \"$*\" >>\"$PG_HOME/shown\"\n");
        site
    }

    /// Writes `etc/queues`.
    pub fn queues(&self, lines: &str) {
        let port = self.gateway.address.port();
        let times = if lines.contains("pause") { "" } else { "pause = 0.01\n" };
        let text = format!(
            "gateway = \"{port}%127.0.0.1\"\n{times}run-log = \"{}\"\n{lines}\n[{QUEUE}]\n[\"ABL/060_IOP\"]\n",
            self.dir.join("run.log").display()
        );
        self.dir.write("etc/queues", text);
    }

    /// The program under its own name.
    pub fn program(&self) -> TestCommand {
        self.command(env!("CARGO_BIN_EXE_hl7tocv"))
    }

    pub fn command(&self, program: impl AsRef<std::path::Path>) -> TestCommand {
        TestCommand::new(program)
            .in_dir(self.dir.path())
            .env("PG_HOME", self.dir.path())
            .env("PG_SMTP", self.mails.address().to_string())
            .env("PG_MAIL_FROM", "hl7@example.org")
            .env("ADMIN", "admin@example.org")
            .env("CAREVUE", "cv@sim")
            .env("PG_RSH", self.dir.join("rsh"))
            .env("TZ", "UTC")
    }

    /// A batch run.
    pub fn batch(&self) -> protogen_testkit::Output {
        self.program().arg("batch").run()
    }

    /// Puts a message with this control id into the queue, as a file of that name.
    pub fn put(&self, name: &str) {
        self.dir.write(self.spooled(name), message(name));
    }

    pub fn spooled(&self, name: &str) -> String {
        format!("var/spool/{QUEUE}/{name}")
    }

    pub fn logged(&self, name: &str) -> String {
        format!("var/log/{QUEUE}/{name}")
    }

    /// What is in the spool and in the log.
    pub fn state(&self) -> (Vec<String>, Vec<String>) {
        (self.dir.list(self.spooled("")), self.dir.list(self.logged("")))
    }

    /// The control ids that the gateway got, in order.
    pub fn sent(&self) -> Vec<String> {
        let taken = self.gateway.take();
        // A run that was killed may have connected and said nothing.
        let messages = taken.iter().filter(|message| !message.is_empty());
        messages.map(|message| message.split('|').nth(9).unwrap().to_owned()).collect()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join("run.log")).unwrap_or_default()
    }

    /// What was run on the CareVue host.
    pub fn shown(&self) -> String {
        std::fs::read_to_string(self.dir.join("shown")).unwrap_or_default()
    }
}

/// A message of this control id.
pub fn message(id: &str) -> Vec<u8> {
    format!(
        "MSH|^~\\&|LAB|A|CVGATEWAY|060_IOP|20261123184000||ORU^R01|{id}|P|2.3\rPID|||4711||Mustermann^Max\r\
         OBR|1\rOBX|1|NM|9948-1||8.0|mmol/l\r"
    )
    .into_bytes()
}
