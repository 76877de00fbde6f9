//! One session an account, shared by all calls.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rm_core::backend::Cx;
use rm_core::{CatalogId, Error, ErrorKind, Result};

use crate::client::{Clock, HttpConfig, Interface, Session, SessionConfig};
use crate::config::Config;
use crate::credential::{self, Login};
use crate::failure::{LOG_IN, failure};

/// A credential has another session after its secret was rotated.
type Key = (CatalogId, u32);

#[derive(Debug)]
pub(crate) struct Sessions {
    http: HttpConfig,
    renew_margin: Duration,
    most: usize,
    open: Mutex<BTreeMap<Key, Session>>,
}

impl Sessions {
    /// As the configuration says; its file of certificates is read here.
    pub(crate) fn new(config: &Config) -> Result<Self> {
        Ok(Self {
            http: config.http()?,
            renew_margin: Duration::from_secs(config.renew_margin_seconds),
            most: config.sessions,
            open: Mutex::default(),
        })
    }

    /// The session of a call's account; its calls end with the call's own
    /// limit.
    pub(crate) fn of(&self, cx: &Cx<'_>) -> Result<Session> {
        let key = (cx.credential.id, cx.credential.revision);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = open.get(&key) {
            return Ok(session.with_timeout(cx.timeout));
        }
        let session = self.connect(cx)?;
        // Old revisions, and more accounts than fit, are simply logged in anew.
        open.retain(|(id, _), _| *id != key.0);
        if open.len() >= self.most {
            open.clear();
        }
        open.insert(key, session.clone());
        Ok(session.with_timeout(cx.timeout))
    }

    fn connect(&self, cx: &Cx<'_>) -> Result<Session> {
        let Login { auth, trust } = credential::read(cx.secret)?;
        let env = Arc::clone(cx.env);
        let clock: Clock = Arc::new(move || env.now().millis());
        let mut config = SessionConfig::new(&*cx.site.url, auth, clock);
        config.region.clone_from(&cx.site.region);
        if let Some(interface) = &cx.site.interface {
            config.interface = Interface::parse(interface).ok_or_else(|| {
                Error::new(
                    ErrorKind::Invalid,
                    format!(
                        "the site {:?} has an unknown interface {interface:?}",
                        cx.site.name
                    ),
                )
                .advice("the interfaces are: public, internal, admin")
            })?;
        }
        config.renew_margin = self.renew_margin;
        config.http = HttpConfig {
            call_timeout: cx.timeout,
            ..trust.over(&self.http)
        };
        Session::new(config).map_err(|e| failure(&cx.site.name, LOG_IN, e))
    }
}
