//! One transaction with CareVue's interface, the FSI: a connection, the message, the answer (ILLP).

use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use protogen_core::llp::{Event, Kind, Link, illp};
use protogen_sys::services::{self, Place};

/// How the FSI is reached.
#[derive(Debug, Clone)]
pub(crate) struct Fsi {
    pub(crate) place: Place,
    pub(crate) connect: Duration,
    /// The whole exchange after connecting.
    pub(crate) answer: Duration,
    pub(crate) max_message: usize,
}

impl Fsi {
    /// Sends a message and waits for the answer.
    ///
    /// # Errors
    /// Why there is no answer; whether CareVue has the message is not known then.
    pub(crate) fn exchange(&self, message: &[u8]) -> Result<Vec<u8>, String> {
        let addresses = self.place.to_connect().map_err(|error| error.to_string())?;
        let mut stream = services::connect(&addresses, self.connect).map_err(|error| error.to_string())?;
        let end = Instant::now() + self.answer;
        let settings = illp::Settings {
            max_message: self.max_message,
            idle_timeout: self.answer,
            ..illp::Settings::default()
        };
        let mut link = illp::Client::new(settings);
        link.send(message, Kind::Request, Instant::now()).map_err(|error| error.to_string())?;
        let mut out = Vec::new();
        link.poll_transmit(&mut out);
        let lost = |error: std::io::Error| format!("{}: {error}", self.place);
        stream.set_write_timeout(Some(self.answer)).map_err(lost)?;
        stream.write_all(&out).map_err(lost)?;
        stream.shutdown(Shutdown::Write).map_err(lost)?;
        let mut buffer = vec![0; 16 << 10];
        loop {
            while let Some(event) = link.poll_event() {
                match event {
                    Event::Message { message, .. } => return Ok(message),
                    Event::Failed(_, why) => return Err(format!("{}: {why:?}", self.place)),
                    _ => {}
                }
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(format!("{}: no answer within {:?}", self.place, self.answer));
            }
            stream.set_read_timeout(Some(left)).map_err(lost)?;
            match stream.read(&mut buffer) {
                Ok(0) => link.handle_eof(Instant::now()),
                Ok(count) => link.handle_input(&buffer[..count], Instant::now()),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(lost(error)),
            }
        }
    }
}
