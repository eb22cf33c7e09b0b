//! Benchmarks, side by side with other engines and libraries, and the table that `scripts/bench` prints of them.

pub mod dead_server;
pub mod report;
pub mod router;
