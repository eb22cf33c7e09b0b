//! Removing what a killed run left in a directory of files out: they hold messages, which are written anew.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::config::Naming;

/// A temporary file that was not touched for so long is nobody's: a group takes seconds. Another program may write to
/// the same directory.
const AGE: Duration = Duration::from_secs(600);

/// Removes the old temporary files of a connection; gives how many there were.
///
/// # Errors
/// What the system says about the directory.
pub(super) fn sweep(dir: &Path, naming: &Naming, suffix: &str, now: SystemTime) -> io::Result<usize> {
    let mut count = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if !is_ours(&entry.file_name(), naming, suffix) {
            continue;
        }
        // One that is gone meanwhile is as good as removed.
        let modified = entry.metadata().and_then(|about| about.modified());
        let is_old = modified.is_ok_and(|time| now.duration_since(time).is_ok_and(|age| age >= AGE));
        if is_old && fs::remove_file(entry.path()).is_ok() {
            count += 1;
        }
    }
    Ok(count)
}

/// `.PREFIX` time `_` count `SUFFIX.tmp`.
fn is_ours(name: &OsStr, naming: &Naming, suffix: &str) -> bool {
    let name = name.as_bytes();
    let Some(name) = name.strip_prefix(b".").and_then(|name| name.strip_suffix(b".tmp")) else {
        return false;
    };
    let Some(name) = name.strip_suffix(suffix.as_bytes()) else { return false };
    let Some((rest, count)) = name.split_last_chunk::<5>() else { return false };
    let Some((rest, b"_")) = rest.split_last_chunk::<1>() else { return false };
    let Some((prefix, time)) = rest.split_last_chunk::<14>() else { return false };
    let digits = count.iter().chain(time).all(u8::is_ascii_digit);
    digits
        && match naming {
            Naming::Prefix(own) => prefix == own.as_bytes(),
            Naming::Hl7 => prefix.is_empty() || prefix.ends_with(b"_"),
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_the_connection() {
        let prefix = Naming::Prefix("lab-".to_owned());
        for (name, expected) in [
            (".lab-20261128031500_00001.dat.tmp", true),
            ("lab-20261128031500_00001.dat", false),
            (".lab-20261128031500_00001.hl7.tmp", false),
            (".adt-20261128031500_00001.dat.tmp", false),
            (".lab-2026112803150_00001.dat.tmp", false),
            (".lab-20261128031500-00001.dat.tmp", false),
            (".lab-2026112803150x_00001.dat.tmp", false),
            (".dat.tmp", false),
            (".tmp", false),
        ] {
            assert_eq!(is_ours(OsStr::new(name), &prefix, ".dat"), expected, "{name}");
        }
        for (name, expected) in [
            (".LAB_L_ADT_A_ADT_20261128031500_00001.dat.tmp", true),
            (".20261128031500_00001.dat.tmp", true),
            (".lab-20261128031500_00001.dat.tmp", false),
        ] {
            assert_eq!(is_ours(OsStr::new(name), &Naming::Hl7, ".dat"), expected, "{name}");
        }
    }
}
