//! A domain as libvirt reads it: XML out of types, with everything escaped.

use std::fmt::Write as _;
use std::path::Path;

use quick_xml::events::{BytesStart, BytesText, Event};
use quick_xml::{Reader, Writer};
use rm_libvirt::Uuid;

use super::kind::Kind;
use super::metadata;
use crate::driver::{Definition, Error, Nic, Result, Size};
use crate::links::is_link;

/// In so many microseconds a processor has so many to give.
const PERIOD: u64 = 100_000;

/// What a domain boots.
#[derive(Debug)]
pub(super) enum Boot<'a> {
    /// Nothing that the driver would read.
    Nothing,
    /// The root of a file system, and the program that is its first process.
    Root { root: &'a Path, init: &'a str },
    /// A kernel on the host.
    Kernel {
        kernel: &'a str,
        initrd: Option<&'a str>,
        cmdline: &'a str,
    },
}

/// A file of the host that a machine sees as a disk.
#[derive(Debug)]
pub(super) struct Drive {
    path: String,
    format: &'static str,
    writable: bool,
}

impl Drive {
    pub(super) fn writable(path: String, format: &'static str) -> Self {
        Self {
            path,
            format,
            writable: true,
        }
    }

    pub(super) fn read_only(path: String) -> Self {
        Self {
            path,
            format: "raw",
            writable: false,
        }
    }

    fn write(&self, xml: &mut Xml, letter: char) {
        let all = [("type", "file"), ("device", "disk"), ("snapshot", "no")];
        // Of what nobody writes to there is nothing to keep.
        xml.open("disk", if self.writable { &all[..2] } else { &all });
        xml.empty("driver", &[("name", "qemu"), ("type", self.format)]);
        xml.empty("source", &[("file", &self.path)]);
        xml.empty(
            "target",
            &[("dev", &format!("vd{letter}")), ("bus", "virtio")],
        );
        if !self.writable {
            xml.raw("<readonly/>");
        }
        xml.close("disk");
    }
}

/// The whole document; with a UUID, that of the domain of this name and UUID.
///
/// # Errors
///
/// [`Error::Invalid`] for text that no XML can hold.
pub(super) fn domain(
    kind: Kind,
    new: &Definition,
    uuid: Option<Uuid>,
    boot: &Boot<'_>,
    drives: &[Drive],
) -> Result<String> {
    let mut xml = Xml::default();
    xml.open("domain", &[("type", kind.domain_type())]);
    xml.text("name", &[], &new.name);
    if let Some(uuid) = uuid {
        xml.text("uuid", &[], &uuid.to_string());
    }
    let element = metadata::in_domain(&new.metadata);
    xml.raw(&format!("<metadata>{element}</metadata>"));
    let Size { memory_mib, vcpus } = kind.most(new.size);
    xml.text("memory", &[("unit", "MiB")], &memory_mib.to_string());
    let now_mib = new.size.memory_mib.to_string();
    xml.text("currentMemory", &[("unit", "MiB")], &now_mib);
    let now = new.size.vcpus.to_string();
    xml.text("vcpu", &[("current", &now)], &vcpus.to_string());
    if kind == Kind::Lxc {
        // What it can have is no limit for libvirt, and what it has is none.
        xml.open("memtune", &[]);
        xml.text("hard_limit", &[("unit", "MiB")], &now_mib);
        xml.close("memtune");
        // A container sees all processors; this is how much it has of them.
        xml.open("cputune", &[]);
        xml.text("period", &[], &PERIOD.to_string());
        let quota = u64::from(new.size.vcpus) * PERIOD;
        xml.text("quota", &[], &quota.to_string());
        xml.close("cputune");
    }
    os(&mut xml, kind, boot);
    if kind.is_qemu() || kind == Kind::XenHvm {
        // By which it is asked to stop.
        xml.raw("<features><acpi/></features>");
    }
    xml.text("on_poweroff", &[], "destroy");
    xml.text("on_reboot", &[], "restart");
    xml.text("on_crash", &[], "destroy");
    xml.open("devices", &[]);
    if let Boot::Root { root, .. } = boot {
        xml.open("filesystem", &[("type", "mount")]);
        xml.empty("source", &[("dir", &root.display().to_string())]);
        xml.empty("target", &[("dir", "/")]);
        xml.close("filesystem");
    }
    for (letter, drive) in ('a'..).zip(drives) {
        drive.write(&mut xml, letter);
    }
    for (at, nic) in new.nics.iter().enumerate() {
        interface(&mut xml, kind, at, nic);
    }
    xml.empty("console", &[("type", "pty")]);
    xml.close("devices");
    xml.close("domain");
    xml.finish()
}

