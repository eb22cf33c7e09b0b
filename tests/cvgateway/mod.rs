//! The gateway, as its senders and its administrator see it.

mod adt;
mod bounds;
mod cases;
mod crash;
mod golden;
mod life;
mod oru;
mod program;
mod rows;
pub mod support;
mod ward;
