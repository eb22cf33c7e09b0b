//! Certificates for the tests, made by openssl, and many clients that look at them.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use protogen_testkit::{Dir, TestCommand};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// Somebody who signs certificates, in a directory of the test: `ca.pem` there is its own.
#[derive(Debug)]
pub struct Authority {
    name: String,
    dir: PathBuf,
}

/// A certificate and its private key, as files.
#[derive(Debug, Clone)]
pub struct Certificate {
    pub cert: PathBuf,
    pub key: PathBuf,
}

impl Certificate {
    /// The options of a connection that shows it.
    pub fn options(&self) -> String {
        format!("tls = True\ntlscert = {}\ntlskey = {}\n", self.cert.display(), self.key.display())
    }
}

fn openssl(arguments: &[&str]) {
    TestCommand::new("openssl").args(arguments).run().success();
}

impl Authority {
    pub fn new(dir: &Dir) -> Authority {
        Authority::called(dir, "ca")
    }

    pub fn called(dir: &Dir, name: &str) -> Authority {
        let authority = Authority { name: name.to_owned(), dir: dir.path().to_owned() };
        let subject = format!("/CN=Test {name}");
        let (key, cert) = (authority.file("key"), authority.file("pem"));
        openssl(&[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "3650",
            "-subj",
            &subject,
            "-keyout",
            &key,
            "-out",
            &cert,
        ]);
        authority
    }

    fn file(&self, ending: &str) -> String {
        self.dir.join(format!("{}.{ending}", self.name)).display().to_string()
    }

    /// Its own certificate.
    pub fn pem(&self) -> PathBuf {
        self.file("pem").into()
    }

    /// A certificate for these names, for 300 days.
    pub fn issue(&self, file: &str, names: &[&str]) -> Certificate {
        self.issue_for(file, names, "300", "")
    }

    /// One that ends in so many days; what is over has a negative number. `extra` are further lines of the extensions.
    pub fn issue_for(&self, file: &str, names: &[&str], days: &str, extra: &str) -> Certificate {
        let path = |ending: &str| self.dir.join(format!("{file}.{ending}")).display().to_string();
        let (key, request, cert, extensions) = (path("key"), path("csr"), path("pem"), path("ext"));
        openssl(&[
            "req",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-subj",
            "/CN=test",
            "-keyout",
            &key,
            "-out",
            &request,
        ]);
        let is_address = |name: &&str| name.parse::<std::net::IpAddr>().is_ok();
        let names: Vec<String> = names
            .iter()
            .map(|name| format!("{}:{name}", if is_address(name) { "IP" } else { "DNS" }))
            .collect();
        std::fs::write(&extensions, format!("subjectAltName = {}\n{extra}", names.join(","))).unwrap();
        let (ca, ca_key) = (self.file("pem"), self.file("key"));
        openssl(&[
            "x509",
            "-req",
            "-in",
            &request,
            "-CA",
            &ca,
            "-CAkey",
            &ca_key,
            "-days",
            days,
            "-extfile",
            &extensions,
            "-set_serial",
            "7",
            "-out",
            &cert,
        ]);
        Certificate { cert: cert.into(), key: key.into() }
    }
}

/// Clients in this process, for more of them than there can be processes.
#[derive(Debug)]
pub struct TlsClients(Arc<ClientConfig>);

impl TlsClients {
    /// They trust who this certificate vouches for.
    pub fn trusting(authority: &Path) -> TlsClients {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(authority).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        TlsClients(Arc::new(config))
    }

    /// Goes through the handshake with localhost.
    pub fn connect(&self, mut stream: TcpStream) -> StreamOwned<ClientConnection, TcpStream> {
        let name = ServerName::try_from("localhost").unwrap();
        let mut client = ClientConnection::new(Arc::clone(&self.0), name).unwrap();
        while client.is_handshaking() || client.wants_write() {
            client.complete_io(&mut stream).unwrap();
        }
        StreamOwned::new(client, stream)
    }
}
