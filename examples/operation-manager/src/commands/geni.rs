//! A small authority of GENI in a folder: what a newcomer needs to try every
//! call without joining a federation.
//!
//! ```text
//! geni.toml                        the section of the configuration
//! roots/root.pem                   whom the aggregate trusts
//! root.key                         whoever has it is trusted
//! authority.pem, authority.key     certifies users and slices, signs credentials
//! aggregate.pem, aggregate.key     the door's own
//! users/NAME/certificate.pem, key.pem, credential.xml
//! slices/NAME/certificate.pem, USER.xml
//! ```

use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rm_adapters::TokioEnv;
use rm_adapters::geni::Urn;
use rm_adapters::geni::credentials::{Certificate, Grant, Issuer, Privilege};
use rm_core::env::Env;
use serde_json::{Value, json};

use crate::cli::{GeniCommand, GeniInit, OfAuthority};
use crate::failure::{Failure, Result};
use crate::files;
use crate::output::{Output, cell};

mod authority;

use authority::{Authority, Life, Made, Role};

const SECTION: &str = "geni.toml";
const DAY: u64 = 86_400;

/// What users have of themselves.
const OF_USERS: [&str; 3] = ["refresh", "resolve", "info"];
/// What they have of their slices.
const OF_SLICES: [&str; 5] = ["refresh", "embed", "bind", "control", "info"];

pub(super) fn run(command: &GeniCommand, out: Output) -> Result<()> {
    match command {
        GeniCommand::Init(init) => self::init(init, out),
        GeniCommand::User { of, name } => {
            let made = Testbed::open(of)?.user(name)?;
            out.show(&made, |made| format!("Made {}", cell(&made["folder"])))
        }
        GeniCommand::Slice { of, name, user } => {
            let made = Testbed::open(of)?.slice(name, user)?;
            out.show(&made, |made| format!("Made {}", cell(&made["credential"])))
        }
        GeniCommand::Shut(_) => Err(Failure::usage(
            "slices that were shut down are asked for in the store, and of no authority",
        )),
    }
}

fn init(init: &GeniInit, out: Output) -> Result<()> {
    let dir = absolute(&init.of.dir)?;
    check_authority(&init.authority)?;
    check_user(&init.user)?;
    check_hosts(&init.host)?;
    let urn = |kind: &str, name: &str| Urn::new(&init.authority, kind, name);
    check_slice(&urn("slice", &init.slice))?;
    if fs::read_dir(&dir).is_ok_and(|mut all| all.next().is_some()) || dir.is_file() {
        return Err(Failure::refused(format!(
            "{} exists, and nothing is overwritten",
            dir.display()
        ))
        .advice("choose another folder, or move the old one away"));
    }
    let life = life(init.of.days);
    let (root, made) = Authority::root(&urn("authority", "root"), life)?;
    let aggregate = root.certify(&urn("authority", "am"), Role::Server(&init.host), life)?;
    let authority = root.certify(&urn("authority", "sa"), Role::Authority, life)?;

    folder(&dir.join("roots"))?;
    files::create_private(&dir.join("roots/root.pem"), &made.certificate)?;
    files::create_private(&dir.join("root.key"), &made.key)?;
    keep(
        &dir.join("authority.pem"),
        &dir.join("authority.key"),
        &authority,
        "",
    )?;
    keep(
        &dir.join("aggregate.pem"),
        &dir.join("aggregate.key"),
        &aggregate,
        "",
    )?;
    let section = section(&dir, init);
    files::create_private(&dir.join(SECTION), &section)?;
    let testbed = Testbed::open(&init.of)?;
    let user = testbed.user(&init.user)?;
    let slice = testbed.slice(&init.slice, &init.user)?;
    let made = json!({
        "folder": dir,
        "aggregate": urn("authority", "am").as_str(),
        "section": dir.join(SECTION),
        "url": url(init),
        "user": user,
        "slice": slice,
    });
    out.show(&made, |made| told(made, &section))
}

/// An authority that is there.
struct Testbed {
    dir: PathBuf,
    certificates: Vec<Certificate>,
    text: String,
    authority: Authority,
    issuer: Issuer,
    life: Life,
}

