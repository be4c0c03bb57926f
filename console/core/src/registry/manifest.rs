//! A folder's files as one blob: a manifest, whose digest is the folder's.
//!
//! Its bytes are canonical: the same files make the same manifest wherever they are read, and
//! nothing else is a manifest. First the line `binnacle manifest/v1`, then a line for each file:
//! its SHA-256, a blank, its length, a blank, its path; sorted by path, byte by byte. What a file
//! may do and when it was written is left out: neither belongs to the content, and both change
//! with whoever copies it.

use std::fmt;
use std::str::FromStr;

use super::artifact::Digest;

/// Files of one folder: checkpoints of large models have some hundreds.
pub const MAX_FILES: usize = 10_000;
/// Folders in one another, the file among them: what a person can still find one's way in.
pub const MAX_DEPTH: usize = 16;
/// Bytes of a path: a fourth of what Linux takes, so that it fits below any folder.
pub const MAX_PATH: usize = 1_024;
/// Bytes of one name in a path: what file systems take.
const MAX_NAME: usize = 255;
/// Bytes of all files together: as one blob at most.
pub const MAX_BYTES: u64 = 1 << 40;
/// Bytes of a manifest: every file with the longest path.
pub const MAX_MANIFEST: usize = 64 + MAX_FILES * (64 + 20 + MAX_PATH + 3);

const HEAD: &str = "binnacle manifest/v1";

/// The files of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    files: Box<[FileOf]>,
    bytes: u64,
}

/// One file of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileOf {
    /// Where in the folder.
    pub path: Inside,
    /// Over its bytes.
    pub sha256: Digest,
    /// How many.
    pub bytes: u64,
}

/// A path that stays inside the folder that it begins in: names with slashes between them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Inside(Box<str>);

/// Why files make no manifest, or bytes are none.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum NotAManifest {
    /// A path that leads out, or that cannot be a path everywhere.
    #[error("{path:?} is no path inside a folder: {why}")]
    Path {
        /// Which.
        path: String,
        /// Why.
        why: &'static str,
    },
    /// No file.
    #[error("the folder has no files")]
    Empty,
    /// Too many files.
    #[error("a folder has at most {MAX_FILES} files, this one has more")]
    TooMany,
    /// Too many bytes.
    #[error("the files of a folder have at most {MAX_BYTES} bytes together, these have more")]
    TooLarge,
    /// One path twice, or a file where others have a folder.
    #[error("{0:?} comes twice, or is both a file and a folder")]
    Twice(String),
    /// Bytes that are no manifest.
    #[error("line {line} of the manifest is not as it is written")]
    Line {
        /// Which.
        line: usize,
    },
}

