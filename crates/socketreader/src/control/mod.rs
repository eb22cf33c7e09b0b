//! The operator's hands: what is asked of a running daemon, or done while it is down.

mod client;
mod perform;
mod queues;
pub(crate) mod select;
mod server;
mod show;
mod table;

pub(crate) use client::{follow, perform, queues};
pub(crate) use perform::Change;
pub(crate) use queues::live as live_queues;
pub(crate) use server::start;
pub(crate) use show::{export, show};
