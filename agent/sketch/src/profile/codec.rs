//! A profile as bytes: the same profile is the same bytes, everywhere and always.
//!
//! Counts are LEB128, numbers the eight bytes of their IEEE form, least significant first; what
//! follows from something else (the gaps of the bins follow from `m`) is not written. A reader
//! checks every invariant and writes again what it read: bytes that differ are refused, so a
//! digest names one profile.

use sha2::{Digest as _, Sha256};

use super::bins::{Bins, EDGES, Edge};
use super::categories::{BUCKETS, Categories, Category, NAME_BYTES, TABLE};
use super::hours::{HOURS, Hours};
use super::quantiles::{Quantiles, STEPS};
use super::{
    BINS, FEATURE_NAME_BYTES, FEATURES, Feature, Found, Kind, Malformed, Numbers, Profile, Ranked,
    VERSION,
};
use crate::varint;

const MAGIC: &[u8; 4] = b"bnpf";

impl Profile {
    /// The bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + self.features.len() * 6_144);
        out.extend_from_slice(MAGIC);
        out.push(VERSION);
        out.extend_from_slice(&self.seed.to_le_bytes());
        varint::put(&mut out, self.rows);
        varint::put(&mut out, u64::from(self.sampled));
        out.push(u8::from(self.span_us.is_some()));
        if let Some((first, last)) = self.span_us {
            out.extend_from_slice(&first.to_le_bytes());
            out.extend_from_slice(&last.to_le_bytes());
        }
        varint::put(&mut out, self.features.len() as u64);
        for feature in &self.features {
            feature.put(&mut out);
        }
        out
    }

    /// The profile behind such bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut from = Reader(bytes);
        if from.bytes(MAGIC.len())? != MAGIC {
            return Err(Malformed::Magic);
        }
        let version = from.byte()?;
        if version != VERSION {
            return Err(Malformed::Version(version));
        }
        let seed = u64::from_le_bytes(from.array()?);
        let rows = from.count(u64::MAX)?;
        let sampled = from.count(rows)?;
        let span_us = match from.byte()? {
            0 => None,
            1 => Some((
                i64::from_le_bytes(from.array()?),
                i64::from_le_bytes(from.array()?),
            )),
            tag => return Err(Malformed::Tag(tag)),
        };
        let features = from.count(FEATURES as u64)?;
        let features = (0..features).map(|_| Feature::take(&mut from));
        let profile = Self {
            seed,
            rows,
            sampled: u32::try_from(sampled).map_err(|_| Malformed::TooMany)?,
            span_us,
            features: features.collect::<Result<_, _>>()?,
        };
        if !from.0.is_empty() {
            return Err(Malformed::Trailing(from.0.len()));
        }
        if profile.encode() != bytes {
            return Err(Malformed::NotCanonical);
        }
        Ok(profile)
    }

    /// The SHA-256 of the bytes, which is the profile's name.
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.encode()).into()
    }
}

impl Feature {
    /// The bytes of this feature within its profile.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        text(out, &self.name);
        out.push(match self.kind {
            Kind::Number => 0,
            Kind::Integer => 1,
            Kind::Boolean => 2,
            Kind::Category => 3,
            Kind::Text => 4,
        });
        varint::put(out, self.nulls);
        varint::put(out, self.not_finite);
        match &self.found {
            Found::Nothing => out.push(0),
            Found::Numbers(numbers) => {
                out.push(1);
                numbers.put(out);
            }
            Found::Categories(ranked) => {
                out.push(2);
                bins(out, &ranked.bins);
                categories(out, &ranked.categories);
            }
            Found::Text { distinct, sampled } => {
                out.push(3);
                varint::put(out, u64::from(*distinct));
                varint::put(out, u64::from(*sampled));
            }
        }
        let Some((rows, roots)) = self.hours.as_ref().map(Hours::parts) else {
            return out.push(0);
        };
        out.push(1 + u8::from(self.moves_after.is_some()));
        for rows in rows {
            varint::put(out, u64::from(*rows));
        }
        out.extend_from_slice(roots);
        if let Some(values) = self.moves_after {
            varint::put(out, values);
        }
    }

    fn take(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        let name = from.text(FEATURE_NAME_BYTES)?;
        let kind = match from.byte()? {
            0 => Kind::Number,
            1 => Kind::Integer,
            2 => Kind::Boolean,
            3 => Kind::Category,
            4 => Kind::Text,
            tag => return Err(Malformed::Tag(tag)),
        };
        let nulls = from.count(u64::MAX)?;
        let not_finite = from.count(u64::MAX)?;
        let found = match from.byte()? {
            0 => Found::Nothing,
            1 => Found::Numbers(Box::new(Numbers::take(from)?)),
            2 => Found::Categories(Box::new(Ranked {
                bins: from.bins()?,
                categories: from.categories()?,
            })),
            3 => Found::Text {
                distinct: from.small()?,
                sampled: from.small()?,
            },
            tag => return Err(Malformed::Tag(tag)),
        };
        let (hours, moves_after) = match from.byte()? {
            0 => (None, None),
            tag @ (1 | 2) => {
                let rows = (0..HOURS).map(|_| from.small()).collect::<Result<_, _>>()?;
                let roots = from.bytes(HOURS * BINS)?.to_vec();
                let hours = Hours::from_parts(rows, roots)?;
                let moves = (tag == 2).then(|| from.count(u64::MAX)).transpose()?;
                (Some(hours), moves)
            }
            tag => return Err(Malformed::Tag(tag)),
        };
        Ok(Self {
            name,
            kind,
            nulls,
            not_finite,
            found,
            hours,
            moves_after,
        })
    }
}

