//! Whose certificates are taken.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::files::{Fault, certificates};

/// The longest file of certificates that are trusted, in bytes: Debian's has some 220,000.
const MAX_TRUSTED: usize = 4 << 20;

/// The certificates of a file, to be trusted.
pub(super) fn roots(file: &Path) -> Result<RootCertStore, Fault> {
    let mut store = RootCertStore::empty();
    let (taken, _) = store.add_parsable_certificates(certificates("tlsca", file, MAX_TRUSTED)?);
    if taken == 0 {
        let text = format!("{}: none of its certificates can be used", file.display());
        return Err(Fault { option: "tlsca", text });
    }
    Ok(store)
}

/// Clients must show a certificate that one of these vouches for.
pub(super) fn clients(
    file: &Path,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, Fault> {
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots(file)?), Arc::clone(provider))
        .build()
        .map_err(|error| Fault::of("tlsca", &error))
}

/// Every server is taken, as `tlsverify = False` asks for; it must have the key of the certificate that it shows.
pub(super) fn anybody(provider: &Arc<CryptoProvider>) -> Arc<dyn ServerCertVerifier> {
    Arc::new(Anybody(Arc::clone(provider)))
}

#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
