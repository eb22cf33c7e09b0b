//! What the driver tells of itself: where it listens, and its counters.

use protogen_core::llp::Counters;

use super::Driver;
use crate::answer::{add, more};

impl Driver {
    /// The counters of the line, over all its connections.
    pub(super) fn counters(&self) -> Counters {
        let mut total = self.past;
        for client in self.clients.values() {
            add(&mut total, client.connection.link.counters());
        }
        total
    }

    /// The counters into the log (SIGUSR1).
    pub(super) fn report(&self) {
        let counters = self.counters();
        let Counters { bytes_in, bytes_out, messages_in, messages_out, .. } = counters;
        let Counters { checksum_errors, length_errors, other_errors, .. } = counters;
        let Counters { connect_timeouts, receive_timeouts, network_errors, .. } = counters;
        log::info!(
            "messages in {messages_in} out {messages_out}, bytes in {bytes_in} out {bytes_out}, {}, errors: checksum \
             {checksum_errors} length {length_errors} other {other_errors} network {network_errors}, timeouts: connect \
             {connect_timeouts} receive {receive_timeouts}",
            more(&counters)
        );
    }

    /// Where it listens, for people and tests.
    pub(super) fn places(&self) -> String {
        let mut text = format!("line {}", self.line_place());
        if let Some(to) = &self.config.to {
            text += &format!(", to {to}");
        }
        if self.config.distal.is_some() {
            let addresses: Vec<String> = self.distal.addresses().iter().map(ToString::to_string).collect();
            text += &format!(", distal {}", addresses.join(" and "));
            if !self.config.at_once {
                text += " after the line's first message";
            }
        }
        text
    }
}
