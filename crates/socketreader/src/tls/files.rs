//! The files of certificates and private keys.

use std::fmt::Display;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use protogen_sys::files::read_bounded;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::config::Tls;

/// The longest file of a certificate or a key, in bytes.
const MAX_FILE: usize = 256 << 10;

/// A file that cannot be used.
#[derive(Debug)]
pub(crate) struct Fault {
    /// The option that names it.
    pub(crate) option: &'static str,
    /// Why, and what to do.
    pub(crate) text: String,
}

impl Fault {
    pub(super) fn of(option: &'static str, error: &impl Display) -> Fault {
        Fault { option, text: format!("{option}: {error}") }
    }

    fn file(option: &'static str, file: &Path, why: impl Display) -> Fault {
        Fault { option, text: format!("{option} {}: {why}", file.display()) }
    }
}

/// Our own certificate, and what belongs to it.
pub(super) struct Identity {
    /// First ours, then those that signed it.
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
    /// When the first of the chain ends.
    pub(super) ends: Option<SystemTime>,
    pub(super) warnings: Vec<(&'static str, String)>,
}

impl Identity {
    /// Reads both files; `None` where there is no certificate to show.
    pub(super) fn load(settings: &Tls) -> Result<Option<Identity>, Fault> {
        let (Some(cert), Some(key)) = (&settings.cert, &settings.key) else { return Ok(None) };
        let chain = certificates("tlscert", cert, MAX_FILE)?;
        let mut ends = None;
        for certificate in &chain {
            let (_, parsed) = X509Certificate::from_der(certificate)
                .map_err(|error| Fault::file("tlscert", cert, format!("cannot be read: {error}")))?;
            let seconds = u64::try_from(parsed.validity().not_after.timestamp()).unwrap_or(0);
            let end = UNIX_EPOCH + Duration::from_secs(seconds);
            ends = Some(ends.map_or(end, |first: SystemTime| first.min(end)));
        }
        let mut warnings = Vec::new();
        warnings.extend(private(key)?.map(|text| ("tlskey", text)));
        let pem = read("tlskey", key, MAX_FILE)?;
        let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|error| {
            Fault::file(
                "tlskey",
                key,
                format!("no private key can be read ({error}); it must be PEM, without a passphrase"),
            )
        })?;
        Ok(Some(Identity { chain, key, ends, warnings }))
    }
}

/// A private key that others may read, or change, is no secret; those of its group are a warning.
fn private(key: &Path) -> Result<Option<String>, Fault> {
    let mode = key.metadata().map_err(|error| unreadable("tlskey", key, &error))?.permissions().mode();
    let shown = key.display();
    if mode & 0o027 != 0 {
        return Err(Fault::file(
            "tlskey",
            key,
            format!(
                "other accounts may read or change the private key (mode {:04o}); chmod 600 it, and make a new key if one did",
                mode & 0o7777
            ),
        ));
    }
    Ok((mode & 0o040 != 0).then(|| {
        format!("tlskey {shown}: its group may read the private key; chmod 600 it unless that is meant")
    }))
}

/// The certificates of a PEM file, at least one.
pub(super) fn certificates(
    option: &'static str,
    file: &Path,
    limit: usize,
) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let pem = read(option, file, limit)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let found = found.map_err(|error| Fault::file(option, file, format!("this is no PEM file: {error}")))?;
    if found.is_empty() {
        return Err(Fault::file(option, file, "there is no certificate in it; it must be PEM"));
    }
    Ok(found)
}

fn read(option: &'static str, file: &Path, limit: usize) -> Result<Vec<u8>, Fault> {
    read_bounded(file, limit).map_err(|error| unreadable(option, file, &error))
}

fn unreadable(option: &'static str, file: &Path, error: &io::Error) -> Fault {
    let why = match error.kind() {
        io::ErrorKind::NotFound => "there is no such file; correct the path".to_owned(),
        io::ErrorKind::PermissionDenied => "this account may not read it; change its owner".to_owned(),
        _ => error.to_string(),
    };
    Fault::file(option, file, why)
}
