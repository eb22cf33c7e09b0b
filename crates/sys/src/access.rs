//! What the system would allow, asked before it is tried: for the checks of a configuration.
//!
//! An answer may be out of date the next moment; what is done later reports its own failure.

use std::io;
use std::path::Path;

use nix::sys::statfs::{FsType, statfs};
use nix::unistd::{AccessFlags, eaccess};

/// What a program wants to do with a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// List it, and remove files from it.
    Take,
    /// Make files in it.
    Make,
}

/// Whether this account may use the directory so.
///
/// # Errors
/// What the system says: `NotFound`, `NotADirectory`, `PermissionDenied`, `ReadOnlyFilesystem`, …
pub fn directory(path: &Path, wanted: Use) -> io::Result<()> {
    if !path.metadata()?.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    let list = if wanted == Use::Take { AccessFlags::R_OK } else { AccessFlags::empty() };
    Ok(eaccess(path, list | AccessFlags::W_OK | AccessFlags::X_OK)?)
}

/// Whether this account may write to the file.
///
/// # Errors
/// What the system says.
pub fn writable_file(path: &Path) -> io::Result<()> {
    if path.metadata()?.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    Ok(eaccess(path, AccessFlags::W_OK)?)
}

/// How many bytes this account may still write on the path's disk.
///
/// # Errors
/// What the system says of the path.
pub fn available_space(path: &Path) -> io::Result<u64> {
    fs2::available_space(path)
}

/// The kind of network file system that the path is on, if it is on one.
///
/// # Errors
/// What the system says of the path.
pub fn network_file_system(path: &Path) -> io::Result<Option<&'static str>> {
    Ok(network_name(statfs(path)?.filesystem_type()))
}

/// By the magic numbers of statfs(2).
fn network_name(kind: FsType) -> Option<&'static str> {
    // Some of them are negative as the kernel gives them.
    match kind.0 as u64 & 0xffff_ffff {
        0x6969 => Some("NFS"),
        0x517b | 0xff53_4d42 | 0xfe53_4d42 => Some("SMB"),
        0x0102_1997 => Some("9P"),
        0x5346_414f | 0x6b41_4653 => Some("AFS"),
        0x7375_7245 => Some("Coda"),
        0x00c3_6400 => Some("Ceph"),
        0x0bd0_0bd0 => Some("Lustre"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_file_systems_are_known_by_number() {
        for (number, name) in
            [(0x6969, "NFS"), (0xff53_4d42, "SMB"), (0xfe53_4d42, "SMB"), (0x0102_1997, "9P")]
        {
            assert_eq!(network_name(FsType(number)), Some(name));
            // As a 32-bit number with its sign, which some systems give.
            assert_eq!(network_name(FsType(i64::from(number as u32 as i32))), Some(name));
        }
        // ext, tmpfs, overlay
        for number in [0xef53, 0x0102_1994, 0x794c_7630] {
            assert_eq!(network_name(FsType(number)), None);
        }
    }

    #[test]
    fn a_directory_is_told_from_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        assert_eq!(super::directory(&file, Use::Make).unwrap_err().kind(), io::ErrorKind::NotFound);
        std::fs::write(&file, "").unwrap();
        assert_eq!(super::directory(&file, Use::Make).unwrap_err().kind(), io::ErrorKind::NotADirectory);
        super::directory(directory.path(), Use::Take).unwrap();
        writable_file(&file).unwrap();
        assert_eq!(writable_file(directory.path()).unwrap_err().kind(), io::ErrorKind::IsADirectory);
        network_file_system(directory.path()).unwrap();
    }
}
