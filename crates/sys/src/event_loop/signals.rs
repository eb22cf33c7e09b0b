//! Signals as events of the loop.

use std::fmt;
use std::io;

use mio::{Interest, Registry, Token};
use signal_hook::consts;
use signal_hook_mio::v1_0::Signals;

/// The signals that programs of this workspace understand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Signal {
    /// SIGTERM: finish what is in flight and end.
    Terminate,
    /// SIGINT: ^C.
    Interrupt,
    /// SIGHUP: read the configuration and open the log again.
    HangUp,
    /// SIGUSR1: report counters.
    User1,
    /// SIGUSR2.
    User2,
    /// SIGCHLD: a child ended.
    Child,
    /// SIGWINCH: the terminal has another size.
    Window,
}

const NUMBERS: [(Signal, i32); 7] = [
    (Signal::Terminate, consts::SIGTERM),
    (Signal::Interrupt, consts::SIGINT),
    (Signal::HangUp, consts::SIGHUP),
    (Signal::User1, consts::SIGUSR1),
    (Signal::User2, consts::SIGUSR2),
    (Signal::Child, consts::SIGCHLD),
    (Signal::Window, consts::SIGWINCH),
];

pub(super) struct SignalSource(Signals);

impl fmt::Debug for SignalSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignalSource")
    }
}

impl SignalSource {
    pub(super) fn new(registry: &Registry, token: Token, wanted: &[Signal]) -> io::Result<SignalSource> {
        let numbers = NUMBERS.iter().filter(|row| wanted.contains(&row.0)).map(|row| row.1);
        let mut signals = Signals::new(numbers)?;
        registry.register(&mut signals, token, Interest::READABLE)?;
        Ok(SignalSource(signals))
    }

    /// The signals that arrived since the last call.
    pub(super) fn pending(&mut self) -> impl Iterator<Item = Signal> + '_ {
        self.0.pending().filter_map(|number| NUMBERS.iter().find(|row| row.1 == number).map(|row| row.0))
    }
}
