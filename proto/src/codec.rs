//! How messages become bytes: as prost has it, with small buffers.
//!
//! tonic's own codec gives every call two buffers of 8 KB for as long as it lasts. Nearly every
//! message here is under half a kilobyte, and a hub has ten thousand calls open: small buffers
//! stay in its caches, since each message is read where the one before it was. A larger message
//! lets the buffer grow.

use std::fmt;
use std::marker::PhantomData;

use prost::Message;
use tonic::codec::{self, BufferSettings};
use tonic_prost::ProstCodec;

/// Bytes of a buffer at first: two reports of a host that serves one model.
const BUFFER: usize = 512;
/// Bytes of answers that are collected before they are sent, as tonic has it.
const YIELD_AT: usize = 32 << 10;

/// Encodes `T` and decodes `U`.
pub struct Codec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for Codec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> fmt::Debug for Codec<T, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Codec")
    }
}

impl<T, U> codec::Codec for Codec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = <ProstCodec<T, U> as codec::Codec>::Encoder;
    type Decoder = <ProstCodec<T, U> as codec::Codec>::Decoder;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<T, U>::raw_encoder(BufferSettings::new(BUFFER, YIELD_AT))
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstCodec::<T, U>::raw_decoder(BufferSettings::new(BUFFER, YIELD_AT))
    }
}
