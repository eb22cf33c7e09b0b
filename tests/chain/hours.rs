//! Hours of a ward's traffic, compressed: the memory and the open files of each daemon stay as they are.

use super::support::{Chain, DAEMONS, RESULTS, StopsCron, message, send};
use crate::support::wait_until;

/// Messages of an hour of a busy ward: one each 36 seconds.
const AN_HOUR: usize = 100;
/// What a daemon may grow by after its first hours, in KiB: what allocators and logs take, far below a leak of one message
/// each.
const GROWTH: u64 = 6 << 10;

/// The resident memory in KiB, and the number of open files.
fn takes(pid: i32) -> (u64, usize) {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let files = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    (memory.trim().trim_end_matches(" kB").parse().unwrap(), files)
}

#[test]
fn memory_and_files_stay_flat() {
    let (first, hours) = if std::env::var_os("PG_SOAK").is_some() { (50, 50) } else { (1, 2) };
    let (chain, cron) = Chain::start();
    let entrance = chain.entrance();
    let wait_for_all = || wait_until(|| chain.is_drained());
    std::thread::scope(|scope| {
        let _stops = StopsCron(&cron);
        scope.spawn(|| cron.run());
        let hour = |number: usize| {
            for n in (0..AN_HOUR).step_by(5) {
                let record = format!("{}", 100_000 + number * AN_HOUR + n);
                let step = |m: usize, kind: &str, more: &str| {
                    send(&entrance, &message(kind, &format!("{record}-{m}"), &record, "601^1", "", more));
                };
                step(1, "ADT^A01", "");
                step(2, "ORU^R01", RESULTS);
                step(3, "ADT^A08", "");
                step(4, "ORU^R01", RESULTS);
                step(5, "ADT^A03", "");
            }
            wait_for_all();
        };
        // Caches fill, logs open. The gateway's table of repeats has its room from the start, but takes memory as it is
        // used: some thousand messages lie all over it.
        (0..first).for_each(&hour);
        let before = DAEMONS.map(|name| takes(chain.pid(name)));
        (first..first + hours).for_each(&hour);
        for (name, (memory, files)) in DAEMONS.into_iter().zip(before) {
            let (memory_now, files_now) = takes(chain.pid(name));
            println!(
                "{name}: {memory} KiB, {files} files; after {hours} hours {memory_now} KiB, {files_now} files"
            );
            // The simulated CareVue keeps results, and serves each connection by a thread.
            if name != DAEMONS[0] {
                assert!(memory_now < memory + GROWTH, "{name} grew from {memory} to {memory_now} KiB");
            }
            // A connection that is being closed is none that stays.
            wait_until(|| takes(chain.pid(name)).1 <= files);
        }
    });
    assert_eq!(chain.carevue("census"), "");
}
