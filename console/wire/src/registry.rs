//! What is asked of the registry, and its rows.
//!
//! Cards, details and rows travel as the JSON documents that also stand in the journal and in an
//! export: they are read here into checked values, with the field named that is wrong.

use std::num::NonZeroU32;

use binnacle_core::name::Name;
use binnacle_core::registry::change::Imported;
use binnacle_core::registry::{Command, Line, Object, Reference};
use binnacle_core::state::{Condition, Request};
use binnacle_proto::v1 as proto;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Refused, refuse, unique};

/// What somebody asks for, and how.
#[derive(Debug)]
pub struct Asked {
    /// For what.
    pub request: Request,
    /// Why.
    pub why: String,
    /// Under which conditions.
    pub condition: Condition,
    /// Whether it is to be done, or only decided.
    pub is_dry_run: bool,
}

/// Reads a command.
pub fn command_from(asked: proto::RegistryCommand) -> Result<Asked, Refused> {
    use proto::registry_command::Command as Wire;

    let key = match asked.key.is_empty() {
        true => None,
        false => Some(Line::parse(&asked.key).map_err(|error| refuse("key", error))?),
    };
    let command = asked
        .command
        .ok_or_else(|| refuse("command", "is missing"))?;
    let command = match command {
        Wire::CreateModel(one) => Command::CreateModel(named(&one)?, read(&one)?),
        Wire::EditModel(one) => Command::EditModel(named(&one)?, read(&one)?),
        Wire::DeleteModel(model) => Command::DeleteModel(name("name", &model)?),
        Wire::RegisterVersion(one) => Command::RegisterVersion(named(&one)?, read(&one)?),
        Wire::NoteVersion(one) => Command::NoteVersion(reference(&one.name)?, read(&one)?),
        Wire::GoldenVersion(one) => Command::GoldenVersion(reference(&one.name)?, read(&one)?),
        Wire::MoveAlias(one) => Command::MoveAlias(
            name("model", &one.model)?,
            name("alias", &one.alias)?,
            NonZeroU32::new(one.to),
        ),
        Wire::RegisterDataSet(one) => Command::RegisterDataSet(named(&one)?, read(&one)?),
        Wire::EditDataSet(one) => Command::EditDataSet(named(&one)?, read(&one)?),
        Wire::RegisterFeatureSet(one) => Command::RegisterFeatureSet(named(&one)?, read(&one)?),
        Wire::EditFeatureSet(one) => Command::EditFeatureSet(named(&one)?, read(&one)?),
        Wire::SetEnvironment(one) => Command::SetEnvironment(named(&one)?, read(&one)?),
        Wire::Deprecate(object) => Command::Deprecate(object_from(&object)?),
        Wire::Restore(object) => Command::Restore(object_from(&object)?),
        Wire::Import(line) => Command::Import(Box::new(line_from(&line)?)),
    };
    Ok(Asked {
        request: Request::Registry(Box::new(command)),
        why: asked.why,
        condition: Condition {
            if_revision: asked.if_revision,
            key,
        },
        is_dry_run: asked.dry_run,
    })
}

fn name(field: &'static str, text: &str) -> Result<Name, Refused> {
    Name::parse(text).map_err(|error| refuse(field, error))
}

fn named(document: &proto::Document) -> Result<Name, Refused> {
    name("name", &document.name)
}

fn reference(text: &str) -> Result<Reference, Refused> {
    text.parse().map_err(|error| refuse("name", error))
}

fn read<T: DeserializeOwned>(document: &proto::Document) -> Result<T, Refused> {
    from_people("document", &document.document)
}

/// Reads a JSON document that may have been written by hand: no key stands twice.
fn from_people<T: DeserializeOwned>(field: &'static str, json: &[u8]) -> Result<T, Refused> {
    unique(json).map_err(|why| refuse(field, why))?;
    document_from(field, json)
}

/// Reads a JSON document.
pub fn document_from<T: DeserializeOwned>(field: &'static str, json: &[u8]) -> Result<T, Refused> {
    serde_json::from_slice(json).map_err(|error| refuse(field, error))
}

/// A JSON document, to send.
pub fn document_to<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("what we send has string keys and finite numbers")
}

/// A thing and what is said of it, to send.
pub fn document<T: Serialize>(name: impl ToString, value: &T) -> proto::Document {
    proto::Document {
        name: name.to_string(),
        document: document_to(value).into(),
    }
}

/// Reads a line of an export.
pub fn line_from(line: &[u8]) -> Result<Imported, Refused> {
    from_people("import", line)
}

/// Reads what something is called.
pub fn object_from(object: &proto::ObjectName) -> Result<Object, Refused> {
    let text = object.name.as_str();
    let is_version = text.contains('@');
    let kind = proto::ObjectKind::try_from(object.kind);
    Ok(match (kind, is_version) {
        (Ok(proto::ObjectKind::Model), false) => Object::Model(name("name", text)?),
        (Ok(proto::ObjectKind::Model), true) => Object::Version(reference(text)?),
        (Ok(proto::ObjectKind::DataSet), false) => Object::DataSet(name("name", text)?),
        (Ok(proto::ObjectKind::DataSet), true) => Object::DataSetVersion(reference(text)?),
        (Ok(proto::ObjectKind::FeatureSet), false) => Object::FeatureSet(name("name", text)?),
        (Ok(proto::ObjectKind::FeatureSet), true) => Object::FeatureSetVersion(reference(text)?),
        (Ok(proto::ObjectKind::Environment), _) => Object::Environment(name("name", text)?),
        (Ok(proto::ObjectKind::Unspecified) | Err(_), _) => {
            return Err(refuse(
                "kind",
                format!("{} is no kind of thing", object.kind),
            ));
        }
    })
}

/// What something is called, to send.
pub fn object_to(object: &Object) -> proto::ObjectName {
    let (kind, name) = match object {
        Object::Model(name) => (proto::ObjectKind::Model, name.to_string()),
        Object::Version(version) => (proto::ObjectKind::Model, version.to_string()),
        Object::DataSet(name) => (proto::ObjectKind::DataSet, name.to_string()),
        Object::DataSetVersion(version) => (proto::ObjectKind::DataSet, version.to_string()),
        Object::FeatureSet(name) => (proto::ObjectKind::FeatureSet, name.to_string()),
        Object::FeatureSetVersion(version) => (proto::ObjectKind::FeatureSet, version.to_string()),
        Object::Environment(name) => (proto::ObjectKind::Environment, name.to_string()),
    };
    proto::ObjectName {
        kind: kind.into(),
        name,
    }
}
