//! Adjustments: what they take back was billed, and what they bill instead makes, with the rows
//! that stay, a daily file that is right as a whole.
//!
//! The rows of every adjusted subscription and meter are carried from revision to revision. After
//! each they are checked like any daily file: every amount, every tier, every rounding. The lines
//! of the adjustment must be what leads from the groups before to the groups after.

use std::collections::{BTreeMap, HashMap, HashSet};

use bigdecimal::{BigDecimal, Zero};
use jiff::civil::Date;

use crate::daily::{Daily, Group, Scope, check_rows};
use crate::daily_columns::{
    BILLING, CHARGE_TYPE, METER, PRICING, QUANTITY, SUBSCRIPTION, USAGE_DATE, columns, resource,
};
use crate::edge::Edge;
use crate::fault::Faults;
use crate::folder::{CertifiedEdge, Folder};
use crate::number;
use crate::paths::Paths;
use crate::prices::Stated;
use crate::reconciliation::{Expected, of_group};
use crate::rows::EdgeSeen;
use crate::table::{Row, Table};
use crate::used::UsageHash;

/// The column of the invoice's number.
const INVOICE_NUMBER: usize = 8;

/// Seller and buyer.
pub(crate) type Pair = (String, String);

/// What has been billed on an edge, as far as it is adjusted.
#[derive(Debug, Default)]
pub(crate) struct Billed {
    runs: HashMap<Scope, BilledRun>,
    /// The number and the day of issue of the last invoice.
    pub last: Option<(String, String)>,
}

/// What has been billed of a subscription and meter.
#[derive(Debug, Default)]
struct BilledRun {
    rows: Vec<Row>,
    /// What was used.
    used: UsageHash,
    /// Whether no price changes within the month, so that every edge cuts the usage alike.
    by_day: bool,
    /// The days that are charged: edges that bill other days have other usage.
    charged: Option<(Date, Date)>,
    /// By tier.
    groups: BTreeMap<usize, BilledGroup>,
}

#[derive(Debug, Clone, PartialEq)]
struct BilledGroup {
    quantity: BigDecimal,
    exact: BigDecimal,
    money: BigDecimal,
    stated: Stated,
    adjustment: String,
    certain: bool,
}

/// Which subscriptions and meters edges adjust, in whatever revision.
#[derive(Debug, Default)]
pub(crate) struct Adjusted {
    by_edge: HashMap<Pair, HashSet<Scope>>,
    /// Those of any edge: what was used of them is compared.
    all: HashSet<Scope>,
}

impl Adjusted {
    /// Whether an edge adjusts something, so that its rows are needed.
    pub fn has(&self, pair: &Pair, scope: &Scope) -> bool {
        self.by_edge.get(pair).is_some_and(|scopes| scopes.contains(scope))
    }

    /// Whether some edge does.
    pub fn has_anywhere(&self, scope: &Scope) -> bool {
        self.all.contains(scope)
    }

