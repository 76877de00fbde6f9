//! What can go wrong with a call, and what that means for the cloud.

use std::fmt;
use std::time::Duration;

use super::catalog::{Interface, Service};

/// What became of a call that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// The cloud is as it was before: nothing was sent, it was refused, or it was only a question.
    None,
    /// The cloud may have done it, or may still do it: look before trying again.
    Unknown,
}

/// Which call it was, in words that a person who reads the log understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Call {
    /// The service that was asked.
    pub service: Service,
    /// The operation, such as `create stack`.
    pub operation: &'static str,
    /// Whether it only reads, so that no failure of it can leave a trace.
    pub reads: bool,
}

impl Call {
    /// A call that changes nothing.
    pub const fn read(service: Service, operation: &'static str) -> Self {
        Self {
            service,
            operation,
            reads: true,
        }
    }

    /// A call that changes something.
    pub const fn write(service: Service, operation: &'static str) -> Self {
        Self {
            service,
            operation,
            reads: false,
        }
    }

    /// The effect of a failure after which the server may have worked on the request.
    pub(crate) const fn doubt(self) -> Effect {
        if self.reads {
            Effect::None
        } else {
            Effect::Unknown
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.service, self.operation)
    }
}

/// A service's answer that says no, brought from its several formats into one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Which call was refused.
    pub call: Call,
    /// HTTP status.
    pub status: u16,
    /// OpenStack's own name of the error (`StackExists`, `RequestLimitExceeded`), where it gave one.
    pub error_type: Option<String>,
    /// What the service said, cleaned and shortened; empty if it said nothing.
    pub message: String,
    /// The service's id of this request, for the people who run the cloud.
    pub request_id: Option<String>,
    /// How long the service asked to be left alone.
    pub retry_after: Option<Duration>,
    /// What became of the call.
    pub effect: Effect,
    /// What a person could do about it, where the service's own words do not tell.
    pub hint: Option<&'static str>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.call, self.status)?;
        if let Some(kind) = &self.error_type {
            write!(f, " {kind}")?;
        }
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        if let Some(id) = &self.request_id {
            write!(f, " ({id})")?;
        }
        if let Some(hint) = self.hint {
            write!(f, "; {hint}")?;
        }
        Ok(())
    }
}

/// How a call did not get its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// No connection came about, so nothing was sent.
    Connect,
    /// The server did not prove who it is, so nothing was sent.
    Untrusted,
    /// The time given to the call was over.
    Timeout,
    /// The connection broke after the request was on its way.
    Broken,
}

/// Everything that can go wrong in the wire client. Cheap to clone, because callers that waited
/// for one login share its failure.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The service answered, with an error.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// There was no answer.
    #[error("{call}: {what}")]
    Transport {
        /// Which call.
        call: Call,
        /// In which way it failed.
        how: Transport,
        /// What became of it.
        effect: Effect,
        /// The cause in words.
        what: String,
    },
    /// The service said yes in a form that cannot be understood.
    #[error("{call}: {what}")]
    Unreadable {
        /// Which call.
        call: Call,
        /// What became of it.
        effect: Effect,
        /// What is wrong with the answer.
        what: String,
    },
    /// The catalog of this project does not have the service where it was looked for.
    #[error("keystone: the catalog has no {service} ({interface}, {}); {known}", Region(.region.as_deref()))]
    NoEndpoint {
        /// Which service.
        service: Service,
        /// Which interface was wanted.
        interface: Interface,
        /// Which region was wanted; `None` if any would do.
        region: Option<String>,
        /// What the catalog has instead.
        known: String,
    },
    /// The request cannot be made from what the caller gave.
    #[error("{what}")]
    Invalid {
        /// What is wrong with it.
        what: String,
    },
    /// An image's bytes are not what they should be, or could not be read.
    #[error("image: {what}")]
    Image {
        /// What became of the image at the cloud.
        effect: Effect,
        /// What is wrong.
        what: String,
    },
}

struct Region<'a>(Option<&'a str>);

impl fmt::Display for Region<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(name) => write!(f, "region {name}"),
            None => f.write_str("any region"),
        }
    }
}

impl Error {
    pub(crate) fn invalid(what: impl Into<String>) -> Self {
        Self::Invalid { what: what.into() }
    }

