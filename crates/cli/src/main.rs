//! The executable `skyhandel`: reads the command line and the clock, calls `app`, prints.

mod args;
mod clock;
mod commands;
mod demo;
mod output;
mod progress;

use std::process::ExitCode;

use app::{Ctx, Installation};
use clap::{CommandFactory, Parser};
use kernel::{Error, Result};

use args::{BenchCommand, Cli, Command};
use output::Output;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return output::refuse_command_line(&error),
    };
    let output = Output::new(cli.global.json);
    let done = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::internal(error.to_string()))
        .and_then(|runtime| runtime.block_on(run(&cli, output)));
    app::crash::report();
    match done {
        Ok(code) => code,
        Err(error) => ExitCode::from(output.fail(&error)),
    }
}

/// Commands that need no installation, or make one of their own.
async fn without_installation(
    cli: &Cli,
    bar: &progress::Bar,
    output: Output,
) -> Result<Option<ExitCode>> {
    match &cli.command {
        Command::Schema { markdown: true } => {
            output::line(app::programme::reference().trim_end());
        }
        Command::Schema { .. } => {
            output.print(&app::programme::schema(), || {
                serde_json::to_string_pretty(&app::programme::schema()).unwrap_or_default()
            });
        }
        Command::Completions { shell } => {
            let mut command = Cli::command();
            clap_complete::generate(*shell, &mut command, "skyhandel", &mut std::io::stdout());
        }
        Command::Demo(args) => return demo::run(args, bar, output).await.map(Some),
        Command::Bench(BenchCommand::Rate(args)) => {
            commands::bench::run(args, bar, output).await?;
        }
        Command::Verify(args) => {
            let workers = args.workers.unwrap_or_else(app::workers);
            return commands::verify::run(&args.folder, workers, output).map(Some);
        }
        Command::Reconcile(args) => return commands::reconcile::run(args, output).map(Some),
        Command::Prorate(args) => return commands::prorate::run(args, output).map(Some),
        Command::Db(command) => {
            commands::db::run(&cli.global.data, command, output).await?;
        }
        _ => return Ok(None),
    }
    Ok(Some(ExitCode::SUCCESS))
}

async fn run(cli: &Cli, output: Output) -> Result<ExitCode> {
    let bar = progress::Bar::default();
    if let Some(code) = without_installation(cli, &bar, output).await? {
        return Ok(code);
    }
    let (data, database) = (&cli.global.data, cli.global.database.as_ref());
    let installation = match &cli.command {
        Command::Init => Installation::init(data, database).await?,
        _ => Installation::open(data, database).await?,
    };
    if let Command::Serve(args) = &cli.command {
        commands::serve::run(installation, args, output).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let now = cli.global.now.unwrap_or_else(clock::now);
    let ctx = Ctx::console(&installation, now, &bar);
    // What a server has acknowledged and was not given the time to move.
    app::imports::events::drain(ctx).await?;
    match &cli.command {
        Command::Applications(command) => {
            commands::applications::run(ctx, command, output).await?;
        }
        Command::Init => {
            let json = serde_json::json!({ "data": data.display().to_string() });
            output.print(&json, || {
                format!(
                    "{} is ready. Next: skyhandel apply PROGRAMME.toml --data {}",
                    data.display(),
                    data.display()
                )
            });
        }
        Command::Apply(args) => commands::apply::run(ctx, args, output).await?,
        Command::Import(command) => commands::imports::run(ctx, command, output).await?,
        Command::Imports => commands::imports::list(ctx, output).await?,
        Command::Rate(args) => commands::rate::run(ctx, args, output).await?,
        Command::Close(args) => commands::close::run(ctx, args, output).await?,
        Command::Rehearse(args) => commands::rehearse::run(ctx, args, output).await?,
        Command::Restate(args) => commands::restate::run(ctx, args, output).await?,
        Command::Shadow(args) => return commands::shadow::run(ctx, args, output).await,
        Command::Adjust(args) => commands::adjust::run(ctx, args, output).await?,
        Command::Invoices(args) => commands::invoices::run(ctx, args, output).await?,
        Command::Explain(args) => commands::explain::run(ctx, args, output).await?,
        Command::Export(args) => commands::export::run(ctx, args, output).await?,
        Command::Bench(_)
        | Command::Db(_)
        | Command::Demo(_)
        | Command::Schema { .. }
        | Command::Completions { .. }
        | Command::Prorate(_)
        | Command::Reconcile(_)
        | Command::Serve(_)
        | Command::Verify(_) => {}
    }
    Ok(ExitCode::SUCCESS)
}
