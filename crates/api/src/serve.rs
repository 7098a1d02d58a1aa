//! Serving until asked to stop.

use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;
use domain::Actor;
use kernel::{Error, Result};

use crate::{Server, routes, wait};

/// How long requests may go on after the server was asked to stop.
const GRACE: Duration = Duration::from_secs(30);
/// How often what has come in moves into the lake.
const DRAIN_EVERY: Duration = Duration::from_millis(500);

/// Where to listen, and as whom.
#[derive(Debug, Clone)]
pub struct Listen {
    /// The address.
    pub address: SocketAddr,
    /// Certificate chain and key, in PEM; without them, plain HTTP.
    pub tls: Option<(PathBuf, PathBuf)>,
}

/// Serves until `stop` is done; then lets requests end and moves what has come in into the lake.
/// `ready` is told the address.
///
/// # Errors
/// Where the address is taken or the certificate cannot be read.
pub async fn serve(
    server: Arc<Server>,
    listen: &Listen,
    stop: impl Future<Output = ()> + Send + 'static,
    ready: impl FnOnce(SocketAddr),
) -> Result<()> {
    let failed = |error: std::io::Error| {
        Error::conflict(format!("cannot serve on {}: {error}", listen.address))
    };
    let listener = TcpListener::bind(listen.address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let handle = Handle::new();
    let stopping = handle.clone();
    tokio::spawn(async move {
        stop.await;
        stopping.graceful_shutdown(Some(GRACE));
    });
    let draining = tokio::spawn(drain_for_ever(Arc::clone(&server)));
    let app = routes(&server).into_router().into_make_service();
    ready(address);
    let served = match &listen.tls {
        None => {
            let plain = axum_server::from_tcp(listener).map_err(failed)?;
            plain.handle(handle).serve(app).await
        }
        Some((chain, key)) => {
            // Whoever has set one has set it for all.
            let _ = rustls::crypto::ring::default_provider().install_default();
            let tls = RustlsConfig::from_pem_file(chain, key).await.map_err(|error| {
                Error::conflict(format!(
                    "{} and {} cannot be used for TLS: {error}",
                    chain.display(),
                    key.display()
                ))
            })?;
            let secure = axum_server::from_tcp_rustls(listener, tls).map_err(failed)?;
            secure.handle(handle).serve(app).await
        }
    };
    served.map_err(failed)?;
    draining.abort();
    tokio::task::block_in_place(|| drain(&server))
}

fn drain(server: &Server) -> Result<()> {
    let ctx = server.ctx(Actor::CONSOLE, server.now());
    wait(app::imports::events::drain(ctx)).map(|_| ())
}

/// Moves what has come in into the lake, again and again. What fails is tried again.
async fn drain_for_ever(server: Arc<Server>) {
    loop {
        tokio::time::sleep(DRAIN_EVERY).await;
        if let Err(error) = tokio::task::block_in_place(|| drain(&server)) {
            tracing::error!(%error, "usage events could not be moved into the lake");
        }
    }
}
