//! What came of a replay of inputs on hosts.

use binnacle_core::endpoint::EndpointName;
use binnacle_core::registry::Reference;
use binnacle_core::view::ProofItem;
use binnacle_proto::v1 as proto;

use crate::served::shortened;

/// Different reasons that are kept: they are mostly one.
const MAX_REASONS: usize = 4;
/// Decades that are told apart; an agent that knows more is newer.
const MAX_DECADES: usize = 32;

/// Asks a host for a replay.
pub fn to_proto(
    id: u64,
    endpoint: &EndpointName,
    version: &Reference,
    most: u32,
) -> proto::HubMessage {
    let prove = proto::Prove {
        id: id.to_be_bytes().to_vec().into(),
        endpoint: endpoint.name.to_string(),
        model: version.name.to_string(),
        version: version.number.to_string(),
        most,
    };
    let directive = proto::Directive {
        body: Some(proto::directive::Body::Prove(prove)),
    };
    proto::HubMessage {
        body: Some(proto::hub_message::Body::Directive(directive)),
    }
}

/// Which replay an answer is to; `None` for none of ours.
pub fn id(proved: &proto::Proved) -> Option<u64> {
    let id = proved.id.as_ref().try_into().ok()?;
    Some(u64::from_be_bytes(id))
}

/// Adds what one host says.
pub fn add(sum: &mut ProofItem, proved: proto::Proved) {
    let Some(one) = proved.compared else {
        let reason = shortened(&proved.reason);
        let is_new = !sum.reasons.iter().any(|known| **known == *reason);
        if is_new && sum.reasons.len() < MAX_REASONS {
            sum.reasons.push(reason.into());
        }
        return;
    };
    sum.answered += 1;
    sum.compared = sum.compared.saturating_add(one.compared);
    sum.same_class = sum.same_class.saturating_add(one.same_class);
    sum.failed = sum.failed.saturating_add(one.failed);
    for (at, count) in one
        .difference_decades
        .into_iter()
        .take(MAX_DECADES)
        .enumerate()
    {
        match sum.decades.get_mut(at) {
            Some(known) => *known = known.saturating_add(count),
            None => sum.decades.push(count),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_add_up_and_reasons_are_told_once() {
        let compared = |same_class| proto::Proved {
            compared: Some(proto::ShadowWindow {
                compared: 10,
                same_class,
                difference_decades: vec![1, 2],
                ..Default::default()
            }),
            ..Default::default()
        };
        let none = proto::Proved {
            reason: "no inputs are kept".into(),
            ..Default::default()
        };
        let mut sum = ProofItem::default();
        for proved in [compared(10), none.clone(), compared(7), none] {
            add(&mut sum, proved);
        }
        assert_eq!((sum.answered, sum.compared, sum.same_class), (2, 20, 17));
        assert_eq!(sum.decades, [2, 4]);
        assert_eq!(sum.reasons, ["no inputs are kept".into()]);
    }

    #[test]
    fn an_answer_finds_its_question() {
        let endpoint = "prod/fraud".parse().unwrap();
        let message = to_proto(7, &endpoint, &"fraud@2".parse().unwrap(), 3);
        let Some(proto::hub_message::Body::Directive(directive)) = message.body else {
            panic!("a directive")
        };
        let Some(proto::directive::Body::Prove(prove)) = directive.body else {
            panic!("a replay")
        };
        assert_eq!(
            (prove.model.as_str(), prove.version.as_str()),
            ("fraud", "2")
        );
        let proved = proto::Proved {
            id: prove.id,
            ..Default::default()
        };
        assert_eq!(id(&proved), Some(7));
        let none = proto::Proved::default();
        assert_eq!(id(&none), None);
    }
}
