//! Programs that call the API.

use app::applications::{self, Application};
use kernel::{Result, micros_instant};
use wire::v1::{self, CreateApplication, DeleteApplication, ListApplications, Page};

use super::{limit, parsed};
use crate::request::Input;
use crate::routes::Call;
use crate::wait;

pub fn list(call: &Call<'_>, input: &Input<ListApplications>) -> Result<Page<v1::Application>> {
    let limit = limit(input.query.limit)?;
    let after = input.query.after.as_deref().map(|id| parsed("after", id)).transpose()?;
    // One more tells whether there is another page.
    let mut found = wait(applications::list(call.ctx(), after, limit + 1))?;
    let more = found.len() > usize::from(limit);
    found.truncate(limit.into());
    let next = found.last().filter(|_| more).map(|last| last.row.id.to_string());
    Ok(Page { items: found.iter().map(shape).collect(), next })
}

pub fn create(call: &Call<'_>, input: &Input<CreateApplication>) -> Result<v1::CreatedApplication> {
    let wanted = input.body()?;
    let new = applications::NewApplication {
        name: wanted.name,
        duty: parsed("duty", &wanted.duty)?,
        organisation: wanted.organisation,
    };
    let (application, secret) = wait(applications::create(call.ctx(), &new))?;
    Ok(v1::CreatedApplication { application: shape(&application), secret })
}

pub fn delete(call: &Call<'_>, input: &Input<DeleteApplication>) -> Result<v1::Application> {
    let id = parsed("application_id", &input.path.application_id)?;
    Ok(shape(&wait(applications::delete(call.ctx(), id))?))
}

fn shape(application: &Application) -> v1::Application {
    v1::Application {
        application_id: application.row.id.to_string(),
        name: application.row.name.clone(),
        duty: application.row.duty.to_string(),
        organisation: application.organisation.clone(),
        created_at: micros_instant(application.row.created_at).to_string(),
    }
}
