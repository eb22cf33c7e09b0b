//! A UNIX stream socket that listens, and the lock beside it.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use nix::sys::stat::{Mode, umask};

use crate::daemon::Owner;
use crate::files::beside;
use crate::lock;

/// The longest path that a socket's address holds, in bytes.
const MAX_ADDRESS: usize = 107;

/// A listening socket, removed with its lock when this is dropped by the process that owns it.
#[derive(Debug)]
#[must_use = "the socket is removed when this is dropped"]
pub struct UnixSocket {
    listener: UnixListener,
    path: PathBuf,
    lock_path: PathBuf,
    _lock: File,
    owner: Owner,
}

impl UnixSocket {
    /// Listens at `path`, not blocking; `mode` says who may connect. A socket that a crash left behind is replaced.
    ///
    /// # Errors
    /// When a program listens there already, when something else than a socket is there, or what the system says.
    pub fn listen(path: &Path, mode: u32, owner: Owner) -> io::Result<UnixSocket> {
        let lock_path = beside(path, ".lock");
        let lock = lock::plain(&lock_path)?;
        let listener = match bind(path, mode) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                remove_left_behind(path).and_then(|()| bind(path, mode))
            }
            result => result,
        };
        if listener.is_err() {
            let _ = std::fs::remove_file(&lock_path);
        }
        let listener = listener?;
        listener.set_nonblocking(true)?;
        Ok(UnixSocket { listener, path: path.to_owned(), lock_path, _lock: lock, owner })
    }

    /// The listener.
    ///
    /// # Errors
    /// When the system has no descriptor left.
    pub fn listener(&self) -> io::Result<UnixListener> {
        self.listener.try_clone()
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        if self.owner.is_here() {
            let _ = std::fs::remove_file(&self.path);
            let _ = std::fs::remove_file(&self.lock_path);
        }
    }
}

/// The mode is that of the mask while the socket is made, for between making it and chmod(2) anybody could connect.
fn bind(path: &Path, mode: u32) -> io::Result<UnixListener> {
    let before = umask(Mode::from_bits_truncate(!mode & 0o777));
    let bound = by_short_name(path, |path| UnixListener::bind(path));
    umask(before);
    bound
}

/// Connects to the socket at `path`, however long that is.
///
/// # Errors
/// What the system says; `ConnectionRefused` when nobody listens.
pub fn connect(path: &Path) -> io::Result<UnixStream> {
    by_short_name(path, |path| UnixStream::connect(path))
}

/// A socket's address holds 107 bytes (unix(7)): a longer path is named by way of its open directory.
fn by_short_name<T>(path: &Path, with: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else { return with(path) };
    if path.as_os_str().len() <= MAX_ADDRESS {
        return with(path);
    }
    let directory = File::open(directory)?;
    with(&Path::new("/proc/self/fd").join(directory.as_raw_fd().to_string()).join(name))
}

/// Removes a socket that nobody listens at.
fn remove_left_behind(path: &Path) -> io::Result<()> {
    if !path.symlink_metadata()?.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "exists and is no socket; remove it"));
    }
    match connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path),
        Err(error) => Err(error),
        Ok(_) => Err(io::Error::new(io::ErrorKind::AddrInUse, "another program listens here already")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn it_is_private_and_goes_with_its_owner() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("line");
        let socket = UnixSocket::listen(&path, 0o600, Owner::this_process()).unwrap();
        assert_eq!(path.symlink_metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let second = UnixSocket::listen(&path, 0o600, Owner::this_process()).unwrap_err();
        assert!(second.to_string().contains("in use by another program"), "{second}");
        let owner = socket.owner.clone();
        owner.leave();
        drop(socket);
        assert!(path.exists(), "the server still listens");
        // What a crash leaves is replaced.
        drop(UnixSocket::listen(&path, 0o660, Owner::this_process()).unwrap());
        assert_eq!(directory.path().read_dir().unwrap().count(), 0);
    }

    #[test]
    fn its_path_may_be_longer_than_an_address() {
        let directory = tempfile::tempdir().unwrap();
        let long = directory.path().join("d".repeat(200));
        std::fs::create_dir(&long).unwrap();
        let path = long.join("line");
        let socket = UnixSocket::listen(&path, 0o600, Owner::this_process()).unwrap();
        connect(&path).unwrap();
        socket.listener().unwrap().accept().unwrap();
        drop(socket);
        assert_eq!(connect(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn what_is_no_socket_or_is_in_use_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("line");
        std::fs::write(&path, "a file").unwrap();
        let error = UnixSocket::listen(&path, 0o600, Owner::this_process()).unwrap_err();
        assert!(error.to_string().contains("is no socket"), "{error}");
        std::fs::remove_file(&path).unwrap();
        let _other = UnixListener::bind(&path).unwrap();
        let error = UnixSocket::listen(&path, 0o600, Owner::this_process()).unwrap_err();
        assert!(error.to_string().contains("another program listens"), "{error}");
        assert_eq!(directory.path().read_dir().unwrap().count(), 1, "no lock is left");
    }
}
