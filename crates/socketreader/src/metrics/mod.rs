//! Figures of the running program: for Prometheus, for whoever asks whether it is well, and for the log.

mod http;
mod meter;
mod text;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

pub(crate) use meter::{Meter, Meters};
use protogen_journal::Reader;

use crate::board::Board;
use crate::control::live_queues;
use crate::engine::Reception;
use crate::guard::Guards;
use crate::log;

/// Where the figures come from.
#[derive(Clone)]
pub(crate) struct Sources {
    pub(crate) board: Arc<Board>,
    pub(crate) journal: Reader,
    pub(crate) guards: Arc<Mutex<Guards>>,
    pub(crate) reception: Reception,
    pub(crate) started: SystemTime,
}

/// Listens for those who ask for figures.
///
/// # Errors
/// What the system says about the address.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address)
}

impl Sources {
    /// Serves figures, in a thread of its own.
    ///
    /// # Errors
    /// What the system says about the thread.
    pub(crate) fn serve(self, listener: TcpListener) -> io::Result<()> {
        http::serve(listener, move |path| match path {
            "/metrics" => Some(http::Answer { is_well: true, text: text::write(&self) }),
            "/healthz" => Some(match self.reception.health() {
                Ok(()) => http::Answer { is_well: true, text: "ok\n".to_owned() },
                Err(why) => http::Answer { is_well: false, text: format!("{why}\n") },
            }),
            _ => None,
        })
    }

    /// Writes a line for each connection to the log, whatever its level.
    pub(crate) fn log_state(&self) {
        let config = self.board.config();
        let queues = live_queues(&config, &self.journal, &self.board);
        let rows = queues["queues"].as_array().cloned().unwrap_or_default();
        for connection in &config.connections {
            let name = &connection.name;
            let meter = self.board.meters.of(name);
            let count =
                |counter: &std::sync::atomic::AtomicU64| counter.load(std::sync::atomic::Ordering::Relaxed);
            let (messages, bytes) = (count(&meter.messages), count(&meter.bytes));
            let kind = connection.kind.shown();
            match rows.iter().find(|row| row["connection"] == name.as_str()) {
                Some(row) => {
                    let age = row["oldestseconds"].as_u64();
                    let age = age.map_or(String::new(), |age| format!(", the oldest for {age} s"));
                    log::always!(
                        name,
                        "state: {kind}, {}: {} wait{age}, {} dead letters; since the start {messages} messages, {bytes} bytes, {} tried again",
                        row["state"].as_str().unwrap_or_default(),
                        row["pending"],
                        row["dead"],
                        count(&meter.retries)
                    );
                }
                None => log::always!(
                    name,
                    "state: {kind}: {} peers; since the start {messages} messages, {bytes} bytes",
                    count(&meter.peers)
                ),
            }
        }
        if let Err(why) = self.reception.health() {
            log::always!(log::GENERAL, "state: not well: {why}");
        }
    }

    fn guards(&self) -> Guards {
        self.guards.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
