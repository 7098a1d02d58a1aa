//! Positions of ids, found by their text: the texts lie in one piece, so that finding one touches
//! little memory.

use std::hash::Hasher;

use hashbrown::HashTable;
use rustc_hash::FxHasher;

/// Ids in order, to be found by text.
#[derive(Debug)]
pub(crate) struct Ids {
    texts: String,
    /// Where each text ends.
    ends: Vec<u32>,
    positions: HashTable<u32>,
}

fn hash(text: &str) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(text.as_bytes());
    hasher.finish()
}

impl Ids {
    /// Indexes ids by their position.
    pub fn new<T: AsRef<str>>(ids: impl IntoIterator<Item = T>) -> Self {
        let mut all = Self { texts: String::new(), ends: Vec::new(), positions: HashTable::new() };
        for id in ids {
            all.texts.push_str(id.as_ref());
            all.ends.push(all.texts.len() as u32);
        }
        let mut positions = HashTable::with_capacity(all.ends.len());
        for at in 0..all.ends.len() as u32 {
            positions.insert_unique(hash(all.text(at)), at, |at| hash(all.text(*at)));
        }
        all.positions = positions;
        all
    }

    fn text(&self, at: u32) -> &str {
        let at = at as usize;
        let from = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.texts[from as usize..self.ends[at] as usize]
    }

    /// The position of an id.
    pub fn find(&self, id: &str) -> Option<u32> {
        self.positions.find(hash(id), |at| self.text(*at) == id).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_is_found_and_no_other() {
        let ids: Vec<String> = (0..1000).map(|n| format!("id-{n}")).collect();
        let index = Ids::new(&ids);
        for (at, id) in ids.iter().enumerate() {
            assert_eq!(index.find(id), Some(at as u32));
        }
        for stranger in ["", "id-", "id-1000", "ID-1", "id-1 "] {
            assert_eq!(index.find(stranger), None);
        }
    }
}
