//! `skyhandel serve`

use std::io::IsTerminal as _;

use api::{Listen, Server};
use app::Installation;
use kernel::{Error, Result};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::args::ServeArgs;
use crate::clock;
use crate::output::Output;

pub async fn run(installation: Installation, args: &ServeArgs, output: Output) -> Result<()> {
    log();
    let server = Server::new(installation, clock::now)?;
    let tls = args.tls_certificate.clone().zip(args.tls_key.clone());
    let listen = Listen { address: args.listen, tls };
    let scheme = if listen.tls.is_some() { "https" } else { "http" };
    let mut term = signal(SignalKind::terminate()).map_err(|e| Error::internal(e.to_string()))?;
    let mut interrupt =
        signal(SignalKind::interrupt()).map_err(|e| Error::internal(e.to_string()))?;
    let stop = async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    api::serve(server, &listen, stop, |address| {
        let url = format!("{scheme}://{address}");
        let json = serde_json::json!({ "url": url });
        output.print(&json, || format!("Serving on {url}"));
    })
    .await
}

/// Logs to standard error: JSON, or text for a person. `SKYHANDEL_LOG` says how much.
fn log() {
    let filter =
        EnvFilter::try_from_env("SKYHANDEL_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second one cannot be set up, and need not be.
    let _ = if std::io::stderr().is_terminal() { log.try_init() } else { log.json().try_init() };
}
