//! The operator's terminal, played by a test: a pseudo terminal that is the program's own, so that ^C is a signal.

use std::io::{Read, Write};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{Termios, tcgetattr};
use nix::unistd::Pid;
use protogen_testkit::TestCommand;
use protogen_testkit::pty::Pty;

pub const CTRL_C: &str = "\x03";

/// How long the output of a program that has ended is waited for.
const AFTER_THE_END: Duration = Duration::from_secs(10);

/// A program at a terminal.
pub struct Terminal {
    pty: Pty,
    before: Termios,
    child: Child,
    output: Arc<Mutex<Vec<u8>>>,
    /// How much of the output was looked at.
    seen: usize,
}

impl Terminal {
    /// Starts it; `command` as for any test.
    pub fn start(command: &TestCommand) -> Terminal {
        let pty = Pty::terminal(24, 80).unwrap();
        let before = tcgetattr(pty.slave().unwrap()).unwrap();
        let mut master = pty.master().try_clone().unwrap();
        let output = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&output);
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(count @ 1..) = master.read(&mut piece) {
                kept.lock().unwrap().extend_from_slice(&piece[..count]);
            }
        });
        let inner = command.command();
        // setsid(1) gives it the terminal for its own; it replaces itself by the program.
        let mut outer = std::process::Command::new("setsid");
        outer.arg("-c").arg(inner.get_program()).args(inner.get_args());
        outer.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        outer.current_dir(inner.get_current_dir().unwrap());
        let stream = || Stdio::from(pty.slave().unwrap());
        let child = outer.stdin(stream()).stdout(stream()).stderr(stream()).spawn().unwrap();
        Terminal { pty, before, child, output, seen: 0 }
    }

    /// Waits until the output holds this behind what was looked at before.
    #[track_caller]
    pub fn expect(&mut self, text: &str) -> &mut Terminal {
        let mut due = Instant::now() + Duration::from_secs(60);
        let mut has_ended = false;
        loop {
            let output = self.output();
            if let Some(place) = output[self.seen..].find(text) {
                self.seen += place + text.len();
                return self;
            }
            if !has_ended && self.child.try_wait().unwrap().is_some() {
                // What it wrote last may still be on its way to us.
                (has_ended, due) = (true, Instant::now() + AFTER_THE_END);
            }
            assert!(
                Instant::now() < due,
                "{text:?} does not come (ended: {has_ended}); behind byte {} of\n{output}",
                self.seen
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn press(&mut self, keys: &str) -> &mut Terminal {
        self.pty.master().write_all(keys.as_bytes()).unwrap();
        self
    }

    pub fn output(&self) -> String {
        String::from_utf8_lossy(&self.output.lock().unwrap()).into_owned()
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    /// Waits for its end.
    #[track_caller]
    pub fn ended(&mut self) -> ExitStatus {
        let due = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < due, "it does not end:\n{}", self.output());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Whether the terminal's settings are what they were at the start.
    pub fn is_as_it_was(&self) -> bool {
        tcgetattr(self.pty.slave().unwrap()).unwrap() == self.before
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
