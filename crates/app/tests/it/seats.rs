//! The worked numbers that the provider publishes for licences, each by the way of rounding that is
//! said to give it.

use app::seats::{ChargeCycle, SeatPrice, SeatRounding, change_seats};
use jiff::ToSpan;
use jiff::civil::date;
use kernel::{ExchangeRate, UnitPrice};

// req: F2
#[test]
fn every_published_licence_figure_is_given_by_a_named_rounding() {
    let path = testkit::shared("data/partner-center/documented-arithmetic.json");
    let Some(path) = path else { return };
    let document: serde_json::Value =
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut checked = 0;
    for vector in document["vectors"].as_array().unwrap() {
        let inputs = &vector["inputs"];
        let Some(cycle_days) = inputs["cycleDays"].as_u64() else { continue };
        let note = vector["note"].as_str().unwrap();
        let roundings = [
            ("unit price floored", SeatRounding::PartnerCenter),
            ("product floored", SeatRounding::PartnerCenterProduct),
            ("product to nearest", SeatRounding::PartnerCenterProductNearest),
            ("daily price", SeatRounding::Legacy),
        ];
        // Cycles of months that have so many days.
        let first = match cycle_days {
            31 => date(2022, 1, 1),
            30 => date(2022, 4, 1),
            _ => date(2022, 2, 1),
        };
        let cycle = ChargeCycle::monthly(first).unwrap();
        assert_eq!(u64::from(cycle.days()), cycle_days);
        let left = inputs["billingDays"].as_i64().unwrap();
        let on = cycle.last().checked_sub((left - 1).days()).unwrap();
        let seats = u32::try_from(inputs["seats"].as_u64().unwrap()).unwrap();
        let mut given = 0;
        for (said, rounding) in roundings {
            let usd = "USD".parse().unwrap();
            let price = SeatPrice {
                unit_price: inputs["unitPrice"].as_str().unwrap().parse().unwrap(),
                pricing_currency: usd,
                billing_currency: usd,
                rate: ExchangeRate::ONE,
                rounding,
            };
            let rows = change_seats(&price, cycle, on, (0, seats)).unwrap();
            let number = |text: &str| text.parse::<UnitPrice>().unwrap();
            let found = number(&rows[0].subtotal.digits());
            let is_given = found == number(vector["expected"]["amount"].as_str().unwrap());
            if note.contains(said) {
                assert!(is_given, "{}: {found} by {rounding}", vector["id"]);
                given += 1;
            }
        }
        assert!(given > 0, "{} is said to be given by {note:?}", vector["id"]);
        checked += 1;
    }
    assert!(checked >= 12, "{checked} figures");
}
