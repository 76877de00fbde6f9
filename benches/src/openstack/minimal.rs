//! The hand-written minimal client: what one would write for one purpose, with
//! no durability, no records, no second try and no other cloud in mind.
//!
//! One stack: `POST stacks`, then `GET stacks/NAME/ID?resolve_outputs=False`
//! after 0.1 s and then 1.5 times later each time, then `GET stacks/NAME/ID`
//! for the outputs.
//!
//! A hundred: the POSTs, ten in flight; when the last one is answered, one
//! `GET stacks` for all of them after 0.1 s and then 1.5 times later each time,
//! until all are complete; then the outputs of each, ten in flight.
//!
//! It uses the same HTTP library as we do, keeps its connections open, and
//! begins with a token in hand.

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use super::lab::Account;
use crate::Result;

const FIRST: Duration = Duration::from_millis(100);
const IN_FLIGHT: usize = 10;

/// How often anything is asked for again before it counts as failed.
const PATIENCE: u32 = 60;

/// The longest pause where nobody measures.
const SLOWEST: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct Minimal {
    http: Client,
    token: String,
    heat: String,
    template: String,
}

/// A stack, by both of its names.
#[derive(Debug, Clone)]
pub(super) struct Stack {
    name: String,
    id: String,
}

impl Minimal {
    pub(super) async fn login(account: &Account, template: &str) -> Result<Self> {
        let http = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(60))
            .build()?;
        let domain = json!({"id": "default"});
        let body = json!({"auth": {
            "identity": {"methods": ["password"], "password": {"user": {
                "name": account.username, "domain": domain, "password": account.password}}},
            "scope": {"project": {"name": account.project_name, "domain": domain}},
        }});
        let url = format!("{}/auth/tokens", account.auth_url);
        let answer = good(http.post(url).json(&body)).await?;
        let token = answer
            .headers()
            .get("x-subject-token")
            .and_then(|t| t.to_str().ok())
            .ok_or("Keystone gave no token")?
            .to_owned();
        let answer: Value = answer.json().await?;
        let heat = endpoint(&answer).ok_or("there is no Heat in Keystone's catalog")?;
        Ok(Self {
            http,
            token,
            heat,
            template: template.to_owned(),
        })
    }

    /// Heat's address.
    pub(super) fn heat(&self) -> &str {
        &self.heat
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.http
            .get(format!("{}/{path}", self.heat))
            .header("x-auth-token", &self.token)
    }

    async fn post(&self, name: &str) -> Result<Stack> {
        let body = json!({"stack_name": name, "template": self.template});
        let request = self
            .http
            .post(format!("{}/stacks", self.heat))
            .header("x-auth-token", &self.token)
            .json(&body);
        let made: Value = good(request).await?.json().await?;
        let id = made["stack"]["id"]
            .as_str()
            .ok_or("a stack without an id")?;
        Ok(Stack {
            name: name.to_owned(),
            id: id.to_owned(),
        })
    }

    async fn outputs(&self, stack: &Stack) -> Result<String> {
        let shown = self.get(&format!("stacks/{}/{}", stack.name, stack.id));
        let shown: Value = good(shown).await?.json().await?;
        let outputs = shown["stack"]["outputs"].as_array();
        outputs
            .into_iter()
            .flatten()
            .find(|o| o["output_key"] == "master_ip")
            .and_then(|o| o["output_value"].as_str())
            .map(str::to_owned)
            .ok_or_else(|| "a stack without the output master_ip".into())
    }

    /// One stack, from nothing to its address.
    pub(super) async fn one(&self, name: &str) -> Result<Stack> {
        let stack = self.post(name).await?;
        let path = format!("stacks/{name}/{}?resolve_outputs=False", stack.id);
        let mut pause = FIRST;
        for _ in 0..PATIENCE {
            tokio::time::sleep(pause).await;
            pause = pause.mul_f64(1.5);
            let shown: Value = good(self.get(&path)).await?.json().await?;
            if complete(&shown["stack"])? {
                self.outputs(&stack).await?;
                return Ok(stack);
            }
        }
        Err("a stack does not become complete".into())
    }

    /// So many at once, all of them to their addresses.
    pub(super) async fn many(&self, names: &[String]) -> Result<Vec<Stack>> {
        let stacks: Vec<Stack> = stream::iter(names)
            .map(|name| self.post(name))
            .buffer_unordered(IN_FLIGHT)
            .try_collect()
            .await?;
        let mut pause = FIRST;
        for _ in 0..PATIENCE {
            tokio::time::sleep(pause).await;
            pause = pause.mul_f64(1.5);
            let list: Value = good(self.get("stacks")).await?.json().await?;
            let mut left = stacks.len();
            for shown in list["stacks"].as_array().into_iter().flatten() {
                let ours = stacks.iter().any(|s| shown["id"] == *s.id);
                if ours && complete(shown)? {
                    left -= 1;
                }
            }
            if left == 0 {
                stream::iter(&stacks)
                    .map(|stack| self.outputs(stack))
                    .buffer_unordered(IN_FLIGHT)
                    .try_collect::<Vec<_>>()
                    .await?;
                return Ok(stacks);
            }
        }
        Err("not all stacks become complete".into())
    }

    // -- what is not measured --------------------------------------------------

    /// Deletes them, and waits until the project has no stack.
    pub(super) async fn delete(&self, stacks: &[Stack]) -> Result<()> {
        stream::iter(stacks)
            .map(|stack| async move {
                let path = format!("{}/stacks/{}/{}", self.heat, stack.name, stack.id);
                let request = self.http.delete(path).header("x-auth-token", &self.token);
                let answer = request.send().await?;
                // What is gone already is as good as deleted.
                match answer.status() == StatusCode::NOT_FOUND {
                    true => Ok(()),
                    false => accepted(answer).map(drop),
                }
            })
            .buffer_unordered(IN_FLIGHT)
            .try_collect::<Vec<_>>()
            .await?;
        self.until_none().await
    }

    /// The stack of this name, which somebody else has made.
    pub(super) async fn named(&self, name: &str) -> Result<Stack> {
        let list: Value = good(self.get(&format!("stacks?name={name}")))
            .await?
            .json()
            .await?;
        both_names(&list["stacks"][0]).ok_or_else(|| "no such stack".into())
    }

    /// Whether the project has no stack.
    pub(super) async fn is_alone(&self) -> Result<bool> {
        Ok(self.listed().await?.is_empty())
    }

    /// Deletes whatever the project has.
    pub(super) async fn clear(&self) -> Result<()> {
        let listed = self.listed().await?;
        let stacks: Vec<Stack> = listed.iter().filter_map(both_names).collect();
        self.delete(&stacks).await
    }

    async fn listed(&self) -> Result<Vec<Value>> {
        let mut list: Value = good(self.get("stacks")).await?.json().await?;
        match list["stacks"].take() {
            Value::Array(stacks) => Ok(stacks),
            _ => Err("a list without stacks".into()),
        }
    }

    /// Waits until the project has no stack.
    pub(super) async fn until_none(&self) -> Result<()> {
        let mut pause = FIRST;
        for _ in 0..10 * PATIENCE {
            tokio::time::sleep(pause).await;
            pause = pause.mul_f64(1.5).min(SLOWEST);
            if self.is_alone().await? {
                return Ok(());
            }
        }
        Err("stacks are left that do not go".into())
    }
}

fn both_names(listed: &Value) -> Option<Stack> {
    Some(Stack {
        name: listed["stack_name"].as_str()?.to_owned(),
        id: listed["id"].as_str()?.to_owned(),
    })
}

fn endpoint(answer: &Value) -> Option<String> {
    let heat = answer["token"]["catalog"]
        .as_array()?
        .iter()
        .find(|s| s["type"] == "orchestration")?;
    let endpoints = heat["endpoints"].as_array()?;
    let public = endpoints.iter().find(|e| e["interface"] == "public")?;
    public["url"].as_str().map(str::to_owned)
}

fn complete(stack: &Value) -> Result<bool> {
    match stack["stack_status"].as_str() {
        Some("CREATE_COMPLETE") => Ok(true),
        Some("CREATE_IN_PROGRESS") => Ok(false),
        other => Err(format!("a stack is {}", other.unwrap_or("without a status")).into()),
    }
}

async fn good(request: RequestBuilder) -> Result<Response> {
    accepted(request.send().await?)
}

fn accepted(answer: Response) -> Result<Response> {
    if answer.status().is_success() {
        return Ok(answer);
    }
    Err(format!("the cloud answers {}", answer.status()).into())
}
