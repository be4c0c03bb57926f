//! What the console asks of watched inputs, and has done about them.

use std::sync::Arc;

use binnacle_core::view::{DriftItem, EndpointName, Reference, shown};
use binnacle_proto::v1 as proto;
use binnacle_tui::question::drift::{Inquiry, Rebaseline, Told, Watched};
use binnacle_tui::question::{Answer, Refused};
use binnacle_wire::registry::document_from;
use serde::de::DeserializeOwned;
use tonic::Code;

use super::{Live, Refusal, refused, unreadable, unsure};

impl Live {
    pub(super) async fn drifted(&self, inquiry: &Inquiry) -> Result<Answer, Refusal> {
        let told = match inquiry {
            Inquiry::All => {
                let asked = self.link.question(proto::DriftRequest::default());
                let answer = self.link.drift().list(asked).await.map_err(refused)?;
                Told::All(read(answer.into_inner())?.into())
            }
            Inquiry::One(endpoint, version, stretch) => {
                let span_us = stretch.span_us(self.now_us());
                Told::One(self.watched(endpoint, version, span_us).await?)
            }
        };
        Ok(Answer::Drift(told))
    }

    async fn watched(
        &self,
        endpoint: &EndpointName,
        version: &Reference,
        span_us: Option<(i64, i64)>,
    ) -> Result<Arc<Watched>, Refusal> {
        let (from_us, to_us) = span_us.unwrap_or_default();
        let asked = || {
            self.link.question(proto::DriftRequest {
                endpoint: endpoint.to_string(),
                version: version.to_string(),
                from_us,
                to_us,
            })
        };
        let mut drift = self.link.drift();
        let rows = drift.list(asked()).await.map_err(refused)?.into_inner();
        let features = drift.show(asked()).await.map_err(refused)?.into_inner();
        let moved = drift.explain(asked()).await.map_err(refused)?.into_inner();
        Ok(Arc::new(Watched {
            version: read::<DriftItem>(rows)?.into_iter().next(),
            features: read(features)?,
            moved: read(moved)?,
        }))
    }

    /// Has what is measured taken as normal.
    pub(super) async fn rebaseline(&self, wish: &Rebaseline) -> Result<String, Refused> {
        let asked = proto::RebaselineRequest {
            endpoint: wish.endpoint.to_string(),
            why: wish.reason.clone(),
            ..Default::default()
        };
        let mut drift = self.link.drift();
        let answered = drift.rebaseline(self.link.question(asked)).await;
        let changed = answered.map_err(|status| Refused {
            is_conflict: status.code() == Code::Aborted,
            why: unsure(status),
        })?;
        let journal = changed.into_inner().sequence;
        let endpoint = shown(&wish.endpoint.to_string());
        Ok(format!(
            "inputs of {endpoint} are normal as they are: journal {journal}"
        ))
    }
}

fn read<T: DeserializeOwned>(answer: proto::DriftResponse) -> Result<Vec<T>, Refusal> {
    let rows = answer.rows.iter();
    rows.map(|row| document_from("row", row).map_err(unreadable))
        .collect()
}
