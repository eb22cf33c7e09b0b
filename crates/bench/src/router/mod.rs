//! The router beside floors written for it and beside other people's servers: what `bench-router` measures.

pub mod floor;
pub mod hostile;
pub mod instance;
pub mod load;
pub mod program;
pub mod tls;
