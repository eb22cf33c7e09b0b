//! The code tables that give a result its meaning.

pub mod store;
