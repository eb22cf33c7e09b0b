//! Serial lines and pseudo terminals that do not block and fit into the event loop.
//!
//! A [`Tty`] is a device that exists; a [`Pty`] is allocated here, and others open its slave. Both restore what they
//! changed when dropped by the process that owns them ([`Owner`](crate::daemon::Owner)).
//!
//! The end of a line is told as the end of the stream: a hang-up, a device that was pulled out, and the last program that
//! closed the slave of a pty are all a [`read`](std::io::Read::read) of 0 bytes.

mod pty;
mod serial;

pub use pty::{Found, Pty};
pub use serial::{Flow, Parity, Serial, Tty};

use std::fs::File;
use std::io::{self, Read};

use nix::libc::{EIO, ENODEV, ENXIO};

/// Reads from a device; one that is gone has ended.
fn read_device(mut device: &File, buffer: &mut [u8]) -> io::Result<usize> {
    match device.read(buffer) {
        Err(error) if matches!(error.raw_os_error(), Some(EIO | ENXIO | ENODEV)) => Ok(0),
        result => result,
    }
}

/// What the event loop needs of a device.
macro_rules! device {
    ($device:ty, $file:ident) => {
        impl mio::event::Source for $device {
            fn register(&mut self, registry: &Registry, token: Token, interest: Interest) -> io::Result<()> {
                SourceFd(&self.$file.as_raw_fd()).register(registry, token, interest)
            }

            fn reregister(
                &mut self,
                registry: &Registry,
                token: Token,
                interest: Interest,
            ) -> io::Result<()> {
                SourceFd(&self.$file.as_raw_fd()).reregister(registry, token, interest)
            }

            fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
                SourceFd(&self.$file.as_raw_fd()).deregister(registry)
            }
        }

        impl io::Read for $device {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                super::read_device(&self.$file, buffer)
            }
        }

        impl io::Write for $device {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                io::Write::write(&mut &self.$file, bytes)
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }

        impl crate::connection::Stream for $device {
            /// A line has no end that could be told.
            fn finish(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
    };
}
use device;
