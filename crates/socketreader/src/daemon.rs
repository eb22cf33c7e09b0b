//! The running program: what is opened in which order, and closed again.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::sync::Arc;

use anyhow::Context;
use protogen_journal::Journal;
use protogen_sys::event_loop::{EventLoop, Signal};
use protogen_sys::sd_notify::Notifier;
use protogen_sys::services;

use crate::bell::Bell;
use crate::config::{Config, Kind};
use crate::engine::{Engine, Parts, bells_of};
use crate::files::Workers;
use crate::log;
use crate::rejects::Rejects;

/// Moves messages until SIGTERM or SIGINT.
pub fn run(config: Config) -> anyhow::Result<()> {
    let config = Arc::new(config);
    let general = &config.general;
    let log = log::start(general.logfile.as_deref(), general.loglvl)?;

    // Whatever can fail because of the site fails before anything is begun.
    let listeners = listen(&config)?;
    let statedir = &general.statedir.path;
    if !statedir.is_dir() {
        let made = DirBuilder::new().mode(0o700).create(statedir);
        made.with_context(|| format!("{}: cannot make the state directory", statedir.display()))?;
    }
    let (journal, recovery) = Journal::open(&general.statedir.journal(), config.journal_settings())?;
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
    let bells: Vec<Option<Arc<Bell>>> = config
        .connections
        .iter()
        .map(|connection| (!connection.kind.is_input()).then(Arc::default))
        .collect();
    let rejects = Rejects::start(statedir)?;
    let mut workers = Workers::default();
    for (connection, bell) in config.connections.iter().zip(&bells) {
        match (&connection.kind, bell) {
            (Kind::FileIn(settings), _) => {
                let bells = bells_of(&config, &bells, connection);
                workers.read(&connection.name, settings.clone(), &journal, bells)?;
            }
            (Kind::FileOut(settings), Some(bell)) => {
                workers.write(connection, settings.clone(), &journal, Arc::clone(bell), statedir)?;
            }
            _ => {}
        }
    }
    let engine = Engine::new(Arc::clone(&config), Parts { events, journal, log, listeners, bells, rejects })?;
    log::info!(log::GENERAL, "serving {} connections", config.connections.len());
    let notifier = Notifier::from_environment();
    if let Err(error) = notifier.ready() {
        log::warning!(log::GENERAL, "the service manager cannot be told: {error}");
    }
    let journal = engine.run()?;
    // Nobody left to be told is no failure of ours.
    let _ = notifier.stopping();
    workers.stop();
    journal.close();
    log::info!(log::GENERAL, "ended");
    Ok(())
}

/// Binds every listening socket.
fn listen(config: &Config) -> anyhow::Result<Vec<(usize, std::net::TcpListener)>> {
    let mut listeners = Vec::new();
    for (number, connection) in config.connections.iter().enumerate() {
        let Some(socket) = connection.kind.socket().filter(|socket| socket.server) else { continue };
        let bound = socket.place().and_then(|place| services::listen(&place.to_listen()?));
        let bound = bound.with_context(|| format!("[{}]", connection.name))?;
        listeners.extend(bound.into_iter().map(|listener| (number, listener)));
    }
    Ok(listeners)
}
