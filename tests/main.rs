//! The one integration test binary: every program as its users run it.
