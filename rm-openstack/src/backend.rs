//! Clusters as Heat stacks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rm_core::backend::{
    Absence, Backend, Capability, CreateKey, Cx, Look, Mark, Offer, Phase, Recalled, Resize, Seen,
    Target,
};
use rm_core::catalog::{Implementation, Site};
use rm_core::model::{Cluster, ClusterSpec, ClusterView};
use rm_core::store::{Cursor, Page};
use rm_core::{CatalogId, Error, ErrorKind, RemoteId, Result};

use crate::blame::Blame;
use crate::client::catalog::Service;
use crate::client::heat::{
    Action, CreateStack, IN_ONE_CALL, Parameters, ResourceQuery, Stack, StackFilter, StackRef,
    State, Template, UpdateStack,
};
use crate::client::{self, Heat, Neutron, Nova, tidy};
use crate::config::Config;
use crate::failure::{LOG_IN, failure};
use crate::sessions::Sessions;
use crate::template::TemplateInfo;
use crate::{flavors, hosts, made_of, mark, media, recall, surroundings};

/// How many marked stacks one page of a complete look takes.
const PAGE: u32 = 200;

/// How deep servers may be nested; Heat's own limit is 5.
const DEPTH: u8 = 5;

/// Clusters as Heat stacks.
///
/// What Heat guarantees: the name of a stack is unique in its project, so that
/// a second create is refused; ids are never used again; a list shows at once
/// what was made, and a stack that was deleted is not in it any more. Names
/// are free again after a delete, so everything but the first look goes by id.
#[derive(Debug)]
pub struct Stacks {
    config: Config,
    sessions: Arc<Sessions>,
    templates: Mutex<BTreeMap<CatalogId, Arc<TemplateInfo>>>,
    blame: Blame,
}

impl Stacks {
    /// With this configuration; an account's session is shared by all backends
    /// of this crate.
    pub(crate) fn new(config: Config, sessions: Arc<Sessions>) -> Self {
        Self {
            sessions,
            config,
            templates: Mutex::default(),
            blame: Blame::default(),
        }
    }

    /// The same without a plugin: with sessions of its own.
    ///
    /// # Errors
    ///
    /// A file of certificates that cannot be read.
    pub fn alone(config: Config) -> Result<Self> {
        let sessions = Arc::new(Sessions::new(&config)?);
        Ok(Self::new(config, sessions))
    }

    /// Heat of the call's account, and the project that its stacks are in.
    async fn heat(&self, cx: &Cx<'_>) -> Result<(Heat, String)> {
        let session = self.sessions.of(cx)?;
        let token = session
            .token()
            .await
            .map_err(|e| failure(&cx.site.name, LOG_IN, e))?;
        let project = token.project_id().unwrap_or_default().to_owned();
        Ok((Heat::new(session), project))
    }

    /// The template of a spec's implementation, and its text. What was read
    /// once is kept: implementations never change.
    async fn template(
        &self,
        cx: &Cx<'_>,
        spec: &ClusterSpec,
    ) -> Result<(Arc<TemplateInfo>, Arc<Implementation>)> {
        let implementation = cx.catalog.implementation(spec.implementation).await?;
        let known = {
            let templates = self
                .templates
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            templates.get(&implementation.id).cloned()
        };
        if let Some(info) = known {
            return Ok((info, implementation));
        }
        let info = Arc::new(
            TemplateInfo::read(&implementation.body)
                .map_err(|e| Error::new(ErrorKind::Corrupt, e.to_string()))?,
        );
        let mut templates = self
            .templates
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if templates.len() >= 200 {
            templates.clear();
        }
        templates.insert(implementation.id, Arc::clone(&info));
        Ok((info, implementation))
    }

    async fn these(&self, cx: &Cx<'_>, targets: &[Target]) -> Result<Vec<Seen<Cluster>>> {
        if targets.is_empty() {
            return Ok(Vec::new());
        }
        let (heat, project) = self.heat(cx).await?;
        let (mut known, mut unknown) = (Vec::new(), Vec::new());
        for target in targets {
            match &target.remote {
                Some(remote) => known.push(stack_ref(cx, &project, remote)?),
                None => unknown.push(target.mark.name()),
            }
        }
        let wanted = Wanted::of(known, unknown);
        let stacks = heat
            .list(&wanted.filter)
            .await
            .map_err(|e| failure(&cx.site.name, "list stacks", e))?;
        let stacks: Vec<Stack> = stacks.into_iter().filter(|s| wanted.has(s)).collect();
        let mut seen: Vec<_> = stacks.iter().map(|stack| sight(&project, stack)).collect();
        self.blame.complete(cx, &heat, &stacks, &mut seen).await;
        Ok(seen)
    }

