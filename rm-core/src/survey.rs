//! Everything at every site that bears a mark, account by account.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::backend::{Capability, Cx, Look, Mark, Progress, Target};
use crate::catalog::{Credential, Site};
use crate::driver::{Driver, Sight};
use crate::error::{Error, ErrorKind, Result};
use crate::host::Core;
use crate::id::{CatalogId, RemoteId};
use crate::secret::Secret;
use crate::store::{Cursor, Page};

/// What one credential reaches at a site through one manager.
pub(crate) struct Account {
    pub(crate) manager: String,
    pub(crate) driver: Arc<dyn Driver>,
    pub(crate) cap: Capability,
    pub(crate) site: Site,
    pub(crate) credential: Credential,
    secret: Secret,
    needs: BTreeMap<String, RemoteId>,
    progress: Arc<Progress>,
}

/// An account that could not be looked at, or not to the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// The manager's name.
    pub manager: String,
    /// The site.
    pub site: CatalogId,
    /// The site's name.
    pub site_name: String,
    /// The credential.
    pub credential: CatalogId,
    /// The credential's tenant and name.
    pub credential_name: String,
    /// Why.
    pub why: String,
}

/// The tenant and the name of a credential: names alone are not unique.
pub(crate) fn name_of(credential: &Credential) -> String {
    format!("{}/{}", credential.tenant, credential.name)
}

/// A pass over all accounts there are, page by page.
pub(crate) struct Survey<'a> {
    core: &'a Core,
    /// Accounts to come, those of one manager and site together.
    to_come: VecDeque<(String, Site, Credential)>,
    /// The account that is being looked at, and where it goes on.
    at: Option<(Arc<Account>, Option<Cursor>)>,
    /// Of which manager and site the accounts are just now.
    here: Option<(String, CatalogId)>,
    /// What was seen there, by any credential.
    known: BTreeSet<RemoteId>,
    /// What was not looked at, or not to the end.
    pub(crate) skipped: Vec<Skipped>,
}

impl<'a> Survey<'a> {
    pub(crate) async fn begin(core: &'a Core) -> Result<Self> {
        let mut to_come = VecDeque::new();
        for (site, credentials) in by_site(core).await? {
            for (manager, _) in core.serves.iter().filter(|(_, s)| s.api == site.api) {
                let of = |c: &Credential| (manager.clone(), site.clone(), c.clone());
                to_come.extend(credentials.iter().map(of));
            }
        }
        Ok(Self {
            core,
            to_come,
            at: None,
            here: None,
            known: BTreeSet::new(),
            skipped: Vec::new(),
        })
    }

    /// The next page of marked things, without those that another credential
    /// has shown already; nothing when all accounts were looked at.
    pub(crate) async fn next(&mut self) -> Option<(Arc<Account>, Vec<Sight>)> {
        loop {
            let (account, after) = match self.at.take() {
                Some(at) => at,
                None => (self.open_next().await?, None),
            };
            match account.page(self.core, after.as_ref()).await {
                Ok(page) => {
                    if page.next.is_some() {
                        self.at = Some((Arc::clone(&account), page.next));
                    }
                    let mut items = page.items;
                    items.retain(|sight| self.known.insert(sight.id.clone()));
                    return Some((account, items));
                }
                Err(e) => self.skip(&account, &e),
            }
        }
    }

    async fn open_next(&mut self) -> Option<Arc<Account>> {
        loop {
            let (manager, site, credential) = self.to_come.pop_front()?;
            let here = (manager.clone(), site.id);
            if self.here.replace(here.clone()) != Some(here) {
                self.known.clear();
            }
            match open(self.core, &manager, site.id, credential.id).await {
                Ok(account) => return Some(Arc::new(account)),
                Err(e) => self.note(manager, &site, &credential, &e),
            }
        }
    }

