//! The files to load, and how far they are read.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use protogen_codes::read::Source;

/// What is read at once, in bytes.
const BUFFER: usize = 256 << 10;

/// A bar on standard error; invisible where that is no terminal.
pub(crate) fn bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    if let Ok(style) =
        ProgressStyle::with_template("{bar:40} {percent:>3} %  {bytes} of {total_bytes}  {elapsed}")
    {
        bar.set_style(style);
    }
    bar
}

/// Opens the files, `-` being standard input.
///
/// # Errors
/// Names the file that cannot be opened.
pub fn sources(files: &[PathBuf], extensions: &[PathBuf], bar: &ProgressBar) -> anyhow::Result<Vec<Source>> {
    let opened = files.iter().map(|path| source(path, bar));
    let extensions = extensions.iter().map(|path| source(path, bar).map(Source::of_extensions));
    opened.chain(extensions).collect()
}

fn source(path: &Path, bar: &ProgressBar) -> anyhow::Result<Source> {
    if path == Path::new("-") {
        let input = Counted { input: io::stdin(), bar: bar.clone() };
        return Ok(Source::new(Path::new("standard input"), BufReader::with_capacity(BUFFER, input)));
    }
    let input = File::open(path).with_context(|| path.display().to_string())?;
    bar.inc_length(input.metadata().map_or(0, |metadata| metadata.len()));
    let input = Counted { input, bar: bar.clone() };
    Ok(Source::new(path, BufReader::with_capacity(BUFFER, input)))
}

/// Moves the bar by what is read.
struct Counted<R> {
    input: R,
    bar: ProgressBar,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.bar.inc(count as u64);
        Ok(count)
    }
}
