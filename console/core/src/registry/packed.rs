//! The registry as bytes of a snapshot.

use super::card::Card;
use super::{
    Alias, Children, DataSet, DataSetVersion, Deprecation, Digest, Environment, FeatureSet,
    FeatureSetVersion, Features, Files, Golden, Head, Lie, Model, Move, Number, Reference,
    Registry, Role, Rules, Said, Standing, Trained, TrainedOn, Version,
};
use crate::packed::{Malformed, Packed, Packer, Unpacker, document, packed};

packed!(Registry {
    models,
    data_sets,
    feature_sets,
    environments,
    formats,
});
packed!(Head {
    said,
    revision,
    history,
});
packed!(Said {
    at_us,
    card,
    standing,
});
packed!(Model {
    head,
    versions,
    aliases,
    golden,
});
packed!(Golden {
    sha256,
    bytes,
    requests,
});
packed!(Version {
    sequence,
    at_us,
    revision,
    noted,
    artifact,
    data_sets,
    feature_set,
    parent,
    children,
    standing,
});
packed!(Alias { moves });
packed!(Files {
    sha256,
    bytes,
    format,
    lie,
});
packed!(Move {
    sequence,
    at_us,
    to,
});
packed!(DataSet { head, versions });
packed!(DataSetVersion {
    sequence,
    at_us,
    revision,
    digest,
    profile,
    rows,
    trained,
    standing,
});
packed!(FeatureSet { head, versions });
packed!(FeatureSetVersion {
    sequence,
    at_us,
    revision,
    features,
    given,
    standing,
});
packed!(Environment {
    rules,
    frozen_by,
    revision,
    at_us,
    history,
});
packed!(Reference { name, number });
packed!(Trained { data_set, role });
packed!(Deprecation { why, at_us });

document!(Card);
document!(Features);
document!(Rules);

impl Packed for Standing {
    fn shape(into: &mut String) {
        into.push_str("standing(");
        Deprecation::shape(into);
        into.push(')');
    }
    fn pack(&self, to: &mut Packer) {
        match self {
            Self::Active => false.pack(to),
            Self::Deprecated(deprecation) => {
                true.pack(to);
                deprecation.pack(to);
            }
        }
    }
    fn unpack(from: &mut Unpacker<'_>) -> Result<Self, Malformed> {
        let deprecation = Option::unpack(from)?;
        Ok(deprecation.map_or(Self::Active, Self::Deprecated))
    }
}

impl Packed for Digest {
    fn shape(into: &mut String) {
        into.push_str("digest,");
    }
    fn pack(&self, to: &mut Packer) {
        self.0.pack(to);
    }
    fn unpack(from: &mut Unpacker<'_>) -> Result<Self, Malformed> {
        Packed::unpack(from).map(Self)
    }
}

impl Packed for Number {
    fn shape(into: &mut String) {
        into.push_str("number,");
    }
    fn pack(&self, to: &mut Packer) {
        to.number(u64::from(self.get()));
    }
    fn unpack(from: &mut Unpacker<'_>) -> Result<Self, Malformed> {
        let number = u32::try_from(from.number()?).ok();
        let number = number.and_then(Self::new);
        number.ok_or(Malformed("a number of a version is none"))
    }
}

impl Packed for Role {
    fn shape(into: &mut String) {
        into.push_str("role,");
    }
    fn pack(&self, to: &mut Packer) {
        to.number(match self {
            Self::Train => 0,
            Self::Validation => 1,
            Self::Test => 2,
            Self::Predictions => 3,
        });
    }
    fn unpack(from: &mut Unpacker<'_>) -> Result<Self, Malformed> {
        match from.number()? {
            0 => Ok(Self::Train),
            1 => Ok(Self::Validation),
            2 => Ok(Self::Test),
            3 => Ok(Self::Predictions),
            _ => Err(Malformed("a role is none")),
        }
    }
}

impl Packed for Lie {
    fn shape(into: &mut String) {
        into.push_str("lie,");
    }
    fn pack(&self, to: &mut Packer) {
        to.number(match self {
            Self::File => 0,
            Self::Folder => 1,
            Self::Elsewhere => 2,
        });
    }
    fn unpack(from: &mut Unpacker<'_>) -> Result<Self, Malformed> {
        match from.number()? {
            0 => Ok(Self::File),
            1 => Ok(Self::Folder),
            2 => Ok(Self::Elsewhere),
            _ => Err(Malformed("where files lie is nowhere")),
        }
    }
}

impl Packed for TrainedOn {
    fn shape(into: &mut String) {
        Vec::<Trained>::shape(into);
    }
    fn pack(&self, to: &mut Packer) {
        to.number(self.iter().len() as u64);
        self.iter().for_each(|trained| trained.pack(to));
    }
    fn unpack(from: &mut Unpacker<'_>) -> Result<Self, Malformed> {
        let parsed = Self::parse(Vec::unpack(from)?);
        parsed.map_err(|_| Malformed("a data set is named twice"))
    }
}

impl Packed for Children {
    fn shape(into: &mut String) {
        Vec::<Reference>::shape(into);
    }
    fn pack(&self, to: &mut Packer) {
        to.number(self.iter().count() as u64);
        self.iter().for_each(|child| child.pack(to));
    }
    fn unpack(from: &mut Unpacker<'_>) -> Result<Self, Malformed> {
        let children: Vec<Reference> = Packed::unpack(from)?;
        let mut all = Self::default();
        children.into_iter().for_each(|child| all.push(child));
        Ok(all)
    }
}
