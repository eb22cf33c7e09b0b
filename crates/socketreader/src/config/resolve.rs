//! From drafts to what the program works with, one section at a time.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use protogen_core::hl7hosts::Peers;
use protogen_core::llp::mllp;

use super::debug::active;
use super::draft::Draft;
use super::options::Place;
use super::problem::{At, Problems};
use super::section::{Parsed, shown};
use super::{
    Connection, FileIn, FileOut, Gate, General, Kind, LogLevel, MatchAck, Naming, OnRefusal, Pipe, Policy,
    Socket, StateDir, StateDirFrom, Tls,
};

/// A section, and the connection it makes if it says enough.
#[derive(Debug)]
pub(super) struct Found<'a> {
    pub parsed: Parsed<'a>,
    pub connection: Option<Connection>,
}

/// The options of `[general]`.
pub(super) fn general(draft: &Draft, statedir: StateDir) -> General {
    General {
        logfile: draft.logfile.clone(),
        loglvl: draft.loglvl.unwrap_or(LogLevel::Warning),
        statedir,
        durable: draft.durable,
        keep: draft.keep,
        keepsize: draft.keepsize,
        alert: draft.alert.clone(),
        mail_interval: draft.mailinterval,
        disk_low: draft.disklow,
        slow_sync: draft.slowsync,
        metrics: draft.metrics,
    }
}

