//! The same files in other spellings are read the same, or refused with the reason.

use std::io::Write;

use desk::{Comparison, reconcile};

use crate::provider::{DAILY, daily, lines, month, reconciliation, write};

/// The texts of a month's files.
fn texts() -> [String; 2] {
    let used = month(2, 4, 3);
    [daily(&used), reconciliation(&lines(&used))]
}

fn sums(compared: &Comparison) -> Vec<String> {
    let sums = compared.files.iter().flat_map(|file| file.sums.values());
    sums.map(|sum| sum.normalized().to_plain_string()).collect()
}

fn compare(daily: impl AsRef<[u8]>, billed: impl AsRef<[u8]>) -> Result<Comparison, desk::Refused> {
    let folder = tempfile::tempdir().unwrap();
    let files = [write(folder.path(), "a.csv", daily), write(folder.path(), "b.csv", billed)];
    reconcile(&files).map(|mut compared| compared.remove(0))
}

fn cells(text: &str) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
    reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect()
}

fn written(rows: &[Vec<String>], delimiter: u8) -> String {
    let mut writer = csv::WriterBuilder::new().delimiter(delimiter).from_writer(Vec::new());
    for row in rows {
        writer.write_record(row).unwrap();
    }
    String::from_utf8(writer.into_inner().unwrap()).unwrap()
}

/// The columns with numbers, by their places in the daily file.
fn numbers(header: &[String]) -> Vec<usize> {
    let named = ["UnitPrice", "Quantity", "PreTaxTotal", "ExchangeRate"];
    let is_number = |name: &str| named.iter().any(|n| name.ends_with(n));
    header.iter().enumerate().filter(|(_, name)| is_number(name)).map(|(at, _)| at).collect()
}

// req: H1
#[test]
fn other_spellings_of_a_file_are_read_the_same() {
    let [plain, billed] = texts();
    let expected = sums(&compare(&plain, &billed).unwrap());
    let rows = cells(&plain);
    let mut european = rows.clone();
    let places = numbers(&rows[0]);
    for row in european.iter_mut().skip(1) {
        for at in &places {
            row[*at] = row[*at].replace('.', ",");
        }
    }
    let reversed: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().rev().cloned().collect()).collect();
    let old_names = plain
        .replacen("SubscriptionId", "Subscription ID", 1)
        .replacen("UsageDate", "usageDate", 1)
        .replacen("MeterId", "ID der Verbrauchseinheit (MeterId)", 1)
        .replacen("PCToBCExchangeRateDate", "pcToBCExchangeRateDate", 1)
        .replacen("UnitPrice", "unitPrice", 1);
    let mut total = vec![String::new(); rows[0].len()];
    total[0] = "Total".to_owned();
    let at = rows[0].iter().position(|name| name == "BillingPreTaxTotal").unwrap();
    total[at].clone_from(&expected[0]);
    let with_total = written(&[rows.clone(), vec![total]].concat(), b',');
    for (what, text) in [
        ("semicolons and decimal commas", written(&european, b';')),
        ("tabs", written(&rows, b'\t')),
        ("another order", written(&reversed, b',')),
        ("a byte order mark", format!("\u{feff}{plain}")),
        ("other line ends", plain.replace('\n', "\r\n")),
        ("old names", old_names),
        ("a row of totals", with_total),
    ] {
        let compared =
            compare(&text, &billed).unwrap_or_else(|refused| panic!("{what}: {refused}"));
        assert_eq!(sums(&compared), expected, "{what}");
        assert!(compared.agrees(), "{what}");
    }
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(plain.as_bytes()).unwrap();
    let compared = compare(packed.finish().unwrap(), &billed).unwrap();
    assert_eq!(sums(&compared), expected, "gzip");
}

