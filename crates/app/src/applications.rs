//! Programs that call the service: made, listed, taken away, and recognised by their secret.

use domain::{Action, Actor, Because, Duty, Resource};
use kernel::{ApplicationId, Error, OrganisationId, Result};
use sha2::{Digest, Sha256};
use store::ApplicationRow;

use crate::sheets::hex;
use crate::{Ctx, chance, facts};

/// The longest name.
pub const NAME_LENGTH_MAX: usize = 200;

/// What a new application is to be.
#[derive(Debug, Clone)]
pub struct NewApplication {
    /// What it is called.
    pub name: String,
    /// What it may do.
    pub duty: Duty,
    /// The key of the organisation in whose name it acts; the caller's if left out.
    pub organisation: Option<String>,
}

/// An application, and the key of its organisation.
#[derive(Debug, Clone)]
pub struct Application {
    /// What is kept of it.
    pub row: ApplicationRow,
    /// The key of its organisation; none for an operator.
    pub organisation: Option<String>,
}

/// Makes an application; also returns its secret, which is kept as a hash alone.
///
/// # Errors
/// Where the organisation is not there or not the caller's, and where the duty does not fit.
pub async fn create(ctx: Ctx<'_>, new: &NewApplication) -> Result<(Application, String)> {
    let scope = ctx.decide(Action::Create, Resource::Application)?;
    let name = new.name.trim();
    if name.is_empty() || name.chars().count() > NAME_LENGTH_MAX {
        let reason = format!("must have 1 to {NAME_LENGTH_MAX} characters");
        return Err(Error::invalid("name", reason));
    }
    let organisation = organisation(&ctx, new, scope.party()).await?;
    Actor::new(new.duty, organisation.as_ref().map(|(id, _)| *id))?;
    let secret = hex(&chance::bytes::<32>()?);
    let row = ApplicationRow {
        id: ApplicationId::from_random(chance::bytes()?),
        name: name.to_owned(),
        duty: new.duty,
        organisation: organisation.as_ref().map(|(id, _)| *id),
        secret_sha256: sha256(&secret),
        created_at: ctx.now_micros(),
    };
    let mut tx = ctx.write(Action::Create, Resource::Application).await?;
    tx.add_application(&row).await?;
    tx.commit().await?;
    Ok((Application { row, organisation: organisation.map(|(_, key)| key) }, secret))
}

/// The organisation that an application acts for: the caller's own, or any for an operator.
async fn organisation(
    ctx: &Ctx<'_>,
    new: &NewApplication,
    own: Option<OrganisationId>,
) -> Result<Option<(OrganisationId, String)>> {
    if own.is_none() && new.organisation.is_none() {
        return Ok(None);
    }
    let mut tx = ctx.system_read(Because::SignIn).await?;
    let programme = facts::programme(&mut tx, i64::MAX).await?;
    let mut visible =
        programme.organisations.values().filter(|o| own.is_none_or(|own| own == o.id));
    let found = match &new.organisation {
        Some(key) => visible.find(|organisation| organisation.key.as_str() == key),
        None => visible.next(),
    };
    let found = found.map(|found| (found.id, found.key.to_string()));
    found.map(Some).ok_or_else(|| {
        let key = new.organisation.as_deref().unwrap_or_default();
        Error::invalid("organisation", format!("\"{key}\" is no organisation of yours"))
    })
}

/// The applications that the caller may see, oldest first, behind one of them.
pub async fn list(
    ctx: Ctx<'_>,
    after: Option<ApplicationId>,
    limit: u16,
) -> Result<Vec<Application>> {
    let mut tx = ctx.read(Action::Read, Resource::Application).await?;
    let after = match after {
        None => None,
        Some(id) => tx.application(id).await?.map(|row| (row.created_at, row.id)),
    };
    let rows = tx.applications(after, limit).await?;
    drop(tx);
    named(&ctx, rows).await
}

/// Takes an application away. Its tokens are refused from now on.
///
/// # Errors
/// Where there is none that the caller may see.
pub async fn delete(ctx: Ctx<'_>, id: ApplicationId) -> Result<Application> {
    let mut tx = ctx.write(Action::Delete, Resource::Application).await?;
    let row = tx.application(id).await?;
    let row = row.ok_or_else(|| Error::NotFound { kind: "application", id: id.to_string() })?;
    tx.delete_application(id, ctx.now_micros()).await?;
    tx.commit().await?;
    let mut deleted = named(&ctx, vec![row]).await?;
    deleted.pop().ok_or_else(|| Error::internal("an application without a name"))
}

async fn named(ctx: &Ctx<'_>, rows: Vec<ApplicationRow>) -> Result<Vec<Application>> {
    let mut tx = ctx.system_read(Because::SignIn).await?;
    let programme = tx.programme(i64::MAX).await?;
    let key = |id| programme.as_ref().map_or_else(|| format!("{id}"), |p| p.key_of(id));
    let named = |row: ApplicationRow| Application { organisation: row.organisation.map(key), row };
    Ok(rows.into_iter().map(named).collect())
}

/// Who an application with a secret is.
///
/// # Errors
/// Where there is none, or the secret is another: both are answered alike.
pub async fn recognise(ctx: Ctx<'_>, id: &str, secret: &str) -> Result<ApplicationRow> {
    let refused = || Error::Unauthenticated("the application's id or secret is wrong".to_owned());
    let row = match id.parse() {
        Ok(id) => ctx.system_read(Because::SignIn).await?.application(id).await?,
        Err(_) => None,
    };
    let row = row.ok_or_else(refused)?;
    // Hashes are compared: how long that takes tells nothing of the secret.
    if row.secret_sha256 == sha256(secret) { Ok(row) } else { Err(refused()) }
}

/// Who an application is, unless it has been taken away.
pub async fn actor(ctx: Ctx<'_>, id: ApplicationId) -> Result<Option<Actor>> {
    let row = ctx.system_read(Because::SignIn).await?.application(id).await?;
    row.map(|row| Actor::new(row.duty, row.organisation)).transpose()
}

fn sha256(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}
