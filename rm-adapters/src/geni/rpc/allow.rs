//! Who may call what: by certificate, credentials, and who speaks for whom.

use rm_core::env::Timestamp;
use rm_core::{Error, ErrorKind, Result};

use super::arguments::{Brought, Options};
use super::{Rpc, Urn};
use crate::geni::credentials::{Certificate, FORBIDDEN, Operation, UNREADABLE, permit};

/// By what a call may do something with a slice.
#[derive(Debug, Clone)]
pub(super) struct Permitted {
    /// When the first ends of what was brought for it. Nothing that is made by it
    /// may be there for longer.
    pub(super) until: Timestamp,
    /// Who does it: the client, or the member for whom it speaks.
    pub(super) member: Option<Urn>,
}

impl Rpc {
    /// Whether a call may do this with a slice, by a credential that alone grants
    /// it.
    pub(super) async fn permit(
        &self,
        peer: &Certificate,
        brought: Vec<Brought>,
        options: Options<'_>,
        slice: &Urn,
        operation: Operation,
    ) -> Result<Permitted> {
        let user = options.text("geni_speaking_for")?;
        let user: Option<Urn> = user.map(str::parse).transpose()?;
        let (rpc, peer, slice) = (self.clone(), peer.clone(), slice.clone());
        self.bench
            .take(move || {
                let (user, spoken) = rpc.user(&peer, &brought, user.as_ref())?;
                let granted = rpc.granted(&user, &brought, &slice, operation)?;
                let by = user.urn().map(Urn::as_str);
                tracing::debug!(by, %slice, ?operation, "granted");
                Ok(Permitted {
                    until: spoken.map_or(granted, |spoken| spoken.min(granted)),
                    member: user.urn().cloned(),
                })
            })
            .await?
    }

    /// Until when one of the credentials grants this: that which does for longest.
    fn granted(
        &self,
        user: &Certificate,
        brought: &[Brought],
        slice: &Urn,
        operation: Operation,
    ) -> Result<Timestamp> {
        let now = self.host.env().now();
        let anchors = self.roots.now(now)?;
        let mut refused: Option<Error> = None;
        let mut longest: Option<Timestamp> = None;
        for one in brought {
            let Brought::Sfa(xml) = one else { continue };
            let verified = self
                .verifier
                .credential(xml, &anchors, now)
                .and_then(|said| permit(&said, user, slice, operation).map(|()| said.expires));
            match verified {
                Ok(until) => longest = longest.max(Some(until)),
                Err(e) if e.stable_code() == UNREADABLE && refused.is_some() => {}
                Err(e) => refused = Some(e),
            }
        }
        longest.ok_or_else(|| {
            refused.unwrap_or_else(|| {
                Error::new(ErrorKind::Forbidden, "this call brings no credential")
                    .code(FORBIDDEN)
                    .advice("bring your credential for the slice, of the type geni_sfa")
            })
        })
    }

    /// As whom a call is made that needs any credential of theirs; see
    /// [`known`](Self::known). The credentials are checked apart.
    pub(super) async fn admit(
        &self,
        peer: &Certificate,
        brought: Vec<Brought>,
        options: Options<'_>,
        open: bool,
    ) -> Result<Certificate> {
        let user = options.text("geni_speaking_for")?;
        let user: Option<Urn> = user.map(str::parse).transpose()?;
        let (rpc, peer) = (self.clone(), peer.clone());
        self.bench
            .take(move || {
                let (user, _) = rpc.user(&peer, &brought, user.as_ref())?;
                rpc.known(&user, &brought, open)?;
                Ok(user)
            })
            .await?
    }

    /// As whom a call is made: the client, or the user for whom it speaks, and
    /// until when it does.
    fn user(
        &self,
        peer: &Certificate,
        brought: &[Brought],
        user: Option<&Urn>,
    ) -> Result<(Certificate, Option<Timestamp>)> {
        let Some(user) = user else {
            return Ok((peer.clone(), None));
        };
        let now = self.host.env().now();
        let anchors = self.roots.now(now)?;
        let mut refused = None;
        for one in brought {
            if let Brought::Abac(xml) = one {
                match self.verifier.speaks_for(xml, user, peer, &anchors, now) {
                    Ok(said) => return Ok((said.user, Some(said.expires))),
                    Err(e) => refused = Some(e),
                }
            }
        }
        Err(refused.unwrap_or_else(|| {
            Error::new(
                ErrorKind::Forbidden,
                format!("nothing says that you speak for {user}"),
            )
            .code(FORBIDDEN)
            .advice("bring the statement that the user has signed, of the type geni_abac")
        }))
    }

    /// Whether somebody brings any credential of their own; `open` lets in who
    /// brings none that can be read.
    fn known(&self, user: &Certificate, brought: &[Brought], open: bool) -> Result<()> {
        let now = self.host.env().now();
        let anchors = self.roots.now(now)?;
        let mut refused: Option<Error> = None;
        for one in brought {
            let Brought::Sfa(xml) = one else { continue };
            let verified = self
                .verifier
                .credential(xml, &anchors, now)
                .and_then(|credential| credential.belongs_to(user));
            match verified {
                Ok(()) => return Ok(()),
                Err(e) if e.stable_code() == UNREADABLE && refused.is_some() => {}
                Err(e) => refused = Some(e),
            }
        }
        match refused {
            Some(e) if e.stable_code() != UNREADABLE => Err(e),
            _ if open => Ok(()),
            Some(e) => Err(e),
            None => Err(
                Error::new(ErrorKind::Forbidden, "this call brings no credential")
                    .code(FORBIDDEN)
                    .advice("bring your user credential, of the type geni_sfa"),
            ),
        }
    }
}
