//! The prices behind a line: each step from the price sheet down the sale path.

use domain::{Derivation, ExchangePolicy};
use jiff::Timestamp;
use kernel::{Amount, Error, Quantity, Result, micros_instant};
use rating::{EdgeIndex, Interval, NodeIndex, Origin, Price};

use super::{ExplainedPrice, Explainer, PriceStep, RatedGroup};

impl Explainer<'_> {
    /// What the units of one price come to, and how it was made.
    pub(super) fn price(
        &self,
        found: &RatedGroup,
        node: NodeIndex,
        (interval, credited): (&Interval, bool),
        quantity: Quantity,
    ) -> Result<ExplainedPrice> {
        let group = found.group;
        let lost = || Error::internal("a line has lost its price");
        let own = interval.credited.as_ref().filter(|_| credited).map(|own| &own.price);
        let price = own.map_or(interval.price.as_ref(), Ok).map_err(|_| lost())?;
        let node = self.book.without_credit(node);
        let before = self.book.schedule(node, group.meter);
        let before = before.at(interval.from).and_then(|at| at.price.as_ref().ok());
        let tier = price.tiers.get(usize::from(group.tier)).ok_or_else(lost)?;
        let next = price.tiers.get(usize::from(group.tier) + 1);
        let edge = &self.book.edges()[found.edge.get()];
        let exchanged = price.pricing_currency != edge.currency;
        let source = || (price.rate.day, self.rate_source(found.edge));
        Ok(ExplainedPrice {
            from: micros_instant(interval.from),
            until: micros_instant(interval.until),
            tier_from: tier.from,
            tier_until: next.map(|next| next.from),
            steps: self.steps(found, node, interval.from, before.ok_or_else(lost)?)?,
            credit: price.credit,
            effective_unit_price: tier.effective_unit_price,
            pricing_currency: price.pricing_currency,
            rate: price.rate.rate,
            rate_of: exchanged.then(source),
            quantity,
            amount: Amount::of_exchanged(quantity, tier.effective_unit_price, price.rate.rate)?,
        })
    }

    /// Whose rates the terms of an edge name.
    fn rate_source(&self, edge: EdgeIndex) -> String {
        let edge = &self.book.edges()[edge.get()];
        let day = self.book.month().first_day();
        let agreement = self.known.programme.agreements.iter().find(|agreement| {
            (agreement.seller, agreement.buyer) == (edge.seller, edge.buyer)
                && agreement.validity.contains(day)
        });
        agreement.map_or_else(String::new, |agreement| {
            let ExchangePolicy { source, .. } = agreement.exchange;
            source.to_string()
        })
    }

    /// How a price came about: the price sheet or rule first, this edge last.
    fn steps(
        &self,
        found: &RatedGroup,
        node: NodeIndex,
        at: i64,
        price: &Price,
    ) -> Result<Vec<PriceStep>> {
        let book = self.book;
        let group = found.group;
        let path = book.path(group.subscription);
        let lost = || Error::internal("a price has lost its rule");
        let (mut steps, mut node, mut price) = (Vec::new(), node, price.clone());
        // The prices that a seller bought by need not be those that it is billed now.
        let mut position = path.iter().position(|on| *on == found.edge).ok_or_else(lost)?;
        loop {
            let edge = &book.edges()[path[position].get()];
            let derived = book.derived(node, group.meter, at).ok_or_else(lost)?;
            let tier = usize::from(group.tier);
            let made = price.tiers.get(tier).ok_or_else(lost)?.effective_unit_price;
            let (sheet, source, rates, above) = match &derived.origin {
                Origin::List { sheet, dates, currency, tiers } => {
                    let listed = tiers.as_slice().get(tier).ok_or_else(lost)?.price;
                    let entry = (sheet.to_string(), bounded(dates.0));
                    (Some(entry), (listed, *currency), Vec::new(), None)
                }
                Origin::Bought { node, price, rate } => {
                    let paid = price.tiers.get(tier).ok_or_else(lost)?.effective_unit_price;
                    let rates = vec![price.rate.rate, rate.rate];
                    (None, (paid, price.pricing_currency), rates, Some((*node, price.clone())))
                }
                Origin::Rule => (None, (made, price.pricing_currency), Vec::new(), None),
            };
            steps.push(PriceStep {
                seller: self.naming.key(edge.seller).to_owned(),
                buyer: self.naming.key(edge.buyer).to_owned(),
                price_book: derived.book.to_string(),
                selector: derived.selector.to_string(),
                rule_from: bounded(derived.rule.0),
                rule_until: bounded(derived.rule.1),
                rule: match derived.derivation {
                    Derivation::ListMinus(percent) => format!("list minus {percent} %"),
                    Derivation::BuyPlus(percent) => format!("buy plus {percent} %"),
                    Derivation::Fixed { .. } => "fixed".to_owned(),
                },
                sheet,
                source,
                rates,
                price: (made, price.pricing_currency),
            });
            match above {
                Some((above, paid)) => {
                    position = position.checked_sub(1).ok_or_else(lost)?;
                    (node, price) = (above, paid);
                }
                None => break,
            }
        }
        steps.reverse();
        Ok(steps)
    }
}

/// An instant, or none where there is no bound.
fn bounded(micros: i64) -> Option<Timestamp> {
    (micros != i64::MIN && micros != i64::MAX).then(|| micros_instant(micros))
}
