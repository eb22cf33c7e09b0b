//! The load over TLS.

use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::load::{Load, answer, connect};

/// Makes a certificate of its own signature for localhost, by openssl: `tls.pem` and `tls.key` in a directory.
///
/// # Errors
/// What the system says, or that openssl failed.
pub fn certificate(directory: &Path) -> io::Result<()> {
    let arguments = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 300 -subj /CN=localhost \
                     -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE \
                     -keyout tls.key -out tls.pem";
    let made = Command::new("openssl")
        .args(arguments.split_whitespace())
        .current_dir(directory)
        .stderr(Stdio::null())
        .status()?;
    if made.success() { Ok(()) } else { Err(io::Error::other("openssl makes no certificate")) }
}

/// Sends `count` messages over so many connections, each with one message under way.
///
/// # Errors
/// What the system says, also a peer that closes or whose certificate is not this one.
pub fn run(
    address: std::net::SocketAddr,
    certificate: &Path,
    connections: usize,
    message: &[u8],
    count: u64,
) -> io::Result<Load> {
    let mut roots = RootCertStore::empty();
    let trusted = CertificateDer::from_pem_file(certificate).map_err(io::Error::other)?;
    roots.add(trusted).map_err(io::Error::other)?;
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let config = Arc::new(config);
    let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
    let mut streams = Vec::new();
    for stream in connect(address, connections)? {
        let client = ClientConnection::new(Arc::clone(&config), name.clone()).map_err(io::Error::other)?;
        streams.push(StreamOwned::new(client, stream));
    }
    let frame = [b"\x0B", message, b"\x1C\r"].concat();
    let mut buffer = vec![0; 64 << 10];
    let mut load = Load { accepted: 0, held_back: 0, time: Duration::ZERO, longest: Duration::ZERO };
    let begun = Instant::now();
    while load.accepted < count {
        let round = Instant::now();
        for stream in &mut streams {
            stream.write_all(&frame)?;
        }
        for stream in &mut streams {
            load.accepted += u64::from(answer(stream, &mut buffer)?);
        }
        load.longest = load.longest.max(round.elapsed());
    }
    load.time = begun.elapsed();
    Ok(load)
}