    async fn closely(
        &self,
        cx: &Cx<'_>,
        target: &Target,
        spec: &ClusterSpec,
    ) -> Result<Vec<Seen<Cluster>>> {
        let Some(remote) = &target.remote else {
            return self.these(cx, std::slice::from_ref(target)).await;
        };
        let (heat, project) = self.heat(cx).await?;
        let reference = stack_ref(cx, &project, remote)?;
        let failed = |e| failure(&cx.site.name, "show stack", e);
        let stack = match heat.show_full(&reference).await {
            Ok(stack) => stack,
            Err(e) if e.is_not_found() => return Ok(Vec::new()),
            Err(e) => return Err(failed(e)),
        };
        let (info, _) = self.template(cx, spec).await?;
        let mut found = Vec::new();
        if info.has_servers() || info.may_hide_servers() {
            let query = ResourceQuery {
                nested_depth: DEPTH,
                kind: Some("OS::Nova::Server".to_owned()),
                with_detail: true,
                ..ResourceQuery::default()
            };
            let resources = heat.resources(&reference, &query).await.map_err(failed)?;
            found = hosts::of_servers(&resources, &stack);
        }
        if found.is_empty() {
            found = hosts::of_output(&stack);
        }
        let address = hosts::address(&stack);
        if address.is_none() && phase(&stack) == Phase::Ready {
            return Err(Error::new(
                ErrorKind::Failed,
                format!(
                    "{}: the stack is complete and its output master_ip is empty",
                    cx.site.name
                ),
            )
            .advice("correct the template's output, upload it as a new revision, and ask again")
            .site(&*cx.site.name));
        }
        let mut seen = sight(&project, &stack);
        seen.view = Some(ClusterView {
            address,
            hosts: found,
            outputs: stack
                .outputs
                .iter()
                .map(|o| (o.key.clone(), o.value.clone()))
                .collect(),
        });
        Ok(vec![seen])
    }

    async fn all(&self, cx: &Cx<'_>, after: Option<&Cursor>) -> Result<Page<Seen<Cluster>>> {
        let filter = StackFilter {
            tags: vec![mark::OURS.to_owned()],
            ..StackFilter::default()
        };
        let (heat, project) = self.heat(cx).await?;
        let page = heat
            .list_page(&filter, PAGE, after.map(|c| c.0.as_str()))
            .await
            .map_err(|e| failure(&cx.site.name, "list stacks", e))?;
        Ok(Page {
            items: page.stacks.iter().map(|s| sight(&project, s)).collect(),
            next: page.next.map(Cursor),
        })
    }
}

#[async_trait]
impl Backend<Cluster> for Stacks {
    fn capability(&self, _site: &Site) -> Capability {
        let mut cap = Capability::new();
        cap.create_key = CreateKey::UniqueName;
        cap.absence = Absence::NotListed;
        cap.visibility = Duration::ZERO;
        // Heat's API gives up on its engine after 60 s; the engine may still
        // carry the request out.
        cap.late = Duration::from_secs(75);
        cap.list_by_owner = true;
        cap.resize = Resize::InPlace;
        cap.concurrency = self.config.concurrency;
        cap.call_timeout = Duration::from_secs(self.config.call_timeout_seconds);
        cap.patience = Duration::from_secs(self.config.patience_seconds);
        cap.page = IN_ONE_CALL;
        cap
    }

    async fn offers(&self, cx: &Cx<'_>, want: &ClusterSpec) -> Result<Vec<Offer>> {
        let (info, implementation) = self.template(cx, want).await?;
        let mut values = given(cx, &info, &implementation, want);
        let session = self.sessions.of(cx)?;
        // A warm session is asked nothing. Nobody waits for a server that does
        // not prove who it is.
        let denied = |e: client::Error| {
            let untrusted = e.is_untrusted();
            let denied = failure(&cx.site.name, LOG_IN, e);
            match untrusted {
                true => denied.permanent(),
                false => denied,
            }
        };
        session.token().await.map_err(denied)?;
        // Only of a template that needs a network, and where nobody says which,
        // more is asked.
        surroundings::complete(cx, &session, &info, &mut values).await?;
        if cx.quick {
            return Ok(vec![Offer::room(None)]);
        }
        let failed = |e| failure(&cx.site.name, "ask for limits", e);
        if session.endpoint(Service::Compute).await.is_err() {
            // A cloud without servers: that Heat answers is all there is to know.
            let heat = Heat::new(session);
            heat.list_page(&StackFilter::default(), 1, None)
                .await
                .map_err(|e| failure(&cx.site.name, "list stacks", e))?;
            return Ok(vec![Offer::room(None)]);
        }
        let nova = Nova::new(session.clone());
        let limits = nova.limits().await.map_err(failed)?;
        let flavors = nova.flavors().await.map_err(failed)?;
        let ports = match session.endpoint(Service::Network).await {
            Ok(_) => Neutron::new(session).ports().await.map_err(failed)?.left(),
            Err(_) => None,
        };
        let servers = flavors::room(&limits, &flavors, &info, &values);
        let left = [servers, ports].into_iter().flatten().min();
        Ok(vec![Offer::room(left)])
    }

