//! Who may call what: by certificate, credentials, and who speaks for whom.

use rm_core::env::Timestamp;
use rm_core::{Error, ErrorKind, Result};

use super::arguments::{Brought, Options};
use super::{Rpc, Urn};
use crate::geni::credentials::{
    Certificate, EXPIRED, FORBIDDEN, MISMATCH, Operation, UNREADABLE, permit,
};

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
        let mut refused = Refused::default();
        let mut longest: Option<Timestamp> = None;
        for one in brought {
            let Brought::Sfa(xml) = one else { continue };
            let verified = self
                .verifier
                .credential(xml, &anchors, now)
                .and_then(|said| permit(&said, user, slice, operation).map(|()| said.expires));
            match verified {
                Ok(until) => longest = longest.max(Some(until)),
                Err(e) => refused.add(is_said_of(xml, slice), e),
            }
        }
        longest.ok_or_else(|| {
            refused.told().unwrap_or_else(|| {
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
        let mut refused = Refused::default();
        for one in brought {
            if let Brought::Abac(xml) = one {
                match self.verifier.speaks_for(xml, user, peer, &anchors, now) {
                    Ok(said) => return Ok((said.user, Some(said.expires))),
                    Err(e) => refused.add(false, e),
                }
            }
        }
        Err(refused.told().unwrap_or_else(|| {
            Error::new(
                ErrorKind::Forbidden,
                format!("nothing says that you speak for {user}"),
            )
            .code(FORBIDDEN)
            .advice("bring the statement that the user has signed, of the type geni_abac")
        }))
    }

    /// Whether somebody brings any credential of their own; `open` lets in who
    /// brings none that can be read. Who brings none that can be read to a door
    /// that is not open has brought none.
    fn known(&self, user: &Certificate, brought: &[Brought], open: bool) -> Result<()> {
        let now = self.host.env().now();
        let anchors = self.roots.now(now)?;
        let mut refused = Refused::default();
        for one in brought {
            let Brought::Sfa(xml) = one else { continue };
            let verified = self
                .verifier
                .credential(xml, &anchors, now)
                .and_then(|credential| credential.belongs_to(user));
            match verified {
                Ok(()) => return Ok(()),
                Err(e) => refused.add(user.urn().is_some_and(|urn| is_said_of(xml, urn)), e),
            }
        }
        let what = match refused.told() {
            Some(e) if e.stable_code() != UNREADABLE => return Err(e),
            _ if open => return Ok(()),
            Some(e) => format!(
                "this call brings no credential that can be read: {}",
                e.what()
            ),
            None => "this call brings no credential".to_owned(),
        };
        Err(Error::new(ErrorKind::Forbidden, what)
            .code(FORBIDDEN)
            .advice("bring your user credential, of the type geni_sfa"))
    }
}

/// Why credentials were refused: what is told is of the one that comes nearest to
/// what is wanted, for of the others nobody expects that they grant it.
#[derive(Debug, Default)]
struct Refused(Option<((bool, u8), Error)>);

impl Refused {
    /// One more; `meant` tells whether it says that it is for what is wanted.
    fn add(&mut self, meant: bool, e: Error) {
        let near = match e.stable_code() {
            FORBIDDEN => 4,
            EXPIRED => 3,
            MISMATCH => 1,
            UNREADABLE => 0,
            _ => 2,
        };
        let rank = (meant, near);
        if self.0.as_ref().is_none_or(|(before, _)| *before < rank) {
            self.0 = Some((rank, e));
        }
    }

    fn told(self) -> Option<Error> {
        self.0.map(|(_, e)| e)
    }
}

/// Whether a credential says that it is for this target. Nothing of it is
/// verified: it matters for what is told to who brings it, and for nothing else.
fn is_said_of(xml: &str, target: &Urn) -> bool {
    let mut targets = xml.split("<target_urn>").skip(1);
    targets.any(|rest| {
        let said = rest.split_once('<').map(|(said, _)| said.trim());
        said.and_then(|said| said.parse::<Urn>().ok()).as_ref() == Some(target)
    })
}
