//! The one error of the house.
//!
//! An adapter maps [`ErrorKind`]s to the codes of its contract in one table;
//! the engine looks only at [`Error::is_temporary`] and [`Error::effect`].

use std::fmt;
use std::time::Duration;

use crate::id::ResourceId;

/// What `rm-core` and everything above it returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request itself is wrong; the same request will always be refused.
    Invalid,
    /// Nobody knows who is calling.
    Unauthenticated,
    /// The caller is known and may not do this.
    Forbidden,
    /// There is no such thing, or it is not the caller's.
    NotFound,
    /// It was there, and it will not come back.
    Gone,
    /// A thing of that name exists already.
    Exists,
    /// The request contradicts what is there (another body under one key, a
    /// cluster that is too small, a stale version).
    Conflict,
    /// Not now: the resource is in a state in which this verb is not legal.
    Busy,
    /// The tenant's own limit is reached.
    Quota,
    /// The site has no room.
    NoCapacity,
    /// This backend or this build cannot do it.
    Unsupported,
    /// The site does not accept the stored credential.
    Credential,
    /// A site, the store or another service cannot be reached.
    Unavailable,
    /// The other side asks to be called less often.
    RateLimited,
    /// It took longer than it was allowed to.
    Timeout,
    /// The real thing says that it failed.
    Failed,
    /// Another engine holds the claim now; what was about to be done is its work.
    Fenced,
    /// The store holds something that cannot be read.
    Corrupt,
    /// A defect of this program.
    Internal,
}

impl ErrorKind {
    /// The stable name of the kind, as problem documents carry it.
    pub fn code(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not-found",
            Self::Gone => "gone",
            Self::Exists => "exists",
            Self::Conflict => "conflict",
            Self::Busy => "busy",
            Self::Quota => "quota",
            Self::NoCapacity => "no-capacity",
            Self::Unsupported => "unsupported",
            Self::Credential => "credential",
            Self::Unavailable => "unavailable",
            Self::RateLimited => "rate-limited",
            Self::Timeout => "timeout",
            Self::Failed => "failed",
            Self::Fenced => "fenced",
            Self::Corrupt => "corrupt",
            Self::Internal => "internal",
        }
    }

    /// Whether trying again later may help, when nothing else is said.
    fn usually_temporary(self) -> bool {
        matches!(
            self,
            Self::Unavailable | Self::RateLimited | Self::Timeout | Self::NoCapacity
        )
    }
}

/// What became of the thing that was asked of a real system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Certainly nothing was changed.
    None,
    /// It may have been done; the engine looks before it acts again.
    Unknown,
}

/// One sentence of what happened, one of what to do, and what a program needs.
///
/// Neither sentence may hold a secret, a token or a full URL.
///
/// ```
/// use rm_core::{Error, ErrorKind};
/// let e = Error::new(ErrorKind::NotFound, "there is no appliance \"hadop\"")
///     .advice("the appliances are: hadoop");
/// assert_eq!(e.to_string(), "there is no appliance \"hadop\"; the appliances are: hadoop");
/// assert!(!e.is_temporary());
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    code: Option<&'static str>,
    temporary: bool,
    effect: Effect,
    what: String,
    advice: Option<String>,
    operation: Option<&'static str>,
    resource: Option<ResourceId>,
    site: Option<String>,
    retry_after: Option<Duration>,
    source: Option<Box<dyn std::error::Error + Send + Sync + 'static>>,
}

impl Error {
    /// An error whose effect is known to be none.
    pub fn new(kind: ErrorKind, what: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            code: None,
            temporary: kind.usually_temporary(),
            effect: Effect::None,
            what: what.into(),
            advice: None,
            operation: None,
            resource: None,
            site: None,
            retry_after: None,
            source: None,
        }))
    }

    /// The request is wrong: shorthand for the most frequent kind.
    pub fn invalid(what: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, what)
    }

    /// There is no such thing: shorthand.
    pub fn not_found(what: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, what)
    }

    /// Says what to do next, for people.
    #[must_use]
    pub fn advice(mut self, advice: impl Into<String>) -> Self {
        self.0.advice = Some(advice.into());
        self
    }

    /// A stable code finer than the kind's own.
    #[must_use]
    pub fn code(mut self, code: &'static str) -> Self {
        self.0.code = Some(code);
        self
    }

    /// Which operation it was.
    #[must_use]
    pub fn operation(mut self, operation: &'static str) -> Self {
        self.0.operation = Some(operation);
        self
    }

    /// Which resource it was about.
    #[must_use]
    pub fn resource(mut self, id: ResourceId) -> Self {
        self.0.resource = Some(id);
        self
    }

    /// At which site it happened.
    #[must_use]
    pub fn site(mut self, site: impl Into<String>) -> Self {
        self.0.site = Some(site.into());
        self
    }

    /// The other side said how long to wait.
    #[must_use]
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.0.retry_after = Some(after);
        self.0.temporary = true;
        self
    }

    /// The request may have been carried out although it failed.
    #[must_use]
    pub fn effect_unknown(mut self) -> Self {
        self.0.effect = Effect::Unknown;
        self
    }

    /// Trying again may help.
    #[must_use]
    pub fn temporary(mut self) -> Self {
        self.0.temporary = true;
        self
    }

    /// Trying again cannot help.
    #[must_use]
    pub fn permanent(mut self) -> Self {
        self.0.temporary = false;
        self
    }

    /// What lies below.
    #[must_use]
    pub fn because(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync + 'static>>,
    ) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What went wrong, for programs.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The stable code: the finer one where there is one, else the kind's.
    pub fn stable_code(&self) -> &'static str {
        self.0.code.unwrap_or(self.0.kind.code())
    }

    /// Whether trying again may help.
    pub fn is_temporary(&self) -> bool {
        self.0.temporary
    }

    /// What became of the effect.
    pub fn effect(&self) -> Effect {
        self.0.effect
    }

    /// What happened, without the advice.
    pub fn what(&self) -> &str {
        &self.0.what
    }

    /// What to do next, where there is something to say.
    pub fn next(&self) -> Option<&str> {
        self.0.advice.as_deref()
    }

    /// How long the other side asked to wait.
    pub fn wait(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The site it happened at.
    pub fn at_site(&self) -> Option<&str> {
        self.0.site.as_deref()
    }

    /// The resource it was about.
    pub fn about(&self) -> Option<ResourceId> {
        self.0.resource
    }

    /// The operation it was.
    pub fn during(&self) -> Option<&'static str> {
        self.0.operation
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.what)?;
        match &self.0.advice {
            Some(advice) => write!(f, "; {advice}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner {
            kind,
            code,
            temporary,
            effect,
            what,
            advice,
            operation,
            resource,
            site,
            retry_after,
            source,
        } = &*self.0;
        f.debug_struct("Error")
            .field("kind", kind)
            .field("code", code)
            .field("temporary", temporary)
            .field("effect", effect)
            .field("what", what)
            .field("advice", advice)
            .field("operation", operation)
            .field("resource", resource)
            .field("site", site)
            .field("retry_after", retry_after)
            .field("source", &source.as_ref().map(ToString::to_string))
            .finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0
            .source
            .as_ref()
            .map(|s| &**s as &(dyn std::error::Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_pointer_wide() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }

    #[test]
    fn a_retry_hint_makes_it_temporary() {
        let e = Error::new(ErrorKind::Failed, "x").retry_after(Duration::from_secs(1));
        assert!(e.is_temporary());
        assert_eq!(e.effect(), Effect::None);
    }
}