    async fn observe(
        &self,
        cx: &Cx<'_>,
        look: Look<'_, ClusterSpec>,
    ) -> Result<Page<Seen<Cluster>>> {
        let items = match look {
            Look::These(targets) => self.these(cx, targets).await?,
            Look::Closely(target, spec) => self.closely(cx, target, spec).await?,
            Look::All(after) => return self.all(cx, after).await,
        };
        Ok(Page { items, next: None })
    }

    async fn create(&self, cx: &Cx<'_>, mark: &Mark, spec: &ClusterSpec) -> Result<RemoteId> {
        let (info, implementation) = self.template(cx, spec).await?;
        let mut stack = CreateStack::new(mark.name(), Template::Text(implementation.body.clone()));
        stack.parameters = given(cx, &info, &implementation, spec);
        let session = self.sessions.of(cx)?;
        surroundings::complete(cx, &session, &info, &mut stack.parameters).await?;
        if !spec.images.is_empty() {
            let ids = made_of::ids(cx, &session, spec).await?;
            made_of::put(&ids, &info, &mut stack.template, &mut stack.parameters);
        }
        stack.tags = mark::tags(mark);
        stack.timeout_mins = u32::try_from(self.config.patience_seconds.div_ceil(60)).ok();
        let (heat, project) = self.heat(cx).await?;
        let made = heat
            .create(&stack)
            .await
            .map_err(|e| failure(&cx.site.name, "create stack", e))?;
        Ok(remote_id(&project, &made))
    }

    async fn change(
        &self,
        cx: &Cx<'_>,
        mark: &Mark,
        seen: &Seen<Cluster>,
        spec: &ClusterSpec,
    ) -> Result<()> {
        let (info, implementation) = self.template(cx, spec).await?;
        // What nobody says stays as the stack has it.
        let mut values = given(cx, &info, &implementation, spec);
        made_of::keep(spec, &mut values);
        // Without a template the stack keeps its own, and files and values
        // that are not named here.
        let update = UpdateStack::parameters(values, mark::tags(mark));
        let (heat, project) = self.heat(cx).await?;
        heat.update(&stack_ref(cx, &project, &seen.id)?, &update)
            .await
            .map_err(|e| {
                let gone = e.is_not_found();
                let error = failure(&cx.site.name, "update stack", e);
                // Look again: it may have been deleted behind our back.
                if gone { error.temporary() } else { error }
            })
    }

    async fn destroy(&self, cx: &Cx<'_>, seen: &Seen<Cluster>) -> Result<()> {
        let (heat, project) = self.heat(cx).await?;
        heat.delete(&stack_ref(cx, &project, &seen.id)?)
            .await
            .map_err(|e| failure(&cx.site.name, "delete stack", e))?;
        Ok(())
    }

    async fn recall(
        &self,
        cx: &Cx<'_>,
        seen: &Seen<Cluster>,
    ) -> Result<Option<Recalled<ClusterSpec>>> {
        let (_, project) = self.heat(cx).await?;
        let session = self.sessions.of(cx)?;
        let spec = recall::spec(cx, &session, &stack_ref(cx, &project, &seen.id)?).await?;
        Ok(spec.map(Recalled::from))
    }
}

/// The stacks of one look, so that one call lists them all.
struct Wanted {
    filter: StackFilter,
    ids: BTreeSet<String>,
    names: BTreeSet<String>,
}

impl Wanted {
    /// By id where all have one; else by name, which what has an id has, too: Heat
    /// lists what fits both of two filters, and not either.
    fn of(known: Vec<StackRef>, unknown: Vec<String>) -> Self {
        let mut filter = StackFilter::default();
        if unknown.is_empty() {
            filter.ids = known.iter().map(|stack| stack.id.clone()).collect();
        } else {
            let named = known.iter().map(|stack| stack.name.clone());
            filter.names = named.chain(unknown.iter().cloned()).collect();
        }
        Self {
            filter,
            ids: known.into_iter().map(|stack| stack.id).collect(),
            names: unknown.into_iter().collect(),
        }
    }

