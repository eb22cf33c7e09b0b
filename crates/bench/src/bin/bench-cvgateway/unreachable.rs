//! How soon a sender is told that CareVue is unreachable, in each way that it is.

use std::time::{Duration, Instant};

use protogen_bench::dead_server::DeadServer;

use crate::load::{adt, says, transact};
use crate::site::Bench;
use crate::{Result, Rows, took};

/// What is waited for: a second to connect, and two for the answer (cvgateway.toml(5)).
const PROFILE: &str = "[time]\nconnect = 1\nanswer = 2\n";
/// Each is tried so often; the row is the slowest.
const ROUNDS: u64 = 3;
/// A message that is still on its way when its connection is cut, in bytes.
const LARGE: usize = 4 << 20;

pub(crate) fn measure(bench: &Bench, rows: &mut Rows) -> Result<()> {
    let profile = bench.place.path().join("etc/cvgateway.toml");
    std::fs::write(&profile, PROFILE)?;
    for (name, server) in [
        ("refuses", DeadServer::refuses()?),
        ("queue-full", DeadServer::unreachable()?),
        ("silent", DeadServer::silent()?),
        ("cuts", DeadServer::cuts()?),
        ("closes", DeadServer::closes()?),
        ("trickles", DeadServer::trickles()?),
    ] {
        let gateway = bench.gateway_of(server.address, &bench.new_facility())?;
        let (mut answer, mut slowest) = (Vec::new(), Duration::ZERO);
        for number in 0..ROUNDS {
            let message = if name == "cuts" { large(number) } else { discharge(number) };
            let begun = Instant::now();
            transact(gateway.address, &message, &mut answer)?;
            slowest = slowest.max(begun.elapsed());
            if !says(&answer, "\rMSA|AR|") || !says(&answer, "|CareVue unreachable\r") {
                return Err(format!("{name}: answered {}", answer.escape_ascii()).into());
            }
        }
        took(rows, &format!("unreachable/{name}"), slowest);
    }
    Ok(std::fs::write(&profile, "")?)
}

/// One of the discharges among the ADT.
fn discharge(number: u64) -> Vec<u8> {
    adt(4 * number + 3)
}

/// The same with a very long address.
fn large(number: u64) -> Vec<u8> {
    String::from_utf8_lossy(&discharge(number)).replace("Weg 1^", &"x".repeat(LARGE)).into_bytes()
}
