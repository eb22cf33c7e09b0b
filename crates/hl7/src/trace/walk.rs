//! Every directory of an installation, and those that links in it name.

use std::ffi::OsStr;
use std::fs::{DirEntry, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::Context;

use super::events::Found;
use super::{files, journal, logs};

/// How deep directories may be nested.
const MAX_DEPTH: usize = 16;
/// Programs, pages and compiled tables hold no messages.
const PASSED_BY: [&str; 5] = ["bin", "share", "man", "lib", "include"];

/// Reads all that there is below a directory.
pub(super) fn through(top: &Path, found: &mut Found) -> anyhow::Result<()> {
    // A directory that is named and not there is a mistake; what goes while we read is not.
    let data = std::fs::metadata(top).with_context(|| top.display().to_string())?;
    if is_news(&data, found) {
        visit(top, 0, found);
    }
    Ok(())
}

/// Whether a directory or a log is met for the first time: a link may name what was read, or what it stands in.
fn is_news(data: &Metadata, found: &mut Found) -> bool {
    found.seen.insert((data.dev(), data.ino()))
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
        let data = match std::fs::metadata(&path) {
            Ok(data) => data,
            // A file that was there a moment ago has moved on; a place on a disk that is not mounted is missed.
            Err(error) if kind.is_symlink() && !name.as_encoded_bytes().starts_with(b".") => {
                found.troubles.push(format!("{}: {error}: what it names is not told here", path.display()));
                continue;
            }
            Err(_) => continue,
        };
        if data.is_dir() {
            let is_passed_by = depth == 0 && PASSED_BY.iter().any(|passed| name == *passed);
            if depth < MAX_DEPTH && !is_passed_by && is_news(&data, found) {
                visit(&path, depth + 1, found);
            }
        } else if data.is_file() && logs::is_one(&name) {
            if is_news(&data, found) {
                found.logs.push(path);
            }
        } else if kind.is_file() {
            files::read(&path, found);
        }
    }
}
