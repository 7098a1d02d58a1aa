//! Months.

use app::invoices::Invoice;
use app::rate::{EdgeTotal, MissingPrice};
use app::{adjust, close, rate};
use jiff::civil::Date;
use kernel::{Money, Month, Result};
use wire::v1::{
    self, AdjustPeriod, Amount, BillQuery, Billed, ClosePeriod, OpenEdge, OpenPeriod, PeriodPath,
    ShowOpenPeriod,
};

use super::invoices::shape;
use super::parsed;
use crate::request::Input;
use crate::routes::Call;
use crate::wait;

fn month(path: &PeriodPath) -> Result<Month> {
    parsed("period", &path.period)
}

fn issue_date(query: &BillQuery) -> Result<Option<Date>> {
    query.issue_date.as_deref().map(|day| parsed("issue_date", day)).transpose()
}

pub fn open(call: &Call<'_>, input: &Input<ShowOpenPeriod>) -> Result<OpenPeriod> {
    let month = month(&input.path)?;
    let rated = wait(rate::rate(call.ctx(), month, app::workers(), None))?;
    Ok(OpenPeriod {
        period: rated.month.to_string(),
        closed: rated.closed,
        edges: rated.edges.iter().map(edge).collect(),
        missing: rated.missing.iter().map(missing).collect(),
    })
}

pub fn close(call: &Call<'_>, input: &Input<ClosePeriod>) -> Result<Billed> {
    let (month, day) = (month(&input.path)?, issue_date(&input.query)?);
    let closed = wait(close::close(call.ctx(), month, day, app::workers()))?;
    let invoices = closed.invoices.into_iter().zip(closed.keys);
    Ok(Billed {
        period: month.to_string(),
        revision: Some(closed.close.revision),
        issue_date: Some(closed.close.issue_on.to_string()),
        already: closed.already,
        invoices: shapes(invoices)?,
    })
}

pub fn adjust(call: &Call<'_>, input: &Input<AdjustPeriod>) -> Result<Billed> {
    let (month, day) = (month(&input.path)?, issue_date(&input.query)?);
    let adjusted = wait(adjust::post(call.ctx(), month, day, app::workers()))?;
    let invoices = adjusted.invoices.into_iter().zip(adjusted.keys);
    Ok(Billed {
        period: month.to_string(),
        revision: adjusted.revision.as_ref().map(|close| close.revision),
        issue_date: adjusted.revision.as_ref().map(|close| close.issue_on.to_string()),
        already: adjusted.revision.is_none(),
        invoices: shapes(invoices)?,
    })
}

type Keyed<R> = (R, (String, String));

fn shapes<R>(invoices: impl Iterator<Item = Keyed<R>>) -> Result<Vec<v1::Invoice>>
where
    Invoice: From<Keyed<R>>,
{
    invoices.map(|invoice| shape(&Invoice::from(invoice))).collect()
}

fn amount(money: &Money) -> Amount {
    Amount { amount: money.digits(), currency: money.currency().to_string() }
}

fn edge(edge: &EdgeTotal) -> OpenEdge {
    OpenEdge {
        seller: edge.seller_key.clone(),
        buyer: edge.buyer_key.clone(),
        currency: edge.net.currency().to_string(),
        lines: edge.lines,
        groups: edge.groups,
        net: edge.net.digits(),
        bought: edge.bought.iter().map(amount).collect(),
        margin: edge.margin.map(Money::digits),
    }
}

fn missing(missing: &MissingPrice) -> v1::MissingPrice {
    let (seller, buyer) = missing.edge.clone().unzip();
    v1::MissingPrice {
        seller,
        buyer,
        meter: missing.meter.clone(),
        subscription: missing.subscription.clone(),
        subscriptions: missing.subscriptions,
        reason: missing.reason.clone(),
    }
}
