//! File operations behind a small trait, so that a test can record each of them and cut the power after any.
//!
//! What must survive a power cut is written through [`FileOps`]: programs use [`RealFiles`], tests a recorder that
//! does the same and keeps a list. Reading needs no trait: a recorder works on real files.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::unsafe_calls::begin_writing;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, FallocateFlags, OFlag, RenameFlags, fallocate, renameat2};

/// The operations whose order decides what a power cut leaves.
///
/// Nothing is durable before it is synced: bytes and the length of a file by [`sync_data`](FileOps::sync_data), names
/// (made, renamed, removed) by [`sync_directory`](FileOps::sync_directory).
pub trait FileOps: Send + Sync {
    /// An open file.
    type File: Send;

    /// Makes a file that must not exist yet, mode 0600, open for reading and writing.
    ///
    /// # Errors
    /// `AlreadyExists`, or what the system says.
    fn create(&self, path: &Path) -> io::Result<Self::File>;

    /// Opens an existing file for reading and writing; a symbolic link is refused.
    ///
    /// # Errors
    /// What the system says.
    fn open(&self, path: &Path) -> io::Result<Self::File>;

    /// Writes all of `bytes` at `offset`.
    ///
    /// # Errors
    /// What the system says; part of the bytes may have been written.
    fn write_at(&self, file: &Self::File, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Fills `buffer` from `offset`, or up to the end of the file; gives the number of bytes.
    ///
    /// # Errors
    /// What the system says.
    fn read_at(&self, file: &Self::File, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// The length in bytes.
    ///
    /// # Errors
    /// What the system says.
    fn len(&self, file: &Self::File) -> io::Result<u64>;

    /// Cuts the file to `length`, or extends it with zeros that take no room on the disk.
    ///
    /// # Errors
    /// What the system says.
    fn set_len(&self, file: &Self::File, length: u64) -> io::Result<()>;

    /// Reserves room for `length` bytes, so that writing them cannot find the disk full; the file reads as zeros there.
    ///
    /// # Errors
    /// What the system says; a file system that cannot reserve is no error, the file is then merely extended.
    fn preallocate(&self, file: &Self::File, length: u64) -> io::Result<()>;

    /// Starts to bring the bytes to the disk and does not wait: several files that are synced one after the other
    /// afterwards cost about as much as one. Makes nothing durable; where it cannot be done, it is not.
    fn begin_sync(&self, _file: &Self::File) {}

    /// Makes the bytes and the length of the file durable (fdatasync). After an error the state of the file on the
    /// disk is unknown and a second call may lie: write elsewhere.
    ///
    /// # Errors
    /// What the system says.
    fn sync_data(&self, file: &Self::File) -> io::Result<()>;

    /// Renames; an existing file at `to` is replaced in one step.
    ///
    /// # Errors
    /// What the system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Renames, unless something exists at `to`.
    ///
    /// # Errors
    /// `AlreadyExists`, or what the system says.
    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// What the system says.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes a directory, mode 0700.
    ///
    /// # Errors
    /// What the system says.
    fn create_directory(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    ///
    /// # Errors
    /// What the system says.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;
}

/// The operating system's files.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealFiles;

impl FileOps for RealFiles {
    type File = File;

    fn create(&self, path: &Path) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)
    }

    fn open(&self, path: &Path) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).custom_flags(nix::libc::O_NOFOLLOW).open(path)
    }

    fn write_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        file.write_all_at(bytes, offset)
    }

    fn read_at(&self, file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match file.read_at(&mut buffer[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn len(&self, file: &File) -> io::Result<u64> {
        Ok(file.metadata()?.len())
    }

    fn set_len(&self, file: &File, length: u64) -> io::Result<()> {
        file.set_len(length)
    }

    fn preallocate(&self, file: &File, length: u64) -> io::Result<()> {
        let size =
            nix::libc::off_t::try_from(length).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
        if size == 0 {
            return Ok(());
        }
        match fallocate(file, FallocateFlags::empty(), 0, size) {
            Err(Errno::EOPNOTSUPP | Errno::ENOSYS) if self.len(file)? < length => file.set_len(length),
            Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => Ok(()),
            result => result.map_err(io::Error::from),
        }
    }

    fn begin_sync(&self, file: &File) {
        // What cannot begin now is done when it is synced.
        let _ = begin_writing(file.as_fd());
    }

    fn sync_data(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        match renameat2(AT_FDCWD, from, AT_FDCWD, to, RenameFlags::RENAME_NOREPLACE) {
            // File systems without the flag have links, which do not replace either.
            Err(Errno::EINVAL | Errno::ENOSYS | Errno::EOPNOTSUPP) => {
                fs::hard_link(from, to)?;
                fs::remove_file(from)
            }
            result => result.map_err(io::Error::from),
        }
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        fs::DirBuilder::new().mode(0o700).create(path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }
}

/// The hidden file `.NAME` + `ending` in the directory of `path`.
pub(crate) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(ending);
    path.with_file_name(name)
}

/// The directory that holds `path`; `.` for a bare name.
#[must_use]
pub fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Reads a small file whole.
///
/// # Errors
/// What the system says, or `FileTooLarge` beyond `limit` bytes.
pub fn read_bounded(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    read_file(&File::open(path)?, limit)
}

/// As [`read_bounded`], for a file in a directory that others write to: a symbolic link is not followed, and a FIFO not waited
/// for.
///
/// # Errors
/// As [`read_bounded`]; `InvalidInput` for what is no regular file.
pub fn read_bounded_plain(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "this is no regular file"));
    }
    read_file(&file, limit)
}

fn read_file(file: &File, limit: usize) -> io::Result<Vec<u8>> {
    use std::io::Read;
    let mut bytes = Vec::new();
    file.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > limit {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("longer than {limit} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::os::unix::fs::symlink;

    use protogen_testkit::Dir;

    use super::*;

    #[test]
    fn only_a_plain_file_is_read_from_a_directory_of_others() {
        let dir = Dir::new();
        let path = dir.write("file", "text");
        assert_eq!(read_bounded_plain(&path, 4).unwrap(), b"text");
        assert_eq!(read_bounded_plain(&path, 3).unwrap_err().kind(), ErrorKind::FileTooLarge);
        symlink(&path, dir.join("link")).unwrap();
        assert!(read_bounded_plain(&dir.join("link"), 9).is_err());
        nix::unistd::mkfifo(&dir.join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(read_bounded_plain(&dir.join("fifo"), 9).unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}
