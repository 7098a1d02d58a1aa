//! Files of a provider that rates in a system of its own, in the columns of ours: what it says is
//! kept as it says it, in one spelling.

use crate::table::{Kind, Layout};
use crate::{daily, reconciliation};

/// Its reconciliation file. Numbers are texts, because it may print more decimals than we keep.
pub fn lines_layout() -> Layout {
    texts(reconciliation::COLUMNS)
}

/// Its daily rated usage file.
pub fn daily_layout() -> Layout {
    texts(daily::COLUMNS)
}

fn texts(columns: &[&'static str]) -> Layout {
    Layout::new(columns.iter().map(|name| (*name, Kind::Text)).collect())
}