    /// The account is not looked at any further.
    pub(crate) fn skip(&mut self, account: &Account, e: &Error) {
        self.at = None;
        let manager = account.manager.clone();
        self.note(manager, &account.site, &account.credential, e);
    }

    fn note(&mut self, manager: String, site: &Site, credential: &Credential, e: &Error) {
        self.skipped.push(Skipped {
            manager,
            site: site.id,
            site_name: site.name.clone(),
            credential: credential.id,
            credential_name: name_of(credential),
            why: e.to_string(),
        });
    }
}

/// Every credential, with those of its site.
pub(crate) async fn by_site(core: &Core) -> Result<Vec<(Site, Vec<Credential>)>> {
    let mut found: BTreeMap<CatalogId, Vec<Credential>> = BTreeMap::new();
    let mut after = None;
    loop {
        let page = core.catalog.all_credentials(after.as_ref(), 200).await?;
        for credential in page.items {
            found.entry(credential.site).or_default().push(credential);
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let mut all = Vec::with_capacity(found.len());
    for (site, credentials) in found {
        all.push((core.catalog.site(&site.to_string()).await?, credentials));
    }
    Ok(all)
}

/// Opens one account.
pub(crate) async fn open(
    core: &Core,
    manager: &str,
    site: CatalogId,
    credential: CatalogId,
) -> Result<Account> {
    let driver = Arc::clone(core.driver(manager)?);
    let (site, credential, secret) = core.catalog.open(site, credential).await?;
    if credential.site != site.id {
        return Err(Error::invalid(format!(
            "the credential {:?} is not for the site {:?}",
            credential.name, site.name
        ))
        .advice("give the account as the report names it"));
    }
    Ok(Account {
        manager: manager.to_owned(),
        cap: driver.capability(&site),
        driver,
        site: Arc::unwrap_or_clone(site),
        credential: Arc::unwrap_or_clone(credential),
        secret,
        needs: BTreeMap::new(),
        progress: Arc::default(),
    })
}

impl Account {
    pub(crate) fn cx<'a>(&'a self, core: &'a Core) -> Cx<'a> {
        Cx {
            env: &core.env,
            site: &self.site,
            credential: &self.credential,
            secret: &self.secret,
            catalog: &core.catalog,
            quick: false,
            asking: None,
            needs: &self.needs,
            owner: None,
            progress: &self.progress,
            timeout: self.cap.call_timeout,
        }
    }

    async fn page(&self, core: &Core, after: Option<&Cursor>) -> Result<Page<Sight>> {
        if !self.cap.list_by_owner {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "this backend cannot list what bears a mark",
            ));
        }
        let cx = self.cx(core);
        let call = self.driver.observe(&cx, Look::All(after));
        let page = core.timed("observe", self.cap.call_timeout, call).await?;
        if page.next.is_some() && page.next.as_ref() == after {
            return Err(Error::new(
                ErrorKind::Internal,
                "the site's list does not come to an end",
            ));
        }
        Ok(page)
    }

    /// Looks at these once more, by their ids; what is gone is not in the
    /// answer.
    pub(crate) async fn again(
        &self,
        core: &Core,
        things: impl IntoIterator<Item = (Mark, RemoteId)>,
    ) -> Result<Vec<Sight>> {
        let targets: Vec<Target> = things
            .into_iter()
            .map(|(mark, id)| Target {
                mark,
                remote: Some(id),
            })
            .collect();
        let page = usize::try_from(self.cap.page).unwrap_or(1).max(1);
        let mut seen = Vec::with_capacity(targets.len());
        for targets in targets.chunks(page) {
            let cx = self.cx(core);
            let call = self.driver.observe(&cx, Look::These(targets));
            let found = core.timed("observe", self.cap.call_timeout, call).await?;
            let asked =
                |sight: &Sight| targets.iter().any(|t| t.remote.as_ref() == Some(&sight.id));
            seen.extend(found.items.into_iter().filter(asked));
        }
        Ok(seen)
    }
}
