//! The rows of one subscription and meter.

use std::collections::BTreeMap;
use std::sync::Arc;

use documents::daily::{self, CHARGE_NEW, CHARGE_ROUNDING};
use domain::{AccessScope, AppliedRate};
use jiff::civil::Date;
use kernel::{
    Amount, Currency, Error, ExchangeRate, Percent, QUANTITY_SCALE, Quantity, Result, Rounding,
    UnitPrice, Zone, instant_micros, micros_instant, ten_to,
};
use rating::{Charge, EdgeIndex, GroupPrice, MeterIndex, Price, Schedule, SubscriptionIndex};

use super::records::Records;
use super::tables::{OpenTable, Tables};
use crate::close::billing;
use crate::frozen::{FrozenGroup, Line};

/// The lines of one subscription and meter.
pub(super) struct Run {
    pub scope: (SubscriptionIndex, MeterIndex),
    edges: Vec<RunEdge>,
    day: Day,
    /// When the record that is being put together began.
    start: i64,
}

/// A day of service, in the programme's zone and as files write it.
#[derive(Default)]
struct Day {
    from: i64,
    until: i64,
    date: i64,
}

/// The same on one edge that is wanted.
struct RunEdge {
    open: OpenTable,
    position: usize,
    currency: Currency,
    schedule: Arc<Schedule>,
    /// What the rows of each tier come to, and one of their prices.
    sums: BTreeMap<u8, TierSum>,
    /// The resource of the record, where prices depend on it.
    resource: Option<String>,
    /// The price that the table shows, and where it applies.
    shown: Option<Shown>,
    /// The row that is being put together.
    row: Option<EdgeRow>,
}

/// Tier, beginning of the interval, whether the resource earns credit that others do not.
type Place = (u8, i64, bool);

/// A price that a table shows.
type Shown = (Place, LinePrice);

/// A row of an edge: one record, one tier, one price. The frozen lines are cut finer where another
/// edge of the path has other tiers or prices, which is not this edge's business.
#[derive(Debug, Clone, Copy)]
struct EdgeRow {
    place: Place,
    price: LinePrice,
    date: i64,
    quantity: Quantity,
}

#[derive(Debug, Clone, Default)]
struct TierSum {
    billed: i128,
    quantity: i128,
    /// How many units each price has.
    units: Vec<(LinePrice, i128)>,
}

impl TierSum {
    fn add(&mut self, price: LinePrice, quantity: Quantity, billed: i128) {
        match self.units.iter_mut().find(|(known, _)| *known == price) {
            Some((_, units)) => *units += quantity.mantissa(),
            None => self.units.push((price, quantity.mantissa())),
        }
        self.quantity += quantity.mantissa();
        self.billed += billed;
    }

    /// The price of its units, if they have one. A price of none, or of units that have been given
    /// back, does not count unless there is nothing else.
    fn price(&self) -> Option<LinePrice> {
        let mut used = self.units.iter().filter(|(_, units)| *units != 0).map(|(price, _)| *price);
        match (used.next(), used.next(), self.units.as_slice()) {
            (Some(price), None, _) => Some(price),
            (None, _, [(price, _)]) => Some(*price),
            _ => None,
        }
    }
}

/// The price of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct LinePrice {
    unit_price: UnitPrice,
    effective_unit_price: UnitPrice,
    pricing_currency: Currency,
    rate: ExchangeRate,
    rate_date: Option<i64>,
    credit: Percent,
    /// The exact price in the pricing and the billed currency, where 128 bits suffice.
    charges: [Option<Charge>; 2],
}

impl LinePrice {
    fn new(stated: &GroupPrice, rate: ExchangeRate, rate_date: Option<i64>) -> Self {
        let price = stated.effective_unit_price;
        Self {
            unit_price: stated.unit_price,
            effective_unit_price: price,
            pricing_currency: stated.pricing_currency,
            rate,
            rate_date,
            credit: stated.credit,
            charges: [ExchangeRate::ONE, rate].map(|rate| Charge::of(price, rate)),
        }
    }

    fn of(price: &Price, tier: u8, currency: Currency) -> Option<Self> {
        let tier = price.tiers.get(usize::from(tier))?;
        let stated = price.stated(tier);
        let billing = billing(&stated, currency);
        Some(Self::new(&stated, billing.rate, billing.rate_date))
    }

