//! The spool's file: records one after another, each with its length and CRC-32.
//!
//! Promises: a record is there whole or not at all; a torn tail is cut off when the file is
//! opened; a record whose bytes were flipped is skipped and counted, never believed; a write
//! that the disk refuses leaves the file as it was. Survives the death of the process at any
//! point. Bytes are not forced to the disk one by one: when the machine itself dies, so do
//! the requests that the last seconds counted. What records mean is left to the spool.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What the file opens with: a newer format has another.
const MAGIC: &[u8; 8] = b"BNSPOOL1";
/// Length (of kind and body, u32 little-endian), CRC-32 of the same bytes, kind.
const HEAD: usize = 9;
/// No record is longer: what claims to be is a torn tail. A second with all 4,096 series is
/// under 4 MiB.
const RECORD_LONGEST: u32 = 16 << 20;

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A window, which takes the place of those that its range covers.
    Window,
    /// A boot and a sequence: its windows up to there are not wanted any more.
    Forget,
}

impl Kind {
    fn byte(self) -> u8 {
        match self {
            Self::Window => 1,
            Self::Forget => 2,
        }
    }

    fn of(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Window),
            2 => Some(Self::Forget),
            _ => None,
        }
    }
}

/// Where a record lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) offset: u64,
    /// Bytes of the whole record.
    pub(super) len: u32,
}

/// The open file.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    file: File,
    /// Up to here the file holds whole records; anything behind it is no part of it.
    len: u64,
    /// How long the file may become before the disk counts as full.
    #[cfg(test)]
    pub(super) room: Option<u64>,
}

/// What opening met that it could not believe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Damage {
    /// Records whose checksum was wrong, or of an unknown kind.
    pub(super) records: u64,
    /// Bytes of a torn tail.
    pub(super) torn_bytes: u64,
}

impl Log {
    /// Opens or makes the file and hands each record to `found`, in order.
    pub(super) fn open(
        path: &Path,
        mut found: impl FnMut(Kind, &[u8], Span),
    ) -> io::Result<(Self, Damage)> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)?;
        let mut log = Self {
            path: path.to_owned(),
            file,
            len: MAGIC.len() as u64,
            #[cfg(test)]
            room: None,
        };
        let on_disk = log.file.metadata()?.len();
        if on_disk < MAGIC.len() as u64 {
            log.file.set_len(0)?;
            log.file.write_all_at(MAGIC, 0)?;
            return Ok((log, Damage::default()));
        }
        let mut magic = [0; MAGIC.len()];
        log.file.read_exact_at(&mut magic, 0)?;
        if &magic != MAGIC {
            let words = "it is not a spool of this version: move it away";
            return Err(io::Error::new(io::ErrorKind::InvalidData, words));
        }
        let damage = log.scan(on_disk, &mut found)?;
        if log.len < on_disk {
            log.file.set_len(log.len)?;
        }
        Ok((log, damage))
    }

    /// Reads every record up to `end`, and sets `len` to where the last whole one ends.
    fn scan(&mut self, end: u64, found: &mut impl FnMut(Kind, &[u8], Span)) -> io::Result<Damage> {
        let mut damage = Damage::default();
        let mut reader = BufReader::new(At {
            file: &self.file,
            offset: self.len,
        });
        let mut body = Vec::new();
        while self.len < end {
            let mut head = [0; HEAD];
            let left = end - self.len;
            if left < HEAD as u64 {
                break;
            }
            reader.read_exact(&mut head)?;
            let [a, b, c, d, e, f, g, h, kind] = head;
            let len = u32::from_le_bytes([a, b, c, d]);
            let whole = u64::from(len) + HEAD as u64 - 1;
            if len == 0 || len > RECORD_LONGEST || whole > left {
                break;
            }
            body.resize(len as usize - 1, 0);
            reader.read_exact(&mut body)?;
            let span = Span {
                offset: self.len,
                len: whole as u32,
            };
            self.len += whole;
            match Kind::of(kind) {
                Some(known) if checksum(kind, &body) == u32::from_le_bytes([e, f, g, h]) => {
                    found(known, &body, span);
                }
                Some(_) | None => damage.records += 1,
            }
        }
        damage.torn_bytes = end - self.len;
        Ok(damage)
    }

    /// Appends a record.
    pub(super) fn append(&mut self, kind: Kind, body: &[u8]) -> io::Result<Span> {
        let mut record = Vec::with_capacity(HEAD + body.len());
        let len = u32::try_from(body.len() + 1)
            .ok()
            .filter(|&len| len <= RECORD_LONGEST);
        let len = len.ok_or_else(|| io::Error::from(io::ErrorKind::FileTooLarge))?;
        record.extend_from_slice(&len.to_le_bytes());
        record.extend_from_slice(&checksum(kind.byte(), body).to_le_bytes());
        record.push(kind.byte());
        record.extend_from_slice(body);
        let span = Span {
            offset: self.len,
            len: record.len() as u32,
        };
        if let Err(refused) = self.write(&record) {
            // Best effort: what stays behind `len` is written over, or cut off at the next start.
            let _ = self.file.set_len(self.len);
            return Err(refused);
        }
        self.len += u64::from(span.len);
        Ok(span)
    }

    #[cfg(not(test))]
    fn write(&self, record: &[u8]) -> io::Result<()> {
        self.file.write_all_at(record, self.len)
    }

    /// The same on a disk that can be full, half a record in.
    #[cfg(test)]
    fn write(&self, record: &[u8]) -> io::Result<()> {
        let room = self.room.unwrap_or(u64::MAX).saturating_sub(self.len);
        let fits = record.len().min(usize::try_from(room).unwrap());
        self.file.write_all_at(&record[..fits], self.len)?;
        if fits < record.len() {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        Ok(())
    }

    /// The body of a record, checked again.
    pub(super) fn read(&self, span: Span) -> io::Result<Vec<u8>> {
        let mut record = vec![0; span.len as usize];
        self.file.read_exact_at(&mut record, span.offset)?;
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "its checksum is wrong");
        let (head, body) = record.split_first_chunk::<HEAD>().ok_or_else(damaged)?;
        let [_, _, _, _, e, f, g, h, kind] = *head;
        if checksum(kind, body) != u32::from_le_bytes([e, f, g, h]) {
            return Err(damaged());
        }
        Ok(body.to_vec())
    }

    /// Keeps only these records, in this order, and says where each lies now. The old file
    /// stays until the new one is on the disk.
    pub(super) fn rewrite(&mut self, keep: &[Span]) -> io::Result<Vec<Span>> {
        if keep.is_empty() {
            self.file.set_len(MAGIC.len() as u64)?;
            self.len = MAGIC.len() as u64;
            return Ok(Vec::new());
        }
        let beside = self.path.with_extension("new");
        let mut fresh = Self {
            path: self.path.clone(),
            file: OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&beside)?,
            len: MAGIC.len() as u64,
            #[cfg(test)]
            room: self.room,
        };
        fresh.file.write_all_at(MAGIC, 0)?;
        let mut spans = Vec::with_capacity(keep.len());
        let mut record = Vec::new();
        for &span in keep {
            record.resize(span.len as usize, 0);
            self.file.read_exact_at(&mut record, span.offset)?;
            fresh.write(&record)?;
            spans.push(Span {
                offset: fresh.len,
                len: span.len,
            });
            fresh.len += u64::from(span.len);
        }
        fresh.file.sync_data()?;
        fs::rename(&beside, &self.path)?;
        *self = fresh;
        Ok(spans)
    }

    /// Forces what was written to the disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Bytes in the file.
    pub(super) fn len(&self) -> u64 {
        self.len
    }
}

