//! What the tables have in common: rows of text fields, a key, and fields that are indexed.

use std::ops::ControlFlow;

use protogen_sys::files::{FileOps, RealFiles};

use crate::read::{Notices, Source};
use crate::store::{Reader, Store, StoreError};

/// The longest row of a table file, in bytes.
pub const MAX_ROW: usize = 64 << 10;

/// A row: text fields without NUL, of [`MAX_ROW`] bytes together at most.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Row {
    /// Each field, ended by NUL.
    text: String,
}

impl Row {
    /// A row of these fields.
    pub fn of<'a>(fields: impl IntoIterator<Item = &'a str>) -> Row {
        let mut row = Row::default();
        fields.into_iter().for_each(|field| row.push(field));
        row
    }

    /// Adds a field. A NUL in it is left out: no table file can hold one.
    pub fn push(&mut self, field: &str) {
        self.text.extend(field.chars().filter(|c| *c != '\0'));
        self.text.push('\0');
    }

    /// The fields.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.text.split_terminator('\0')
    }

    /// A field by its place, from 0; empty if the row has fewer.
    #[must_use]
    pub fn field(&self, place: usize) -> &str {
        self.fields().nth(place).unwrap_or_default()
    }

    /// The same row with one field replaced.
    #[must_use]
    pub fn with(&self, place: usize, value: &str) -> Row {
        Row::of(self.fields().enumerate().map(|(at, field)| if at == place { value } else { field }))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// The row of a compiled table.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Row {
        Row { text: String::from_utf8_lossy(bytes).into_owned() }
    }
}

/// A column.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Its name in the manual.
    pub name: &'static str,
    /// Other names that it goes by.
    pub aliases: &'static [&'static str],
    /// Whether a query may begin with it.
    pub index: Index,
}

/// How a field is indexed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Index {
    /// Not at all.
    None,
    /// By its whole value; an empty one is not found.
    Value,
    /// By each of its entries, which semicolons separate.
    Entries,
}

impl Field {
    /// A field that is not indexed.
    pub(crate) const fn plain(name: &'static str, aliases: &'static [&'static str]) -> Field {
        Field { name, aliases, index: Index::None }
    }

    /// A field that is indexed by its value.
    pub(crate) const fn indexed(name: &'static str, aliases: &'static [&'static str]) -> Field {
        Field { name, aliases, index: Index::Value }
    }

    /// Whether it goes by this name, in any case.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        std::iter::once(&self.name).chain(self.aliases).any(|own| own.eq_ignore_ascii_case(name))
    }

    /// What a clause on this field compares: the value, or each entry.
    pub(crate) fn terms<'v>(&self, value: &'v str) -> impl Iterator<Item = &'v str> {
        let separator = if self.index == Index::Entries { ';' } else { '\0' };
        value.split(separator).map(str::trim_ascii)
    }
}

/// A kind of table: its file format, its fields, its key. The key is always the first field.
pub trait Kind {
    /// The directory of the compiled table below the code library.
    fn database(&self) -> &'static str;

    /// The columns, in the order of the file.
    fn fields(&self) -> &'static [Field];

    /// The key that a row is stored and sorted under, from the text of its first field; `None` if that is none.
    fn key(&self, text: &str) -> Option<Vec<u8>>;

    /// Reads a table file: hands each row to `each` with the line it begins on, and tells what is wrong to `notices`.
    ///
    /// # Errors
    /// What `each` reports, or the system on reading.
    fn read(
        &self,
        source: &mut Source,
        notices: &mut Notices<'_>,
        each: &mut dyn FnMut(u32, Row, &mut Notices<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError>;

    /// Appends the row as a line of a table file, which [`read`](Kind::read) reads as the same row.
    fn write(&self, row: &Row, to: &mut Vec<u8>);
}

/// A compiled table, opened.
#[derive(Debug)]
pub struct Table<K> {
    kind: K,
    reader: Reader,
}

impl<K: Kind> Table<K> {
    /// Opens the table below the code library `codes` (see `Site::codes`).
    ///
    /// # Errors
    /// As [`Store::read`].
    pub fn open(kind: K, codes: &std::path::Path) -> Result<Table<K>, StoreError> {
        let reader = store(&kind, codes).read()?;
        Ok(Table { kind, reader })
    }

    /// Its kind.
    pub fn kind(&self) -> &K {
        &self.kind
    }

    pub(crate) fn reader(&self) -> &Reader {
        &self.reader
    }

    /// How many rows it has.
    pub fn rows(&self) -> u64 {
        self.reader.rows()
    }

    /// The row with this key, as its first field spells it.
    ///
    /// # Errors
    /// As [`Reader::get`].
    pub fn get(&self, key: &str) -> Result<Option<Row>, StoreError> {
        let Some(key) = self.kind.key(key) else { return Ok(None) };
        Ok(self.reader.get(&key)?.map(|row| Row::from_bytes(&row)))
    }

    /// The rows that have this term in the indexed field at this place (from 0), in the order of their keys.
    ///
    /// # Errors
    /// As [`Reader::get`].
    pub fn with_term(&self, field: usize, term: &str) -> Result<Vec<Row>, StoreError> {
        let keys = self.reader.with_term(field as u8, term.as_bytes())?;
        self.rows_of(&keys)
    }

    pub(crate) fn rows_of(&self, keys: &[Vec<u8>]) -> Result<Vec<Row>, StoreError> {
        let mut rows = Vec::with_capacity(keys.len());
        for key in keys {
            rows.extend(self.reader.get(key)?.map(|row| Row::from_bytes(&row)));
        }
        Ok(rows)
    }

    /// Hands every row to `each`, in the order of the keys, until it breaks off.
    ///
    /// # Errors
    /// As [`Reader::get`].
    pub fn each(&self, mut each: impl FnMut(Row) -> ControlFlow<()>) -> Result<(), StoreError> {
        self.reader.each(|_, row| each(Row::from_bytes(row)))
    }
}

/// The store of a kind of table below the code library.
pub fn store<K: Kind>(kind: &K, codes: &std::path::Path) -> Store<RealFiles> {
    Store::new(codes.join(kind.database()))
}

/// The terms of a row, for [`crate::store::Writer::commit`]. The key's text is a term too, for queries of how it begins.
pub(crate) fn terms<K: Kind>(kind: &K, row: &[u8], each: &mut dyn FnMut(u8, &[u8])) {
    let row = String::from_utf8_lossy(row);
    let values = row.split_terminator('\0');
    for (place, (field, value)) in (0..).zip(kind.fields().iter().zip(values)) {
        if place == 0 || field.index != Index::None {
            let terms = field.terms(value).filter(|term| !term.is_empty());
            terms.for_each(|term| each(place, term.as_bytes()));
        }
    }
}

/// Commits a change of this kind of table.
pub(crate) fn commit<K: Kind, F: FileOps>(
    kind: &K,
    writer: crate::store::Writer<'_, F>,
) -> Result<u64, StoreError> {
    writer.commit(|row, each| terms(kind, row, each))
}