    /// Whether nothing is adjusted.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}

/// Reads which subscriptions and meters edges adjust.
pub(crate) fn adjusted(folder: &Folder, faults: &mut Faults) -> Adjusted {
    let mut adjusted = Adjusted::default();
    for revision in folder.certificate.revisions.iter().filter(|r| r.revision > 0) {
        for edge in &revision.edges {
            let place = folder.path(revision, &format!("{}/{}", edge.seller, edge.buyer));
            let Some(path) = folder.table(&place, "daily-rated-usage") else { continue };
            let scopes = adjusted.by_edge.entry(pair(edge)).or_default();
            let mut last = None;
            if let Err((line, reason)) = each_row(folder, &path, |row| {
                let of_row = scope(row);
                if last.as_ref() != Some(&of_row) {
                    scopes.insert(of_row.clone());
                    adjusted.all.insert(of_row.clone());
                    last = Some(of_row);
                }
            }) {
                faults.add(&path, Some(line), reason);
            }
        }
    }
    adjusted
}

pub(crate) fn pair(edge: &CertifiedEdge) -> Pair {
    (edge.seller.clone(), edge.buyer.clone())
}

fn scope(row: &Row) -> Scope {
    (row.cell(SUBSCRIPTION).to_owned(), row.cell(METER).to_owned())
}

/// Reads a daily file row by row.
pub(crate) fn each_row(
    folder: &Folder,
    path: &str,
    mut take: impl FnMut(&Row),
) -> Result<(), (u64, String)> {
    let table = Table::open(&folder.root.join(path), &columns());
    let mut table = table.map_err(|reason| (1, reason))?;
    let mut row = Row::default();
    while table.next(&mut row)? {
        take(&row);
    }
    Ok(())
}

impl BilledRun {
    fn on(edge: &Edge<'_>, (id, meter): &Scope) -> Self {
        let (by_day, charged) = (edge.has_one_price((id, meter)), edge.charged(id));
        Self { by_day, charged, ..Self::default() }
    }
}

impl Billed {
    /// What the close has billed.
    pub fn of_close(edge: &Edge<'_>, daily: &mut Daily<'_>) -> Self {
        let mut billed = Self { last: Some(edge.invoice.named()), ..Self::default() };
        for (scope, rows) in std::mem::take(&mut daily.kept) {
            let run = BilledRun { used: used(&rows), rows, ..BilledRun::on(edge, &scope) };
            billed.runs.insert(scope, run);
        }
        for (scope, used) in std::mem::take(&mut daily.used) {
            let run = BilledRun { used, ..BilledRun::on(edge, &scope) };
            billed.runs.insert(scope, run);
        }
        for group in &daily.groups {
            let scope = (group.subscription.to_owned(), group.meter.meter.clone());
            if let Some(run) = billed.runs.get_mut(&scope) {
                run.groups.insert(group.total.tier, BilledGroup::of(edge, group));
            }
        }
        billed
    }

    /// Goes on to an adjustment: checks its daily file, and says what its lines must be.
    pub fn adjust<'a>(
        &mut self,
        edge: &'a Edge<'a>,
        folder: &'a Folder,
        paths: &'a Paths<'_>,
        faults: &mut Faults,
    ) -> (Daily<'a>, Vec<Expected<'a>>) {
        self.check_preceding(edge, faults);
        let Some(path) = folder.table(&edge.place, "daily-rated-usage") else {
            return Default::default();
        };
        let mut rows: Vec<Row> = Vec::new();
        if let Err((line, reason)) = each_row(folder, &path, |row| rows.push(row.clone())) {
            faults.add(&path, Some(line), reason);
        }
        let (mut daily, mut expected) = (Daily::default(), Vec::new());
        check_order(&path, &rows, faults);
        for run in rows.chunk_by(|a, b| scope(a) == scope(b)) {
            let Some(first) = run.first() else { continue };
            let key = scope(first);
            let before = self.runs.remove(&key).unwrap_or_default();
            let number = edge.certified.invoice.as_str();
            let by_day = edge.has_one_price((&key.0, &key.1));
            let now = change((&path, number), &before, (run, by_day), &mut daily, faults);
            let number = [(INVOICE_NUMBER, number)];
            let now: Vec<Row> = now.iter().map(|row| row.with(&number)).collect();
            let checked = check_rows(edge, folder, paths, path.clone(), &now, faults);
            let lines_before = expected.len();
            let mut lowest = None;
            let mut groups = BTreeMap::new();
            for group in checked.groups {
                let billed = BilledGroup::of(edge, &group);
                expected.extend(lines(edge, &before, &group, &billed));
                lowest = lowest.or_else(|| Some(nothing(&before, &group, &billed)));
                groups.insert(group.total.tier, billed);
            }
            for (tier, gone) in before.groups.iter().filter(|(t, _)| !groups.contains_key(t)) {
                expected.extend(gone_lines(edge, &key, *tier, gone));
            }
            // Usage that has moved without anything else to be paid has a line of nothing.
            if expected.len() == lines_before {
                expected.extend(lowest);
            }
            let used = used(&now);
            daily.usage.extend(checked.usage.into_keys().map(|scope| (scope, used)));
            daily.resellers.extend(checked.resellers);
            let run = BilledRun { rows: now, used, groups, ..BilledRun::on(edge, &key) };
            self.runs.insert(key, run);
        }
        self.last = Some(edge.invoice.named());
        (daily, expected)
    }

