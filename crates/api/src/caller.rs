//! Who is calling.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use domain::Actor;
use jiff::{SignedDuration, Timestamp};
use kernel::{ApplicationId, Error, Result};

use crate::{Server, wait};

/// How long an application is taken for what it was: so long the tokens of one that has been taken
/// away may still be accepted.
const KNOWN_FOR: SignedDuration = SignedDuration::from_secs(5);
/// How many applications are remembered.
const KNOWN_MAX: usize = 10_000;

/// Applications that have called lately.
#[derive(Default)]
pub struct Callers {
    known: Mutex<HashMap<ApplicationId, (Actor, Timestamp)>>,
}

impl Server {
    /// Whoever has sent these headers.
    ///
    /// # Errors
    /// Where there is no token, or one that is not ours, not for us, or of another time.
    pub fn caller(&self, headers: &HeaderMap, now: Timestamp) -> Result<Actor> {
        let missing = || {
            Error::Unauthenticated(
                "send a token of POST /oauth2/token as Authorization: Bearer".to_owned(),
            )
        };
        let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let (scheme, token) = header.and_then(|text| text.split_once(' ')).ok_or_else(missing)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(missing());
        }
        let id = self.tokens.read(token.trim(), now)?;
        self.actor(id, now)
    }

    fn actor(&self, id: ApplicationId, now: Timestamp) -> Result<Actor> {
        let lock = || self.callers.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((actor, since)) = lock().get(&id)
            && now.duration_since(*since).abs() < KNOWN_FOR
        {
            return Ok(*actor);
        }
        let found = wait(app::applications::actor(self.ctx(Actor::CONSOLE, now), id))?;
        let mut known = lock();
        let Some(actor) = found else {
            known.remove(&id);
            return Err(Error::Unauthenticated("the application is gone".to_owned()));
        };
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        known.insert(id, (actor, now));
        Ok(actor)
    }
}
