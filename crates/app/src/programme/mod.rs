//! The programme file: what it may say, how it is read, what it would change.

mod apply;
mod file;
mod plan;
mod read;
mod reference;

pub(crate) use apply::draft;
pub use apply::{Applied, apply, plan};
pub use file::schema;
pub use plan::{Change, Plan};
pub use read::{Declared, read};
pub use reference::reference;
