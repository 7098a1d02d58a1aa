//! `skyhandel explain`

use app::Ctx;
use app::explain::{
    ExplainedPrice, ExplainedSide, Explanation, PriceStep, RoundedSum, UsedUnits, explain,
};
use kernel::Result;
use serde::Serialize;

use crate::args::ExplainArgs;
use crate::output::{Output, table};

#[derive(Serialize)]
struct ExplanationJson {
    invoice: String,
    line: u64,
    reference_id: String,
    period: String,
    seller: String,
    buyer: String,
    subscription_id: String,
    subscription: String,
    meter_id: String,
    meter: String,
    tier: u8,
    before: Option<SideJson>,
    now: Option<SideJson>,
    amount: String,
    currency: String,
}

/// What had been billed, or what is.
#[derive(Serialize)]
struct SideJson {
    usage: Vec<UsageJson>,
    prices: Vec<PriceJson>,
    exact: String,
    rounding: String,
    decimals: u8,
    /// Sums that are rounded before they are exchanged.
    inside: Vec<RoundedSumJson>,
    amount: String,
}

#[derive(Serialize)]
struct RoundedSumJson {
    pricing_currency: String,
    exact: String,
    cost: String,
    exchange_rate: String,
    amount: String,
}

#[derive(Serialize)]
struct UsageJson {
    source: String,
    event_id: String,
    resource: String,
    usage_start: String,
    usage_end: String,
    recorded_quantity: String,
    used_before: String,
    quantity: String,
    price: usize,
}

#[derive(Serialize)]
struct PriceJson {
    effective_from: String,
    effective_until: String,
    tier_from: String,
    tier_until: Option<String>,
    steps: Vec<StepJson>,
    partner_earned_credit_percent: String,
    effective_unit_price: String,
    pricing_currency: String,
    exchange_rate: String,
    exchange_rate_date: Option<String>,
    exchange_rate_source: Option<String>,
    quantity: String,
    amount: String,
}

#[derive(Serialize)]
struct StepJson {
    seller: String,
    buyer: String,
    price_book: String,
    selector: String,
    rule_from: Option<String>,
    rule_until: Option<String>,
    rule: String,
    price_sheet: Option<String>,
    price_sheet_from: Option<String>,
    source_price: String,
    source_currency: String,
    exchange_rates: Vec<String>,
    price: String,
    currency: String,
}

pub async fn run(ctx: Ctx<'_>, args: &ExplainArgs, output: Output) -> Result<()> {
    let seller = args.seller.as_ref().map(kernel::Key::as_str);
    let explanation = explain(ctx, &args.line, seller).await?;
    output.print(&json(&explanation), || describe(&explanation, args.all));
    Ok(())
}

fn json(explanation: &Explanation) -> ExplanationJson {
    ExplanationJson {
        invoice: explanation.invoice.number.clone(),
        line: explanation.line,
        reference_id: explanation.reference.to_string(),
        period: explanation.invoice.month.to_string(),
        seller: explanation.edge.0.clone(),
        buyer: explanation.edge.1.clone(),
        subscription_id: explanation.subscription.0.clone(),
        subscription: explanation.subscription.1.clone(),
        meter_id: explanation.meter.0.clone(),
        meter: explanation.meter.1.clone(),
        tier: explanation.tier,
        before: explanation.before.as_ref().map(side_json),
        now: explanation.now.as_ref().map(side_json),
        amount: explanation.amount.digits(),
        currency: explanation.amount.currency().to_string(),
    }
}

fn side_json(side: &ExplainedSide) -> SideJson {
    SideJson {
        usage: side.usage.iter().map(usage_json).collect(),
        prices: side.prices.iter().map(price_json).collect(),
        exact: side.exact.to_string(),
        rounding: side.rounding.to_string(),
        decimals: side.amount.currency().minor_digits(),
        inside: side.inside.iter().map(rounded_json).collect(),
        amount: side.amount.digits(),
    }
}

fn rounded_json(sum: &RoundedSum) -> RoundedSumJson {
    RoundedSumJson {
        pricing_currency: sum.cost.currency().to_string(),
        exact: sum.exact.to_string(),
        cost: sum.cost.digits(),
        exchange_rate: sum.rate.to_string(),
        amount: sum.billed.digits(),
    }
}

fn usage_json(used: &UsedUnits) -> UsageJson {
    UsageJson {
        source: used.source.clone(),
        event_id: used.event_id.clone(),
        resource: used.resource.clone(),
        usage_start: used.start.to_string(),
        usage_end: used.end.to_string(),
        recorded_quantity: used.recorded.to_string(),
        used_before: used.before.to_string(),
        quantity: used.quantity.to_string(),
        price: used.price,
    }
}

fn price_json(price: &ExplainedPrice) -> PriceJson {
    let (date, source) = price.rate_of.clone().unzip();
    PriceJson {
        effective_from: price.from.to_string(),
        effective_until: price.until.to_string(),
        tier_from: price.tier_from.to_string(),
        tier_until: price.tier_until.map(|until| until.to_string()),
        steps: price.steps.iter().map(step_json).collect(),
        partner_earned_credit_percent: price.credit.to_string(),
        effective_unit_price: price.effective_unit_price.to_string(),
        pricing_currency: price.pricing_currency.to_string(),
        exchange_rate: price.rate.to_string(),
        exchange_rate_date: date.map(|date| date.to_string()),
        exchange_rate_source: source,
        quantity: price.quantity.to_string(),
        amount: price.amount.to_string(),
    }
}

