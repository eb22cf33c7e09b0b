//! A small file system that a test can fill.

use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

/// A file system in memory, unmounted when dropped.
#[derive(Debug)]
pub struct Tmpfs {
    path: PathBuf,
}

impl Tmpfs {
    /// Mounts one of `kib` KiB on `path`, which is made.
    ///
    /// # Errors
    /// When this account may not mount; the text says so, for [`not_tested`](crate::not_tested).
    pub fn mount(path: &Path, kib: usize) -> Result<Tmpfs, String> {
        std::fs::create_dir_all(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let options = format!("size={kib}k,mode=0700");
        mount(Some("tmpfs"), path, Some("tmpfs"), MsFlags::empty(), Some(options.as_str())).map_err(
            |error| {
                format!(
                    "{}: cannot mount a file system: {error}; it takes root or a user namespace",
                    path.display()
                )
            },
        )?;
        Ok(Tmpfs { path: path.to_owned() })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file until the file system is full, and gives its path; remove it to make room.
    ///
    /// # Panics
    /// When it does not get full.
    #[must_use]
    pub fn fill(&self) -> PathBuf {
        use std::io::Write;
        let path = self.path.join("fill");
        let mut file = std::fs::File::create(&path).expect("a file to fill the file system with");
        // The last pieces are single bytes, so that nothing is left.
        for size in [65536, 4096, 1] {
            let piece = vec![0x46; size];
            while file.write_all(&piece).is_ok() {}
        }
        path
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // Lazily: a process of a failed test may still hold a file.
        if let Err(error) = umount2(&self.path, MntFlags::MNT_DETACH) {
            eprintln!("{}: cannot unmount: {error}", self.path.display());
        }
    }
}
