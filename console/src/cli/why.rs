//! `binnacle why`: what is wrong, since when, by whose fault, and what helps.

use binnacle_core::view::WhyItem;
use binnacle_proto::v1 as proto;
use binnacle_wire::registry::document_from;
use clap::Args;

use crate::cli::Global;
use crate::outcome::{Exit, Failure};
use crate::output::{self, Document, Form};

#[derive(Args, Debug)]
pub(crate) struct Ask {
    /// An endpoint as ENVIRONMENT/NAME, a model, or an alert's number.
    of: String,
}

impl Ask {
    pub(crate) async fn run(self, global: &Global) -> Result<Exit, Failure> {
        let link = global.link().await?;
        let asked = proto::WhyRequest { of: self.of };
        let answer = link.alerts().why(link.question(asked)).await?.into_inner();
        let rows = answer.rows.iter().map(|row| document_from("row", row));
        let rows: Vec<WhyItem> = rows.collect::<Result<_, _>>()?;
        match global.form() {
            Form::Json => {
                output::json(&Document::new("binnacle.why/v1", answer.as_of_us, &rows))?;
            }
            Form::Text => {
                let pages: Vec<String> = rows.iter().map(|row| row.lines.join("\n")).collect();
                output::text(pages.join("\n\n"))?;
            }
        }
        Ok(Exit::Ok)
    }
}
