//! `skyhandel export`

use app::Ctx;
use app::export::{ExportOptions, ExportedEdge, export};
use kernel::Result;
use serde::Serialize;

use crate::args::ExportArgs;
use crate::output::{Output, table};

#[derive(Serialize)]
struct ExportedJson {
    folder: String,
    period: String,
    format: String,
    files: u64,
    edges: Vec<EdgeJson>,
}

#[derive(Serialize)]
struct EdgeJson {
    seller: String,
    buyer: String,
    currency: String,
    net: String,
    invoice: String,
    lines: u64,
    rounding_lines: u64,
    folder: String,
}

pub async fn run(ctx: Ctx<'_>, args: &ExportArgs, output: Output) -> Result<()> {
    let options = ExportOptions {
        month: args.period,
        format: args.format,
        seller: args.seller.as_ref().map(ToString::to_string),
        buyer: args.buyer.as_ref().map(ToString::to_string),
    };
    let exported = export(ctx, &args.to, &options).await?;
    let json = ExportedJson {
        folder: exported.folder.display().to_string(),
        period: args.period.to_string(),
        format: args.format.extension().to_owned(),
        files: exported.files,
        edges: exported.edges.iter().map(edge).collect(),
    };
    output.print(&json, || {
        let rows: Vec<Vec<String>> = json
            .edges
            .iter()
            .map(|edge| {
                let EdgeJson { seller, buyer, net, currency, invoice, folder, .. } = edge;
                [seller, buyer, net, currency, invoice, folder].map(String::clone).to_vec()
            })
            .collect();
        let headers = ["seller", "buyer", "net", "currency", "invoice", "folder"];
        format!(
            "{}\n\n{} files, described by {}.\nNext: skyhandel verify {}",
            table(&headers, &[2], &rows),
            json.files,
            exported.folder.join("certificate.json").display(),
            exported.folder.display()
        )
    });
    Ok(())
}

fn edge(edge: &ExportedEdge) -> EdgeJson {
    EdgeJson {
        seller: edge.seller.clone(),
        buyer: edge.buyer.clone(),
        currency: edge.invoice.net.currency().to_string(),
        net: edge.invoice.net.digits(),
        invoice: edge.invoice.number.clone(),
        lines: edge.invoice.invoice_lines,
        rounding_lines: edge.rounding_lines,
        folder: edge.folder.display().to_string(),
    }
}
