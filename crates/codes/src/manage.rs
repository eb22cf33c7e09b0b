//! What the managers do with a table: load files, take rows out, reorganize. Each call is all or nothing.

use std::fmt;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::query::Query;
use crate::read::{Notices, Source};
use crate::store::{Place, StoreError, Writer};
use crate::table::{Kind, Row, Table, commit, store};

/// How files are loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// `-c`: they are the table.
    Create,
    /// `-u`: their rows are added. One that is there already is skipped if it is the same, and an error if not.
    Add,
    /// `-r`: their rows replace those of the same keys, which must be there.
    Replace,
    /// `-x`: rows of their keys are taken out.
    Exclude,
}

/// What a change did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// Rows read from the files.
    pub read: u64,
    /// Rows added.
    pub added: u64,
    /// Rows replaced by different ones.
    pub replaced: u64,
    /// Rows taken out.
    pub removed: u64,
    /// Rows that were there already, or whose keys were not there to be taken out.
    pub skipped: u64,
    /// Rows of the table now.
    pub rows: u64,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary { read, added, replaced, removed, skipped, rows } = self;
        write!(f, "{read} read, {added} added, {replaced} replaced, {removed} removed, {skipped} skipped; ")?;
        write!(f, "the table has {rows} rows")
    }
}

/// Why a change was not made. The table is as it was.
#[derive(Debug)]
#[non_exhaustive]
pub enum ManageError {
    /// The files have errors; each was told.
    Input {
        /// How many.
        errors: u64,
    },
    /// The table.
    Store(StoreError),
}

impl fmt::Display for ManageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ManageError::Input { errors } => {
                let plural = if *errors == 1 { "" } else { "s" };
                write!(f, "{errors} error{plural} in the input; the table is as it was")
            }
            ManageError::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ManageError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ManageError::Input { .. } => None,
            ManageError::Store(error) => Some(error),
        }
    }
}

impl From<StoreError> for ManageError {
    fn from(error: StoreError) -> ManageError {
        ManageError::Store(error)
    }
}

/// A table to be changed.
#[derive(Debug)]
pub struct Manager<'k, K> {
    kind: &'k K,
    codes: PathBuf,
    wait: Duration,
}

impl<'k, K: Kind> Manager<'k, K> {
    /// The table of this kind below the code library. Another manager at work on it is waited for as long as `wait`.
    pub fn new(kind: &'k K, codes: &Path, wait: Duration) -> Self {
        Manager { kind, codes: codes.to_owned(), wait }
    }

    /// Loads files. All that is wrong in them is told before the call fails; the rows are read one by one, so that
    /// memory does not grow with the files.
    ///
    /// # Errors
    /// [`ManageError`].
    pub fn load(
        &self,
        how: Load,
        sources: &mut [Source],
        notices: &mut Notices<'_>,
    ) -> Result<Summary, ManageError> {
        let store = store(self.kind, &self.codes);
        let writer = match how {
            Load::Create => store.create(self.wait)?,
            _ => store.change(self.wait)?,
        };
        let names: Vec<PathBuf> = sources.iter().map(|source| source.name().to_owned()).collect();
        let mut loading = Loading { kind: self.kind, how, names, writer, summary: Summary::default() };
        for (file, source) in (0..).zip(sources) {
            notices.of_file(source.name());
            self.kind.read(source, notices, &mut |line, row, notices| {
                loading.take(Place { file, line }, &row, notices)
            })?;
        }
        match notices.errors {
            0 => {
                let rows = commit(self.kind, loading.writer)?;
                Ok(Summary { rows, ..loading.summary })
            }
            errors => Err(ManageError::Input { errors }),
        }
    }

    /// Takes the rows that fulfil a query out. Without any, nothing is changed.
    ///
    /// # Errors
    /// [`ManageError`].
    pub fn delete(&self, query: &Query) -> Result<Summary, ManageError>
    where
        K: Clone,
    {
        let store = store(self.kind, &self.codes);
        // The lock first: what is found is then what is in force.
        let mut writer = store.change(self.wait)?;
        let table = Table::open(self.kind.clone(), &self.codes)?;
        let mut keys = Vec::new();
        query.run(&table, |row| {
            keys.extend(self.kind.key(row.field(0)));
            ControlFlow::Continue(())
        })?;
        let mut summary = Summary { rows: table.rows(), ..Summary::default() };
        for key in &keys {
            summary.removed += u64::from(writer.remove(key)?);
        }
        if summary.removed > 0 {
            summary.rows = commit(self.kind, writer)?;
        }
        Ok(summary)
    }

    /// Makes both forms of the table anew from the rows it has.
    ///
    /// # Errors
    /// [`ManageError`].
    pub fn reorganize(&self) -> Result<Summary, ManageError> {
        let store = store(self.kind, &self.codes);
        let writer = store.reorganize(self.wait)?;
        Ok(Summary { rows: commit(self.kind, writer)?, ..Summary::default() })
    }
}

struct Loading<'k, 's, K> {
    kind: &'k K,
    how: Load,
    names: Vec<PathBuf>,
    writer: Writer<'s, protogen_sys::files::RealFiles>,
    summary: Summary,
}

impl<K: Kind> Loading<'_, '_, K> {
    fn take(&mut self, place: Place, row: &Row, notices: &mut Notices<'_>) -> Result<(), StoreError> {
        self.summary.read += 1;
        let text = row.field(0);
        let Some(key) = self.kind.key(text) else {
            notices.error(place.line, format!("{text:?} is no key"));
            return Ok(());
        };
        if self.how == Load::Exclude {
            match self.writer.remove(&key)? {
                true => self.summary.removed += 1,
                false => self.summary.skipped += 1,
            }
            return Ok(());
        }
        let previous = self.writer.put(&key, row.bytes(), place)?;
        let same = previous.as_ref().is_some_and(|previous| previous.value == row.bytes());
        match (previous.map(|previous| previous.place), self.how) {
            (Some(Some(first)), _) => {
                let first = format!("{}:{}", self.names[first.file as usize].display(), first.line);
                notices.error(place.line, format!("{text}: the same key as at {first}; a key stands once"));
            }
            (Some(None), _) if same => self.summary.skipped += 1,
            (Some(None), Load::Replace) => self.summary.replaced += 1,
            (Some(None), _) => notices.error(
                place.line,
                format!("{text}: the table has another row under this key; -r replaces it"),
            ),
            (None, Load::Replace) => {
                notices.error(
                    place.line,
                    format!("{text}: not in the table, so there is nothing to replace; -u adds it"),
                );
            }
            (None, _) => self.summary.added += 1,
        }
        Ok(())
    }
}