    /// Whether it was asked for: what has an id is no other stack of its name.
    fn has(&self, stack: &Stack) -> bool {
        self.ids.contains(&stack.id) || self.names.contains(&stack.name)
    }
}

/// What is said for the parameters of a template.
fn given(
    cx: &Cx<'_>,
    info: &TemplateInfo,
    implementation: &Implementation,
    spec: &ClusterSpec,
) -> Parameters {
    let (asked, defaults) = (&spec.parameters, &cx.site.defaults);
    media::values(info, implementation, spec.slaves, asked, defaults)
}

/// Project and both names of a stack in one id: with both, Heat answers without
/// a redirect.
fn remote_id(project: &str, stack: &StackRef) -> RemoteId {
    RemoteId(format!("{project}/{}/{}", stack.name, stack.id))
}

/// The stack of an id, if the credential is still for its project: in another
/// one it would seem to be gone.
fn stack_ref(cx: &Cx<'_>, project: &str, id: &RemoteId) -> Result<StackRef> {
    let mut parts = id.0.splitn(3, '/');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(of), Some(name), Some(id)) if of == project => Ok(StackRef::new(name, id)),
        (Some(_), Some(_), Some(_)) => Err(Error::new(
            ErrorKind::Credential,
            format!(
                "{}: the credential {:?} is for another project than the one that this was made in",
                cx.site.name, cx.credential.name
            ),
        )
        .advice("give the credential a secret for the old project, or delete there first")
        .site(&*cx.site.name)),
        _ => Err(Error::new(
            ErrorKind::Corrupt,
            "the record holds an id that is not one of a stack",
        )),
    }
}

fn sight(project: &str, stack: &Stack) -> Seen<Cluster> {
    Seen {
        id: remote_id(project, &stack.reference()),
        name: stack.name.clone(),
        mark: mark::read(&stack.tags),
        phase: phase(stack),
        reason: reason(stack),
        stamp: stack
            .updated_time
            .clone()
            .or_else(|| stack.creation_time.clone()),
        view: None,
    }
}

/// Heat's action and state as one word. An action that is none of ours
/// (suspended, rolled back by somebody) is told in the reason.
fn phase(stack: &Stack) -> Phase {
    match (&stack.status.action, &stack.status.state) {
        // A stack that is DELETE_COMPLETE and still listed can become
        // DELETE_FAILED yet, when Heat cannot reach Keystone to clean up:
        // gone is what is not listed.
        (Action::Delete, State::Failed) => Phase::DeleteFailed,
        (Action::Delete, _) => Phase::Deleting,
        (_, State::Failed) | (Action::Rollback | Action::Suspend, State::Complete) => Phase::Failed,
        (_, State::Complete) => Phase::Ready,
        (Action::Create | Action::Adopt | Action::Init, _) => Phase::Building,
        _ => Phase::Changing,
    }
}

fn reason(stack: &Stack) -> String {
    let status = &stack.status;
    match phase(stack) {
        Phase::Ready => String::new(),
        _ if stack.status_reason.is_empty() => status.to_string(),
        // Heat's words carry addresses of its own.
        _ => format!("{status}: {}", tidy(&stack.status_reason)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stack(name: &str, id: &str) -> Stack {
        serde_json::from_value(serde_json::json!({"stack_name": name, "id": id})).unwrap()
    }

    #[test]
    fn one_call_lists_what_is_known_by_id_and_what_is_not() {
        let known = || vec![StackRef::new("rm-1", "a"), StackRef::new("mine", "b")];
        let all_known = Wanted::of(known(), Vec::new());
        assert_eq!(all_known.filter.ids, ["a", "b"]);
        assert!(all_known.filter.names.is_empty());
        let mixed = Wanted::of(known(), vec!["rm-2".to_owned()]);
        assert_eq!(mixed.filter.names, ["rm-1", "mine", "rm-2"]);
        assert!(mixed.filter.ids.is_empty());
        for (name, id, is_wanted) in [
            ("rm-1", "a", true),
            // Somebody made another one of the name since.
            ("rm-1", "c", false),
            ("rm-2", "d", true),
        ] {
            assert_eq!(mixed.has(&stack(name, id)), is_wanted, "{name} {id}");
        }
    }
}