fn os(xml: &mut Xml, kind: Kind, boot: &Boot<'_>) {
    let (machine, word) = match kind {
        Kind::Test | Kind::Kvm | Kind::Emulated => (None, "hvm"),
        Kind::Lxc => (None, "exe"),
        Kind::Xen => (None, "linux"),
        Kind::XenPvh => (Some("xenpvh"), "xenpvh"),
        Kind::XenHvm => (Some("xenfv"), "hvm"),
    };
    xml.open("os", &[]);
    let machine = machine.map(|machine| ("machine", machine));
    xml.text("type", machine.as_slice(), word);
    match boot {
        Boot::Nothing => {}
        Boot::Root { init, .. } => xml.text("init", &[], init),
        Boot::Kernel {
            kernel,
            initrd,
            cmdline,
        } => {
            xml.text("kernel", &[], kernel);
            if let Some(initrd) = initrd {
                xml.text("initrd", &[], initrd);
            }
            xml.text("cmdline", &[], cmdline);
        }
    }
    xml.close("os");
}

fn interface(xml: &mut Xml, kind: Kind, at: usize, nic: &Nic) {
    // A link's bridge is libvirt's own, which knows who is plugged into it.
    let what = if is_link(&nic.bridge) {
        "network"
    } else {
        "bridge"
    };
    xml.open("interface", &[("type", what)]);
    xml.empty("mac", &[("address", &nic.mac)]);
    xml.empty("source", &[(what, &nic.bridge)]);
    if kind.is_qemu() {
        xml.empty("model", &[("type", "virtio")]);
    }
    if kind == Kind::Lxc {
        for address in &nic.addresses {
            let family = family(address.ip.is_ipv4());
            let (ip, prefix) = (address.ip.to_string(), address.prefix.to_string());
            let all = [("family", family), ("address", &ip), ("prefix", &prefix)];
            xml.empty("ip", &all);
        }
        for gateway in &nic.gateways {
            let nowhere = if gateway.is_ipv4() { "0.0.0.0" } else { "::" };
            let to = gateway.to_string();
            let all = [
                ("family", family(gateway.is_ipv4())),
                ("address", nowhere),
                ("prefix", "0"),
                ("gateway", &to),
            ];
            xml.empty("route", &all);
        }
        xml.empty("guest", &[("dev", &format!("eth{at}"))]);
    }
    xml.close("interface");
}

const fn family(is_ipv4: bool) -> &'static str {
    if is_ipv4 { "ipv4" } else { "ipv6" }
}

/// A definition with another size, and everything else as it was.
pub(super) fn resized(kind: Kind, xml: &str, size: Size) -> Result<String> {
    rewritten(kind, xml, size).ok_or_else(|| {
        Error::Failed("libvirt describes a domain in XML that cannot be read".to_owned())
    })
}

fn rewritten(kind: Kind, xml: &str, size: Size) -> Option<String> {
    let most = kind.most(size);
    let now = size.vcpus.to_string();
    let mut reader = Reader::from_str(xml);
    let mut writer = Writer::new(Vec::new());
    let mut path = String::new();
    loop {
        let event = match reader.read_event().ok()? {
            Event::Eof => break,
            Event::Start(start) => {
                path.push('/');
                path.push_str(start.name().as_ref());
                Event::Start(match path.as_str() {
                    "/domain/memory" | "/domain/currentMemory" | "/domain/memtune/hard_limit" => {
                        only(start, ("unit", "KiB"))
                    }
                    "/domain/vcpu" => only(start, ("current", &now)),
                    _ => start,
                })
            }
            Event::Text(text) => {
                let number = match path.as_str() {
                    "/domain/memory" => most.memory_mib << 10,
                    "/domain/currentMemory" | "/domain/memtune/hard_limit" => size.memory_mib << 10,
                    "/domain/vcpu" => most.vcpus.into(),
                    "/domain/cputune/quota" => u64::from(size.vcpus) * PERIOD,
                    _ => {
                        writer.write_event(Event::Text(text)).ok()?;
                        continue;
                    }
                };
                Event::Text(BytesText::new(&number.to_string()).into_owned())
            }
            Event::End(end) => {
                path.truncate(path.rfind('/')?);
                Event::End(end)
            }
            other => other,
        };
        writer.write_event(event).ok()?;
    }
    String::from_utf8(writer.into_inner())
        .ok()
        .filter(|_| path.is_empty())
}

