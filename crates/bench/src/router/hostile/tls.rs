//! Peers with TLS that do not work.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::super::load::connect;
use super::Place;

/// How long the longest certificate is, in bytes.
const LONG: usize = 1 << 20;
/// The pause between two peers that show it.
const PAUSE: Duration = Duration::from_millis(100);

/// Makes peers.
pub(super) struct Clients(Arc<ClientConfig>);

impl Clients {
    /// Those that have the router's own certificate in a directory.
    pub(super) fn new(directory: &Path) -> io::Result<Clients> {
        Clients::showing(directory, "tls")
    }

    /// Those that have `NAME.pem` and `NAME.key`, and trust the router's.
    fn showing(directory: &Path, name: &str) -> io::Result<Clients> {
        let file = |name: &str| directory.join(name);
        let read = |name: &str| CertificateDer::from_pem_file(file(name)).map_err(io::Error::other);
        let mut roots = RootCertStore::empty();
        roots.add(read("tls.pem")?).map_err(io::Error::other)?;
        let key = PrivateKeyDer::from_pem_file(file(&format!("{name}.key"))).map_err(io::Error::other)?;
        let provider = rustls::crypto::ring::default_provider();
        let key = provider.key_provider.load_private_key(key).map_err(io::Error::other)?;
        // Not looked at here: it is the router that is to refuse what is odd.
        let shown = CertifiedKey::new(vec![read(&format!("{name}.pem"))?], key);
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(roots)
            .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(shown)));
        // Each handshake is a whole one.
        config.resumption = Resumption::disabled();
        Ok(Clients(Arc::new(config)))
    }

    fn client(&self) -> io::Result<ClientConnection> {
        let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
        ClientConnection::new(Arc::clone(&self.0), name).map_err(io::Error::other)
    }

    /// One after its handshake.
    pub(super) fn connect(
        &self,
        address: SocketAddr,
    ) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
        let mut stream = connect(address, 1)?.pop().ok_or_else(|| io::Error::other("no connection"))?;
        let mut client = self.client()?;
        while client.is_handshaking() || client.wants_write() {
            client.complete_io(&mut stream)?;
        }
        Ok(StreamOwned::new(client, stream))
    }

    /// One that stays in the middle of its handshake: it does not end its hello, or does not go on from there.
    pub(super) fn begin(&self, address: SocketAddr, number: usize) -> io::Result<TcpStream> {
        let (mut client, mut hello) = (self.client()?, Vec::new());
        while client.wants_write() {
            client.write_tls(&mut hello)?;
        }
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(if number.is_multiple_of(2) { &hello } else { &hello[..hello.len() / 2] })?;
        stream.set_nonblocking(true)?;
        Ok(stream)
    }
}

/// A peer with a certificate of [`LONG`].
pub(super) struct Long {
    clients: Clients,
    address: SocketAddr,
}

impl Long {
    /// Makes the certificate, by openssl.
    pub(super) fn make(place: &Place<'_>) -> io::Result<Long> {
        let directory = place.certificates;
        let extension = "x".repeat(LONG);
        std::fs::write(
            directory.join("long.cnf"),
            format!(
                "[req]\ndistinguished_name = name\nx509_extensions = more\nprompt = no\n\
                 [name]\nCN = long\n[more]\n1.2.3.4.5 = ASN1:UTF8String:{extension}\n"
            ),
        )?;
        let arguments = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 300 \
                         -config long.cnf -keyout long.key -out long.pem";
        let made = Command::new("openssl")
            .args(arguments.split_whitespace())
            .current_dir(directory)
            .stderr(Stdio::null())
            .status()?;
        if !made.success() {
            return Err(io::Error::other("openssl makes no long certificate"));
        }
        Ok(Long { clients: Clients::showing(directory, "long")?, address: place.tls })
    }

    /// Shows it again and again until it is `over`; gives how often it was refused.
    ///
    /// # Errors
    /// What the system says, also a certificate that was taken.
    pub(super) fn come_again(&self, over: &AtomicBool) -> io::Result<usize> {
        let mut refused = 0;
        while !over.load(Ordering::Relaxed) {
            // The handshake may be over on this side before the router has seen the certificate.
            if let Ok(mut stream) = self.clients.connect(self.address)
                && io::Read::read(&mut stream, &mut [0]).is_ok_and(|count| count > 0)
            {
                return Err(io::Error::other("a certificate of 1 MB is taken"));
            }
            refused += 1;
            std::thread::sleep(PAUSE);
        }
        Ok(refused)
    }
}
