//! One file a command: call the operation, print what it did.

pub mod apply;
pub mod imports;
pub mod rate;
