//! What an operation of the API is.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// How an operation is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Makes or does something.
    Post,
    /// Takes something away.
    Delete,
}

impl Method {
    /// Its name in HTTP.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Delete => "DELETE",
        }
    }
}

/// What an operation is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// Nothing.
    None,
    /// One JSON value.
    Json,
    /// Bytes of one of these media types, of which [`Operation::Body`] is the schema.
    Raw(&'static [&'static str]),
}

/// An operation: everything that both sides must agree about.
pub trait Operation: Send + Sync + 'static {
    /// Its name: noun and verb.
    const ID: &'static str;
    /// How it is asked for.
    const METHOD: Method;
    /// Where, with the names of [`Operation::Path`] in braces.
    const PATH: &'static str;
    /// What it does, in a sentence.
    const SUMMARY: &'static str;
    /// What it is sent.
    const BODY: Body = Body::None;
    /// The status of its answer.
    const STATUS: u16 = 200;

    /// The names in the path.
    type Path: Serialize + DeserializeOwned + JsonSchema + Send + 'static;
    /// What stands behind the question mark.
    type Query: Serialize + DeserializeOwned + JsonSchema + Send + 'static;
    /// What is sent.
    type Body: Serialize + DeserializeOwned + JsonSchema + Send + 'static;
    /// What is answered.
    type Answer: Serialize + DeserializeOwned + JsonSchema + Send + 'static;
}

/// No parameters, no body.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// Declares an operation in one place.
macro_rules! operation {
    (
        $(#[$doc:meta])* $name:ident, $id:literal, $method:ident, $path:literal, $summary:literal
        $(, path: $path_type:ty)? $(, query: $query:ty)? $(, body: $body:ty)?
        $(, raw: $raw:ty, $types:expr)? , answer: $answer:ty $(, status: $status:literal)?
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub struct $name;

        impl $crate::Operation for $name {
            const ID: &'static str = $id;
            const METHOD: $crate::Method = $crate::Method::$method;
            const PATH: &'static str = $path;
            const SUMMARY: &'static str = $summary;
            $(
                const BODY: $crate::Body = {
                    let _: Option<$body> = None;
                    $crate::Body::Json
                };
            )?
            $(const BODY: $crate::Body = $crate::Body::Raw($types);)?
            $(const STATUS: u16 = $status;)?
            type Path = $crate::operation::either!($($path_type)?);
            type Query = $crate::operation::either!($($query)?);
            type Body = $crate::operation::either!($($body)? $($raw)?);
            type Answer = $answer;
        }
    };
}

/// A type, or [`Nothing`] where there is none.
macro_rules! either {
    () => {
        $crate::Nothing
    };
    ($type:ty) => {
        $type
    };
}

pub(crate) use {either, operation};
