//! `--check` and `--dry-run`: what would be, without a message sent.

use std::fs;
use std::io::{Write, stdout};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use protogen_core::hl7::{Kind, Message, Outcome, split};
use protogen_sys::exit::Exit;
use protogen_sys::files::read_bounded;
use protogen_sys::services::Place;

use crate::args::Args;
use crate::gateway::{Gateway, Loaded, Places};
use crate::profile;
use crate::session::in_carevues_characters;
use crate::tables::Tables;
use crate::transaction::{Target, Transaction};

/// The longest file that `--dry-run` reads, in bytes.
const MAX_FILE: usize = 64 << 20;

/// Names everything that is wrong, on standard error.
pub(crate) fn check(args: &Args, places: &Places, has_fsi: bool) -> Result<Exit> {
    let mut faults = 0;
    let mut fault = |what: String| {
        faults += 1;
        eprintln!("cvgateway: {what}");
    };
    match profile::read(&places.profile()) {
        Ok(profile) => {
            for doubt in profile.doubts() {
                eprintln!("cvgateway: warning: {}: {doubt}", places.profile().display());
            }
            let program = places.idb_direct(&profile);
            if let Err(error) = fs::metadata(&program) {
                fault(format!(
                    "{}: {error}; it is idb_direct, which asks CareVue's census",
                    program.display()
                ));
            }
        }
        Err(error) => fault(error.to_string()),
    }
    if let Err(error) = protogen_sys::hl7hosts::read(&places.hosts(), places.matching) {
        fault(error.to_string());
    }
    if let Some(service) = &args.service {
        let place = service.parse::<Place>().and_then(|place| place.to_listen());
        if let Err(error) = place {
            fault(error.to_string());
        }
    }
    if has_fsi && let Err(error) = places.fsi.to_connect() {
        fault(error.to_string());
    }
    for missing in Tables::open(places.site.codes(), None).1 {
        eprintln!("cvgateway: warning: {missing}");
    }
    Ok(if faults == 0 { Exit::Done } else { Exit::Usage })
}

/// Prints, for each message of a file, the census cases it goes through, what would be sent, and the answer. The census
/// is asked as ever, for that has no effect.
pub(crate) fn dry_run(places: Places, facility: &str, file: &Path) -> Result<Exit> {
    let bytes = read_bounded(file, MAX_FILE).with_context(|| file.display().to_string())?;
    let gateway = Gateway::new(places, facility)?;
    let loaded = gateway.loaded();
    let mut messages = Vec::new();
    split(&bytes, MAX_FILE, |item| {
        if item.kind == Kind::Message {
            messages.push((item.offset, item.body().to_vec()));
        }
    })
    .with_context(|| file.display().to_string())?;
    let mut out = stdout().lock();
    let mut all_taken = true;
    for (n, (at, message)) in messages.iter().enumerate() {
        let message = Message::parse(message)
            .with_context(|| format!("{}: the message at byte {at}", file.display()))?;
        all_taken &= print_one(&gateway, &loaded, n + 1, &message, &mut out)?;
    }
    if messages.is_empty() {
        bail!("{}: no message", file.display());
    }
    Ok(if all_taken { Exit::Done } else { Exit::Negative })
}

/// Prints what would be done with a message; says whether it would be answered AA.
fn print_one(
    gateway: &Gateway,
    loaded: &Loaded,
    count: usize,
    message: &Message,
    out: &mut impl Write,
) -> Result<bool> {
    let tx = Transaction {
        gateway,
        loaded,
        target: Target::Nobody(Mutex::default()),
        control_id: message.control_id().to_vec(),
        progress: Mutex::default(),
    };
    let reply = in_carevues_characters(&tx, message, |message| tx.carry_out(message));
    writeln!(out, "message {count}: {}", tx.name())?;
    if let Target::Nobody(notes) = &tx.target {
        for note in notes.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            writeln!(out, "{note}")?;
        }
    }
    writeln!(out, "answer: {} {}", reply.code(), reply.told())?;
    Ok(reply.outcome == Outcome::Accepted)
}