fn step_json(step: &PriceStep) -> StepJson {
    let (sheet, since) = step.sheet.clone().unzip();
    StepJson {
        seller: step.seller.clone(),
        buyer: step.buyer.clone(),
        price_book: step.price_book.clone(),
        selector: step.selector.clone(),
        rule_from: step.rule_from.map(|from| from.to_string()),
        rule_until: step.rule_until.map(|until| until.to_string()),
        rule: step.rule.clone(),
        price_sheet: sheet,
        price_sheet_from: since.flatten().map(|since| since.to_string()),
        source_price: step.source.0.to_string(),
        source_currency: step.source.1.to_string(),
        exchange_rates: step.rates.iter().map(ToString::to_string).collect(),
        price: step.price.0.to_string(),
        currency: step.price.1.to_string(),
    }
}

/// How many records are listed unless all are asked for.
const LISTED: usize = 20;

fn describe(explanation: &Explanation, all: bool) -> String {
    let Explanation { invoice, edge, meter, subscription, .. } = explanation;
    let mut lines = vec![
        format!(
            "Line {} of invoice {}: {} -> {}, {}",
            explanation.line, invoice.number, edge.0, edge.1, invoice.month
        ),
        format!("  ReferenceID   {}", explanation.reference),
        format!("  subscription  {} {}", subscription.1, subscription.0),
        format!("  meter         {} {}", meter.1, meter.0),
        format!("  tier          {}", explanation.tier),
        String::new(),
    ];
    for (side, said) in [
        (&explanation.before, "What had been billed before, and is taken back:"),
        (&explanation.now, "What is billed instead:"),
    ] {
        let Some(side) = side else { continue };
        if explanation.invoice.revision > 0 {
            lines.push(said.to_owned());
            lines.push(String::new());
        }
        lines.extend(side_lines(side, all));
        lines.push(String::new());
    }
    match (&explanation.before, &explanation.now) {
        (Some(before), Some(now)) => lines.push(format!(
            "The difference: {} - {} = {}",
            now.amount.digits(),
            before.amount.digits(),
            explanation.amount
        )),
        (Some(_), None) => lines.push(format!("The line: {}", explanation.amount)),
        (None, _) => {
            lines.pop();
        }
    }
    lines.join("\n")
}

fn side_lines(side: &ExplainedSide, all: bool) -> Vec<String> {
    let listed = if all { side.usage.len() } else { LISTED };
    let rows: Vec<Vec<String>> = side.usage.iter().take(listed).map(usage_row).collect();
    let headers = ["used from", "until", "event", "recorded", "used before", "in this tier"];
    let mut lines = vec![table(&headers, &[3, 4, 5], &rows)];
    if side.usage.len() > listed {
        let more = side.usage.len() - listed;
        lines.push(format!("and {more} more; --all lists them"));
    }
    for price in &side.prices {
        lines.push(String::new());
        lines.extend(price_lines(price, side));
    }
    lines.push(String::new());
    let amount = side.amount;
    lines.push(format!("Together {} {}", side.exact, amount.currency()));
    for sum in &side.inside {
        lines.push(format!(
            "{} {} rounded to {}, x {} rounded to {}",
            sum.exact,
            sum.cost.currency(),
            sum.cost,
            sum.rate,
            sum.billed
        ));
    }
    lines.push(format!(
        "rounded {} to {} decimals: {amount}",
        side.rounding,
        amount.currency().minor_digits()
    ));
    lines
}

fn usage_row(used: &UsedUnits) -> Vec<String> {
    vec![
        used.start.to_string(),
        used.end.to_string(),
        used.event_id.clone(),
        used.recorded.to_string(),
        used.before.to_string(),
        used.quantity.to_string(),
    ]
}

fn price_lines(price: &ExplainedPrice, side: &ExplainedSide) -> Vec<String> {
    let until = price.tier_until.map_or_else(String::new, |until| format!(" to {until}"));
    let mut lines = vec![format!(
        "From {} until {}, units above {}{until}:",
        price.from, price.until, price.tier_from
    )];
    lines.extend(price.steps.iter().map(|step| format!("  {}", step_line(step))));
    if !price.credit.is_zero() {
        lines.push(format!(
            "  less {} % partner earned credit: {} {}",
            price.credit, price.effective_unit_price, price.pricing_currency
        ));
    }
    let exchange = match &price.rate_of {
        Some((day, source)) => format!(" x {} ({source}, {day})", price.rate),
        None => String::new(),
    };
    lines.push(format!(
        "  {} units x {} {}{exchange} = {} {}",
        price.quantity,
        price.effective_unit_price,
        price.pricing_currency,
        price.amount,
        side.amount.currency()
    ));
    lines
}

fn step_line(step: &PriceStep) -> String {
    let dates = match (step.rule_from, step.rule_until) {
        (None, None) => String::new(),
        (from, until) => {
            let part = |word: &str, at: Option<jiff::Timestamp>| {
                at.map_or_else(String::new, |at| format!(" {word} {at}"))
            };
            part("from", from) + &part("until", until)
        }
    };
    let (source, currency) = step.source;
    let start = match &step.sheet {
        Some((sheet, since)) => {
            let since = since.map_or_else(String::new, |since| format!(" since {since}"));
            format!("price sheet {sheet}{since}: {source} {currency}")
        }
        None if step.rates.is_empty() => "stated by the rule".to_owned(),
        None => {
            let rates = step.rates.iter().map(|rate| format!(" x {rate}"));
            format!("{} pays {source} {currency}{}", step.seller, rates.collect::<String>())
        }
    };
    let (price, currency) = step.price;
    format!(
        "{} -> {}: {start}; price book {}, {}{dates}, {} = {price} {currency}",
        step.seller, step.buyer, step.price_book, step.selector, step.rule
    )
}
