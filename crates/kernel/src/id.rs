//! Identities: GUIDs outside, typed inside.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use uuid::Uuid;

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not a GUID.
    #[error("is not a GUID; write it like 0e195b37-4574-4539-bc42-0e539b9684c0")]
    NotAGuid,
    /// Not a key.
    #[error(
        "is not a key; use 1 to 64 lower-case letters, digits, '.', '_' and '-', a letter or digit first"
    )]
    NotAKey,
    /// Empty or longer than is kept.
    #[error("must have 1 to {max} characters")]
    Length {
        /// The longest text that is kept.
        max: usize,
    },
}

/// Declares GUID ids, each of its own type.
macro_rules! guid_ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// The id that belongs to a name: the same name always gives the same id.
            pub fn derived(name: &str) -> Self {
                let qualified = concat!(stringify!($name), ":").to_owned() + name;
                Self(Uuid::new_v5(&NAMESPACE, qualified.as_bytes()))
            }

            /// From the plain GUID.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// From 16 random bytes.
            pub const fn from_random(bytes: [u8; 16]) -> Self {
                Self(uuid::Builder::from_random_bytes(bytes).into_uuid())
            }

            /// The plain GUID.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Uuid::try_parse(text.trim()).map(Self).map_err(|_| IdError::NotAGuid)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0.hyphenated(), f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0.hyphenated(), f)
            }
        }
    )* };
}

/// The name space of derived ids: a constant, so that ids are the same everywhere.
const NAMESPACE: Uuid = Uuid::from_u128(0x736b_7968_616e_6465_6c00_0000_0000_0001);

guid_ids! {
    /// A program that calls the service with a secret.
    ApplicationId,
    /// An Azure subscription that a plan holds.
    EntitlementId,
    /// One run of an import.
    ImportId,
    /// An installation: a database with its data folder.
    InstallationId,
    /// A frozen invoice.
    InvoiceId,
    /// A line of an invoice.
    InvoiceLineId,
    /// A piece of work in the background.
    JobId,
    /// A legal party; its tenant id.
    OrganisationId,
    /// A customer's commerce subscription.
    SubscriptionId,
}

/// What usage is counted in. Mostly a GUID, but third parties use plain words, so it is text:
/// compared without regard to case, at most 64 characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MeterId(Arc<str>);

impl MeterId {
    /// The longest meter id that is kept.
    pub const LENGTH_MAX: usize = 64;

    /// The id as it is kept: lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for MeterId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl FromStr for MeterId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let text = text.trim();
        if text.is_empty() || text.len() > Self::LENGTH_MAX {
            return Err(IdError::Length { max: Self::LENGTH_MAX });
        }
        Ok(Self(text.to_lowercase().into()))
    }
}

impl fmt::Display for MeterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for MeterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The short name by which files, commands and documents refer to something: lower-case letters,
/// digits, `.`, `_` and `-`, at most 64 characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Arc<str>);

impl Key {
    /// The longest key that is kept.
    pub const LENGTH_MAX: usize = 64;

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Key {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
        let first = text.chars().next().is_some_and(|c| c.is_ascii_alphanumeric());
        if !first || text.len() > Self::LENGTH_MAX || !text.chars().all(allowed) {
            return Err(IdError::NotAKey);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
