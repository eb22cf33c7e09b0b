//! Reading files and standard input, item by item.

use crate::Status;
use anyhow::Context;
use protogen_core::hl7::{Item, Kind, Message, Path, Splitter};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

/// One read's worth.
const CHUNK: usize = 64 << 10;

/// Where an item came from, as diagnostics name it.
pub(crate) struct Place<'a> {
    pub(crate) file: &'a str,
    /// The message's number in its file, from 1.
    pub(crate) number: usize,
}

impl Place<'_> {
    /// `hl7: FILE: byte N: cause` on standard error.
    pub(crate) fn complain(&self, offset: u64, cause: impl std::fmt::Display) {
        eprintln!("hl7: {}: byte {offset}: {cause}", self.file);
    }

    pub(crate) fn warn(&self, offset: u64, cause: impl std::fmt::Display) {
        eprintln!("hl7: warning: {}: byte {offset}: {cause}", self.file);
    }
}

/// Reads all items of the files, or of standard input where none is named (`-` names it too), in order. The
/// status is the worst that `each` gave.
pub(crate) fn each_item(
    files: &[PathBuf],
    max_size: usize,
    mut each: impl FnMut(&Item, &Place) -> anyhow::Result<Status>,
) -> anyhow::Result<Status> {
    let standard_input = [PathBuf::from("-")];
    let files = if files.is_empty() { &standard_input } else { files };
    let mut worst = Status::Done;
    for file in files {
        let name = if file.as_os_str() == "-" { "standard input".into() } else { file.to_string_lossy() };
        let mut place = Place { file: &name, number: 0 };
        match read(open(file)?, max_size, &mut place, &mut each) {
            Ok(status) => worst = worst.max(status),
            Err(Failure::Each(error)) => return Err(error),
            Err(Failure::Read(error)) => return Err(error).with_context(|| name.clone().into_owned()),
        }
    }
    Ok(worst)
}

fn open(file: &PathBuf) -> anyhow::Result<Box<dyn Read>> {
    if file.as_os_str() == "-" {
        return Ok(Box::new(io::stdin().lock()));
    }
    let opened = File::open(file).with_context(|| file.display().to_string())?;
    Ok(Box::new(opened))
}

enum Failure {
    Each(anyhow::Error),
    Read(anyhow::Error),
}

fn read(
    mut source: Box<dyn Read>,
    max_size: usize,
    place: &mut Place,
    each: &mut impl FnMut(&Item, &Place) -> anyhow::Result<Status>,
) -> Result<Status, Failure> {
    let mut splitter = Splitter::new(max_size);
    let mut chunk = vec![0; CHUNK];
    let mut worst = Status::Done;
    loop {
        match source.read(&mut chunk) {
            Ok(0) => splitter.finish(),
            Ok(n) => splitter.feed(&chunk[..n]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Failure::Read(error.into())),
        }
        while let Some(item) = splitter.next_item().map_err(|error| {
            let hint = anyhow::anyhow!("{error}; --max-size allows more");
            Failure::Read(hint)
        })? {
            place.number += usize::from(item.kind == Kind::Message);
            worst = worst.max(each(&item, place).map_err(Failure::Each)?);
        }
        if splitter.is_finished() {
            return Ok(worst);
        }
    }
}

/// Reads all messages; what is no message is passed over with a warning, unless it is blank.
///
/// A message that cannot be read is complained about, and the status is negative; so it is if there is none.
pub(crate) fn each_message(
    files: &[PathBuf],
    max_size: usize,
    mut each: impl FnMut(&Message, &Item, &Place) -> anyhow::Result<Status>,
) -> anyhow::Result<Status> {
    let mut found = false;
    let status = each_item(files, max_size, |item, place| {
        if item.kind != Kind::Message {
            warn_of_junk(item, place);
            return Ok(Status::Done);
        }
        found = true;
        warn_of_half_frame(item, place);
        match Message::parse(item.body()) {
            Ok(message) => each(&message, item, place),
            Err(error) => {
                place.complain(item.body_offset(), error);
                Ok(Status::Negative)
            }
        }
    })?;
    if !found && status == Status::Done {
        eprintln!("hl7: no message found, expected text that begins with MSH");
        return Ok(Status::Negative);
    }
    Ok(status)
}

pub(crate) fn warn_of_junk(item: &Item, place: &Place) {
    let blank = |b: &u8| b.is_ascii_whitespace() || *b == 0;
    if item.kind == Kind::Other && !item.body().iter().all(blank) {
        place.warn(item.body_offset(), format_args!("{} bytes that are no message", item.body().len()));
    }
}

pub(crate) fn warn_of_half_frame(item: &Item, place: &Place) {
    if !item.complete {
        place.warn(item.offset, "the frame has no end, expected 0x1C 0x0D");
    }
}

/// Arguments of the form `PATH… FILE…`: paths up to the first that is none.
pub(crate) fn paths_and_files<T>(
    arguments: &[OsString],
    files: &[PathBuf],
    read: impl Fn(&str) -> Result<T, String>,
) -> anyhow::Result<(Vec<T>, Vec<PathBuf>)> {
    let mut paths = Vec::new();
    let mut rest = Vec::new();
    for argument in arguments {
        let path = argument.to_str().ok_or_else(|| "not UTF-8".to_string()).and_then(&read);
        match path {
            Ok(path) if rest.is_empty() => paths.push(path),
            Err(cause) if rest.is_empty() && !exists(argument) => {
                anyhow::bail!("{}: {cause}, and no such file", argument.display());
            }
            Err(cause) if paths.is_empty() => anyhow::bail!("{}: {cause}", argument.display()),
            _ => rest.push(PathBuf::from(argument)),
        }
    }
    rest.extend_from_slice(files);
    Ok((paths, rest))
}

fn exists(file: &OsStr) -> bool {
    file == "-" || std::path::Path::new(file).exists()
}

/// A path as the command line has it.
pub(crate) fn path(text: &str) -> Result<Path, String> {
    text.parse().map_err(|error: protogen_core::hl7::PathError| error.to_string())
}
