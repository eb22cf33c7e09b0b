//! What needs a person beside the queues: the one place from which it is told.

use crate::log;

/// Tells that something about a connection needs a person.
pub(crate) fn raise(connection: &str, text: &str) {
    log::error!(connection, "{text}");
}
