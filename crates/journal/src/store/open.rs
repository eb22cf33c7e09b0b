//! Opening: what was found is made sure of before anything is added.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use protogen_sys::files::{FileOps, directory_of};
use protogen_sys::lock::Lock;

use super::{Current, Ended, Owed, Shared, Store, View};
use crate::error::JournalError;
use crate::keeper::{Keeper, SPARE};
use crate::recover::{self, Examined};
use crate::settings::Settings;
use crate::state::State;

/// How much is copied at once, in bytes.
const PIECE: u64 = 1 << 20;

/// What opening a journal found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovery {
    /// The segment that was last written; empty for a new journal.
    pub segment: PathBuf,
    /// Where its records end.
    pub end: u64,
    /// How many bytes behind them were half written when the power failed. They were reported to nobody as stored,
    /// and are overwritten with zeros.
    pub torn: u64,
    /// Outputs that are not configured, but in which messages wait or are dead.
    pub orphans: Vec<String>,
}

impl<F: FileOps + 'static> Store<F>
where
    F::File: 'static,
{
    /// Opens the journal in `directory`, which is made if its parent exists.
    pub(crate) fn open(
        files: Arc<F>,
        directory: &Path,
        settings: Settings,
        in_thread: bool,
    ) -> Result<(Store<F>, Recovery), JournalError> {
        settings.check()?;
        let failed = |path: &Path, doing| {
            let path = path.to_owned();
            move |source| JournalError::File { path, doing, source }
        };
        if !directory.is_dir() {
            files.create_directory(directory).map_err(failed(directory, "cannot make"))?;
            let parent = directory_of(directory);
            files.sync_directory(parent).map_err(failed(parent, "cannot sync"))?;
        }
        let lock = Lock::take_run_lock(directory).map_err(JournalError::Locked)?;
        let examined = recover::examine(directory)?;
        let keeper = Keeper::new(Arc::clone(&files), directory, in_thread)
            .map_err(failed(directory, "cannot start a thread"))?;
        let view = View {
            state: State::new(1),
            segments: Vec::new(),
            groups: 0,
            last_sync: std::time::Duration::ZERO,
            slowest_sync: std::time::Duration::ZERO,
            sync_began: None,
            sync_time: std::time::Duration::ZERO,
        };
        let mut store = Store {
            files,
            directory: directory.to_owned(),
            settings,
            keeper,
            shared: Shared::new(view),
            current: None,
            ended: Ended { first: 0, end: 0 },
            next: 1,
            time: 0,
            buffer: Vec::new(),
            unsynced: false,
            owed: Owed::default(),
            _lock: Some(lock),
        };
        let recovery = match examined {
            Some(examined) => store.take_over(examined)?,
            None => Recovery::default(),
        };
        store.configure()?;
        Ok((store, recovery))
    }

    fn take_over(&mut self, examined: Examined) -> Result<Recovery, JournalError> {
        let Examined { state, segments, end, synced, written, times, abandoned } = examined;
        let Some(last) = segments.last() else { return Ok(Recovery::default()) };
        let path = recover::segment_path(&self.directory, last.first);
        let file = self.settle(&path, end, synced, written)?;
        let recovery =
            Recovery { segment: path.clone(), end, torn: written - end, orphans: self.orphans(&state) };
        // The name too: a segment that was found may not have been made durable under it.
        self.sync_names()?;
        self.next = state.next;
        self.time = times.map_or(0, |(_, newest)| newest).max(last.opened);
        let first_time = times.map(|(first, _)| first);
        self.current =
            Some(Current { file, capacity: last.size, offset: end, synced: end, marked: synced, first_time });
        self.ended = Ended { first: last.first, end };
        for path in abandoned.into_iter().chain([self.directory.join(SPARE)]) {
            if path.exists() {
                self.keeper.remove(path);
            }
        }
        let mut view = self.shared.lock();
        (view.state, view.segments) = (state, segments);
        drop(view);
        Ok(recovery)
    }

    fn orphans(&self, state: &State) -> Vec<String> {
        let known = |name: &String| self.settings.outputs.iter().any(|output| output.name == *name);
        let names = state.outputs.iter().map(|output| output.name.clone());
        names.filter(|name| !known(name)).collect()
    }

    /// Makes the end of the last segment sure: what no mark vouches for is written again, since a sync that failed
    /// may have left it in memory only, and what is torn becomes zeros, so that no later record can lead into it.
    fn settle(&self, path: &Path, end: u64, synced: u64, written: u64) -> Result<F::File, JournalError> {
        let failed =
            |source| JournalError::File { path: path.to_owned(), doing: "cannot settle its end", source };
        let file = self.files.open(path).map_err(failed)?;
        self.rewrite(&file, synced, end).map_err(failed)?;
        self.clear(&file, end, written).map_err(failed)?;
        if written > synced {
            self.files.sync_data(&file).map_err(failed)?;
        }
        Ok(file)
    }

    fn rewrite(&self, file: &F::File, from: u64, to: u64) -> io::Result<()> {
        let mut piece = vec![0; piece_size(from, to)];
        let mut offset = from;
        while offset < to {
            let size = piece_size(offset, to);
            let filled = self.files.read_at(file, &mut piece[..size], offset)?;
            self.files.write_at(file, &piece[..filled], offset)?;
            offset += size as u64;
        }
        Ok(())
    }

    fn clear(&self, file: &F::File, from: u64, to: u64) -> io::Result<()> {
        let zeros = vec![0; piece_size(from, to)];
        let mut offset = from;
        while offset < to {
            let size = piece_size(offset, to);
            self.files.write_at(file, &zeros[..size], offset)?;
            offset += size as u64;
        }
        Ok(())
    }

    /// Goes on with other outputs, inputs and retention, in a further segment. After a failure all is as before.
    pub(crate) fn reconfigure(&mut self, wanted: &Settings) -> Result<Vec<String>, JournalError> {
        let before = self.settings.clone();
        let changed = Settings {
            outputs: wanted.outputs.clone(),
            keep: wanted.keep,
            keep_size: wanted.keep_size,
            // What was taken in before may still be on its way.
            max_message: wanted.max_message.max(before.max_message),
            ..before.clone()
        };
        changed.check()?;
        let state = self.shared.lock().state.clone();
        self.settings = changed;
        if let Err(error) = self.configure() {
            self.settings = before;
            let mut view = self.shared.lock();
            let next = view.state.next;
            view.state = state;
            view.state.next = next;
            return Err(error);
        }
        let state = self.shared.lock().state.clone();
        Ok(self.orphans(&state))
    }

    /// Begins the first segment, or a further one when outputs or inputs have changed: each has one routing.
    fn configure(&mut self) -> Result<(), JournalError> {
        let mut view = self.shared.lock();
        let unchanged = self.current.is_some() && view.state.is_configured(&self.settings.outputs);
        if !unchanged {
            view.state.next = self.next;
            view.state.configure(&self.settings.outputs);
        }
        let mut opening = Vec::new();
        let mut plain = view.state.clone();
        plain.outputs.iter_mut().for_each(|output| output.exceptions.clear());
        plain.write(&mut opening);
        drop(view);
        if opening.len() as u64 > self.settings.segment_size / 8 {
            return Err(JournalError::Setting(format!(
                "the outputs and their inputs take {} bytes, more than an eighth of a segment; make segment_size larger",
                opening.len()
            )));
        }
        self.keeper.ask(self.settings.segment_size);
        if unchanged {
            return Ok(());
        }
        self.rotate().map_err(|source| JournalError::File {
            path: self.directory.clone(),
            doing: "cannot begin a segment",
            source,
        })
    }
}

fn piece_size(from: u64, to: u64) -> usize {
    usize::try_from(to.saturating_sub(from).min(PIECE)).unwrap_or_default()
}
