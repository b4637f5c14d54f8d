//! TLS at the public port: certificates that are read again when their files change, and clients
//! that may prove who they are.

mod certificate;
mod config;

use std::{
    io, mem,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use eso_relay::config::ConfigError;
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;

use self::config::Loaded;
pub use self::{
    certificate::{ClientCertificate, Name},
    config::{Expiry, Files, TlsConfig},
};
use crate::file_version::FileVersion;

/// The certificates in use.
pub struct Tls {
    files: Files,
    live: RwLock<Live>,
}

/// What the files held when they were read.
struct Live {
    acceptor: TlsAcceptor,
    expiry: Expiry,
    versions: Vec<FileVersion>,
    superseded: CancellationToken,
    /// The failure is logged already.
    failing: bool,
}

/// A connection after its handshake.
pub struct Session {
    pub stream: TlsStream<TcpStream>,
    /// `None`: the client showed no certificate.
    pub certificate: Option<Arc<ClientCertificate>>,
    /// Cancelled when the certificates are replaced: a client that the old ones admitted may only finish its
    /// request.
    pub superseded: CancellationToken,
}

/// The result of checking the files.
#[derive(Debug)]
pub enum Refresh {
    /// New connections use the new certificates.
    Replaced,
    /// The files are unusable; the previous certificates stay.
    Kept(ConfigError),
}

impl Tls {
    /// Reads every file. A missing or unusable one is an error.
    pub fn open(files: Files) -> Result<Self, ConfigError> {
        let live = RwLock::new(Live::open(&files)?);
        Ok(Self { files, live })
    }

    /// The handshake. A client certificate is asked for and not required; one that no CA of
    /// `client_ca_file` has signed ends the connection.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<Session> {
        let (acceptor, superseded) = {
            let live = self.live();
            (live.acceptor.clone(), live.superseded.clone())
        };
        let stream = acceptor.accept(stream).await?;
        let (_, connection) = stream.get_ref();
        let shown = connection.peer_certificates().and_then(<[_]>::first);
        Ok(Session {
            certificate: shown.and_then(|shown| ClientCertificate::read(shown).map(Arc::new)),
            stream,
            superseded,
        })
    }

    /// Checks the files, and reads them if one has changed. Blocks on the file system.
    pub fn refresh(&self) -> Option<Refresh> {
        let versions = self.files.versions();
        if versions.is_ok_and(|versions| versions == self.live().versions) {
            self.live_mut().failing = false;
            return None;
        }
        match Live::open(&self.files) {
            Ok(new) => {
                let old = mem::replace(&mut *self.live_mut(), new);
                old.superseded.cancel();
                Some(Refresh::Replaced)
            }
            Err(error) => {
                let said = mem::replace(&mut self.live_mut().failing, true);
                (!said).then_some(Refresh::Kept(error))
            }
        }
    }

    /// When the certificates in use expire.
    pub fn expiry(&self) -> Expiry {
        self.live().expiry
    }

    fn live(&self) -> RwLockReadGuard<'_, Live> {
        self.live.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn live_mut(&self) -> RwLockWriteGuard<'_, Live> {
        self.live.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Live {
    fn open(files: &Files) -> Result<Self, ConfigError> {
        // Taken before the files are read, so that the next check sees a change in between.
        let versions = files.versions()?;
        let Loaded { config, expiry } = files.read()?;
        Ok(Self {
            acceptor: Arc::new(config).into(),
            expiry,
            versions,
            superseded: CancellationToken::new(),
            failing: false,
        })
    }
}

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod tests;
