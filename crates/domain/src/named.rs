//! Enumerations that have names in files.

/// Reads and writes an enumeration by its names.
macro_rules! named {
    ($name:ident, $what:literal) => {
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let named = Self::NAMES.iter().find(|(_, value)| value == self);
                f.write_str(named.map_or("", |(name, _)| name))
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                let found = Self::NAMES.iter().find(|(name, _)| *name == text);
                found.map(|(_, value)| *value).ok_or_else(|| {
                    let names: Vec<_> = Self::NAMES.iter().map(|(name, _)| *name).collect();
                    format!(concat!("is not ", $what, "; use one of {}"), names.join(", "))
                })
            }
        }
    };
}

pub(crate) use named;