    pub(crate) fn unreadable(call: Call, what: impl Into<String>) -> Self {
        Self::Unreadable {
            call,
            effect: call.doubt(),
            what: what.into(),
        }
    }

    /// What became of the call.
    pub fn effect(&self) -> Effect {
        match self {
            Self::Refused(refusal) => refusal.effect,
            Self::Transport { effect, .. }
            | Self::Unreadable { effect, .. }
            | Self::Image { effect, .. } => *effect,
            Self::NoEndpoint { .. } | Self::Invalid { .. } => Effect::None,
        }
    }

    /// The refusal, if a service gave one.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }

    /// HTTP status, if a service answered.
    pub fn status(&self) -> Option<u16> {
        self.refusal().map(|refusal| refusal.status)
    }

    /// OpenStack's own name of the error.
    pub fn error_type(&self) -> Option<&str> {
        self.refusal()?.error_type.as_deref()
    }

    /// Which call failed, if one was made. It may be the login that a call needed.
    pub fn call(&self) -> Option<Call> {
        match self {
            Self::Refused(refusal) => Some(refusal.call),
            Self::Transport { call, .. } | Self::Unreadable { call, .. } => Some(*call),
            _ => None,
        }
    }

    /// The service that failed.
    pub fn service(&self) -> Option<Service> {
        match self {
            Self::NoEndpoint { service, .. } => Some(*service),
            Self::Image { .. } => Some(Service::Image),
            _ => self.call().map(|call| call.service),
        }
    }

    /// The operation that failed.
    pub fn operation(&self) -> Option<&'static str> {
        self.call().map(|call| call.operation)
    }

    /// The service's id of the request.
    pub fn request_id(&self) -> Option<&str> {
        self.refusal()?.request_id.as_deref()
    }

    /// How long the service asked to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        self.refusal()?.retry_after
    }

    /// What a person could do about it.
    pub fn hint(&self) -> Option<&'static str> {
        if self.is_untrusted() {
            return Some(
                "if it is the right server, trust its authority: give the certificate as cacert \
                 with the credential, or name its file in [openstack]",
            );
        }
        self.refusal()?.hint
    }

    /// The server did not prove who it is.
    pub fn is_untrusted(&self) -> bool {
        matches!(
            self,
            Self::Transport {
                how: Transport::Untrusted,
                ..
            }
        )
    }

    /// The thing asked for does not exist (any more).
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(404)
            && self
                .call()
                .is_some_and(|call| call.service != Service::Identity)
    }

    /// A stack of this name is there already.
    pub fn is_stack_exists(&self) -> bool {
        self.status() == Some(409) && self.error_type() == Some("StackExists")
    }

    /// The request itself is larger than the service takes. Heat calls that by
    /// the same name as a quota that is used up, and only its words tell.
    pub fn is_too_large(&self) -> bool {
        let refusal = self.refusal();
        refusal.is_some_and(|r| r.message.contains("maximum allowed size"))
    }

    /// A quota of the project or a limit of the service stands against it.
    pub fn is_over_limit(&self) -> bool {
        self.error_type() == Some("RequestLimitExceeded") || self.status() == Some(413)
    }

    /// The service fell over something of its own, although it says that the
    /// request is wrong. Measured with Heat: a delete between the end of another
    /// one and the moment at which the stack is forgotten is answered by 400 and
    /// the name of Python's exception. Of a request with a template that may be
    /// the template's fault.
    pub fn is_of_its_own(&self) -> bool {
        let fell = self.status() == Some(400) && self.error_type() == Some("AttributeError");
        fell && self.call().is_some_and(|call| match call.operation {
            "delete stack" => true,
            "validate template" | "preview stack" => false,
            _ => call.reads,
        })
    }

    /// Nobody could be logged in with what was given, or the login is not enough.
    pub fn is_unauthorized(&self) -> bool {
        self.status() == Some(401)
            || (self.status() == Some(404)
                && self
                    .call()
                    .is_some_and(|call| call.service == Service::Identity))
    }

    /// Whether the same call could succeed later without anybody changing anything.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Transport { .. } => true,
            Self::Refused(_) if self.is_of_its_own() => true,
            Self::Refused(refusal) => {
                matches!(refusal.status, 408 | 425 | 429)
                    || (refusal.status >= 500 && !matches!(refusal.status, 501 | 505))
            }
            _ => false,
        }
    }
}