/// JSON lines with the names of the second version, and an answer with items: numbers keep all
/// their digits.
#[test]
fn json_is_read_like_csv() {
    let [plain, billed] = texts();
    let expected = sums(&compare(&plain, &billed).unwrap());
    let rows = cells(&plain);
    let places = numbers(&rows[0]);
    let object = |row: &Vec<String>| {
        let members = rows[0].iter().zip(row).enumerate().filter(|(_, (_, cell))| !cell.is_empty());
        let members = members.map(|(at, (name, cell))| {
            if places.contains(&at) {
                format!("\"{name}\":{cell}")
            } else {
                format!("\"{name}\":\"{cell}\"")
            }
        });
        format!("{{{}}}", members.collect::<Vec<_>>().join(","))
    };
    let objects: Vec<String> = rows.iter().skip(1).map(object).collect();
    let lines = objects.join("\n");
    assert_eq!(sums(&compare(&lines, &billed).unwrap()), expected);
    let answer = format!("{{\"totalCount\": 3, \"items\": [{}]}}", objects.join(",\n"));
    assert_eq!(sums(&compare(&answer, &billed).unwrap()), expected);
}

#[test]
fn what_cannot_be_read_is_refused_with_the_reason() {
    let [plain, billed] = texts();
    let rows = cells(&plain);
    let without = |column: &str| {
        let at = rows[0].iter().position(|name| name == column).unwrap();
        let rows = rows.iter().map(|row| {
            row.iter().enumerate().filter(|(n, _)| *n != at).map(|(_, c)| c.clone()).collect()
        });
        written(&rows.collect::<Vec<_>>(), b',')
    };
    let with = |column: &str, value: &str| {
        let at = rows[0].iter().position(|name| name == column).unwrap();
        let mut rows = rows.clone();
        rows[2][at] = value.to_owned();
        written(&rows, b',')
    };
    let mut wrong_total = vec![String::new(); rows[0].len()];
    wrong_total[0] = "Total".to_owned();
    wrong_total[rows[0].iter().position(|n| n == "BillingPreTaxTotal").unwrap()] =
        "1.00".to_owned();
    let wrong_total = written(&[rows.clone(), vec![wrong_total]].concat(), b',');
    for (what, text, line, reason) in [
        ("no subscription", without("SubscriptionId"), Some(1), "has no column SubscriptionId"),
        ("no currency", without("BillingCurrency"), Some(1), "has no column BillingCurrency"),
        ("no amount", without("BillingPreTaxTotal"), Some(1), "is neither a daily"),
        ("a word", with("Quantity", "many"), Some(3), "Quantity is \"many\": not a number"),
        ("thousands", with("Quantity", "1,234.5"), Some(1), "both with points and with commas"),
        ("a day", with("UsageDate", "31.10.2026"), Some(3), "not a day"),
        ("a currency", with("BillingCurrency", "Euro"), Some(3), "not a currency"),
        ("another total", wrong_total, Some(rows.len() as u64 + 1), "the rows before come to"),
        ("twice", plain.replacen("CustomerId", "SubscriptionId", 1), Some(1), "twice"),
        ("short rows", format!("{plain}a,b\n"), Some(rows.len() as u64 + 1), "has 2 cells"),
        ("nothing", String::new(), None, "is empty"),
        ("a header", format!("{DAILY}\n"), None, "has no rows"),
        ("parquet", "PAR1 and so on".to_owned(), None, "is Parquet"),
    ] {
        let refused = compare(&text, &billed).expect_err(what);
        assert!(refused.reason.contains(reason), "{what}: {refused}");
        assert_eq!(refused.line, line, "{what}: {refused}");
    }
}

/// Amounts of two currencies are never added up.
#[test]
fn currencies_are_compared_one_by_one() {
    let [plain, billed] = texts();
    let dollars =
        |text: &str| text.replace("sub-1,2026", "sub-1-usd,2026").replace(",EUR,", ",USD,");
    let both = |a: &str, f: &dyn Fn(&str) -> String| {
        let more = f(a);
        format!("{a}{}", more.split_once('\n').unwrap().1)
    };
    let compared =
        compare(both(&plain, &dollars), both(&billed, &|t: &str| t.replace(",EUR,", ",USD,")))
            .unwrap();
    assert_eq!(compared.files[0].sums.len(), 2);
    assert!(compared.causes.contains_key("EUR") && compared.causes.contains_key("USD"));
}
