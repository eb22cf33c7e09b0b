//! The `llpdrv` program between a line and ILLP.

mod contention;
mod distal;
mod faults;
mod media;
mod proximal;
mod reopen;
mod roles;
mod stations;
mod support;
