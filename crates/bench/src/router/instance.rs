//! A router that is measured: one input, one output.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::load::{Load, Until, run};
use super::program::{Program, Scratch, free_port};

/// Where its messages go.
#[derive(Debug)]
pub enum Out {
    /// Into files.
    Files,
    /// To a port where nobody listens.
    Nowhere(u16),
}

/// A running router.
#[derive(Debug)]
pub struct Router {
    /// Its process.
    pub program: Program,
    place: Scratch,
    executable: PathBuf,
}

impl Router {
    /// Starts the program with these options in `[DEFAULT]`.
    ///
    /// # Errors
    /// What the system says.
    pub fn start(program: &Path, options: &str, out: &Out) -> io::Result<Router> {
        Router::start_with(program, options, out, "", &[])
    }

    /// The same with further options in `[general]`, and further inputs that listen: each with its name and its options.
    ///
    /// # Errors
    /// What the system says.
    pub fn start_with(
        program: &Path,
        options: &str,
        out: &Out,
        general: &str,
        inputs: &[(&str, String)],
    ) -> io::Result<Router> {
        let place = Scratch::new("router")?;
        let (directory, port) = (place.path().join("out"), free_port()?);
        std::fs::create_dir_all(&directory)?;
        let out = match out {
            Out::Files => format!("transtech = file\nmessagedir = {}\n", directory.display()),
            Out::Nowhere(port) => {
                format!(
                    "transtech = socket\ncreateserversocket = False\nipaddr = 127.0.0.1\nport = {port}\nusehl7 = True\n"
                )
            }
        };
        let input = ("in", format!("port = {port}"));
        let (mut names, mut sections) = (String::new(), String::new());
        for (name, options) in [input].iter().chain(inputs) {
            names += &format!("{name}, ");
            sections += &format!(
                "[{name}]\ntranstech = socket\ntransdir = in\nusehl7 = True\nqueuename = q\n{options}\n"
            );
        }
        std::fs::write(
            place.path().join("socketReader.cfg"),
            format!(
                "[general]\nlogfile = {}/log\nuseconnections = {names}out\n{general}\n[DEFAULT]\n{options}\n\
                 {sections}[out]\ntransdir = out\nqueuename = q\n{out}",
                place.path().display()
            ),
        )?;
        let config = place.path().join("socketReader.cfg");
        let running = Program::listening(Command::new(program).arg("-c").arg(config), port)?;
        Ok(Router { program: running, place, executable: program.to_owned() })
    }

    /// Sends it a load.
    ///
    /// # Errors
    /// What the system says.
    pub fn load(&self, connections: usize, message: &[u8], until: Until) -> io::Result<Load> {
        run(self.program.address, connections, message, until, |_| {})
    }

    /// How many files it has written.
    ///
    /// # Errors
    /// What the system says.
    pub fn files(&self) -> io::Result<usize> {
        Ok(std::fs::read_dir(self.place.path().join("out"))?.count())
    }

    /// How many messages wait for its output, as an operator sees it.
    ///
    /// # Errors
    /// What the system or the program says.
    pub fn waiting(&self) -> io::Result<u64> {
        let config = self.place.path().join("socketReader.cfg");
        let told = Command::new(&self.executable).args(["--queues", "--json", "-c"]).arg(config).output()?;
        let found: serde_json::Value = serde_json::from_slice(&told.stdout)?;
        found["queues"][0]["pending"].as_u64().ok_or_else(|| io::Error::other("--queues tells no number"))
    }
}
