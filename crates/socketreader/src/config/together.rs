//! What connections must be to each other: queues with both ends, no circles, no two readers of one file.

use std::ffi::OsString;

use super::problem::Problems;
use super::resolve::Found;
use super::section::likely;
use super::{Connection, FileIn, FileOut, Kind, Naming};

/// Checks all connections in use against each other. `complete` says that no section is missing.
pub(super) fn check(found: &[Found<'_>], complete: bool, problems: &mut Problems) {
    // A section that does not say which queue it is on, or at which end, may be the end that another queue lacks.
    let told =
        |found: &Found<'_>| found.parsed.draft.queuename.is_some() && found.parsed.draft.is_input.is_some();
    if complete && found.iter().all(told) {
        queues(found, problems);
    }
    for (index, one) in found.iter().enumerate() {
        for other in &found[..index] {
            pair(one, other, problems);
            pair(other, one, problems);
        }
    }
}

/// The longest message of a queue's inputs is what its outputs must take.
pub(super) fn widen_outputs(connections: &mut [Connection]) {
    let sizes: Vec<(String, usize)> = connections
        .iter()
        .filter_map(|connection| Some((connection.queue.clone(), connection.kind.max_size()?)))
        .collect();
    for connection in connections {
        let sizes = sizes.iter().filter(|(queue, _)| *queue == connection.queue).map(|(_, size)| *size);
        let Some(longest) = sizes.max() else { continue };
        if let Kind::SocketOut(socket) = &mut connection.kind {
            socket.mllp.max_message = longest;
        }
        if let Some(pipe) = &mut connection.gate.pipe {
            pipe.max_message = longest;
        }
    }
}

fn queues(found: &[Found<'_>], problems: &mut Problems) {
    let names: Vec<&str> = found.iter().filter_map(|found| found.parsed.draft.queuename.as_deref()).collect();
    for (index, (Found { parsed, .. }, queue)) in found.iter().zip(&names).enumerate() {
        if names[..index].contains(queue) {
            continue;
        }
        let ends = found.iter().zip(&names).filter(|(_, other)| *other == queue);
        let (inputs, outputs): (Vec<_>, Vec<_>) =
            ends.partition(|(end, _)| end.parsed.draft.is_input == Some(true));
        let lacks = match (inputs.len(), outputs.len()) {
            (0, _) => "no incoming connection: nothing would ever come",
            (_, 0) => "no outgoing connection: nobody would get the messages",
            _ => continue,
        };
        let likely = likely(queue, names.iter().copied().filter(|other| other != queue));
        let likely = likely.map_or(String::new(), |other| format!("; the queue most like it is {other}"));
        problems.error(
            parsed.at("queuename"),
            format!("queue {queue} has {lacks}; add one, or correct the name{likely}"),
        );
    }
}

/// What goes wrong between two connections, seen from the first.
fn pair(one: &Found<'_>, other: &Found<'_>, problems: &mut Problems) {
    let (Some(first), Some(second)) = (&one.connection, &other.connection) else { return };
    let same_queue = first.queue == second.queue;
    let addressed = |found: &Found<'_>| found.parsed.sound("port") && found.parsed.sound("ipaddr");
    match (&first.kind, &second.kind) {
        (Kind::FileOut(out), Kind::FileIn(into)) if same_queue && feeds(out, into) => {
            problems.error(one.parsed.at("messagedir"), circle(&second.name, "messagedir"));
        }
        (Kind::SocketOut(out), Kind::SocketIn(into))
            if same_queue
                && addressed(one)
                && addressed(other)
                && out.server != into.server
                && out.port == into.port
                && out.host == into.host =>
        {
            problems.error(one.parsed.at("port"), circle(&second.name, "port"));
        }
        (Kind::FileIn(file), Kind::FileIn(other))
            if first.line > second.line && file.dir == other.dir && file.mask == other.mask =>
        {
            problems.warning(
                one.parsed.at("messagedir"),
                format!(
                    "the same files are read by [{}], and each goes to one of the two by chance; give one of them another \
                     messagedir or filemask",
                    second.name
                ),
            );
        }
        _ => {}
    }
}

fn circle(input: &str, option: &str) -> String {
    format!(
        "what goes out here comes in again at [{input}], on the same queue, for ever; give one of them another {option}"
    )
}

/// Whether a file that this output writes is one that this input reads.
fn feeds(out: &FileOut, into: &FileIn) -> bool {
    let start = match &out.naming {
        Naming::Hl7 => "SRC_FAC_DST_FAC_ADT_",
        Naming::Prefix(prefix) => prefix,
    };
    let name = OsString::from(format!("{start}20260101120000_00000{}", out.suffix));
    out.dir == into.dir && into.mask.matches(&name)
}
