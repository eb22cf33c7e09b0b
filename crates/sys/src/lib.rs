//! Everything that touches the operating system, for the programs of this workspace.
//!
//! - running: [`event_loop`], [`connection`], [`daemon`], [`pid_file`], [`sd_notify`], [`exit`], [`log`], [`child`],
//!   [`coprocess`], [`open_files`]
//! - lines and users: [`tty`], [`unix_socket`], [`terminal`]
//! - files: [`files`], [`access`], [`directory_watch`], [`durable`], [`spool`], [`lock`], [`toml_file`]
//! - the site: [`site`], [`services`], [`illp`], [`hl7hosts`], [`mail`], [`carevue`]
//!
//! A failure is a value that names the file and says what to do next; nothing here ends the process. Files are made
//! with mode 0600 and directories with 0700, since they may hold patient data; a function that does otherwise says so.

pub mod access;
pub mod carevue;
pub mod child;
pub mod connection;
pub mod coprocess;
pub mod daemon;
pub mod directory_watch;
pub mod durable;
pub mod event_loop;
pub mod exit;
pub mod files;
pub mod hl7hosts;
pub mod illp;
pub mod lock;
pub mod log;
pub mod mail;
pub mod open_files;
pub mod pid_file;
pub mod priority;
pub mod sd_notify;
pub mod services;
pub mod site;
pub mod spool;
pub mod terminal;
pub mod toml_file;
pub mod tty;
pub mod unix_socket;
mod unsafe_calls;
