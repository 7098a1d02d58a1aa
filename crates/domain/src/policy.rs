//! Who may see and change what.
//!
//! A transaction needs a [`Scope`]: there is no other way to reach data.

/// What a transaction may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope(());

impl Scope {
    /// The scope of whoever runs the installation and has its data folder in hand: everything.
    pub const fn installation(_because: Because) -> Self {
        Self(())
    }
}

/// Why somebody acts without being limited to a tenant. One list, so that it can be audited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Because {
    /// A command was given at the console of the machine that holds the data.
    Console,
}
