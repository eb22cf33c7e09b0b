//! Through a real ssh.
