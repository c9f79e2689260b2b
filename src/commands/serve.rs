//! `optoggles serve`: the daemon.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

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

/// Keeps the toggles in sync until a signal stops it; `again` reads the configuration again.
pub(super) fn run(config: Config, signals: Signals, again: Again) -> Result<Exit, Stop> {
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
    let gate = open_gate(listener, routes, Arc::clone(&machine.evaluations))
        .map_err(Stop::failed_to("start the HTTP server"))?;
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
    listener: TcpListener,
    routes: Routes,
    evaluations: Arc<Evaluations>,
) -> io::Result<Gate> {
    let routes = Arc::new(routes);
    let callbacks = Arc::clone(&routes.callbacks);
    let address = listener.local_addr()?;
    let places = gate::places();
    let (inner, behind) = Inner::bind(broken)?;
    server::start(behind, &routes, broken)?;
    inner.warm_up()?;
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
    let gate = gate::open(listener, places, inner, evaluations, hooks)?;
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