impl Inside {
    /// Takes a path; as it is, and nothing is made good.
    pub fn parse(path: &str) -> Result<Self, NotAManifest> {
        let no = |why| {
            let path = path.chars().take(200).collect();
            Err(NotAManifest::Path { path, why })
        };
        if path.len() > MAX_PATH {
            return no("it is longer than 1024 bytes");
        }
        if path.starts_with('/') {
            return no("it begins at the root");
        }
        if path.chars().any(|c| c.is_control() || c == '\\') {
            return no("it has a control character or a backslash");
        }
        if path.split('/').count() > MAX_DEPTH {
            return no("it is more than 16 folders deep");
        }
        for name in path.split('/') {
            match name {
                ".." => return no("it climbs out of the folder"),
                "" | "." => return no("it has an empty name"),
                name if name.len() > MAX_NAME => return no("a name has more than 255 bytes"),
                _ => {}
            }
        }
        Ok(Self(path.into()))
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Inside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Manifest {
    /// Takes files, in any order.
    pub fn of(mut files: Vec<FileOf>) -> Result<Self, NotAManifest> {
        if files.is_empty() {
            return Err(NotAManifest::Empty);
        }
        if files.len() > MAX_FILES {
            return Err(NotAManifest::TooMany);
        }
        files.sort_by(|one, other| one.path.cmp(&other.path));
        let mut bytes = 0_u64;
        let mut seen = std::collections::HashSet::with_capacity(files.len());
        for file in &files {
            bytes = bytes.saturating_add(file.bytes);
            if !seen.insert(file.path.as_str()) {
                return Err(NotAManifest::Twice(file.path.to_string()));
            }
        }
        if bytes > MAX_BYTES {
            return Err(NotAManifest::TooLarge);
        }
        for file in &files {
            let path = file.path.as_str();
            let mut above = path.match_indices('/').filter_map(|(at, _)| path.get(..at));
            if let Some(both) = above.find(|above| seen.contains(above)) {
                return Err(NotAManifest::Twice(both.to_owned()));
            }
        }
        let files = files.into();
        Ok(Self { files, bytes })
    }

    /// Reads the bytes of a manifest; only those that [`Manifest::encode`] writes are one.
    pub fn decode(bytes: &[u8]) -> Result<Self, NotAManifest> {
        let text = std::str::from_utf8(bytes).map_err(|_| NotAManifest::Line { line: 1 })?;
        let mut lines = text.split_terminator('\n').zip(1..);
        if lines.next().is_none_or(|(head, _)| head != HEAD) {
            return Err(NotAManifest::Line { line: 1 });
        }
        let mut files = Vec::new();
        for (text, line) in lines {
            if files.len() == MAX_FILES {
                return Err(NotAManifest::TooMany);
            }
            let file = text.parse().map_err(|error| match error {
                NotAManifest::Line { .. } => NotAManifest::Line { line },
                NotAManifest::Path { .. }
                | NotAManifest::Empty
                | NotAManifest::TooMany
                | NotAManifest::TooLarge
                | NotAManifest::Twice(_) => error,
            })?;
            files.push(file);
        }
        let manifest = Self::of(files)?;
        // Another order, a number with a plus, a missing end: not what was hashed elsewhere.
        match manifest.encode() == bytes {
            true => Ok(manifest),
            false => Err(NotAManifest::Line { line: 2 }),
        }
    }

    /// Its canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut text = format!("{HEAD}\n");
        for FileOf {
            path,
            sha256,
            bytes,
        } in &self.files
        {
            text.push_str(&format!("{sha256} {bytes} {path}\n"));
        }
        text.into_bytes()
    }

    /// Its files, in order of path.
    pub fn files(&self) -> &[FileOf] {
        &self.files
    }

    /// Bytes of all files together.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl FromStr for FileOf {
    type Err = NotAManifest;
    fn from_str(line: &str) -> Result<Self, NotAManifest> {
        let no = NotAManifest::Line { line: 0 };
        let mut parts = line.splitn(3, ' ');
        let (Some(sha256), Some(bytes), Some(path)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(no);
        };
        Ok(Self {
            sha256: sha256.parse().map_err(|_| no.clone())?,
            bytes: bytes.parse().map_err(|_| no)?,
            path: Inside::parse(path)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(path: &str, bytes: u64) -> FileOf {
        FileOf {
            path: Inside::parse(path).unwrap(),
            sha256: Digest([7; 32]),
            bytes,
        }
    }

    #[test]
    fn a_path_stays_inside() {
        let deepest = "a/".repeat(15) + "a";
        for good in ["a", "a/b.onnx", "..a", "a/...", "a b/ä", &deepest] {
            assert_eq!(Inside::parse(good).unwrap().as_str(), good);
        }
        let deep = "a/".repeat(16) + "a";
        let (long, name) = ("a/".repeat(600), "a".repeat(256));
        for bad in [
            "",
            "/a",
            "..",
            "a/../b",
            "./a",
            "a//b",
            "a/",
            "a\nb",
            "a\u{1b}[31m",
            "a\\b",
            &deep,
            &long,
            &name,
        ] {
            assert!(Inside::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_cannot_lie_in_one_folder_is_no_manifest() {
        assert_eq!(Manifest::of(Vec::new()), Err(NotAManifest::Empty));
        let twice = Manifest::of(vec![file("a", 1), file("a", 1)]);
        assert_eq!(twice, Err(NotAManifest::Twice("a".into())));
        let both = Manifest::of(vec![file("a/b/c", 1), file("a.x", 1), file("a", 1)]);
        assert_eq!(both, Err(NotAManifest::Twice("a".into())));
        let large = Manifest::of(vec![file("a", MAX_BYTES), file("b", 1)]);
        assert_eq!(large, Err(NotAManifest::TooLarge));
        let many = (0..=MAX_FILES).map(|n| file(&n.to_string(), 1)).collect();
        assert_eq!(Manifest::of(many), Err(NotAManifest::TooMany));
    }

    #[test]
    fn only_canonical_bytes_are_a_manifest() {
        let good = Manifest::of(vec![file("b", 1), file("a/c d", 20)]).unwrap();
        let bytes = good.encode();
        assert_eq!(Manifest::decode(&bytes), Ok(good));
        let text = String::from_utf8(bytes).unwrap();
        for bad in [
            text.replace(" 20 ", " +20 "),
            text.replace(" 20 ", " 020 "),
            text.replace(" 20 ", "  20 "),
            text.replace("a/c d", "../c"),
            text.replace("v1", "v2"),
            text.to_uppercase(),
            text.trim_end().to_owned(),
            text.clone() + "\n",
            text.replace('\n', "\r\n"),
            String::new(),
        ] {
            assert!(Manifest::decode(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn the_order_in_which_files_are_found_does_not_matter(
            mut names in proptest::collection::btree_set("[a-z]{1,8}(/[a-z]{9,12}){0,3}", 1..20)
                .prop_map(|names| names.into_iter().collect::<Vec<_>>()),
            turn in any::<proptest::sample::Index>(),
        ) {
            let files = |names: &[String]| names.iter().map(|name| file(name, 3)).collect();
            let first = Manifest::of(files(&names));
            let by = turn.index(names.len());
            names.rotate_left(by);
            prop_assert_eq!(&first, &Manifest::of(files(&names)));
            if let Ok(manifest) = first {
                prop_assert!(manifest.encode().len() <= MAX_MANIFEST);
                prop_assert_eq!(Manifest::decode(&manifest.encode()), Ok(manifest));
            }
        }

        #[test]
        fn any_bytes_are_a_manifest_or_are_not(bytes in any::<Vec<u8>>()) {
            prop_assert!(Manifest::decode(&bytes).is_err());
        }
    }
}