/// The state directory and why it is this one.
pub(super) fn statedir(
    general: &Draft,
    found: &[Found<'_>],
    environment: Option<&OsStr>,
    file: &Path,
) -> StateDir {
    if let Some(path) = general.statedir.clone() {
        return StateDir { path, from: StateDirFrom::Option };
    }
    for connection in found.iter().filter_map(|found| found.connection.as_ref()) {
        let queuedb = connection.kind.socket().and_then(|socket| socket.queuedb.as_ref());
        if let Some(directory) = queuedb.and_then(|queuedb| queuedb.parent()) {
            let from = StateDirFrom::Queuedb(connection.name.clone());
            return StateDir { path: directory.to_owned(), from };
        }
    }
    // systemd gives several as a list with colons.
    let first = environment.and_then(|list| list.to_str()).and_then(|list| list.split(':').next());
    match first.filter(|path| path.starts_with('/')) {
        Some(path) => StateDir { path: path.into(), from: StateDirFrom::Environment },
        None => StateDir {
            path: protogen_sys::files::directory_of(file).join("socketReader.state"),
            from: StateDirFrom::BesideConfiguration,
        },
    }
}

/// The connection of a section, if it can be told what it is. Names every fault of the section.
pub(super) fn connection(parsed: &Parsed<'_>, problems: &mut Problems) -> Option<Connection> {
    name(parsed, problems);
    let missing = |option: &str, remedy: &str, problems: &mut Problems| {
        if !parsed.given(option) {
            problems.error(parsed.at(option), format!("{option} is missing; {remedy}"));
        }
    };
    missing("transtech", "state file or socket", problems);
    missing("transdir", "state in or out", problems);
    missing("queuename", "inputs and outputs with the same queue name are joined", problems);
    if Place::FILE.meets(parsed.place) && parsed.place != Place::CONNECTION {
        missing("messagedir", "state the full path of the directory", problems);
    }
    let draft = &parsed.draft;
    if parsed.sound("debug") {
        for key in &draft.debug_unknown {
            let keys = super::debug::KEYS.join(", ");
            problems.warning(
                parsed.at("debug"),
                format!("debug has no key \"{}\"; it has {keys}", shown(key.as_bytes())),
            );
        }
        let active = active(&draft.debug).join(", ");
        if !active.is_empty() {
            problems.warning(
                parsed.at("debug"),
                format!(
                    "debug makes this connection misbehave ({active}); remove it before patients depend on it"
                ),
            );
        }
    }
    let kind = match parsed.place {
        Place::SOCKET_IN => Kind::SocketIn(socket(parsed, problems)),
        Place::SOCKET_OUT => Kind::SocketOut(socket(parsed, problems)),
        Place::FILE_IN => Kind::FileIn(file_in(parsed, problems)?),
        Place::FILE_OUT => Kind::FileOut(file_out(parsed, problems)?),
        _ => return None,
    };
    Some(Connection {
        name: parsed.section.name.clone(),
        line: parsed.section.line,
        queue: draft.queuename.clone().unwrap_or_default(),
        use_hl7: draft.usehl7,
        kind,
        max_pending: draft.maxpending,
        max_age: draft.maxage,
        gate: gate(draft),
        debug: draft.debug.clone(),
    })
}

fn name(parsed: &Parsed<'_>, problems: &mut Problems) {
    let name = &parsed.section.name;
    if name.len() > super::value::MAX_NAME || name.chars().any(char::is_control) {
        let at = At { line: Some(parsed.section.line), section: None };
        problems.error(
            at,
            format!("the section's name must be printable and have at most {} bytes", super::value::MAX_NAME),
        );
    }
}

fn socket(parsed: &Parsed<'_>, problems: &mut Problems) -> Socket {
    let draft = &parsed.draft;
    if !draft.createserversocket && !parsed.given("ipaddr") {
        problems.error(
            parsed.at("createserversocket"),
            "createserversocket = False needs ipaddr, the host to connect to",
        );
    }
    if draft.mllp2 && !draft.useack && parsed.sound("useack") {
        problems
            .error(parsed.at("mllp2"), "mllp2 = True needs useack = True: release 2 commits every message");
    }
    let max_size = usize::try_from(draft.maxsize).unwrap_or(usize::MAX);
    let mllp = mllp::Settings {
        sob: draft.sob.clone(),
        eod: draft.eod.clone(),
        eob: draft.eob.clone(),
        max_message: max_size,
        frame_timeout: draft.timeout,
        ..mllp::Settings::default()
    };
    if let Err(error) = mllp.check() {
        problems.error(parsed.at(error.setting), error.to_string());
    }
    for (option, delimiter) in [("sob", &mllp.sob), ("eod", &mllp.eod)] {
        let in_every = delimiter == b"\r" || (!delimiter.is_empty() && b"MSH|".starts_with(delimiter));
        if draft.usehl7 && in_every {
            problems.warning(
                parsed.at(option),
                format!(
                    "{option} occurs in every HL7 message and may cut it; choose bytes that no message has"
                ),
            );
        }
    }
    Socket {
        server: draft.createserversocket,
        host: draft.ipaddr.clone(),
        port: draft.port,
        use_ack: draft.useack,
        mllp2: draft.mllp2,
        mllp,
        queuedb: draft.queuedb.clone(),
        max_size,
        max_connections: draft.maxconnections,
        timeout: draft.timeout,
        policy: policy(draft),
        keepalive: draft.keepalive,
        allow: allow(parsed, problems),
        tls: tls(parsed, problems),
    }
}

fn gate(draft: &Draft) -> Gate {
    let pipe = draft.pipe.clone().map(|command| Pipe {
        command,
        timeout: draft.pipewait,
        max_message: protogen_core::hl7::MAX_MESSAGE,
        breaker: draft.breaker,
    });
    Gate { filter: draft.filter.clone(), dedupe: draft.dedupe, pipe }
}

/// Where Debian keeps the certificates that a host trusts.
const TRUSTED: &str = "/etc/ssl/certs/ca-certificates.crt";

fn allow(parsed: &Parsed<'_>, problems: &mut Problems) -> Vec<Peers> {
    let draft = &parsed.draft;
    if !draft.createserversocket && parsed.given("allow") && parsed.sound("createserversocket") {
        problems.warning(parsed.at("allow"), "allow has no effect where we connect; remove it");
    }
    draft.allow.clone()
}

fn tls(parsed: &Parsed<'_>, problems: &mut Problems) -> Option<Tls> {
    let draft = &parsed.draft;
    if !draft.tls {
        let idle = ["tlscert", "tlskey", "tlsca", "tlsverify", "tlsname"];
        for option in idle.into_iter().filter(|option| parsed.given(option) && parsed.sound("tls")) {
            problems.warning(parsed.at(option), format!("{option} has no effect without tls = True"));
        }
        return None;
    }
    let server = draft.createserversocket;
    let verify = draft.tlsverify.unwrap_or(!server);
    if server && draft.tlscert.is_none() && parsed.sound("tlscert") {
        problems.error(parsed.at("tls"), "tls = True needs tlscert, the certificate that peers are shown");
    }
    if draft.tlscert.is_none() && draft.tlskey.is_some() && parsed.sound("tlscert") {
        problems.error(parsed.at("tlskey"), "tlskey needs tlscert, the certificate that it belongs to");
    }
    if server && verify && draft.tlsca.is_none() && parsed.sound("tlsca") {
        problems.error(
            parsed.at("tlsverify"),
            "tlsverify = True needs tlsca, the certificates that sign those of the peers",
        );
    }
    if !server && !verify {
        problems.warning(
            parsed.at("tlsverify"),
            "tlsverify = False: whoever is in between can read and change every message; state tlsca instead",
        );
    }
    Some(Tls {
        cert: draft.tlscert.clone(),
        key: draft.tlskey.clone().or(draft.tlscert.clone()),
        ca: draft.tlsca.clone().unwrap_or_else(|| TRUSTED.into()),
        verify,
        name: draft.tlsname.clone().unwrap_or_else(|| draft.ipaddr.clone()),
    })
}

fn policy(draft: &Draft) -> Policy {
    Policy {
        on_ae: draft.onae.unwrap_or(OnRefusal::Dead),
        on_ar: draft.onar.unwrap_or(OnRefusal::Dead),
        on_commit_error: draft.oncommiterror.unwrap_or(OnRefusal::Dead),
        on_commit_reject: draft.oncommitreject.unwrap_or(OnRefusal::Dead),
        on_nak: draft.onnak.unwrap_or(OnRefusal::Dead),
        retries: draft.retries,
        breaker: draft.breaker,
        match_ack: draft.matchack.unwrap_or(MatchAck::Present),
        max_pause: draft.maxpause,
        down_time: draft.downtime,
    }
}

fn file_in(parsed: &Parsed<'_>, problems: &mut Problems) -> Option<FileIn> {
    let draft = &parsed.draft;
    let dir = draft.messagedir.clone()?;
    let errordir: PathBuf = draft.errordir.clone().unwrap_or_else(|| dir.join("error"));
    if errordir == dir {
        problems.error(
            parsed.at("errordir"),
            "errordir is messagedir: what cannot be read would be read again; state another directory",
        );
    }
    Some(FileIn {
        dir,
        newline: draft.newline,
        mask: draft.filemask.clone()?,
        cycletime: draft.cycletime,
        maxfiles: draft.maxfiles,
        settle: draft.settle,
        errordir,
        max_size: usize::try_from(draft.maxsize).unwrap_or(usize::MAX),
    })
}

fn file_out(parsed: &Parsed<'_>, problems: &mut Problems) -> Option<FileOut> {
    let draft = &parsed.draft;
    if draft.hl7prefix && !draft.prefix.is_empty() {
        problems.error(parsed.at("prefix"), "prefix and hl7prefix exclude each other; remove one of them");
    }
    if draft.hl7prefix && !draft.usehl7 && parsed.sound("usehl7") {
        problems.error(parsed.at("hl7prefix"), "hl7prefix needs usehl7 = True");
    }
    if draft.prefix.starts_with('.') && !draft.hl7prefix {
        problems.warning(
            parsed.at("prefix"),
            "prefix begins with a dot: readers of directories pass such files by",
        );
    }
    Some(FileOut {
        dir: draft.messagedir.clone()?,
        newline: draft.newline,
        naming: if draft.hl7prefix { Naming::Hl7 } else { Naming::Prefix(draft.prefix.clone()) },
        suffix: draft.suffix.clone(),
        filemode: draft.filemode,
    })
}
