//! The only unsafe code of the workspace: system calls that have no safe binding.
//!
//! Each function here states what makes the call sound and checks it itself, so that no caller can get it wrong.
#![allow(unsafe_code)]

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::libc::{SYNC_FILE_RANGE_WRITE, sync_file_range};
use nix::unistd::{ForkResult, fork};

nix::ioctl_none_bad!(tiocnotty, nix::libc::TIOCNOTTY);

/// Forks this process, provided that it has one thread.
pub(crate) fn fork_single_threaded() -> io::Result<ForkResult> {
    let threads = fs::read_dir("/proc/self/task")?.count();
    if threads != 1 {
        return Err(io::Error::other(format!(
            "{threads} threads are running; only a process with one can fork"
        )));
    }
    // SAFETY: after fork, a child of a process with several threads may only make async-signal-safe calls, since
    // another thread may hold a lock. This process has one thread: the count above saw only the caller, and no one
    // else is there to start another.
    unsafe { fork() }.map_err(io::Error::from)
}

/// Gives up the controlling terminal that `terminal` is open on.
pub(crate) fn give_up_terminal(terminal: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: TIOCNOTTY takes no argument and touches no memory of this process; the descriptor is open, for it is
    // borrowed.
    unsafe { tiocnotty(terminal.as_raw_fd()) }.map(drop).map_err(io::Error::from)
}

/// Lets this thread give way to others where the processor is short: 0 changes nothing, 19 gives way the most.
pub(crate) fn give_way(by: u8) -> io::Result<()> {
    // SAFETY: the call takes three numbers and touches no memory of this process. On Linux, 0 is the calling thread.
    match unsafe { nix::libc::setpriority(nix::libc::PRIO_PROCESS, 0, i32::from(by.min(19))) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Starts to bring what was written to a file to the disk, and does not wait for it. Makes nothing durable.
pub(crate) fn begin_writing(file: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the call takes numbers and touches no memory of this process; the descriptor is open, for it is borrowed.
    // Length 0 is "to the end".
    match unsafe { sync_file_range(file.as_raw_fd(), 0, 0, SYNC_FILE_RANGE_WRITE) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
