//! The life of a resource under the engine, and what must be true whatever
//! goes wrong in it.

use std::time::Duration;

use rm_core::ResourceId;
use rm_core::life::State;
use rm_core::manager::{Terms, Want};
use rm_core::model::Model;
use rm_core::record::ResourceRecord;
use rm_core::resource::Resource;
use rm_core::store::{Batch, Outcome};

use super::check::{Finding, Verdict, ensure};
use super::faulty::Mishap;
use super::stage::Stage;
use super::subject::Real;
use crate::cloud::Verb;

/// What goes wrong in a life, and in which call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) verb: Verb,
    pub(super) mishap: Mishap,
    pub(super) times: u32,
    pub(super) engines: usize,
}

/// One resource, and what a person would have to decide about it so far.
pub(super) struct Life<'a, M: Model> {
    pub(super) s: &'a Stage<M>,
    pub(super) id: ResourceId,
    held: Vec<String>,
    /// A request has arrived twice, which only a key makes harmless.
    repeated: bool,
}

/// Made, changed where it can be, destroyed; and one call suffers.
pub(super) async fn life<M: Model>(s: &Stage<M>, plan: Plan) -> Verdict {
    s.play(plan.engines, async {
        let inject = |verb| {
            if plan.verb == verb {
                s.suffer(plan);
            }
        };
        inject(Verb::Offers);
        inject(Verb::Create);
        inject(Verb::Observe);
        let mut life = Life::begin(s).await?;
        life.repeated = plan.verb == Verb::Create
            && matches!(plan.mishap, Mishap::Twice | Mishap::TwiceHeardLast);
        life.there().await?;
        if s.declared.in_place() && matches!(plan.verb, Verb::Change | Verb::Observe) {
            inject(Verb::Change);
            life.grow().await?;
            life.there().await?;
        }
        inject(Verb::Destroy);
        life.end().await?;
        ensure!(
            s.faulty.calm(),
            "nothing went wrong: the check shows nothing {:?}",
            life.held
        );
        life.verdict()
    })
    .await
}

/// Made, made again in another size, destroyed; and one call suffers between
/// the first and the second.
pub(super) async fn replaced<M: Model>(s: &Stage<M>, plan: Plan) -> Verdict {
    s.play(plan.engines, async {
        let mut life = Life::begin(s).await?;
        life.there().await?;
        s.suffer(plan);
        life.grow().await?;
        life.there().await?;
        life.end().await?;
        ensure!(
            s.faulty.calm(),
            "nothing went wrong: the check shows nothing {:?}",
            life.held
        );
        life.verdict()
    })
    .await
}

impl<M: Model> Stage<M> {
    /// Makes calls go wrong: later than anything may come is nothing.
    pub(super) fn suffer(&self, plan: Plan) {
        let mishap = match plan.mishap {
            Mishap::Late(d) => Mishap::Late(d.min(self.cap().late * 4 / 5)),
            other => other,
        };
        self.faulty.inject(plan.verb, 0, plan.times, mishap);
    }

    /// One request, for the next call.
    pub(super) fn once(&self, verb: Verb, mishap: Mishap) {
        self.suffer(Plan {
            verb,
            mishap,
            times: 1,
            engines: 1,
        });
    }
}

impl<'a, M: Model> Life<'a, M> {
    /// Asks for a resource of the sample spec, as a door would.
    pub(super) async fn begin(s: &'a Stage<M>) -> Verdict<Self> {
        let managers = s.host.managers().serving::<M>(s.kind())?;
        let manager = managers
            .first()
            .ok_or_else(|| Finding::Broken("nobody serves it".to_owned()))?;
        let want = Want::<M> {
            site: s.site.clone(),
            credential: s.credential.id,
            spec: s.specs.sample.clone(),
            key: None,
            asking: None,
        };
        let offer = manager.only(&want).await?;
        let terms = Terms {
            name: "conformance".to_owned(),
            ..Terms::default()
        };
        let mut batch = Batch::default();
        let (id, _) = manager.prepare(&s.who, &[offer], &terms, &mut batch)?;
        match s.store.commit(batch).await? {
            Outcome::Done(_) => {}
            Outcome::Refused(why) => {
                return Err(Finding::Broken(format!("the request is refused: {why:?}")));
            }
        }
        s.expect(id);
        Ok(Self {
            s,
            id,
            held: Vec::new(),
            repeated: false,
        })
    }

    async fn resource(&self) -> Verdict<Resource<M>> {
        let managers = self.s.host.managers().serving::<M>(self.s.kind())?;
        match managers.first() {
            Some(manager) => Ok(manager.get(&self.s.who, self.id).await?),
            None => Err(Finding::Broken("nobody serves it".to_owned())),
        }
    }

    pub(super) async fn record(&self) -> Verdict<Option<ResourceRecord>> {
        let row = self.s.store.resource(self.id).await?;
        Ok(row.map(|row| (*row.record).clone()))
    }

    /// Wants the bigger spec, where that is possible now.
    pub(super) async fn grow(&self) -> Verdict {
        let Some(bigger) = &self.s.specs.bigger else {
            return Ok(());
        };
        self.want(bigger).await
    }

