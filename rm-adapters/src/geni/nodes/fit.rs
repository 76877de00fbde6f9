//! What a node of a request means: the spec of a node, and where it may be.

use rm_core::catalog::Image;
use rm_core::model::{NodeImage, NodeSpec, Power};
use rm_core::{Error, ErrorKind, Result};

use super::urn_of;
use crate::geni::Urn;
use crate::geni::component::{named, shares};
use crate::geni::rspec::{DiskImage, Node, Services};
use crate::geni::xml::short;

/// What is given where a request cannot say it.
const VCPUS: u32 = 1;
const MEMORY_MIB: u64 = 512;

/// What a node is to be, beside what it is called.
pub(super) fn spec(node: &Node, images: &[Image], aggregate: &Urn) -> Result<NodeSpec> {
    shares(node)?;
    let asked = node.sliver_types.iter().flat_map(|t| &t.disk_images).next();
    let image = image(node, asked, images, aggregate)?;
    let mut boot_commands = Vec::new();
    for services in &node.services {
        commands(node, services, &mut boot_commands)?;
    }
    Ok(NodeSpec {
        image: NodeImage {
            name: image.name.clone(),
            sha256: image.sha256.clone(),
        },
        vcpus: VCPUS,
        memory_mib: MEMORY_MIB,
        disk_gib: None,
        interfaces: Vec::new(),
        hostname: node.client_id.as_deref().and_then(hostname),
        users: Vec::new(),
        user_data: String::new(),
        boot_commands,
        power: Power::Stopped,
        requests: Vec::new(),
        ready_port: None,
    })
}

/// The image by its URN or its name; the first there is where none is asked for.
fn image<'a>(
    node: &Node,
    asked: Option<&DiskImage>,
    images: &'a [Image],
    aggregate: &Urn,
) -> Result<&'a Image> {
    let there = || -> String {
        let names: Vec<&str> = images.iter().map(|i| i.name.as_str()).collect();
        match names.is_empty() {
            true => "the catalog of this aggregate has no image yet".to_owned(),
            false => format!("the images are: {}", names.join(", ")),
        }
    };
    if asked.is_some_and(|image| image.url.is_some()) {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("{} wants an image from elsewhere", named(node)),
        )
        .code("image-from-elsewhere")
        .advice(there()));
    }
    let name = asked.and_then(|image| image.name.as_deref()).map(str::trim);
    let found = match name.filter(|name| !name.is_empty()) {
        Some(name) => images.iter().find(|image| {
            image.name == name
                || name
                    .parse::<Urn>()
                    .is_ok_and(|urn| urn == urn_of(aggregate, image))
        }),
        None => images.iter().min_by(|a, b| a.name.cmp(&b.name)),
    };
    found.ok_or_else(|| {
        Error::invalid(match name {
            Some(name) => format!(
                "{} wants the image {:?}, which is not here",
                named(node),
                short(name)
            ),
            None => format!("there is no image for {}", named(node)),
        })
        .code("unknown-image")
        .advice(there())
    })
}

/// What is fetched and run when it first boots.
fn commands(node: &Node, services: &Services, into: &mut Vec<String>) -> Result<()> {
    for install in &services.installs {
        let (url, path) = (
            install.url.as_deref().unwrap_or_default(),
            install.install_path.as_deref().unwrap_or_default(),
        );
        let (url, path) = (quoted(url), quoted(path));
        into.push(format!(
            "mkdir -p {path} && (wget -q -O - {url} || curl -fsSL {url}) | tar -xz -C {path}"
        ));
    }
    for execute in &services.executes {
        let shell = execute.shell.as_deref().unwrap_or("sh").trim();
        let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
        if shell.is_empty() || shell.starts_with('-') || !shell.chars().all(plain) {
            return Err(Error::invalid(format!(
                "{} wants a command run by {:?}, which is no shell",
                named(node),
                short(shell)
            ))
            .code("wrong-shell")
            .advice("write shell=\"sh\""));
        }
        let command = execute.command.as_deref().unwrap_or_default();
        into.push(format!("{shell} -c {}", quoted(command)));
    }
    Ok(())
}

/// As one word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// What a guest can call itself, where the experimenter's name for it is that.
fn hostname(name: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let good = (1..=63).contains(&name.len())
        && name.chars().all(plain)
        && !name.starts_with('-')
        && !name.ends_with('-');
    good.then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_for_a_shell_is_one_word_whatever_is_in_it() {
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's; rm -rf /"), "'it'\\''s; rm -rf /'");
    }

    #[test]
    fn a_name_that_no_host_can_have_is_left_out() {
        assert_eq!(hostname("vm-1"), Some("vm-1".to_owned()));
        for bad in ["", "-a", "a-", "a b", "a.b", "gr\u{f6}\u{df}e"] {
            assert_eq!(hostname(bad), None, "{bad}");
        }
    }
}
