//! A fresh directory for a test.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A directory of mode 0700 that is removed when the test passes, and kept and printed when it fails.
#[derive(Debug)]
pub struct Dir {
    directory: Option<TempDir>,
    path: PathBuf,
}

impl Dir {
    /// Makes one, named after the test.
    #[must_use]
    pub fn new() -> Dir {
        let test = std::thread::current().name().unwrap_or("test").replace("::", "-");
        let directory = tempfile::Builder::new().prefix(&format!("{test}-")).tempdir();
        let directory = directory.expect("a temporary directory for the test");
        let path = directory.path().canonicalize().expect("the path of the temporary directory");
        Dir { directory: Some(directory), path }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A path in it.
    #[must_use]
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }

    /// Writes a file, with the directories it needs, and gives its path.
    pub fn write(&self, name: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).unwrap_or_else(|error| panic!("{}: {error}", parent.display()));
        }
        std::fs::write(&path, bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        path
    }

    /// Writes an executable shell script and gives its path.
    pub fn script(&self, name: impl AsRef<Path>, body: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = self.write(name, format!("#!/bin/sh\n{body}"));
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&path, mode).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        path
    }

    /// Makes a directory and gives its path.
    pub fn make(&self, name: impl AsRef<Path>) -> PathBuf {
        let path = self.join(name);
        std::fs::create_dir_all(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        path
    }

    /// Reads a file.
    #[must_use]
    pub fn read(&self, name: impl AsRef<Path>) -> Vec<u8> {
        let path = self.join(name);
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Reads a file as text.
    #[must_use]
    pub fn text(&self, name: impl AsRef<Path>) -> String {
        String::from_utf8_lossy(&self.read(name)).into_owned()
    }

    /// The names in a directory, sorted.
    #[must_use]
    pub fn list(&self, name: impl AsRef<Path>) -> Vec<String> {
        let path = self.join(name);
        let entries = path.read_dir().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut names: Vec<String> = entries
            .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()))
            .collect::<Result<_, _>>()
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        names.sort();
        names
    }
}

impl Default for Dir {
    fn default() -> Dir {
        Dir::new()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(directory) = self.directory.take()
        {
            eprintln!("the test's directory is kept: {}", directory.keep().display());
        }
    }
}
