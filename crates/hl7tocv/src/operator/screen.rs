//! What the operator sees and presses. Lines are written one after the other, so that it works at 80x24, over ssh and
//! on paper; nothing that came from outside can move the cursor.

use std::io::{self, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use console::{Key, Term};
use protogen_sys::log::printable;
use protogen_sys::terminal::Terminal;

/// How soon ^C is seen while something else is waited for.
const LOOK: Duration = Duration::from_millis(50);

/// The operator's screen and keyboard.
pub(super) struct Screen {
    term: Term,
    terminal: Terminal,
}

/// What was pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pressed {
    /// A letter, as a small one.
    Key(char),
    /// ^C.
    Interrupt,
}

impl Screen {
    pub(super) fn open() -> io::Result<Screen> {
        Ok(Screen { term: Term::stdout(), terminal: Terminal::open()? })
    }

    /// Writes lines, each at its full length: a terminal breaks it.
    pub(super) fn say(&self, text: &str) -> io::Result<()> {
        for line in text.split('\n') {
            self.term.write_line(&printable(&format_args!("{line}")))?;
        }
        Ok(())
    }

    /// How many rows there are.
    pub(super) fn rows(&self) -> usize {
        self.term.size().0.into()
    }

    /// Asks for a key.
    pub(super) fn ask(&self, question: &str) -> io::Result<Pressed> {
        let _keys = self.terminal.keys()?;
        self.term.write_str(&format!("{question} "))?;
        self.term.flush()?;
        loop {
            let pressed = match self.term.read_key_raw() {
                Ok(Key::Char(c)) if c.is_ascii_graphic() => Pressed::Key(c.to_ascii_lowercase()),
                Ok(Key::CtrlC) => Pressed::Interrupt,
                Ok(_) => continue,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => Pressed::Interrupt,
                Err(error) => return Err(error),
            };
            let shown = match pressed {
                Pressed::Key(c) => c.to_string(),
                Pressed::Interrupt => "^C".to_owned(),
            };
            self.term.write_line(&shown)?;
            return Ok(pressed);
        }
    }

    /// Whether the operator says yes.
    pub(super) fn confirms(&self, question: &str) -> io::Result<bool> {
        Ok(self.ask(&format!("{question} (y/n)"))? == Pressed::Key('y'))
    }

    /// Asks for a line; none after ^C.
    pub(super) fn ask_line(&self, question: &str) -> io::Result<Option<String>> {
        let _keys = self.terminal.keys()?;
        self.term.write_str(&format!("{question} "))?;
        self.term.flush()?;
        match self.term.read_line() {
            Ok(line) => Ok(Some(line)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                self.terminal.take_interrupt();
                self.term.write_line("^C")?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Whether ^C was pressed.
    pub(super) fn is_interrupted(&self) -> bool {
        self.terminal.take_interrupt()
    }

    /// Waits, or less if ^C is pressed, which it tells. The last line counts down.
    pub(super) fn count_down(&self, what: &str, time: Duration) -> io::Result<bool> {
        let end = Instant::now() + time;
        let mut shown = None;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let seconds = left.as_secs_f64().ceil();
            if shown != Some(seconds) {
                self.term.write_str(&format!("\r{what} in {seconds} s; ^C for the menu "))?;
                self.term.flush()?;
                shown = Some(seconds);
            }
            if self.is_interrupted() || left.is_zero() {
                self.term.write_line("")?;
                return Ok(!left.is_zero());
            }
            thread::sleep(LOOK.min(left));
        }
    }

    /// Waits as long as `keep_waiting` says, or until ^C, which it tells.
    pub(super) fn wait_while(&self, mut keep_waiting: impl FnMut() -> bool) -> bool {
        while keep_waiting() {
            if self.is_interrupted() {
                return true;
            }
            thread::sleep(LOOK);
        }
        false
    }

    /// Does something that takes its time on a thread. The first ^C is noted, the second gives up waiting: none then.
    pub(super) fn while_working<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<(Option<T>, bool)> {
        let (sender, done) = channel();
        thread::spawn(move || sender.send(work()));
        let mut interrupted = false;
        loop {
            match done.recv_timeout(LOOK) {
                Ok(done) => return Ok((Some(done), interrupted || self.is_interrupted())),
                Err(RecvTimeoutError::Disconnected) => return Ok((None, interrupted)),
                Err(RecvTimeoutError::Timeout) => {}
            }
            match (self.is_interrupted(), interrupted) {
                (true, true) => return Ok((None, true)),
                (true, false) => {
                    interrupted = true;
                    self.say("^C: the menu comes after the answer; ^C again does not wait for it")?;
                }
                (false, _) => {}
            }
        }
    }

    /// Shows a long text in the user's pager, else here.
    pub(super) fn page(&self, text: &str) -> io::Result<()> {
        let pager = variable("PAGER").unwrap_or_else(|| "less".to_owned());
        let mut command = shell(&pager, &[]);
        // Patient data stays in the pager: no shell, no editor, no files from there.
        let shown = command.env("LESSSECURE", "1").stdin(Stdio::piped()).spawn().and_then(|mut child| {
            if let Some(mut input) = child.stdin.take() {
                // A pager that is left early does not want the rest.
                let _ = input.write_all(text.as_bytes());
            }
            child.wait()
        });
        self.come_back()?;
        match shown {
            Ok(status) if status.code() != Some(127) => Ok(()),
            _ => self.say(text.trim_end()),
        }
    }

    /// Runs the user's editor on a file; false where it failed.
    pub(super) fn edit(&self, path: &std::path::Path) -> io::Result<bool> {
        let editor = variable("VISUAL").or_else(|| variable("EDITOR")).unwrap_or_else(|| "vi".to_owned());
        let status = shell(&format!("{editor} \"$1\""), &[path.as_os_str()]).status();
        self.come_back()?;
        Ok(status.is_ok_and(|status| status.success()))
    }

    /// After another program had the terminal; a ^C there was for that.
    fn come_back(&self) -> io::Result<()> {
        self.terminal.take_interrupt();
        self.terminal.restore()
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

/// The user's own command, which may have options; what is from elsewhere goes in as its arguments.
fn shell(line: &str, arguments: &[&std::ffi::OsStr]) -> Command {
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(line).arg("sh").args(arguments);
    command
}
