//! How many files and sockets the process may have open.

use std::io;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Makes room for `wanted` open files, as far as the hard limit allows, and gives the limit that holds then. The soft limit
/// is never lowered: it is 1,024 by tradition, and programs that need more ask for it (setrlimit(2)).
///
/// # Errors
/// What the system says.
pub fn raise_limit(wanted: u64) -> io::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let raised = wanted.clamp(soft.min(hard), hard);
    if raised > soft {
        setrlimit(Resource::RLIMIT_NOFILE, raised, hard)?;
    }
    Ok(raised.max(soft))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_and_never_lowered() {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        assert_eq!(raise_limit(1).unwrap(), soft);
        assert_eq!(raise_limit(soft + 1).unwrap(), hard.min(soft + 1));
        assert_eq!(raise_limit(u64::MAX).unwrap(), hard);
        assert_eq!(getrlimit(Resource::RLIMIT_NOFILE).unwrap(), (hard, hard));
    }
}
