//! The whole chain on free ports, each program started, killed and started again as init(8) would.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use protogen_testkit::{Daemon, Dir, TestCommand};

use crate::support::{carevue_sim, free_port, llpdrv, wait_until};

/// Nothing here takes nearly as long; it only ends what hangs.
const LIMIT: Duration = Duration::from_secs(120);
/// How many messages senders may be ahead of CareVue's line.
const AHEAD: usize = 8;
/// The daemons, in the order in which they are started.
pub const DAEMONS: [&str; 5] = ["carevue-sim", "llpdrv", "llpdrv of CareVue", "cvgateway", "socketreader"];
/// The line notices a dead station within seconds.
const LINE: &str = "--x328-timer-a 1 --x328-timer-b 0.5 --x328-timer-d 2 --x328-timer-e 5 --line-wait 10 \
                    --reply-timeout 10 --destination-timeout 10 --connect-retries 0 --reopen-pause 0.05 \
                    --reopen-limit 0.2";

/// An installation with all programs.
pub struct Chain {
    pub dir: Dir,
    home: PathBuf,
    port: u16,
    commands: BTreeMap<&'static str, TestCommand>,
    running: BTreeMap<&'static str, Daemon>,
    /// What each daemon that is gone wrote on standard error.
    logs: BTreeMap<&'static str, String>,
}

impl Chain {
    /// All of it, running, and what starts hl7tocv.
    pub fn start() -> (Chain, Cron) {
        let dir = Dir::new();
        let home = dir.make("home");
        for directory in ["etc", "var/log/ANAE_IOP", "var/spool/ANAE_IOP", "var/socketreader"] {
            dir.make(PathBuf::from("home").join(directory));
        }
        let [port, gateway, line, fsi] = [(); 4].map(|()| free_port());
        dir.script("home/sendmail", "cat >/dev/null\n");
        dir.write("home/etc/hl7hosts", "127.0.0.1 * * * * *\n");
        dir.write("home/etc/cvgateway.toml", "[time]\nanswer = 20\n");
        dir.write(
            "home/etc/queues",
            format!(
                "gateway = \"{gateway}%127.0.0.1\"\nretries = 1000\npause = 0.05\nanswer = 30\n[ANAE_IOP]\n"
            ),
        );
        dir.write(
            "home/etc/socketReader.cfg",
            format!(
                "[general]\nstatedir = {home}/var/socketreader\nlogfile = {home}/var/log/socketreader.log\n\
                 loglvl = info\nuseconnections = in, out\n\
                 [in]\ntranstech = socket\ntransdir = in\nport = {port}\nusehl7 = True\nqueuename = q\n\
                 [out]\ntranstech = file\ntransdir = out\nmessagedir = {home}/var/spool/ANAE_IOP\nusehl7 = True\n\
                 queuename = q\n",
                home = home.display()
            ),
        );
        let state = dir.join("carevue");
        let beds = ["601-1", "601-2", "601-3", "601-4"].map(|bed| format!("--bed={bed}"));
        carevue_sim(&state).args(["init", "--careunit", "060_IOP"]).args(beds).run().success();
        let site = |command: TestCommand| {
            command
                .env("PG_HOME", &home)
                .env("PG_CODELIB", home.join("lib/codes"))
                .env("PG_SENDMAIL", home.join("sendmail"))
                .env("ADMIN", "admin@example.org")
                .env("CAREVUE", "cv@carevue")
                .env("CAREVUE_SIM_STATE", &state)
                .env("PG_RSH", concat!(env!("CARGO_BIN_EXE_carevue-sim"), " rsh"))
                .env("PG_IDB_POLL", "0.02")
                .env("TZ", "UTC")
        };
        for (program, file) in [
            (env!("CARGO_BIN_EXE_unitmgr"), "units.tab"),
            (env!("CARGO_BIN_EXE_labeventinfomgr"), "LabEventInfo.tab"),
            (env!("CARGO_BIN_EXE_loincmgr"), "LOINC+.tab"),
        ] {
            let table = crate::support::top().join("etc").join(file);
            site(TestCommand::new(program)).arg("-c").arg(table).run().success();
        }
        let device = dir.join("line");
        let log = |name: &str| home.join("var/log").join(name);
        let words = |text: String| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let commands = [
            carevue_sim(&state).args(words(format!("serve --port {fsi} --host 127.0.0.1"))),
            llpdrv()
                .args(["-YIa", "--priority", "high", "-p"])
                .arg(&device)
                .args(words(format!("-i {line} {LINE} --log")))
                .arg(log("llpdrv.log")),
            llpdrv()
                .args(["-Ya", "-t"])
                .arg(&device)
                .args(words(format!("-i {fsi}%127.0.0.1 {LINE} --log")))
                .arg(log("llpdrv-carevue.log")),
            TestCommand::new(env!("CARGO_BIN_EXE_cvgateway"))
                .args(words(format!("{gateway} {line} 127.0.0.1 060_IOP --log")))
                .arg(log("cvgateway.log")),
            crate::support::socketreader().arg("-c").arg(home.join("etc/socketReader.cfg")),
        ];
        let commands: BTreeMap<_, _> = DAEMONS.into_iter().zip(commands.map(site)).collect();
        let cron = Cron {
            command: site(TestCommand::new(env!("CARGO_BIN_EXE_hl7tocv")))
                .arg("--run-log")
                .arg(log("hl7tocv.log"))
                .arg("batch"),
            child: Mutex::new(None),
            stop: AtomicBool::new(false),
        };
        let (running, logs) = (BTreeMap::new(), BTreeMap::new());
        let mut chain = Chain { dir, home, port, commands, running, logs };
        for name in DAEMONS {
            chain.run(name);
        }
        (chain, cron)
    }

