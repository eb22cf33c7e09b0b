//! The running program: what is opened in which order, and closed again.

use std::collections::BTreeMap;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use anyhow::{Context, Error};
use protogen_journal::Journal;
use protogen_sys::daemon::Readiness;
use protogen_sys::event_loop::{EventLoop, Signal};
use protogen_sys::exit::Exit;
use protogen_sys::log::Log;
use protogen_sys::open_files::raise_limit;
use protogen_sys::pid_file::PidFile;
use protogen_sys::sd_notify::Notifier;

use crate::alerts;
use crate::board::Board;
use crate::config::{Config, Kind};
use crate::control;
use crate::engine::{Acceptance, AcceptanceParts, Dispatch, Engine, Entrance, MAX_RECEIVERS, Parts};
use crate::files::Workers;
use crate::guard::{self, Guards};
use crate::log;
use crate::metrics::{self, Sources};
use crate::rejects::Rejects;
use crate::reload::{Listening, Reloader, Running};

/// How many files are open beside the sockets: the journal, the log, directories, those of the loop.
const FILES: usize = 64;
/// How many of them each connection of the configuration takes at most.
const FILES_EACH: usize = 8;

/// Moves messages until SIGTERM or SIGINT. Our own errors name their causes themselves, so the causes are left out of
/// the chain (`Error::msg`). In the background, `readiness` tells the startup process how it went.
pub fn run(config: Config, pidfile: Option<&Path>, readiness: Option<Readiness>) -> anyhow::Result<()> {
    let (level, in_file) = (config.general.loglvl, config.general.logfile.is_some());
    let log =
        log::start(config.general.logfile.as_deref(), level, readiness.is_none()).map_err(Error::msg)?;
    let mut readiness = readiness;
    let in_background = readiness.is_some();
    let done = serve(config, pidfile, log, &mut readiness);
    if let Err(error) = &done
        && (in_file || in_background)
    {
        // Whoever started us has it on standard error.
        log::critical!(log::GENERAL, "{error:#}");
    }
    match (done, readiness) {
        (Err(error), Some(readiness)) => {
            readiness.failed(Exit::TryLater.status(), &format!("{error:#}"));
            Ok(())
        }
        (done, _) => done,
    }
}

