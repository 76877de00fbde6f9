//! One suite for any [`Backend`](rm_core::backend::Backend): what it declares
//! is checked, and the engine plays lives over it in which everything goes
//! wrong that is known to go wrong.
//!
//! ```
//! use rm_testkit::conformance::{Level, SimSubject, suite};
//!
//! # async fn example() {
//! suite(SimSubject::new("sim")).await.assert(Level::Exact);
//! # }
//! ```
//!
//! A [`Subject`] says how to get the backend with an empty site, and what to
//! make there. Nothing else is needed of it: faults are injected between the
//! engine and the six calls, where requests and answers get lost in practice.
//! Who can look at the site by other means gives [`Eyes`], too.
//!
//! # Levels
//!
//! | level | means |
//! |---|---|
//! | [`Level::Basic`] | the six verbs do what they say, and what is declared is true, while nothing goes wrong |
//! | [`Level::Safe`] | whatever goes wrong, nothing is lost, made twice unseen, or taken from others; a person may have to decide (quarantine), or what is surplus is listed with its mark and can be reclaimed |
//! | [`Level::Exact`] | whatever goes wrong, there is in the end exactly one real thing for what is wanted and none for what is not, without a person |
//!
//! Each check says for which level it is needed. A level is reached where all
//! checks for it and for those below pass; what is *held* for a person is safe
//! and not exact.
//!
//! # What can be reached
//!
//! | declared | level |
//! |---|---|
//! | unique name or client uuid, with a list by owner or without | Exact |
//! | client token, with a list by owner | Exact |
//! | client token, without a list | Safe: whether there is something to destroy after an answer was lost, a person must say |
//! | tag only, with a list by owner | Safe: a request that is delivered twice makes two things, and both are listed |
//! | no key, with a list by owner | Safe: what came of a create, a person must say |
//! | no key, without a list | Basic: a request that is delivered twice makes two things, and nobody can list the second |
//! | tag only, without a list | not even Basic: nothing finds the tag |
//! | absence by list or by tombstone | as the key says |
//! | no evidence of absence | Safe: whether it is gone, a person must say, each time |
//! | another size in place, by replacement, or none | as the key says |
//! | a list that is late, by no more than is declared | as the key says |
//! | users that nobody tells, neither [`Eyes::users`] nor `recall` | Safe: whether they can log in, a person must see |
//! | a create is a purchase | as the key says; bought once, and again only when somebody asks |
//!
//! What has more than one row has the lowest of them.
//!
//! # Two times
//!
//! In [`Time::Simulated`] each check has a [`World`](crate::World) of its own,
//! and the seed decides. In [`Time::Real`] the suite runs on whatever executor
//! polls it, several checks at once and in faster time; each has an
//! installation of its own, so that they can share an account, and takes away
//! what it has made.

mod change;
mod check;
mod create;
mod declared;
mod destroy;
mod dropped;
mod faults;
mod faulty;
mod kept;
mod life;
mod look;
mod nodes;
mod paid;
mod score;
mod secrets;
mod sim;
mod stage;
mod subject;
mod suite;
mod time;
mod told;
mod troubles;
mod users;

pub use check::{About, Invariant, Level};
pub use nodes::NodesSubject;
pub use score::{Outcome, Scorecard, Scored};
pub use sim::{SimNodes, SimSubject};
pub use subject::{Eyes, Ground, Plain, Real, Specs, Subject, Time, clusters};
pub use suite::{Suite, suite};
