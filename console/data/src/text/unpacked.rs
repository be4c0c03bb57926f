//! Packed bytes, unpacked within limits: in how much longer they get, in how much memory that
//! takes, and in how far a record may go on.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

use flate2::read::MultiGzDecoder;

use crate::format::Packing;
use crate::source::{Meter, Opened};

/// How many times its packed size a table may be. Real ones are packed to a third or a
/// twentieth, constant ones to a thousandth; gzip cannot do more than that.
pub(crate) const RATIO: u64 = 2_000;
/// What may be unpacked whatever the ratio.
const FREE: u64 = 64 << 20;
/// log2 of the window that zstd may ask for: 32 MB. Its own levels need 8 MB at most.
const WINDOW_LOG: u32 = 25;

/// A limit that was met.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(crate) enum Limit {
    #[error("unpacks to too much")]
    Bomb,
    #[error("record is too long")]
    Record,
}

/// Bytes that may still be read before a record has to end.
#[derive(Clone, Debug)]
pub(crate) struct Allowance(Rc<Cell<u64>>);

impl Allowance {
    pub(crate) fn new(bytes: u64) -> Self {
        Self(Rc::new(Cell::new(bytes)))
    }

    /// A record has ended: the next may take so many bytes.
    pub(crate) fn renew(&self, bytes: u64) {
        self.0.set(bytes);
    }
}

/// A file's bytes, unpacked.
pub(crate) struct Unpacked {
    bytes: Box<dyn Read>,
    packing: Packing,
    given: u64,
    meter: Meter,
    allowance: Allowance,
}

impl Unpacked {
    pub(crate) fn of(file: &Opened, packing: Packing, allowance: Allowance) -> io::Result<Self> {
        let whole = file.whole();
        let bytes: Box<dyn Read> = match packing {
            Packing::Plain => Box::new(whole),
            Packing::Gzip => Box::new(MultiGzDecoder::new(whole)),
            Packing::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::new(whole)?;
                decoder.window_log_max(WINDOW_LOG)?;
                Box::new(decoder)
            }
        };
        Ok(Self {
            bytes,
            packing,
            given: 0,
            meter: file.meter().clone(),
            allowance,
        })
    }
}

impl Read for Unpacked {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let left = self.allowance.0.get();
        if left == 0 {
            return Err(io::Error::other(Limit::Record));
        }
        let count = self.bytes.read(out)?;
        self.allowance.0.set(left.saturating_sub(count as u64));
        self.given += count as u64;
        // Against all of the file, not what was read of it: that is ahead by a buffer or so.
        let most = FREE + self.meter.all().saturating_mul(RATIO);
        if self.packing != Packing::Plain && self.given > most {
            return Err(io::Error::other(Limit::Bomb));
        }
        Ok(count)
    }
}
