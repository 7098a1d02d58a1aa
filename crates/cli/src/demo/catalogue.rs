//! The price sheet of the demo: a made-up cloud with made-up prices.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;

use super::random::Random;

/// A service: its name, what it meters, in which unit, and roughly what a unit costs in
/// millionths of a dollar.
struct Service {
    name: &'static str,
    meters: &'static [&'static str],
    unit: &'static str,
    micros: u64,
    /// How much of it is used in a day, in thousandths.
    daily: u64,
    tiers: Tiers,
}

/// How the price falls with the quantity of a month.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tiers {
    /// It does not.
    None,
    /// The first units are free.
    Free(u64),
    /// It falls beyond these quantities.
    Falling(&'static [u64]),
    /// Both.
    FreeThenFalling(u64, &'static [u64]),
}

/// Where the made-up cloud stands.
const REGIONS: [&str; 3] = ["NO East", "SE Central", "DE West"];

const SERVICES: [Service; 15] = [
    Service {
        name: "Virtual Machines",
        meters: &["A2", "A4", "B2", "B4", "C8", "C16"],
        unit: "1 Hour",
        micros: 96_000,
        daily: 24_000,
        tiers: Tiers::None,
    },
    Service {
        name: "Managed Disks",
        meters: &["P10", "P20", "P30", "Snapshot GB", "Operations"],
        unit: "1 GB/Month",
        micros: 1_900,
        daily: 4_266,
        tiers: Tiers::None,
    },
    Service {
        name: "Object Storage",
        meters: &["Hot GB", "Cool GB", "Archive GB", "Writes", "Reads"],
        unit: "1 GB/Month",
        micros: 18_400,
        daily: 33_333,
        tiers: Tiers::Falling(&[500, 5_000]),
    },
    Service {
        name: "Bandwidth",
        meters: &["Zone 1 Out", "Zone 2 Out", "Between Regions", "Peering"],
        unit: "1 GB",
        micros: 78_000,
        daily: 11_500,
        tiers: Tiers::FreeThenFalling(5, &[100, 1_000]),
    },
    Service {
        name: "Functions",
        meters: &["Executions", "GB Seconds", "Warm Instances", "Orchestrations"],
        unit: "10K",
        micros: 160,
        daily: 9_870,
        tiers: Tiers::Free(100),
    },
    Service {
        name: "SQL Database",
        meters: &["S1", "S3", "P2", "Backup GB", "vCore"],
        unit: "1 Hour",
        micros: 201_000,
        daily: 24_000,
        tiers: Tiers::None,
    },
    Service {
        name: "Cache",
        meters: &["C1", "C3", "P1", "P4"],
        unit: "1 Hour",
        micros: 55_000,
        daily: 24_000,
        tiers: Tiers::None,
    },
    Service {
        name: "Containers",
        meters: &["vCPU Seconds", "GB Seconds", "Registry Day", "Cluster Hour"],
        unit: "1K",
        micros: 11_250,
        daily: 86_400,
        tiers: Tiers::None,
    },
    Service {
        name: "Messaging",
        meters: &["Operations", "Brokered Hour", "Relay Hour", "Throughput Unit"],
        unit: "1M",
        micros: 50_000,
        daily: 1_733,
        tiers: Tiers::FreeThenFalling(13, &[100]),
    },
    Service {
        name: "Monitoring",
        meters: &["Ingested GB", "Retained GB", "Alert Rule", "Metric Query"],
        unit: "1 GB",
        micros: 2_300_000,
        daily: 733,
        tiers: Tiers::Free(5),
    },
    Service {
        name: "Key Vault",
        meters: &["Operations", "Advanced Operations", "Certificate Renewal", "Key Hour"],
        unit: "10K",
        micros: 30_000,
        daily: 266,
        tiers: Tiers::None,
    },
    Service {
        name: "DNS",
        meters: &["Public Zone", "Private Zone", "Queries", "Resolver"],
        unit: "1M",
        micros: 400_000,
        daily: 133,
        tiers: Tiers::Falling(&[25]),
    },
    Service {
        name: "Load Balancing",
        meters: &["Rule Hour", "Processed GB", "Gateway Hour", "Capacity Unit"],
        unit: "1 Hour",
        micros: 25_000,
        daily: 24_000,
        tiers: Tiers::None,
    },
    Service {
        name: "Search",
        meters: &["Basic Unit", "Standard Unit", "Extracted Images", "Semantic Query"],
        unit: "1 Hour",
        micros: 101_000,
        daily: 24_000,
        tiers: Tiers::None,
    },
    Service {
        name: "Machine Learning",
        meters: &[
            "Training Hour",
            "Inference 1K",
            "Tokens 1K",
            "Feature Store GB",
            "Pipeline Run",
            "Accelerator Hour",
            "Vision 1K",
            "Speech Hour",
            "Translation 1M",
        ],
        unit: "1 Hour",
        micros: 1_204_000,
        daily: 1_250,
        tiers: Tiers::Falling(&[10, 50]),
    },
];

/// A meter as usage needs it.
#[derive(Debug, Clone)]
pub struct DemoMeter {
    pub id: String,
    pub category: &'static str,
    pub unit: &'static str,
    pub region: &'static str,
    /// What is used of it in a day, in thousandths of a unit.
    pub daily: u64,
    /// Whether its price depends on how much is used.
    pub tiered: bool,
}

/// A sheet as a `RateCard` file has it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sheet {
    currency: &'static str,
    is_tax_included: bool,
    locale: &'static str,
    meters: Vec<SheetMeter>,
    offer_terms: [(); 0],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SheetMeter {
    id: String,
    name: &'static str,
    /// Prices by the lower bound of their tier.
    rates: BTreeMap<u64, Box<RawValue>>,
    tags: [(); 0],
    category: &'static str,
    subcategory: &'static str,
    region: &'static str,
    unit: &'static str,
    included_quantity: u64,
    effective_date: &'static str,
}

/// The meters, and the sheet that prices them.
pub fn catalogue(seed: u64) -> (Vec<DemoMeter>, Sheet) {
    let mut random = Random::new(seed, "catalogue");
    let (mut meters, mut priced) = (Vec::new(), Vec::new());
    for service in &SERVICES {
        for (at, name) in service.meters.iter().enumerate() {
            for region in REGIONS {
                let id = random.guid();
                // Larger sizes cost more; every region and meter has its own price.
                let size = 1 << at.min(4);
                let micros = service.micros * size * (90 + random.below(30)) / 100;
                priced.push(SheetMeter {
                    id: id.clone(),
                    name,
                    rates: rates(service.tiers, micros),
                    tags: [],
                    category: service.name,
                    subcategory: if at < 2 { "Standard" } else { "Premium" },
                    region,
                    unit: service.unit,
                    included_quantity: included(service.tiers),
                    effective_date: "2026-01-01T00:00:00Z",
                });
                meters.push(DemoMeter {
                    id,
                    category: service.name,
                    unit: service.unit,
                    region,
                    daily: service.daily,
                    tiered: matches!(service.tiers, Tiers::Falling(_)),
                });
            }
        }
    }
    let sheet = Sheet {
        currency: "USD",
        is_tax_included: false,
        locale: "en-US",
        meters: priced,
        offer_terms: [],
    };
    (meters, sheet)
}

fn included(tiers: Tiers) -> u64 {
    match tiers {
        Tiers::Free(free) | Tiers::FreeThenFalling(free, _) => free,
        Tiers::None | Tiers::Falling(_) => 0,
    }
}

/// Lower bound of each tier and its price; each tier costs a sixth less than the one before.
fn rates(tiers: Tiers, micros: u64) -> BTreeMap<u64, Box<RawValue>> {
    let bounds: &[u64] = match tiers {
        Tiers::None | Tiers::Free(_) => &[],
        Tiers::Falling(bounds) | Tiers::FreeThenFalling(_, bounds) => bounds,
    };
    let mut price = micros;
    let tiers = std::iter::once(&0).chain(bounds).filter_map(|bound| {
        let digits = format!("{}.{:06}", price / 1_000_000, price % 1_000_000);
        price = price * 5 / 6;
        // A JSON number of exactly these digits.
        let number = RawValue::from_string(digits).ok()?;
        Some((*bound, number))
    });
    tiers.collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_sheet_has_what_the_demo_promises() {
        let (meters, sheet) = catalogue(1);
        let categories: BTreeSet<_> = meters.iter().map(|meter| meter.category).collect();
        assert!(meters.len() >= 200, "{} meters", meters.len());
        assert_eq!(categories.len(), 15);
        let tiered = sheet.meters.iter().filter(|meter| meter.rates.len() > 1);
        let free = sheet.meters.iter().filter(|meter| meter.included_quantity > 0);
        assert!(tiered.count() >= 20 && free.count() >= 20);
    }
}
