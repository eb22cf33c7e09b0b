//! Every directory of an installation, without following links.

use std::ffi::OsStr;
use std::fs::DirEntry;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use anyhow::Context;

use super::events::Found;
use super::{files, journal};

/// How deep directories may be nested.
const MAX_DEPTH: usize = 16;
/// Programs, pages and compiled tables hold no messages.
const PASSED_BY: [&str; 5] = ["bin", "share", "man", "lib", "include"];

/// Reads all that there is below a directory.
pub(super) fn through(top: &Path, found: &mut Found) -> anyhow::Result<()> {
    // A directory that is named and not there is a mistake; what goes while we read is not.
    std::fs::metadata(top).with_context(|| top.display().to_string())?;
    visit(top, 0, found);
    Ok(())
}

fn visit(directory: &Path, depth: usize, found: &mut Found) {
    let entries = match directory.read_dir() {
        Ok(entries) => entries,
        Err(error) => {
            found.troubles.push(format!("{}: {error}: what it holds is not told here", directory.display()));
            return;
        }
    };
    let mut entries: Vec<DirEntry> = entries.filter_map(Result::ok).collect();
    entries.sort_by_key(DirEntry::file_name);
    if entries.iter().any(|entry| entry.path().extension() == Some(OsStr::new("seg"))) {
        journal::read(directory, found);
        return;
    }
    for entry in &entries {
        let Ok(kind) = entry.file_type() else { continue };
        let (path, name) = (entry.path(), entry.file_name());
        if kind.is_dir() {
            let is_passed_by = depth == 0 && PASSED_BY.iter().any(|passed| name == *passed);
            if depth < MAX_DEPTH && !is_passed_by {
                visit(&path, depth + 1, found);
            }
        } else if kind.is_file() {
            if name.as_bytes().ends_with(b".log") || name == "log" {
                found.logs.push(path);
            } else {
                files::read(&path, found);
            }
        }
    }
}
