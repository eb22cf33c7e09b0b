//! carevue-sim(1): the commands, the FSI, and what kill -9 leaves.

mod commands;
mod crash;
mod fsi;

use protogen_testkit::{Daemon, TestCommand};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use crate::support::carevue_sim;

/// Its FSI on a free port, and where that is.
fn serve(state: &Path) -> (Daemon, SocketAddr) {
    let daemon = Daemon::start(&carevue_sim(state).args(["serve", "--port", "0", "--host", "127.0.0.1"]));
    let listening =
        daemon.states().iter().find_map(|line| line.strip_prefix("STATUS=listening on ")).unwrap();
    let address = listening.parse().unwrap();
    (daemon, address)
}

/// One ILLP transaction; what was read before the end, or the error.
fn transact(address: SocketAddr, request: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.write_all(request)?;
    stream.shutdown(Shutdown::Write)?;
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply)?;
    Ok(reply)
}

/// MSA-1 to MSA-3 of the reply.
#[track_caller]
fn verdict(address: SocketAddr, request: &[u8]) -> String {
    let reply = String::from_utf8_lossy(&transact(address, request).unwrap()).into_owned();
    let msa = reply.split("\rMSA|").nth(1).unwrap_or_else(|| panic!("no MSA: {reply:?}"));
    msa.trim_end_matches('\r').to_owned()
}

/// An ADT message of this event in CareVue's dialect.
fn adt(event: &str, recno: &str, bed: &str) -> Vec<u8> {
    let place = bed.split_once('-').map(|(room, bed)| format!("IOP^{room}^{bed}")).unwrap_or_default();
    format!(
        "MSH|^~\\&|CVGATEWAY|060_IOP|ADT|060_IOP|19960102||ADT^{event}|{recno}|P|2.1\r\
         PID|||{recno}\rPV1|||{place}\rZDM|Noname|Eva|5|{recno}\r"
    )
    .into_bytes()
}

fn census(state: &Path) -> String {
    carevue_sim(state).arg("census").run().success().stdout()
}

/// A link to the program, as on a CareVue host.
fn linked(state: &Path, name: &str) -> TestCommand {
    TestCommand::new(state.join("bin").join(name)).env("CAREVUE_SIM_STATE", state)
}
