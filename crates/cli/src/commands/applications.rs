//! `skyhandel applications ...`

use app::Ctx;
use app::applications::{self, Application, NewApplication};
use kernel::{Result, micros_instant};
use wire::v1;

use crate::args::{ApplicationsCommand, NewApplicationArgs};
use crate::output::{Output, table};

/// Applications that are listed at once.
const PAGE: u16 = 1_000;

pub async fn run(ctx: Ctx<'_>, command: &ApplicationsCommand, output: Output) -> Result<()> {
    match command {
        ApplicationsCommand::Create(args) => create(ctx, args, output).await,
        ApplicationsCommand::List => list(ctx, output).await,
        ApplicationsCommand::Delete { application } => {
            let deleted = shape(&applications::delete(ctx, *application).await?);
            output.print(&deleted, || format!("{} is gone.", deleted.application_id));
            Ok(())
        }
    }
}

async fn create(ctx: Ctx<'_>, args: &NewApplicationArgs, output: Output) -> Result<()> {
    let new = NewApplication {
        name: args.name.clone(),
        duty: args.duty,
        organisation: args.organisation.as_ref().map(ToString::to_string),
    };
    let (application, secret) = applications::create(ctx, &new).await?;
    let created = v1::CreatedApplication { application: shape(&application), secret };
    output.print(&created, || {
        format!(
            "Application: {}\nSecret:      {}\n\nThe secret is shown this once.",
            created.application.application_id, created.secret
        )
    });
    Ok(())
}

async fn list(ctx: Ctx<'_>, output: Output) -> Result<()> {
    let mut all: Vec<v1::Application> = Vec::new();
    let mut after = None;
    loop {
        let page = applications::list(ctx, after, PAGE).await?;
        all.extend(page.iter().map(shape));
        after = page.last().map(|last| last.row.id);
        if page.len() < usize::from(PAGE) {
            break;
        }
    }
    output.print(&all, || {
        let rows: Vec<Vec<String>> = all
            .iter()
            .map(|application| {
                vec![
                    application.application_id.clone(),
                    application.name.clone(),
                    application.duty.clone(),
                    application.organisation.clone().unwrap_or_default(),
                    application.created_at.clone(),
                ]
            })
            .collect();
        table(&["application", "name", "duty", "organisation", "made"], &[], &rows)
    });
    Ok(())
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
