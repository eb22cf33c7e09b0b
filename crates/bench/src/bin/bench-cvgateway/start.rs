//! How long it takes until the first message is answered, where the journal is full of messages that may be repeats.

use std::process::Command;
use std::time::Instant;

use protogen_bench::router::program::Program;

use crate::load::{both, load_answered, says, transact};
use crate::site::Bench;
use crate::{Result, Rows, took};

/// Messages in the journal.
const MANY: u64 = 100_000;

/// The first half of them was taken; of the other half, which CareVue refused, each may have been begun.
pub(crate) fn measure(bench: &Bench, rows: &mut Rows) -> Result<()> {
    let facility = bench.new_facility();
    for (numbers, code) in [(0..MANY / 2, "AA"), (MANY / 2..MANY, "AR")] {
        let interface = Program::announced(Command::new(std::env::current_exe()?).args(["bare", code]))?;
        let gateway = bench.gateway_of(interface.address, &facility)?;
        load_answered(gateway.address, both, numbers, code)?;
    }
    let begun = Instant::now();
    let gateway = bench.gateway_of(bench.interface.address, &facility)?;
    let mut answer = Vec::new();
    transact(gateway.address, &both(0), &mut answer)?;
    let time = begun.elapsed();
    if !says(&answer, "|a repeat: ") {
        return Err(format!("answered {}", answer.escape_ascii()).into());
    }
    took(rows, &format!("start/{MANY}"), time);
    Ok(())
}
