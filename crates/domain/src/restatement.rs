//! Facts that price a closed month otherwise than it was billed, and who bills by them.
//!
//! What becomes known of a closed month's prices changes nothing by itself: each seller accepts it
//! for an edge, or does not. Until then the edge keeps the prices that it was billed by, also
//! where they follow from a price that the seller itself no longer pays.

use std::collections::BTreeMap;

use kernel::OrganisationId;

/// What has been restated of one closed month, as known at one instant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Restatements {
    since: Vec<i64>,
    accepted: BTreeMap<(OrganisationId, OrganisationId), Vec<i64>>,
    /// When edges were first agreed.
    agreed: BTreeMap<(OrganisationId, OrganisationId), i64>,
}

/// By which facts an edge is priced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PricedBy {
    /// The version of the facts: so many restatements are among them.
    pub version: usize,
    /// What the seller itself pays is what it paid by what had been accepted at this instant, in
    /// microseconds since 1970.
    pub at: i64,
}

impl Restatements {
    /// Puts them in order. `since` are the instants, in microseconds since 1970, at which restated
    /// facts became known; `accepted` those at which sellers accepted what was known then.
    pub fn new(
        mut since: Vec<i64>,
        accepted: impl IntoIterator<Item = ((OrganisationId, OrganisationId), i64)>,
    ) -> Self {
        since.sort_unstable();
        let mut restatements = Self { since, ..Self::default() };
        for (edge, at) in accepted {
            restatements.accept(edge, at);
        }
        restatements
    }

    /// Says when edges were first agreed, in microseconds since 1970.
    #[must_use]
    pub fn with_agreed(self, agreed: BTreeMap<(OrganisationId, OrganisationId), i64>) -> Self {
        Self { agreed, ..self }
    }

    /// Adds an acceptance.
    pub fn accept(&mut self, edge: (OrganisationId, OrganisationId), at: i64) {
        let instants = self.accepted.entry(edge).or_default();
        let place = instants.partition_point(|earlier| *earlier <= at);
        instants.insert(place, at);
    }

    /// Whether nothing has been restated.
    pub fn is_empty(&self) -> bool {
        self.since.is_empty()
    }

    /// The instants at which restated facts became known, earliest first. Before the first lies
    /// version 0 of the facts, from the last on the newest.
    pub fn since(&self) -> &[i64] {
        &self.since
    }

    /// Every acceptance: seller, buyer and instants.
    pub fn accepted(
        &self,
    ) -> impl Iterator<Item = ((OrganisationId, OrganisationId), &[i64])> + '_ {
        self.accepted.iter().map(|(edge, instants)| (*edge, instants.as_slice()))
    }

    /// By which facts an edge is priced, by what had been accepted up to an instant. An edge that
    /// nobody has accepted anything for keeps the first version that it was agreed in, and starts
    /// from what its seller paid when it was agreed.
    pub fn priced_by(
        &self,
        edge: (OrganisationId, OrganisationId),
        until: i64,
        first_agreed: usize,
    ) -> PricedBy {
        let accepted = self.accepted.get(&edge).map_or(&[][..], Vec::as_slice);
        let last = accepted.partition_point(|at| *at <= until).checked_sub(1);
        if let Some(at) = last.map(|last| accepted[last]) {
            let version = self.since.partition_point(|since| *since <= at);
            return PricedBy { version: version.max(first_agreed), at };
        }
        let end = self.since.get(first_agreed).map_or(i64::MAX, |next| next - 1);
        let agreed = self.agreed.get(&edge).filter(|_| first_agreed > 0);
        PricedBy { version: first_agreed, at: agreed.map_or(end, |agreed| end.min(*agreed)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn organisation(n: u128) -> OrganisationId {
        format!("{n:08x}-0000-4000-8000-000000000000").parse().unwrap()
    }

    #[test]
    fn an_edge_keeps_its_version_until_its_seller_accepts() {
        let edge = (organisation(1), organisation(2));
        let other = (organisation(2), organisation(3));
        let restated = Restatements::new(vec![200, 100], [(edge, 150), (edge, 250)]);
        let version = |edge, until| restated.priced_by(edge, until, 0);
        assert_eq!(version(edge, 149), PricedBy { version: 0, at: 99 });
        assert_eq!(version(edge, 150), PricedBy { version: 1, at: 150 });
        assert_eq!(version(edge, 249), PricedBy { version: 1, at: 150 });
        assert_eq!(version(edge, i64::MAX), PricedBy { version: 2, at: 250 });
        assert_eq!(version(other, i64::MAX), PricedBy { version: 0, at: 99 });
    }

    #[test]
    fn an_edge_that_was_agreed_later_starts_with_what_was_known_then() {
        let edge = (organisation(1), organisation(2));
        let restated = Restatements::new(vec![100, 200], []);
        assert_eq!(restated.priced_by(edge, i64::MAX, 1), PricedBy { version: 1, at: 199 });
        let restated = restated.with_agreed(BTreeMap::from([(edge, 230)]));
        assert_eq!(restated.priced_by(edge, i64::MAX, 2), PricedBy { version: 2, at: 230 });
    }
}
