//! The `llpdrv` program between a line and ILLP.

mod contention;
mod distal;
mod media;
mod proximal;
mod reopen;
mod roles;
mod support;
