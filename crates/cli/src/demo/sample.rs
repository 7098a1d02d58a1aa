//! The input of the demo: a programme, a price sheet, exchange rates, a month of usage. The same
//! seed and scale give the same bytes.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::civil::{Date, date};
use jiff::{Span, Timestamp, tz::TimeZone};
use kernel::{Error, Result, SubscriptionId};

use super::catalogue::{DemoMeter, catalogue};
use super::random::Random;

/// The month of the demo.
pub const MONTH: &str = "2026-10";
/// The programme.
const PROGRAMME: &str = include_str!("programme.toml");
/// Files over which the usage is spread.
const USAGE_FILES: usize = 4;
/// Resources of a subscription at scale 1: of one for production, of one for tests.
const RESOURCES: [u64; 2] = [448, 88];

/// The files of the input.
#[derive(Debug, Clone)]
pub struct Sample {
    pub programme: PathBuf,
    pub prices: PathBuf,
    pub rates: PathBuf,
    pub usage: Vec<PathBuf>,
    /// What arrives after the close: a late record and a correction.
    pub late: PathBuf,
    /// How many usage lines there are, without those that arrive late.
    pub lines: u64,
}

/// Writes the input into a folder.
pub fn write(folder: &Path, seed: u64, scale: u64) -> Result<Sample> {
    std::fs::create_dir_all(folder).map_err(Error::file(folder))?;
    let put = |name: &str, text: &[u8]| {
        let path = folder.join(name);
        std::fs::write(&path, text).map_err(Error::file(&path))?;
        Ok(path)
    };
    let (meters, sheet) = catalogue(seed);
    let sheet =
        serde_json::to_vec_pretty(&sheet).map_err(|error| Error::internal(error.to_string()))?;
    let (usage, lines) = write_usage(folder, seed, scale, &meters)?;
    Ok(Sample {
        programme: put("programme.toml", PROGRAMME.as_bytes())?,
        prices: put("prices.json", &sheet)?,
        rates: put("rates.csv", exchange_rates(seed).as_bytes())?,
        late: put("late.csv", &late(seed, scale, &meters)?)?,
        usage,
        lines,
    })
}

/// Reference rates of the euro for every business day of two months, in the ECB's layout.
fn exchange_rates(seed: u64) -> String {
    let mut random = Random::new(seed, "rates");
    let mut lines = vec!["Date,USD,SEK,NOK".to_owned()];
    let (mut usd, mut sek, mut nok) = (11_612, 110_430, 117_185);
    let first = date(2026, 9, 1);
    for day in first.series(Span::new().days(1)).take_while(|day| *day < date(2026, 11, 1)) {
        if day.weekday().to_monday_zero_offset() > 4 {
            continue;
        }
        let mut drift = |rate: u64, step: u64| rate + random.below(2 * step + 1) - step;
        (usd, sek, nok) = (drift(usd, 40), drift(sek, 300), drift(nok, 350));
        let rate = |rate: u64| format!("{}.{:04}", rate / 10_000, rate % 10_000);
        lines.push(format!("{day},{},{},{}", rate(usd), rate(sek), rate(nok)));
    }
    lines.join("\n") + "\n"
}

/// The subscriptions that the programme declares, with their kind: production or test.
fn subscriptions() -> Vec<(String, usize)> {
    let ids = PROGRAMME.lines().filter_map(|line| line.strip_prefix("id = \"")?.strip_suffix('"'));
    ids.map(|id| (id.to_owned(), usize::from(id.ends_with("test")))).collect()
}

/// Something that is used every day of the month.
struct Resource {
    subscription: SubscriptionId,
    name: String,
    group: String,
    tags: String,
    meter: usize,
    /// Per cent of what is usual.
    size: u64,
}

fn resources(seed: u64, scale: u64, meters: &[DemoMeter]) -> Vec<Resource> {
    let mut resources = Vec::new();
    for (name, kind) in subscriptions() {
        let mut random = Random::new(seed, &name);
        let subscription = SubscriptionId::derived(&name);
        for number in 0..RESOURCES[kind] * scale {
            let meter = random.below(meters.len() as u64) as usize;
            let team = ["web", "data", "ops", "shop"][random.below(4) as usize];
            resources.push(Resource {
                subscription,
                name: format!("{team}-{number:05}"),
                group: format!("{name}-{team}"),
                tags: format!("{{\"team\":\"{team}\",\"cost\":\"{}\"}}", 100 + random.below(9)),
                meter,
                size: 40 + random.below(120),
            });
        }
    }
    resources
}

fn write_usage(
    folder: &Path,
    seed: u64,
    scale: u64,
    meters: &[DemoMeter],
) -> Result<(Vec<PathBuf>, u64)> {
    let days = days()?;
    let resources = resources(seed, scale, meters);
    let mut paths = Vec::new();
    for (at, part) in resources.chunks(resources.len().div_ceil(USAGE_FILES)).enumerate() {
        let path = folder.join(format!("usage-{}.csv.gz", at + 1));
        let file = File::create(&path).map_err(Error::file(&path))?;
        let mut out = GzEncoder::new(BufWriter::new(file), Compression::fast());
        usage_file(&mut out, seed, at, part, meters, &days).map_err(Error::file(&path))?;
        out.finish().and_then(|mut file| file.flush()).map_err(Error::file(&path))?;
        paths.push(path);
    }
    Ok((paths, resources.len() as u64 * days.len() as u64))
}

