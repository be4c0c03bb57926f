//! What the console asks of the registry, and has done there.

use std::sync::Arc;

use binnacle_core::view::{
    DistanceItem, EntryRow, LineageItem, ProfileItem, RegistryObject, shown,
};
use binnacle_proto::v1 as proto;
use binnacle_sketch::profile::Profile;
use binnacle_tui::question::registry::{
    Act, Change, Listed, Listing, Noun, PAGE, Rows, Told, name_of,
};
use binnacle_tui::question::{Answer, Refused};
use binnacle_wire::journal;
use binnacle_wire::registry::{document, document_from, object_to};
use proto::registry_command::Command;
use serde::de::DeserializeOwned;
use tonic::Code;

use super::{Live, Refusal, refused, unreadable, unsure};
use crate::link::blob;

/// Entries about one thing: what a page shows, and some more.
const HISTORY: u32 = 50;

fn noun(noun: Noun) -> proto::Noun {
    match noun {
        Noun::Models => proto::Noun::Models,
        Noun::Versions => proto::Noun::Versions,
        Noun::Aliases => proto::Noun::Aliases,
        Noun::DataSets => proto::Noun::DataSets,
        Noun::DataSetVersions => proto::Noun::DataSetVersions,
        Noun::FeatureSets => proto::Noun::FeatureSets,
        Noun::FeatureSetVersions => proto::Noun::FeatureSetVersions,
    }
}

fn read<T: DeserializeOwned>(page: &proto::ListResponse) -> Result<Vec<T>, Refusal> {
    let rows = page.rows.iter();
    rows.map(|row| document_from("row", row).map_err(unreadable))
        .collect()
}

impl Live {
    pub(super) async fn listed(&self, listing: &Listing) -> Result<Answer, Refusal> {
        let asked = proto::ListRequest {
            noun: noun(listing.noun).into(),
            name: listing.name.to_string(),
            skip: listing.page.saturating_mul(PAGE as u32),
            limit: PAGE as u32,
            search: listing.search.to_string(),
            sort: listing.sort.to_string(),
            descending: listing.descending,
            at_us: listing.at_us.unwrap_or(0),
        };
        let listed = self.link.registry().list(self.link.question(asked)).await;
        let page = listed.map_err(refused)?.into_inner();
        let rows = match listing.noun {
            Noun::Models => Rows::Models(read(&page)?),
            Noun::Versions => Rows::Versions(read(&page)?),
            Noun::Aliases => Rows::Aliases(read(&page)?),
            Noun::DataSets | Noun::FeatureSets => Rows::Sets(read(&page)?),
            Noun::DataSetVersions => Rows::DataSets(read(&page)?),
            Noun::FeatureSetVersions => Rows::FeatureSets(read(&page)?),
        };
        let total = page.total;
        Ok(Answer::Registry(Told::Listed(Arc::new(Listed {
            rows,
            total,
        }))))
    }

    pub(super) async fn lineage(
        &self,
        object: &RegistryObject,
        uses: bool,
    ) -> Result<Answer, Refusal> {
        let asked = self.link.question(proto::LineageRequest {
            object: Some(object_to(object)),
            uses,
        });
        let answered = self.link.registry().lineage(asked).await;
        let tree = answered.map_err(refused)?.into_inner().tree;
        let tree: LineageItem = document_from("tree", &tree).map_err(unreadable)?;
        Ok(Answer::Registry(Told::Lineage(Arc::new(tree))))
    }

    pub(super) async fn about(&self, object: &RegistryObject) -> Result<Answer, Refusal> {
        let asked = self.link.question(proto::EntriesAboutRequest {
            object: Some(object_to(object)),
            limit: HISTORY,
        });
        let answered = self.link.registry().entries_about(asked).await;
        let entries = answered.map_err(refused)?.into_inner().entries;
        let rows = entries.into_iter().map(|entry| {
            let stored = journal::from_proto(entry).map_err(unreadable)?;
            EntryRow::of(&stored).map_err(unreadable)
        });
        Ok(Answer::Journal(rows.collect::<Result<_, Refusal>>()?))
    }

    async fn profile_of(&self, digest: binnacle_core::view::Digest) -> Result<Profile, Refusal> {
        let fetched = blob::profile(&self.link, digest).await;
        fetched.map_err(|failure| failure.message)
    }

    pub(super) async fn profile(
        &self,
        digest: binnacle_core::view::Digest,
    ) -> Result<Answer, Refusal> {
        let profile = self.profile_of(digest).await?;
        let item = Arc::new(ProfileItem::of(&profile));
        Ok(Answer::Registry(Told::Profile(item)))
    }

    pub(super) async fn distances(
        &self,
        reference: binnacle_core::view::Digest,
        other: binnacle_core::view::Digest,
    ) -> Result<Answer, Refusal> {
        let (reference, other) = (
            self.profile_of(reference).await?,
            self.profile_of(other).await?,
        );
        let rows = DistanceItem::all(&reference, &other).into();
        Ok(Answer::Registry(Told::Distances(rows)))
    }

    /// Has a change of the registry done.
    pub(super) async fn change(&self, change: &Change) -> Result<String, Refused> {
        let asked = proto::RegistryCommand {
            why: change.reason.clone(),
            if_revision: change.if_revision,
            key: String::new(),
            dry_run: false,
            command: Some(command(&change.act)?),
        };
        let answered = self.link.registry().change(self.link.question(asked)).await;
        let changed = answered.map_err(|status| Refused {
            is_conflict: status.code() == Code::Aborted,
            why: unsure(status),
        })?;
        let changed = changed.into_inner();
        let object = change.act.object();
        Ok(match changed.changed {
            true => format!(
                "{} {}: journal {}",
                shown(&object.to_string()),
                done(&change.act),
                changed.sequence
            ),
            false => format!("{object} was so already: nothing was written"),
        })
    }
}

/// What was done, in a word.
fn done(act: &Act) -> &'static str {
    match act {
        Act::Create { .. } => "is named",
        Act::Edit { .. } => "is edited",
        Act::Note { .. } => "is noted",
        Act::MoveAlias { .. } => "has its alias moved",
        Act::Deprecate(_) => "is deprecated",
        Act::Restore(_) => "is restored",
    }
}

fn command(act: &Act) -> Result<Command, Refused> {
    Ok(match act {
        Act::Create { name, card } => Command::CreateModel(document(name, card)),
        Act::Edit { object, card, .. } => {
            let document = document(name_of(object), card);
            match object {
                RegistryObject::Model(_) => Command::EditModel(document),
                RegistryObject::DataSet(_) => Command::EditDataSet(document),
                RegistryObject::FeatureSet(_) => Command::EditFeatureSet(document),
                RegistryObject::Version(_)
                | RegistryObject::DataSetVersion(_)
                | RegistryObject::FeatureSetVersion(_)
                | RegistryObject::Environment(_) => {
                    return Err(Refused {
                        why: format!("{object} has no card"),
                        is_conflict: false,
                    });
                }
            }
        }
        Act::Note { version, notes } => Command::NoteVersion(document(version, notes)),
        Act::MoveAlias { model, alias, to } => Command::MoveAlias(proto::MoveAlias {
            model: model.to_string(),
            alias: alias.to_string(),
            to: to.map_or(0, std::num::NonZeroU32::get),
        }),
        Act::Deprecate(object) => Command::Deprecate(object_to(object)),
        Act::Restore(object) => Command::Restore(object_to(object)),
    })
}
