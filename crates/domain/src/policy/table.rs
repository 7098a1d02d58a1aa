//! The table of permissions, as data.

use std::fmt::Write as _;
use std::sync::LazyLock;

use super::{Action, Duty, Reach, Resource};

/// One row: a duty may do an action to a resource, as far as it reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permission {
    /// Whose.
    pub duty: Duty,
    /// What is done.
    pub action: Action,
    /// To what.
    pub resource: Resource,
    /// How far.
    pub reach: Reach,
}

type Row = (Resource, Action, &'static [Duty]);

/// What there is to do at all, and which agents may do it to what is their organisation's. An
/// operator may do all of it to everything.
const ROWS: &[Row] = {
    use Action::{Bill, Create, Delete, Read, Update};
    use Duty::{AdminAgent, BillingAgent, MeteringAgent, SalesAgent};
    &[
        (Resource::Programme, Read, &[]),
        (Resource::Programme, Update, &[]),
        (Resource::Usage, Create, &[AdminAgent, MeteringAgent]),
        (Resource::Import, Read, &[]),
        (Resource::Import, Create, &[]),
        (Resource::OpenPeriod, Read, &[AdminAgent, SalesAgent, BillingAgent]),
        (Resource::Period, Read, &[]),
        (Resource::Period, Update, &[]),
        // A month is billed for the whole programme at once.
        (Resource::Period, Bill, &[]),
        (Resource::Invoice, Read, &[AdminAgent, BillingAgent]),
        (Resource::Document, Read, &[]),
        (Resource::Rehearsal, Read, &[]),
        (Resource::Application, Read, &[AdminAgent]),
        (Resource::Application, Create, &[AdminAgent]),
        (Resource::Application, Delete, &[AdminAgent]),
        // Moving a database, looking at what the machine does.
        (Resource::Installation, Read, &[]),
        (Resource::Installation, Update, &[]),
    ]
};

static TABLE: LazyLock<Vec<Permission>> = LazyLock::new(|| {
    let mut rows = Vec::new();
    for &(resource, action, agents) in ROWS {
        let reach = Reach::Everything;
        rows.push(Permission { duty: Duty::Operator, action, resource, reach });
        let agents = agents.iter();
        rows.extend(agents.map(|&duty| Permission { duty, action, resource, reach: Reach::Own }));
    }
    rows
});

/// Every permission there is.
pub fn permissions() -> &'static [Permission] {
    &TABLE
}

/// The table as a page: what each duty may do to what.
pub fn page() -> String {
    let mut page = String::from("| resource | action |");
    for (name, _) in Duty::NAMES {
        let _ = write!(page, " {name} |");
    }
    page.push('\n');
    page.push_str(&"|---".repeat(Duty::NAMES.len() + 2));
    page.push_str("|\n");
    for (resource, action, _) in ROWS {
        let _ = write!(page, "| {resource} | {action} |");
        for (_, duty) in Duty::NAMES {
            let row = (duty, *action, *resource);
            let row = TABLE.iter().find(|r| (r.duty, r.action, r.resource) == row);
            let _ = match row.map(|row| row.reach) {
                Some(Reach::Everything) => write!(page, " everything |"),
                Some(Reach::Own) => write!(page, " own |"),
                None => write!(page, " - |"),
            };
        }
        page.push('\n');
    }
    page
}
