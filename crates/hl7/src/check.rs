//! `hl7 check`

use crate::Status;
use crate::input;
use crate::output::Output;
use protogen_core::hl7::{BatchCheck, Kind, Severity, check};
use std::io::{self, Write};
use std::path::PathBuf;

/// Report what is out of order in the structure of messages, with the byte
///
/// Status 1 if anything was an error, or a warning with --strict.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Let warnings count as errors
    #[arg(long)]
    strict: bool,
    /// Print a JSON object a finding
    #[arg(long)]
    json: bool,
    /// Files to read; standard input if there are none
    files: Vec<PathBuf>,
}

pub(crate) fn run(args: &Args, max_size: usize, output: &mut Output) -> anyhow::Result<Status> {
    let mut found = false;
    let mut negative = false;
    let mut batch = BatchCheck::default();
    let mut end = (String::new(), 0);
    let mut report = |file: &str, offset: u64, severity: Severity, text: &str| -> io::Result<()> {
        negative |= severity == Severity::Error || args.strict;
        match args.json {
            true => {
                let line = serde_json::json!({
                    "file": file, "byte": offset, "severity": severity.to_string(), "text": text
                });
                writeln!(output, "{line}")
            }
            false => writeln!(output, "{file}: byte {offset}: {severity}: {text}"),
        }
    };
    input::each_item(&args.files, max_size, |item, place| {
        // Each file begins anew, also the same one named twice.
        if item.offset == 0 {
            if let Some(fault) = std::mem::take(&mut batch).finish(end.1) {
                report(&end.0, fault.offset, Severity::Warning, &fault.text)?;
            }
            end.0 = place.file.to_string();
        }
        end.1 = item.offset + item.raw.len() as u64;
        let blank = item.body().iter().all(u8::is_ascii_whitespace);
        if item.kind == Kind::Other && !blank {
            let text = format!("{} bytes that are no message, expected MSH", item.body().len());
            report(place.file, item.body_offset(), Severity::Error, &text)?;
        }
        if !item.complete {
            report(place.file, end.1, Severity::Error, "the frame has no end, expected 0x1C 0x0D")?;
        } else if item.framed && item.after() == b"\x1C" {
            report(
                place.file,
                end.1,
                Severity::Warning,
                "the frame ends with 0x1C alone, expected 0x1C 0x0D",
            )?;
        }
        if let Some(fault) = batch.observe(item) {
            report(place.file, fault.offset, Severity::Warning, &fault.text)?;
        }
        if item.kind == Kind::Message {
            found = true;
            for finding in check(item.body()) {
                let separator = if finding.place.is_empty() { "" } else { ": " };
                let text = format!("{}{separator}{}", finding.place, finding.text);
                report(place.file, item.body_offset() + finding.offset as u64, finding.severity, &text)?;
            }
        }
        Ok(Status::Done)
    })?;
    if let Some(fault) = batch.finish(end.1) {
        report(&end.0, fault.offset, Severity::Warning, &fault.text)?;
    }
    if !found {
        eprintln!("hl7: no message found, expected text that begins with MSH");
        negative = true;
    }
    Ok(if negative { Status::Negative } else { Status::Done })
}
