//! Which rule of a price book wins for a meter at an instant.

use std::collections::HashMap;
use std::hash::Hash;

use domain::{Derivation, PriceBook, Selector};
use kernel::{Key, MeterId, Zone};
use rustc_hash::FxHashMap;

use super::{Listed, MeterIndex};
use crate::flat_price::FlatRule;

/// Numbers for categories, product ids and product titles, without regard to case. Zero is
/// "none".
#[derive(Debug, Default)]
pub(crate) struct Labels(HashMap<String, u32>);

impl Labels {
    /// The number of a label; an empty one has none.
    pub fn intern(&mut self, label: &str) -> u32 {
        if label.is_empty() {
            return 0;
        }
        let next = self.0.len() as u32 + 1;
        *self.0.entry(label.to_lowercase()).or_insert(next)
    }

    /// How many numbers there are, with that of "none".
    pub fn len(&self) -> u32 {
        self.0.len() as u32 + 1
    }
}

/// Categories beyond which winners are looked up one by one.
const CATEGORIES_MAX: u32 = 1 << 12;

/// A rule with its bounds in microseconds.
#[derive(Debug)]
pub(crate) struct Rule {
    pub selector: Selector,
    pub from: i64,
    pub until: i64,
    pub derivation: Derivation,
}

impl Rule {
    fn applies(&self, at: i64) -> bool {
        self.from <= at && at < self.until
    }

    fn overlaps(&self, (from, until): (i64, i64)) -> bool {
        self.from < until && from < self.until
    }
}

/// A price book, indexed by what its rules select.
#[derive(Debug)]
pub(crate) struct Rules {
    pub key: Key,
    pub ordered: Vec<Rule>,
    by_meter: FxHashMap<MeterIndex, Vec<u32>>,
    by_product: FxHashMap<u32, Vec<u32>>,
    by_category: FxHashMap<u32, Vec<u32>>,
    all: Vec<u32>,
    /// The rule that wins all month long for each category, where it is simple and no rule for a
    /// meter or product goes before it.
    pub flat: Vec<Option<FlatRule>>,
}

impl Rules {
    /// Indexes a book; every meter that it names is among `meters`.
    pub fn new(
        book: &PriceBook,
        zone: &Zone,
        meters: &FxHashMap<MeterId, MeterIndex>,
        (products, categories): (&mut Labels, &mut Labels),
    ) -> Self {
        let mut rules = Self {
            key: book.key.clone(),
            ordered: Vec::new(),
            by_meter: FxHashMap::default(),
            by_product: FxHashMap::default(),
            by_category: FxHashMap::default(),
            all: Vec::new(),
            flat: Vec::new(),
        };
        for (at, rule) in book.rules.iter().enumerate() {
            let at = at as u32;
            match &rule.selector {
                Selector::Meter(id) => {
                    if let Some(meter) = meters.get(id) {
                        rules.by_meter.entry(*meter).or_default().push(at);
                    }
                }
                Selector::Product(product) => {
                    rules.by_product.entry(products.intern(product)).or_default().push(at);
                }
                Selector::Category(category) => {
                    rules.by_category.entry(categories.intern(category)).or_default().push(at);
                }
                Selector::All => rules.all.push(at),
            }
            let (from, until) = rule.validity.micros(zone);
            rules.ordered.push(Rule {
                selector: rule.selector.clone(),
                from,
                until,
                derivation: rule.derivation.clone(),
            });
        }
        rules
    }

    /// Whether some price follows from what the seller pays.
    pub fn buys(&self) -> bool {
        self.ordered.iter().any(|rule| matches!(rule.derivation, Derivation::BuyPlus(_)))
    }

    /// Whether some rule names the meter or its product.
    pub fn selects<'a>(
        &self,
        meter: MeterIndex,
        listed: impl FnOnce() -> Option<&'a Listed>,
    ) -> bool {
        let by_product = || {
            let labels = listed().map_or([0; 2], |listed| listed.products);
            labels.iter().any(|label| self.by_product.contains_key(label))
        };
        !found(&self.by_meter, &meter).is_empty() || (!self.by_product.is_empty() && by_product())
    }

    /// Finds the winner of each category.
    pub fn flatten(&mut self, categories: u32, period: (i64, i64)) {
        if categories > CATEGORIES_MAX {
            return;
        }
        let winner = |category: u32| {
            let levels = [&[], &[], &[], found(&self.by_category, &category), &self.all[..]];
            let candidates = Candidates { book: self, levels };
            candidates.winner_throughout(period).and_then(FlatRule::of)
        };
        self.flat = (0..categories).map(winner).collect();
    }

    /// Whether rules for products could tie, one by id and one by title.
    pub fn may_tie(&self) -> bool {
        self.by_product.len() > 1
    }

    /// The rules that may apply to a meter, most specific level first.
    pub fn candidates(&self, meter: MeterIndex, listed: Option<&Listed>) -> Candidates<'_> {
        let mut levels: [&[u32]; 5] = [&[]; 5];
        levels[0] = found(&self.by_meter, &meter);
        if let Some(listed) = listed {
            let [product, title] = listed.products;
            levels[1] = found(&self.by_product, &product);
            levels[2] = if title == product { &[] } else { found(&self.by_product, &title) };
            levels[3] = found(&self.by_category, &listed.category);
        }
        levels[4] = &self.all;
        Candidates { book: self, levels }
    }
}

/// The rules under a name; most books have none for most names, so that is asked first.
fn found<'a, K: Eq + Hash>(index: &'a FxHashMap<K, Vec<u32>>, key: &K) -> &'a [u32] {
    if index.is_empty() { &[] } else { index.get(key).map_or(&[], Vec::as_slice) }
}

/// The rules of a book that may apply to one meter.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidates<'a> {
    book: &'a Rules,
    /// By meter, product id, product title, category, all. Id and title are equally specific.
    levels: [&'a [u32]; 5],
}

impl<'a> Candidates<'a> {
    /// Every candidate.
    pub fn iter(self) -> impl Iterator<Item = &'a Rule> {
        self.levels.into_iter().flatten().map(move |at| &self.book.ordered[*at as usize])
    }

    /// The rule that wins at an instant.
    pub fn winner(self, at: i64) -> Option<&'a Rule> {
        self.iter().find(|rule| rule.applies(at))
    }

    /// The rule that wins during all of a period, where there is one.
    pub fn winner_throughout(self, period: (i64, i64)) -> Option<&'a Rule> {
        let first = self.iter().find(|rule| rule.overlaps(period))?;
        (first.from <= period.0 && period.1 <= first.until).then_some(first)
    }

    /// Two rules that are equally specific and apply at once: one names the product by its id,
    /// the other by its title. Rules with the same selector are compared when a book is applied.
    pub fn tie(self) -> Option<(&'a Rule, &'a Rule)> {
        let rule = |at: &u32| &self.book.ordered[*at as usize];
        let [_, by_id, by_title, ..] = self.levels;
        by_id.iter().map(rule).find_map(|a| {
            let other = by_title.iter().map(rule).find(|b| a.from < b.until && b.from < a.until);
            other.map(|b| (a, b))
        })
    }
}
