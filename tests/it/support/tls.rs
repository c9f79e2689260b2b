//! Certificates, and real TLS servers in front of the stand-ins.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    date_time_ymd,
};
use rustix::event::{PollFd, PollFlags, poll};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, SupportedProtocolVersion};

use super::http::Server;
use super::port::Acceptor;

pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    der: CertificateDer<'static>,
    pub(crate) pem: String,
}

pub(crate) struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key_der: Vec<u8>,
    pub(crate) cert: String,
    pub(crate) key: String,
}

impl Authority {
    /// A new one, which is not trusted.
    pub(crate) fn new() -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Authority {
            der: certificate.der().clone(),
            pem: certificate.pem(),
            issuer: Issuer::new(params, key),
        }
    }

    /// A certificate for a host, or for a client.
    pub(crate) fn certify(&self, name: &str) -> Identity {
        self.sign(CertificateParams::new([name.to_owned()]).unwrap())
    }

    /// One whose time is over.
    pub(crate) fn certify_until_yesterday(&self, name: &str) -> Identity {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_after = date_time_ymd(2020, 1, 1);
        self.sign(params)
    }

    fn sign(&self, mut params: CertificateParams) -> Identity {
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Identity {
            chain: vec![certificate.der().clone()],
            key_der: key.serialize_der(),
            cert: certificate.pem(),
            key: key.serialize_pem(),
        }
    }
}

/// What a TLS server shows, and what it requires.
pub(crate) struct Door<'a> {
    pub(crate) identity: &'a Identity,
    /// Clients need a certificate of this authority.
    pub(crate) clients: Option<&'a Authority>,
    pub(crate) versions: &'a [&'static SupportedProtocolVersion],
}

impl<'a> Door<'a> {
    pub(crate) fn of(identity: &'a Identity) -> Door<'a> {
        Door {
            identity,
            clients: None,
            versions: rustls::ALL_VERSIONS,
        }
    }

    /// One for those that this authority has certified.
    pub(crate) fn for_clients_of(self, authority: &'a Authority) -> Door<'a> {
        let clients = Some(authority);
        Door { clients, ..self }
    }

    fn config(&self) -> ServerConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(self.versions)
            .unwrap();
        let builder = match self.clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.der.clone()).unwrap();
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build();
                builder.with_client_cert_verifier(verifier.unwrap())
            }
        };
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.identity.key_der.clone()));
        let chain = self.identity.chain.clone();
        builder.with_single_cert(chain, key).unwrap()
    }
}

/// A TLS server that passes on what it decrypts to a stand-in.
pub(crate) struct Front {
    acceptor: Acceptor,
    passed: Arc<AtomicUsize>,
}

impl Front {
    pub(crate) fn open(behind: &Server, door: &Door<'_>) -> Front {
        let passed = Arc::<AtomicUsize>::default();
        let (config, behind) = (Arc::new(door.config()), behind.address());
        let acceptor = Acceptor::start({
            let passed = passed.clone();
            move |stream| relay(stream, config.clone(), behind, &passed)
        });
        Front { acceptor, passed }
    }

    /// `https://NAME:PORT`: the name is one that leads to loopback.
    pub(crate) fn url(&self, name: &str) -> String {
        format!("https://{name}:{}", self.acceptor.address.port())
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.acceptor.address
    }

    /// How many connections were let through.
    pub(crate) fn passed(&self) -> usize {
        self.passed.load(Ordering::SeqCst)
    }
}

fn relay(
    mut client: TcpStream,
    config: Arc<ServerConfig>,
    behind: SocketAddr,
    passed: &AtomicUsize,
) -> io::Result<()> {
    let mut tls = ServerConnection::new(config).map_err(io::Error::other)?;
    while tls.is_handshaking() {
        if let Err(error) = tls.complete_io(&mut client) {
            refuse(&mut tls, &mut client)?;
            return Err(error);
        }
    }
    passed.fetch_add(1, Ordering::SeqCst);
    let mut behind = TcpStream::connect(behind)?;
    let mut bytes = vec![0; 64 * 1024];
    loop {
        // Some of it can have come along with the handshake.
        let state = tls.process_new_packets().map_err(io::Error::other)?;
        let length = state.plaintext_bytes_to_read().min(bytes.len());
        tls.reader().read_exact(&mut bytes[..length])?;
        behind.write_all(&bytes[..length])?;
        while tls.wants_write() {
            tls.write_tls(&mut client)?;
        }
        let mut ready = [
            PollFd::new(&client, PollFlags::IN),
            PollFd::new(&behind, PollFlags::IN),
        ];
        poll(&mut ready, None)?;
        let [from_client, from_behind] = ready.map(|fd| !fd.revents().is_empty());
        if from_client && tls.read_tls(&mut client)? == 0 {
            return Ok(());
        }
        if from_behind {
            let length = behind.read(&mut bytes)?;
            if length == 0 {
                tls.send_close_notify();
                tls.write_tls(&mut client)?;
                return Ok(());
            }
            tls.writer().write_all(&bytes[..length])?;
        }
    }
}

/// Sends the alert that says why, and lets the client read it: a socket that is closed with bytes
/// unread would send a reset.
fn refuse(tls: &mut ServerConnection, client: &mut TcpStream) -> io::Result<()> {
    while tls.wants_write() {
        tls.write_tls(client)?;
    }
    client.shutdown(Shutdown::Write)?;
    client.set_read_timeout(Some(Duration::from_secs(5)))?;
    io::copy(client, &mut io::sink()).map(drop)
}
