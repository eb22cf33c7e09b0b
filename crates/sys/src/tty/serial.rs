//! A serial line, or any other terminal device that exists.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use nix::sys::termios::{FlushArg, SetArg, Termios, tcflush, tcgetattr, tcsetattr};
use nix::unistd::isatty;
use serialport::{DataBits, FlowControl, SerialPort, StopBits, TTYPort};

use crate::daemon::Owner;

/// The parity bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Parity {
    /// There is none.
    #[default]
    None,
    /// Odd.
    Odd,
    /// Even.
    Even,
}

/// Who may hold the other side up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Flow {
    /// Nobody.
    #[default]
    None,
    /// XON and XOFF; they can then not be part of a message.
    Software,
    /// RTS and CTS.
    Hardware,
}

/// How a serial line is set. The default is 9600 8N1 without flow control.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Serial {
    /// Bits a second.
    pub speed: u32,
    /// Bits of a character, 5 to 8.
    pub data_bits: u32,
    /// The parity bit.
    pub parity: Parity,
    /// Stop bits, 1 or 2.
    pub stop_bits: u32,
    /// Flow control.
    pub flow: Flow,
}

impl Default for Serial {
    fn default() -> Serial {
        Serial { speed: 9600, data_bits: 8, parity: Parity::None, stop_bits: 1, flow: Flow::None }
    }
}

impl Serial {
    /// What one character takes on the line: start bit, data, parity and stop bits.
    #[must_use]
    pub fn byte_time(&self) -> Duration {
        let bits = 1 + self.data_bits + u32::from(self.parity != Parity::None) + self.stop_bits;
        Duration::from_secs(1) * bits / self.speed.max(1)
    }

    /// Whether a line can be set so.
    ///
    /// # Errors
    /// Names the first value that no line has.
    pub fn check(&self) -> Result<(), (&'static str, &'static str)> {
        let unless = |holds, name, rule| if holds { Ok(()) } else { Err((name, rule)) };
        unless((50..=4_000_000).contains(&self.speed), "speed", "must be 50 to 4000000 bits a second")?;
        unless((5..=8).contains(&self.data_bits), "data_bits", "must be 5 to 8")?;
        unless((1..=2).contains(&self.stop_bits), "stop_bits", "must be 1 or 2")
    }
}

/// An open line. Dropped by the process that owns it, the device has its old settings again.
#[derive(Debug)]
#[must_use = "the line is closed when this is dropped"]
pub struct Tty {
    file: File,
    /// What the settings were.
    before: Termios,
    /// Keeps other programs out, and knows how much was not sent yet. In an option, to be dropped with care.
    port: Option<TTYPort>,
    owner: Owner,
}

impl Tty {
    /// Opens and sets a line, without making it the controlling terminal and without waiting for a carrier. What came
    /// in before is thrown away. No other program can open the line meanwhile (TIOCEXCL, flock(2)).
    ///
    /// # Errors
    /// When it cannot be opened, is no terminal, is in use, or does not take the settings.
    pub fn open(path: &Path, serial: &Serial, owner: Owner) -> io::Result<Tty> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(nix::libc::O_NOCTTY | nix::libc::O_NONBLOCK);
        let file = options.open(path)?;
        if !isatty(&file)? {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "is no terminal device"));
        }
        let before = tcgetattr(&file)?;
        let name = path.to_str().ok_or_else(|| io::Error::other("its name is not UTF-8"))?;
        let builder = serialport::new(name, serial.speed)
            .data_bits(match serial.data_bits {
                5 => DataBits::Five,
                6 => DataBits::Six,
                7 => DataBits::Seven,
                _ => DataBits::Eight,
            })
            .parity(match serial.parity {
                Parity::None => serialport::Parity::None,
                Parity::Odd => serialport::Parity::Odd,
                Parity::Even => serialport::Parity::Even,
            })
            .stop_bits(if serial.stop_bits == 2 { StopBits::Two } else { StopBits::One })
            .flow_control(match serial.flow {
                Flow::None => FlowControl::None,
                Flow::Software => FlowControl::Software,
                Flow::Hardware => FlowControl::Hardware,
            });
        let port = TTYPort::open(&builder).map_err(|error| match error.kind() {
            serialport::ErrorKind::NoDevice => {
                io::Error::new(io::ErrorKind::ResourceBusy, "in use by another program")
            }
            _ => error.into(),
        })?;
        tcflush(&file, FlushArg::TCIFLUSH)?;
        Ok(Tty { file, before, port: Some(port), owner })
    }

    /// Bytes that the device has not sent yet; 0 if it does not tell.
    #[must_use]
    pub fn unsent(&self) -> u32 {
        self.port.as_ref().and_then(|port| port.bytes_to_write().ok()).unwrap_or(0)
    }
}

impl Drop for Tty {
    fn drop(&mut self) {
        if self.owner.is_here() {
            // On a device that is gone it fails, and does not matter.
            let _ = tcsetattr(&self.file, SetArg::TCSANOW, &self.before);
        } else {
            // Closing it would end the exclusive use, which is the server's.
            std::mem::forget(self.port.take());
        }
    }
}

super::device!(Tty, file);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tty::Pty;
    use nix::sys::termios::{InputFlags, LocalFlags};
    use std::io::{Read, Write};

    #[test]
    fn settings_are_set_and_restored() {
        let directory = tempfile::tempdir().unwrap();
        let link = directory.path().join("line");
        let mut other = Pty::allocate(&link, Owner::this_process()).unwrap();
        let watch = File::open(&link).unwrap();
        let mut settings = tcgetattr(&watch).unwrap();
        settings.local_flags.insert(LocalFlags::ECHO);
        tcsetattr(&watch, SetArg::TCSANOW, &settings).unwrap();
        let serial = Serial { speed: 19_200, flow: Flow::Software, ..Serial::default() };
        let mut tty = Tty::open(&link, &serial, Owner::this_process()).unwrap();
        let now = tcgetattr(&watch).unwrap();
        assert!(!now.local_flags.contains(LocalFlags::ECHO) && now.input_flags.contains(InputFlags::IXON));
        let busy = Tty::open(&link, &serial, Owner::this_process()).unwrap_err();
        assert!(busy.to_string().contains("in use by another program"), "{busy}");
        other.write_all(b"a\r\x03").unwrap();
        let mut got = [0; 10];
        let mut have = 0;
        while have < 3 {
            match tty.read(&mut got[have..]) {
                Ok(count) => have += count,
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
        }
        assert_eq!(&got[..3], b"a\r\x03");
        drop(tty);
        assert!(tcgetattr(&watch).unwrap().local_flags.contains(LocalFlags::ECHO), "restored");
        let mut tty = Tty::open(&link, &serial, Owner::this_process()).unwrap();
        drop(other);
        assert_eq!(tty.read(&mut got).unwrap(), 0, "a hang-up is the end");
    }

    #[test]
    fn what_is_no_terminal_is_refused() {
        let error = Tty::open(Path::new("/dev/null"), &Serial::default(), Owner::this_process()).unwrap_err();
        assert!(error.raw_os_error() == Some(25) || error.to_string().contains("is no terminal"), "{error}");
        assert!(Serial { data_bits: 9, ..Serial::default() }.check().is_err());
    }

    #[test]
    fn a_byte_takes_its_bits() {
        let byte_time = |serial: Serial| serial.byte_time().as_micros();
        assert_eq!(byte_time(Serial::default()), 1041);
        assert_eq!(
            byte_time(Serial { speed: 115_200, parity: Parity::Even, stop_bits: 2, ..Serial::default() }),
            104
        );
    }
}
