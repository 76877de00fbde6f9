//! The aggregate: what a host says of itself to GENI.

use rm_core::{Caller, Tenant};

use super::Urn;
use super::slice::Lifetimes;

/// Whether a slice of version 3 that has slivers can ask for more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Allocating {
    /// Not before they are all deleted, as in version 2.
    Single,
    /// As often as it likes, for what has nothing to do with what it has.
    #[default]
    Disjoint,
}

impl Allocating {
    /// GENI's word. There is no third one here, `geni_many`: a link never ends at
    /// a node that is made already.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Single => "geni_single",
            Self::Disjoint => "geni_disjoint",
        }
    }
}

/// What a host says of itself to GENI.
#[derive(Debug, Clone)]
pub struct Aggregate {
    /// Its URN, of the type `authority`.
    pub urn: Urn,
    /// Where its clients reach it, `https://host:port` without a path.
    pub base: String,
    /// Whether version 2 lists what there is to who brings no credential.
    pub open_v2: bool,
    /// The same for version 3.
    pub open_v3: bool,
    /// How often a slice can ask for something, by version 3.
    pub allocating: Allocating,
    /// Whether slivers of a slice that have come as far as each other are looked
    /// into, provisioned, renewed and deleted together or not at all, by version 3.
    pub single_allocation: bool,
    /// How long slivers are left as they are.
    pub lifetimes: Lifetimes,
    /// By whose credentials sites are used for slices: the catalog's for this
    /// tenant. It is called as the authority of the URN is, in small letters,
    /// where nothing else is said.
    pub tenant: Tenant,
}

impl Aggregate {
    /// One of this name at this place; version 2 lists to everybody who has a
    /// certificate, as is custom, version 3 does not.
    pub fn new(urn: Urn, base: impl Into<String>) -> Self {
        let tenant = Tenant(urn.authority().to_ascii_lowercase());
        Self {
            urn,
            tenant,
            base: base.into(),
            open_v2: true,
            open_v3: false,
            allocating: Allocating::default(),
            single_allocation: false,
            lifetimes: Lifetimes::default(),
        }
    }

    /// Who uses the sites for slices.
    pub(in crate::geni) fn means(&self) -> Caller {
        Caller::user(self.urn.spelling(), self.tenant.0.clone())
    }
}
