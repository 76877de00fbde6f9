//! Heat: stacks.

mod inside;
mod list;
mod request;
mod stack;
mod status;

pub use inside::{Event, EventQuery, ResourceQuery, StackResource};
pub use list::{IN_ONE_CALL, StackFilter, StackPage};
pub use request::{CreateStack, Parameters, Template, UpdateStack};
pub use stack::{Output, Preview, PreviewResource, Stack, StackRef, Validated, ValidatedParameter};
pub use status::{Action, StackStatus, State};

use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use super::catalog::Service;
use super::error::{Call, Error};
use super::session::Session;
use super::wire::{Ask, parsed};

/// Heat's calls.
#[derive(Clone, Debug)]
pub struct Heat {
    session: Session,
}

#[derive(Deserialize)]
struct StackAnswer<T> {
    stack: T,
}

#[derive(Deserialize)]
struct OutputAnswer {
    output: Output,
}

#[derive(Deserialize)]
struct Created {
    id: String,
}

const fn read(operation: &'static str) -> Call {
    Call::read(Service::Orchestration, operation)
}

const fn write(operation: &'static str) -> Call {
    Call::write(Service::Orchestration, operation)
}

impl Heat {
    /// Heat of a session's cloud.
    pub fn new(session: Session) -> Self {
        Self { session }
    }

    /// The session behind it.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Asks for a stack. It exists when this returns, and is being built.
    ///
    /// # Errors
    /// See [`Error`]; [`Error::is_stack_exists`] if the name is taken.
    pub async fn create(&self, stack: &CreateStack) -> Result<StackRef, Error> {
        let ask = Ask::new(Method::POST, &["stacks"]).json(&stack.body()?)?;
        let call = write("create stack");
        let created: StackAnswer<Created> = self.session.ask(call, &ask).await?;
        Ok(StackRef {
            name: stack.name.clone(),
            id: created.stack.id,
        })
    }

    /// A stack without its outputs, which are the expensive part: the call to poll with.
    ///
    /// # Errors
    /// See [`Error`]; [`Error::is_not_found`] if there is none.
    pub async fn show(&self, stack: &StackRef) -> Result<Stack, Error> {
        let ask = Ask::get(&stack.path()).query("resolve_outputs", "False");
        let answer: StackAnswer<Stack> = self.session.ask(read("show stack"), &ask).await?;
        Ok(answer.stack)
    }

    /// A stack with its outputs, each of which Heat works out anew. Ask once, at the end.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn show_full(&self, stack: &StackRef) -> Result<Stack, Error> {
        let ask = Ask::get(&stack.path());
        let answer: StackAnswer<Stack> = self.session.ask(read("show outputs"), &ask).await?;
        Ok(answer.stack)
    }

    /// The template that a stack was made by, or was last changed by.
    ///
    /// # Errors
    /// See [`Error`]; [`Error::is_not_found`] if there is no such stack.
    pub async fn template(&self, stack: &StackRef) -> Result<serde_json::Value, Error> {
        let [stacks, name, id] = stack.path();
        let ask = Ask::get(&[stacks, name, id, "template"]);
        self.session.ask(read("show template"), &ask).await
    }

    /// The living stack of this name or id, without outputs.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn find(&self, name_or_id: &str) -> Result<Option<Stack>, Error> {
        let ask = Ask::get(&["stacks", name_or_id]).query("resolve_outputs", "False");
        match self.session.ask(read("find stack"), &ask).await {
            // For a moment after its end, a stack still answers to its name; to its id, for long.
            Ok(StackAnswer::<Stack> { stack }) => {
                Ok(Some(stack).filter(|stack| !stack.status.is_deleted()))
            }
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// One output.
    ///
    /// # Errors
    /// See [`Error`]; [`Error::is_not_found`] if the template has no such output.
    pub async fn output(&self, stack: &StackRef, key: &str) -> Result<Output, Error> {
        let [stacks, name, id] = stack.path();
        let ask = Ask::get(&[stacks, name, id, "outputs", key]);
        let answer: OutputAnswer = self.session.ask(read("show output"), &ask).await?;
        Ok(answer.output)
    }

    /// Asks for a change. Without a template the stack keeps its own, and the parameters that are
    /// not named keep their values.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn update(&self, stack: &StackRef, update: &UpdateStack) -> Result<(), Error> {
        let method = if update.template.is_some() {
            Method::PUT
        } else {
            Method::PATCH
        };
        let ask = Ask::new(method, &stack.path()).json(&update.body()?)?;
        self.session.send(write("update stack"), &ask).await?;
        Ok(())
    }

    /// Asks for a stack to be deleted; `false` if there is none (any more). It is gone when a
    /// show says so, not when this returns.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn delete(&self, stack: &StackRef) -> Result<bool, Error> {
        let ask = Ask::new(Method::DELETE, &stack.path());
        match self.session.send(write("delete stack"), &ask).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Has a template checked without making anything.
    ///
    /// # Errors
    /// See [`Error`]; a bad template is a refusal with status 400.
    pub async fn validate(&self, template: &Template) -> Result<Validated, Error> {
        let ask = Ask::new(Method::POST, &["validate"]).json(&json!({ "template": template }))?;
        self.session.ask(read("validate template"), &ask).await
    }

    /// What a create would make.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn preview(&self, stack: &CreateStack) -> Result<Preview, Error> {
        let ask = Ask::new(Method::POST, &["stacks", "preview"]).json(&stack.body()?)?;
        let call = read("preview stack");
        let answer: StackAnswer<Preview> = parsed(call, &self.session.send(call, &ask).await?)?;
        Ok(answer.stack)
    }
}