impl Testbed {
    fn open(of: &OfAuthority) -> Result<Self> {
        let dir = absolute(&of.dir)?;
        let file = dir.join("authority.pem");
        let text = fs::read_to_string(&file).map_err(|e| {
            Failure::usage(format!("cannot read {}", file.display()))
                .detail(e.kind().to_string())
                .advice("make an authority with \"operation-manager geni init DIR\"")
        })?;
        let key = files::read_private("the authority's key", &dir.join("authority.key"))?;
        let certificates = Certificate::from_pem(&text)?;
        let own = first(&certificates)?;
        let mut life = life(of.days);
        life.until = life.until.min(own.until());
        Ok(Self {
            authority: Authority::read(own, &key)?,
            issuer: Issuer::new(&text, &key)?,
            dir,
            certificates,
            text,
            life,
        })
    }

    fn urn(&self, kind: &str, name: &str) -> Result<Urn> {
        let own = first(&self.certificates)?.urn();
        let own = own.ok_or_else(|| Failure::usage("the authority's certificate has no URN"))?;
        Ok(Urn::new(own.authority(), kind, name))
    }

    /// A user of this name, with a certificate and a credential.
    fn user(&self, name: &str) -> Result<Value> {
        check_user(name)?;
        let urn = self.urn("user", name)?;
        let folder = self.dir.join("users").join(name);
        make_once(&folder)?;
        let made = self.authority.certify(&urn, Role::User, self.life)?;
        let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
        keep(&certificate, &key, &made, &self.text)?;
        let user = Certificate::from_pem(&fs_text(&certificate)?)?;
        let credential = folder.join("credential.xml");
        files::create_private(&credential, &self.grant(&user, &user, &OF_USERS)?)?;
        Ok(json!({
            "urn": urn.as_str(), "folder": folder, "certificate": certificate,
            "key": key, "credential": credential, "until": self.life.until.to_string(),
        }))
    }

    /// A credential of a user's for a slice.
    fn slice(&self, name: &str, user: &str) -> Result<Value> {
        check_user(user)?;
        let urn = self.urn("slice", name)?;
        check_slice(&urn)?;
        let owner = self.dir.join("users").join(user).join("certificate.pem");
        if !owner.is_file() {
            return Err(Failure::refused(format!("there is no user {user:?}"))
                .advice("make one with \"operation-manager geni user DIR NAME\""));
        }
        let owner = Certificate::from_pem(&fs_text(&owner)?)?;
        let folder = self.dir.join("slices").join(name);
        let certificate = folder.join("certificate.pem");
        if !folder.is_dir() {
            make_once(&folder)?;
            // Nobody speaks as a slice: its key is not kept.
            let made = self.authority.certify(&urn, Role::Slice, self.life)?;
            files::create_private(&certificate, &format!("{}{}", made.certificate, self.text))?;
        }
        let slice = Certificate::from_pem(&fs_text(&certificate)?)?;
        let credential = folder.join(format!("{user}.xml"));
        files::create_private(&credential, &self.grant(&owner, &slice, &OF_SLICES)?)?;
        Ok(json!({
            "urn": urn.as_str(), "folder": folder, "certificate": certificate,
            "credential": credential, "until": self.life.until.to_string(),
        }))
    }

    fn grant(
        &self,
        owner: &[Certificate],
        target: &[Certificate],
        privileges: &[&str],
    ) -> Result<String> {
        let privileges: Vec<Privilege> = privileges
            .iter()
            .map(|name| Privilege {
                name: (*name).to_owned(),
                can_delegate: true,
            })
            .collect();
        Ok(self.issuer.credential(&Grant {
            owner,
            target,
            privileges: &privileges,
            expires: self.life.until,
        })?)
    }
}

fn first(certificates: &[Certificate]) -> Result<&Certificate> {
    certificates
        .first()
        .ok_or_else(|| Failure::usage("the authority has no certificate"))
}

fn life(days: u32) -> Life {
    let now = TokioEnv::new().now();
    Life {
        now,
        until: now.plus(Duration::from_secs(u64::from(days) * DAY)),
    }
}

fn check_authority(name: &str) -> Result<()> {
    let part = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'))
    };
    if name.len() <= 40 && name.split(':').all(part) {
        return Ok(());
    }
    Err(Failure::usage("that is no name of an authority").advice(
        "write parts of letters, digits, dots and hyphens with colons between, 40 together at the most",
    ))
}

