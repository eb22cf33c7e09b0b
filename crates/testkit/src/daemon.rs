//! Starting a server, waiting until it serves, and ending it one way or another.

use std::fmt;
use std::io::Read;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub use nix::sys::signal::Signal;
use nix::sys::signal::{kill, killpg};
use nix::unistd::Pid;

use crate::{Dir, TIMEOUT, TestCommand};

/// The most that is kept of what a server writes, in bytes.
const MAX_OUTPUT: usize = 16 << 20;

/// A running server. Dropped, it is killed.
#[derive(Debug)]
pub struct Daemon {
    told: String,
    child: Child,
    ended: Option<ExitStatus>,
    socket: UnixDatagram,
    state: Vec<String>,
    main_pid: i32,
    output: Stream,
    errors: Stream,
    _directory: Dir,
}

impl Daemon {
    /// Starts it and waits for its `READY=1`.
    ///
    /// # Panics
    /// When it ends or the time is up before that; the panic shows what it wrote.
    #[must_use]
    pub fn start(command: &TestCommand) -> Daemon {
        let mut daemon = Daemon::launch(command);
        daemon.wait_for_state("READY=1");
        daemon
    }

    /// Starts it and does not wait.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn launch(command: &TestCommand) -> Daemon {
        let directory = Dir::new();
        let path = directory.join("notify");
        let socket = UnixDatagram::bind(&path).expect("a notification socket");
        let mut process = command.command();
        process.env("NOTIFY_SOCKET", &path);
        process.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = process.spawn().unwrap_or_else(|error| panic!("{command}: cannot start: {error}"));
        let main_pid = i32::try_from(child.id()).expect("a process id");
        let output = Stream::collect(child.stdout.take().expect("its standard output"));
        let errors = Stream::collect(child.stderr.take().expect("its standard error"));
        let told = command.to_string();
        let (ended, state) = (None, Vec::new());
        Daemon { told, child, ended, socket, state, main_pid, output, errors, _directory: directory }
    }

    /// Waits until a notification holds this line, such as `READY=1` or `STOPPING=1`.
    ///
    /// # Panics
    /// When the server ends or the time is up before that.
    #[track_caller]
    pub fn wait_for_state(&mut self, wanted: &str) {
        let end = Instant::now() + TIMEOUT;
        let mut datagram = [0; 4096];
        while !self.state.iter().any(|line| line == wanted) {
            assert!(Instant::now() < end, "no {wanted} within {TIMEOUT:?}\n{self}");
            // Short turns, so that a server that ended is noticed.
            self.socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a socket option");
            match self.socket.recv(&mut datagram) {
                Ok(count) => self.take_state(&String::from_utf8_lossy(&datagram[..count])),
                Err(_) if self.is_main_process() => {
                    let ended = self.child.try_wait().expect("the state of a child");
                    assert!(ended.is_none(), "it ended ({ended:?}) before {wanted}\n{self}");
                }
                Err(_) => {}
            }
        }
    }

    fn take_state(&mut self, text: &str) {
        for line in text.lines() {
            if let Some(pid) = line.strip_prefix("MAINPID=") {
                self.main_pid = pid.parse().expect("the process id in MAINPID");
            }
            self.state.push(line.to_owned());
        }
    }

    fn is_main_process(&self) -> bool {
        u32::try_from(self.main_pid) == Ok(self.child.id())
    }

    /// The process id of the server, which is not the one started if that one forked.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.main_pid
    }

    /// Every line of every notification so far.
    #[must_use]
    pub fn states(&self) -> &[String] {
        &self.state
    }

    /// Sends the server a signal.
    ///
    /// # Panics
    /// When it is gone.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.main_pid), signal)
            .unwrap_or_else(|error| panic!("{signal}: {error}\n{self}"));
    }

    /// Kills it at once, as `kill -9` does, and waits until it is gone.
    pub fn kill_9(&mut self) {
        let _ = kill(Pid::from_raw(self.main_pid), Signal::SIGKILL);
        self.wait_for_exit();
    }

    /// Asks it to end with SIGTERM, and waits for that.
    #[track_caller]
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.wait_for_exit()
    }

    /// Waits until the server is gone. For one that forked, the status is that of the process started.
    ///
    /// # Panics
    /// When the time is up.
    #[track_caller]
    pub fn wait_for_exit(&mut self) -> ExitStatus {
        let end = Instant::now() + TIMEOUT;
        loop {
            if let Some(status) = self.try_wait() {
                self.read_to_the_end();
                return status;
            }
            assert!(Instant::now() < end, "it did not end within {TIMEOUT:?}\n{self}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until all that the server wrote has been read, unless a process it left behind keeps the streams open.
    fn read_to_the_end(&self) {
        let end = Instant::now() + Duration::from_secs(2);
        while !(self.output.reader.is_finished() && self.errors.reader.is_finished()) && Instant::now() < end
        {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn try_wait(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().expect("the state of a child");
        }
        let gone = self.is_main_process() || !is_running(self.main_pid);
        self.ended.filter(|_| gone)
    }

    /// What it wrote on standard output so far.
    #[must_use]
    pub fn stdout(&self) -> String {
        self.output.text()
    }

    /// What it wrote on standard error so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.errors.text()
    }

    /// Waits until standard error holds `text`.
    ///
    /// # Panics
    /// When the time is up.
    #[track_caller]
    pub fn wait_for_stderr(&self, text: &str) {
        self.wait_until(|daemon| daemon.stderr().contains(text), text);
    }

    /// Waits until standard output holds `text`.
    ///
    /// # Panics
    /// When the time is up.
    #[track_caller]
    pub fn wait_for_stdout(&self, text: &str) {
        self.wait_until(|daemon| daemon.stdout().contains(text), text);
    }

    #[track_caller]
    fn wait_until(&self, holds: impl Fn(&Daemon) -> bool, text: &str) {
        let end = Instant::now() + TIMEOUT;
        while !holds(self) {
            assert!(Instant::now() < end, "not written within {TIMEOUT:?}: {text}\n{self}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.try_wait().is_none() {
            let _ = kill(Pid::from_raw(self.main_pid), Signal::SIGKILL);
            if let Ok(group) = i32::try_from(self.child.id()) {
                let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
            }
            let _ = self.child.wait();
        }
        if std::thread::panicking() {
            eprintln!("{self}");
        }
    }
}

impl fmt::Display for Daemon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "server: {}\nnotifications: {:?}", self.told, self.state)?;
        write!(f, "standard output:\n{}\nstandard error:\n{}", self.stdout(), self.stderr())
    }
}

/// Whether a process that is not our child runs; one that is dead and not yet reaped does not.
fn is_running(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The state follows the name, which stands in parentheses and may hold anything.
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// What a process writes, collected by a thread that ends with the stream.
#[derive(Debug)]
struct Stream {
    text: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Stream {
    fn collect(mut source: impl Read + Send + 'static) -> Stream {
        let text = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&text);
        let reader = std::thread::spawn(move || {
            let mut piece = [0; 8192];
            while let Ok(count) = source.read(&mut piece) {
                if count == 0 {
                    break;
                }
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                let room = MAX_OUTPUT.saturating_sub(kept.len()).min(count);
                kept.extend_from_slice(&piece[..room]);
            }
        });
        Stream { text, reader }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.text.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}