    fn run(&mut self, name: &'static str) {
        self.running.insert(name, Daemon::start(&self.commands[name]));
    }

    /// Kills a daemon at once, and starts it again.
    pub fn kill_9(&mut self, name: &'static str) {
        let mut daemon = self.running.remove(name).unwrap();
        daemon.kill_9();
        self.logs.entry(name).or_default().push_str(&daemon.stderr());
        self.run(name);
    }

    pub fn pid(&self, name: &str) -> i32 {
        self.running[name].pid()
    }

    /// What the simulated CareVue has written of each message, over all of its lives.
    pub fn judged(&self) -> String {
        let before = self.logs.get(DAEMONS[0]).cloned().unwrap_or_default();
        before + &self.running[DAEMONS[0]].stderr()
    }

    /// `carevue-sim` on this CareVue.
    pub fn carevue(&self, what: &str) -> String {
        carevue_sim(&self.dir.join("carevue")).arg(what).run().success().stdout()
    }

    /// `hl7 trace` of a message: whether it is accounted for, and where it is.
    pub fn trace(&self, id: &str) -> (bool, String) {
        let output = crate::support::hl7().args(["trace", id]).env("PG_HOME", &self.home).run();
        let last = output.stdout().lines().last().unwrap_or_default().to_owned();
        (output.status.success(), last)
    }

    /// For senders.
    pub fn entrance(&self) -> Entrance {
        let queues = self.commands[DAEMONS[4]].clone().args(["--queues", "--json"]);
        Entrance { port: self.port, spool: self.spool(), queues, attempts: AtomicUsize::new(0) }
    }

    fn spool(&self) -> PathBuf {
        self.home.join("var/spool/ANAE_IOP")
    }

    /// Whether everything has left the router and the spool directory.
    pub fn is_drained(&self) -> bool {
        let queues = self.commands[DAEMONS[4]].clone().args(["--queues", "--json"]).run();
        let told: serde_json::Value = serde_json::from_str(&queues.success().stdout()).unwrap();
        told["queues"][0]["pending"] == 0 && waiting(&self.spool()) == 0
    }

    /// How many messages the gateway has sent on to CareVue, or tried to.
    pub fn forwarded(&self) -> usize {
        let top = "home/var/log/CVGATEWAY/060_IOP";
        if !self.dir.join(top).is_dir() {
            return 0;
        }
        let days = self.dir.list(top).into_iter();
        let names = days.flat_map(|day| self.dir.list(format!("{top}/{day}")));
        names.filter(|name| name.starts_with("FWD")).count()
    }
}

