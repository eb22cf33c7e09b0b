//! The HL7 v2 message in its "encoding rules 7" form (HL7 v2 chapter 2).
//!
//! A [`Message`] is a view over bytes: parsing finds segments and fields in one pass and copies nothing. A
//! [`Path`] names a place, a [`Value`] is what stands there. An [`Editor`] changes a message and leaves every
//! other byte alone. A [`Splitter`] cuts a stream into messages, an [`Acknowledgment`] answers one, a [`Filter`]
//! says whether one is wanted.

mod ack;
mod batch;
mod charset;
mod check;
mod continuation;
mod delimiters;
mod diff;
mod edit;
mod error;
mod escape;
mod filter;
mod header;
mod index;
mod message;
mod names;
mod network;
mod path;
mod readable;
mod sequence;
mod split;
mod value;
mod version;

pub use ack::{
    AckCode, Acknowledgment, Condition, ErrorCode, ErrorDetail, Mode, Outcome, is_acknowledgment,
    reject_unreadable,
};
pub use batch::{BatchCheck, BatchFault, answering_header, trailer};
pub use charset::{CharacterSet, UnknownCharacterSet};
pub use check::{Finding, MAX_FINDINGS, Severity, check};
pub use continuation::{Continued, Style, continued, continues, join_added};
pub use delimiters::{CR, Delimiters, LF, NULL, Width};
pub use diff::{Difference, diff};
pub use edit::{EditError, Editor};
pub use error::{HeaderError, ParseError};
pub use escape::{EncodeError, decode, display, encode};
pub use filter::{Filter, FilterError, MAX_FILTER, MAX_FILTER_DEPTH, MAX_FILTER_TESTS};
pub use header::Accepted;
pub use index::Index;
pub use message::{Message, Segment};
pub use names::{FieldName, field_name};
pub use network::{Statistics, answer as answer_network_management, is_network_management};
pub use path::{Path, PathError};
pub use readable::{readable, readable_lines};
pub use sequence::{AfterAnswer, Expected, Judgment, after_answer};
pub use split::{Item, Kind, MAX_MESSAGE, Splitter, TooLong, split};
pub use value::{Level, Parts, Value};
pub use version::Version;
