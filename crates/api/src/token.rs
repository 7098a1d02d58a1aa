//! Tokens: given for an application's secret, good for a while.

use app::Installation;
use axum::body::Body as HttpBody;
use axum::http::HeaderMap;
use axum::response::Response;
use domain::Actor;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use kernel::{ApplicationId, Error, Result};
use serde::{Deserialize, Serialize};

use crate::request::{expect_type, read_body};
use crate::{Server, problem::Failure, reply, wait};

/// How long a token is good for, in seconds.
const LIFETIME: i64 = 900;
/// How far clocks may differ, in seconds.
const LEEWAY: i64 = 5;

/// Signs tokens and knows them again.
pub struct Tokens {
    encoding: EncodingKey,
    decoding: DecodingKey,
    /// For whom tokens are: this installation.
    audience: String,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    iat: i64,
    exp: i64,
}

/// Who gives the tokens.
const ISSUER: &str = "skyhandel";

impl Tokens {
    pub fn new(installation: &Installation) -> Result<Self> {
        let key = installation.token_key()?;
        Ok(Self {
            encoding: EncodingKey::from_secret(&key),
            decoding: DecodingKey::from_secret(&key),
            audience: installation.id()?,
        })
    }

    fn give(&self, id: ApplicationId, now: Timestamp) -> Result<String> {
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: self.audience.clone(),
            sub: id.to_string(),
            iat: now.as_second(),
            exp: now.as_second() + LIFETIME,
        };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.encoding)
            .map_err(|error| Error::internal(format!("a token cannot be signed: {error}")))
    }

    /// The application that a token was given to.
    pub fn read(&self, token: &str, now: Timestamp) -> Result<ApplicationId> {
        let refused = |why: &str| Error::Unauthenticated(format!("the token {why}; get a new one"));
        // One algorithm: what a token says of itself decides nothing.
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_audience(&[&self.audience]);
        validation.set_issuer(&[ISSUER]);
        validation.set_required_spec_claims(&["aud", "iss", "exp", "sub"]);
        // Time is an argument here.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        let read = jsonwebtoken::decode::<Claims>(token, &self.decoding, &validation);
        let claims = read.map_err(|_| refused("is not one of this server"))?.claims;
        let now = now.as_second();
        if claims.exp < now - LEEWAY || claims.iat > now + LEEWAY {
            return Err(refused("is of another time"));
        }
        claims.sub.parse().map_err(|_| refused("names no application"))
    }
}

#[derive(Deserialize)]
struct TokenForm {
    grant_type: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
}

#[derive(Serialize)]
struct TokenAnswer {
    access_token: String,
    token_type: &'static str,
    expires_in: i64,
}

/// An error as OAuth 2.0 has them (RFC 6749, section 5.2).
#[derive(Serialize)]
struct TokenError {
    error: &'static str,
    error_description: String,
}

/// `POST /oauth2/token`: client credentials (RFC 6749, section 4.4).
pub async fn token(server: &Server, headers: &HeaderMap, body: HttpBody) -> Response {
    let form = match form(headers, body).await {
        Ok(form) => form,
        Err(failure) => {
            return refused(failure.meaning().0, "invalid_request", failure.detail);
        }
    };
    if form.grant_type.as_deref() != Some("client_credentials") {
        let reason = "grant_type must be client_credentials";
        return refused(400, "unsupported_grant_type", reason.to_owned());
    }
    let (Some(id), Some(secret)) = (form.client_id, form.client_secret) else {
        let reason = "client_id and client_secret are needed";
        return refused(400, "invalid_request", reason.to_owned());
    };
    let now = server.now();
    let given = tokio::task::block_in_place(|| {
        let ctx = server.ctx(Actor::CONSOLE, now);
        let application = wait(app::applications::recognise(ctx, &id, &secret))?;
        server.tokens.give(application.id, now)
    });
    match given {
        Ok(access_token) => reply::json(
            200,
            &TokenAnswer { access_token, token_type: "Bearer", expires_in: LIFETIME },
        ),
        Err(Error::Unauthenticated(why)) => refused(401, "invalid_client", why),
        Err(error) => {
            let failure = Failure::from(error);
            if let Some(cause) = &failure.cause {
                tracing::error!(cause, "no token could be given");
            }
            refused(failure.meaning().0, "temporarily_unavailable", failure.detail)
        }
    }
}

async fn form(headers: &HeaderMap, body: HttpBody) -> Result<TokenForm, Failure> {
    expect_type(headers, &["application/x-www-form-urlencoded"])?;
    let bytes = read_body(headers, body).await?;
    let uri = format!("/?{}", String::from_utf8_lossy(&bytes));
    let uri: axum::http::Uri = uri
        .parse()
        .map_err(|_| Failure::new(wire::ProblemCode::Invalid, "the form cannot be read"))?;
    let form = axum::extract::Query::<TokenForm>::try_from_uri(&uri);
    form.map(|form| form.0).map_err(|why| Failure::new(wire::ProblemCode::Invalid, why.body_text()))
}

fn refused(status: u16, error: &'static str, error_description: String) -> Response {
    reply::json(status, &TokenError { error, error_description })
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    fn tokens() -> Tokens {
        Tokens {
            encoding: EncodingKey::from_secret(&[1; 32]),
            decoding: DecodingKey::from_secret(&[1; 32]),
            audience: "here".to_owned(),
        }
    }

    #[test]
    fn a_token_is_good_for_its_time_and_no_longer() {
        let (tokens, id) = (tokens(), ApplicationId::derived("ops"));
        let now: Timestamp = "2026-02-02T09:00:00Z".parse().unwrap();
        let token = tokens.give(id, now).unwrap();
        let read = |seconds| tokens.read(&token, now + SignedDuration::from_secs(seconds));
        for good in [0, LIFETIME, LIFETIME + LEEWAY, -LEEWAY] {
            assert_eq!(read(good).unwrap(), id, "{good} s");
        }
        for bad in [LIFETIME + LEEWAY + 1, -LEEWAY - 1, 86_400] {
            assert!(matches!(read(bad), Err(Error::Unauthenticated(_))), "{bad} s");
        }
    }

    #[test]
    fn a_token_for_another_audience_is_refused() {
        let now: Timestamp = "2026-02-02T09:00:00Z".parse().unwrap();
        let elsewhere = Tokens { audience: "elsewhere".to_owned(), ..tokens() };
        let token = elsewhere.give(ApplicationId::derived("ops"), now).unwrap();
        assert!(elsewhere.read(&token, now).is_ok());
        assert!(matches!(tokens().read(&token, now), Err(Error::Unauthenticated(_))));
    }
}
