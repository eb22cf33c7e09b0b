//! Changing a table: a new generation is built aside, and put in force by one rename.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use protogen_sys::durable;
use protogen_sys::files::FileOps;
use protogen_sys::lock::Lock;

use super::error::StoreError;
use super::image::{ImageWriter, row_crc, term_key};
use super::stamp::{CURRENT, FileStamp, Stamp};
use super::terms::Terms;
use super::{SCRATCH, Store, TABLE};

/// The length of what stands before a row in the managers' database: when and where it was read.
const PLACE: usize = 16;
/// What sled may keep in memory, in bytes. It takes about three times as much.
const CACHE: u64 = 24 << 20;

/// Names the terms of a row, by the number of their field.
type Indexer<'i> = dyn FnMut(&[u8], &mut dyn FnMut(u8, &[u8])) + 'i;

/// A table while it is changed, held by its lock. Dropped, nothing has happened.
#[must_use = "a change that is not committed is dropped"]
pub struct Writer<'s, F: FileOps> {
    store: &'s Store<F>,
    generation: u64,
    /// Closed before its files are removed, and both before the lock is given up: fields are dropped in this order.
    database: sled::Db,
    scratch: Scratch,
    lock: Lock,
}

/// The directory that the next generation is built in; dropped, it is removed.
struct Scratch(PathBuf);

impl Scratch {
    /// An empty one, whatever a crash left there.
    fn new(directory: &Path) -> Result<Scratch, StoreError> {
        let path = directory.join(SCRATCH);
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => fs::create_dir(&path),
        }
        .map_err(StoreError::file(&path))?;
        Ok(Scratch(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays is removed by the next manager.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Where a row was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The number of the file among those of this load.
    pub file: u32,
    /// The line it begins on, from 1.
    pub line: u32,
}

/// The row that a key had before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Previous {
    /// Its value.
    pub value: Vec<u8>,
    /// Where it was read, if that was in this load.
    pub place: Option<Place>,
}

impl<'s, F: FileOps> Writer<'s, F> {
    /// Begins with no rows; the table need not exist.
    pub(super) fn empty(store: &'s Store<F>, lock: Lock) -> Result<Self, StoreError> {
        let generation = 1 + match Stamp::read(&store.directory) {
            Ok(stamp) => stamp.generation,
            // A stamp that cannot be read does not keep anybody from making the table anew.
            Err(_) => newest(&store.directory).map_err(StoreError::file(&store.directory))?,
        };
        let scratch = Scratch::new(&store.directory)?;
        let database = open(&scratch.0)?;
        Ok(Writer { store, generation, database, scratch, lock })
    }

    /// Begins with the rows of the table: a copy of the managers' database, held against its stamp.
    pub(super) fn copy(store: &'s Store<F>, lock: Lock) -> Result<Self, StoreError> {
        let stamp = Stamp::read(&store.directory)?;
        let from = store.generation(stamp.generation);
        let scratch = Scratch::new(&store.directory)?;
        for file in stamp.files.iter().filter(|file| file.name != TABLE) {
            file.check(&from)?;
            let (from, to) = (from.join(&file.name), scratch.0.join(&file.name));
            fs::copy(&from, &to).map_err(StoreError::file(&from))?;
        }
        let database = open(&scratch.0)?;
        let writer = Writer { store, generation: stamp.generation + 1, database, scratch, lock };
        let (rows, crc) = writer.rows().try_fold((0, 0), |(rows, crc), row| {
            let (key, value) = row?;
            Ok::<_, StoreError>((rows + 1, row_crc(crc, &key, row_of(&value))))
        })?;
        match (rows, crc) == (stamp.rows, stamp.rows_crc) {
            true => Ok(writer),
            false => Err(StoreError::damaged(&from, "its rows are not those of its stamp")),
        }
    }

    /// Puts a row under its key, and gives the one it had before.
    ///
    /// # Errors
    /// What the database reports.
    pub fn put(&mut self, key: &[u8], value: &[u8], place: Place) -> Result<Option<Previous>, StoreError> {
        let mut placed = Vec::with_capacity(PLACE + value.len());
        placed.extend_from_slice(&self.generation.to_le_bytes());
        placed.extend_from_slice(&place.file.to_le_bytes());
        placed.extend_from_slice(&place.line.to_le_bytes());
        placed.extend_from_slice(value);
        let before = self.database.insert(key, placed).map_err(|error| self.failed(error))?;
        Ok(before.map(|before| self.previous(&before)))
    }

