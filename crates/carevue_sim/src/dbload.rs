//! dbload: entities from a file, `Class` TAB `attr=value` TAB `attr=value` … a line.

use anyhow::{Context, Result, bail};

use crate::idb;
use crate::state::{Entity, State};

/// The most that is read of a file, in bytes.
pub(crate) const MAX_FILE: usize = 16 << 20;

/// Loads the entities of a file, all or none; gives their number. An empty value is NULL.
pub(crate) fn load(state: &mut State, text: &str) -> Result<usize> {
    let mut count = 0;
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.is_empty()) {
        let mut columns = line.split('\t');
        let class = columns.next().unwrap_or_default();
        let place = || format!("line {}", index + 1);
        let entity = entity(columns).with_context(place)?;
        idb::insert(state, class, entity).with_context(place)?;
        count += 1;
    }
    Ok(count)
}

fn entity<'c>(columns: impl Iterator<Item = &'c str>) -> Result<Entity> {
    let mut entity = Entity::new();
    for column in columns {
        let (name, value) = column.split_once('=').context("attr=value expected, separated by tabs")?;
        if entity.contains_key(name) {
            bail!("{name} is given twice");
        }
        if !value.is_empty() {
            entity.insert(name.to_owned(), value.to_owned());
        }
    }
    Ok(entity)
}