/// Messages in a spool directory that nobody has refused.
fn waiting(spool: &Path) -> usize {
    let names = spool.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names: BTreeSet<String> = names.collect();
    let is_refused = |name: &String| names.contains(&format!(".{name}.neg"));
    names.iter().filter(|name| !name.starts_with('.') && !is_refused(name)).count()
}

/// What cron(8) does, without its minute: runs `hl7tocv batch` again and again.
pub struct Cron {
    command: TestCommand,
    child: Mutex<Option<Child>>,
    stop: AtomicBool,
}

impl Cron {
    /// Until it is stopped.
    pub fn run(&self) {
        while !self.stop.load(Ordering::Relaxed) {
            let child = self.command.command().spawn().unwrap();
            *self.child.lock().unwrap() = Some(child);
            loop {
                let mut child = self.child.lock().unwrap();
                if child.as_mut().unwrap().try_wait().unwrap().is_some() {
                    *child = None;
                    break;
                }
                drop(child);
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    }

    /// Kills the run that is at work; false where none is.
    pub fn kill_9(&self) -> bool {
        match &mut *self.child.lock().unwrap() {
            Some(child) => child.kill().is_ok(),
            None => false,
        }
    }

    /// No more runs.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Stops it also when the test has failed, so that no thread waits for it.
pub struct StopsCron<'a>(pub &'a Cron);

impl Drop for StopsCron<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// One message to the router, over a connection of its own; its answer.
fn send_once(port: u16, message: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.write_all(format!("\x0b{message}\x1c\r").as_bytes())?;
    let mut answer = Vec::new();
    let mut piece = [0; 1024];
    while !answer.ends_with(b"\x1c\r") {
        match stream.read(&mut piece)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => answer.extend_from_slice(&piece[..count]),
        }
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Where messages are sent to.
pub struct Entrance {
    port: u16,
    spool: PathBuf,
    queues: TestCommand,
    attempts: AtomicUsize,
}

impl Entrance {
    /// How often somebody began to send.
    pub fn attempts(&self) -> usize {
        self.attempts.load(Ordering::Relaxed)
    }

    /// Waits until the router has nothing left to write: on a slow disk it accepts hundreds of messages before the spool
    /// directory shows the first.
    pub fn wait_for_files(&self) {
        wait_until(|| {
            let queues = self.queues.run();
            let told: Option<serde_json::Value> = serde_json::from_slice(&queues.stdout).ok();
            queues.status.success() && told.is_some_and(|told| told["queues"][0]["pending"] == 0)
        });
    }
}

/// Sends a message until it is accepted, as a sender has to; how often it took. Not faster than the line can take it.
pub fn send(to: &Entrance, message: &str) -> usize {
    wait_until(|| waiting(&to.spool) < AHEAD);
    let end = std::time::Instant::now() + LIMIT;
    for tries in 1.. {
        to.attempts.fetch_add(1, Ordering::Relaxed);
        if send_once(to.port, message).is_ok_and(|answer| answer.contains("\rMSA|AA|")) {
            return tries;
        }
        assert!(std::time::Instant::now() < end, "the router accepts nothing any more");
        // It is dead, and will be started again.
        std::thread::sleep(Duration::from_millis(5));
    }
    unreachable!()
}

/// A message of one patient, of the kind `ADT^A01` or such, in a bed.
pub fn message(kind: &str, id: &str, record: &str, bed: &str, prior: &str, more: &str) -> String {
    let event = kind.rsplit('^').next().unwrap();
    format!(
        "MSH|^~\\&|PAS|KLINIK|CVGATEWAY|060_IOP|20261123080000||{kind}|{id}|P|2.3\rEVN|{event}|20261123080000\r\
         PID|1||A{record}||Muster^Max\rPV1|1|I|IOP^{bed}|||IOP^{prior}|||||||||||||{record}\r{more}"
    )
}

/// Two results.
pub const RESULTS: &str = "OBR|1||4711|BGA||20261123080000|20261123080000||||||||BLDA\r\
                           OBX|1|NM|2703-7||88|mm(hg)|||||F\rOBX|2|NM|6298-4||3.9|mmol/l|||||F\r";
