//! What the system can do: one operation, one file.
//!
//! **Owns** the order of things: authorize, load, decide in `domain` or `rating`, save, commit.
//! **Does not own** any rule, any SQL, any layout of a document.

pub mod adjust;
pub mod applications;
pub mod bench;
mod chance;
pub mod close;
pub mod crash;
pub mod explain;
pub mod export;
mod facts;
mod frozen;
mod groups;
pub mod imports;
mod installation;
pub mod invoices;
mod issuing;
mod naming;
mod partitions;
pub mod programme;
mod progress;
pub mod rate;
pub mod rehearse;
pub mod restate;
pub mod seats;
pub mod shadow;
mod sheets;
mod taxes;

pub use chance::request_id;
pub use domain::Duty;
pub use installation::{Ctx, Installation, Moved, move_database};
pub use partitions::workers;
pub use progress::{NoProgress, Progress};
pub use store::DatabaseUrl;
