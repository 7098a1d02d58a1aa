//! Reading requests: parameters, and bodies within their limits.

use std::io::Read as _;
use std::time::Duration;

use axum::body::{Body as HttpBody, to_bytes};
use axum::extract::{FromRequestParts as _, Path, Query};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName};
use flate2::read::MultiGzDecoder;
use serde::de::DeserializeOwned;
use wire::{Body, Operation, ProblemCode, ProblemFault};

use crate::BODY_BYTES_MAX;
use crate::problem::Failure;

/// How long a body may take to arrive.
const BODY_TIME_MAX: Duration = Duration::from_mins(1);

/// What an operation is asked for with.
pub struct Input<O: Operation> {
    pub path: O::Path,
    pub query: O::Query,
    /// The bytes that were sent, unpacked.
    pub bytes: Vec<u8>,
}

impl<O: Operation> Input<O> {
    /// Reads parameters and body.
    pub async fn read(
        mut parts: axum::http::request::Parts,
        body: HttpBody,
    ) -> Result<Self, Failure> {
        let path = if O::PATH.contains('{') {
            let path = Path::<O::Path>::from_request_parts(&mut parts, &()).await;
            path.map_err(|why| invalid("path", why.body_text()))?.0
        } else {
            serde_json::from_str("{}").map_err(|why| invalid("path", why.to_string()))?
        };
        let query = Query::<O::Query>::try_from_uri(&parts.uri);
        let query = query.map_err(|why| invalid("query", why.body_text()))?.0;
        let bytes = match O::BODY {
            Body::None => Vec::new(),
            Body::Json => {
                expect_type(&parts.headers, &["application/json"])?;
                read_body(&parts.headers, body).await?
            }
            Body::Raw(types) => {
                expect_type(&parts.headers, types)?;
                read_body(&parts.headers, body).await?
            }
        };
        Ok(Self { path, query, bytes })
    }

    /// The body as the value that it must be.
    pub fn body(&self) -> kernel::Result<O::Body> {
        json(&self.bytes)
    }
}

fn json<T: DeserializeOwned>(bytes: &[u8]) -> kernel::Result<T> {
    serde_json::from_slice(bytes)
        .map_err(|error| kernel::Error::invalid("body", format!("cannot be read: {error}")))
}

/// A value of the request that is not acceptable.
fn invalid(field: &str, reason: String) -> Failure {
    let fault = ProblemFault {
        file: "request".to_owned(),
        line: None,
        field: Some(field.to_owned()),
        value: None,
        reason: reason.clone(),
    };
    let failure = Failure::new(ProblemCode::Invalid, format!("{field}: {reason}"));
    Failure { faults: vec![fault], ..failure }
}

fn header(headers: &HeaderMap, name: HeaderName) -> String {
    let text = headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    text.trim().to_ascii_lowercase()
}

/// Refuses bodies of types that are not read.
pub fn expect_type(headers: &HeaderMap, types: &[&str]) -> Result<(), Failure> {
    let sent = header(headers, CONTENT_TYPE);
    let sent = sent.split(';').next().unwrap_or_default().trim();
    if types.contains(&sent) {
        return Ok(());
    }
    let detail = format!("the content type \"{sent}\" is not read here; send {}", types.join(", "));
    Err(Failure::new(ProblemCode::UnsupportedMediaType, detail))
}

/// The bytes of a body, unpacked if it is gzip.
pub async fn read_body(headers: &HeaderMap, body: HttpBody) -> Result<Vec<u8>, Failure> {
    let bytes = tokio::time::timeout(BODY_TIME_MAX, to_bytes(body, BODY_BYTES_MAX)).await;
    let bytes = bytes.map_err(|_| {
        let seconds = BODY_TIME_MAX.as_secs();
        Failure::new(ProblemCode::Timeout, format!("the body took more than {seconds} seconds"))
    })?;
    let bytes = bytes.map_err(|error| match std::error::Error::source(&error) {
        Some(cause) if cause.is::<http_body_util::LengthLimitError>() => too_large(),
        _ => Failure::new(ProblemCode::Timeout, "the body did not arrive whole"),
    })?;
    match header(headers, CONTENT_ENCODING).as_str() {
        "" | "identity" => Ok(bytes.to_vec()),
        "gzip" => unpack(&bytes),
        other => {
            let detail = format!("the content encoding \"{other}\" is not read here; use gzip");
            Err(Failure::new(ProblemCode::UnsupportedMediaType, detail))
        }
    }
}

fn unpack(bytes: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut unpacked = Vec::new();
    let mut reader = MultiGzDecoder::new(bytes).take(BODY_BYTES_MAX as u64 + 1);
    reader
        .read_to_end(&mut unpacked)
        .map_err(|error| invalid("body", format!("is not gzip: {error}")))?;
    if unpacked.len() > BODY_BYTES_MAX { Err(too_large()) } else { Ok(unpacked) }
}

fn too_large() -> Failure {
    let detail = format!("a body may have {BODY_BYTES_MAX} bytes, also when it is unpacked");
    Failure::new(ProblemCode::TooLarge, detail)
}
