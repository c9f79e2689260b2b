//! `optoggles serve`: the daemon.

use std::io::Read;
use std::net::{TcpListener, ToSocketAddrs};
use std::process;
use std::sync::Arc;

use super::machine::Machine;
use super::{Exit, Stop};
use crate::config::{Bind, Config, File, SourceKind};
use crate::engine::Mode;
use crate::secret::Secret;
use crate::server::gate::{self, Gate, Inner, Limits};
use crate::server::{self, Routes};
use crate::source::opal::report;
use crate::worker::PendingCallbacks;

/// Keeps the toggles in sync until a signal comes; `again` reads the configuration anew.
pub(super) fn run(config: Config, again: &dyn Fn() -> Result<Config, Stop>) -> Result<Exit, Stop> {
    refuse_stdin(&config)?;
    let token = callback_token()?;
    let bind = config.bind.clone();
    let listener = listen(&bind)?;
    let machine = Machine::new(Arc::new(config), Mode::Serve, token.clone())?;
    let routes = Routes::new(
        token,
        Arc::clone(&machine.callbacks),
        Arc::clone(&machine.status),
        Arc::clone(&machine.metrics),
    );
    let gate = open_gate(listener, routes, Arc::clone(&machine.callbacks))
        .map_err(|error| Stop::Failed(format!("failed to start the HTTP server: {error}")))?;
    let read = || {
        let config = again()?;
        refuse_stdin(&config)?;
        match config.bind == bind {
            true => Ok((config, Mode::Serve)),
            false => Err(Stop::invalid(
                "`bind` cannot be changed by a reload: restart for that, or set it back",
            )),
        }
    };
    machine.run(&read, || gate.close())?;
    log::info!("stopped");
    Ok(Exit::Done)
}

/// What a daemon reads from standard input cannot change, and is gone after a restart.
fn refuse_stdin(config: &Config) -> Result<(), Stop> {
    let stdin = SourceKind::File(File { path: None });
    match config.sources.iter().find(|source| source.kind == stdin) {
        None => Ok(()),
        Some(source) => Err(Stop::Invalid(format!(
            "source {} reads standard input (`path = \"-\"`), which serve cannot follow: name a \
             file, or use sync",
            source.id
        ))),
    }
}

fn open_gate(
    listener: TcpListener,
    routes: Routes,
    callbacks: Arc<PendingCallbacks>,
) -> std::io::Result<Gate> {
    let on_body = move |path: &str, body: &mut dyn Read| {
        let source = path.strip_prefix(server::CALLBACKS);
        if let Some((source, load)) = source.zip(report::scan(body)) {
            callbacks.report(source, load);
        }
    };
    let address = listener.local_addr()?;
    let (inner, behind) = Inner::bind()?;
    server::start(behind, routes, broken)?;
    let limits = Limits::of_this_process();
    let gate = gate::open(listener, inner, limits, on_body, |words| broken(&words))?;
    log::info!("listening address={address}");
    Ok(gate)
}

/// Half a daemon is worse than none: a service manager starts it again.
fn broken(words: &str) {
    log::error!("{words}");
    process::exit(Exit::Failed as i32);
}

fn listen(bind: &Bind) -> Result<TcpListener, Stop> {
    let listener = match bind.host.as_str() {
        // Every interface, IPv4 included; on a system without IPv6, IPv4 alone.
        "" => TcpListener::bind(("::", bind.port))
            .or_else(|_| TcpListener::bind(("0.0.0.0", bind.port))),
        host => (host, bind.port)
            .to_socket_addrs()
            .and_then(|addresses| TcpListener::bind(addresses.collect::<Vec<_>>().as_slice())),
    };
    listener.map_err(|error| {
        let Bind { host, port } = bind;
        Stop::Failed(format!(
            "failed to listen at {host}:{port}: {error}; `bind` in the configuration says where"
        ))
    })
}

/// 256 random bits, new at each start.
fn callback_token() -> Result<Secret, Stop> {
    let mut random = [0; 32];
    getrandom::fill(&mut random)
        .map_err(|error| Stop::Failed(format!("failed to make a callback token: {error}")))?;
    let hex = random.iter().map(|byte| format!("{byte:02x}"));
    Ok(Secret::new(hex.collect::<String>()))
}
