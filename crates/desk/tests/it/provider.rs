//! A provider's month: rows of use, and the files that it makes of them.
//!
//! Its formulas are the published ones: a line's cost is its exact cost rounded down to cents, the
//! effective unit price is that divided by the quantity, and the exchange is rounded down again.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use bigdecimal::{BigDecimal, RoundingMode, Zero};

/// A row of use, as the daily file has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    pub subscription: u32,
    pub product: u32,
    pub day: u32,
    pub quantity: BigDecimal,
    pub price: BigDecimal,
    pub credited: bool,
    pub rate: BigDecimal,
    pub rate_day: u32,
}

/// A line of the reconciliation file.
#[derive(Debug, Clone)]
pub struct Line {
    pub subscription: u32,
    pub product: u32,
    pub charge_type: &'static str,
    pub credit_reason: &'static str,
    pub quantity: BigDecimal,
    pub price: BigDecimal,
    pub effective: BigDecimal,
    pub credited: bool,
    pub rate: BigDecimal,
    pub rate_day: u32,
    pub subtotal: BigDecimal,
}

pub fn decimal(text: &str) -> BigDecimal {
    text.parse().unwrap()
}

fn down(number: &BigDecimal) -> BigDecimal {
    number.with_scale_round(2, RoundingMode::Down)
}

impl Use {
    pub fn pricing(&self) -> BigDecimal {
        let factor = if self.credited { decimal("0.85") } else { decimal("1") };
        &self.quantity * &self.price * factor
    }
}

/// The lines that some use makes, one for each subscription and product.
pub fn lines(used: &[Use]) -> Vec<Line> {
    let mut keys: Vec<(u32, u32)> = used.iter().map(|u| (u.subscription, u.product)).collect();
    keys.sort_unstable();
    keys.dedup();
    let line = |(subscription, product): (u32, u32)| {
        let rows =
            || used.iter().filter(|u| (u.subscription, u.product) == (subscription, product));
        let first = rows().next().unwrap();
        let quantity: BigDecimal = rows().map(|u| &u.quantity).sum();
        let cost = down(&rows().map(Use::pricing).sum::<BigDecimal>());
        let effective = (&cost / &quantity).with_scale_round(15, RoundingMode::HalfEven);
        let billed = down(&(&effective * &quantity).with_scale_round(6, RoundingMode::HalfEven));
        Line {
            subscription,
            product,
            charge_type: "new",
            credit_reason: "",
            price: first.price.clone(),
            credited: rows().any(|u| u.credited),
            rate: first.rate.clone(),
            rate_day: first.rate_day,
            subtotal: down(&(billed * &first.rate)),
            quantity,
            effective,
        }
    };
    keys.into_iter().map(line).collect()
}

pub const DAILY: &str = "PartnerId,CustomerId,CustomerName,InvoiceNumber,ProductId,SkuId,\
    AvailabilityId,SkuName,ProductName,SubscriptionId,ChargeStartDate,ChargeEndDate,UsageDate,\
    MeterId,Unit,ResourceURI,ChargeType,UnitPrice,Quantity,BillingPreTaxTotal,BillingCurrency,\
    PricingPreTaxTotal,PricingCurrency,EffectiveUnitPrice,PCToBCExchangeRate,\
    PCToBCExchangeRateDate,PartnerEarnedCreditPercentage,CreditType";

pub fn daily(used: &[Use]) -> String {
    let mut text = format!("{DAILY}\n");
    for u in used {
        let pricing = u.pricing();
        let billing = &pricing * &u.rate;
        let effective = &u.price * if u.credited { decimal("0.85") } else { decimal("1") };
        writeln!(
            text,
            "p,c{s},Customer {s},G1,PROD{p},0001,AV{p},Sku {p},Product {p},sub-{s},\
             2026-10-01T00:00:00Z,2026-11-01T00:00:00Z,2026-{month:02}-{day:02}T00:00:00Z,m{p},\
             1 Hour,/r/{s}/{p}/{d},new,{price},{q},{billing},EUR,{pricing},USD,{effective},{rate},\
             2026-09-{rd:02}T00:00:00Z,{credit},x",
            s = u.subscription,
            p = u.product,
            d = u.day,
            month = if u.day > 31 { 11 } else { 10 },
            day = if u.day > 31 { u.day - 31 } else { u.day },
            price = u.price,
            q = u.quantity,
            rate = u.rate,
            rd = u.rate_day,
            credit = if u.credited { 15 } else { 0 },
        )
        .unwrap();
    }
    text
}

pub const RECONCILIATION: &str = "PartnerId,CustomerId,CustomerName,InvoiceNumber,ProductId,SkuId,\
    AvailabilityId,SkuName,ProductName,ChargeType,UnitPrice,Quantity,Subtotal,TaxTotal,Total,\
    Currency,PriceAdjustmentDescription,SubscriptionId,ChargeStartDate,ChargeEndDate,\
    EffectiveUnitPrice,UnitType,BillableQuantity,PricingCurrency,PCToBCExchangeRate,\
    PCToBCExchangeRateDate,MeterDescription,CreditReasonCode,ReferenceID";

pub fn reconciliation(lines: &[Line]) -> String {
    let mut text = format!("{RECONCILIATION}\n");
    for (at, line) in lines.iter().enumerate() {
        let credit = "\"[\"\"15.0% Partner earned credit for services managed\"\"]\"";
        writeln!(
            text,
            "p,c{s},Customer {s},G1,PROD{p},0001,AV{p},Sku {p},Product {p},{charge},{price},1,\
             {subtotal},0,{subtotal},EUR,{credit},sub-{s},10/1/2026,10/31/2026,{effective},1 Hour,\
             {q},USD,{rate},9/{rd}/2026,Product {p} (1 Hour),{reason},ref-{at}",
            s = line.subscription,
            p = line.product,
            charge = line.charge_type,
            price = line.price,
            subtotal = line.subtotal,
            credit = if line.credited { credit } else { "" },
            effective = line.effective,
            q = line.quantity,
            rate = line.rate,
            rd = line.rate_day,
            reason = line.credit_reason,
        )
        .unwrap();
    }
    text
}

pub fn write(folder: &Path, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// Numbers that depend on a seed alone (`SplitMix64`, by Steele, Lea and Flood).
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, limit: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % u64::from(limit)) as u32
    }
}

/// A month: every subscription uses every product on some days.
pub fn month(seed: u64, subscriptions: u32, products: u32) -> Vec<Use> {
    let mut random = Random(seed);
    let mut used = Vec::new();
    for subscription in 0..subscriptions {
        for product in 0..products {
            let price = BigDecimal::new((1000 + random.below(90_000)).into(), 5);
            for day in 1..=31 {
                if random.below(3) == 0 {
                    continue;
                }
                let quantity = BigDecimal::new((1 + random.below(90_000_000)).into(), 6);
                used.push(Use {
                    subscription,
                    product,
                    day,
                    quantity,
                    price: price.clone(),
                    // The credit of a product comes and goes with the days.
                    credited: product % 2 == 0 && !(4..=7).contains(&day),
                    rate: decimal("0.846202666"),
                    rate_day: 28,
                });
            }
        }
    }
    used.retain(|u| !u.quantity.is_zero());
    used
}
