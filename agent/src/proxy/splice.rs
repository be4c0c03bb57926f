//! gRPC messages on their way to the version that a route chose: as they came, and behind them
//! the two fields that name it.
//!
//! Of fields that are there twice protobuf takes the last, so that nothing in a message is
//! decoded, moved or removed, and nothing that an application wrote behind its names can
//! undo the choice. A message is held back until its names are known, which its first chunk
//! says; then it passes as it comes. What names no endpoint passes unchanged.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;

use super::{
    message::{Passed, Reader},
    routes::Leg,
};

/// Bytes of a message that may be held until it has named its model: encoders write fields in
/// the order of their numbers, so that names come first. Beyond this it passes unchanged.
const HELD_MOST: usize = 64 << 10;

/// One byte of compression flag, four of length.
const PREFIX_BYTES: usize = 5;

/// The messages of one call.
#[derive(Default)]
pub(crate) struct Splice {
    held: Vec<Bytes>,
    held_bytes: usize,
    decided: bool,
    leg: Option<Arc<Leg>>,
    ready: VecDeque<Bytes>,
}

/// A message whose fields overrun its end: what is written behind it would be read as theirs.
#[derive(Debug)]
pub(crate) struct Overrun;

impl Splice {
    /// Takes what `reader` has just read, and the message that ended with it.
    pub(crate) fn take(
        &mut self,
        piece: Bytes,
        reader: &Reader,
        ended: Option<&Passed>,
        choose: impl FnOnce(&str, &str) -> Option<Arc<Leg>>,
    ) -> Result<(), Overrun> {
        if self.decided {
            self.push(piece);
        } else {
            self.held_bytes += piece.len();
            self.held.push(piece);
            let known = reader.named() || ended.is_some();
            if known || self.held_bytes > HELD_MOST {
                let names = reader.names().filter(|_| known);
                self.leg = names.and_then(|(model, version)| choose(model, version));
                self.release(reader.size());
            }
        }
        if ended.is_some() {
            if let Some(leg) = &self.leg {
                if !reader.is_whole() {
                    return Err(Overrun);
                }
                let fields = leg.fields().clone();
                self.push(fields);
            }
            self.decided = false;
        }
        Ok(())
    }

    /// The version that the message that passes, or has just passed, goes to.
    pub(crate) fn leg(&self) -> Option<&Arc<Leg>> {
        self.leg.as_ref()
    }

    /// Lets bytes pass that belong to no message.
    pub(crate) fn pass(&mut self, bytes: Bytes) {
        self.push(bytes);
    }

    /// The application's stream is over: what is held is no message.
    pub(crate) fn end(&mut self) {
        let held = std::mem::take(&mut self.held);
        self.ready.extend(held);
    }

    /// What may pass now.
    pub(crate) fn next(&mut self) -> Option<Bytes> {
        self.ready.pop_front()
    }

    /// Whether the message that passes has not been let go yet, or the next one is to come.
    pub(crate) fn is_holding(&self) -> bool {
        !self.decided
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.held.is_empty()
    }

    /// Lets go of what is held, with a length that counts what will follow.
    fn release(&mut self, size: u32) {
        self.decided = true;
        self.held_bytes = 0;
        let mut held = std::mem::take(&mut self.held);
        if let Some(leg) = &self.leg {
            let longer = u32::try_from(leg.fields().len())
                .ok()
                .and_then(|more| size.checked_add(more));
            match longer {
                Some(size) => {
                    let mut prefix = vec![0];
                    prefix.extend_from_slice(&size.to_be_bytes());
                    self.ready.push_back(prefix.into());
                    skip(&mut held, PREFIX_BYTES);
                }
                // Four gigabytes: the server refuses it as it is.
                None => self.leg = None,
            }
        }
        self.ready
            .extend(held.drain(..).filter(|piece| !piece.is_empty()));
        self.held = held;
    }

    fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.ready.push_back(piece);
        }
    }
}

fn skip(pieces: &mut [Bytes], mut bytes: usize) {
    for piece in pieces {
        let here = piece.len().min(bytes);
        let _ = piece.split_to(here);
        bytes -= here;
    }
}

#[cfg(test)]
mod tests {
    use open_inference::proto::ModelInferRequest;
    use proptest::prelude::*;
    use prost::Message;

    use super::super::routes::{Placed, Plan, Route, WHOLE};
    use super::*;

