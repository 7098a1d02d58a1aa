//! The HTTP edge of the native API.
//!
//! **Owns** routes, callers, limits, problems, the OpenAPI document. Every route is an operation of
//! `wire` with the action and resource that the table of permissions must allow.
//! **Does not own** what an operation does, which is `app`'s.

mod caller;
mod openapi;
mod problem;
mod reply;
mod request;
mod routes;
mod serve;
mod token;
mod v1;

use std::sync::Arc;

use app::{Ctx, Installation, NoProgress};
use domain::Actor;
use jiff::Timestamp;
use kernel::Result;

pub use openapi::document;
pub use problem::pages;
pub use routes::{Described, Routes};
pub use serve::{Listen, serve};

use caller::Callers;
use token::Tokens;

/// Bytes of a body at most, as it is and unpacked.
pub const BODY_BYTES_MAX: usize = 16 << 20;

/// What every request works with.
pub struct Server {
    installation: Installation,
    clock: fn() -> Timestamp,
    tokens: Tokens,
    callers: Callers,
}

impl Server {
    /// A server of an installation. `clock` is read once a request.
    ///
    /// # Errors
    /// Where the key that signs tokens can be neither read nor made.
    pub fn new(installation: Installation, clock: fn() -> Timestamp) -> Result<Arc<Self>> {
        let tokens = Tokens::new(&installation)?;
        Ok(Arc::new(Self { installation, clock, tokens, callers: Callers::default() }))
    }

    /// The instant.
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// What an operation works with, for somebody at an instant.
    pub const fn ctx(&self, actor: Actor, now: Timestamp) -> Ctx<'_> {
        Ctx { installation: &self.installation, actor, now, progress: &NoProgress }
    }
}

/// The whole API: the router, and what each route is.
pub fn routes(server: &Arc<Server>) -> Routes {
    v1::add(Routes::new(Arc::clone(server)))
}

/// Runs what must wait from where something may: the thread is given up to others meanwhile.
fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Handle::current().block_on(future)
}
