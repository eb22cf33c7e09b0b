//! The terminal of a program that an operator works with: ^C as an event, single keys, and its settings as they were.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::termios::{FlushArg, InputFlags, LocalFlags, SetArg, Termios, tcflush, tcgetattr, tcsetattr};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::{flag, low_level};

/// How long whoever reads a key at the same time is given.
const SETTLE: Duration = Duration::from_millis(10);

/// The terminal at standard input.
///
/// ^C does not end the program: [`take_interrupt`](Terminal::take_interrupt) tells of it. SIGTERM, SIGHUP and SIGQUIT end
/// it as ever, after the settings were put back. SIGKILL leaves them as they are at that moment, which is as they were,
/// unless a [`Keys`] is alive.
#[derive(Debug)]
pub struct Terminal {
    saved: Termios,
    interrupted: Arc<AtomicBool>,
    /// A signal ends the process this moment: no settings are changed any more.
    ending: Arc<Mutex<bool>>,
}

/// While this lives, keys are read one by one, without echo, and ^C is one of them.
#[derive(Debug)]
#[must_use = "the terminal is put back when this is dropped"]
pub struct Keys<'t> {
    terminal: &'t Terminal,
}

impl Terminal {
    /// Takes the terminal over.
    ///
    /// # Errors
    /// When standard input is none, or a signal cannot be caught.
    pub fn open() -> io::Result<Terminal> {
        let saved = tcgetattr(io::stdin())?;
        let interrupted = Arc::new(AtomicBool::new(false));
        flag::register(SIGINT, Arc::clone(&interrupted))?;
        let mut signals = Signals::new([SIGTERM, SIGHUP, SIGQUIT])?;
        let settings = saved.clone();
        let ending = Arc::new(Mutex::new(false));
        let told = Arc::clone(&ending);
        thread::Builder::new().name("signals".into()).spawn(move || {
            for signal in &mut signals {
                *told.lock().unwrap_or_else(PoisonError::into_inner) = true;
                // Twice, as a key may come at this very moment, and whoever reads it changes the settings after us.
                for _ in 0..2 {
                    // It may have hung up; then there is nothing to put back.
                    let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, &settings);
                    thread::sleep(SETTLE);
                }
                // Ends the process as the signal does.
                let _ = low_level::emulate_default_handler(signal);
            }
        })?;
        // They are that thread's alone: they must not wake who waits for a key. Programs that are started get none of this.
        [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT].into_iter().collect::<SigSet>().thread_block()?;
        Ok(Terminal { saved, interrupted, ending })
    }

    /// Whether ^C was pressed since this was asked last.
    pub fn take_interrupt(&self) -> bool {
        self.interrupted.swap(false, Ordering::Relaxed)
    }

    /// Begins to read keys. What was typed before does not count: nobody was asked anything yet.
    ///
    /// # Errors
    /// What the system says.
    pub fn keys(&self) -> io::Result<Keys<'_>> {
        let mut settings = self.saved.clone();
        settings
            .local_flags
            .remove(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG | LocalFlags::IEXTEN);
        settings.input_flags.remove(InputFlags::IXON);
        {
            let ending = self.ending.lock().unwrap_or_else(PoisonError::into_inner);
            if *ending {
                return Err(io::Error::other("a signal ends the program"));
            }
            tcsetattr(io::stdin(), SetArg::TCSANOW, &settings)?;
        }
        let keys = Keys { terminal: self };
        tcflush(io::stdin(), FlushArg::TCIFLUSH)?;
        self.take_interrupt();
        Ok(keys)
    }

    /// Puts the settings back, after a program that may have changed them.
    ///
    /// # Errors
    /// What the system says.
    pub fn restore(&self) -> io::Result<()> {
        Ok(tcsetattr(io::stdin(), SetArg::TCSANOW, &self.saved)?)
    }
}

impl Drop for Keys<'_> {
    fn drop(&mut self) {
        // A terminal that hung up has no settings.
        let _ = self.terminal.restore();
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.restore();
    }
}
