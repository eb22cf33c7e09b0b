//! Programs that are measured: started, asked for their memory, killed when dropped.

use std::io::{self, BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running program.
#[derive(Debug)]
pub struct Program {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Program {
    /// Starts a program that prints its address as its first line.
    ///
    /// # Errors
    /// What the system says, or what the program prints instead.
    pub fn announced(command: &mut Command) -> io::Result<Program> {
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        let address = line.trim().parse().map_err(|_| io::Error::other(format!("printed \"{line}\"")))?;
        Ok(Program { child, address })
    }

    /// Starts a program that listens on this port of loopback, and waits until it does.
    ///
    /// # Errors
    /// What the system says; after 30 s without a listener, that.
    pub fn listening(command: &mut Command, port: u16) -> io::Result<Program> {
        let child = command.stdout(Stdio::null()).spawn()?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            if begun.elapsed() > Duration::from_secs(30) {
                return Err(io::Error::other("it does not listen"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(Program { child, address })
    }

    /// Its resident memory in KiB.
    pub fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.trim().split(' ').next()?.parse().ok()).unwrap_or(0)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A fresh directory, removed when dropped.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes one below the system's temporary directory (`TMPDIR`).
    ///
    /// # Errors
    /// What the system says.
    pub fn new(name: &str) -> io::Result<Scratch> {
        Scratch::below(&std::env::temp_dir(), name)
    }

    /// Makes one below this directory.
    ///
    /// # Errors
    /// What the system says.
    pub fn below(directory: &Path, name: &str) -> io::Result<Scratch> {
        let path = directory.join(format!("bench-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        // What the disk still has to do for the run before is not measured with this one.
        nix::unistd::sync();
        Ok(Scratch(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A leftover in the temporary directory is no failure of the benchmark.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A port of loopback that is free just now.
///
/// # Errors
/// What the system says.
pub fn free_port() -> io::Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
