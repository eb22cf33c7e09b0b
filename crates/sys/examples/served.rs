//! A small server over this crate, which the tests start, signal and kill; it shows how a daemon is put together.
//!
//!     served daemon PIDFILE LOGFILE [fail|die|slow]   fork, print the server's process id, serve until SIGTERM
//!     served serve PIDFILE LOGFILE                    the same in the foreground, READY=1 to NOTIFY_SOCKET
//!     served lock DIRECTORY                           take the run lock, say "held", wait for the end of input
//!     served leave                                    leave the terminal, say whether one is left
//!     served log SOCKET                               one record of each level to syslog
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::error::Error;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use protogen_sys::daemon::{self, DaemonError, Detached};
use protogen_sys::event_loop::{Event, EventLoop, Signal};
use protogen_sys::exit::Exit;
use protogen_sys::lock::{Lock, LockError};
use protogen_sys::log::Setup;
use protogen_sys::pid_file::PidFile;
use protogen_sys::sd_notify::Notifier;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        ["daemon", pid_file, log, rest @ ..] => start(pid_file, log, rest.first().copied()),
        ["serve", pid_file, log] => serve(pid_file, log, || Ok(())),
        ["lock", directory] => return hold_lock(Path::new(directory)),
        ["leave"] => leave(),
        ["log", socket] => write_log(Path::new(socket)),
        _ => Err("see the head of served.rs".into()),
    };
    match outcome {
        Ok(()) => Exit::Done.into(),
        Err(error) => {
            eprintln!("served: {error}");
            Exit::Usage.into()
        }
    }
}

type Outcome = Result<(), Box<dyn Error>>;

fn start(pid_file: &str, log: &str, trouble: Option<&str>) -> Outcome {
    match daemon::detach()? {
        Detached::Startup(starting) => {
            let limit = Duration::from_secs(if trouble == Some("slow") { 1 } else { 30 });
            println!("{}", starting.wait(limit)?);
            Ok(())
        }
        Detached::Server(readiness) => {
            println!("this is not for the caller's eyes");
            match trouble {
                Some("die") => Err("dying".into()),
                Some("slow") => {
                    std::thread::sleep(Duration::from_secs(600));
                    Ok(())
                }
                Some(reason) => {
                    readiness.failed(Exit::TryLater.status(), &format!("told to {reason}"));
                    Ok(())
                }
                None => serve(pid_file, log, || Ok(readiness.ready()?)),
            }
        }
    }
}

fn serve(pid_file: &str, log: &str, ready: impl FnOnce() -> Outcome) -> Outcome {
    let _pid_file = PidFile::create(Path::new(pid_file))?;
    let log = Setup::new("served").file(Some(Path::new(log))).install()?;
    let mut events = EventLoop::new(&[Signal::Terminate, Signal::HangUp, Signal::User1])?;
    let notifier = Notifier::from_environment();
    log::info!("serving");
    ready()?;
    notifier.ready()?;
    loop {
        match events.wait()? {
            Event::Signal(Signal::Terminate) => break,
            Event::Signal(Signal::HangUp) => {
                log.reopen()?;
                log::info!("opened again");
                notifier.status("opened again")?;
            }
            Event::Signal(Signal::User1) => notifier.status("signal 1")?,
            _ => {}
        }
    }
    log::info!("ending");
    notifier.stopping()?;
    Ok(())
}

fn hold_lock(directory: &Path) -> ExitCode {
    match Lock::take_run_lock(directory) {
        Ok(_lock) => {
            println!("held");
            let mut nothing = Vec::new();
            let _ = std::io::stdin().read_to_end(&mut nothing);
            Exit::Done.into()
        }
        Err(LockError::Held { holder, .. }) => {
            println!("{holder}");
            Exit::Negative.into()
        }
        Err(error) => {
            eprintln!("served: {error}");
            Exit::Usage.into()
        }
    }
}

fn leave() -> Outcome {
    daemon::leave_terminal().map_err(DaemonError::Detach)?;
    let has_terminal = std::fs::File::open("/dev/tty").is_ok();
    std::fs::write("terminal", if has_terminal { "yes" } else { "no" })?;
    Ok(())
}

fn write_log(socket: &Path) -> Outcome {
    let facility = std::env::var("FACILITY").unwrap_or_else(|_| "local0".into()).parse()?;
    Setup::new("served").syslog_socket(socket).facility(facility).install()?;
    log::error!("an error of\nthree \x1b[2J lines");
    log::warn!("a warning");
    log::info!("a note");
    log::debug!("a detail");
    Ok(())
}