    /// What a quantity costs in the pricing and the billed currency, with so many decimals each,
    /// half even.
    fn amounts(&self, quantity: Quantity, decimals: [u8; 2]) -> Result<(i128, i128)> {
        let amount = |at: usize, rate: ExchangeRate| {
            let narrow = self.charges[at].and_then(|c| c.of_quantity(quantity, decimals[at]));
            if let Some(amount) = narrow {
                return Ok(amount);
            }
            let amount = Amount::of_exchanged(quantity, self.effective_unit_price, rate)?;
            let too_large = || Error::invalid("amount", "is too large for a file");
            amount.to_scaled(decimals[at]).ok_or_else(too_large)
        };
        Ok((amount(0, ExchangeRate::ONE)?, amount(1, self.rate)?))
    }

    fn show(&self, open: &mut OpenTable, currency: Currency) {
        let billing = documents::Billing {
            pricing_currency: self.pricing_currency.code(),
            billing_currency: currency.code(),
            rate: self.rate,
            rate_date: self.rate_date,
        };
        daily::price(&mut open.table, self.unit_price, self.effective_unit_price, billing);
        daily::credit(&mut open.table, self.credit);
    }
}

fn lost() -> Error {
    Error::internal("a line has lost its price")
}

impl Run {
    /// Begins the rows of a subscription and meter on every wanted edge.
    pub fn begin(scope: (SubscriptionIndex, MeterIndex), tables: &mut Tables<'_>) -> Result<Self> {
        let files = tables.files;
        let book = files.book;
        let (subscription, meter) = scope;
        let path = book.path(subscription);
        // A customer may buy from several sellers, by turns.
        let buyer = |edge: EdgeIndex| book.edges()[edge.get()].buyer;
        let customer = path.last().map(|edge| buyer(*edge));
        tables.end_others(|edge| Some(buyer(edge)) == customer)?;
        let mut edges = Vec::new();
        for (position, edge) in path.iter().enumerate() {
            let Some(at) = files.chosen.get(edge) else { continue };
            let mut open = tables.take(*at, *edge)?;
            daily::subscription(&mut open.table, &files.naming.rows_of(subscription, *edge));
            daily::meter(&mut open.table, &files.naming.product(subscription, meter));
            daily::charge_type(&mut open.table, CHARGE_NEW);
            let node = book.nodes(subscription)[position];
            daily::charged(&mut open.table, book.period_of_node(node));
            edges.push(RunEdge {
                open,
                position,
                currency: book.edges()[edge.get()].currency,
                schedule: book.schedule(node, meter),
                sums: BTreeMap::new(),
                resource: None,
                shown: None,
                row: None,
            });
        }
        Ok(Self { scope, edges, day: Day::default(), start: i64::MIN })
    }

    /// Says which resource the lines that follow are about.
    pub fn resource(&mut self, tables: &Tables<'_>, records: &Records, row: usize) {
        self.start = records.start(row);
        let (details, entitlement) = (records.details(row), records.entitlement(row));
        let subscription = tables.files.book.subscription_id(self.scope.0).to_string();
        let id = subscription.as_str();
        for RunEdge { open, schedule, resource, .. } in &mut self.edges {
            daily::resource(&mut open.table, &details);
            let name = || tables.files.naming.entitlement(entitlement.text);
            daily::entitlement(&mut open.table, entitlement, name);
            if schedule.depends_on_resources() {
                let holder = if entitlement.text.is_empty() { id } else { entitlement.text };
                let [uri, _, group, ..] = details;
                *resource = Some(AccessScope::resource(holder, group.text, uri.text));
            }
        }
    }

    /// Takes a line in on every wanted edge.
    pub fn line(&mut self, tables: &Tables<'_>, line: &Line<'_>) -> Result<()> {
        let zone = tables.files.zone;
        let (start, day) = (self.start, &mut self.day);
        self.edges.iter_mut().try_for_each(|edge| {
            let Some(tier) = line.tier(edge.position) else {
                // Another edge of the path bills it with this month.
                return Ok(());
            };
            // Lines are cut as all edges of the path cut; a row begins where its own edge does.
            let interval = edge.schedule.at(line.start).ok_or_else(lost)?;
            let date = day.date_of(start.max(interval.from), zone);
            edge.line(line, tier, date)
        })
    }

    /// Appends the rows of a record that are still being put together.
    pub fn end_record(&mut self) -> Result<()> {
        self.edges.iter_mut().try_for_each(RunEdge::write_row)
    }

