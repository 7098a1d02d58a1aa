//! Version 1: each route with what it needs.

mod applications;
mod events;
mod imports;
mod invoices;
mod periods;
mod programme;

use domain::{Action, Resource};
use kernel::{Error, Result};

use crate::routes::Routes;

/// Entries of a page: how many there are if nothing is said, and at most.
const PAGE: u16 = 100;
const PAGE_MAX: u16 = 1_000;

/// Adds all routes.
pub fn add(routes: Routes) -> Routes {
    use Action::{Bill, Create, Delete, Read, Update};
    routes
        .add(Read, Resource::Application, applications::list)
        .add(Create, Resource::Application, applications::create)
        .add(Delete, Resource::Application, applications::delete)
        .add(Create, Resource::Usage, events::send)
        .add(Read, Resource::Import, imports::list)
        .add(Create, Resource::Import, imports::prices)
        .add(Create, Resource::Import, imports::rates)
        .add(Create, Resource::Import, imports::usage)
        .add(Read, Resource::Invoice, invoices::list)
        .add(Read, Resource::Invoice, invoices::show)
        .add(Read, Resource::OpenPeriod, periods::open)
        .add(Bill, Resource::Period, periods::close)
        .add(Bill, Resource::Period, periods::adjust)
        .add(Update, Resource::Programme, programme::apply)
}

/// How many entries a page is to have.
fn limit(wanted: Option<u16>) -> Result<u16> {
    match wanted.unwrap_or(PAGE) {
        limit @ 1..=PAGE_MAX => Ok(limit),
        limit => Err(Error::invalid("limit", format!("must be 1 to {PAGE_MAX}, not {limit}"))),
    }
}

/// A parameter as what it must be.
fn parsed<T: std::str::FromStr<Err: ToString>>(field: &str, text: &str) -> Result<T> {
    text.parse()
        .map_err(|why: T::Err| Error::invalid(field, format!("\"{text}\" {}", why.to_string())))
}
