//! What an output gets of a message.

use protogen_journal::Stored;

use crate::config::{Config, Connection, Kind};
use crate::files::name_prefix;
use crate::gate::Trial;

/// What goes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Given {
    /// The message.
    pub(super) message: Vec<u8>,
    /// How the name of its file begins and ends, if it is one.
    pub(super) name: Option<String>,
}

impl Given {
    /// What the connection sends or writes; `None` if it does not get the message.
    pub(super) fn of(
        config: &Config,
        connection: &Connection,
        trial: &mut Trial,
        stored: &Stored,
    ) -> Option<Result<Given, String>> {
        if !config.inputs(&connection.queue).any(|input| input.name == stored.connection) {
            return None;
        }
        let message = match trial.pass(stored) {
            Ok(message) => message,
            Err(why) => return Some(Err(why)),
        };
        let name = match &connection.kind {
            Kind::FileOut(file) => {
                let prefix = name_prefix(&file.naming, &message);
                Some(format!("{}*{}", String::from_utf8_lossy(&prefix), file.suffix))
            }
            _ => None,
        };
        Some(Ok(Given { message, name }))
    }
}

/// Where it goes and in which form, whatever the message is: names of options and their values.
pub(super) fn settings(connection: &Connection) -> Vec<(&'static str, String)> {
    let mut settings =
        vec![("queuename", connection.queue.clone()), ("connector", connection.kind.shown().to_owned())];
    let gate = &connection.gate;
    settings.extend(gate.filter.as_ref().map(|filter| ("filter", filter.to_string())));
    settings.extend(gate.pipe.as_ref().map(|pipe| ("pipe", pipe.command.clone())));
    settings.push(("dedupe", gate.dedupe.as_secs_f64().to_string()));
    match &connection.kind {
        Kind::SocketOut(socket) | Kind::SocketIn(socket) => {
            let frame = [&socket.mllp.sob, &socket.mllp.eod, &socket.mllp.eob];
            settings.extend([
                ("createserversocket", truth(socket.server)),
                ("ipaddr", socket.host.clone()),
                ("port", socket.port.to_string()),
                ("usehl7", truth(connection.use_hl7)),
                ("useack", truth(socket.use_ack)),
                ("mllp2", truth(socket.mllp2)),
                ("sob, eod, eob", frame.map(|bytes| bytes.escape_ascii().to_string()).join(" ")),
            ]);
        }
        Kind::FileOut(file) => {
            settings.extend([
                ("messagedir", file.dir.display().to_string()),
                ("newline", truth(file.newline)),
                ("filemode", file.filemode.map_or_else(|| "umask".to_owned(), |mode| format!("{mode:04o}"))),
            ]);
        }
        Kind::FileIn(_) => {}
    }
    settings
}

fn truth(value: bool) -> String {
    (if value { "True" } else { "False" }).to_owned()
}