fn serve(
    config: Config,
    pidfile: Option<&Path>,
    log: Log,
    readiness: &mut Option<Readiness>,
) -> anyhow::Result<()> {
    let config = Arc::new(config);
    let general = &config.general;
    for warning in &config.warnings {
        log::warning!(log::GENERAL, "{warning}");
    }

    let _pid_file = pidfile.map(PidFile::create).transpose().map_err(Error::msg)?;
    // Whatever can fail because of the site fails before anything is begun.
    let guards = guard::open(&config).map_err(Error::msg)?;
    let mut listening = Listening::default();
    let entrances = entrances(&config, &guards, &mut listening)?;
    let most_peers = make_room(&config)?;
    let figures = general.metrics.map(|address| {
        metrics::listen(address).with_context(|| format!("metrics = {address}: cannot listen there"))
    });
    let figures = figures.transpose()?;
    let statedir = &general.statedir.path;
    if !statedir.is_dir() {
        let made = DirBuilder::new().mode(0o700).create(statedir);
        made.with_context(|| format!("{}: cannot make the state directory", statedir.display()))?;
    }
    let opened = Journal::open(&general.statedir.journal(), config.journal_settings());
    let (journal, recovery) = opened.map_err(Error::msg)?;
    let journal = Arc::new(journal);
    // What became too old while nothing ran; from then on every minute.
    journal.prune(SystemTime::now());
    if recovery.torn > 0 {
        log::warning!(
            log::GENERAL,
            "{}: {} half-written bytes of a power cut were cleared at byte {}",
            recovery.segment.display(),
            recovery.torn,
            recovery.end
        );
    }
    for name in &recovery.orphans {
        log::error!(
            log::GENERAL,
            "messages wait for {name}, which is no longer in use: name it in useconnections, or drop them"
        );
    }

    let events = EventLoop::new(&[Signal::Terminate, Signal::Interrupt, Signal::HangUp, Signal::User1])?;
    let board = Arc::new(Board::open(&config)?);
    // Before other threads make files: the socket's mode is by the process's mask for a moment.
    let control = match control::start(&board, &journal) {
        Ok(control) => Some(control),
        Err(error) => {
            let statedir = statedir.display();
            log::error!(log::GENERAL, "{statedir}/control: {error}; commands of operators are not served");
            None
        }
    };
    let rejects = Rejects::start(statedir)?;
    let mut workers = Workers::default();
    // Inputs last: nothing is taken in that a later failure would leave behind.
    for connection in &config.connections {
        if let (Kind::FileOut(settings), Some(outbox)) = (&connection.kind, board.outbox(&connection.name)) {
            let seen_by = (Arc::clone(&board), outbox);
            workers.write(connection, settings.clone(), &journal, seen_by, statedir)?;
        }
    }
    let mut joined = BTreeMap::new();
    for connection in config.connections.iter().filter(|connection| connection.kind.is_input()) {
        let outboxes = board.join(connection);
        if let Kind::FileIn(settings) = &connection.kind {
            workers.read(&connection.name, settings.clone(), &journal, outboxes.clone())?;
        }
        joined.insert(connection.name.clone(), outboxes);
    }
    let (incoming, outgoing): (Vec<_>, Vec<_>) =
        entrances.into_iter().partition(|entrance| entrance.connection.kind.is_input());
    let of = |entrance: Entrance| {
        let outboxes = joined.get(&entrance.connection.name).cloned();
        let outboxes = outboxes.unwrap_or_else(|| board.join(&entrance.connection));
        (entrance, outboxes)
    };
    let parts = AcceptanceParts {
        producer: journal.producer(|| {}),
        entrances: incoming.into_iter().map(of).collect(),
        journal: journal.reader(),
        rejects,
        most_peers,
    };
    let acceptance = Acceptance::start(parts, events.waker())?;
    let guards = Arc::new(Mutex::new(guards));
    let reception = acceptance.reception();
    let (dispatch, orders) = Dispatch::to(&events);
    let running = Running {
        board: Arc::clone(&board),
        journal: Arc::clone(&journal),
        workers,
        guards: Arc::clone(&guards),
        joined,
        listening,
        reception: reception.clone(),
        dispatch,
        most_peers,
    };
    let (request, requests) = Reloader::requests();
    let reloader = Reloader::start(running, requests)?;
    let sources = Sources {
        board: Arc::clone(&board),
        journal: journal.reader(),
        guards: Arc::clone(&guards),
        reception,
        started: SystemTime::now(),
    };
    let state = sources.clone();
    if let Some(listener) = figures {
        sources.serve(listener)?;
    }
    let alerts = alerts::start(&board, &guards, journal.reader())?;
    let on_signal = Box::new(move |signal| match signal {
        Signal::HangUp => request.send(),
        Signal::User1 => log_state(&state),
        _ => {}
    });
    let parts = Parts {
        events,
        journal: Arc::clone(&journal),
        log,
        entrances: outgoing,
        board,
        acceptance,
        orders,
        on_signal,
    };
    let engine = Engine::new(parts)?;
    log::info!(log::GENERAL, "serving {} connections", config.connections.len());
    let notifier = Notifier::from_environment();
    if let Err(error) = notifier.ready() {
        log::warning!(log::GENERAL, "the service manager cannot be told: {error}");
    }
    if let Some(Err(error)) = readiness.take().map(Readiness::ready) {
        log::warning!(log::GENERAL, "whoever started this cannot be told: {error}");
    }
    engine.run()?;
    // Nobody left to be told is no failure of ours.
    let _ = notifier.stopping();
    drop((control, alerts));
    if let Some(Running { workers, journal, .. }) = reloader.join() {
        workers.stop();
        drop(journal);
    }
    // The last hold of it: it finishes what is queued.
    drop(journal);
    log::info!(log::GENERAL, "ended");
    Ok(())
}

/// Logs how all stands; a thread does, for the disk is read.
fn log_state(sources: &Sources) {
    let sources = sources.clone();
    let thread = std::thread::Builder::new().name("state".to_owned());
    if let Err(error) = thread.spawn(move || sources.log_state()) {
        log::error!(log::GENERAL, "the state cannot be logged: {error}");
    }
}

/// Asks for as many open files as the connections may need; gives how many peers may be connected at a time, so that
/// the journal never lacks a file because of them.
pub(crate) fn make_room(config: &Config) -> anyhow::Result<usize> {
    let sockets = config.connections.iter().filter_map(|connection| match &connection.kind {
        Kind::SocketIn(socket) if socket.server => Some(socket.max_connections),
        _ => None,
    });
    let (peers, others) = (sockets.sum::<usize>(), FILES + FILES_EACH * config.connections.len());
    let outlets =
        config.connections.iter().filter(|connection| matches!(connection.kind, Kind::SocketOut(_)));
    let others = others + MAX_RECEIVERS * outlets.count();
    let limit = raise_limit((peers + others) as u64).context("cannot ask for open files")?;
    let most = usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(others).max(1);
    if most < peers {
        log::warning!(
            log::GENERAL,
            "at most {most} peers can be connected, although maxconnections allows {peers}: \
             the limit of open files is {limit}; raise it (LimitNOFILE= of systemd, ulimit -n)"
        );
    }
    Ok(most)
}

/// Binds every listening socket.
fn entrances(config: &Config, guards: &Guards, listening: &mut Listening) -> anyhow::Result<Vec<Entrance>> {
    let mut entrances = Vec::new();
    for connection in &config.connections {
        let Some(guard) = guards.get(&connection.name) else { continue };
        let opened = listening.open(connection).map_err(Error::msg);
        let listeners = opened.with_context(|| format!("[{}]", connection.name))?;
        listening.keep(&connection.name, &listeners).context("cannot keep a listening socket")?;
        let (connection, guard) = (Arc::new(connection.clone()), Arc::clone(guard));
        entrances.push(Entrance { connection, listeners, guard });
    }
    Ok(entrances)
}