    fn leg() -> Arc<Leg> {
        let placed = Placed {
            model: "fraud".into(),
            version: "7".into(),
            upstream_model: "fraud.7".into(),
            upstream_version: "7".into(),
        };
        let plan = Plan {
            endpoint: "pay".into(),
            weights: vec![(placed, WHOLE)],
            pins: vec![],
            sticky: None,
            seed: 0,
            shadows: vec![],
            keeps: false,
        };
        let route = Route::new(&plan).unwrap();
        route.heaviest().unwrap().clone()
    }

    fn framed(body: &[u8]) -> Vec<u8> {
        let mut framed = vec![0];
        framed.extend((body.len() as u32).to_be_bytes());
        framed.extend(body);
        framed
    }

    /// What comes out of the messages in `bytes`, cut into chunks of `size`.
    fn spliced(bytes: &[u8], size: usize) -> Result<Vec<u8>, Overrun> {
        let (mut reader, mut splice, leg) = (Reader::default(), Splice::default(), leg());
        let mut out = Vec::new();
        for chunk in bytes.chunks(size) {
            let mut chunk = Bytes::copy_from_slice(chunk);
            while !chunk.is_empty() {
                let (ended, rest) = reader.read(&chunk);
                let here = chunk.len() - rest.len();
                let piece = chunk.split_to(here);
                splice.take(piece, &reader, ended.as_ref(), |model, version| {
                    (model == "pay" && version.is_empty()).then(|| leg.clone())
                })?;
            }
            while let Some(piece) = splice.next() {
                out.extend_from_slice(&piece);
            }
        }
        splice.end();
        while let Some(piece) = splice.next() {
            out.extend_from_slice(&piece);
        }
        Ok(out)
    }

    fn messages(mut bytes: &[u8]) -> Vec<ModelInferRequest> {
        let mut all = Vec::new();
        while let Some((prefix, rest)) = bytes.split_at_checked(PREFIX_BYTES) {
            let size = u32::from_be_bytes(prefix[1..].try_into().unwrap()) as usize;
            all.push(ModelInferRequest::decode(&rest[..size]).unwrap());
            bytes = &rest[size..];
        }
        all
    }

    proptest! {
        #[test]
        fn endpoints_are_replaced_and_everything_else_stays_however_the_bytes_are_cut(
            names in prop::collection::vec((0..3usize, 0..2usize), 1..5),
            raw in prop::collection::vec(any::<u8>(), 0..700),
            id in ".{0,20}", size in 1..900usize,
        ) {
            let message = |&(model, version): &(usize, usize)| ModelInferRequest {
                model_name: ["pay", "fraud", ""][model].into(),
                model_version: ["", "3"][version].into(),
                id: id.clone(),
                raw_input_contents: vec![raw.clone().into()],
                ..Default::default()
            };
            let sent: Vec<_> = names.iter().map(message).collect();
            let bytes: Vec<u8> = sent.iter().flat_map(|m| framed(&m.encode_to_vec())).collect();
            let expected: Vec<_> = sent
                .into_iter()
                .map(|message| match (&*message.model_name, &*message.model_version) {
                    ("pay", "") => ModelInferRequest {
                        model_name: "fraud.7".into(),
                        model_version: "7".into(),
                        ..message
                    },
                    _ => message,
                })
                .collect();
            prop_assert_eq!(messages(&spliced(&bytes, size).unwrap()), expected);
        }

        #[test]
        fn any_bytes_pass_or_are_cut_off(
            bytes in prop::collection::vec(any::<u8>(), 0..400), size in 1..50usize,
        ) {
            let _ = spliced(&bytes, size);
        }
    }

    #[test]
    fn a_name_said_again_behind_the_tensors_does_not_undo_the_choice() {
        let mut body = ModelInferRequest {
            model_name: "pay".into(),
            raw_input_contents: vec![vec![1; 300].into()],
            ..Default::default()
        }
        .encode_to_vec();
        let again = ModelInferRequest {
            model_name: "secret".into(),
            ..Default::default()
        };
        body.extend(again.encode_to_vec());
        // Whole, the last name holds and is no endpoint; cut behind the first, it is routed.
        for (size, model) in [(9_999, "secret"), (20, "fraud.7")] {
            let read = messages(&spliced(&framed(&body), size).unwrap());
            assert_eq!(read[0].model_name, model, "cut at {size}");
        }
    }

    #[test]
    fn a_field_that_overruns_its_message_cannot_swallow_the_choice() {
        let mut body = ModelInferRequest {
            model_name: "pay".into(),
            ..Default::default()
        }
        .encode_to_vec();
        body.extend([7 << 3 | 2, 12, 1, 2]);
        assert!(spliced(&framed(&body), 9_999).is_err());
    }
}