fn only(start: BytesStart<'_>, attribute: (&str, &str)) -> BytesStart<'static> {
    let mut start = start.into_owned();
    start.clear_attributes();
    start.push_attribute(attribute);
    start
}

/// Writes elements one after the other.
#[derive(Debug, Default)]
struct Xml {
    text: String,
    unwritable: bool,
}

impl Xml {
    fn open(&mut self, tag: &str, attributes: &[(&str, &str)]) {
        self.begin(tag, attributes);
        self.text.push('>');
    }

    fn close(&mut self, tag: &str) {
        let _ = write!(self.text, "</{tag}>");
    }

    fn empty(&mut self, tag: &str, attributes: &[(&str, &str)]) {
        self.begin(tag, attributes);
        self.text.push_str("/>");
    }

    fn text(&mut self, tag: &str, attributes: &[(&str, &str)], text: &str) {
        self.open(tag, attributes);
        self.escaped(text);
        self.close(tag);
    }

    fn raw(&mut self, xml: &str) {
        self.text.push_str(xml);
    }

    fn begin(&mut self, tag: &str, attributes: &[(&str, &str)]) {
        let _ = write!(self.text, "<{tag}");
        for (name, value) in attributes {
            let _ = write!(self.text, " {name}=\"");
            self.escaped(value);
            self.text.push('"');
        }
    }

    fn escaped(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '&' => self.text.push_str("&amp;"),
                '<' => self.text.push_str("&lt;"),
                '>' => self.text.push_str("&gt;"),
                '"' => self.text.push_str("&quot;"),
                '\'' => self.text.push_str("&apos;"),
                // A reader would make spaces of them.
                '\t' | '\n' | '\r' => {
                    let _ = write!(self.text, "&#{};", u32::from(c));
                }
                c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {
                    self.unwritable = true;
                }
                c => self.text.push(c),
            }
        }
    }

    fn finish(self) -> Result<String> {
        if self.unwritable {
            return Err(Error::invalid(
                "a definition has characters that cannot be written in XML",
            ));
        }
        Ok(self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::{Image, Seed};
    use crate::libvirt::read;

    fn definition() -> Definition {
        let image = Image {
            name: "i".to_owned(),
            source: "file:/i".to_owned(),
            sha256: "a".repeat(64),
            format: "rootfs".to_owned(),
        };
        Definition {
            name: "rm-1".to_owned(),
            size: Size {
                vcpus: 2,
                memory_mib: 64,
            },
            image,
            disk_mib: None,
            nics: vec![Nic {
                bridge: "br0".to_owned(),
                mac: "02:00:00:00:00:01".to_owned(),
                addresses: vec!["10.0.0.2/24".parse().unwrap()],
                gateways: vec!["10.0.0.1".parse().unwrap()],
                shaping: None,
            }],
            seed: Seed::default(),
            metadata: "{\"a\": \"<\u{fc}&]]>\u{0}\\u0000%41\"}".to_owned(),
            unfinished: String::new(),
            by: None,
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let new = definition();
        for kind in [Kind::Test, Kind::Lxc, Kind::Xen, Kind::Kvm] {
            let xml = domain(kind, &new, None, &Boot::Nothing, &[]).unwrap();
            let read = read::domain(&xml).unwrap();
            assert_eq!(read.size, new.size, "{xml}");
            assert_eq!(read.metadata.as_ref(), Some(&new.metadata), "{xml}");
            assert_eq!(read.most, kind.most(new.size));
        }
    }

    #[test]
    fn another_size_is_all_that_changes() {
        let new = definition();
        let other = Size {
            vcpus: 3,
            memory_mib: 96,
        };
        for kind in [Kind::Test, Kind::Lxc, Kind::Xen, Kind::Kvm] {
            let xml = domain(kind, &new, None, &Boot::Nothing, &[]).unwrap();
            let changed = resized(kind, &xml, other).unwrap();
            let read = read::domain(&changed).unwrap();
            assert_eq!((read.size, read.most), (other, kind.most(other)));
            assert_eq!(read.metadata.as_ref(), Some(&new.metadata));
            assert_eq!(
                resized(kind, &changed, new.size).unwrap(),
                resized(kind, &xml, new.size).unwrap()
            );
        }
        assert!(resized(Kind::Test, "<domain><memory>", other).is_err());
    }

    #[test]
    fn the_end_of_a_link_is_in_its_network_and_read_there() {
        let link = "rml0123456789ab";
        let mut new = definition();
        let end = Nic {
            bridge: link.to_owned(),
            ..new.nics[0].clone()
        };
        new.nics.push(end);
        for kind in [Kind::Test, Kind::Lxc, Kind::Xen, Kind::Kvm] {
            let xml = domain(kind, &new, None, &Boot::Nothing, &[]).unwrap();
            assert!(xml.contains("<source bridge=\"br0\"/>"), "{xml}");
            assert!(
                xml.contains("<source network=\"rml0123456789ab\"/>"),
                "{xml}"
            );
            let read = read::domain(&xml).unwrap();
            assert_eq!(read.links, [link.to_owned()].into());
            let resized = resized(kind, &xml, new.size).unwrap();
            assert_eq!(read::domain(&resized).unwrap().links, read.links);
        }
    }

    #[test]
    fn nothing_can_end_its_element() {
        let boot = Boot::Kernel {
            kernel: "/k'\"><x",
            initrd: None,
            cmdline: "a=\"1\" </cmdline><b>&amp;\n",
        };
        let xml = domain(Kind::Xen, &definition(), None, &boot, &[]).unwrap();
        assert!(
            xml.contains("<kernel>/k&apos;&quot;&gt;&lt;x</kernel>"),
            "{xml}"
        );
        assert!(
            xml.contains("a=&quot;1&quot; &lt;/cmdline&gt;&lt;b&gt;&amp;amp;&#10;</cmdline>"),
            "{xml}"
        );
        let boot = Boot::Kernel {
            kernel: "\u{1}",
            initrd: None,
            cmdline: "",
        };
        assert!(domain(Kind::Xen, &definition(), None, &boot, &[]).is_err());
    }

    /// As libvirt documents them, for no host of the tests can run the last two.
    #[test]
    fn machines_of_xen_are_what_the_site_says() {
        let boot = Boot::Kernel {
            kernel: "/k",
            initrd: Some("/i"),
            cmdline: "a",
        };
        let rest = "<kernel>/k</kernel><initrd>/i</initrd><cmdline>a</cmdline></os>";
        for (kind, word, acpi) in [
            (Kind::Xen, "<type>linux</type>", false),
            (
                Kind::XenPvh,
                "<type machine=\"xenpvh\">xenpvh</type>",
                false,
            ),
            (Kind::XenHvm, "<type machine=\"xenfv\">hvm</type>", true),
        ] {
            let xml = domain(kind, &definition(), None, &boot, &[]).unwrap();
            assert!(xml.starts_with("<domain type=\"xen\">"), "{xml}");
            assert!(xml.contains(&format!("<os>{word}{rest}")), "{xml}");
            assert_eq!(xml.contains("<acpi/>"), acpi, "{xml}");
            assert!(read::domain(&xml).is_ok());
        }
    }

    #[test]
    fn a_container_knows_its_addresses_before_it_starts() {
        let boot = Boot::Root {
            root: Path::new("/s/rm-1/rootfs"),
            init: "/sbin/init",
        };
        let xml = domain(Kind::Lxc, &definition(), None, &boot, &[]).unwrap();
        for part in [
            "<source dir=\"/s/rm-1/rootfs\"/>",
            "<ip family=\"ipv4\" address=\"10.0.0.2\" prefix=\"24\"/>",
            "gateway=\"10.0.0.1\"",
            "<init>/sbin/init</init>",
            "<quota>200000</quota>",
            "<hard_limit unit=\"MiB\">64</hard_limit>",
        ] {
            assert!(xml.contains(part), "{part}: {xml}");
        }
    }
}
