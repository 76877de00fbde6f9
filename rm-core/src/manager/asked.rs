//! What the places say at which a request could be served. All are asked at
//! once, and nobody waits for long for one that hangs while another has room.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{Either, select};
use futures_util::stream::FuturesUnordered;

use super::{ResourceManager, Want};
use crate::backend::Offer;
use crate::caller::Caller;
use crate::env::Env;
use crate::error::Result;
use crate::model::Model;

/// For so long every place is waited for.
const PROMPT: Duration = Duration::from_secs(5);

/// One place where a request could be served.
#[derive(Debug)]
pub struct Candidate<M: Model> {
    /// Who makes it there.
    pub manager: Arc<dyn ResourceManager<M>>,
    /// What is asked there.
    pub want: Want<M>,
}

/// What a place said.
#[derive(Debug)]
pub enum Answer {
    /// What it offers, or why nothing.
    Said(Result<Vec<Offer>>),
    /// Nothing yet, and another one has room.
    Late,
}

impl Answer {
    /// Why it was passed over.
    pub fn late() -> String {
        format!("it did not answer within {} s", PROMPT.as_secs())
    }

    /// For how many nodes it says that there is room, as far as it knows; none
    /// where it offers nothing.
    pub fn room(&self) -> u64 {
        let Self::Said(Ok(offers)) = self else {
            return 0;
        };
        let room = offers.iter().map(|o| o.nodes_left.unwrap_or(u64::MAX));
        room.max().unwrap_or(0)
    }
}

/// The answers of the places, in the order of the places. Where none has room
/// for so many `nodes` that answers in time, the first one that has is waited
/// for.
pub async fn ask<M: Model>(
    env: &dyn Env,
    who: &Caller,
    candidates: &[Candidate<M>],
    nodes: impl Fn(&Want<M>) -> u64 + Send + Sync,
) -> Vec<Answer> {
    let needed: Vec<u64> = candidates.iter().map(|c| nodes(&c.want)).collect();
    let enough = |answers: &[Answer]| {
        let mut all = answers.iter().zip(&needed);
        all.any(|(answer, needed)| answer.room() >= *needed)
    };
    ask_until(env, who, candidates, enough).await
}

/// The same where what is asked for need not be at one place: where those that
/// answer in time are not `enough` together, more are waited for until they are.
pub async fn ask_until<M: Model>(
    env: &dyn Env,
    who: &Caller,
    candidates: &[Candidate<M>],
    enough: impl Fn(&[Answer]) -> bool + Send + Sync,
) -> Vec<Answer> {
    let places = candidates.iter().enumerate();
    let mut asked: FuturesUnordered<_> = places.map(|(n, c)| one(n, who, c)).collect();
    let mut answers: Vec<Answer> = candidates.iter().map(|_| Answer::Late).collect();
    let mut prompt = env.sleep(PROMPT);
    let mut in_time = true;
    while in_time || !enough(&answers) {
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
        if let Some(answer) = answers.get_mut(place) {
            *answer = Answer::Said(said);
        }
    }
    answers
}

async fn one<M: Model>(
    place: usize,
    who: &Caller,
    candidate: &Candidate<M>,
) -> (usize, Result<Vec<Offer>>) {
    let said = candidate.manager.offers(who, &candidate.want).await;
    (place, said)
}