fn checksum(kind: u8, body: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&[kind]);
    crc.update(body);
    crc.finalize()
}

/// Reads a file from a place on, without a cursor of its own that writes could move.
struct At<'a> {
    file: &'a File,
    offset: u64,
}

impl Read for At<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(into, self.offset)?;
        self.offset += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Records = Vec<(Kind, Vec<u8>, Span)>;

    fn open(path: &Path) -> (Log, Records, Damage) {
        let mut records = Vec::new();
        let found = |kind, body: &[u8], span| records.push((kind, body.to_vec(), span));
        let (log, damage) = Log::open(path, found).unwrap();
        (log, records, damage)
    }

    fn written(path: &Path) -> Vec<Span> {
        let (mut log, ..) = open(path);
        let bodies: [&[u8]; 3] = [b"one", b"", b"three"];
        bodies
            .iter()
            .map(|body| log.append(Kind::Window, body).unwrap())
            .collect()
    }

    #[test]
    fn a_tail_torn_at_any_byte_is_cut_off_and_the_rest_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let spans = written(&path);
        let whole = fs::read(&path).unwrap();
        for cut in 0..whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            let (mut log, records, _) = open(&path);
            let kept = spans
                .iter()
                .filter(|span| span.offset + u64::from(span.len) <= cut as u64)
                .count();
            assert_eq!(records.len(), kept, "cut at {cut}");
            log.append(Kind::Forget, b"after").unwrap();
            assert_eq!(open(&path).1.len(), kept + 1, "cut at {cut}, then appended");
        }
    }

    #[test]
    fn a_flipped_byte_is_never_believed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        written(&path);
        let whole = fs::read(&path).unwrap();
        for at in MAGIC.len()..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 0x10;
            fs::write(&path, &flipped).unwrap();
            let (_, records, damage) = open(&path);
            assert!(records.len() < 3, "flipped at {at}");
            assert_ne!(damage, Damage::default(), "flipped at {at}");
            for (_, body, _) in records {
                assert!(
                    [&b"one"[..], b"", b"three"].contains(&&body[..]),
                    "flipped at {at}"
                );
            }
        }
    }

    #[test]
    fn a_refused_write_leaves_what_was_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        written(&path);
        let (mut log, ..) = open(&path);
        log.room = Some(log.len() + 5);
        assert!(log.append(Kind::Window, b"does not fit").is_err());
        assert_eq!(open(&path).1.len(), 3);
        log.room = None;
        log.append(Kind::Window, b"fits").unwrap();
        assert_eq!(open(&path).1.len(), 4);
    }

    #[test]
    fn rewriting_keeps_exactly_what_was_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let spans = written(&path);
        let (mut log, ..) = open(&path);
        let kept = log.rewrite(&[spans[2], spans[0]]).unwrap();
        assert_eq!(log.read(kept[0]).unwrap(), b"three");
        let bodies: Vec<_> = open(&path).1.into_iter().map(|(_, body, _)| body).collect();
        assert_eq!(bodies, [&b"three"[..], b"one"]);
        log.rewrite(&[]).unwrap();
        assert_eq!(open(&path).1.len(), 0);
    }
}
