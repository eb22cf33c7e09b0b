//! The site of a gateway that is measured.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use protogen_bench::router::program::{Program, Scratch, free_port};

use crate::Result;

/// The site of a gateway that is measured, and the interface it sends to.
pub(crate) struct Bench {
    pub(crate) place: Scratch,
    pub(crate) interface: Program,
    started: Cell<u32>,
}

impl Bench {
    pub(crate) fn new(programs: &Path, place: Scratch) -> Result<Bench> {
        let etc = place.path().join("etc");
        std::fs::create_dir_all(&etc)?;
        std::fs::write(etc.join("hl7hosts"), "127.0.0.1 * * * * *\n")?;
        std::fs::write(etc.join("cvgateway.toml"), "")?;
        for (program, table) in [("unitmgr", "units.tab"), ("labeventinfomgr", "LabEventInfo.tab")] {
            let mut command = Command::new(programs.join(program));
            command
                .stderr(Stdio::null())
                .arg("-c")
                .arg(Path::new("etc").join(table))
                .env("PG_HOME", place.path());
            if !command.status()?.success() {
                return Err(format!("{program} has failed").into());
            }
        }
        let interface = Program::announced(Command::new(std::env::current_exe()?).arg("bare"))?;
        Ok(Bench { place, interface, started: Cell::new(0) })
    }

    /// A gateway; `program` is told its port, its interface and its facility. Each has a facility and so a journal of its
    /// own: to remove one costs the file system much that would be counted for the next.
    pub(crate) fn start(
        &self,
        program: impl FnOnce(&str, &str, &str) -> io::Result<Command>,
    ) -> Result<Program> {
        let interface = self.interface.address.port().to_string();
        let facility = self.new_facility();
        self.launch(|port| program(port, &interface, &facility))
    }

    /// One whose census is answered within its own process.
    pub(crate) fn gateway(&self) -> Result<Program> {
        self.gateway_of(self.interface.address, &self.new_facility())
    }

    /// The same with this interface, for this facility.
    pub(crate) fn gateway_of(&self, interface: SocketAddr, facility: &str) -> Result<Program> {
        self.launch(|port| {
            let mut command = Command::new(std::env::current_exe()?);
            command.args(["gateway", port, &format!("{}%127.0.0.1", interface.port()), facility]);
            Ok(command)
        })
    }

    /// A facility that no gateway had yet.
    pub(crate) fn new_facility(&self) -> String {
        self.started.set(self.started.get() + 1);
        format!("UNIT_{}", self.started.get())
    }

    fn launch(&self, program: impl FnOnce(&str) -> io::Result<Command>) -> Result<Program> {
        let port = free_port()?;
        let mut command = program(&port.to_string())?;
        command.env("PG_HOME", self.place.path()).env("RUST_LOG", "warn");
        command.env_remove("PG_CODELIB").env_remove("NOTIFY_SOCKET");
        Ok(Program::listening(&mut command, port)?)
    }
}
