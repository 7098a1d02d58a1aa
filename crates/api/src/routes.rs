//! Routes: an operation, who may, and the function that does it.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::Uri;
use axum::response::Response;
use axum::routing::{MethodFilter, get, on, post};
use domain::{Action, Actor, Resource, decide};
use jiff::Timestamp;
use schemars::{Schema, SchemaGenerator};
use wire::{Body, Method, Operation, ProblemCode};

use crate::problem::Failure;
use crate::request::Input;
use crate::{Server, openapi, reply, token};

/// What the document says of a route.
pub struct Described {
    /// The operation's name.
    pub id: &'static str,
    /// How it is asked for.
    pub method: Method,
    /// Where.
    pub path: &'static str,
    /// What it does.
    pub summary: &'static str,
    /// What it is sent.
    pub body: Body,
    /// The status of its answer.
    pub status: u16,
    /// What the caller must be allowed to do.
    pub action: Action,
    /// To what.
    pub resource: Resource,
    /// The schemas of path, query, body and answer.
    pub schemas: fn(&mut SchemaGenerator) -> [Schema; 4],
}

/// The routes so far.
pub struct Routes {
    server: Arc<Server>,
    router: Router,
    described: Vec<Described>,
}

/// One call: for whom, and when.
pub struct Call<'a> {
    server: &'a Server,
    actor: Actor,
    now: Timestamp,
}

impl Call<'_> {
    /// What an operation works with.
    pub const fn ctx(&self) -> app::Ctx<'_> {
        self.server.ctx(self.actor, self.now)
    }
}

impl Routes {
    pub(crate) fn new(server: Arc<Server>) -> Self {
        Self { server, router: Router::new(), described: Vec::new() }
    }

    /// Adds an operation, for those whom the table of permissions allows it.
    pub(crate) fn add<O: Operation>(
        mut self,
        action: Action,
        resource: Resource,
        operation: fn(&Call<'_>, &Input<O>) -> kernel::Result<O::Answer>,
    ) -> Self {
        let server = Arc::clone(&self.server);
        let answer = move |request: Request| {
            let server = Arc::clone(&server);
            async move {
                let id = request_id(&request);
                let done = answer::<O>(&server, request, (action, resource), operation).await;
                let response = done.unwrap_or_else(|failure| reply::problem(failure, &id));
                logged::<O>(&id, &response);
                reply::finish(response, &id)
            }
        };
        let method = match O::METHOD {
            Method::Get => MethodFilter::GET,
            Method::Post => MethodFilter::POST,
            Method::Delete => MethodFilter::DELETE,
        };
        self.router = self.router.route(O::PATH, on(method, answer));
        self.described.push(Described {
            id: O::ID,
            method: O::METHOD,
            path: O::PATH,
            summary: O::SUMMARY,
            body: O::BODY,
            status: O::STATUS,
            action,
            resource,
            schemas: |generator| {
                [
                    generator.subschema_for::<O::Path>(),
                    generator.subschema_for::<O::Query>(),
                    generator.subschema_for::<O::Body>(),
                    generator.subschema_for::<O::Answer>(),
                ]
            },
        });
        self
    }

    /// What each route is.
    pub fn described(&self) -> &[Described] {
        &self.described
    }

    /// The router, with what has no caller: tokens, health, the document.
    pub fn into_router(self) -> Router {
        let document = Arc::new(openapi::document(&self.described));
        let show = move || {
            let document = Arc::clone(&document);
            async move { reply::finish(reply::json(200, &*document), "") }
        };
        let token = |State(server): State<Arc<Server>>, request: Request| async move {
            let id = request_id(&request);
            let (parts, body) = request.into_parts();
            reply::finish(token::token(&server, &parts.headers, body).await, &id)
        };
        let ready = |State(server): State<Arc<Server>>| async move { ready(&server) };
        let fixed = Router::new()
            .route("/oauth2/token", post(token))
            .route("/readyz", get(ready))
            .with_state(self.server);
        self.router
            .merge(fixed)
            .route(
                "/healthz",
                get(|| async { reply::json(200, &serde_json::json!({"status": "up"})) }),
            )
            .route("/api/v1/openapi.json", get(show))
            .fallback(not_found)
            .method_not_allowed_fallback(method_not_allowed)
    }
}

/// Whether the database answers.
fn ready(server: &Server) -> Response {
    let now = server.now();
    let ctx = server.ctx(Actor::CONSOLE, now);
    let waiting = tokio::task::block_in_place(|| crate::wait(app::imports::events::waiting(ctx)));
    match waiting {
        Ok(waiting) => {
            reply::json(200, &serde_json::json!({"status": "ready", "inbox_rows_waiting": waiting}))
        }
        Err(error) => reply::problem(Failure::from(error), ""),
    }
}

async fn answer<O: Operation>(
    server: &Server,
    request: Request,
    (action, resource): (Action, Resource),
    operation: fn(&Call<'_>, &Input<O>) -> kernel::Result<O::Answer>,
) -> Result<Response, Failure> {
    let now = server.now();
    let (parts, body) = request.into_parts();
    let actor = tokio::task::block_in_place(|| server.caller(&parts.headers, now))?;
    // Before anything that was sent is looked at.
    decide(&actor, action, resource)?;
    let input = Input::<O>::read(parts, body).await?;
    let call = Call { server, actor, now };
    let answered = tokio::task::block_in_place(|| operation(&call, &input))?;
    Ok(reply::json(O::STATUS, &answered))
}

fn logged<O: Operation>(request_id: &str, response: &Response) {
    let status = response.status().as_u16();
    tracing::info!(request_id, operation = O::ID, status, "answered");
}

/// The id that the caller has given the request, or a new one.
fn request_id(request: &Request) -> String {
    let given = request.headers().get(reply::REQUEST_ID).and_then(|value| value.to_str().ok());
    let plain = |id: &&str| {
        (1..=64).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    given.filter(plain).map_or_else(app::request_id, str::to_owned)
}

async fn not_found(uri: Uri, request: Request) -> Response {
    let id = request_id(&request);
    let detail = format!("there is nothing at {}", uri.path());
    let failure = Failure::new(ProblemCode::NotFound, detail);
    reply::finish(reply::problem(failure, &id), &id)
}

async fn method_not_allowed(uri: Uri, request: Request) -> Response {
    let id = request_id(&request);
    let detail = format!("{} does not take {}", uri.path(), request.method());
    let failure = Failure::new(ProblemCode::MethodNotAllowed, detail);
    reply::finish(reply::problem(failure, &id), &id)
}
