//! The gateway, as its senders and its administrator see it.

mod cases;
mod support;