    fn check_preceding(&self, edge: &Edge<'_>, faults: &mut Faults) {
        let stated = edge.invoice.invoice.preceding.as_ref();
        let stated = stated.map(|p| (p.number.clone(), p.issue_date.clone()));
        if stated != self.last {
            let reason = match &self.last {
                Some((number, issued)) => format!("the invoice before is {number} of {issued}"),
                None => "there is no invoice before".to_owned(),
            };
            edge.invoice.fault(faults, "preceding", reason);
        }
    }
}

impl BilledGroup {
    fn of(edge: &Edge<'_>, group: &Group<'_>) -> Self {
        let line = of_group(edge, group);
        Self {
            quantity: line.quantity,
            exact: group.total.exact.clone(),
            money: line.money,
            stated: line.stated,
            adjustment: line.adjustment,
            certain: line.certain,
        }
    }
}

/// The lines that lead from what was billed of a group to what is to be billed.
fn lines<'a>(
    edge: &Edge<'_>,
    before: &BilledRun,
    group: &Group<'a>,
    now: &BilledGroup,
) -> Vec<Expected<'a>> {
    let line = |charge_type, quantity, money, of: &BilledGroup, changes| Expected {
        subscription: group.subscription,
        meter: group.meter,
        tier: group.total.tier,
        charge_type,
        quantity,
        money,
        stated: of.stated.clone(),
        adjustment: of.adjustment.clone(),
        changes,
        certain: of.certain,
    };
    let Some(then) = before.groups.get(&group.total.tier) else {
        return vec![line("new", now.quantity.clone(), now.money.clone(), now, false)];
    };
    if (&then.stated, &then.adjustment) == (&now.stated, &now.adjustment) {
        if (&then.quantity, &then.exact) == (&now.quantity, &now.exact) {
            return Vec::new();
        }
        // What is rounded before it is exchanged cannot be told from a difference of quantities.
        if !edge.rounds_inside(group.subscription) {
            let (quantity, money) = (&now.quantity - &then.quantity, &now.money - &then.money);
            return vec![line("adjustment", quantity, money, now, true)];
        }
    }
    vec![
        line("reversal", -&then.quantity, -&then.money, then, true),
        line("new", now.quantity.clone(), now.money.clone(), now, true),
    ]
}

/// The line that says that a group has rows of another day, and nothing else.
fn nothing<'a>(before: &BilledRun, group: &Group<'a>, now: &BilledGroup) -> Expected<'a> {
    Expected {
        subscription: group.subscription,
        meter: group.meter,
        tier: group.total.tier,
        charge_type: "adjustment",
        quantity: BigDecimal::zero(),
        money: BigDecimal::zero(),
        stated: now.stated.clone(),
        adjustment: now.adjustment.clone(),
        changes: before.groups.contains_key(&group.total.tier),
        certain: true,
    }
}

/// The line of a group that nothing is left of. Where another tier states the same price, nobody can
/// see from rows whether the group is gone or has come to nothing, which is told in another line.
fn gone_lines<'a>(
    edge: &'a Edge<'a>,
    (subscription, meter): &Scope,
    tier: usize,
    gone: &BilledGroup,
) -> Vec<Expected<'a>> {
    let Some((id, of)) = edge.subscriptions.by_id.get_key_value(subscription) else {
        return Vec::new();
    };
    let Some(meter) = edge.prices.of(&of.list, meter) else { return Vec::new() };
    let hidden = meter.prices.iter().any(|price| price.tier != tier && price.stated == gone.stated);
    let kinds: &[&'static str] = if hidden { &["reversal", "adjustment"] } else { &["reversal"] };
    let line = |charge_type: &&'static str| Expected {
        subscription: id,
        meter,
        tier,
        charge_type,
        quantity: -&gone.quantity,
        money: -&gone.money,
        stated: gone.stated.clone(),
        adjustment: gone.adjustment.clone(),
        changes: true,
        certain: gone.certain && !hidden,
    };
    kinds.iter().map(line).collect()
}

