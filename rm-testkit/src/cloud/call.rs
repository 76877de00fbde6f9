//! How a call arrives, is admitted, does what it does, and is answered.

use std::borrow::Cow;
use std::time::Duration;

use rm_core::backend::{Absence, CreateKey, Cx};
use rm_core::env::Timestamp;
use rm_core::{Error, ErrorKind, RemoteId, Result};
use serde::Deserialize;

use super::fault::{Answer, Fault, Verb};
use super::site::{Effect, Site};
use super::{SimCloud, State};

/// What a look needs of the cloud beside the site.
pub(super) struct Known {
    pub(super) absence: Absence,
    /// Whether what bears a mark can be listed.
    pub(super) listed: bool,
    /// Whether a name leads to what bears it.
    pub(super) named: bool,
    pub(super) page: u32,
}

impl SimCloud {
    /// A call without an effect.
    pub(super) async fn call<T>(
        &self,
        cx: &Cx<'_>,
        verb: Verb,
        what: String,
        answer: impl FnOnce(&Known, &Site) -> Result<T> + Send,
    ) -> Result<T> {
        self.arrive(cx).await;
        let name = &cx.site.name;
        let now = self.now(cx);
        let (number, fault, answered) = {
            let mut state = self.lock();
            let (number, fault) = state.faults.begin(now, name, verb, what);
            let known = Known {
                absence: state.capability.absence,
                listed: state.capability.list_by_owner,
                named: matches!(
                    state.capability.create_key,
                    CreateKey::UniqueName | CreateKey::ClientUuid
                ),
                page: state.capability.page,
            };
            let admitted = state.admit(cx, verb);
            let site = state.site(&self.config, name);
            site.advance(now);
            let answered = listens(site, name)
                .and(admitted)
                .and_then(|()| answer(&known, site));
            (number, fault, answered)
        };
        self.leave(cx, verb, number, fault, answered).await
    }

    /// A call with an effect.
    pub(super) async fn effect(
        &self,
        cx: &Cx<'_>,
        verb: Verb,
        what: String,
        make: impl FnOnce(&mut State, bool) -> Effect + Send,
    ) -> Result<RemoteId> {
        self.arrive(cx).await;
        let name = &cx.site.name;
        let now = self.now(cx);
        let (number, fault, answered) = {
            let mut state = self.lock();
            let (number, fault) = state.faults.begin(now, name, verb, what);
            let mut effect = make(&mut state, fault == Some(Fault::FailsLater));
            if let Some(Fault::Hangs(longer)) = fault {
                effect.delay(longer);
            }
            let admitted = state.admit(cx, verb);
            let site = state.site(&self.config, name);
            site.advance(now);
            let answered = listens(site, name)
                .and(admitted)
                .and_then(|()| match fault {
                    Some(Fault::LostBefore | Fault::Refused(_) | Fault::TooMany(_)) => {
                        Err(Error::new(ErrorKind::Internal, "the fault answers"))
                    }
                    Some(Fault::Forgotten) => Ok(effect.forgotten()),
                    Some(Fault::Twice(after)) => {
                        let done = site.apply(effect.clone(), now);
                        // What was refused once is refused for good.
                        if done.is_ok() {
                            site.postpone(now.plus(after), effect);
                        }
                        done
                    }
                    Some(Fault::Late(after)) => {
                        site.postpone(now.plus(after), effect);
                        Err(Error::new(ErrorKind::Internal, "the fault answers"))
                    }
                    _ => site.apply(effect, now),
                });
            state.tell(name);
            (number, fault, answered)
        };
        self.leave(cx, verb, number, fault, answered).await
    }

    /// The site has a clock of its own, whatever that of the caller says.
    pub(super) fn now(&self, cx: &Cx<'_>) -> Timestamp {
        self.points.now().unwrap_or_else(|| cx.env.now())
    }

    pub(super) async fn arrive(&self, cx: &Cx<'_>) {
        if self.config.latency_ms > 0 {
            cx.env
                .sleep(Duration::from_millis(self.config.latency_ms))
                .await;
        }
    }

    pub(super) async fn leave<T>(
        &self,
        cx: &Cx<'_>,
        verb: Verb,
        number: usize,
        fault: Option<Fault>,
        answered: Result<T>,
    ) -> Result<T> {
        if let Some(Fault::Slow(d)) = fault {
            cx.env.sleep(d).await;
        }
        let answered = match fault.and_then(|f| f.error(verb, &cx.site.name)) {
            Some(e) => Err(e),
            None => answered,
        };
        self.lock().faults.end(
            number,
            match &answered {
                Ok(_) => Answer::Done,
                Err(e) => Answer::Refused(e.kind()),
            },
        );
        answered.map_err(|e| e.site(&cx.site.name).operation(verb.as_str()))
    }
}

/// Whether anybody is there.
pub(super) fn listens(site: &Site, name: &str) -> Result<()> {
    if site.down {
        return Err(Error::new(
            ErrorKind::Unavailable,
            format!("nobody answers at {name}"),
        ));
    }
    Ok(())
}

impl State {
    /// Whether the credential is accepted, and may do this.
    pub(super) fn admit(&self, cx: &Cx<'_>, verb: Verb) -> Result<()> {
        let login = Login::read(cx)?;
        let rules = self
            .accounts
            .get(&*login.account.unwrap_or("default".into()));
        let password = login.password.as_deref();
        let accepted = match rules.and_then(|r| r.password.as_deref()) {
            Some(word) => password == Some(word),
            None => password != Some("wrong"),
        };
        if !accepted {
            return Err(Error::new(
                ErrorKind::Credential,
                "the site does not accept the credential",
            ));
        }
        if rules.is_some_and(|r| r.forbidden.contains(&verb)) {
            return Err(Error::new(
                ErrorKind::Forbidden,
                format!("the credential may not {}", verb.as_str()),
            ));
        }
        Ok(())
    }
}

pub(super) fn account(cx: &Cx<'_>) -> Result<String> {
    Ok(Login::read(cx)?.account.unwrap_or("default".into()).into())
}

/// What a secret says.
#[derive(Deserialize)]
struct Login<'a> {
    #[serde(borrow)]
    account: Option<Cow<'a, str>>,
    #[serde(borrow)]
    password: Option<Cow<'a, str>>,
}

impl<'a> Login<'a> {
    fn read(cx: &Cx<'a>) -> Result<Self> {
        serde_json::from_str(cx.secret.expose()).map_err(|_| {
            Error::new(
                ErrorKind::Credential,
                "the secret is not a JSON object with an account and a password",
            )
        })
    }
}