fn usage_file(
    out: &mut impl Write,
    seed: u64,
    number: usize,
    resources: &[Resource],
    meters: &[DemoMeter],
    days: &[(Timestamp, Timestamp)],
) -> std::io::Result<()> {
    let mut random = Random::new(seed, &format!("usage {number}"));
    writeln!(
        out,
        "event_id,subscription_id,meter_id,usage_start,usage_end,quantity,unit,resource_uri,\
         resource_location,resource_group,consumed_service,tags"
    )?;
    for (at, resource) in resources.iter().enumerate() {
        let meter = &meters[resource.meter];
        for (day, times) in days.iter().enumerate() {
            let quantity = quantity(&mut random, meter.daily * resource.size);
            let id = format!("{number}-{at}-{day}");
            out.write_all(row(resource, meter, &id, *times, &quantity).as_bytes())?;
        }
    }
    Ok(())
}

/// What arrives after the close: a bulk of one resource with tiers, reported late, and
/// a day of another that had been counted wrongly.
fn late(seed: u64, scale: u64, meters: &[DemoMeter]) -> Result<Vec<u8>> {
    let (days, resources) = (days()?, resources(seed, scale, meters));
    let tiered = |resource: &&Resource| meters[resource.meter].tiered;
    let found = resources.iter().find(tiered);
    let found = found.ok_or_else(|| Error::internal("a demo without tiers"))?;
    let meter = &meters[found.meter];
    let millionths = meter.daily * 1000 * 400;
    let quantity = format!("{}.{:06}", millionths / 1_000_000, millionths % 1_000_000);
    let header = "event_id,corrects,subscription_id,meter_id,usage_start,usage_end,quantity,unit,\
                  resource_uri,resource_location,resource_group,consumed_service,tags\n";
    let late = row(found, meter, "late-1,", days[2], &quantity);
    // The third day of the first resource of another meter, as the first usage file has it.
    let other = resources.iter().position(|other| other.meter != found.meter);
    let other = other.ok_or_else(|| Error::internal("a demo with one meter"))?;
    let ids = format!("correction-1,0-{other}-2");
    let resource = &resources[other];
    let corrected = row(resource, &meters[resource.meter], &ids, days[2], "0.25");
    Ok([header.to_owned(), late, corrected].concat().into_bytes())
}

/// A row of usage, with what identifies it.
fn row(
    resource: &Resource,
    meter: &DemoMeter,
    ids: &str,
    (start, end): (Timestamp, Timestamp),
    quantity: &str,
) -> String {
    let Resource { subscription, name, group, tags, .. } = resource;
    let tags = tags.replace('"', "\"\"");
    format!(
        "{ids},{subscription},{},{start},{end},{quantity},{},\
         /subscriptions/{subscription}/resourceGroups/{group}/providers/{name},{},{group},{},\
         \"{tags}\"\n",
        meter.id, meter.unit, meter.region, meter.category
    )
}

/// A quantity around a usual one in hundred-thousandths: mostly with six decimals, sometimes with
/// fifteen, now and then taken back.
fn quantity(random: &mut Random, usual: u64) -> String {
    let millionths = usual * (50 + random.below(100)) / 10;
    let sign = if random.below(2_000) == 0 { "-" } else { "" };
    let (whole, decimals) = (millionths / 1_000_000, millionths % 1_000_000);
    if random.below(8) > 0 {
        return format!("{sign}{whole}.{decimals:06}");
    }
    format!("{sign}{whole}.{decimals:06}{:09}", random.below(1_000_000_000))
}

/// The days of the month, as the programme's zone has them; one has 25 hours.
fn days() -> Result<Vec<(Timestamp, Timestamp)>> {
    let zone = TimeZone::get("Europe/Oslo").map_err(|error| Error::internal(error.to_string()))?;
    let midnight = |day: Date| day.to_zoned(zone.clone()).map(|midnight| midnight.timestamp());
    let first = date(2026, 10, 1);
    let days = first.series(Span::new().days(1)).take_while(|day| *day < date(2026, 11, 1));
    days.map(|day| Ok((midnight(day)?, midnight(day.tomorrow()?)?)))
        .collect::<Result<_, jiff::Error>>()
        .map_err(|error| Error::internal(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_files() {
        let bytes = |seed| {
            let folder = tempfile::tempdir().unwrap();
            let sample = write(folder.path(), seed, 1).unwrap();
            let mut files = sample.usage;
            files.extend([sample.prices, sample.rates, sample.programme, sample.late]);
            (
                sample.lines,
                files.iter().map(|file| std::fs::read(file).unwrap()).collect::<Vec<_>>(),
            )
        };
        let (lines, first) = bytes(7);
        assert!((190_000..=210_000).contains(&lines), "{lines} lines");
        assert_eq!(first, bytes(7).1);
        assert_ne!(first, bytes(8).1);
    }

    #[test]
    fn october_has_a_day_of_25_hours() {
        let days = days().unwrap();
        let hours: Vec<i64> =
            days.iter().map(|(a, b)| (b.as_second() - a.as_second()) / 3600).collect();
        assert_eq!((days.len(), hours.iter().filter(|hours| **hours == 25).count()), (31, 1));
    }
}