/// Rows of a subscription lie together, its meters in order.
fn check_order(path: &str, rows: &[Row], faults: &mut Faults) {
    let mut seen: HashSet<&str> = HashSet::new();
    for sold in rows.chunk_by(|a, b| a.cell(SUBSCRIPTION) == b.cell(SUBSCRIPTION)) {
        if !seen.insert(sold[0].cell(SUBSCRIPTION)) {
            let reason = "its subscription has rows further up";
            faults.add(path, Some(sold[0].line), reason);
        }
        for pair in sold.windows(2).filter(|pair| pair[1].cell(METER) < pair[0].cell(METER)) {
            faults.add(path, Some(pair[1].line), "its meter does not follow the one before");
        }
    }
}

/// After an adjustment, what it says was used of a subscription is what all its edges have billed.
pub(crate) fn check_used(
    edges: &[Edge<'_>],
    seen: &[EdgeSeen<'_>],
    (billed, closed): (&HashMap<Pair, Billed>, &HashSet<Pair>),
    faults: &mut Faults,
) {
    let mut done: HashSet<(&str, &str)> = HashSet::new();
    for (edge, seen) in edges.iter().zip(seen) {
        let mut keys: Vec<_> = seen.usage.keys().copied().collect();
        keys.sort_unstable();
        for key in keys.into_iter().filter(|key| done.insert(*key)) {
            check_used_of(edge, key, edges, (billed, closed), faults);
        }
    }
}

/// One subscription and meter, which an edge has adjusted.
fn check_used_of(
    edge: &Edge<'_>,
    (id, meter): (&str, &str),
    edges: &[Edge<'_>],
    (billed, closed): (&HashMap<Pair, Billed>, &HashSet<Pair>),
    faults: &mut Faults,
) {
    let scope: Scope = (id.to_owned(), meter.to_owned());
    let run = |pair: &Pair| billed.get(pair).and_then(|billed| billed.runs.get(&scope));
    let Some(own) = run(&pair(edge.certified)) else { return };
    let others = billed.keys().filter(|pair| run(pair).is_some() && !closed.contains(*pair));
    let mut others: Vec<&Pair> = others.collect();
    others.sort_unstable();
    for other in others {
        let Some(theirs) = run(other).filter(|other| other.charged == own.charged) else {
            continue;
        };
        let by_day = own.by_day && theirs.by_day;
        let same = own.used.by_resource == theirs.used.by_resource
            && (!by_day || own.used.by_day == theirs.used.by_day);
        if !same {
            let reason = format!(
                "meter {meter} of subscription {id} was used otherwise than {} was billed by {}",
                other.1, other.0
            );
            faults.add(&format!("{}/daily-rated-usage", edge.place), None, reason);
        }
    }
    for other in edges.iter().filter(|edge| edge.charged(id) == own.charged) {
        if run(&pair(other.certified)).is_none() {
            let reason = format!(
                "has no rows of meter {meter} of subscription {id}, which {} has",
                edge.place
            );
            faults.add(&format!("{}/daily-rated-usage", other.place), None, reason);
        }
    }
}

/// The rows of a subscription and meter after an adjustment, by day; those for rounding come last.
fn change(
    (path, invoice_number): (&str, &str),
    before: &BilledRun,
    (rows, by_day): (&[Row], bool),
    daily: &mut Daily<'_>,
    faults: &mut Faults,
) -> Vec<Row> {
    let is_rounding = |row: &&Row| row.cell(CHARGE_TYPE) == "roundingAdjustment";
    let mut left: Vec<Option<&Row>> =
        before.rows.iter().filter(|row| !is_rounding(row)).map(Some).collect();
    let mut rounding: Vec<Row> = before.rows.iter().filter(is_rounding).cloned().collect();
    let mut new: Vec<&Row> = Vec::new();
    let (mut cursor, mut section, mut date) = (0, 0, "");
    for row in rows {
        let number = row.cell(INVOICE_NUMBER);
        if number != invoice_number {
            let reason = format!("InvoiceNumber is {number}; it should be {invoice_number}");
            faults.add(path, Some(row.line), reason);
        }
        let kinds = ["reversal", "new", "roundingAdjustment"];
        let Some(kind) = kinds.iter().position(|kind| *kind == row.cell(CHARGE_TYPE)) else {
            let reason = format!("ChargeType is {:?}", row.cell(CHARGE_TYPE));
            faults.add(path, Some(row.line), reason);
            continue;
        };
        if kind < section {
            faults.add(path, Some(row.line), "what is taken back comes first, then what is billed");
        }
        if kind > section {
            date = "";
        }
        section = section.max(kind);
        // Rows of a section stand by day, unless a price changes within the month: then the part of
        // a record after the change may be younger than the record that follows.
        if by_day && row.cell(USAGE_DATE) < date {
            let reason = format!("UsageDate {} follows {date}", row.cell(USAGE_DATE));
            faults.add(path, Some(row.line), reason);
        }
        date = row.cell(USAGE_DATE);
        match kind {
            0 => {
                daily.rated_lines += 1;
                match find(&left, cursor, row) {
                    Some(at) => {
                        left[at] = None;
                        cursor = at + 1;
                    }
                    None => faults.add(path, Some(row.line), "takes back what was not billed"),
                }
            }
            1 => {
                daily.rated_lines += 1;
                new.push(row);
            }
            _ => {
                daily.rounding_lines += 1;
                round(&mut rounding, row);
            }
        }
    }
    let mut now: Vec<Row> = left.into_iter().flatten().chain(new).cloned().collect();
    now.sort_by(|a, b| a.cell(USAGE_DATE).cmp(b.cell(USAGE_DATE)));
    now.extend(rounding);
    now
}

/// The row that a negative one takes back: mostly the one behind that of the negative row before.
fn find(left: &[Option<&Row>], cursor: usize, row: &Row) -> Option<usize> {
    let numbers = [QUANTITY, BILLING, PRICING];
    let is_taken_back = |billed: &Row| {
        row.agrees_but(billed, &[INVOICE_NUMBER, CHARGE_TYPE, QUANTITY, BILLING, PRICING])
            && numbers.iter().all(|at| {
                let sum = number::parse(row.cell(*at)).zip(number::parse(billed.cell(*at)));
                sum.is_some_and(|(a, b)| (a + b).is_zero())
            })
    };
    let places = (cursor..left.len()).chain(0..cursor.min(left.len()));
    places.into_iter().find(|at| left[*at].is_some_and(is_taken_back))
}

/// Adds a row for rounding to the one that was billed at the same price, if there is one.
fn round(rounding: &mut Vec<Row>, row: &Row) {
    let but = [INVOICE_NUMBER, BILLING];
    let Some(at) = rounding.iter().position(|billed| billed.agrees_but(row, &but)) else {
        rounding.push(row.clone());
        return;
    };
    let amounts = [&rounding[at], row].map(|row| number::parse(row.cell(BILLING)));
    let sum: BigDecimal = amounts.into_iter().flatten().sum();
    if sum.is_zero() {
        rounding.remove(at);
    } else {
        rounding[at] = row.with(&[(BILLING, &number::trimmed(&sum))]);
    }
}

/// A hash of what rows say was used, whatever their order and cut.
pub(crate) fn used(rows: &[Row]) -> UsageHash {
    let (mut by_day, mut by_resource): (BTreeMap<Vec<String>, BigDecimal>, BTreeMap<_, _>) =
        Default::default();
    for row in rows.iter().filter(|row| row.cell(CHARGE_TYPE) == "new") {
        let quantity = number::parse(row.cell(QUANTITY)).unwrap_or_default();
        let mut key: Vec<String> = resource(row).map(str::to_owned).collect();
        *by_resource.entry(key.clone()).or_insert_with(BigDecimal::zero) += &quantity;
        key.push(row.cell(USAGE_DATE).to_owned());
        *by_day.entry(key).or_insert_with(BigDecimal::zero) += quantity;
    }
    UsageHash::of_sums(&by_day, &by_resource)
}
