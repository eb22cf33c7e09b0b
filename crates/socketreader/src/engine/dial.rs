//! Connections that we make: a thread each, since neither a name server nor a peer must hold up the loop.

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use protogen_sys::event_loop::Waker;
use protogen_sys::services::{self, Place, ServiceError};

/// The result of an attempt, for the connection of this number.
pub(super) struct Dialled {
    pub(super) connection: usize,
    pub(super) stream: Result<TcpStream, String>,
}

/// Makes connections in the background; there is at most one attempt for each connection of the configuration.
pub(super) struct Dialler {
    sender: Sender<Dialled>,
    receiver: Receiver<Dialled>,
    waker: Arc<Waker>,
}

impl Dialler {
    pub(super) fn new(waker: Arc<Waker>) -> Dialler {
        let (sender, receiver) = channel();
        Dialler { sender, receiver, waker }
    }

    /// Starts an attempt.
    pub(super) fn dial(&self, connection: usize, place: Result<Place, ServiceError>, timeout: Duration) {
        let (sender, waker) = (self.sender.clone(), Arc::clone(&self.waker));
        let attempt = move || {
            let stream = place.and_then(|place| services::connect(&place.to_connect()?, timeout));
            tell(&sender, &waker, connection, stream.map_err(|error| error.to_string()));
        };
        if let Err(error) = std::thread::Builder::new().name("dial".to_owned()).spawn(attempt) {
            tell(&self.sender, &self.waker, connection, Err(error.to_string()));
        }
    }

    /// The result of an attempt that has ended.
    pub(super) fn result(&self) -> Option<Dialled> {
        self.receiver.try_recv().ok()
    }
}

fn tell(sender: &Sender<Dialled>, waker: &Waker, connection: usize, stream: Result<TcpStream, String>) {
    // The receiver is gone only when the program ends.
    let _ = sender.send(Dialled { connection, stream });
    let _ = waker.wake();
}
