//! TLS: the files of a connection, and streams that speak it or not.
//!
//! rustls speaks it, over ring. What it cannot read it refuses: versions before 1.2, handshake messages beyond 64 KiB.

mod channel;
mod files;
mod trust;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub(crate) use channel::{Channel, is_of_tls};
pub(crate) use files::Fault;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection};

use crate::config::Tls;
use files::Identity;

/// A certificate that ends sooner than this needs a person.
const SOON: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// What a connection needs to begin TLS with a peer: its files, read and found to fit together.
#[derive(Debug)]
pub(crate) struct Context {
    side: Side,
    /// Of our own certificates, the first that ends.
    ends: Option<SystemTime>,
    warnings: Vec<(&'static str, String)>,
}

#[derive(Debug)]
enum Side {
    Server(Arc<ServerConfig>),
    Client(Arc<ClientConfig>, ServerName<'static>),
}

impl Context {
    /// Reads the files.
    ///
    /// # Errors
    /// The option whose file cannot be used, and why.
    pub(crate) fn load(settings: &Tls, server: bool) -> Result<Context, Fault> {
        let provider = Arc::new(ring::default_provider());
        let identity = Identity::load(settings)?;
        let (ends, mut warnings) = identity
            .as_ref()
            .map_or_else(Default::default, |identity| (identity.ends, identity.warnings.clone()));
        if let Some(text) = ends.and_then(|ends| ending(ends, SystemTime::now())) {
            warnings.push(("tlscert", text));
        }
        let side = if server {
            Side::Server(Arc::new(server_side(settings, &provider, identity)?))
        } else {
            let name = ServerName::try_from(settings.name.clone()).map_err(|_| Fault {
                option: "tlsname",
                text: format!("{}: no certificate can have this name; state the host's", settings.name),
            })?;
            Side::Client(Arc::new(client_side(settings, &provider, identity)?), name)
        };
        Ok(Context { side, ends, warnings })
    }

    /// Begins with a peer.
    ///
    /// # Errors
    /// None is known for settings that were loaded.
    pub(crate) fn begin(&self) -> Result<Connection, rustls::Error> {
        match &self.side {
            Side::Server(config) => ServerConnection::new(Arc::clone(config)).map(Connection::from),
            Side::Client(config, name) => {
                ClientConnection::new(Arc::clone(config), name.clone()).map(Connection::from)
            }
        }
    }

    /// What is odd about the files, each with its option.
    pub(crate) fn warnings(&self) -> impl Iterator<Item = (&'static str, String)> {
        self.warnings.iter().cloned()
    }

    /// When the first of our own certificates ends.
    pub(crate) fn ends(&self) -> Option<SystemTime> {
        self.ends
    }

    /// What to tell about a certificate that has ended, or soon will.
    pub(crate) fn ending(&self, now: SystemTime) -> Option<String> {
        self.ends.and_then(|ends| ending(ends, now))
    }
}

fn ending(ends: SystemTime, now: SystemTime) -> Option<String> {
    let day = jiff::Timestamp::try_from(ends).unwrap_or_default().strftime("%Y-%m-%d %H:%M UTC").to_string();
    match ends.duration_since(now) {
        Err(_) => {
            Some(format!("the certificate has ended on {day}, peers refuse it; renew it, then send SIGHUP"))
        }
        Ok(left) if left < SOON => {
            Some(format!("the certificate ends on {day}; renew it in time, then send SIGHUP"))
        }
        Ok(_) => None,
    }
}

fn server_side(
    settings: &Tls,
    provider: &Arc<CryptoProvider>,
    identity: Option<Identity>,
) -> Result<ServerConfig, Fault> {
    let missing = || Fault { option: "tls", text: "tls = True needs tlscert".to_owned() };
    let Identity { chain, key, .. } = identity.ok_or_else(missing)?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| Fault::of("tls", &error))?;
    let builder = if settings.verify {
        builder.with_client_cert_verifier(trust::clients(&settings.ca, provider)?)
    } else {
        builder.with_no_client_auth()
    };
    builder.with_single_cert(chain, key).map_err(|error| Fault::of("tlskey", &error))
}

fn client_side(
    settings: &Tls,
    provider: &Arc<CryptoProvider>,
    identity: Option<Identity>,
) -> Result<ClientConfig, Fault> {
    let builder = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| Fault::of("tls", &error))?;
    let builder = if settings.verify {
        builder.with_root_certificates(trust::roots(&settings.ca)?)
    } else {
        builder.dangerous().with_custom_certificate_verifier(trust::anybody(provider))
    };
    match identity {
        None => Ok(builder.with_no_client_auth()),
        Some(Identity { chain, key, .. }) => {
            builder.with_client_auth_cert(chain, key).map_err(|error| Fault::of("tlskey", &error))
        }
    }
}
