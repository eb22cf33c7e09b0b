//! The HL7 v2 message in its "encoding rules 7" form (HL7 v2 chapter 2).
//!
//! A [`Message`] is a view over bytes: parsing finds segments and fields in one pass and copies nothing. A
//! [`Path`] names a place, a [`Value`] is what stands there. An [`Editor`] changes a message and leaves every
//! other byte alone.

mod charset;
mod delimiters;
mod edit;
mod error;
mod escape;
mod index;
mod message;
mod path;
mod value;

pub use charset::{CharacterSet, UnknownCharacterSet};
pub use delimiters::{CR, Delimiters, LF, NULL, Width};
pub use edit::{EditError, Editor};
pub use error::{HeaderError, ParseError};
pub use escape::{EncodeError, decode, display, encode};
pub use index::Index;
pub use message::{Message, Segment};
pub use path::{Path, PathError};
pub use value::{Level, Parts, Value};
