//! What is answered instead of a result: problem details (RFC 9457) with codes that stay.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Every code with its status, what it means, and what the caller does about it.
pub const CODES: &[(ProblemCode, u16, &str, &str)] = &[
    (
        ProblemCode::Refused,
        422,
        "The input has faults",
        "Every fault is listed with its place and reason. Nothing of the input was taken: mend it \
         and send it again.",
    ),
    (
        ProblemCode::Invalid,
        400,
        "A value is not acceptable",
        "The first fault names the parameter, member or header and why. Change it and send the \
         request again.",
    ),
    (
        ProblemCode::Unauthenticated,
        401,
        "Nobody has proved who is calling",
        "Get a token from `POST /oauth2/token` with the application's id and secret, and send it as \
         `Authorization: Bearer`. Tokens expire; get a new one when this is answered.",
    ),
    (
        ProblemCode::Denied,
        403,
        "The caller's duty does not allow it",
        "Use an application with a duty that does; see the table of permissions.",
    ),
    (
        ProblemCode::NotFound,
        404,
        "There is no such thing",
        "Check the address. What belongs to others is answered like what does not exist.",
    ),
    (
        ProblemCode::MethodNotAllowed,
        405,
        "This address does not take this method",
        "See the OpenAPI document for what it takes.",
    ),
    (
        ProblemCode::Conflict,
        409,
        "The state of things forbids it",
        "The detail says what to do first.",
    ),
    (
        ProblemCode::TooLarge,
        413,
        "The body is too large",
        "The detail says how large it may be. Send it in parts.",
    ),
    (
        ProblemCode::UnsupportedMediaType,
        415,
        "The body is of a type that is not read here",
        "The detail lists the types that are.",
    ),
    (
        ProblemCode::Timeout,
        408,
        "The request took too long to arrive",
        "Send it again over a faster line, or in parts.",
    ),
    (
        ProblemCode::Busy,
        503,
        "Somebody else was at it",
        "Nothing was changed. Send the same request again after the seconds of `Retry-After`.",
    ),
    (
        ProblemCode::Internal,
        500,
        "Something that must never happen",
        "Report it with the request's id, under which the log says more.",
    ),
];

/// Which problem it is: stable, and the name of its page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProblemCode {
    /// The input has faults.
    Refused,
    /// A value is not acceptable.
    Invalid,
    /// Nobody has proved who is calling.
    Unauthenticated,
    /// The caller's duty does not allow it.
    Denied,
    /// There is no such thing, or not for this caller.
    NotFound,
    /// The address does not take this method.
    MethodNotAllowed,
    /// The state of things forbids it.
    Conflict,
    /// The body is too large.
    TooLarge,
    /// The body is of a type that is not read.
    UnsupportedMediaType,
    /// The request took too long to arrive.
    Timeout,
    /// Somebody else was at it.
    Busy,
    /// Something that must never happen.
    Internal,
}

/// A problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// The page about this code, below the documentation.
    #[serde(rename = "type")]
    pub page: String,
    /// What the code means.
    pub title: String,
    /// The status of the answer.
    pub status: u16,
    /// Which problem it is.
    pub code: ProblemCode,
    /// What happened here, and what to do.
    pub detail: String,
    /// The request's id, for the log.
    pub request_id: String,
    /// What is wrong with the input, one by one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<ProblemFault>,
}

/// One thing that is wrong with an input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProblemFault {
    /// The file or the part of the request.
    pub file: String,
    /// The line or row, counted from one.
    pub line: Option<u64>,
    /// The parameter, member or column.
    pub field: Option<String>,
    /// What stands there.
    pub value: Option<String>,
    /// Why it cannot be taken, and what to do.
    pub reason: String,
}