fn check_hosts(hosts: &[String]) -> Result<()> {
    let plain = |host: &String| {
        host.parse::<IpAddr>().is_ok()
            || !host.is_empty()
                && host
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'))
    };
    if hosts.iter().all(plain) {
        return Ok(());
    }
    Err(Failure::usage("that is no name or address of a machine")
        .advice("write --host am.example.org or --host 192.0.2.7"))
}

fn check_user(name: &str) -> Result<()> {
    let fits = (1..=8).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if fits {
        return Ok(());
    }
    Err(Failure::usage("that is no name of a user")
        .advice("write a letter, then up to 7 letters, digits and underscores"))
}

fn check_slice(urn: &Urn) -> Result<()> {
    if urn.is_slice() {
        return Ok(());
    }
    Err(Failure::usage("that is no name of a slice")
        .advice("write up to 19 letters, digits and hyphens, with no hyphen at the beginning"))
}

/// Keeps a certificate with those above it, and its key.
fn keep(certificate: &Path, key: &Path, made: &Made, above: &str) -> Result<()> {
    files::create_private(certificate, &format!("{}{above}", made.certificate))?;
    files::create_private(key, &made.key)
}

fn make_once(dir: &Path) -> Result<()> {
    if fs::symlink_metadata(dir).is_ok() {
        return Err(Failure::refused(format!(
            "{} exists, and nothing is overwritten",
            dir.display()
        ))
        .advice("choose another name"));
    }
    folder(dir)
}

/// A folder for its owner alone.
fn folder(dir: &Path) -> Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|e| {
            Failure::refused(format!("cannot make {}", dir.display())).detail(e.kind().to_string())
        })
}

fn fs_text(file: &Path) -> Result<String> {
    fs::read_to_string(file).map_err(|e| {
        Failure::refused(format!("cannot read {}", file.display())).detail(e.kind().to_string())
    })
}

fn absolute(dir: &Path) -> Result<PathBuf> {
    std::path::absolute(dir)
        .map_err(|e| Failure::usage("that is no directory").detail(e.kind().to_string()))
}

fn host(init: &GeniInit) -> &str {
    init.host.first().map_or("127.0.0.1", String::as_str)
}

fn url(init: &GeniInit) -> String {
    let (host, port) = (host(init), init.port);
    match host.contains(':') {
        true => format!("https://[{host}]:{port}"),
        false => format!("https://{host}:{port}"),
    }
}

fn section(dir: &Path, init: &GeniInit) -> String {
    // A JSON string of printable text is a TOML string, too.
    let file = |name: &str| Value::from(dir.join(name).display().to_string());
    let address = match host(init).parse::<IpAddr>() {
        Ok(own) if own.is_loopback() => own.to_string(),
        Ok(IpAddr::V6(_)) => "::".to_owned(),
        Err(_) if host(init) == "localhost" => "127.0.0.1".to_owned(),
        _ => "0.0.0.0".to_owned(),
    };
    let url = match address == host(init) {
        true => String::new(),
        false => format!("url = \"{}\"\n", url(init)),
    };
    format!(
        "
# GENI's experimenters, versions 2 and 3 of the aggregate manager API.
[geni]
address = \"{address}\"
port = {port}
{url}certificate = {certificate}
key = {key}
roots = {roots}
# Whose credentials of the catalog are used for slices.
tenant = \"operator\"
",
        port = init.port,
        certificate = file("aggregate.pem"),
        key = file("aggregate.key"),
        roots = file("roots"),
    )
}

fn told(made: &Value, section: &str) -> String {
    let (user, slice) = (&made["user"], &made["slice"]);
    format!(
        "Made in {folder}:

  roots/         whom the aggregate trusts
  root.key, authority.key
                 whoever has them makes users and slices; keep them to yourself
  users/, slices/
                 what experimenters are given: certificate, key, credentials

Add to the configuration of the daemon (it is in {SECTION}, too):
{section}
Then {user_urn} calls {url}/xmlrpc/am/2.0 and /3.0 with
  {certificate}
  {key}
and brings {credential}
or, for {slice_urn},
           {slice_credential}
",
        folder = cell(&made["folder"]),
        url = cell(&made["url"]),
        user_urn = cell(&user["urn"]),
        certificate = cell(&user["certificate"]),
        key = cell(&user["key"]),
        credential = cell(&user["credential"]),
        slice_urn = cell(&slice["urn"]),
        slice_credential = cell(&slice["credential"]),
    )
}
