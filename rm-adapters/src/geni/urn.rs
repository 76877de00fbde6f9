//! Names of GENI: `urn:publicid:IDN+authority+type+name`.

use std::fmt;
use std::str::FromStr;

use rm_core::Error;

/// What every such name begins with.
const SCHEME: &str = "urn:publicid:IDN+";

/// A name. Authority and type are compared without regard to case, as the
/// Internet's names are.
///
/// ```
/// use rm_adapters::geni::Urn;
/// let urn: Urn = "urn:publicid:IDN+geni:gpo:gcf+user+alice".parse()?;
/// assert_eq!((urn.authority(), urn.kind(), urn.name()), ("geni:gpo:gcf", "user", "alice"));
/// # Ok::<(), rm_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Urn {
    text: Box<str>,
    /// Where the `+` behind the authority is, and the one behind the type.
    plus: (usize, usize),
}

impl Urn {
    /// A name of its three parts, which may hold any character.
    pub fn new(authority: &str, kind: &str, name: &str) -> Self {
        let (authority, kind, name) = (
            transcribe(authority, true),
            transcribe(kind, false),
            transcribe(name, true),
        );
        let first = SCHEME.len() + authority.len();
        Self {
            plus: (first, first + 1 + kind.len()),
            text: format!("{SCHEME}{authority}+{kind}+{name}").into(),
        }
    }

    /// Who gave the name: `geni:gpo:gcf`.
    pub fn authority(&self) -> &str {
        self.text.get(SCHEME.len()..self.plus.0).unwrap_or_default()
    }

    /// What it names: `user`, `slice`, `sliver`, `authority`, ...
    pub fn kind(&self) -> &str {
        self.text
            .get(self.plus.0 + 1..self.plus.1)
            .unwrap_or_default()
    }

    /// The name in that authority.
    pub fn name(&self) -> &str {
        self.text.get(self.plus.1 + 1..).unwrap_or_default()
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The one spelling of all names that are equal to this one. Clients are told
    /// what they wrote; the rest of the house compares texts.
    pub(crate) fn spelling(&self) -> String {
        format!(
            "{SCHEME}{}+{}+{}",
            self.authority().to_ascii_lowercase(),
            self.kind().to_ascii_lowercase(),
            self.name()
        )
    }

    /// Whether this names an authority that may speak for the authority of
    /// `other`: the same, or one above it (`geni:gpo` for `geni:gpo:gcf`).
    pub fn is_authority_over(&self, other: &Self) -> bool {
        let (mine, theirs) = (self.authority(), other.authority());
        self.kind().eq_ignore_ascii_case("authority")
            && theirs
                .get(..mine.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(mine))
            && matches!(theirs.as_bytes().get(mine.len()), None | Some(b':'))
    }

    /// Whether this may be the name of a slice: a type `slice`, and a name of
    /// at most 19 letters, digits and hyphens that does not begin with one.
    pub fn is_slice(&self) -> bool {
        let name = self.name();
        self.kind().eq_ignore_ascii_case("slice")
            && (1..=19).contains(&name.len())
            && !name.starts_with('-')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    }
}

impl FromStr for Urn {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        let read = || {
            let scheme = text.get(..SCHEME.len())?;
            if !scheme.eq_ignore_ascii_case(SCHEME) || text.len() > 1024 {
                return None;
            }
            let rest = text.get(SCHEME.len()..)?;
            let (authority, kind_name) = rest.split_once('+')?;
            let (kind, name) = kind_name.split_once('+')?;
            let plain = rest.bytes().all(|b| b.is_ascii_graphic());
            if authority.is_empty() || kind.is_empty() || name.is_empty() || !plain {
                return None;
            }
            let first = SCHEME.len() + authority.len();
            Some(Self {
                text: format!("{SCHEME}{rest}").into(),
                plus: (first, first + 1 + kind.len()),
            })
        };
        read().ok_or_else(|| {
            Error::invalid(format!("{:?} is no URN of GENI", super::xml::short(text)))
                .code("bad-urn")
                .advice("write urn:publicid:IDN+authority+type+name")
        })
    }
}

impl fmt::Display for Urn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for Urn {
    fn eq(&self, other: &Self) -> bool {
        self.authority().eq_ignore_ascii_case(other.authority())
            && self.kind().eq_ignore_ascii_case(other.kind())
            && self.name() == other.name()
    }
}

impl Eq for Urn {}

/// RFC 3151: what may stand in a part of a name, and what the rest becomes.
fn transcribe(text: &str, colons: bool) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for c in text.trim().chars() {
        match c {
            ':' if colons => out.push(':'),
            c if c.is_ascii_graphic() && !"+:/;'?#%\"<>&".contains(c) => out.push(c),
            c => {
                let mut bytes = [0; 4];
                for b in c.encode_utf8(&mut bytes).bytes() {
                    let _ = write!(out, "%{b:02X}");
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urn(text: &str) -> Urn {
        text.parse().unwrap()
    }

    #[test]
    fn a_name_is_read_as_it_is_written() {
        for (text, parts) in [
            ("urn:publicid:IDN+a.b+slice+x", ("a.b", "slice", "x")),
            (
                "URN:PublicID:idn+a:b+node+x:eth0",
                ("a:b", "node", "x:eth0"),
            ),
            (
                "urn:publicid:IDN+a+image+emulab-ops//X+1",
                ("a", "image", "emulab-ops//X+1"),
            ),
        ] {
            let urn = urn(text);
            assert_eq!((urn.authority(), urn.kind(), urn.name()), parts);
        }
        for bad in [
            "",
            "alice",
            "urn:publicid:IDN+a+user",
            "urn:publicid:IDN++user+x",
            "urn:publicid:IDN+a+user+",
            "urn:publicid:IDN+a+user+x y",
        ] {
            assert!(bad.parse::<Urn>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_name_of_strange_characters_can_be_read_again() {
        let made = Urn::new("a:b", "sliver", "x y+z/'%\u{e9}");
        assert_eq!(urn(made.as_str()), made);
        assert_eq!(made.name(), "x%20y%2Bz%2F%27%25%C3%A9");
    }

    #[test]
    fn equal_names_are_spelled_alike_and_others_are_not() {
        let all = [
            "urn:publicid:IDN+Lab:One+user+alice",
            "URN:publicid:idn+lab:one+USER+alice",
            "urn:publicid:IDN+lab:one+user+Alice",
            "urn:publicid:IDN+lab:two+user+alice",
        ];
        for one in all.map(urn) {
            for other in all.map(urn) {
                assert_eq!(one == other, one.spelling() == other.spelling());
            }
        }
        assert_eq!(
            urn(all[1]).spelling(),
            "urn:publicid:IDN+lab:one+user+alice"
        );
    }

    #[test]
    fn an_authority_speaks_for_itself_and_for_those_below_it() {
        let sa = urn("urn:publicid:IDN+geni:gpo+authority+sa");
        assert!(sa.is_authority_over(&urn("urn:publicid:IDN+geni:gpo+slice+x")));
        assert!(sa.is_authority_over(&urn("urn:publicid:IDN+GENI:gpo:gcf+slice+x")));
        for not in [
            "urn:publicid:IDN+geni:gpox+slice+x",
            "urn:publicid:IDN+geni+slice+x",
            "urn:publicid:IDN+other+slice+x",
        ] {
            assert!(!sa.is_authority_over(&urn(not)), "{not}");
        }
        let user = urn("urn:publicid:IDN+geni:gpo+user+sa");
        assert!(!user.is_authority_over(&urn("urn:publicid:IDN+geni:gpo+slice+x")));
    }
}