impl Numbers {
    fn put(&self, out: &mut Vec<u8>) {
        bins(out, &self.bins);
        for x in self.quantiles.values() {
            number(out, *x);
        }
        for x in [self.min, self.max, self.mean, self.sd] {
            number(out, x);
        }
    }

    fn take(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        let bins = from.bins()?;
        let quantiles = (0..=STEPS).map(|_| from.number());
        let quantiles = Quantiles::from_values(quantiles.collect::<Result<_, _>>()?)?;
        let numbers = Self {
            bins,
            quantiles,
            min: from.number()?,
            max: from.number()?,
            mean: from.number()?,
            sd: from.number()?,
        };
        let figures = [numbers.min, numbers.max, numbers.mean, numbers.sd];
        if figures.iter().any(|x| !x.is_finite()) || numbers.min > numbers.max {
            return Err(Malformed::Quantiles);
        }
        Ok(numbers)
    }
}

fn number(out: &mut Vec<u8>, x: f64) {
    out.extend_from_slice(&x.to_bits().to_le_bytes());
}

fn text(out: &mut Vec<u8>, text: &str) {
    varint::put(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

fn bins(out: &mut Vec<u8>, bins: &Bins) {
    varint::put(out, u64::from(bins.sampled()));
    for edge in bins.edges() {
        number(out, edge.x);
        number(out, edge.v);
    }
}

fn categories(out: &mut Vec<u8>, categories: &Categories) {
    varint::put(out, u64::from(categories.distinct()));
    varint::put(out, categories.table().len() as u64);
    for category in categories.table() {
        text(out, &category.name);
        out.extend_from_slice(&category.hash.to_le_bytes());
        varint::put(out, u64::from(category.sampled));
    }
    out.push(u8::from(categories.rest().is_some()));
    for sampled in categories.rest().into_iter().flatten() {
        varint::put(out, u64::from(*sampled));
    }
}

/// What is left to be read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Malformed::CutShort)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Malformed::CutShort)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        self.array().map(|[byte]| byte)
    }

    fn count(&mut self, most: u64) -> Result<u64, Malformed> {
        let count = varint::take(&mut self.0).ok_or(Malformed::CutShort)?;
        if count > most {
            Err(Malformed::TooMany)
        } else {
            Ok(count)
        }
    }

    fn small(&mut self) -> Result<u32, Malformed> {
        u32::try_from(self.count(u64::from(u32::MAX))?).map_err(|_| Malformed::TooMany)
    }

    fn number(&mut self) -> Result<f64, Malformed> {
        self.array()
            .map(|bytes| f64::from_bits(u64::from_le_bytes(bytes)))
    }

    fn text(&mut self, most: usize) -> Result<String, Malformed> {
        let length = self.count(most as u64)? as usize;
        let text = std::str::from_utf8(self.bytes(length)?).map_err(|_| Malformed::Name)?;
        Ok(text.to_owned())
    }

    fn bins(&mut self) -> Result<Bins, Malformed> {
        let sampled = self.small()?;
        let mut edges = [Edge { x: 0.0, v: 0.0 }; EDGES];
        for edge in &mut edges {
            *edge = Edge {
                x: self.number()?,
                v: self.number()?,
            };
        }
        Bins::from_edges(&edges, sampled)
    }

    fn categories(&mut self) -> Result<Categories, Malformed> {
        let distinct = self.small()?;
        let lines = self.count(TABLE as u64)?;
        let mut table = Vec::with_capacity(lines as usize);
        for _ in 0..lines {
            table.push(Category {
                name: self.text(NAME_BYTES)?,
                hash: u64::from_le_bytes(self.array()?),
                sampled: self.small()?,
            });
        }
        let rest = match self.byte()? {
            0 => None,
            1 => {
                let mut rest = Box::new([0; BUCKETS]);
                for sampled in rest.iter_mut() {
                    *sampled = self.small()?;
                }
                Some(rest)
            }
            tag => return Err(Malformed::Tag(tag)),
        };
        Categories::from_parts(table, rest, distinct)
    }
}