    /// Wants this spec; what is in quarantine takes no wish.
    pub(super) async fn want(&self, spec: &M::Spec) -> Verdict {
        let resource = self.resource().await?;
        if resource.record().seen == State::Quarantined {
            return Ok(());
        }
        let edit = |now: &mut M::Spec| {
            now.clone_from(spec);
            Ok(())
        };
        resource.change(&self.s.who, edit).await?;
        Ok(())
    }

    pub(super) async fn release(&self) -> Verdict {
        self.resource().await?.release(&self.s.who, None).await?;
        Ok(())
    }

    /// Waits until the engine has nothing more to do for it by itself. None
    /// where it is gone.
    async fn rests(&self) -> Verdict<Option<ResourceRecord>> {
        let s = self.s;
        let cap = s.cap();
        let limit = cap.patience * 2 + cap.late * 4 + Duration::from_secs(3600);
        let end = s.env.now().plus(limit);
        loop {
            let Some(r) = self.record().await? else {
                return Ok(None);
            };
            let newest = r.seen_generation == r.generation;
            let wanted = r.wanted == rm_core::life::Wanted::Running;
            match r.seen {
                State::Quarantined => return Ok(Some(r)),
                State::Ready | State::Failed if wanted && newest => return Ok(Some(r)),
                _ => {}
            }
            ensure!(
                s.env.now() < end,
                "stuck: it is wanted {:?} and seen {} for {limit:?}: {}",
                r.wanted,
                r.seen,
                r.reason
            );
            s.pass(s.policy.first_look * 2).await;
        }
    }

    /// Waits until that stays so: whatever was late has come and could be
    /// seen, and what failed was looked at again.
    async fn rests_for_good(&self) -> Verdict<Option<ResourceRecord>> {
        let s = self.s;
        self.rests().await?;
        while s.faulty.is_something_late() {
            s.pass(Duration::from_secs(1)).await;
        }
        s.pass(s.cap().visibility.max(s.policy.sweep) + Duration::from_secs(10))
            .await;
        let r = self.rests().await?;
        if r.as_ref().is_some_and(|r| r.seen == State::Failed) {
            s.pass(s.policy.sweep * 2).await;
            return self.rests().await;
        }
        Ok(r)
    }

    /// It is there as wanted, once; or it is held, and not there twice.
    pub(super) async fn there(&mut self) -> Verdict {
        let r = self.rests_for_good().await?;
        let r = r.ok_or_else(|| Finding::Broken("its record is gone".to_owned()))?;
        let real = self.s.real_of(self.id).await?;
        match r.seen {
            State::Ready => {
                let own = real.iter().find(|real| Some(&real.id) == r.remote.as_ref());
                let Some(own) = own else {
                    return Err(Finding::Broken(format!(
                        "ready as {:?}, and there is {real:?}",
                        r.remote
                    )));
                };
                ensure!(
                    own.mark.generation >= r.seen_generation,
                    "ready in generation {}, and there is generation {}",
                    r.seen_generation,
                    own.mark.generation
                );
            }
            other => self.held.push(format!("{other}: {}", r.reason)),
        }
        if real.len() > 1 {
            self.surplus(&real).await?;
        }
        Ok(())
    }

    /// More is there than is wanted.
    async fn surplus(&mut self, real: &[Real]) -> Verdict {
        let ids: Vec<_> = real.iter().map(|r| r.id.to_string()).collect();
        let ids = ids.join(", ");
        // Without a key nobody can keep a request that arrives twice from
        // making two things; but they must be found.
        let excused = self.repeated && !self.s.declared.keyed();
        ensure!(excused, "one resource, {} things: {ids}", real.len());
        ensure!(
            self.s.are_listed(real).await?,
            "one resource, {} things, and nobody can list them: {ids}",
            real.len()
        );
        self.held.push(format!(
            "things that no record knows, to be reclaimed: {ids}"
        ));
        Ok(())
    }

    /// It is let go, and then nothing of it is left; or it is held.
    pub(super) async fn end(&mut self) -> Verdict {
        self.release().await?;
        self.absent().await
    }

    /// Nothing of it is left, or it is held.
    pub(super) async fn absent(&mut self) -> Verdict {
        // What is told to be gone is gone at that moment, not soon after.
        if self.rests().await?.is_none() && !self.repeated {
            let real = self.s.real_of(self.id).await?;
            ensure!(real.is_empty(), "told to be gone, and there is {real:?}");
        }
        let r = self.rests_for_good().await?;
        let real = self.s.real_of(self.id).await?;
        match r {
            Some(r) => {
                self.held.push(format!("{}: {}", r.seen, r.reason));
                if real.len() > 1 {
                    self.surplus(&real).await?;
                }
            }
            None if real.is_empty() => {}
            None if self.repeated => self.surplus(&real).await?,
            None => {
                return Err(Finding::Broken(format!(
                    "leaked: its record is gone, and there is {real:?}"
                )));
            }
        }
        Ok(())
    }

    /// Nobody is needed, or somebody is.
    pub(super) fn verdict(mut self) -> Verdict {
        self.held.dedup();
        if self.held.is_empty() {
            return Ok(());
        }
        Err(Finding::Held(self.held.join("; ")))
    }
}
