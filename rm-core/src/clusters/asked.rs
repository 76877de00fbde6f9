//! What the places say at which a request could be served. All are asked at
//! once, and nobody waits for long for one that hangs while another has room.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{Either, select};
use futures_util::stream::FuturesUnordered;

use super::Clusters;
use super::choose::Candidate;
use crate::backend::Offer;
use crate::caller::Caller;
use crate::error::Result;
use crate::model::{Cluster, Model};

/// For so long every place is waited for.
const PROMPT: Duration = Duration::from_secs(5);

/// What a place said.
pub(super) enum Answer {
    /// What it offers, or why nothing.
    Said(Result<Vec<Offer>>),
    /// Nothing yet, and another one has room.
    Late,
}

impl Answer {
    /// Why it was passed over.
    pub(super) fn late() -> String {
        format!("it did not answer within {} s", PROMPT.as_secs())
    }
}

impl Clusters<'_> {
    /// The answers of the places, in the order of the places. Where none has
    /// room that answers in time, the first one that has is waited for.
    pub(super) async fn ask(&self, who: &Caller, candidates: &[Candidate]) -> Vec<Answer> {
        let ask = async |place: usize, candidate: &Candidate| {
            let said = candidate.manager.offers(who, &candidate.want).await;
            (place, said)
        };
        let places = candidates.iter().enumerate();
        let mut asked: FuturesUnordered<_> = places.map(|(n, c)| ask(n, c)).collect();
        let mut answers: Vec<Answer> = candidates.iter().map(|_| Answer::Late).collect();
        let mut prompt = self.core.env.sleep(PROMPT);
        let (mut in_time, mut found) = (true, false);
        while in_time || !found {
            let next = match in_time {
                true => select(asked.next(), &mut prompt).await,
                false => Either::Left((asked.next().await, &mut prompt)),
            };
            let (place, said) = match next {
                Either::Left((Some(answer), _)) => answer,
                Either::Left((None, _)) => break,
                Either::Right(_) => {
                    in_time = false;
                    continue;
                }
            };
            if let (Some(answer), Some(candidate)) = (answers.get_mut(place), candidates.get(place))
            {
                let has_room = |offers: &Vec<Offer>| {
                    offers
                        .iter()
                        .any(|o| o.nodes_left.is_none_or(|left| left >= nodes(candidate)))
                };
                found |= said.as_ref().is_ok_and(has_room);
                *answer = Answer::Said(said);
            }
        }
        answers
    }
}

/// How many nodes are needed there.
pub(super) fn nodes(candidate: &Candidate) -> u64 {
    Cluster::nodes(&candidate.want.spec)
}
