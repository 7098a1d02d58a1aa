//! Who may see and change what.
//!
//! A transaction needs a [`Scope`], and a scope is either decided here, from the table of
//! permissions, or belongs to the system's own work, for a reason of a short list. There is no
//! other way to reach data.

mod table;

use kernel::{Error, OrganisationId, Result};

pub use table::{Permission, page as permissions_page, permissions};

/// What somebody may do in the name of an organisation, by the names of the programme's agent
/// groups; or of the whole installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Duty {
    /// Runs the installation: sees and does everything.
    Operator,
    /// Does everything that its organisation may.
    AdminAgent,
    /// Sells: prices, terms, customers, subscriptions.
    SalesAgent,
    /// Bills: invoices, files, explanations.
    BillingAgent,
    /// Sends usage and nothing else: a meter.
    MeteringAgent,
}

impl Duty {
    /// Every duty with the name it has in files.
    pub const NAMES: [(&'static str, Self); 5] = [
        ("operator", Self::Operator),
        ("admin-agent", Self::AdminAgent),
        ("sales-agent", Self::SalesAgent),
        ("billing-agent", Self::BillingAgent),
        ("metering-agent", Self::MeteringAgent),
    ];
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// See one or many.
    Read,
    /// Make a new one, or send one in.
    Create,
    /// Make one say something else.
    Update,
    /// Take one away.
    Delete,
    /// Bill a month: close it, or post its differences.
    Bill,
}

impl Action {
    /// Every action with the name it has in files.
    pub const NAMES: [(&'static str, Self); 5] = [
        ("read", Self::Read),
        ("create", Self::Create),
        ("update", Self::Update),
        ("delete", Self::Delete),
        ("bill", Self::Bill),
    ];
}

/// What it is done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// What a programme file says.
    Programme,
    /// Usage as it comes in.
    Usage,
    /// Imported files.
    Import,
    /// What would be billed now.
    OpenPeriod,
    /// Closes, differences and restatements of months.
    Period,
    /// Invoices, credit notes and what explains them.
    Invoice,
    /// Documents and exports.
    Document,
    /// What-if calculations over real usage.
    Rehearsal,
    /// Applications and their secrets.
    Application,
    /// The database, the machine, the settings.
    Installation,
}

impl Resource {
    /// Every resource with the name it has in files.
    pub const NAMES: [(&'static str, Self); 10] = [
        ("programme", Self::Programme),
        ("usage", Self::Usage),
        ("import", Self::Import),
        ("open-period", Self::OpenPeriod),
        ("period", Self::Period),
        ("invoice", Self::Invoice),
        ("document", Self::Document),
        ("rehearsal", Self::Rehearsal),
        ("application", Self::Application),
        ("installation", Self::Installation),
    ];
}

crate::named::named!(Duty, "a duty");
crate::named::named!(Action, "an action");
crate::named::named!(Resource, "a resource");

/// Who acts, after proving it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Actor {
    duty: Duty,
    organisation: Option<OrganisationId>,
}

impl Actor {
    /// Whoever runs the installation and has its data folder in hand.
    pub const CONSOLE: Self = Self { duty: Duty::Operator, organisation: None };

    /// Somebody with a duty, in the name of an organisation unless it runs the installation.
    ///
    /// # Errors
    /// Where an operator has an organisation or another duty has none.
    pub fn new(duty: Duty, organisation: Option<OrganisationId>) -> Result<Self> {
        if (duty == Duty::Operator) != organisation.is_none() {
            let reason = "an operator acts for the installation, every other duty for an \
                          organisation";
            return Err(Error::invalid("organisation", reason));
        }
        Ok(Self { duty, organisation })
    }

    /// What it may do.
    pub const fn duty(&self) -> Duty {
        self.duty
    }

    /// In whose name it acts; nobody's if it runs the installation.
    pub const fn organisation(&self) -> Option<OrganisationId> {
        self.organisation
    }
}

/// How far a permission reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// Everything in the installation.
    Everything,
    /// What belongs to the organisation, or lies on an edge of which it is a side.
    Own,
}

/// What a transaction may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    party: Option<OrganisationId>,
}

impl Scope {
    /// The scope of the system's own work.
    pub const fn system(_because: Because) -> Self {
        Self { party: None }
    }

    /// The organisation whose data alone may be seen; none if everything may.
    pub const fn party(&self) -> Option<OrganisationId> {
        self.party
    }
}

/// Why the system acts without being limited to an organisation. One list, so that it can be
/// audited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Because {
    /// A database is brought up to date, moved or looked after.
    Migration,
    /// Who is calling must be known before anything can be decided.
    SignIn,
    /// An amount of one edge follows from facts of the edges above it.
    Rating,
    /// Work that an operation has ordered is done.
    Job,
    /// Usage is taken in: whose it is follows from the subscription.
    Metering,
}

/// Decides whether somebody may do something; gives the scope to do it in.
///
/// # Errors
/// [`Error::Denied`] where the table has no such permission.
pub fn decide(actor: &Actor, action: Action, resource: Resource) -> Result<Scope> {
    let wanted =
        |row: &&Permission| (row.duty, row.action, row.resource) == (actor.duty, action, resource);
    match permissions().iter().find(wanted).map(|row| row.reach) {
        Some(Reach::Everything) => Ok(Scope { party: None }),
        Some(Reach::Own) if actor.organisation.is_some() => Ok(Scope { party: actor.organisation }),
        _ => Err(Error::Denied(format!(
            "a {} may not {action} {resource}s; ask for an application with another duty",
            actor.duty
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // req: C6
    #[test]
    fn the_table_decides_and_nothing_else() {
        let own = OrganisationId::derived("own");
        for (_, duty) in Duty::NAMES {
            let organisation = (duty != Duty::Operator).then_some(own);
            let actor = Actor::new(duty, organisation).unwrap();
            for (_, action) in Action::NAMES {
                for (_, resource) in Resource::NAMES {
                    let listed = permissions().iter().filter(|row| {
                        (row.duty, row.action, row.resource) == (duty, action, resource)
                    });
                    let listed: Vec<_> = listed.collect();
                    assert!(listed.len() <= 1, "{duty} {action} {resource} is listed twice");
                    let decided = decide(&actor, action, resource);
                    match listed.first() {
                        None => assert!(matches!(decided, Err(Error::Denied(_)))),
                        Some(_) => assert_eq!(decided.unwrap().party(), organisation),
                    }
                }
            }
        }
    }

    #[test]
    fn nobody_but_the_operator_reaches_everything() {
        for row in permissions() {
            assert_eq!(row.reach == Reach::Everything, row.duty == Duty::Operator, "{row:?}");
        }
    }

    #[test]
    fn an_operator_has_no_organisation_and_others_have_one() {
        assert!(Actor::new(Duty::Operator, Some(OrganisationId::derived("x"))).is_err());
        assert!(Actor::new(Duty::BillingAgent, None).is_err());
    }
}