    /// The row of a key.
    ///
    /// # Errors
    /// What the database reports.
    pub fn get(&self, key: &[u8]) -> Result<Option<Previous>, StoreError> {
        let found = self.database.get(key).map_err(|error| self.failed(error))?;
        Ok(found.map(|found| self.previous(&found)))
    }

    /// Removes the row of a key, and says whether there was one.
    ///
    /// # Errors
    /// What the database reports.
    pub fn remove(&mut self, key: &[u8]) -> Result<bool, StoreError> {
        Ok(self.database.remove(key).map_err(|error| self.failed(error))?.is_some())
    }

    /// Puts the new table in force: when this returns, it is on the disk and every reader that opens the table sees
    /// it. `index` names the terms of each row, by the number of their field; a term holds no NUL.
    ///
    /// Gives the number of rows.
    ///
    /// # Errors
    /// Names the file. The old table is in force then, but for a failed sync of the directory after the last rename,
    /// where it may be either.
    pub fn commit(self, mut index: impl FnMut(&[u8], &mut dyn FnMut(u8, &[u8]))) -> Result<u64, StoreError> {
        let Writer { store, generation, database, scratch, lock } = self;
        let build = Build { store, directory: store.generation(generation), scratch: &scratch.0 };
        let stamp = match build.generation(generation, database, &mut index) {
            Ok(stamp) => stamp,
            Err(error) => {
                // On a full disk the room is needed.
                let _ = remove_generation(&store.files, &build.directory);
                return Err(error);
            }
        };
        let current = store.directory.join(CURRENT);
        let staged = durable::stage(&store.files, &current, stamp.to_text().as_bytes());
        let staged = staged.map_err(StoreError::Durable)?;
        share(&store.directory.join(durable::temporary_name(CURRENT.as_ref())), 0o644)?;
        staged.publish().map_err(StoreError::Durable)?;
        durable::sync_directory(&store.files, &current).map_err(StoreError::Durable)?;
        // Done; what cannot be cleared away now is cleared by the next manager.
        let _ = tidy(store, stamp.generation);
        drop(scratch);
        drop(lock);
        Ok(stamp.rows)
    }

    fn rows(&self) -> impl Iterator<Item = Result<(sled::IVec, sled::IVec), StoreError>> {
        rows(&self.database, &self.scratch.0)
    }

    fn previous(&self, placed: &[u8]) -> Previous {
        let (place, value) = placed.split_at_checked(PLACE).unwrap_or((&[], placed));
        let number = |at| u32::from_le_bytes([place[at], place[at + 1], place[at + 2], place[at + 3]]);
        let now = place.starts_with(&self.generation.to_le_bytes());
        Previous { value: value.to_vec(), place: now.then(|| Place { file: number(8), line: number(12) }) }
    }

    fn failed(&self, source: sled::Error) -> StoreError {
        StoreError::database(&self.scratch.0, source)
    }
}

/// The making of a generation's files.
struct Build<'b, F: FileOps> {
    store: &'b Store<F>,
    directory: PathBuf,
    scratch: &'b Path,
}

impl<F: FileOps> Build<'_, F> {
    /// Writes and syncs all files of the generation, and the directories that name them.
    fn generation(
        &self,
        generation: u64,
        database: sled::Db,
        index: &mut Indexer<'_>,
    ) -> Result<Stamp, StoreError> {
        let files = &self.store.files;
        let directory = &self.directory;
        remove_generation(files, directory).map_err(StoreError::file(directory))?;
        files.create_directory(directory).map_err(StoreError::file(directory))?;
        share(directory, 0o755)?;
        let mut stamp = Stamp { generation, rows: 0, rows_crc: 0, files: Vec::new() };
        self.table(&database, &mut stamp, index)?;
        database.flush().map_err(|error| StoreError::database(self.scratch, error))?;
        // Closed, its files are complete.
        drop(database);
        copy_database(files, self.scratch, directory, &mut stamp)?;
        files.sync_directory(directory).map_err(StoreError::file(directory))?;
        // Before the stamp is renamed: a file system need not keep the order of the two names.
        files.sync_directory(&self.store.directory).map_err(StoreError::file(&self.store.directory))?;
        Ok(stamp)
    }

    fn table(
        &self,
        database: &sled::Db,
        stamp: &mut Stamp,
        index: &mut Indexer<'_>,
    ) -> Result<(), StoreError> {
        let files = &self.store.files;
        let path = self.directory.join(TABLE);
        let failed = |source| StoreError::File { path: path.clone(), source };
        let file = files.create(&path).map_err(failed)?;
        share(&path, 0o644)?;
        let mut image = ImageWriter::new(files, file);
        let mut terms = Terms::new(self.scratch);
        for row in rows(database, self.scratch) {
            let (key, value) = row?;
            let value = row_of(&value);
            image.row(&key, value).map_err(failed)?;
            let mut result = Ok(());
            index(value, &mut |field, term| {
                if result.is_ok() {
                    result = terms.push(|to| term_key(field, term, &key, to));
                }
            });
            result.map_err(failed)?;
        }
        terms.sorted(|term| image.term(term)).map_err(failed)?;
        let footer = image.finish().map_err(failed)?;
        (stamp.rows, stamp.rows_crc) = (footer.rows, footer.rows_crc);
        let length = footer.index_at + footer.index_length + super::image::FOOTER as u64;
        // A reader knows the table by its footer and its blocks by their checksums.
        stamp.files.push(FileStamp { name: TABLE.to_owned(), length, crc: footer.index_crc });
        Ok(())
    }
}

