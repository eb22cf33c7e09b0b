//! The messages to send, each ready with its control id.

use crate::Status;
use crate::input;
use protogen_core::hl7::Message;
use std::ops::Range;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

/// A message of the files, and where its control id stands.
struct Template {
    bytes: Vec<u8>,
    id: Option<Range<usize>>,
}

/// The messages of the files, over and over until the count is reached.
///
/// They are held in memory, all of them.
pub(crate) struct Messages {
    templates: Vec<Template>,
    given: u64,
    total: u64,
    /// What own control ids begin with: they differ between runs.
    prefix: Option<String>,
}

impl Messages {
    /// Reads the files; none if there is no message, which has been said then.
    pub(crate) fn read(
        files: &[PathBuf],
        max_size: usize,
        count: Option<u64>,
        own_ids: bool,
    ) -> anyhow::Result<Option<Messages>> {
        let mut templates = Vec::new();
        let status = input::each_message(files, max_size, |message, item, _| {
            let id = message.at(0).and_then(|msh| msh.field_span(10));
            templates.push(Template { bytes: item.body().to_vec(), id });
            Ok(Status::Done)
        })?;
        // A file with a message that cannot be read is not sent in part.
        if status != Status::Done {
            return Ok(None);
        }
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        let prefix = own_ids.then(|| format!("{:X}.{:X}.", seconds, std::process::id()));
        let total = count.unwrap_or(templates.len() as u64);
        Ok(Some(Messages { templates, given: 0, total, prefix }))
    }

    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    pub(crate) fn is_over(&self) -> bool {
        self.given == self.total
    }

    /// Writes the next message to `out` and gives its control id; none if all were given.
    pub(crate) fn next(&mut self, out: &mut Vec<u8>) -> Option<Vec<u8>> {
        if self.is_over() {
            return None;
        }
        let template = &self.templates[(self.given % self.templates.len() as u64) as usize];
        self.given += 1;
        out.clear();
        match (&self.prefix, &template.id) {
            (Some(prefix), Some(span)) => {
                let id = format!("{prefix}{}", self.given).into_bytes();
                out.extend_from_slice(&template.bytes[..span.start]);
                out.extend_from_slice(&id);
                out.extend_from_slice(&template.bytes[span.end..]);
                Some(id)
            }
            _ => {
                out.extend_from_slice(&template.bytes);
                Some(
                    Message::parse(&template.bytes)
                        .map(|message| message.control_id().to_vec())
                        .unwrap_or_default(),
                )
            }
        }
    }
}
