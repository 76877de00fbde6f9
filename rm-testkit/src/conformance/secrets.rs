//! A secret goes to the site it is for, and nowhere else.

use rm_core::Error;
use rm_core::backend::{Look, Mark, Phase, Seen};
use rm_core::catalog::{Credential, NewCredential};
use rm_core::model::Model;
use rm_core::secret::Secret;
use rm_core::{Effect, RemoteId};
use serde_json::Value;

use super::check::{Check, Verdict, checks, ensure};
use super::stage::{Stage, target};

/// What must not be seen again.
const CANARY: &str = "c4n4ry-7f1e-secret";

pub(super) fn all<M: Model>() -> Vec<Check<M>> {
    checks! {
        "secrets/of-offers" Basic I13 "jet-aws#219: a secret in the log" always => of_offers;
        "secrets/of-a-look" Basic I13 "jet-aws#219: a secret in the log" always => of_a_look;
        "secrets/of-a-create" Basic I13 "cloudstack#10339: a secret in the state" always => of_a_create;
        "secrets/of-a-change" Basic I13 "cloudstack#10339: a secret in the state" resizes => of_a_change;
        "secrets/of-a-destroy" Basic I13 "jet-aws#219: a secret in the log" always => of_a_destroy;
        "secrets/of-the-backend-itself" Basic I13 "jet-aws#219: a secret in the log" always => of_the_backend;
        "secrets/a-wrong-one-has-no-effect" Basic I12 "cloudbreak#1051: refused, and the state unknown" always => wrong_has_no_effect;
    }
}

/// A credential with the subject's secret, and a canary in it.
async fn canary<M: Model>(s: &Stage<M>) -> Verdict<(Credential, Secret)> {
    let mut secret: Value = serde_json::from_str(s.secret.expose()).unwrap_or_default();
    replace(&mut secret);
    let new = NewCredential::new("canary", &s.site.name, secret.clone());
    let credential = s.catalog.add_credential(&s.who, new).await?;
    Ok((credential, Secret::new(secret.to_string())))
}

/// Replaces what is secret; who logs in with it may be known.
fn replace(value: &mut Value) {
    if let Value::Object(fields) = value {
        for (name, value) in fields {
            match value {
                Value::String(word) if is_secret(name) => CANARY.clone_into(word),
                other => replace(other),
            }
        }
    }
}

fn is_secret(name: &str) -> bool {
    let hidden = ["pass", "secret", "token", "key"];
    hidden.iter().any(|part| name.contains(part))
}

/// Whatever an error says, it does not say the secret.
fn silent<T>(done: Result<T, Error>) -> Verdict<Option<T>> {
    let e = match done {
        Ok(done) => return Ok(Some(done)),
        Err(e) => e,
    };
    let mut told = format!("{e} {e:?}");
    let mut source = std::error::Error::source(&e);
    while let Some(below) = source {
        told += &format!(" {below} {below:?}");
        source = below.source();
    }
    ensure!(
        !told.contains(CANARY),
        "the error ({}) tells the secret",
        e.kind().code()
    );
    Ok(None)
}

async fn of_offers<M: Model>(s: &Stage<M>) -> Verdict {
    let (credential, secret) = canary(s).await?;
    let cx = s.cx_by(&credential, &secret);
    let call = s.backend.offers(&cx, &s.specs.sample);
    silent(s.call("offers", call).await)?;
    Ok(())
}

async fn of_a_look<M: Model>(s: &Stage<M>) -> Verdict {
    let (credential, secret) = canary(s).await?;
    let cx = s.cx_by(&credential, &secret);
    let mark = s.mark();
    let at = [target(&mark, None)];
    let call = s.backend.observe(&cx, Look::These(&at));
    if let Some(page) = silent(s.call("observe", call).await)? {
        let told = format!(
            "{:?}",
            page.items.iter().map(|s| &s.reason).collect::<Vec<_>>()
        );
        ensure!(!told.contains(CANARY), "what is seen tells the secret");
    }
    Ok(())
}