    /// Appends the rows that make up for rounding: one an invoice line that needs it.
    pub fn finish(self, tables: &mut Tables<'_>, groups: &mut &[FrozenGroup]) -> Result<()> {
        let of_run = groups.iter().take_while(|g| (g.subscription, g.meter) == self.scope).count();
        let (mine, rest) = groups.split_at(of_run);
        *groups = rest;
        for mut edge in self.edges {
            let position = edge.position;
            for group in mine.iter().filter(|group| usize::from(group.position) == position) {
                edge.round(group)?;
            }
            tables.put(edge.open)?;
        }
        Ok(())
    }
}

impl Day {
    /// The date of an instant; lines of one day mostly come together.
    fn date_of(&mut self, instant: i64, zone: &Zone) -> i64 {
        if instant < self.from || self.until <= instant {
            let day = zone.day_of(micros_instant(instant));
            let midnight = |day| instant_micros(zone.start_of(day));
            *self = Self {
                from: midnight(day),
                until: day.tomorrow().map_or(i64::MAX, midnight),
                date: instant_micros(Zone::UTC.start_of(day)),
            };
        }
        self.date
    }
}

impl RunEdge {
    fn line(&mut self, line: &Line<'_>, tier: u8, date: i64) -> Result<()> {
        let interval = self.schedule.at(line.start).ok_or_else(lost)?;
        let resource = self.resource.as_deref().unwrap_or_default();
        let place = (tier, interval.from, interval.is_credited(resource));
        if let Some(row) = &mut self.row {
            if row.place == place {
                row.quantity = row.quantity.checked_add(line.quantity).ok_or_else(lost)?;
                return Ok(());
            }
            self.write_row()?;
        }
        let known = self.shown.filter(|(shown, _)| *shown == place);
        let price = if let Some((_, price)) = known {
            price
        } else {
            let interval = self.schedule.at(line.start).ok_or_else(lost)?;
            let resource = self.resource.as_deref().unwrap_or_default();
            let price = interval.price_of(resource).map_err(|_| lost())?;
            LinePrice::of(price, tier, self.currency).ok_or_else(lost)?
        };
        let quantity = line.quantity;
        self.row = Some(EdgeRow { place, price, date, quantity });
        Ok(())
    }

    /// Appends the row that has been put together.
    fn write_row(&mut self) -> Result<()> {
        let Some(EdgeRow { place, price, date, quantity }) = self.row.take() else {
            return Ok(());
        };
        let table = &self.open.table;
        let decimals = [daily::PRICING_COLUMN, daily::BILLING_COLUMN].map(|at| table.scale(at));
        let (pricing, billed) = price.amounts(quantity, decimals)?;
        let sum = self.sums.entry(place.0).or_default();
        sum.add(price, quantity, billed);
        if self.shown.is_none_or(|(shown, _)| shown != place) {
            price.show(&mut self.open, self.currency);
            self.shown = Some((place, price));
        }
        daily::line(&mut self.open.table, Some(date), quantity, (pricing, billed));
        Ok(())
    }

    /// Appends a row that makes up for the rounding of a group, if it needs one.
    fn round(&mut self, group: &FrozenGroup) -> Result<()> {
        let sum = self.sums.get(&group.tier).cloned();
        let sum = sum.filter(|sum| sum.quantity == group.quantity.mantissa());
        let sum = sum.ok_or_else(|| Error::internal("a group has lost lines"))?;
        let scale = self.open.table.scale(daily::BILLING_COLUMN);
        let unit = ten_to(scale - self.currency.minor_digits());
        let residue = i128::from(group.amount_minor) * unit - sum.billed;
        if residue == 0 {
            return Ok(());
        }
        let price = match sum.price() {
            Some(price) => price,
            None => self.average(group, &sum, scale)?,
        };
        price.show(&mut self.open, self.currency);
        let table = &mut self.open.table;
        daily::no_resource(table);
        daily::charge_type(table, CHARGE_ROUNDING);
        daily::line(table, None, Quantity::ZERO, (0, residue));
        self.open.rounding += 1;
        Ok(())
    }

    /// The price of a rounding row of a group with several prices: the average, as on the invoice.
    fn average(&self, group: &FrozenGroup, sum: &TierSum, scale: u8) -> Result<LinePrice> {
        let exact = Amount::from_scaled(sum.billed, scale)?;
        let average = exact.per_unit(group.quantity, QUANTITY_SCALE, Rounding::HalfEven);
        let average = average.unwrap_or(UnitPrice::ZERO);
        let stated = GroupPrice {
            pricing_currency: self.currency,
            rate: AppliedRate { rate: ExchangeRate::ONE, day: Date::MIN },
            unit_price: average,
            effective_unit_price: average,
            credit: Percent::ZERO,
        };
        Ok(LinePrice::new(&stated, ExchangeRate::ONE, None))
    }
}