fn rows(
    database: &sled::Db,
    place: &Path,
) -> impl Iterator<Item = Result<(sled::IVec, sled::IVec), StoreError>> {
    database.iter().map(|row| row.map_err(|error| StoreError::database(place, error)))
}

fn row_of(placed: &[u8]) -> &[u8] {
    placed.get(PLACE..).unwrap_or_default()
}

/// Copies what sled left to the new generation: sled itself does not sync.
fn copy_database<F: FileOps>(files: &F, from: &Path, to: &Path, stamp: &mut Stamp) -> Result<(), StoreError> {
    let mut names = Vec::new();
    for entry in from.read_dir().map_err(StoreError::file(from))? {
        let entry = entry.map_err(StoreError::file(from))?;
        let name = entry.file_name().into_string().unwrap_or_default();
        // An unfinished snapshot would stop sled from opening; a directory holds values larger than a row can be.
        if entry.path().is_file() && !name.ends_with(".generating") {
            names.push(name);
        }
    }
    names.sort();
    for name in names {
        let path = from.join(&name);
        stamp.files.push(copy_file(files, &path, to, name).map_err(StoreError::file(&path))?);
    }
    Ok(())
}

fn copy_file<F: FileOps>(files: &F, from: &Path, to: &Path, name: String) -> io::Result<FileStamp> {
    use std::io::Read;
    let mut source = fs::File::open(from)?;
    let target = to.join(&name);
    let file = files.create(&target)?;
    fs::set_permissions(&target, fs::Permissions::from_mode(0o644))?;
    let mut stamp = FileStamp { name, length: 0, crc: 0 };
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = source.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        files.write_at(&file, &buffer[..count], stamp.length)?;
        stamp.length += count as u64;
        stamp.crc = crc32c::crc32c_append(stamp.crc, &buffer[..count]);
    }
    files.sync_data(&file)?;
    Ok(stamp)
}

fn open(directory: &Path) -> Result<sled::Db, StoreError> {
    sled::Config::new()
        .path(directory)
        .cache_capacity(CACHE)
        .flush_every_ms(None)
        .open()
        .map_err(|source| StoreError::database(directory, source))
}

/// Code tables are no patient data, and the gateway that reads them runs under an account of its own.
fn share(path: &Path, mode: u32) -> Result<(), StoreError> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(StoreError::file(path))
}

/// Removes the generations that no reader opens any more.
fn tidy<F: FileOps>(store: &Store<F>, current: u64) -> io::Result<()> {
    let old = generations(&store.directory)?.into_iter().filter(|(number, _)| *number != current);
    old.into_iter().try_for_each(|(_, path)| remove_generation(&store.files, &path))
}

fn remove_generation<F: FileOps>(files: &F, directory: &Path) -> io::Result<()> {
    let entries = match directory.read_dir() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    for entry in entries {
        files.remove(&entry?.path())?;
    }
    fs::remove_dir(directory)
}

fn generations(directory: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in directory.read_dir()? {
        let entry = entry?;
        found
            .extend(entry.file_name().to_str().and_then(|name| name.parse().ok()).map(|n| (n, entry.path())));
    }
    Ok(found)
}

fn newest(directory: &Path) -> io::Result<u64> {
    Ok(generations(directory)?.into_iter().map(|(number, _)| number).max().unwrap_or(0))
}