async fn of_a_create<M: Model>(s: &Stage<M>) -> Verdict {
    let (credential, secret) = canary(s).await?;
    let cx = s.cx_by(&credential, &secret);
    let mark = s.mark();
    let call = s.backend.create(&cx, &mark, &s.specs.sample);
    if let Some(id) = silent(s.call("create", call).await)? {
        // It asks for no secret: then there is something to take away.
        ensure!(!id.0.contains(CANARY), "the id tells the secret");
        let seen = unseen(&mark, &id);
        silent(s.call("destroy", s.backend.destroy(&cx, &seen)).await)?;
    }
    Ok(())
}

async fn of_a_change<M: Model>(s: &Stage<M>) -> Verdict {
    let (credential, secret) = canary(s).await?;
    let (mark, seen) = s.made().await?;
    let Some(bigger) = &s.specs.bigger else {
        return Ok(());
    };
    let mark = Mark {
        generation: 2,
        ..mark
    };
    let cx = s.cx_by(&credential, &secret);
    let call = s.backend.change(&cx, &mark, &seen, bigger);
    silent(s.call("change", call).await)?;
    Ok(())
}

async fn of_a_destroy<M: Model>(s: &Stage<M>) -> Verdict {
    let (credential, secret) = canary(s).await?;
    let (_, seen) = s.made().await?;
    let cx = s.cx_by(&credential, &secret);
    let call = s.backend.destroy(&cx, &seen);
    silent(s.call("destroy", call).await)?;
    Ok(())
}

async fn of_the_backend<M: Model>(s: &Stage<M>) -> Verdict {
    let (credential, secret) = canary(s).await?;
    let cx = s.cx_by(&credential, &secret);
    let call = s.backend.offers(&cx, &s.specs.sample);
    let _ = s.call("offers", call).await;
    s.offers(&s.specs.sample).await?;
    let told = format!("{:?} {:#?}", s.backend, s.backend);
    ensure!(
        !told.contains(CANARY),
        "the backend's Debug tells the secret"
    );
    for word in words(s.secret.expose()) {
        ensure!(
            !told.contains(&word),
            "the backend's Debug tells the secret"
        );
    }
    Ok(())
}

async fn wrong_has_no_effect<M: Model>(s: &Stage<M>) -> Verdict {
    let (credential, secret) = canary(s).await?;
    let cx = s.cx_by(&credential, &secret);
    let mark = s.mark();
    let call = s.backend.create(&cx, &mark, &s.specs.sample);
    match s.call("create", call).await {
        // It asks for no secret.
        Ok(id) => {
            let seen = unseen(&mark, &id);
            s.call("destroy", s.backend.destroy(&cx, &seen)).await?;
        }
        Err(e) => {
            ensure!(
                e.effect() == Effect::None,
                "a wrong secret, and the effect is unknown: {e}"
            );
            s.pass(s.visible()).await;
            let real = s.real_of(mark.resource).await?;
            ensure!(real.is_empty(), "refused, and there is {real:?}");
        }
    }
    Ok(())
}

fn unseen<M: Model>(mark: &Mark, id: &RemoteId) -> Seen<M> {
    Seen {
        id: id.clone(),
        name: mark.name(),
        mark: Some(mark.clone()),
        phase: Phase::Ready,
        reason: String::new(),
        stamp: None,
        view: None,
    }
}

/// The words of a secret that are long enough to be told from others.
fn words(secret: &str) -> Vec<String> {
    let secret: Value = serde_json::from_str(secret).unwrap_or_default();
    let word = |(name, value): (&String, &Value)| {
        let text = value.as_str().filter(|text| text.len() >= 8)?;
        is_secret(name).then(|| text.to_owned())
    };
    secret
        .as_object()
        .map(|fields| fields.iter().filter_map(word).collect())
        .unwrap_or_default()
}
