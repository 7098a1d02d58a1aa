//! The shapes that are published: what goes over the wire, and under which address.
//!
//! **Owns** every operation of the native API as a type: method, path, parameters, body, answer. The
//! server's routes, its OpenAPI document and the client of the command line follow from them.
//! **Does not own** what any operation does.

mod operation;
mod problem;
pub mod v1;

pub use operation::{Body, Method, Nothing, Operation};
pub use problem::{CODES, Problem, ProblemCode, ProblemFault};
