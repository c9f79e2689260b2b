//! `optoggles serve`: the daemon.

use std::io;
use std::net::TcpListener;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crossbeam_channel::Receiver;

use super::machine::{Machine, Signals};
use super::{Again, Exit, Stop, fail};
use crate::config::{Bind, Config};
use crate::engine::Mode;
use crate::http::look_up;
use crate::secret::Secret;
use crate::server::gate::{self, Gate, Hooks, Inner};
use crate::server::{self, Routes};
use crate::source;
use crate::target::Evaluations;
use crate::worker::WorkerGone;

/// The HTTP server, which answers as soon as its routes are set.
pub(super) struct Server {
    /// Connections at once, in front of it.
    places: usize,
    inner: Inner,
    routes: Arc<OnceLock<Arc<Routes>>>,
}

impl Server {
    /// Takes half a millisecond, so it runs while the configuration is read.
    pub(super) fn start() -> io::Result<Server> {
        // First, because it raises the limit of descriptors.
        let places = gate::places();
        let (inner, listener) = Inner::bind(broken)?;
        let routes = Arc::default();
        server::start(listener, &routes, broken)?;
        inner.warm_up()?;
        Ok(Server {
            places,
            inner,
            routes,
        })
    }
}

/// Keeps the toggles in sync until a signal stops it; `again` reads the configuration again.
pub(super) fn run(
    config: Config,
    signals: Signals,
    again: Again,
    server: &Receiver<io::Result<Server>>,
) -> Result<Exit, Stop> {
    let token = callback_token()?;
    let (bind, timeout) = (config.bind.clone(), config.http_timeout);
    let machine = Machine::new(Arc::new(config), Mode::Serve, token.clone(), signals)?;
    let listener = listen(&bind, timeout)?;
    let routes = Routes {
        callback_token: token,
        callbacks: Arc::clone(&machine.worker.callbacks),
        status: Arc::clone(&machine.status),
        metrics: Arc::clone(&machine.metrics),
    };
    // A panic in its thread has already ended the process.
    let server = server.recv().map_err(io::Error::other).flatten();
    let evaluations = Arc::clone(&machine.evaluations);
    let gate = server.and_then(|server| open_gate(server, listener, routes, evaluations));
    let gate = gate.map_err(Stop::failed_to("start the HTTP server"))?;
    let read = move || {
        let config = again()?;
        if config.bind != bind {
            let words = "a reload cannot change `bind`: restart optoggles, or set it back";
            return Err(Stop::invalid(words));
        }
        Ok((config, Mode::Serve))
    };
    let end = machine.run(Arc::new(read), || gate.close())?;
    if let Err(words) = end.audited {
        log::error!("{words}");
    }
    log::info!("stopped");
    Ok(Exit::Done)
}

fn open_gate(
    server: Server,
    listener: TcpListener,
    routes: Routes,
    evaluations: Arc<Evaluations>,
) -> io::Result<Gate> {
    let routes = Arc::new(routes);
    let callbacks = Arc::clone(&routes.callbacks);
    server.routes.get_or_init(|| Arc::clone(&routes));
    let address = listener.local_addr()?;
    let hooks = Hooks {
        on_head: Box::new(move |asked| {
            if let Err(WorkerGone) = routes.announce(asked) {
                broken("the worker has ended");
            }
        }),
        on_body: Box::new(move |path, body| {
            let source = path.strip_prefix(server::CALLBACKS);
            if let Some((source, load)) = source.zip(source::scan_report(body)) {
                callbacks.report(source, load);
            }
        }),
    };
    let gate = gate::open(listener, server.places, server.inner, evaluations, hooks)?;
    log::info!("listening address={address}");
    Ok(gate)
}

/// Half a daemon is worse than none: the service manager restarts it.
fn broken(words: &str) {
    log::error!("{words}");
    fail();
}

fn listen(bind: &Bind, timeout: Duration) -> Result<TcpListener, Stop> {
    let listener = match bind.host.as_str() {
        // Every interface, including IPv4; on a system without IPv6, only IPv4.
        "" => TcpListener::bind(("::", bind.port))
            .or_else(|_| TcpListener::bind(("0.0.0.0", bind.port))),
        host => look_up(host, bind.port, timeout)
            .map_err(io::Error::other)
            .and_then(|addresses| TcpListener::bind(addresses.as_slice())),
    };
    let Bind { host, port } = bind;
    let what = format!("listen on {host}:{port}");
    listener.map_err(|error| Stop::failed_to(&what)(format!("{error}; `bind` sets the address")))
}

/// 256 random bits, new at each start.
fn callback_token() -> Result<Secret, Stop> {
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(Stop::failed_to("generate a callback token"))?;
    let hex = random.iter().map(|byte| format!("{byte:02x}"));
    Ok(Secret::new(hex.collect::<String>()))
}
