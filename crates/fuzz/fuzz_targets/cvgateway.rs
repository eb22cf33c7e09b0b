//! Any message: what would be sent to CareVue is a message that it can take, and what is refused is not sent.
#![no_main]

use std::ffi::OsString;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use protogen_cvgateway::fuzz::DryRun;

/// Any of the statuses, by the length of the arguments.
fn census(arguments: &[OsString]) -> u8 {
    let length: usize = arguments.iter().map(|argument| argument.len()).sum();
    [0, 1, 2, 3, 7, 0o22, 0o27, 0o72, 0o33, 0o77, 0o12][length % 11]
}

static RUN: LazyLock<(tempfile::TempDir, DryRun)> = LazyLock::new(|| {
    let dir = tempfile::tempdir().expect("a directory");
    let run = DryRun::new(dir.path(), census).expect("the shipped tables");
    (dir, run)
});

fuzz_target!(|bytes: &[u8]| RUN.1.carry_out(bytes));
