//! The running program: what is opened in which order, and closed again.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::sync::Arc;

use anyhow::{Context, Error};
use protogen_journal::Journal;
use protogen_sys::event_loop::{EventLoop, Signal};
use protogen_sys::log::Log;
use protogen_sys::open_files::raise_limit;
use protogen_sys::sd_notify::Notifier;
use protogen_sys::services;

use crate::alerts;
use crate::board::Board;
use crate::config::{Config, Kind};
use crate::control;
use crate::engine::{Acceptance, AcceptanceParts, Engine, Listener, MAX_RECEIVERS, Parts, outboxes_of};
use crate::files::Workers;
use crate::log;
use crate::rejects::Rejects;

/// How many files are open beside the sockets: the journal, the log, directories, those of the loop.
const FILES: usize = 64;
/// How many of them each connection of the configuration takes at most.
const FILES_EACH: usize = 8;

/// Moves messages until SIGTERM or SIGINT. Our own errors name their causes themselves, so the causes are left out of
/// the chain (`Error::msg`).
pub fn run(config: Config) -> anyhow::Result<()> {
    let log = log::start(config.general.logfile.as_deref(), config.general.loglvl).map_err(Error::msg)?;
    let in_file = config.general.logfile.is_some();
    let done = serve(config, log);
    if let Err(error) = &done
        && in_file
    {
        // Whoever started us has it on standard error.
        log::critical!(log::GENERAL, "{error:#}");
    }
    done
}

fn serve(config: Config, log: Log) -> anyhow::Result<()> {
    let config = Arc::new(config);
    let general = &config.general;
    for warning in &config.warnings {
        log::warning!(log::GENERAL, "{warning}");
    }

    // Whatever can fail because of the site fails before anything is begun.
    let listeners = listen(&config)?;
    let most_peers = make_room(&config)?;
    let statedir = &general.statedir.path;
    if !statedir.is_dir() {
        let made = DirBuilder::new().mode(0o700).create(statedir);
        made.with_context(|| format!("{}: cannot make the state directory", statedir.display()))?;
    }
    let opened = Journal::open(&general.statedir.journal(), config.journal_settings());
    let (journal, recovery) = opened.map_err(Error::msg)?;
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

    let events = EventLoop::new(&[Signal::Terminate, Signal::Interrupt, Signal::HangUp])?;
    let board = Arc::new(Board::open(&config)?);
    // Before other threads make files: the socket's mode is by the process's mask for a moment.
    let control = match control::start(&config, &board, &journal) {
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
            let seen_by = (Arc::clone(&board), Arc::clone(outbox));
            workers.write(connection, settings.clone(), &journal, seen_by, statedir)?;
        }
    }
    for connection in &config.connections {
        if let Kind::FileIn(settings) = &connection.kind {
            let outboxes = outboxes_of(&config, &board, connection);
            workers.read(&connection.name, settings.clone(), &journal, outboxes)?;
        }
    }
    let (incoming, outgoing) =
        listeners.into_iter().partition(|listener| config.connections[listener.connection].kind.is_input());
    let acceptance = AcceptanceParts {
        producer: journal.producer(|| {}),
        listeners: incoming,
        journal: journal.reader(),
        board: Arc::clone(&board),
        rejects,
        most_peers,
    };
    let acceptance = Acceptance::start(Arc::clone(&config), acceptance, events.waker())?;
    let alerts = alerts::start(&config, &board, journal.reader())?;
    let engine =
        Engine::new(&config, Parts { events, journal, log, listeners: outgoing, board, acceptance })?;
    log::info!(log::GENERAL, "serving {} connections", config.connections.len());
    let notifier = Notifier::from_environment();
    if let Err(error) = notifier.ready() {
        log::warning!(log::GENERAL, "the service manager cannot be told: {error}");
    }
    let journal = engine.run()?;
    // Nobody left to be told is no failure of ours.
    let _ = notifier.stopping();
    drop((control, alerts));
    workers.stop();
    journal.close();
    log::info!(log::GENERAL, "ended");
    Ok(())
}

/// Asks for as many open files as the connections may need; gives how many peers may be connected at a time, so that
/// the journal never lacks a file because of them.
fn make_room(config: &Config) -> anyhow::Result<usize> {
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
fn listen(config: &Config) -> anyhow::Result<Vec<Listener>> {
    let mut listeners = Vec::new();
    for (number, connection) in config.connections.iter().enumerate() {
        let Some(socket) = connection.kind.socket().filter(|socket| socket.server) else { continue };
        let bound = socket.place().and_then(|place| services::listen(&place.to_listen()?));
        let bound = bound.map_err(Error::msg).with_context(|| format!("[{}]", connection.name))?;
        listeners.extend(bound.into_iter().map(|socket| Listener { connection: number, socket }));
    }
    Ok(listeners)
}
