//! `skyhandel prorate`

use std::process::ExitCode;

use app::seats::{ChargeCycle, SeatCharge, SeatPrice, change_seats, convert_seats};
use kernel::{Error, ExchangeRate, Money, Result};
use serde::Serialize;

use crate::args::ProrateArgs;
use crate::output::{Output, table};

#[derive(Serialize)]
struct ProratedJson {
    cycle_first: String,
    cycle_last: String,
    cycle_days: u32,
    rounding: String,
    currency: String,
    net: String,
    rows: Vec<RowJson>,
}

#[derive(Serialize)]
struct RowJson {
    charge_type: &'static str,
    charge_start_date: String,
    charge_end_date: String,
    billing_days: u32,
    billable_quantity: i64,
    effective_unit_price: String,
    subtotal: String,
}

pub fn run(args: &ProrateArgs, output: Output) -> Result<ExitCode> {
    let cycle = if args.annual {
        ChargeCycle::annual(args.cycle_start)
    } else {
        ChargeCycle::monthly(args.cycle_start)
    };
    let cycle = cycle.ok_or_else(|| Error::invalid("cycle-start", "is too late a day"))?;
    let old = price(args)?;
    let on = args.on.unwrap_or(args.cycle_start);
    let rows = match args.to_price {
        Some(unit_price) => {
            convert_seats((&old, &SeatPrice { unit_price, ..old }), cycle, on, args.from)
        }
        None => change_seats(&old, cycle, on, (args.from, args.to.unwrap_or_default())),
    }?;
    let net = Money::zero(old.billing_currency);
    let net = rows.iter().try_fold(net, |net, row| net.checked_add(row.subtotal))?;
    let json = ProratedJson {
        cycle_first: cycle.first().to_string(),
        cycle_last: cycle.last().to_string(),
        cycle_days: cycle.days(),
        rounding: old.rounding.to_string(),
        currency: old.billing_currency.to_string(),
        net: net.digits(),
        rows: rows.iter().map(row).collect(),
    };
    output.print(&json, || describe(&json, net));
    Ok(ExitCode::SUCCESS)
}

fn price(args: &ProrateArgs) -> Result<SeatPrice> {
    let billing_currency = args.billing_currency.unwrap_or(args.currency);
    let rate = match args.rate {
        Some(rate) => rate,
        None if billing_currency == args.currency => ExchangeRate::ONE,
        None => {
            let reason = format!("is needed from {} into {billing_currency}", args.currency);
            return Err(Error::invalid("rate", reason));
        }
    };
    if billing_currency == args.currency && rate != ExchangeRate::ONE {
        return Err(Error::invalid("rate", "is 1 where nothing is exchanged"));
    }
    let (unit_price, rounding) = (args.price, args.rounding);
    Ok(SeatPrice { unit_price, pricing_currency: args.currency, billing_currency, rate, rounding })
}

fn row(charge: &SeatCharge) -> RowJson {
    RowJson {
        charge_type: charge.charge_type,
        charge_start_date: charge.days.0.to_string(),
        charge_end_date: charge.days.1.to_string(),
        billing_days: charge.billing_days,
        billable_quantity: charge.seats,
        effective_unit_price: charge.effective_unit_price.to_string(),
        subtotal: charge.subtotal.digits(),
    }
}

fn describe(prorated: &ProratedJson, net: Money) -> String {
    let head = format!(
        "Cycle of {} days, {} to {}; rounded as {}.",
        prorated.cycle_days, prorated.cycle_first, prorated.cycle_last, prorated.rounding
    );
    if prorated.rows.is_empty() {
        return format!("{head}\nNothing changes.");
    }
    let rows = prorated.rows.iter().map(|row| {
        vec![
            row.charge_type.to_owned(),
            row.charge_start_date.clone(),
            row.charge_end_date.clone(),
            row.billing_days.to_string(),
            row.billable_quantity.to_string(),
            row.effective_unit_price.clone(),
            row.subtotal.clone(),
        ]
    });
    let names = ["charge type", "from", "to", "days", "seats", "effective unit price", "subtotal"];
    let rows: Vec<_> = rows.collect();
    [head, table(&names, &[3, 4, 5, 6], &rows), format!("To be paid besides: {net}")].join("\n")
}
